"""Score predictions at every time step with scikit-learn's metrics and scorers."""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils import get_tags

from skgru._sklearn import _check_response_method
from skgru._sklearn.scorers import _BaseScorer, _cached_call, _Scorer
from skgru.classifier import GRUClassifier
from skgru.model.inference import losses
from skgru.model.workers import Workers, n_threads
from skgru.outputs import Labels
from skgru.sequences import align, read, short
from skgru.sequences.targets import known_labels, missing_labels
from skgru.streaming.pipelines import take_apart


class StepScorer(_Scorer):
    """Scorer that applies a metric to the time steps of all sequences; see `step_scorer`.

    Like other scorers of scikit-learn it is called as
    ``scorer(estimator, X, y, sample_weight=None)``. The estimator predicts at every time step, or
    is a pipeline or a search that ends in such an estimator. y holds one target per time step, in
    any form that `fit` accepts; missing ones are ignored. `sample_weight` holds one weight per
    sequence, or one per time step in any form that y may have. Higher scores are better.

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
        """Score the time steps as scikit-learn scores samples."""
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
    """Present valid time steps to scikit-learn's scorers as samples.

    Parameters
    ----------
    estimator : estimator
        Estimator of sequences.
    method : str
        Name of the only method.
    response : ndarray of shape (n_known,) or (n_known, k)
        Result of the method.
    y : ndarray of shape (n_known,) or (n_known, k)
    """

    def __init__(self, estimator: Any, method: str, response: np.ndarray, y: np.ndarray) -> None:
        self._estimator = estimator
        if is_classifier(estimator):
            # for a multilabel indicator, the classes of each label, as in scikit-learn's forests
            several = y.ndim == 2
            self.classes_ = y.shape[1] * [np.array([0, 1])] if several else estimator.classes_
            kinds = np.asarray(self.classes_).dtype.kind, response.dtype.kind
            if method == "predict" and kinds[1] == "f" and kinds[0] in "biu":
                # NaN in the padding turned the labels into floating-point numbers
                response = response.astype(np.asarray(self.classes_).dtype)

        def respond(X: Any) -> np.ndarray:
            return response

        respond.__name__ = method  # scikit-learn looks methods up by this name
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
    """Make a scorer for predictions at every time step, for the `scoring` of a search.

    scikit-learn's metrics do not accept one label per time step, with one exception. If all labels
    are 0 or 1 and all sequences are equally long, the metrics take y for a multilabel indicator:
    a sequence then counts as correct only if all of its time steps are.

    Parameters
    ----------
    scoring : str or callable
        Name of a scikit-learn scorer, such as "f1" or "neg_mean_absolute_error"; a scorer made by
        `make_scorer` or `get_scorer`; or a metric ``score_func(y_true, y_pred, **kwargs)``.
    response_method : str or tuple of str, default=None
        Method whose result a metric compares with y, as in `make_scorer`. None means "predict".
        Only for metrics: names and scorers have their own.
    greater_is_better : bool, default=True
        Whether a metric is a score, and not a loss. Only for metrics.
    **kwargs
        Keyword arguments of the metric, such as ``pos_label="yes"`` or ``average="macro"``. They
        take precedence over those of a scorer.

    Returns
    -------
    StepScorer
        A callable ``scorer(estimator, X, y, sample_weight=None)``, as `make_scorer` returns.

    Raises
    ------
    ValueError
        If scikit-learn has no scorer with this name, or if `response_method` or
        `greater_is_better` is passed with a scorer.
    TypeError
        If `scoring` is neither a name, nor a scorer, nor a metric.

    See Also
    --------
    flatten_steps : Concatenate the valid time steps, for any metric.

    Notes
    -----
    The score is the metric over the valid time steps of all sequences: those that are not padding
    and whose target is not missing. The predictions determine where each sequence ends; entries of
    y after the end are ignored.

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
        scoring = get_scorer(scoring)
    if isinstance(scoring, _BaseScorer):
        if not isinstance(scoring, _Scorer):
            raise TypeError(
                f"step_scorer does not accept a {type(scoring).__name__}; pass a metric."
            )
        if response_method is not None or not greater_is_better:
            raise ValueError(
                "scoring is a scorer, which has its own response_method and sign. To choose them, "
                "pass a metric such as sklearn.metrics.f1_score."
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
            f"{type(scoring).__name__}. For several metrics, make a dict of step scorers."
        )
    made = StepScorer.__new__(StepScorer)
    vars(made).update(vars(scorer), _kwargs={**scorer._kwargs, **kwargs})
    return made


