"""Predictions after every time step of sequences that come in, at constant cost per step."""

from collections.abc import Callable, Iterable
from copy import copy, deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skgru.model.network import Network
from skgru.outputs import Labels, Multilabel, Outputs, from_state

if TYPE_CHECKING:
    from skgru.preprocessing import Patches, PerTimestep


class Stream:
    """Sequences in progress, and the predictions of a fitted estimator after every time step.

    Made by `estimator.stream(n_streams)`. After T steps, predictions are those of `predict` for
    the sequences of these T steps, to the last bit. The cost of a step does not depend on their
    length.

    A stream has a copy of the model: later fits of the estimator do not change it. It can be
    copied and pickled, with its states. Use it in one thread at a time: two threads that share
    a stream would advance the same sequences.

    Parameters
    ----------
    network : Network
        Not bidirectional.
    outputs : Outputs
    n_streams : int, default=1
        Number of sequences that advance together.

    Attributes
    ----------
    n_streams : int
    n_channels : int

    Raises
    ------
    ValueError
        If `n_streams` is no positive integer, or the estimator is bidirectional.
    """

    def __init__(self, network: Network, outputs: Outputs, n_streams: int = 1):
        if network.architecture.bidirectional:
            raise ValueError(
                "bidirectional=True also reads sequences from their end, and a stream has none; "
                "only models with bidirectional=False can be streamed."
            )
        if not isinstance(n_streams, Integral) or n_streams < 1:
            raise ValueError(f"n_streams must be an integer >= 1, got {n_streams!r}.")
        self._begin(network, outputs, int(n_streams))

    def _begin(self, network: Network, outputs: Outputs, n_streams: int) -> None:
        parameters = network.views(network.parameters)
        self._network, self._outputs, self.n_streams = network, outputs, n_streams
        self.n_channels = network.architecture.n_channels
        self._stepper = network.kernels.Stepper(
            cell_index=network.cell.index,
            layers=[tuple(layer) for (layer,) in parameters.layers],
            pooling=network.architecture.pooling,
            query=parameters.query,
            head=tuple(parameters.head),
            n_streams=n_streams,
            convert=_to_floats,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "network": self._network.state(),
            "outputs": self._outputs.state(),
            "state": self.state,
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        network = Network.from_state(saved["network"])
        self._begin(network, from_state(saved["outputs"]), len(saved["state"]))
        self._stepper.set_state(saved["state"])

    def step(self, x_t: ArrayLike) -> Any:
        """Take the next time step of every sequence; return the predictions after it.

        Arrays of float32 and float64, of any strides, are read as they are. Other input is
        converted first, which takes longer than the step itself.

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
            If x_t has another shape, or a value that is not a finite number. All states are then
            as before.
        """
        # [()] turns an array without dimensions into a number
        return self._outputs.predict(self._stepper.outputs(x_t))[()]

    @property
    def state(self) -> np.ndarray:
        """States of all sequences: (n_streams, state_size), in the estimator's dtype.

        A row is 0 before the first step. It holds the hidden state of each layer, the first layer
        first, each followed by its cell state if the cell has one. Last comes the pooling so far:
        nothing with `pooling="last"`; with "mean" the sum and the number of steps, with "max" the
        maximum and that number, with "attention" the weighted sum, the highest score, and the sum
        of the weights relative to it.

        Reading returns a copy. Set it to continue from the states of another time, or of another
        stream of the same model.
        """
        return self._stepper.get_state()

    @state.setter
    def state(self, state: ArrayLike) -> None:
        shape = self.n_streams, self._stepper.state_size
        self._set_state(_check_state(state, shape, self._network.dtype))

    def _set_state(self, state: np.ndarray) -> None:
        """Set a state that came from here: its values need not be finite."""
        self._stepper.set_state(state)

    def reset(self, streams: int | Iterable[int] | None = None) -> None:
        """Begin new sequences.

        Parameters
        ----------
        streams : int or iterable of int, default=None
            Streams to reset, or a mask of them; None is all.

        Raises
        ------
        IndexError
            If there is no such stream.
        """
        state = self.state
        state[_indices(streams)] = 0
        self._set_state(state)


class ClassifierStream(Stream):  # noqa: D101 (as its base)
    __doc__ = Stream.__doc__

    def step_proba(self, x_t: ArrayLike) -> np.ndarray:
        """Take the next time step of every sequence; return the probability of each class.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            Or (n_channels,), if there is one stream.

        Returns
        -------
        P : ndarray of shape (n_streams, n_classes)
            In the order of `classes_`, as `predict_proba` returns it; of shape (n_classes,) for
            x_t of shape (n_channels,).

        Raises
        ------
        ValueError
            As in `step`.
        """
        return self._outputs.probabilities(self._stepper.outputs(x_t))


class LabelStream(ClassifierStream):  # noqa: D101 (as its base)
    __doc__ = Stream.__doc__

    # labels and probabilities in compiled code take half as long as by NumPy

    def step(self, x_t: ArrayLike) -> Any:  # noqa: D102 (as of its base)
        return self._outputs.classes[self._stepper.most_likely(x_t)]

    def step_proba(self, x_t: ArrayLike) -> np.ndarray:  # noqa: D102 (as of its base)
        return self._stepper.probabilities(x_t)

    step.__doc__ = Stream.step.__doc__
    step_proba.__doc__ = ClassifierStream.step_proba.__doc__


STREAMS: dict[type[Outputs], type[Stream]] = {Labels: LabelStream, Multilabel: ClassifierStream}


def stream_of(network: Network, outputs: Outputs, n_streams: int) -> Stream:
    """Make the stream that these outputs ask for."""
    return STREAMS.get(type(outputs), Stream)(network, outputs, n_streams)


# ---- pipelines ---------------------------------------------------------------------------------


def stream(estimator: Any, n_streams: int = 1) -> "Stream | PipelineStream":
    """Predict after every time step, with all steps of a pipeline.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or a search
        Fitted. The steps of a `Pipeline` before the estimator must be
        :class:`~skgru.preprocessing.PerTimestep` or :class:`~skgru.preprocessing.Patches`; None
        and "passthrough" are skipped. Of a search, such as
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
        If the estimator is `bidirectional`, or `n_streams` is no positive integer.

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
    from skgru.preprocessing import Patches, PerTimestep

    steps, estimator = _take_apart(estimator)
    if not hasattr(estimator, "stream"):
        behind = " at the end of a Pipeline" if steps else ""
        raise TypeError(
            "stream takes a GRUClassifier, a GRURegressor, a Pipeline that ends in one, or a "
            f"search, with refit=True, around them; got {type(estimator).__name__}{behind}."
        )
    for name, step in steps:
        if not isinstance(step, Patches | PerTimestep):
            raise TypeError(
                f"Step {name!r} of the pipeline, a {type(step).__name__}, does not take one time "
                "step after the other; PerTimestep and Patches do. Fit the pipeline with "
                "PerTimestep around a transformer of rows. What needs whole sequences cannot be "
                "streamed: apply it first, and stream the steps that follow."
            )
        check_is_fitted(step)
    result = estimator.stream(n_streams)
    for _, step in reversed(steps):
        made = PerTimestepStream if isinstance(step, PerTimestep) else PatchesStream
        result = made(step, result)
    return result


def _take_apart(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
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

    def __init__(self, following: "Stream | PipelineStream", n_channels: int):
        self._following = following
        self.n_channels = n_channels

    def __getstate__(self) -> dict[str, Any]:
        # the copies of `copy.copy`, too, go their own way
        return {**vars(self), "_following": copy(self._following)}

    @property
    def n_streams(self) -> int:  # noqa: D102 (an attribute of the class)
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
        x = np.asarray(x_t)
        x = x if x.dtype.kind == "f" else _to_floats(x_t)
        expected = self.n_streams, self.n_channels
        if x.shape != expected and not (self.n_streams == 1 and x.shape == expected[1:]):
            one = f" or {expected[1:]}" if self.n_streams == 1 else ""
            raise ValueError(f"x_t has shape {x.shape}; expected {expected}{one}.")
        x = x.reshape(expected)
        _check_finite(x, allow_nan=True)
        return x

    @property
    def state(self) -> np.ndarray:
        """States of all sequences: (n_streams, state_size).

        A row is 0 before the first step. It holds the state of the network (see `Stream.state`)
        and, for each step of `Patches`, the patch that the sequence is in and the number of its
        time steps so far.

        Reading returns a copy. Set it to continue from the states of another time, or of another
        stream of the same model.
        """
        return self._following.state

    @state.setter
    def state(self, state: ArrayLike) -> None:
        self._following.state = state

    def _set_state(self, state: np.ndarray) -> None:
        self._following._set_state(state)

    def reset(self, streams: int | Iterable[int] | None = None) -> None:
        """Begin new sequences.

        Parameters
        ----------
        streams : int or iterable of int, default=None
            Streams to reset, or a mask of them; None is all.

        Raises
        ------
        IndexError
            If there is no such stream.
        """
        state = self.state
        state[_indices(streams)] = 0
        self._set_state(state)


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

    def __init__(self, step: "PerTimestep", following: Stream | PipelineStream):
        super().__init__(following, step._n_channels_in)
        self._transformer = deepcopy(step.transformer_)

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        rows = self._transformer.transform(self._rows(x_t))
        rows = rows.toarray() if issparse(rows) else np.asarray(rows)
        return predict(rows if np.ndim(x_t) == 2 else rows[0])


class PatchesStream(PipelineStream):
    """Time steps that fill patches.

    Parameters
    ----------
    step : Patches
        Fitted.
    following : Stream or PipelineStream
        Takes the patches.
    """

    __doc__ = PipelineStream.__doc__

    def __init__(self, step: "Patches", following: Stream | PipelineStream):
        super().__init__(following, step._n_channels_in)
        self._size, self._stride = step.size_, step.stride_
        # a transformer in between may compute in float64
        to_network, state = isinstance(following, Stream), following.state
        dtype = state.dtype if to_network else np.float64
        self._width, self._dtype = state.shape[1], state.dtype
        # the patch of each stream, of whose steps the newest fills the rest, and how many it has
        self._patches = np.zeros((self.n_streams, self._size, self.n_channels), dtype)
        self._n_steps = np.zeros(self.n_streams, dtype=np.intp)
        self._allow_nan = not to_network

    def _advance(self, x_t: ArrayLike, predict: Callable[[np.ndarray], Any]) -> Any:
        rows = self._rows(x_t)
        with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
            rows = rows.astype(self._patches.dtype)
        _check_finite(rows, allow_nan=self._allow_nan)
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

    @property
    def state(self) -> np.ndarray:  # noqa: D102 (as of its base)
        following, patches = self._following.state, self._patches.reshape(self.n_streams, -1)
        dtype = np.result_type(following, patches)
        return np.hstack([following, patches, self._n_steps[:, np.newaxis]], dtype=dtype)

    @state.setter
    def state(self, state: ArrayLike) -> None:
        own = self.state
        state = _check_state(state, own.shape, own.dtype)
        if not np.isin(state[:, -1], np.arange(self._size + 1)).all():
            raise ValueError(
                "The last column of state, the number of time steps in the patch, must hold "
                f"integers from 0 to {self._size}."
            )
        self._following.state = state[:, : self._width]
        self._set_patches(state)

    def _set_state(self, state: np.ndarray) -> None:
        following = np.ascontiguousarray(state[:, : self._width], dtype=self._dtype)
        self._following._set_state(following)
        self._set_patches(state)

    def _set_patches(self, state: np.ndarray) -> None:
        """Take the columns that follow the state of the network."""
        patches = state[:, self._width : -1].reshape(self._patches.shape)
        self._patches = patches.astype(self._patches.dtype)
        self._n_steps = state[:, -1].astype(np.intp)

    state.__doc__ = PipelineStream.state.__doc__


# ---- what comes in -----------------------------------------------------------------------------


def _check_state(state: ArrayLike, shape: tuple[int, int], dtype: DTypeLike) -> np.ndarray:
    """Validate states that are set from outside."""
    with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
        state = check_array(
            state, dtype=dtype, order="C", ensure_2d=False, allow_nd=True, input_name="state",
            estimator="Stream",
        )  # fmt: skip
    if state.shape != shape:
        raise ValueError(f"state has shape {state.shape}; expected {shape}.")
    return state


def _check_finite(x: np.ndarray, *, allow_nan: bool) -> None:
    """Raise for the first value that is infinite, or NaN."""
    bad = np.isinf(x) if allow_nan else ~np.isfinite(x)
    if bad.any():
        row, channel = np.argwhere(bad)[0]
        isnan = np.isnan(x[row, channel])
        what = "NaN" if isnan else f"infinity or a value too large for {x.dtype}"
        raise ValueError(f"x_t contains {what}: stream {row}, channel {channel}.")


def _indices(streams: int | Iterable[int] | None) -> Any:
    """Return which rows of a state are meant."""
    if streams is None:
        return slice(None)
    return streams if isinstance(streams, Integral) else list(streams)


def _to_floats(x_t: ArrayLike) -> np.ndarray:
    """Convert numbers of another type to float64, as `predict` does."""
    x = np.asarray(x_t)
    if x.dtype.kind not in "biuf":
        x = check_array(
            x_t, dtype="numeric", ensure_2d=False, allow_nd=True, ensure_all_finite=False,
            ensure_min_samples=0, ensure_min_features=0, input_name="x_t",
        )  # fmt: skip
    return x.astype(np.float64)
