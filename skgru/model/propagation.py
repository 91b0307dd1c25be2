"""Forward pass of a network over time, and backpropagation through time."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from skgru.losses import Loss
from skgru.model.dropout import Dropout
from skgru.model.inputs import FirstInputs, Inputs
from skgru.model.network import Network
from skgru.model.parameters import Head, Parameters
from skgru.model.pooling import POOLINGS, Pooling
from skgru.sequences import Examples, Packed, Span

# Outputs of the head that are in memory at a time. The rows of a block are, if there are so many, a
# multiple of those that the kernel sums up at once: the gradient has the bits of a single block.
HEAD_NUMBERS = 2**20
HEAD_ROWS = 256


def blocks_of(n_rows: int, size: int) -> list[slice]:
    """Cut rows into blocks of this size; the last one has the rest.

    scikit-learn's `gen_batches` does so too, but its checks take a good part of the time of a small
    minibatch, or of the prediction of one sequence.
    """
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


class Window(NamedTuple):
    """Result of a forward pass over some steps of some sequences.

    Attributes
    ----------
    states : ndarray of shape (n_rows, width)
        Packed states of the top layer; empty if they were not wanted.
    h_last : ndarray of shape (n_samples, n_state)
        Last states of every layer and direction, with cell states, to begin the next window with.
    inputs : list of Inputs
        Of the first layer, one for each direction.
    """

    states: np.ndarray
    h_last: np.ndarray
    inputs: list[Inputs]


class Propagation:
    """Forward and backward passes over the sequences of one shard.

    Parameters
    ----------
    network : Network
    parameters : Parameters
        The views of its parameters.
    empty : callable
        Takes a name and a shape; returns the array of that name.
    shard : int, default=0
        Number of the shard; others have other masks.

    Attributes
    ----------
    dropout : Dropout
        Of the minibatch; none, unless it is set.
    layers : RecurrentLayers
        The kernels' object, with what the last passes have kept.
    """

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        empty: Callable[[Hashable, tuple[int, ...]], np.ndarray],
        *,
        shard: int = 0,
    ) -> None:
        arch = network.architecture
        self.architecture: Any = arch
        self.kernels: Any = network.kernels
        self.parameters = parameters
        self.empty = empty
        self.dropout = Dropout()
        self.shard = shard
        self.none: np.ndarray = np.empty((0, 0), dtype=network.dtype)
        self.inputs: Any = FirstInputs(network, parameters, empty)
        self.layers: Any = network.kernels.RecurrentLayers(
            network.cell.index, parameters.layers, parameters.inputs.tables
        )
        # where the hidden states of the top layer are in a state, and in `states`
        n_units = arch.hidden_layer_sizes[-1]
        n_own = network.cell.n_states * n_units
        first = self.layers.n_state - arch.n_directions * n_own
        self._tops: list[tuple[slice, slice]] = [
            (
                slice(first + i * n_own, first + i * n_own + n_units),
                slice(i * n_units, (i + 1) * n_units),
            )
            for i in range(arch.n_directions)
        ]

    # ---- a window of steps through all layers --------------------------------------------------

    def forward(
        self,
        packed: Packed,
        h: np.ndarray | None,
        window: int,
        *,
        keep: bool,
        want_states: bool,
    ) -> Window:
        """Run all layers over packed steps.

        Parameters
        ----------
        packed : Packed
        h : ndarray or None
            The `h_last` of the window before; None at the first.
        window : int
            Number of the window.
        keep : bool
            Whether to keep activations for the backward pass.
        want_states : bool
            Whether to return the top layer's states.
        """
        states, batch_sizes = self.none, packed.batch_sizes
        if want_states:
            states = self.empty("states", (len(packed.x), self.architecture.width))
        inputs = [self.inputs.forward(packed, i) for i in range(self.architecture.n_directions)]
        rate, recurrent_rate, _ = self.dropout
        h_last = self.layers.forward(
            inputs,
            batch_sizes,
            self.none if h is None else h,
            states,
            keep=keep,
            masks=self._recurrent_masks(batch_sizes[0]) if recurrent_rate else [],
            dropout=rate,
            seed=self._seed(window + 1, 0),
        )
        return Window(states, h_last, inputs)

    def backward(
        self,
        result: Window,
        batch_sizes: np.ndarray,
        *,
        d_states: np.ndarray | None = None,
        d_last: np.ndarray | None = None,
        d_parameters: Parameters,
        of_inputs: bool = False,
    ) -> np.ndarray | None:
        """Backpropagate through all layers of the window of the last forward pass.

        Parameters
        ----------
        result : Window
            Of the forward pass, which has kept activations.
        batch_sizes : ndarray
        d_states : ndarray of shape (n_rows, width), default=None
            ∂L/∂states of the top layer.
        d_last : ndarray of shape (n_samples, width), default=None
            ∂L/∂h of its last states.
        d_parameters : Parameters
            Arrays to which ∂L/∂parameters is added.
        of_inputs : bool, default=False
            Whether to compute ∂L/∂x of the inputs, which training does without.

        Returns
        -------
        d_x : ndarray of shape (n_rows, n_values), or None without `of_inputs`
            ∂L/∂x of the packed inputs.
        """
        d_h = np.zeros(result.h_last.shape, self.none.dtype)
        if d_last is not None:
            for of_state, own in self._tops:
                d_h[:, of_state] = d_last[:, own]
        d_inputs: list[tuple[np.ndarray, np.ndarray]] = []
        if of_inputs or self.inputs.are_learned:
            d_inputs = [
                (self.empty(("d_x", i), own.x.shape), self.empty(("d_decay", i), own.decay.shape))
                for i, own in enumerate(result.inputs)
            ]
        self.layers.backward(
            self.none if d_states is None else d_states,
            d_h,
            d_parameters.layers,
            d_parameters.inputs.tables,
            d_inputs,
        )
        if self.inputs.are_learned:
            # as in the layers, the second direction first: what both add to has these bits
            for i in reversed(range(len(d_inputs))):
                self.inputs.backward(result.inputs[i], i, *d_inputs[i], d_parameters)
        if not of_inputs:
            return None
        return self.inputs.of_packed(result.inputs, [d_x for d_x, _ in d_inputs], batch_sizes)

    def _drop(self, x: np.ndarray, window: int, *, in_place: bool = False) -> np.ndarray:
        """Apply dropout below the head; its backward pass is the same operation."""
        rate = self.dropout.rate
        if not rate:
            return x
        y = x if in_place else self.empty("dropped", x.shape)
        seed = self._seed(window + 1, len(self.parameters.layers))
        self.kernels.dropout(x, seed, rate, y)
        return y

    def _recurrent_masks(self, n_samples: int) -> list[np.ndarray]:
        """Draw one mask per layer and direction; its first rows do not depend on their number."""
        sizes = [len(layer.U) for directions in self.parameters.layers for layer in directions]
        masks = [np.ones((n_samples, n_units), self.none.dtype) for n_units in sizes]
        for i, mask in enumerate(masks):
            self.kernels.dropout(mask, self._seed(0, i), self.dropout.recurrent_rate, mask)
        return masks

    def _seed(self, window: int, layer: int) -> int:
        """Return a different seed for every mask of a minibatch."""
        return (self.dropout.seed + (self.shard << 40) + (window << 10) + layer) % 2**64

    # ---- the loss of a shard and its gradient --------------------------------------------------

    def value_and_gradient(
        self,
        examples: Examples,
        loss: Loss,
        bptt_steps: int | None,
        d_parameters: Parameters,
    ) -> float:
        """Compute the weighted sum of losses over `total`; add its gradient to `d_parameters`.

        Parameters
        ----------
        examples : Examples
        loss : Loss
        bptt_steps : int or None
            Steps of a window, counted from the end of each sequence: states pass from one to the
            next, gradients do not. With two directions None, as the backward one cannot.
        d_parameters : Parameters
        """
        windows = examples.span.windows(bptt_steps)
        if not self.architecture.return_sequences:
            return self._pooled(examples, windows, loss, d_parameters)
        value, h = 0.0, None
        for i, part in enumerate(windows):
            window_value, h = self.window_value_and_gradient(
                examples, loss, d_parameters, span=part, h=h, window=i
            )
            value += window_value
        return value

    def window_value_and_gradient(
        self,
        examples: Examples,
        loss: Loss,
        d_parameters: Parameters,
        *,
        span: Span,
        h: np.ndarray | None,
        window: int,
    ) -> tuple[float, np.ndarray]:
        """Do what `value_and_gradient` does for one window, with a loss at every step.

        Parameters
        ----------
        examples : Examples
        loss : Loss
        d_parameters : Parameters
        span : Span
            The window.
        h : ndarray or None
            Last states of the window before; None at the first.
        window : int
            Its number.

        Returns
        -------
        value : float
        h : ndarray
            Its last states.
        """
        packed = examples.sequences.pack(span)
        result = self.forward(packed, h, window, keep=True, want_states=True)
        targets = examples.targets.of_steps(span)
        value, d_states = self._head(
            result.states, window, *targets, total=examples.total, loss=loss,
            d_head=d_parameters.head,
        )  # fmt: skip
        self.backward(result, packed.batch_sizes, d_states=d_states, d_parameters=d_parameters)
        return value, result.h_last

    def _pooled(
        self,
        examples: Examples,
        windows: list[Span],
        loss: Loss,
        d_parameters: Parameters,
    ) -> float:
        """With one loss at the end, run all windows forward; memory stays that of one.

        The backward pass of the last window follows at once; the windows before it are computed
        once more.
        """
        pooling = self.pooling(examples.span.lengths)
        h, begin = None, []
        n_steps = int(windows[-1].lengths[0])
        for i, span in enumerate(windows):
            packed = examples.sequences.pack(span)
            begin.append(h)
            window = self.forward(
                packed, h, i, keep=span is windows[-1], want_states=pooling.of_all_steps
            )
            h = window.h_last
            self.pool(pooling, window, packed.batch_sizes, i * n_steps)
        targets = examples.targets.of_samples(examples.span.samples)
        value, d_pooled = self._head(
            pooling.pooled(), 0, *targets, total=examples.total, loss=loss,
            d_head=d_parameters.head,
        )  # fmt: skip
        if not pooling.of_all_steps:
            self.backward(window, packed.batch_sizes, d_last=d_pooled, d_parameters=d_parameters)
            return value
        for i in reversed(range(len(windows))):
            if i < len(windows) - 1:
                packed = examples.sequences.pack(windows[i])
                window = self.forward(packed, begin[i], i, keep=True, want_states=True)
            d_states = self.empty("d_states", window.states.shape)
            states = Packed(window.states, packed.batch_sizes)
            pooling.backward(d_pooled, states, i * n_steps, d_states, d_parameters.query)
            self.backward(window, packed.batch_sizes, d_states=d_states, d_parameters=d_parameters)
        return value

    def _head(
        self,
        states: np.ndarray,
        window: int,
        y: np.ndarray,
        weights: np.ndarray,
        *,
        total: float,
        loss: Loss,
        d_head: Head,
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient at the states; add the gradient of the head."""
        W, dropped = self.parameters.head.W, self._drop(states, window)
        shares = (weights / total).astype(states.dtype)
        value, d_states = 0.0, self.empty("d_head", states.shape)
        for rows in self.blocks(len(states)):
            part, d_outputs = loss(y[rows], self.outputs(dropped[rows]), shares[rows])
            self.kernels.linear_backward(dropped[rows], W, d_outputs, d_states[rows], *d_head)
            value += part
        return value, self._drop(d_states, window, in_place=True)

    # ---- shared with predictions --------------------------------------------------------

    def pooling(self, lengths: np.ndarray) -> Pooling:
        """Make the pooling of sequences of these lengths."""
        arch = self.architecture
        return POOLINGS[arch.pooling](self.kernels, lengths, self.parameters.query, arch.width)

    def blocks(self, n_rows: int) -> list[slice]:
        """Cut rows of states into blocks, whose outputs are in memory one after the other."""
        size = max(HEAD_NUMBERS // self.architecture.n_outputs, 1)
        return blocks_of(n_rows, size - size % HEAD_ROWS or size)

    def outputs(self, states: np.ndarray) -> np.ndarray:
        """Apply the head."""
        outputs = self.empty("outputs", (len(states), self.architecture.n_outputs))
        self.kernels.linear_forward(states, *self.parameters.head, outputs)
        return outputs

    def pool(self, pooling: Pooling, window: Window, batch_sizes: np.ndarray, step: int) -> Packed:
        """Add a window, whose first step has this number, to a pooling; return its states."""
        states = Packed(window.states, batch_sizes)
        pooling.add(states, self.none if pooling.of_all_steps else self._top(window.h_last), step)
        return states

    def _top(self, h_last: np.ndarray) -> np.ndarray:
        """Return the last hidden states of the top layer, its directions side by side."""
        tops = [h_last[:, of_state] for of_state, _ in self._tops]
        return np.ascontiguousarray(tops[0]) if len(tops) == 1 else np.hstack(tops)
