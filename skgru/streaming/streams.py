"""Streams of an estimator alone."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skgru.model.network import Network
from skgru.model.parameters import Parameters
from skgru.outputs import Labels, Multilabel, Outputs, from_state
from skgru.sequences import Channels
from skgru.streaming.channels import ChannelStepper
from skgru.streaming.checks import (
    check_n_streams,
    check_state,
    indices,
    memory_for,
    to_floats,
)


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
        Turns the output layer's numbers into predictions.
    n_streams : int, default=1
        Number of sequences that advance together.
    channels : Channels, default=None
        What the channels of a time step are; None if they are what the network takes.

    Attributes
    ----------
    n_streams : int
    n_channels : int

    Raises
    ------
    ValueError
        If `n_streams` is no positive integer or too large for the memory, or the estimator is
        bidirectional.

    See Also
    --------
    stream : Make a stream of a pipeline.
    ClassifierStream : The stream of a classifier.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRURegressor
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 10, 1)), rng.normal(size=20)
    >>> model = GRURegressor(8, max_iter=2, random_state=0).fit(X, y)
    >>> stream = model.stream()
    >>> for x_t in X[0]:
    ...     prediction = stream.step(x_t)
    >>> bool(prediction == model.predict(X[:1])[0])
    True
    """

    n_streams: int

    def __init__(
        self,
        network: Network,
        outputs: Outputs,
        n_streams: int = 1,
        channels: Channels | None = None,
    ) -> None:
        if network.architecture.bidirectional:
            raise ValueError(
                "bidirectional=True also reads sequences from their end, and a stream has none; "
                "only models with bidirectional=False can be streamed."
            )
        n_streams = check_n_streams(n_streams)
        with memory_for(n_streams):
            self._begin(network, outputs, n_streams, channels)

    def _begin(
        self, network: Network, outputs: Outputs, n_streams: int, channels: Channels | None
    ) -> None:
        parameters = network.weights
        self._network, self._outputs, self._channels = network, outputs, channels
        self.n_streams = n_streams
        self.n_channels: int = network.architecture.n_channels
        self._stepper = network.kernels.Stepper(
            cell_index=network.cell.index,
            layers=self._layers(parameters),
            pooling=network.architecture.pooling,
            query=parameters.query,
            head=tuple(parameters.head),
            n_codes=len(network.architecture.n_categories),
            embedding=parameters.inputs.embedding.astype(network.dtype, copy=False),
            decay=tuple(*parameters.inputs.decays),
            n_streams=n_streams,
            convert=to_floats,
        )
        self._takes_numbers = channels is None or channels.are_numbers
        if not self._takes_numbers:
            self.n_channels = channels.n_channels
            self._stepper = ChannelStepper(self._stepper, channels, network.dtype)

    @staticmethod
    def _layers(parameters: Parameters) -> list[tuple[np.ndarray, ...]]:
        """Return the weights of each layer, and the table of categories of the first."""
        none = np.empty((0, 0), dtype=parameters.query.dtype)
        tables = [*parameters.inputs.tables, none]
        return [
            (*layer, tables[min(i, 1)] if tables[0].size else none)
            for i, (layer,) in enumerate(parameters.layers)
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {
            "network": self._network.state(),
            "outputs": self._outputs.state(),
            "channels": None if self._channels is None else self._channels.state(),
            "state": self.state,
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        network, channels = Network.from_state(saved["network"]), saved.get("channels")
        channels = None if channels is None else Channels.from_state(channels)
        self._begin(network, from_state(saved["outputs"]), len(saved["state"]), channels)
        self._stepper.set_state(saved["state"])

    def step(self, x_t: ArrayLike) -> Any:
        """Take the next time step of every sequence; return the predictions after it.

        Arrays of float32 and float64, of any strides, are read as they are. Other input is
        converted first, which takes longer than the step itself.

        Parameters
        ----------
        x_t : array-like of shape (n_streams, n_channels)
            Or (n_channels,), if there is one stream. Channels are those of X in `fit`: with
            `missing="decay"`, NaN is a missing value; strings stand beside numbers in a list, or
            in an array of objects; the time is a number, as dates are seconds since the sequence
            began.

        Returns
        -------
        y : ndarray of shape (n_streams,) or (n_streams, ...)
            The rows that `predict` returns. For x_t of shape (n_channels,), the one row itself: a
            label or a number, or an array if there are several outputs or quantiles.

        Raises
        ------
        ValueError
            If x_t has another shape, or a value that is not a finite number where it must be, or
            goes back in time. All states are then as before.
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

        With `missing="decay"` it is in float64, and goes on with what is remembered of the steps:
        for each channel that is a number, what its last observation was above the mean of the
        channel; for each, the time of that observation; the time of the last step; and 1 after
        the first step. Before a channel is observed, these are 0 and the time of the first step.

        Reading returns a copy. Set it to continue from the states of another time, or of another
        stream of the same model.
        """
        return self._stepper.get_state()

    @state.setter
    def state(self, state: ArrayLike) -> None:
        own = self.state
        self._set_state(check_state(state, own.shape, own.dtype))

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
        state[indices(streams)] = 0
        self._set_state(state)


class ClassifierStream(Stream):
    """Sequences in progress, and the predictions of a classifier after every time step.

    Made by `estimator.stream(n_streams)`. It is a `Stream` with probabilities.

    Parameters
    ----------
    network : Network
        Not bidirectional.
    outputs : Outputs
        Turns the output layer's numbers into labels and probabilities.
    n_streams : int, default=1
        Number of sequences that advance together.
    channels : Channels, default=None
        What the channels of a time step are; None if they are what the network takes.

    See Also
    --------
    Stream : The stream of a regressor.
    stream : Make a stream of a pipeline.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, bidirectional=False, max_iter=2, random_state=0).fit(X, y)
    >>> stream = model.stream()
    >>> for x_t in X[0]:
    ...     probabilities = stream.step_proba(x_t)
    >>> bool(abs(probabilities - model.predict_proba(X[:1])[0]).max() < 1e-12)
    True
    """

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


def stream_of(
    network: Network, outputs: Outputs, n_streams: int, channels: Channels | None = None
) -> Stream:
    """Make the stream that these outputs ask for."""
    return STREAMS.get(type(outputs), Stream)(network, outputs, n_streams, channels)
