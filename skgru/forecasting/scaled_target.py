"""ScaledTargetRegressor: scale y around a regressor, and undo it in predictions of any shape."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skgru._sklearn import HasMethods, fit_context
from skgru.forecasting.around import RegressorAround, named
from skgru.forecasting.predictions import check_order, innermost, outputs_of
from skgru.forecasting.targets import Rows, check_increasing, read_rows
from skgru.metrics import flatten_steps
from skgru.outputs import Outputs, Quantiles
from skgru.persistence import unchanged_on_error
from skgru.sequences import without_scale
from skgru.streaming import PipelineStream, Stream, stream
from skgru.training.callbacks import with_callbacks


class ScaledTargetRegressor(RegressorAround):
    """Fit a regressor to scaled targets, and return its predictions in the units of y.

    It does what `TransformedTargetRegressor` does, and also where this fails: for several quantiles
    of several time steps, for a target at every time step (`return_sequences=True`) and for the
    targets to validate on. Each column of y has its own scale, or all time steps of a channel if
    y has a target for each of them.

    Parameters
    ----------
    regressor : estimator
        Any regressor, such as `GRURegressor`, or a pipeline or a search that ends in one. It is
        cloned.
    transformer : transformer, default=None
        What is fitted to y and undone in predictions: column by column, increasing, and with an
        `inverse_transform`. None is `StandardScaler()`, without centring where the loss of the
        regressor is "poisson", whose y must not be negative.

    Attributes
    ----------
    regressor_ : estimator
        The fitted regressor.
    transformer_ : transformer
        The fitted transformer.
    n_features_in_ : int
        That of the regressor.
    feature_names_in_ : ndarray of str
        Those of the regressor, if it has some.

    See Also
    --------
    sliding_windows : The X and y of a series.
    recursive_forecast : Forecast further than the horizon, also with this estimator.

    Notes
    -----
    Only an increasing transformation of single columns keeps quantiles: the 90 % quantile of the
    logarithm is the logarithm of the 90 % quantile, while a decreasing one would turn 90 % into
    10 %. `fit` tries the transformer on y and refuses others. A mean (`loss="squared_error"`) is
    kept by a linear transformer only; undone logarithms are medians rather than means.

    In `fit`, a `y_val` is scaled as y is, also as ``<step>__y_val``. `sample_weight` reaches the
    regressor, and the transformer if it takes weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRURegressor
    >>> from skgru.forecasting import ScaledTargetRegressor, sliding_windows
    >>> series = 1000 + 200 * np.sin(np.arange(300) / 5)
    >>> X, y = sliding_windows(series, window=20, horizon=3)
    >>> gru = GRURegressor(16, loss="quantile", quantiles=(0.1, 0.5, 0.9), random_state=0)
    >>> model = ScaledTargetRegressor(gru).fit((X - 1000) / 200, y)
    >>> model.predict((X[:5] - 1000) / 200).shape  # of each window, step and quantile
    (5, 3, 3)
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.forecasting"

    _parameter_constraints: ClassVar[dict[Any, Any]] = {
        "regressor": [HasMethods(["fit", "predict"])],
        "transformer": [HasMethods(["fit", "transform", "inverse_transform"]), None],
    }

    def __init__(self, regressor: Any, transformer: Any = None) -> None:
        self.regressor = regressor
        self.transformer = transformer

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Fit the transformer to y, and the regressor to X and what the transformer makes of y.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; with `return_sequences`, those of every time step, as `GRURegressor` takes
            them.
        sample_weight : array-like, default=None
            Weights, as the regressor takes them.
        **fit_params : dict
            Passed to `fit` of the regressor, targets to validate on (`y_val`) transformed.

        Returns
        -------
        self : object
            The fitted estimator. If anything is raised, it is as it was before.

        Raises
        ------
        ValueError
            If y is not numeric, or if the transformer is not increasing or not of single columns.
        """
        tasks = self._begin_fit(X, y, sample_weight, fit_params)
        with unchanged_on_error(self):
            self._by_step = bool(getattr(innermost(self.regressor), "return_sequences", False))
            rows = self._rows(X, y, "y")
            self._n_targets = rows.values.shape[1]
            self._fit_transformer(rows, named(fit_params, "sample_weight"))
            transformed = dict(fit_params)
            for name, value in fit_params.items():
                if value is not None and name.split("__")[-1] == "y_val":
                    X_val = fit_params.get(name[: -len("y_val")] + "X_val", X)
                    transformed[name] = self._scaled(self._rows(X_val, value, name))
            self.regressor_: Any = self._fit_regressor(tasks, X, self._scaled(rows), transformed)
        tasks.end_fit()
        return self

    def predict(self, X: Any, **predict_params: Any) -> np.ndarray | list[np.ndarray]:
        """Predict, in the units of y.

        Parameters
        ----------
        X : array-like
            As the regressor takes it.
        **predict_params : dict
            Passed to `predict` of the regressor.

        Returns
        -------
        y : ndarray or list of ndarray
            In the shape that the regressor predicts, quantiles and time steps included.
        """
        check_is_fitted(self, "regressor_")
        predictions = self.regressor_.predict(X, **self._routed("predict", predict_params))
        if isinstance(predictions, list):
            return [self._undone(np.asarray(one), 1) for one in predictions]
        return self._undone(np.asarray(predictions), 2 if self._by_step else 1)

    def _score(self, outputs: Outputs, y: Any, predictions: Any, sample_weight: Any) -> float:
        if self._by_step:
            return outputs.score(*flatten_steps(y, predictions, sample_weight))
        return outputs.score(np.asarray(y), predictions, sample_weight)

    def stream(self, n_streams: int = 1) -> "ScaledStream":
        """Predict after every time step, as sequences come in.

        Parameters
        ----------
        n_streams : int, default=1
            Number of sequences that advance together.

        Returns
        -------
        stream : ScaledStream
            The regressor's stream, with predictions in the units of y.

        Raises
        ------
        TypeError
            If the regressor, or a step of its pipeline, needs the whole sequence.
        """
        check_is_fitted(self, "regressor_")
        return ScaledStream(self, stream(self.regressor_, n_streams))

    # ---- y as rows, and back -------------------------------------------------------------------

    def _rows(self, X: Any, y: ArrayLike, name: str) -> Rows:
        return read_rows(X, y, name, by_step=self._by_step, caller=type(self).__name__)

    def _fit_transformer(self, rows: Rows, sample_weight: ArrayLike | None) -> None:
        transformer = self.transformer
        if transformer is None:
            poisson = getattr(innermost(self.regressor), "loss", None) == "poisson"
            transformer = StandardScaler(with_mean=not poisson)
        known = rows.values[rows.known]
        if not len(known):
            raise ValueError("All targets in y are missing (NaN or None).")
        weights = {}
        if sample_weight is not None and has_fit_parameter(transformer, "sample_weight"):
            # StandardScaler takes columns for constant if the sum of the weights is large
            weights["sample_weight"], _ = without_scale(rows.weights(sample_weight)[rows.known])
        transformer = clone(transformer)
        if hasattr(transformer, "set_output"):  # of y: whatever is set for features
            transformer.set_output(transform="default")
        self.transformer_: Any = transformer.fit(known, **weights)
        check_increasing(self.transformer_, known)

    def _scaled(self, rows: Rows) -> np.ndarray | list[np.ndarray]:
        """Transform rows, and give them the form of y again."""
        if rows.values.shape[1] != self._n_targets:
            raise ValueError(f"y_val has {rows.values.shape[1]} outputs, y has {self._n_targets}.")
        return rows.in_form_of_y(np.asarray(self.transformer_.transform(rows.values[rows.known])))

    def _undone(self, predictions: np.ndarray, n_lead: int) -> np.ndarray:
        """Undo the transformation in predictions.

        Parameters
        ----------
        predictions : ndarray
            With the targets, if there are several, as axis `n_lead`, quantiles after it.
        n_lead : int
            Axes before that of the targets: samples, time steps.
        """
        several = self._n_targets > 1
        if several and predictions.shape[n_lead : n_lead + 1] != (self._n_targets,):
            raise ValueError(
                f"The regressor predicts an array of shape {predictions.shape}, y has "
                f"{self._n_targets} outputs."
            )
        by_target = np.moveaxis(predictions, n_lead, -1) if several else predictions[..., None]
        rows = by_target.reshape(-1, self._n_targets)
        known = ~np.isnan(rows).any(axis=1)  # padding stays
        undone = np.full(rows.shape, np.nan, dtype=rows.dtype)
        if known.any():
            numbers = np.asarray(self.transformer_.inverse_transform(rows[known]))
            undone = undone.astype(np.result_type(undone, numbers), copy=False)
            undone[known] = numbers
        undone = undone.reshape(by_target.shape)
        undone = np.moveaxis(undone, -1, n_lead) if several else undone[..., 0]
        outputs = outputs_of(self.regressor_)
        if isinstance(outputs, Quantiles) and len(outputs.quantiles) > 1:
            check_order(undone, outputs.quantiles)
        return undone

    # ---- scikit-learn's rules ------------------------------------------------------------------

    @property
    def n_features_in_(self) -> int:
        """Number of features of the regressor."""
        return self._fitted_regressor().n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features of the regressor."""
        return self._fitted_regressor().feature_names_in_

    def _fitted_regressor(self) -> Any:
        if "regressor_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return self.regressor_


