"""GRURegressor: one or more numbers for each sequence, or for each time step."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skgru._combinations import has_stochastic_solver
from skgru._parameters import Parameter, documented
from skgru._sklearn import RegressorMixin, StrOptions, Tags, available_if, fit_context
from skgru.base import BaseGRU
from skgru.losses import REGRESSION_LOSSES
from skgru.outputs import Outputs, check_numbers, learn_numbers
from skgru.persistence import unchanged_on_error


@documented(
    loss=Parameter(
        [StrOptions({*REGRESSION_LOSSES, "quantile"})],
        """{"squared_error", "absolute_error", "huber", "poisson", "quantile"}
    What is minimized, as mean over outputs: half the squared error; the absolute error; Huber's
    loss, which is squared up to an error of 1 and absolute beyond (scale y); half the Poisson
    deviance of a positive mean, whose logarithm is the output of the network; or the pinball loss
    of every one of `quantiles`.""",
    ),
    quantiles=Parameter(
        ["array-like"],
        """sequence of float
    Quantiles that `loss="quantile"` predicts, all by one model.""",
    ),
)
class GRURegressor(RegressorMixin, BaseGRU):
    """Predict numbers from sequences with a gated recurrent network.

    Each sequence is read step by step by one or more GRU layers; a linear layer turns their
    states into one or more numbers. The loss is minimized by backpropagation through time.
    Sequences may differ in length.

    Scale the channels of X before it in a pipeline (`PerTimestep`), and y by
    `skgru.forecasting.ScaledTargetRegressor`, which undoes the scaling for every loss, several
    quantiles and time steps included.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    GRUClassifier : The same network for class labels.
    skgru.forecasting.sliding_windows : A series as windows and the values after them.

    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRURegressor
    >>> from skgru.forecasting import sliding_windows
    >>> X, y = sliding_windows(np.sin(np.arange(400) / 5), window=20)
    >>> model = GRURegressor(16, random_state=0).fit(X[:300], y[:300])
    >>> bool(model.score(X[300:], y[300:]) > 0.99)
    True
    """

    # where users import it from, and what saved models name
    __module__ = "skgru"

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | np.ndarray = (64,),
        *,
        loss: str = "squared_error",
        quantiles: Sequence[float] | np.ndarray = (0.1, 0.5, 0.9),
        cell: str = "gru",
        activation: str = "tanh",
        reset_after: bool = False,
        bidirectional: bool | str = False,
        pooling: str = "last",
        return_sequences: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        solver: str = "adam",
        alpha: float = 0.03,
        batch_size: int | str = "auto",
        bptt_steps: int | None = None,
        update_every: str = "sequence",
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.01,
        warmup_updates: int = 20,
        power_t: float = 0.5,
        max_iter: int = 100,
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
        n_channels: int = 1,
        missing: str = "error",
        time_channel: int | str | None = None,
        categorical_channels: Sequence[int] | Sequence[str] | str | None = None,
        embedding_dim: int | None = None,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.loss = loss
        self.quantiles = quantiles
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
        self.n_channels = n_channels
        self.missing = missing
        self.time_channel = time_channel
        self.categorical_channels = categorical_channels
        self.embedding_dim = embedding_dim
        self.n_jobs = n_jobs
        self.dtype = dtype

    @available_if(has_stochastic_solver)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the model with one epoch over the given sequences.

        Parameters that ``set_params`` has changed since the last call hold from this one on. Those
        that describe the network or its outputs cannot change, and raise; another `solver` begins
        with a new state.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss.

        Returns
        -------
        self : object
            The updated estimator. It is as it was before if anything is raised.

        Raises
        ------
        ValueError
            As in `fit`; also for another number of outputs than at the first call, and for
            parameters that describe another network than the fitted one.
        """
        with unchanged_on_error(self):
            return self._fit(X, y, sample_weight, incremental=True)

    def _check_y(self, y: ArrayLike, fitted: Outputs | None) -> np.ndarray:
        return check_numbers(y, type(self).__name__)

    def _learn_outputs(self, y: np.ndarray, classes: np.ndarray | None) -> Outputs:
        return learn_numbers(y, self.loss, self.quantiles)

    def predict(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict the numbers of each sequence, or of each time step.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            With several quantiles, of shape (n_samples, n_quantiles) or (n_samples, n_outputs,
            n_quantiles), in the order of `quantiles`; a higher quantile is never below a lower.
            With `return_sequences`, those of every step in the form of X: a list of arrays whose
            first axis is the steps, or an array whose second is, with NaN where X was padded.
        """
        return super().predict(X)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination of the predictions.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.
        y : array-like
            Numbers, in any form that `fit` takes.
        sample_weight : array-like, default=None
            Weights, in any form that `fit` takes.

        Returns
        -------
        score : float
            R² over sequences, or over the time steps that have a target. Of `loss="quantile"`,
            the share of the pinball loss explained, D², as mean over quantiles.
        """
        return BaseGRU.score(self, X, y, sample_weight)  # not that of scikit-learn's mixin

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
