"""Streams of pipelines: every step takes one time step after the other."""

from collections.abc import Callable
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skgru._sklearn import available_if
from skgru.sequences.rows import STRINGS, as_row
from skgru.streaming.checks import (
    check_finite,
    check_state,
    in_shape,
    memory_for,
    to_floats,
    unmasked,
)
from skgru.streaming.streams import Stream

if TYPE_CHECKING:
    from skgru.preprocessing import FillGaps, Patches, PerTimestep


def stream(estimator: Any, n_streams: int = 1) -> "Stream | PipelineStream":
    """Predict after every time step, with all steps of a pipeline.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or a search
        Fitted. The steps of a `Pipeline` before the estimator must be
        :class:`~skgru.preprocessing.PerTimestep`, :class:`~skgru.preprocessing.Patches`, or
        :class:`~skgru.preprocessing.FillGaps` with the method "forward" or "mean"; None and
        "passthrough" are skipped. Of a search, such as
        :class:`~sklearn.model_selection.GridSearchCV`, it is the best estimator.
    n_streams : int, default=1
        Number of sequences that advance together.

    Returns
    -------
    stream : Stream or PipelineStream
        After T calls of its method `step`, predictions are those of ``estimator.predict`` for the
        sequences of these T steps. Later fits do not change it.

    Raises
    ------
    NotFittedError
        If the estimator, or a step of the pipeline, is not fitted.
    TypeError
        If a step of the pipeline needs the whole sequence, or the estimator is none of these.
    ValueError
        If the estimator is `bidirectional`, if a `FillGaps` interpolates, or if `n_streams` is no
        positive integer or too large for the memory.

    See Also
    --------
    GRUClassifier.stream : A stream of an estimator alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skgru import GRURegressor
    >>> from skgru.preprocessing import Patches, PerTimestep
    >>> from skgru.streaming import stream
    >>> X = np.random.default_rng(0).normal(size=(40, 30, 2))
    >>> model = make_pipeline(
    ...     PerTimestep(StandardScaler()),
    ...     Patches(8, 2),
    ...     GRURegressor(8, bidirectional=False, random_state=0),
    ... )
    >>> model = model.fit(X, X[:, -1, 0])
    >>> sensor = stream(model)
    >>> for x_t in X[0, :20]:
    ...     y = sensor.step(x_t)
    >>> bool(np.isclose(y, model.predict(X[:1, :20])[0]))
    True
    """
    # the estimators import this module, and do without these
    from skgru.preprocessing import FillGaps, Patches, PerTimestep

    steps, estimator = take_apart(estimator)
    if not hasattr(estimator, "stream"):
        behind = " at the end of a Pipeline" if steps else ""
        raise TypeError(
            "stream takes a GRUClassifier, a GRURegressor, a Pipeline that ends in one, or a "
            f"search, with refit=True, around them; got {type(estimator).__name__}{behind}."
        )
    streams = {PerTimestep: PerTimestepStream, Patches: PatchesStream, FillGaps: FillGapsStream}
    made = []
    for name, step in steps:
        of_step = next((made_of for cls, made_of in streams.items() if isinstance(step, cls)), None)
        if of_step is None:
            raise TypeError(
                f"Step {name!r} of the pipeline, a {type(step).__name__}, does not take one time "
                "step after the other; PerTimestep, Patches and FillGaps do. Fit the pipeline with "
                "PerTimestep around a transformer of rows. What needs whole sequences cannot be "
                "streamed: apply it first, and stream the steps that follow."
            )
        check_is_fitted(step)
        if isinstance(step, FillGaps) and step.method == "interpolate":
            raise ValueError(
                f"Step {name!r} of the pipeline, a FillGaps with method='interpolate', looks ahead "
                "to the next observed value, which a stream does not have yet. Fit the pipeline "
                "with method='forward' or 'mean'."
            )
        made.append((of_step, step))
    result = estimator.stream(n_streams)
    with memory_for(n_streams):
        for of_step, step in reversed(made):
            result = of_step(step, result)
    return result