class ScaledStream(PipelineStream):
    """A stream whose predictions are in the units of y; see `skgru.streaming.PipelineStream`.

    Parameters
    ----------
    model : ScaledTargetRegressor
        The fitted estimator.
    following : Stream or PipelineStream
        Of its regressor.

    Attributes
    ----------
    n_streams : int
    n_channels : int

    See Also
    --------
    skgru.streaming.stream : Make a stream of any estimator.
    ScaledTargetRegressor : The estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRURegressor
    >>> from skgru.forecasting import ScaledTargetRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 10, 1)), 1e3 * rng.normal(size=20)
    >>> model = ScaledTargetRegressor(GRURegressor(8, max_iter=2, random_state=0)).fit(X, y)
    >>> stream = model.stream()
    >>> for x_t in X[0]:
    ...     prediction = stream.step(x_t)
    >>> bool(np.isclose(prediction, model.predict(X[:1])[0]))
    True
    """

    def __init__(self, model: ScaledTargetRegressor, following: Stream | PipelineStream) -> None:
        super().__init__(following, following.n_channels)
        self._model = model._view()

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        predicted = predict(x_t)
        undone = self._model._undone(np.asarray(predicted), min(np.ndim(x_t), 2) - 1)
        return undone if isinstance(predicted, np.ndarray) else undone[()]
