"""Score predictions at every time step with scikit-learn's metrics."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer

from skgru.sequences.targets import known_labels, missing_labels


class StepScorer:
    """Scorer that applies a metric to the time steps of all sequences; see `step_scorer`.

    Parameters
    ----------
    score_func : callable
    sign : {1, -1}
    response_method : str
    kwargs : dict
    """

    def __init__(
        self, score_func: Callable[..., float], sign: int, response_method: str, kwargs: dict
    ):
        self._score_func = score_func
        self._sign = sign
        self._response_method = response_method
        self._kwargs = kwargs

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score the predictions for X.

        Parameters
        ----------
        estimator : estimator
            An estimator that predicts at every time step, or a pipeline that ends in one.
        X : array-like
            Sequences.
        y : array-like
            One target per time step, in any form that `fit` accepts. Missing ones are ignored.
        sample_weight : array-like, default=None
            One weight per sequence, or one per time step in any form that y may have.

        Returns
        -------
        score : float
            The score; higher is better.

        Raises
        ------
        ValueError
            If the number of targets differs from the number of predictions.
        """
        predictions = getattr(estimator, self._response_method)(X)
        y, predictions, weights = flatten_steps(y, predictions, sample_weight)
        if self._response_method == "predict_proba" and predictions.shape[1:] == (2,):
            # scikit-learn's scorers pass the second of two classes too
            predictions = predictions[:, 1]
        weights = {} if weights is None else {"sample_weight": weights}
        return self._sign * self._score_func(y, predictions, **weights, **self._kwargs)

    def __repr__(self) -> str:
        return f"step_scorer({self._score_func.__name__})"


def step_scorer(
    scoring: str | Callable[..., float],
    *,
    response_method: str = "predict",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> StepScorer:
    """Make a scorer for predictions at every time step, for the `scoring` of a search.

    scikit-learn's metrics do not accept one label per time step, with one exception. If all labels
    are 0 or 1 and all sequences are equally long, the metrics take y for a multilabel indicator:
    a sequence then counts as correct only if all of its time steps are.

    Parameters
    ----------
    scoring : str or callable
        Name of a scikit-learn scorer, such as "accuracy" or "neg_mean_absolute_error", or a metric
        ``score_func(y_true, y_pred, **kwargs)``.
    response_method : {"predict", "predict_proba", "predict_log_proba"}, default="predict"
        Method whose result the metric compares with y. Ignored if `scoring` is a name.
    greater_is_better : bool, default=True
        Whether the metric is a score, and not a loss. Ignored if `scoring` is a name.
    **kwargs
        Keyword arguments of the metric.

    Returns
    -------
    StepScorer
        A callable ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    ValueError
        If scikit-learn has no scorer with this name.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from skgru import GRUClassifier
    >>> from skgru.metrics import step_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 1)) for n in rng.integers(5, 20, size=60)]
    >>> y = [(x[:, 0] > 0).astype(int) for x in X]  # one label per time step
    >>> gru = GRUClassifier(
    ...     8, return_sequences=True, learning_rate="cosine", max_iter=40, random_state=0
    ... )
    >>> scores = cross_val_score(gru, X, y, cv=KFold(3), scoring=step_scorer("f1"))
    >>> bool(scores.min() > 0.9)
    True
    """
    if isinstance(scoring, str):
        scorer = get_scorer(scoring)
        method = scorer._response_method
        method = method if isinstance(method, str) else _first_known(method)
        return StepScorer(scorer._score_func, scorer._sign, method, {**scorer._kwargs, **kwargs})
    return StepScorer(scoring, 1 if greater_is_better else -1, response_method, kwargs)


def _first_known(methods: tuple[str, ...]) -> str:
    """Return the first of a scorer's methods that the estimators have."""
    return next(m for m in methods if m in ("predict_proba", "predict"))


def flatten_steps(
    y: ArrayLike, predictions: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Concatenate the targets and predictions of all time steps, for any metric.

    Parameters
    ----------
    y : array-like
        Targets of shape (n_samples, n_timesteps[, k]), or a list of arrays of shape
        (n_timesteps_i[, k]).
    predictions : array-like
        Predictions in either of these forms. Where the targets of a sequence end before its
        predictions, the remaining predictions are ignored as padding.
    sample_weight : array-like, default=None
        One weight per sequence, or one per time step.

    Returns
    -------
    y, predictions : ndarray of shape (n_known,) or (n_known, k)
        One row per time step whose target is not missing.
    sample_weight : ndarray of shape (n_known,), or None

    Raises
    ------
    ValueError
        If the numbers of sequences differ, or if a known target has no prediction.
    """
    if len(y) != len(predictions):
        raise ValueError(f"y has {len(y)} sequences, the predictions are for {len(predictions)}.")
    if sample_weight is not None and len(sample_weight) != len(y):
        raise ValueError(f"sample_weight has {len(sample_weight)} entries for {len(y)} sequences.")
    parts: tuple[list, list, list] = ([], [], [])
    for i, (target, prediction) in enumerate(zip(y, predictions, strict=True)):
        target, prediction = np.asarray(target), np.asarray(prediction)
        if not target.ndim or not prediction.ndim:
            raise ValueError(
                f"y[{i}] has shape {target.shape} and its prediction {prediction.shape}; a step "
                "scorer needs both for every time step, as of return_sequences=True."
            )
        n_steps = min(len(target), len(prediction))
        if not missing_labels(target[n_steps:]).all():
            raise ValueError(
                f"y[{i}] has {len(target)} steps, its prediction has {len(prediction)}."
            )
        known = np.flatnonzero(~missing_labels(target[:n_steps]))
        parts[0].append(target[known])
        parts[1].append(prediction[known])
        if sample_weight is not None:
            weight = np.asarray(sample_weight[i])
            parts[2].append(weight[known] if weight.ndim else np.full(len(known), weight))
    targets, predicted, weights = (np.concatenate(p) if p else None for p in parts)
    return known_labels(targets, ...), known_labels(predicted, ...), weights
