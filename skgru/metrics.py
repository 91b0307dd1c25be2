"""Scores of predictions at every time step, by any metric or scorer of scikit-learn."""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer, make_scorer
from sklearn.metrics._scorer import _BaseScorer, _cached_call, _Scorer
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_response_method

from skgru.sequences import ragged_items
from skgru.sequences.targets import known_labels, missing_labels


class StepScorer(_Scorer):
    """A scorer over the time steps of all sequences: what `step_scorer` makes.

    It is called as scikit-learn's own are: ``scorer(estimator, X, y, sample_weight=None)``. The
    estimator predicts at every time step, or is a pipeline or a search that ends in one that does.
    y has a target for each step, in any form that `fit` takes; steps whose target is missing do
    not count. `sample_weight` has one weight per sequence, or one per step in a form that y may
    have. Higher scores are better.

    Parameters
    ----------
    score_func : callable
        ``score_func(y_true, y_pred, **kwargs)``.
    sign : {1, -1}
    kwargs : dict
    response_method : str or tuple of str
    """

    def _score(
        self, method_caller: Any, estimator: Any, X: Any, y_true: ArrayLike, **kwargs: Any
    ) -> float:
        """Score the steps as scikit-learn scores samples."""
        method = _check_response_method(estimator, self._response_method).__name__
        weights = kwargs.pop("sample_weight", None)
        y, response, weights = flatten_steps(y_true, getattr(estimator, method)(X), weights)
        if weights is not None:
            kwargs["sample_weight"] = weights
        steps = _Steps(estimator, method, response, y)
        return super()._score(partial(_cached_call, None), steps, response, y, **kwargs)

    def __repr__(self) -> str:
        return super().__repr__().replace("make_scorer", "step_scorer", 1)


class _Steps:
    """An estimator of single time steps, as scikit-learn's scorers see it.

    Parameters
    ----------
    estimator : estimator
        Of sequences.
    method : str
        The only method that this one has.
    response : ndarray with a row for each step
        What the method returns.
    y : ndarray with a row for each step
    """

    def __init__(self, estimator: Any, method: str, response: np.ndarray, y: np.ndarray):
        self._estimator = estimator
        if is_classifier(estimator):
            # of a multilabel indicator, the classes of each label, as scikit-learn's forests say it
            several = y.ndim == 2
            self.classes_ = y.shape[1] * [np.array([0, 1])] if several else estimator.classes_
            kinds = np.asarray(self.classes_).dtype.kind, response.dtype.kind
            if method == "predict" and kinds[1] == "f" and kinds[0] in "biu":
                # NaN in the padding has made floating-point numbers of them
                response = response.astype(np.asarray(self.classes_).dtype)

        def respond(X: Any) -> np.ndarray:
            return response

        respond.__name__ = method  # which scikit-learn asks for
        setattr(self, method, respond)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self._estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def step_scorer(
    scoring: str | Callable[..., Any],
    *,
    response_method: str | tuple[str, ...] | None = None,
    greater_is_better: bool = True,
    **kwargs: Any,
) -> StepScorer:
    """Make a scorer for predictions at every time step, for `scoring=` in a search.

    scikit-learn's own metrics refuse a label for each time step, but where labels are 0 and 1 and
    all sequences are as long: these they take for a multilabel indicator, and count a sequence as
    right only if all its steps are.

    Parameters
    ----------
    scoring : str or callable
        The name of one of scikit-learn's scorers, such as "f1" or "neg_mean_absolute_error"; a
        scorer that `make_scorer` or `get_scorer` made; or a metric
        ``score_func(y_true, y_pred, **kwargs)``.
    response_method : str or tuple of str, default=None
        What a metric compares with y, as in `make_scorer`; None is "predict". Scorers know their
        own.
    greater_is_better : bool, default=True
        Whether a metric is a score, and not a loss. Scorers know their own.
    **kwargs
        Passed to the metric, such as ``pos_label="yes"`` or ``average="macro"``. They take
        precedence over those of a scorer.

    Returns
    -------
    StepScorer
        A scorer like those of `make_scorer`, called as
        ``scorer(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    ValueError
        If scikit-learn has no scorer of this name, or if `response_method` or
        `greater_is_better` contradicts a scorer.
    TypeError
        If `scoring` is neither a name, nor a scorer, nor a metric.

    Notes
    -----
    The score is that of the metric over the valid steps of all sequences, one after the other:
    those that are not padding and whose target is not missing. Where a sequence ends, its
    prediction says; what y holds after it does not count.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from skgru import GRUClassifier
    >>> from skgru.metrics import step_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(n, 1)) for n in rng.integers(5, 20, size=60)]
    >>> y = [(x[:, 0] > 0).astype(int) for x in X]  # a label for each step
    >>> gru = GRUClassifier(
    ...     8, return_sequences=True, learning_rate="cosine", max_iter=40, random_state=0
    ... )
    >>> scores = cross_val_score(gru, X, y, cv=KFold(3), scoring=step_scorer("f1"))
    >>> bool(scores.min() > 0.9)
    True
    """
    if isinstance(scoring, str):
        scoring = get_scorer(scoring)
    if isinstance(scoring, _BaseScorer):
        if not isinstance(scoring, _Scorer):
            raise TypeError(
                f"step_scorer has no use for a {type(scoring).__name__}; give a metric."
            )
        if response_method is not None or not greater_is_better:
            raise ValueError(
                "scoring is a scorer, which has its own response_method and sign. Give its metric "
                "instead, such as sklearn.metrics.f1_score, to choose them."
            )
        scorer = copy(scoring)
    elif callable(scoring) and not hasattr(scoring, "fit"):
        scorer = make_scorer(
            scoring,
            response_method="predict" if response_method is None else response_method,
            greater_is_better=greater_is_better,
        )
    else:
        raise TypeError(
            "scoring must be the name of a scorer, a scorer or a metric, got a "
            f"{type(scoring).__name__}. Of several, make a dict of step scorers."
        )
    made = StepScorer.__new__(StepScorer)
    vars(made).update(vars(scorer), _kwargs={**scorer._kwargs, **kwargs})
    return made


