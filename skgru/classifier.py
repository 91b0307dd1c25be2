"""GRUClassifier: a class label for each sequence."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn._loss.loss import HalfBinomialLoss
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
)
from sklearn.utils.validation import column_or_1d

from skgru.base import (
    ATTRIBUTES_DOC,
    PARAMETERS_DOC,
    REFERENCES_DOC,
    BaseGRU,
    has_stochastic_solver,
    unchanged_on_error,
)
from skgru.losses import Elementwise, Loss, log_loss


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
        cell="gru",
        activation="tanh",
        reset_after=False,
        bidirectional=False,
        pooling="last",
        return_sequences=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        solver="adam",
        alpha=1e-4,
        batch_size="auto",
        bptt_steps=None,
        learning_rate="constant",
        learning_rate_init=0.01,
        warmup_updates=0,
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
        validation_split="random",
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        n_channels=1,
        n_jobs=None,
        dtype="float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.reset_after = reset_after
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.return_sequences = return_sequences
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.bptt_steps = bptt_steps
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup_updates = warmup_updates
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
        self.validation_split = validation_split
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
        name = type(self).__name__
        if not issparse(y):
            y = np.asarray(y)
            if y.ndim == 2 and y.shape[1] > 1:
                return self._check_indicator(y, reset=reset)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, estimator_name=name, input_name="y")
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{name} needs samples of at least 2 classes in y, got one class: "
                f"{self.classes_.tolist()}."
            )
        if reset or not hasattr(self, "_multilabel"):
            self._multilabel = False
        elif self._multilabel:
            raise ValueError(
                f"y has one column; {name} was fitted on a multilabel indicator of "
                f"{len(self.classes_)}."
            )
        self.n_outputs_ = 1 if len(self.classes_) == 2 else len(self.classes_)
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unseen = np.unique(y[self.classes_[codes] != y])
        if len(unseen):
            raise ValueError(f"y has labels that are not in classes {self.classes_}: {unseen}.")
        return codes.astype(self.dtype)[:, np.newaxis]

    def _check_indicator(self, y: ArrayLike, *, reset: bool) -> np.ndarray:
        y = check_array(y, dtype=None, input_name="y", estimator=type(self).__name__)
        if not np.isin(y, [0, 1]).all():
            raise ValueError(
                f"y has shape {y.shape} and is {type_of_target(y)}; several columns must be a "
                "multilabel indicator of 0 and 1."
            )
        if self.class_weight is not None:
            raise ValueError("class_weight is for one label a sample; y is a multilabel indicator.")
        if reset:
            self.classes_ = np.arange(y.shape[1])
        if reset or not hasattr(self, "_multilabel"):
            self._multilabel = True
        if not self._multilabel or y.shape[1] != len(self.classes_):
            raise ValueError(
                f"y has {y.shape[1]} columns; {type(self).__name__} was fitted on "
                + (f"{len(self.classes_)}." if self._multilabel else "one.")
            )
        self.n_outputs_ = len(self.classes_)
        return y.astype(self.dtype)

    def _class_weights(self, y: np.ndarray) -> np.ndarray | float:
        if self.class_weight is None:
            return 1.0
        return compute_sample_weight(self.class_weight, self._decode(y))

    def _loss(self) -> Loss:
        return Elementwise(HalfBinomialLoss()) if self._multilabel else log_loss(len(self.classes_))

    def _decode(self, y: np.ndarray) -> np.ndarray:
        y = y.astype(np.intp)
        return y if self._multilabel else self.classes_[y[:, 0]]

    def _predictions(self, outputs: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return (outputs > 0).astype(np.intp)
        # the logit of two classes is the second's
        most_likely = (
            (outputs[:, 0] > 0).astype(np.intp) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        )
        return self.classes_[most_likely]

    def _score_predictions(
        self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None
    ) -> float:
        from sklearn.metrics import accuracy_score  # at the top, it would slow `import skgru` down

        return float(accuracy_score(y, predictions, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict the class of each sequence, or of each time step.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels out of `classes_`, or a multilabel indicator. With `return_sequences`, those of
            every step in the form of X: a list of arrays of shape (n_timesteps_i,) or
            (n_timesteps_i, n_outputs), or an array of shape (n_samples, n_timesteps) or
            (n_samples, n_timesteps, n_outputs), with NaN (None, if labels are no numbers) where
            X was padded.
        """
        outputs, sequences = self._outputs(X)
        return self._in_form_of_x(self._predictions(outputs), sequences)

    def predict_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Estimate the probability of each class for each sequence, or each time step.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; rows sum to 1, but of a multilabel indicator, each is the
            probability of a 1. With `return_sequences`, a list of arrays of shape
            (n_timesteps_i, n_classes) or an array of shape (n_samples, n_timesteps, n_classes).
        """
        return self._probabilities(X, expit, softmax)

    def predict_log_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Estimate the logarithm of the probability of each class, exact where it is tiny.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        log_P : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, and in the form of `predict_proba`.
        """
        return self._probabilities(X, log_expit, log_softmax)

    def _probabilities(
        self, X: Any, of_two: Callable[..., np.ndarray], of_several: Callable[..., np.ndarray]
    ) -> np.ndarray | list[np.ndarray]:
        outputs, sequences = self._outputs(X)
        return self._in_form_of_x(self._probabilities_of(outputs, of_two, of_several), sequences)

    def _probabilities_of(
        self,
        outputs: np.ndarray,
        of_two: Callable[..., np.ndarray],
        of_several: Callable[..., np.ndarray],
    ) -> np.ndarray:
        if self._multilabel:
            # below a certainty, which float64 would round to
            return of_two(np.minimum(outputs, 36.0))
        if outputs.shape[1] == 1:
            return of_two(np.hstack([-outputs, outputs]))
        return of_several(outputs, axis=1)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of the predictions.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.
        y : array-like
            Labels, in any form that `fit` takes.
        sample_weight : array-like, default=None
            Weights, in any form that `fit` takes.

        Returns
        -------
        score : float
            Share of the sequences, or of the time steps that have a label, whose prediction is
            right, in all outputs at once if there are several.
        """
        return self._score(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
