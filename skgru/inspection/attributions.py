"""Which time steps and channels a prediction depends on."""

import warnings
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch

from skgru.inspection.baselines import (
    baseline_like,
    baseline_of_channels,
    check_names,
    differences,
)
from skgru.inspection.categories import category_lines
from skgru.inspection.input_gradients import InputGradients
from skgru.inspection.integrals import integrate
from skgru.inspection.occlusion import occlude
from skgru.inspection.responses import Response, response_of
from skgru.inspection.routes import Route
from skgru.interop.scaling import undo_of_target
from skgru.sequences import Sequences, short

METHODS = ("integrated_gradients", "gradient", "occlusion")
# A warning says so if integrated gradients leave over more than this share of the largest
# difference between the responses to a sequence and to its baseline.
LEFT_OVER = 0.05


def input_attributions(
    estimator: Any,
    X: Any,
    target: Any = None,
    *,
    samples: ArrayLike | None = None,
    method: str = "integrated_gradients",
    response: str = "auto",
    quantile: float | None = None,
    step: ArrayLike | None = None,
    baseline: Any = "mean",
    tol: float = 1e-3,
    max_points: int = 400,
    window: int = 1,
    at: str = "input",
    dtype: str | None = None,
) -> Bunch:
    """Attribute predictions to the time steps and channels of X.

    What is attributed is one number per sequence, the response f: by default the probability of a
    class, or the predicted number.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator, also inside of a `ScaledTargetRegressor` or a
        `TransformedTargetRegressor`.
    X : array-like
        Sequences, as in `fit`.
    target : label, int or array-like of shape (n_samples,), default=None
        What is explained: a class of a classifier, the number of a label of a multilabel one, or
        the number of a target of a regressor (the step ahead, of one that forecasts several). An
        array has one for each sequence of X: ``target=estimator.predict(X)`` explains the predicted
        classes. None is the second of two classes (the positive one), or the only target; where
        there are more, it is an error.
    samples : array-like of int, default=None
        Which sequences of X are explained; the others only count for the mean of the baseline.
        None are all.
    method : {"integrated_gradients", "gradient", "occlusion"}, default="integrated_gradients"
        - "integrated_gradients" [1]_: (x - b) times the mean of the gradient on the straight line
          from the baseline b to x. The attributions of a sequence add up to f(x) - f(b).
        - "gradient": ∂f/∂x at x, the change of the response for a small change of a value. It says
          nothing about how far the value is from a usual one. Categories have no derivative, and a
          model that reads some is an error.
        - "occlusion" [2]_: f(x) - f(x with the value replaced by that of the baseline). It takes a
          forward pass for each time step and channel of each sequence, and no gradients.
    response : {"auto", "probability", "log_probability", "prediction", "output"}, default="auto"
        - "probability" and "log_probability", of a classifier: what `predict_proba` and
          `predict_log_proba` return.
        - "prediction", of a regressor: what `predict` returns, in the units of y.
        - "output": the output of the last layer. It is a logit of a classifier, the logarithm of
          the prediction of a regressor with `loss="poisson"`, and otherwise the prediction of the
          regressor itself, before the scale of a target and without sorting of quantiles. If there
          are more than two classes, a logit means nothing without those of the other classes.
        - "auto": "probability" of a classifier, "prediction" of a regressor.
    quantile : float, default=None
        Which one to explain, of a regressor of several quantiles.
    step : int or array-like of int of shape (n_samples,), default=None
        With `return_sequences`, the time step whose prediction is explained: -1 is the last one of
        each sequence. After `Patches`, it is the number of a patch.
    baseline : "mean", float or array-like, default="mean"
        What the values are compared with, in the units of X.

        - "mean": the mean of each channel over all time steps of all sequences of X.
        - float: this value everywhere.
        - array of shape (n_channels,): a value per channel.
        - array of shape (n_timesteps, n_channels), if all sequences are that long; of a
          two-dimensional X, a row.
        - sequences in the form of X: one baseline for each.

        The baseline of a category is that it is missing, unless arrays or sequences name another.
        Times keep their own values. The method "gradient" has no baseline.
    tol : float, default=1e-3
        Error of the sum of integrated gradients at which no more points are added to the line of
        a sequence, relative to the difference f(x) - f(b).
    max_points : int, default=400
        Number of gradients of each sequence, at most, for integrated gradients. Points are added
        where the gradient changes; 30 to 60 are usual, and more with ``pooling="max"``, whose
        gradient jumps.
    window : int, default=1
        Number of successive time steps that are occluded together, counted from the end of a
        sequence. Their effect is spread evenly over them.
    at : {"input", "last_step"}, default="input"
        What is explained, of a pipeline: X itself, in its units, or what the last step gets.
        With "input", the methods of gradients pass through `PerTimestep` of a scaler, scalers of
        two-dimensional X, and `Patches`; other steps are an error. Occlusion passes through all
        steps.
    dtype : {"float32", "float64"}, default=None
        Precision of the network; None is that of the estimator.

    Returns
    -------
    result : Bunch
        A Bunch with the attributes

        attributions : ndarray or list of ndarray
            In the form of X, with NaN after the end of shorter sequences; in the units of the
            response, and of "gradient" in these per unit of X. If `at` is "last_step", in the form
            that the last step gets.
        responses : ndarray of shape (n_samples,)
            The response f(x) to each sequence.
        by_lag : ndarray of shape (n_timesteps, n_channels)
            Mean of the absolute attributions, by lag: row k is k steps before the last step of
            each sequence. Sequences of at most k steps are left out.
        response : {"probability", "log_probability", "prediction", "output"}
            What is attributed.
        targets : ndarray of shape (n_samples,)
            The class, or the number of the label or target, that is explained for each sequence.
        channel_names : list of str
            Names of the channels, "x0", "x1", … if they have none.
        baseline_responses : ndarray of shape (n_samples,), unless `method` is "gradient"
            The response f(b) to the baseline of each sequence.
        n_points : ndarray of int, shape (n_samples,), if `method` is "integrated_gradients"
            Number of gradients that were computed for each sequence.
        residuals : ndarray of shape (n_samples,), unless `method` is "gradient"
            f(x) - f(b) minus the sum of the attributions. Of integrated gradients it is the error
            of the quadrature; of occlusion, what the values do together.

    Raises
    ------
    TypeError
        If `estimator` does not contain an estimator of skgru.
    NotFittedError
        If it is not fitted.
    ValueError
        If X or an argument is invalid, if it is not said what to explain, if gradients cannot be
        followed through a step of a pipeline, or if the last step of a pipeline has categorical
        channels or a `time_channel` and X itself is to be explained.

    Warns
    -----
    UserWarning
        If integrated gradients leave over more than 5 % of the largest difference f(x) - f(b).

    See Also
    --------
    channel_importance : Which channels the score of a model depends on.
    AttributionDisplay : Draw the attributions of a sequence.
    gradient_flow : The gradient of the loss, with respect to the hidden states.

    Notes
    -----
    With ``missing="decay"`` it is held fixed which values are missing. A missing value has an
    attribution of 0: what the steps after an observation make of it is part of its attribution.
    Times are held fixed, too, and have 0.

    On the line of a category, the row of weights (or of the embedding) that stands for it changes
    from that of the baseline to its own. Its attribution is the integral of the derivative along
    this line, summed up over the numbers of the row.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan. "Axiomatic attribution for deep networks". ICML 2017.
       arXiv:1703.01365.
    .. [2] M. D. Zeiler, R. Fergus. "Visualizing and understanding convolutional networks". ECCV
       2014. arXiv:1311.2901.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import input_attributions
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> result = input_attributions(model, X[:5], target=3)
    >>> [a.shape for a in result.attributions]
    [(20, 12), (26, 12), (22, 12), (20, 12), (21, 12)]
    """
    _check_arguments(method, at, tol, window)
    route = Route.of(estimator)
    if at == "last_step":
        X, route = route.transform(X), route._replace(steps=[])
    check_names(baseline, X)
    sequences = route.read(X)
    occluded = method == "occlusion"
    channels = route.channels(sequences.n_channels)
    if channels.categorical and method == "gradient":
        raise ValueError(
            "method='gradient' is for numbers, and a category has no derivative. Take "
            "method='integrated_gradients' or method='occlusion'."
        )
    may_miss = channels.missing == "decay" or occluded
    if route.steps and not may_miss and np.isnan(sequences.values).any():
        raise ValueError(
            "X has missing values, which have no gradient. Explain what the last step gets, with "
            "at='last_step', or take method='occlusion'."
        )
    inputs, pull_backs = (route.inputs(sequences), []) if occluded else route.follow(sequences)
    explained = _response(route, inputs, kind=response, target=target, quantile=quantile, step=step)
    if method == "gradient":
        baseline = None
    elif channels.are_numbers:
        baseline = baseline_like(baseline, sequences)
    else:
        baseline = baseline_of_channels(baseline, sequences, channels)
    if samples is not None:
        chosen = _checked_samples(samples, len(sequences))
        explained = explained.take(chosen)
        baseline = None if baseline is None else baseline[sequences.rows(chosen)]
        sequences = sequences.take(chosen)
        inputs, pull_backs = (route.inputs(sequences), []) if occluded else route.follow(sequences)
    start = None if baseline is None else sequences.with_values(baseline)
    if method == "integrated_gradients":
        # the steps are affine: a straight line in the units of X is one in those of the network
        inputs, first = category_lines(inputs, route.follow(start)[0])
    network = InputGradients(route.model, inputs, explained, dtype)
    if method == "gradient":
        rows, found = network.gradients()
    elif occluded:
        rows, found = occlude(route, sequences, start, network, window)
    else:
        rows, found = integrate(network, first, tol=tol, max_points=max_points)
    for pull_back in reversed(pull_backs):
        rows = pull_back(rows)
    if method == "integrated_gradients":
        rows *= differences(sequences.values, baseline, channels)
    if method != "gradient":
        sums = np.add.reduceat(rows.sum(axis=1), sequences.starts)
        found["residuals"] = found["responses"] - found["baseline_responses"] - sums
    if method == "integrated_gradients":
        _check_residuals(found)
    return Bunch(
        attributions=sequences.in_form_of_x(rows),
        by_lag=_by_lag(sequences, rows),
        channel_names=route.channel_names(sequences.n_channels),
        response=explained.kind,
        targets=explained.targets,
        **found,
    )


