"""Continue sequences of labels, such as texts, with what a classifier predicts to come next."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgru.outputs import Labels
from skgru.sequences import Sequences, short
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
        If the labels are no time steps that the estimator reads, if it is `bidirectional`, or has
        ``missing="decay"``.

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
    if gru._network.architecture.missing == "decay":
        raise ValueError(
            'missing="decay" reads the time since values were observed; labels have none.'
        )
    inputs, _ = _inputs(gru, _as_steps(gru.classes_, steps))
    for _, step in steps:
        X = step.transform(X)
    x, sequences = _inputs(gru, X)
    uniform = check_random_state(random_state).uniform(size=(len(sequences), n_steps))
    stepper, outputs = _after(gru, x, sequences)
    chosen = np.empty((n_steps, len(sequences)), dtype=np.intp)
    for t in range(n_steps):
        if t:
            outputs = stepper.outputs(inputs[chosen[t - 1]])
        chosen[t] = _draw(outputs, temperature, uniform[:, t])
    return list(gru.classes_[chosen.T])


def _inputs(gru: Any, X: Any) -> tuple[np.ndarray, Sequences]:
    """Return what a stepper takes of every time step of X, and the sequences."""
    network = gru._network
    sequences = gru._check_X(X, reset=False, dtype=network.dtype)
    x = sequences.values
    if sequences.codes is not None:
        x = np.hstack([x, sequences.codes + network.first_rows])
    return np.ascontiguousarray(x, network.dtype), sequences


def _as_steps(labels: np.ndarray, steps: list[tuple[str, Any]]) -> list[np.ndarray]:
    """Return each label as the time step that it becomes in a pipeline."""
    from skgru.preprocessing import PerTimestep, TokenEncoder  # which import the estimators

    x: Any = list(labels[:, np.newaxis])
    for name, step in steps:
        if isinstance(step, TokenEncoder):
            x = x if labels.dtype.kind in "iu" else step.transform(x)  # or codes already
        elif isinstance(step, PerTimestep):
            x = step.transform([np.reshape(row, (1, -1)) for row in x])
        else:
            raise TypeError(
                f"Step {name!r} of the pipeline, a {type(step).__name__}, does not make a time "
                "step of each label by itself; TokenEncoder and PerTimestep do."
            )
    return x


def _after(gru: Any, x: np.ndarray, sequences: Sequences) -> tuple[Any, np.ndarray]:
    """Return a stepper that has read the sequences, and the outputs after them."""
    alone = stream_of(gru._network, gru._outputs, 1)
    states, outputs = [], []
    for start, length in zip(sequences.starts, sequences.lengths, strict=True):
        alone.reset()
        for x_t in x[start : start + length]:
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