def bits_per_step(
    y: ArrayLike,
    proba: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute how many bits the true label of a time step takes: the mean of -log2 of its share.

    The measure of language models: bits per character, or per token, and 2 to its power is the
    perplexity. Without any knowledge, one of k labels takes log2(k) bits.

    Parameters
    ----------
    y : array-like
        Labels of all time steps, in any form that `fit` accepts; missing ones are ignored.
    proba : array-like
        Probabilities of the classes, as `predict_proba` returns them: an array of shape
        (n_samples, n_timesteps, n_classes) or a list of arrays of shape (n_timesteps_i, n_classes).
    labels : array-like of shape (n_classes,), default=None
        Label of each column, such as `classes_`. By default the sorted labels of y, if there are
        as many.
    sample_weight : array-like, default=None
        One weight per sequence, or one per time step in any form that y may have.

    Returns
    -------
    bits : float
        Infinite if a true label has probability 0.

    Raises
    ------
    ValueError
        If y has a label that is not in `labels`, or if the columns are not those of the labels.

    See Also
    --------
    neg_bits_per_step : The same as a scorer of fitted estimators.

    Examples
    --------
    >>> from skgru.metrics import bits_per_step
    >>> y = [["a", "b"], ["a"]]
    >>> P = [[[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0]]]
    >>> round(bits_per_step(y, P), 3)
    0.667
    """
    y, proba, weights = flatten_steps(y, proba, sample_weight)
    labels = np.unique(y) if labels is None else np.asarray(labels)
    if proba.ndim != 2 or proba.shape[1] != len(labels):
        raise ValueError(
            f"proba has {proba.shape[-1]} columns for {len(labels)} labels; pass labels= in the "
            "order of the columns, such as classes_."
        )
    order = np.argsort(labels)
    columns = order[np.searchsorted(labels, y, sorter=order).clip(max=len(labels) - 1)]
    if (labels[columns] != y).any():
        raise ValueError(f"y has labels that are not in labels: {short(y[labels[columns] != y])}.")
    with np.errstate(divide="ignore"):
        bits = -np.log2(proba[np.arange(len(y)), columns])
    return float(np.average(bits, weights=weights))


def neg_bits_per_step(
    estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Score a classifier by minus the bits that the true label of a time step takes.

    A scorer for `scoring`, of a search or of early stopping; higher is better. A `GRUClassifier`,
    alone or at the end of a pipeline, computes probabilities for some time steps at a time, so that
    thousands of classes fit into memory.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `predict_proba`: a `GRUClassifier` or what contains one.
    X : array-like
        Sequences, as in `fit`.
    y : array-like
        Labels in any form that `fit` accepts; missing ones are ignored.
    sample_weight : array-like, default=None
        One weight per sequence, or one per time step in any form that y may have.

    Returns
    -------
    score : float
        Minus the mean of -log2 of the probability of the true label.

    Raises
    ------
    ValueError
        If y has a label that the estimator has not seen in `fit`.

    See Also
    --------
    bits_per_step : The same for probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRUClassifier
    >>> from skgru.metrics import neg_bits_per_step
    >>> X = np.tile([[[0.0], [1.0], [0.0], [1.0]]], (20, 1, 1))
    >>> y = np.tile(["b", "a", "b", "a"], (20, 1))  # always the other one
    >>> gru = GRUClassifier(8, return_sequences=True, random_state=0).fit(X, y)
    >>> neg_bits_per_step(gru, X, y) > -0.1
    True
    """
    steps, last = take_apart(estimator)
    if not isinstance(last, GRUClassifier) or not isinstance(last._outputs, Labels):
        proba, labels = estimator.predict_proba(X), estimator.classes_
        return -bits_per_step(y, proba, labels=labels, sample_weight=sample_weight)
    for _, step in steps:
        X = step.transform(X)
    network, outputs = last._network, last._outputs
    sequences = last._check_X(X, reset=False, dtype=network.dtype)
    by_step = network.architecture.return_sequences
    aligned = align(y, sample_weight, sequences, by_step=by_step)
    rows = last._check_y(aligned.rows, outputs)
    targets = aligned.encoded(outputs.encode(rows, np.float64, type(last).__name__))
    with Workers(n_threads(last.n_jobs)) as workers:
        nats = losses(network, sequences, workers, outputs.loss, targets.y)
    return -float(np.average(nats, weights=targets.weights) / np.log(2))


def flatten_steps(
    y: ArrayLike, predictions: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Concatenate the targets and predictions of all valid time steps, for any metric.

    Parameters
    ----------
    y : array-like
        Targets of shape (n_samples, n_timesteps[, k]), or a list of arrays of shape
        (n_timesteps_i[, k]). NaN and None mark missing targets.
    predictions : array-like
        Predictions in either of these forms. They determine where each sequence ends: time steps
        at the end of a row of an array are padding if they are NaN or None.
    sample_weight : array-like, default=None
        One weight per sequence, or one per time step in any form that y may have.

    Returns
    -------
    y, predictions : ndarray of shape (n_known,) or (n_known, k)
        One row per time step whose target is not missing.
    sample_weight : ndarray of shape (n_known,), or None
        Weights of these time steps; None if there were none.

    Raises
    ------
    ValueError
        If the numbers of sequences or of time steps differ, or if all targets are missing.

    See Also
    --------
    step_scorer : Make a scorer over time steps for a search.

    Examples
    --------
    >>> from sklearn.metrics import accuracy_score
    >>> from skgru.metrics import flatten_steps
    >>> y, predictions, _ = flatten_steps([[0, 1], [1]], [[0, 0], [1]])
    >>> round(accuracy_score(y, predictions), 2)
    0.67
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
    rows: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for i, (target, response) in enumerate(zip(targets, responses, strict=True)):
        if not target.ndim or not response.ndim:
            raise ValueError(
                f"y[{i}] has shape {target.shape} and its prediction {response.shape}; a step "
                "scorer needs both for every time step, as of return_sequences=True."
            )
        n_steps = _length(response) if padded_responses else len(response)
        # as in `fit`, a padded y for a list of sequences is as long as the longest of them, and one
        # for an array has the time steps of the array
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
    """Return one array per sequence, and whether they are the rows of a single array."""
    data = read(values, name, masked_as_missing=True)
    return (data, False) if isinstance(data, list) else (list(map(np.asarray, data)), True)


def _length(response: np.ndarray) -> int:
    """Count the time steps before the padding at the end."""
    valid = np.flatnonzero(~missing_labels(response))
    return int(valid[-1]) + 1 if len(valid) else 0
