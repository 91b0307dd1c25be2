"""GRURegressor: one or more numbers for each sequence."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn._loss.loss import BaseLoss
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from skgru.base import (
    ATTRIBUTES_DOC,
    PARAMETERS_DOC,
    REFERENCES_DOC,
    BaseGRU,
    has_stochastic_solver,
    unchanged_on_error,
)
from skgru.losses import REGRESSION_LOSSES


class GRURegressor(RegressorMixin, BaseGRU):  # noqa: D101 (put together below)
    __doc__ = (
        """Predict numbers from sequences with a gated recurrent network.

    Each sequence is read step by step by one or more GRU layers; a linear layer turns the state
    after the last step into one or more numbers. The loss is minimised by backpropagation
    through time. Sequences may differ in length.

    Scaling belongs around it: the channels of X before it in a pipeline (`PerTimestep`), y by
    scikit-learn's `TransformedTargetRegressor`.
"""
        + PARAMETERS_DOC.format(
            stratified="",
            own_parameters="""
    loss : {"squared_error"}, default="squared_error"
        What is minimised: half the squared error, averaged over outputs.
""",
        )
        + """
    Attributes
    ----------"""
        + ATTRIBUTES_DOC
        + """
    See Also
    --------
    GRUClassifier : The same network for class labels.
    skgru.forecasting.sliding_windows : A series as windows and the values after them.
"""
        + REFERENCES_DOC
        + """
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
    )

    _parameter_constraints: ClassVar[dict] = {
        **BaseGRU._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
    }

    def __init__(
        self,
        hidden_layer_sizes=(64,),
        *,
        loss="squared_error",
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
        n_channels=1,
        n_jobs=None,
        dtype="float32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.loss = loss
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
        self.n_channels = n_channels
        self.n_jobs = n_jobs
        self.dtype = dtype

    @available_if(has_stochastic_solver)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the model with one epoch over the given sequences.

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
            As in `fit`; also for another number of outputs than at the first call.
        """
        with unchanged_on_error(self):
            return self._fit(X, y, sample_weight, incremental=True)

    def _check_y(self, y: ArrayLike, *, reset: bool) -> np.ndarray:
        y = check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=type(self).__name__
        )
        if y.ndim != 2 or y.shape[1] == 1:
            y = column_or_1d(y, warn=True)[:, np.newaxis]
        if reset or not hasattr(self, "n_outputs_"):
            self.n_outputs_ = y.shape[1]
        elif y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has {y.shape[1]} outputs, the fitted model has {self.n_outputs_}.")
        with np.errstate(over="ignore"):
            y = y.astype(self.dtype)
        if not np.isfinite(y).all():
            raise ValueError(f"Input y contains a value too large for {self.dtype}.")
        return y

    def _loss(self) -> BaseLoss:
        return REGRESSION_LOSSES[self.loss]()

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
        from sklearn.metrics import r2_score  # at the top, it would slow `import skgru` down

        return float(r2_score(y, outputs, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the numbers of each sequence.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