def take_apart(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Find the steps of a pipeline by name, without those that do nothing, and its estimator."""
    from sklearn.pipeline import Pipeline  # at the top, it would slow `import skgru` down

    steps = []
    check_is_fitted(estimator)
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            steps += [s for s in estimator.steps[:-1] if s[1] not in (None, "passthrough")]
            estimator = estimator.steps[-1][1]
        else:
            return steps, estimator


class PipelineStream:
    """Sequences in progress, and the predictions of a fitted pipeline after every time step.

    Made by `skgru.streaming.stream`. After T steps, predictions are those of the pipeline's
    `predict` for the sequences of these T steps: to the last bit, if its transformers give the
    same bits for one row as for many; otherwise to their rounding error. The cost of a step does
    not depend on the length of the sequences.

    With `Patches`, the last patch is not complete at most steps. It is filled with copies of the
    newest step, as `Patches` fills it where a sequence ends; the network reads it, and forgets it
    again. Complete patches change its state for good. With `return_sequences`, whose predictions
    are per patch, `step` returns that of the newest patch.

    As any other stream, it has a copy of the model, it can be copied and pickled, and it is for
    one thread at a time.

    Attributes
    ----------
    n_streams : int
    n_channels : int
        Of the time steps that the pipeline takes.
    """

    reset: Any

    def __init__(self, following: "Stream | PipelineStream", n_channels: int) -> None:
        self._following = following
        self.n_channels = n_channels

    def __getstate__(self) -> dict[str, Any]:
        # the copies of `copy.copy`, too, go their own way
        return {**vars(self), "_following": copy(self._following)}

    @property
    def n_streams(self) -> int:
        """Return the number of sequences that advance together."""
        return self._following.n_streams

    def step(self, x_t: ArrayLike) -> Any:
        """Take the next time step of every sequence; return the predictions after it.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            Or (n_channels,), if there is one stream.

        Returns
        -------
        y : ndarray of shape (n_streams,) or (n_streams, ...)
            The rows that `predict` returns. For x_t of shape (n_channels,), the one row itself: a
            label or a number, or an array if there are several outputs or quantiles.

        Raises
        ------
        ValueError
            If x_t has another shape, or a value that the pipeline cannot take. All states are
            then as before.
        """
        return self._advance(x_t, self._following.step)

    @available_if(lambda self: hasattr(self._following, "step_proba"))
    def step_proba(self, x_t: ArrayLike) -> np.ndarray:
        """Take the next time step of every sequence; return the probability of each class.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            Or (n_channels,), if there is one stream.

        Returns
        -------
        P : ndarray of shape (n_streams, n_classes)
            As `predict_proba` returns it; of shape (n_classes,) for x_t of shape (n_channels,).

        Raises
        ------
        ValueError
            As in `step`.
        """
        return self._advance(x_t, self._following.step_proba)

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        """Take a step; `predict` is a method of what follows."""
        raise NotImplementedError

    def _rows(self, x_t: ArrayLike) -> np.ndarray:
        """Return x_t as numbers of shape (n_streams, n_channels), none of them infinite."""
        x_t = unmasked(x_t)
        as_it_is = isinstance(x_t, np.ndarray) and x_t.dtype.kind == "f"
        x = in_shape(x_t if as_it_is else to_floats(x_t), self._shape)
        check_finite(x, allow_nan=True)
        return x

    @property
    def _shape(self) -> tuple[int, int]:
        return self.n_streams, self.n_channels

    @property
    def state(self) -> np.ndarray:
        """States of all sequences: (n_streams, state_size).

        A row is 0 before the first step. It holds the state of the network (see `Stream.state`)
        and, for each step of `Patches`, the patch that the sequence is in and the number of its
        time steps so far; for each step of `FillGaps`, the last observed value of each channel,
        whether there was one (1 or 0), and the elapsed steps of the next time step if it is
        missing.

        Reading returns a copy. Set it to continue from the states of another time, or of another
        stream of the same model.
        """
        return self._following.state

    @state.setter
    def state(self, state: ArrayLike) -> None:
        self._following.state = state

    def _set_state(self, state: np.ndarray) -> None:
        self._following._set_state(state)

    reset = Stream.reset


class PerTimestepStream(PipelineStream):
    """Time steps on their way through a transformer.

    Parameters
    ----------
    step : PerTimestep
        Fitted.
    following : Stream or PipelineStream
        Takes what the transformer returns.
    """

    __doc__ = PipelineStream.__doc__

    def __init__(self, step: "PerTimestep", following: Stream | PipelineStream) -> None:
        super().__init__(following, step._n_channels_in)
        self._step = deepcopy(step)

    def _rows(self, x_t: ArrayLike) -> np.ndarray:
        columns = self._step._columns
        if columns is None or STRINGS not in columns[2]:
            return super()._rows(x_t)
        x = in_shape(as_row(x_t, columns), self._shape)
        for channel, kind in enumerate(columns[2]):
            if kind != STRINGS:
                check_finite(to_floats(x[:, [channel]]), allow_nan=True)
        return x

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        rows = self._step._transform_rows(self._rows(x_t))
        return predict(rows if np.ndim(x_t) == 2 else rows[0])


class StatefulStream(PipelineStream):
    """Base class of the streams of steps that keep a state of their own, beside what follows."""

    _allow_nan = False  # in the own state

    def __init__(self, following: Stream | PipelineStream, n_channels: int) -> None:
        super().__init__(following, n_channels)
        state = following.state
        self._width, self._dtype = state.shape[1], state.dtype

    def _own_state(self) -> list[np.ndarray]:
        """Return the columns of the own state, as arrays of shape (n_streams, k)."""
        raise NotImplementedError

    def _set_own_state(self, own: np.ndarray) -> None:
        """Take the columns of the own state."""
        raise NotImplementedError

    def _check_own_state(self, own: np.ndarray) -> None:
        """Raise ValueError if columns set from outside are no own state."""
        raise NotImplementedError

    @property
    def state(self) -> np.ndarray:  # noqa: D102 (as of its base)
        columns = [self._following.state, *self._own_state()]
        return np.hstack(columns, dtype=np.result_type(*columns[:2]))

    @state.setter
    def state(self, state: ArrayLike) -> None:
        own = self.state
        state = check_state(state, own.shape, own.dtype, allow_nan=self._allow_nan)
        self._check_own_state(state[:, self._width :])
        self._following.state = state[:, : self._width]
        self._set_own_state(state[:, self._width :])

    def _set_state(self, state: np.ndarray) -> None:
        following = np.ascontiguousarray(state[:, : self._width], dtype=self._dtype)
        self._following._set_state(following)
        self._set_own_state(state[:, self._width :])

    state.__doc__ = PipelineStream.state.__doc__


class PatchesStream(StatefulStream):
    """Time steps that fill patches.

    Parameters
    ----------
    step : Patches
        Fitted.
    following : Stream or PipelineStream
        Takes the patches.
    """

    __doc__ = PipelineStream.__doc__

    def __init__(self, step: "Patches", following: Stream | PipelineStream) -> None:
        super().__init__(following, step._n_channels_in)
        self._size, self._stride = step.size_, step.stride_
        # a transformer in between may compute in float64, and categories are compared in it
        to_network = isinstance(following, Stream) and following._takes_numbers
        dtype = self._dtype if to_network else np.float64
        # the patch of each stream, of whose steps the newest fills the rest, and how many it has
        self._patches = np.zeros((self.n_streams, self._size, self.n_channels), dtype)
        self._n_steps = np.zeros(self.n_streams, dtype=np.intp)
        self._allow_nan = not to_network

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        rows = self._rows(x_t)
        with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
            rows = rows.astype(self._patches.dtype)
        check_finite(rows, allow_nan=self._allow_nan)
        patches, n_steps = self._extended(rows)
        before = self._following.state
        x = patches.reshape(self.n_streams, -1)
        predictions = predict(x if np.ndim(x_t) == 2 else x[0])
        # the network has read all patches; it keeps the states after those that are complete
        incomplete = n_steps < self._size
        if incomplete.any():
            state = self._following.state
            state[incomplete] = before[incomplete]
            self._following._set_state(state)
        self._patches, self._n_steps = patches, n_steps
        return predictions

    def _extended(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add a time step to the patches: to the next one, where one is complete."""
        patches, n_steps = self._patches.copy(), self._n_steps.copy()
        complete = n_steps == self._size
        patches[complete, : self._size - self._stride] = patches[complete, self._stride :]
        n_steps[complete] -= self._stride
        rest = np.arange(self._size) >= n_steps[:, np.newaxis]
        patches = np.where(rest[:, :, np.newaxis], rows[:, np.newaxis], patches)
        return patches, n_steps + 1

    def _own_state(self) -> list[np.ndarray]:
        return [self._patches.reshape(self.n_streams, -1), self._n_steps[:, np.newaxis]]

    def _set_own_state(self, own: np.ndarray) -> None:
        patches = own[:, :-1].reshape(self._patches.shape)
        self._patches = patches.astype(self._patches.dtype)
        self._n_steps = own[:, -1].astype(np.intp)

    def _check_own_state(self, own: np.ndarray) -> None:
        if not np.isin(own[:, -1], np.arange(self._size + 1)).all():
            raise ValueError(
                "The last column of state, the number of time steps in the patch, must hold "
                f"integers from 0 to {self._size}."
            )


class FillGapsStream(StatefulStream):
    """Time steps whose gaps are filled from the steps before.

    Parameters
    ----------
    step : FillGaps
        Fitted, with a method that does not look ahead.
    following : Stream or PipelineStream
        Takes the filled steps.
    """

    __doc__ = PipelineStream.__doc__

    def __init__(self, step: "FillGaps", following: Stream | PipelineStream) -> None:
        super().__init__(following, step._n_channels_in)
        self._step = deepcopy(step)
        shape = self.n_streams, self.n_channels
        # last observed values, which channels have one, and the elapsed steps of the next step
        # if it is missing
        self._held, self._seen = np.zeros(shape), np.zeros(shape, dtype=bool)
        self._elapsed = np.zeros(shape, dtype=np.intp)

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        rows = self._rows(x_t)
        missing = np.isnan(rows)
        held = self._seen & (self._step.method == "forward")
        filled = np.where(held, self._held, self._step.means_).astype(rows.dtype)
        filled = np.where(missing, filled, rows)
        elapsed = np.where(missing, self._elapsed, 0)
        x = self._step._with_appended(filled, missing, elapsed)
        predictions = predict(x if np.ndim(x_t) == 2 else x[0])
        # the states change together, after all steps have taken theirs
        self._held = np.where(missing, self._held, rows).astype(np.float64)
        self._seen, self._elapsed = self._seen | ~missing, elapsed + 1
        return predictions

    def _own_state(self) -> list[np.ndarray]:
        return [self._held, self._seen, self._elapsed]

    def _set_own_state(self, own: np.ndarray) -> None:
        held, seen, elapsed = np.split(own, 3, axis=1)
        self._held, self._seen = held.astype(np.float64), seen.astype(bool)
        self._elapsed = elapsed.astype(np.intp)

    def _check_own_state(self, own: np.ndarray) -> None:
        _, seen, elapsed = np.split(own, 3, axis=1)
        if not (np.isin(seen, (0, 1)).all() and (elapsed >= 0).all() and not (elapsed % 1).any()):
            raise ValueError(
                f"The last {2 * self.n_channels} columns of state must hold 0 or 1, for whether a "
                "channel was observed, and then integers of at least 0, its elapsed steps."
            )
