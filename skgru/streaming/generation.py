"""Continue sequences of labels, such as texts, with what a classifier predicts to come next."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgru.outputs import Labels
from skgru.sequences import short
from skgru.streaming.pipelines import take_apart
from skgru.streaming.streams import stream_of


def generate(
    estimator: Any,
    X: Any,
    n_steps: int,
    *,
    temperature: float = 1.0,
    random_state: int | np.random.RandomState | None = None,
) -> list[np.ndarray]:
    """Continue sequences: draw the next label, read it as the next time step, and so on.

    Parameters
    ----------
    estimator : GRUClassifier, Pipeline or a search
        Fitted to predict the next time step: its labels are what it reads. The steps of a
        `Pipeline` before the classifier must be :class:`~skgru.preprocessing.TokenEncoder` or
        :class:`~skgru.preprocessing.PerTimestep`.
    X : array-like
        Sequences to continue, in any form that `fit` accepts. They advance together, each from
        its own end; several take less time per step than one.
    n_steps : int
        Number of labels to draw for each sequence.
    temperature : float, default=1.0
        Divisor of the logits: below 1, likely labels become more likely. With 0, the most likely
        label is always taken.
    random_state : int, RandomState instance or None, default=None
        Draws the labels. The draws of a sequence do not depend on those after it in X.

    Returns
    -------
    labels : list of ndarray of shape (n_steps,)
        What follows each sequence of X, out of `classes_`.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator has other outputs than one label, or a step of the pipeline cannot read a
        label by itself.
    ValueError
        If the labels are no time steps of the estimator, or if it is `bidirectional`.

    See Also
    --------
    GRUClassifier.stream : Predictions after every time step.
    skgru.preprocessing.parallel_streams : Cuts a text into sequences to train on.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.preprocessing import TokenEncoder, parallel_streams
    >>> from skgru.streaming import generate
    >>> encoder = TokenEncoder("char")
    >>> (codes,) = encoder.fit_transform(["abc" * 200])
    >>> X, y = parallel_streams(codes, n_streams=20)
    >>> gru = GRUClassifier(16, return_sequences=True, random_state=0).fit(X, y)
    >>> encoder.inverse_transform(generate(gru, encoder.transform(["ab"]), 7, random_state=0))
    ['cabcabc']
    """
    if not isinstance(n_steps, Integral) or isinstance(n_steps, bool) or n_steps < 1:
        raise ValueError(f"n_steps must be an integer >= 1, got {short(n_steps)}.")
    if not isinstance(temperature, Real) or not 0 <= temperature < np.inf:
        raise ValueError(f"temperature must be a finite number >= 0, got {short(temperature)}.")
    steps, gru = take_apart(estimator)
    check_is_fitted(gru)
    if not isinstance(getattr(gru, "_outputs", None), Labels):
        raise TypeError(
            "generate takes a GRUClassifier of one label per time step, a Pipeline that ends in "
            f"one, or a search around them; got {type(gru).__name__}."
        )
    inputs = _inputs_of_labels(gru, steps)
    for _, step in steps:
        X = step.transform(X)
    sequences = gru._check_X(X, reset=False, dtype=gru._network.dtype)
    uniform = check_random_state(random_state).uniform(size=(len(sequences), n_steps))
    stepper, outputs = _after(gru, sequences)
    chosen = np.empty((n_steps, len(sequences)), dtype=np.intp)
    for t in range(n_steps):
        if t:
            outputs = stepper.outputs(inputs[chosen[t - 1]])
        chosen[t] = _draw(outputs, temperature, uniform[:, t])
    return list(gru.classes_[chosen.T])


def _inputs_of_labels(gru: Any, steps: list[tuple[str, Any]]) -> np.ndarray:
    """Return what the network reads of each class, of shape (n_classes, n_channels)."""
    from skgru.preprocessing import PerTimestep, TokenEncoder  # which import the estimators

    labels = gru.classes_
    inputs: Any = labels[:, np.newaxis]
    for name, step in steps:
        if isinstance(step, TokenEncoder):
            if labels.dtype.kind not in "OUS":
                continue  # codes already
            inputs = [code[:, np.newaxis] for code in step.transform(inputs)]
        elif isinstance(step, PerTimestep):
            inputs = step.transform([np.reshape(x, (1, -1)) for x in inputs])
        else:
            raise TypeError(
                f"Step {name!r} of the pipeline, a {type(step).__name__}, does not make a time "
                "step of each label by itself; TokenEncoder and PerTimestep do."
            )
    inputs = np.asarray(inputs).reshape(len(labels), -1)
    n_channels = gru._network.architecture.n_channels
    if inputs.dtype.kind not in "biuf" or inputs.shape[1] != n_channels:
        raise ValueError(
            f"The labels, such as {short(labels[0])}, are no time steps that the estimator reads, "
            f"which have {n_channels} channels. Fit it on sequences of codes, with the next code "
            "as label (skgru.preprocessing.parallel_streams), or on the pipeline that makes them."
        )
    return inputs.astype(gru._network.dtype)


def _after(gru: Any, sequences: Any) -> tuple[Any, np.ndarray]:
    """Return a stepper that has read the sequences, and the outputs after them."""
    alone = stream_of(gru._network, gru._outputs, 1)
    states, outputs = [], []
    for start, length in zip(sequences.starts, sequences.lengths, strict=True):
        alone.reset()
        for x_t in sequences.values[start : start + length]:
            output = alone._stepper.outputs(x_t[np.newaxis])
        states.append(alone.state)
        outputs.append(output)
    together = stream_of(gru._network, gru._outputs, len(sequences))
    together._set_state(np.concatenate(states))
    return together._stepper, np.concatenate(outputs)


def _draw(outputs: np.ndarray, temperature: float, uniform: np.ndarray) -> np.ndarray:
    """Draw a class for each row of outputs, by inverting the distribution function."""
    if outputs.shape[1] == 1:
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    if not temperature:
        return outputs.argmax(axis=1)
    outputs = outputs - outputs.max(axis=1, keepdims=True)
    cumulated = np.exp(outputs / temperature).cumsum(axis=1)
    return (cumulated > uniform[:, np.newaxis] * cumulated[:, -1:]).argmax(axis=1)
