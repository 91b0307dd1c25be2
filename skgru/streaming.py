"""Predictions as the sequences come: one time step a call, at a cost that does not grow."""

from collections.abc import Iterable
from copy import copy, deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax
from sklearn.utils import check_array

if TYPE_CHECKING:
    from skgru.base import BaseGRU


class Stream:
    """Sequences that go on, and what a fitted estimator predicts of each after every time step.

    Made by `estimator.stream(n_streams)`. After T steps, predictions are those of `predict` for
    the sequences of these T steps, to the last bit. A step costs the same however long they are.

    A stream keeps a copy of the model: the estimator may be fitted anew, and it goes on as before.
    It can be copied and pickled, with its states. It is for one thread at a time: two that share
    one would advance the same sequences.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        A fitted one that is not `bidirectional`.
    n_streams : int, default=1
        How many sequences advance together.

    Attributes
    ----------
    n_streams : int
    n_channels : int

    Raises
    ------
    ValueError
        If `n_streams` is no positive integer, or the estimator is bidirectional.
    """

    def __init__(self, estimator: "BaseGRU", n_streams: int = 1):
        if estimator._network.architecture.bidirectional:
            raise ValueError(
                "bidirectional=True also reads sequences from their end, and a stream has none; "
                "only models with bidirectional=False can be streamed."
            )
        if not isinstance(n_streams, Integral) or n_streams < 1:
            raise ValueError(f"n_streams must be an integer >= 1, got {n_streams!r}.")
        # weights are changed in place through `layers_`, all else is replaced by a fit
        model = copy(estimator)
        model._network, model._solver = deepcopy(estimator._network), None
        self._begin(model, int(n_streams))

    def _begin(self, model: "BaseGRU", n_streams: int) -> None:
        network = model._network
        parameters = network.views(network.parameters)
        self._model, self.n_streams = model, n_streams
        self.n_channels = network.architecture.n_channels
        self._stepper = network.kernels.Stepper(
            network.cell.index,
            [tuple(layer) for (layer,) in parameters.layers],
            network.architecture.pooling,
            parameters.query,
            tuple(parameters.head),
            n_streams,
            _to_floats,
        )

    def __getstate__(self) -> tuple["BaseGRU", np.ndarray]:
        return self._model, self.state

    def __setstate__(self, saved: tuple["BaseGRU", np.ndarray]) -> None:
        model, state = saved
        self._begin(model, len(state))
        self._stepper.set_state(state)

    def step(self, x_t: ArrayLike) -> Any:
        """Take the next time step of every sequence; return what is predicted now.

        Arrays of float32 and float64, of any strides, are read as they are; what else `predict`
        would take is converted first, which takes longer than the step.

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
            If x_t has another shape, or holds NaN, infinity or what is no number. All states are
            then as before.
        """
        return self._model._predictions(self._stepper.outputs(x_t))

    @property
    def state(self) -> np.ndarray:
        """States of all sequences: (n_streams, state_size), in the estimator's dtype.

        A row is 0 before the first step. It holds the hidden state of each layer, the first layer
        first, each followed by its memory if the cell has one; and at last what has been pooled of
        the top layer: nothing with `pooling="last"`; with "mean" the sum and the number of steps,
        with "max" the maximum and that number, with "attention" the weighted sum, the highest
        score, and the sum of the weights relative to it.

        A copy. To set it goes on from the states of another time, or of another stream of the
        same model.
        """
        return self._stepper.get_state()

    @state.setter
    def state(self, state: ArrayLike) -> None:
        with np.errstate(over="ignore"):  # too large for the dtype is infinite, and refused
            state = check_array(
                state, dtype=self._model._network.dtype, order="C", ensure_2d=False, allow_nd=True,
                input_name="state", estimator=self._model,
            )  # fmt: skip
        expected = self.n_streams, self._stepper.state_size
        if state.shape != expected:
            raise ValueError(f"state has shape {state.shape}; expected {expected}.")
        self._stepper.set_state(state)

    def reset(self, streams: int | Iterable[int] | None = None) -> None:
        """Begin new sequences.

        Parameters
        ----------
        streams : int or iterable of int, default=None
            Those that begin anew, or a mask of them; None is all.

        Raises
        ------
        IndexError
            If there is no such stream.
        """
        if streams is None:
            streams = slice(None)
        elif not isinstance(streams, Integral):
            streams = list(streams)
        state = self.state
        state[streams] = 0
        self._stepper.set_state(state)


class ClassifierStream(Stream):  # noqa: D101 (as its base)
    __doc__ = Stream.__doc__

    def step(self, x_t: ArrayLike) -> Any:  # noqa: D102 (as of its base)
        if self._model._multilabel:
            return super().step(x_t)
        return self._model.classes_[self._stepper.most_likely(x_t)]

    step.__doc__ = Stream.step.__doc__

    def step_proba(self, x_t: ArrayLike) -> np.ndarray:
        """Take the next time step of every sequence; return the probability of each class now.

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
        if self._model._multilabel:
            outputs = self._stepper.outputs(x_t)
            return self._model._probabilities_of(outputs, expit, softmax)
        return self._stepper.probabilities(x_t)


def _to_floats(x_t: ArrayLike) -> np.ndarray:
    """Make float64 of numbers of another type, as `predict` would."""
    x = np.asarray(x_t)
    if x.dtype.kind not in "biuf":
        x = check_array(
            x_t, dtype="numeric", ensure_2d=False, allow_nd=True, ensure_all_finite=False,
            ensure_min_samples=0, ensure_min_features=0, input_name="x_t",
        )  # fmt: skip
    return x.astype(np.float64)