def flatten_steps(
    y: ArrayLike, predictions: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Put targets and predictions of all valid time steps one after the other, for any metric.

    Parameters
    ----------
    y : array-like
        Of shape (n_samples, n_timesteps[, k]), or a list of arrays of shape (T_i[, k]). NaN and
        None mark missing targets.
    predictions : array-like
        Of either form too, as `predict` or `predict_proba` returned them: they say how long each
        sequence is. Of an array, steps at the end that are NaN or None are padding.
    sample_weight : array-like, default=None
        One per sequence, or one per step in a form that y may have.

    Returns
    -------
    y, predictions : ndarray with a row for each step whose target is not missing
    sample_weight : ndarray or None

    Raises
    ------
    ValueError
        If there are not as many sequences, or not as many steps.
    """
    targets, padded = _sequences_of(y, "y")
    responses, padded_responses = _sequences_of(predictions, "predictions")
    if len(targets) != len(responses):
        raise ValueError(
            f"y has {len(targets)} sequences, the predictions are for {len(responses)}."
        )
    weights = None
    if sample_weight is not None:
        weights, _ = _sequences_of(sample_weight, "sample_weight")
    if weights is not None and len(weights) != len(targets):
        raise ValueError(f"sample_weight has {len(weights)} entries for {len(targets)} sequences.")
    rows: tuple[list, list, list] = ([], [], [])
    for i, (target, response) in enumerate(zip(targets, responses, strict=True)):
        if not target.ndim or not response.ndim:
            raise ValueError(
                f"y[{i}] has shape {target.shape} and its prediction {response.shape}; a step "
                "scorer needs both for every time step, as of return_sequences=True."
            )
        n_steps = _length(response) if padded_responses else len(response)
        # an array for sequences of a list is as long as the longest of all, in y as in `fit`; one
        # for an array has its steps
        padding = padded and (not padded_responses or len(target) == len(response))
        surplus = target[n_steps:]
        if len(target) < n_steps or not (padding or missing_labels(surplus).all()):
            raise ValueError(f"y[{i}] has {len(target)} steps, its prediction has {n_steps}.")
        known = np.flatnonzero(~missing_labels(target[:n_steps]))
        rows[0].append(target[known])
        rows[1].append(response[known])
        if weights is not None:
            weight = weights[i]
            if weight.ndim and len(weight) < n_steps:
                raise ValueError(
                    f"sample_weight[{i}] has {len(weight)} steps, the prediction {n_steps}."
                )
            rows[2].append(weight[known] if weight.ndim else np.full(len(known), weight))
    flat, predicted, weights = (np.concatenate(r) if r else None for r in rows)
    if not len(flat):
        raise ValueError("No step of y is valid: all targets are missing (NaN or None).")
    flat, predicted = known_labels(flat, ...), known_labels(predicted, ...)
    if flat.ndim == 2 and flat.shape[1] == 1:  # one output, in a column
        flat = flat[:, 0]
    return flat, predicted, weights


def _sequences_of(values: Any, name: str) -> tuple[list[np.ndarray], bool]:
    """Return an array per sequence, and whether they are the rows of one, of equal lengths."""
    items = ragged_items(values, name)
    return (list(np.asarray(values)), True) if items is None else (items, False)


def _length(response: np.ndarray) -> int:
    """Count the steps before the padding at the end."""
    valid = np.flatnonzero(~missing_labels(response))
    return int(valid[-1]) + 1 if len(valid) else 0