def _check_arguments(method: str, at: str, tol: float, window: int) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    if at not in ("input", "last_step"):
        raise ValueError(f"at must be 'input' or 'last_step', got {at!r}.")
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol!r}.")
    if not isinstance(window, Integral) or window < 1:
        raise ValueError(f"window must be a positive integer, got {window!r}.")


def _checked_samples(samples: ArrayLike, n_samples: int) -> np.ndarray:
    numbers = np.asarray(samples)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        raise ValueError(f"samples={short(samples)}; expected one or more integers.")
    outside = (numbers < -n_samples) | (numbers >= n_samples)
    if outside.any():
        raise ValueError(
            f"samples has {numbers[outside][0]}, which is not in X of {n_samples} sequences."
        )
    return numbers % n_samples


def _response(route: Route, inputs: Sequences, **arguments: Any) -> Response:
    response = response_of(route.model, inputs, **arguments)
    if route.target is None or response.kind != "prediction":
        return response
    shift, factor = undo_of_target(route.target, len(response.factor), "input_attributions")
    return replace(response, shift=shift, factor=factor)


def _check_residuals(found: dict[str, np.ndarray]) -> None:
    largest = np.abs(found["responses"] - found["baseline_responses"]).max()
    left_over = np.abs(found["residuals"])
    rounding = 1e-5 * np.abs(found["responses"]).max()
    if left_over.max() > LEFT_OVER * largest + rounding:
        i = int(left_over.argmax())
        warnings.warn(
            f"Integrated gradients of X[{i}] add up to {left_over[i]:.2g} more or less than the "
            f"difference of its response from that of the baseline; the largest difference is "
            f"{largest:.2g}. Raise max_points, or set dtype='float64' if that does not help.",
            UserWarning,
            stacklevel=1,
        )


def _by_lag(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Return the mean of absolute values by lag, of shape (n_timesteps, n_channels)."""
    lags = np.repeat(sequences.lengths, sequences.lengths) - 1 - sequences.steps
    sums = np.zeros((lags.max() + 1, rows.shape[1]))
    np.add.at(sums, lags, np.abs(rows))
    return sums / np.bincount(lags)[:, np.newaxis]
