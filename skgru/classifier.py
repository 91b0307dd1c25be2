"""GRUClassifier: a class label for each sequence, or for each time step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skgru._combinations import has_stochastic_solver
from skgru._parameters import Parameter, documented
from skgru._sklearn import (
    ClassifierMixin,
    StrOptions,
    Tags,
    _check_partial_fit_first_call,
    available_if,
    fit_context,
)
from skgru.base import BaseGRU
from skgru.outputs import (
    Outputs,
    check_kind,
    check_labels,
    factors_of,
    learn_class_weights,
    learn_labels,
    one_column,
)
from skgru.persistence import unchanged_on_error


@documented(
    class_weight=Parameter(
        [StrOptions({"balanced"}), dict, None],
        """dict, "balanced" or None
    Weights of the classes in the loss and in the validation score, as a dict from labels to finite
    numbers of at least 0 (classes that are not in it weigh 1), or inversely proportional to the
    frequencies of the classes, each sample counted with its `sample_weight`. `partial_fit` takes
    a dict only. Not for multilabel y.""",
    ),
)
class GRUClassifier(ClassifierMixin, BaseGRU):
    """Classify sequences with a gated recurrent network.

    Each sequence is read step by step by one or more GRU layers; a linear layer turns their
    states into class probabilities. The log-loss is minimized by backpropagation through time.
    Sequences may differ in length.

    Scale the channels before it, in a pipeline:
    `make_pipeline(PerTimestep(StandardScaler()), GRUClassifier())`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    {attributes}

    See Also
    --------
    GRURegressor : The same network for numbers.
    skgru.preprocessing.PerTimestep : Any transformer, applied to each time step.

    {references}

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

    # where users import it from, and what saved models name
    __module__ = "skgru"

    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | np.ndarray = (64,),
        *,
        cell: str = "gru",
        activation: str = "tanh",
        reset_after: bool = False,
        bidirectional: bool | str = "auto",
        pooling: str = "mean",
        return_sequences: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        bptt_steps: int | None = None,
        update_every: str = "sequence",
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        warmup_updates: int = 20,
        power_t: float = 0.5,
        max_iter: int = 200,
        max_grad_norm: float | None = 1.0,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: Any = "random",
        scoring: str | Callable[..., float] | None = "loss",
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        class_weight: Mapping[Any, float] | str | None = None,
        n_channels: int = 1,
        missing: str = "error",
        time_channel: int | str | None = None,
        categorical_channels: Sequence[int] | Sequence[str] | str | None = None,
        embedding_dim: int | None = None,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
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
        self.update_every = update_every
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
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.class_weight = class_weight
        self.n_channels = n_channels
        self.missing = missing
        self.time_channel = time_channel
        self.categorical_channels = categorical_channels
        self.embedding_dim = embedding_dim
        self.n_jobs = n_jobs
        self.dtype = dtype

    @available_if(has_stochastic_solver)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Update the model with one epoch over the given sequences.

        Parameters that ``set_params`` has changed since the last call hold from this one on. Those
        that describe the network or its outputs cannot change, and raise; another `solver` begins
        with a new state.

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
            As in `fit`; also for labels that are not among `classes`, and for parameters that
            describe another network than the fitted one.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" is not supported by partial_fit, as a chunk does not show '
                "how frequent the classes are. Compute the weights beforehand, with "
                'sklearn.utils.class_weight.compute_class_weight("balanced", classes=..., y=...), '
                "and set class_weight=dict(zip(classes, weights))."
            )
        with unchanged_on_error(self):
            known = None if classes is None else one_column(classes, "classes")
            _check_partial_fit_first_call(self, known)
            return self._fit(X, y, sample_weight, incremental=True, classes=self.classes_)

    def _check_y(self, y: ArrayLike, fitted: Outputs | None) -> np.ndarray:
        if fitted is not None:
            check_kind(fitted, y, type(self).__name__)
        return check_labels(y, type(self).__name__)

    def _learn_outputs(self, y: np.ndarray, classes: np.ndarray | None) -> Outputs:
        outputs = learn_labels(y, classes, type(self).__name__)
        self.classes_ = outputs.classes
        return outputs

    def _encode(
        self, outputs: Outputs, y: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | float]:
        numbers, factor = super()._encode(outputs, y)
        codes = numbers[:, 0].astype(np.intp)
        if weights is not None:
            self._class_weights = learn_class_weights(self.class_weight, outputs, codes, weights)
        # validation weighs as training does, whatever the frequencies in y_val
        learned = getattr(self, "_class_weights", None)
        return numbers, factor if learned is None else factors_of(learned, outputs, codes)

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
        return super().predict(X)

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
        self._check_is_fitted()
        return self._predict(X, self._outputs.probabilities)

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
        self._check_is_fitted()
        return self._predict(X, self._outputs.log_probabilities)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of the predictions.

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
        return BaseGRU.score(self, X, y, sample_weight)  # not that of scikit-learn's mixin

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
