"""GRUClassifier: a class label for each sequence."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn._loss.loss import BaseLoss
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import column_or_1d

from skgru.base import (
    ATTRIBUTES_DOC,
    PARAMETERS_DOC,
    REFERENCES_DOC,
    BaseGRU,
    has_stochastic_solver,
    unchanged_on_error,
)
from skgru.losses import log_loss


class GRUClassifier(ClassifierMixin, BaseGRU):  # noqa: D101 (put together below)
    __doc__ = (
        """Classify sequences with a gated recurrent network.

    Each sequence is read step by step by one or more GRU layers; a linear layer turns the state
    after the last step into class probabilities. The log-loss is minimised by backpropagation
    through time. Sequences may differ in length.

    Scaling the channels belongs before it, in a pipeline:
    `make_pipeline(PerTimestep(StandardScaler()), GRUClassifier())`.
"""
        + PARAMETERS_DOC.format(
            stratified=", with the class shares of all",
            own_parameters="""
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as a dict or inversely proportional to how often they
        occur. `partial_fit` takes a dict only.
""",
        )
        + """
    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted."""
        + ATTRIBUTES_DOC
        + """
    See Also
    --------
    GRURegressor : The same network for numbers.
    skgru.preprocessing.PerTimestep : Any transformer, applied to each time step.
"""
        + REFERENCES_DOC
        + """
    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.preprocessing import PerTimestep
    >>> X, y = load_japanese_vowels(subset="train", return_X_y=True)
    >>> X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    >>> gru = GRUClassifier(random_state=0)
    >>> pipeline = make_pipeline(PerTimestep(StandardScaler()), gru).fit(X, y)
    >>> bool(pipeline.score(X_test, y_test) > 0.9)
    True
    """
    )

    _parameter_constraints: ClassVar[dict] = {
        **BaseGRU._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        reset_after=False,
        solver="adam",
        alpha=1e-4,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.01,
        power_t=0.5,
        max_iter=100,
        max_grad_norm=1.0,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        n_channels=1,
        n_jobs=None,
        dtype="float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.reset_after = reset_after
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.max_grad_norm = max_grad_norm
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.n_channels = n_channels
        self.n_jobs = n_jobs
        self.dtype = dtype

    @available_if(has_stochastic_solver)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Update the model with one epoch over the given sequences.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come: needed at the first call, optional after it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.

        Returns
        -------
        self : object
            The updated estimator. It is as it was before if anything is raised.

        Raises
        ------
        ValueError
            As in `fit`; also for labels that are not among `classes`.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" needs all samples at once; give partial_fit a dict, such '
                "as sklearn.utils.class_weight.compute_class_weight makes."
            )
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._fit(X, y, sample_weight, incremental=True)

    def _check_y(self, y: ArrayLike, *, reset: bool) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, estimator_name=type(self).__name__, input_name="y")
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in y, got one class: "
                f"{self.classes_.tolist()}."
            )
        self.n_outputs_ = 1 if len(self.classes_) == 2 else len(self.classes_)
        unseen = np.setdiff1d(y, self.classes_)
        if len(unseen):
            raise ValueError(f"y has labels that are not in classes {self.classes_}: {unseen}.")
        return np.searchsorted(self.classes_, y).astype(self.dtype)

    def _check_weights(self, sample_weight: ArrayLike | None, y: np.ndarray) -> np.ndarray:
        weights = super()._check_weights(sample_weight, y)
        if self.class_weight is None:
            return weights
        return weights * compute_sample_weight(self.class_weight, self.classes_[y.astype(int)])

    def _loss(self) -> BaseLoss:
        return log_loss(len(self.classes_))

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
        from sklearn.metrics import accuracy_score  # at the top, it would slow `import skgru` down

        return float(accuracy_score(y, _most_likely(outputs), sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each sequence.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        most_likely = _most_likely(self._outputs(X))
        return self.classes_[most_likely]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Estimate the probability of each class for each sequence.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to 1.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return expit(np.hstack([-outputs, outputs]))
        return softmax(outputs, axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Estimate the logarithm of the probability of each class, exact where it is tiny.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        log_P : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] == 1:
            return log_expit(np.hstack([-outputs, outputs]))
        return log_softmax(outputs, axis=1)


def _most_likely(outputs: np.ndarray) -> np.ndarray:
    """Index of the class with the highest output; the logit of two classes is the second's."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.intp)
    return outputs.argmax(axis=1)
