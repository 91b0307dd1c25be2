"""Forward pass of a network over time, and backpropagation through time."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from skgru.losses import Loss
from skgru.model.dropout import Dropout
from skgru.model.inputs import NO_CODES, FirstInputs, Inputs
from skgru.model.layer import LayerBackward, SavedLayer, backpropagate_layer, run_layer
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
    h_last : list of ndarray of shape (n_samples, n_states * n_units)
        Last states of every layer and direction, with cell states, to begin the next window with.
    saved : list of SavedLayer
        One for each layer and direction.
    inputs : list of Inputs
        Of the first layer, one for each direction.
    """

    states: np.ndarray
    h_last: list[np.ndarray]
    saved: list[SavedLayer]
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
    dropout : Dropout, default=Dropout()
    shard : int, default=0
        Number of the shard; others have other masks.
    layer_backward : callable, default=None
        Replaces `backpropagate_layer`, for instance to watch the gradient on its way.
    """

    def __init__(
        self,
        network: Network,
        parameters: Parameters,
        empty: Callable[[Hashable, tuple[int, ...]], np.ndarray],
        *,
        dropout: Dropout = Dropout(),  # noqa: B008 (immutable)
        shard: int = 0,
        layer_backward: LayerBackward | None = None,
    ) -> None:
        self.architecture: Any = network.architecture
        self.kernels: Any = network.kernels
        self.layer_backward: Any = layer_backward or backpropagate_layer
        self.cell: Any = network.cell
        self.parameters = parameters
        self.empty = empty
        self.dropout = dropout
        self.shard = shard
        self.none: np.ndarray = np.empty((0, 0), dtype=network.dtype)
        self.inputs: Any = FirstInputs(network, parameters, empty)

    # ---- a window of steps through all layers --------------------------------------------------

    def forward(
        self, packed: Packed, h: list[np.ndarray], window: int, *, keep: bool, want_states: bool
    ) -> Window:
        """Run all layers over packed steps.

        Parameters
        ----------
        packed : Packed
        h : list of ndarray
            The `h_last` of the window before; empty at the first.
        window : int
            Number of the window.
        keep : bool
            Whether to save activations for the backward pass.
        want_states : bool
            Whether to return the top layer's states.
        """
        x, batch_sizes, _ = packed
        layers, h_last, saved = self.parameters.layers, [], []
        tables, first_inputs = self.parameters.inputs.tables, []
        for depth, directions in enumerate(layers):
            if depth:
                x = self._drop(x, window, depth)
            wanted = keep or want_states or depth + 1 < len(layers)
            n_units = len(directions[0].U)
            for direction, layer in enumerate(directions):
                i = len(h_last)
                x_own, codes, decay, table = x, NO_CODES, self.none, self.none
                if not depth:
                    first_inputs.append(self.inputs.forward(packed, direction))
                    x_own, decay = first_inputs[-1].x, first_inputs[-1].decay
                    if tables:
                        codes, table = first_inputs[-1].codes, tables[direction]
                elif direction:
                    x_own = self.empty(("reversed", i), x.shape)
                    self.kernels.reverse_steps(x, batch_sizes, x_own, False)
                h_0 = np.zeros((batch_sizes[0], self.cell.n_states * n_units), self.none.dtype)
                if h:
                    h_0[: len(h[i])] = h[i]
                mask = self._recurrent_mask(i, (len(h_0), n_units))
                states = activations = self.none
                if wanted:
                    states = self.empty(("states", i), (len(x), n_units))
                if keep:
                    n_blocks = self.cell.n_gates + self.cell.n_extra
                    activations = self.empty(("saved", i), (len(x), n_blocks * n_units))
                saved.append(
                    SavedLayer(
                        x=x_own,
                        h_0=h_0,
                        mask=mask,
                        states=states,
                        activations=activations,
                        codes=codes,
                        table=table,
                        decay=decay,
                    )
                )
                h_last.append(
                    run_layer(
                        kernels=self.kernels,
                        cell=self.cell,
                        weights=layer,
                        saved=saved[-1],
                        batch_sizes=batch_sizes,
                    )
                )
            if wanted and len(directions) == 2:
                forward, backward = saved[-2].states, saved[-1].states
                states = self.empty(("joined", depth), (len(x), 2 * n_units))
                states[:, :n_units] = forward
                self.kernels.reverse_steps(backward, batch_sizes, states[:, n_units:], False)
            x = states
        return Window(x, h_last, saved, first_inputs)

    def backward(
        self,
        result: Window,
        batch_sizes: np.ndarray,
        *,
        d_states: np.ndarray | None = None,
        d_last: np.ndarray | None = None,
        window: int,
        d_parameters: Parameters,
        of_inputs: bool = False,
    ) -> np.ndarray:
        """Backpropagate through all layers of one window.

        Parameters
        ----------
        result : Window
            Of the forward pass.
        batch_sizes : ndarray
        d_states : ndarray of shape (n_rows, width), default=None
            ∂L/∂states of the top layer.
        d_last : ndarray of shape (n_samples, width), default=None
            ∂L/∂h of its last states.
        window : int
            Number of the window.
        d_parameters : Parameters
            Arrays to which ∂L/∂parameters is added.
        of_inputs : bool, default=False
            Whether to compute ∂L/∂x of the inputs, which training does without.

        Returns
        -------
        d_x : ndarray of shape (n_rows, n_values), if `of_inputs`
            ∂L/∂x of the packed inputs.
        """
        layers, saved = self.parameters.layers, result.saved
        d_tables = d_parameters.inputs.tables
        for depth in reversed(range(len(layers))):
            directions, d_inputs = layers[depth], []
            n_units = len(directions[0].U)
            # in reverse, as more of the last direction is still in the cache
            for direction, layer in reversed(list(enumerate(directions))):
                i = depth * len(directions) + direction
                x = saved[i].x
                own = slice(direction * n_units, (direction + 1) * n_units)
                d_h = np.zeros(saved[i].h_0.shape, self.none.dtype)
                if d_last is not None:
                    d_h[:, :n_units] = d_last[:, own]
                d_own = self.none if d_states is None else d_states
                if d_states is not None and len(directions) == 2:
                    d_own = self.empty(("d_own", i), (len(x), n_units))
                    if direction:
                        self.kernels.reverse_steps(d_states[:, own], batch_sizes, d_own, False)
                    else:
                        d_own[:] = d_states[:, own]
                # of the inputs, only states of a layer below and what is learned need a gradient
                # (without channels that are numbers, there are no inputs)
                needed = depth or (of_inputs and x.size) or self.inputs.are_learned
                d_inputs.append(self.empty(("d_x", i), x.shape) if needed else self.none)
                d_decay = self.none
                if saved[i].decay.size:
                    d_decay = self.empty(("d_decay", i), saved[i].decay.shape)
                d_table = self.none if depth or not d_tables else d_tables[direction]
                self.layer_backward(
                    kernels=self.kernels,
                    cell=self.cell,
                    weights=layer,
                    saved=saved[i],
                    batch_sizes=batch_sizes,
                    d_states=d_own,
                    d_h=d_h,
                    d_x=d_inputs[-1],
                    d_decay=d_decay,
                    d_table=d_table,
                    d_weights=d_parameters.layers[depth][direction],
                )
                if not depth and self.inputs.are_learned:
                    inputs = result.inputs[direction]
                    self.inputs.backward(inputs, direction, d_inputs[-1], d_decay, d_parameters)
            if not depth and of_inputs:
                return self.inputs.of_packed(result.inputs, d_inputs[::-1], batch_sizes)
            d_x = d_inputs.pop()
            if depth and d_inputs:
                self.kernels.reverse_steps(d_inputs.pop(), batch_sizes, d_x, True)
            if depth:
                d_states, d_last = self._drop(d_x, window, depth, in_place=True), None
        return d_x

    def _drop(
        self, x: np.ndarray, window: int, depth: int, *, in_place: bool = False
    ) -> np.ndarray:
        """Apply dropout below a layer or the head; its backward pass is the same operation."""
        rate = self.dropout.rate
        if not rate:
            return x
        y = x if in_place else self.empty(("dropped", depth), x.shape)
        self.kernels.dropout(x, self._seed(window + 1, depth), rate, y)
        return y

    def _recurrent_mask(self, i: int, shape: tuple[int, ...]) -> np.ndarray:
        """Draw one mask per layer and direction; its first rows do not depend on the shape."""
        if not self.dropout.recurrent_rate:
            return self.none
        mask = np.ones(shape, dtype=self.none.dtype)
        self.kernels.dropout(mask, self._seed(0, i), self.dropout.recurrent_rate, mask)
        return mask

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
        value, h = 0.0, []
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
        h: list[np.ndarray],
        window: int,
    ) -> tuple[float, list[np.ndarray]]:
        """Do what `value_and_gradient` does for one window, with a loss at every step.

        Parameters
        ----------
        examples : Examples
        loss : Loss
        d_parameters : Parameters
        span : Span
            The window.
        h : list of ndarray
            Last states of the window before; empty at the first.
        window : int
            Its number.

        Returns
        -------
        value : float
        h : list of ndarray
            Its last states.
        """
        packed = examples.sequences.pack(span)
        result = self.forward(packed, h, window, keep=True, want_states=True)
        targets = examples.targets.of_steps(span)
        value, d_states = self._head(
            result.states, window, *targets, total=examples.total, loss=loss,
            d_head=d_parameters.head,
        )  # fmt: skip
        self.backward(
            result, packed.batch_sizes, d_states=d_states, window=window,
            d_parameters=d_parameters,
        )  # fmt: skip
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
        h, begin = [], []
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
            self.backward(
                window, packed.batch_sizes, d_last=d_pooled, window=i,
                d_parameters=d_parameters,
            )  # fmt: skip
            return value
        for i in reversed(range(len(windows))):
            if i < len(windows) - 1:
                packed = examples.sequences.pack(windows[i])
                window = self.forward(packed, begin[i], i, keep=True, want_states=True)
            d_states = self.empty("d_states", window.states.shape)
            states = Packed(window.states, packed.batch_sizes)
            pooling.backward(d_pooled, states, i * n_steps, d_states, d_parameters.query)
            self.backward(
                window, packed.batch_sizes, d_states=d_states, window=i,
                d_parameters=d_parameters,
            )  # fmt: skip
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
        n_layers, W = len(self.parameters.layers), self.parameters.head.W
        dropped = self._drop(states, window, n_layers)
        shares = (weights / total).astype(states.dtype)
        value, d_states = 0.0, self.empty("d_head", states.shape)
        for rows in self.blocks(len(states)):
            part, d_outputs = loss(y[rows], self.outputs(dropped[rows]), shares[rows])
            self.kernels.linear_backward(dropped[rows], W, d_outputs, d_states[rows], *d_head)
            value += part
        return value, self._drop(d_states, window, n_layers, in_place=True)

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

    def _top(self, h_last: list[np.ndarray]) -> np.ndarray:
        """Return the last hidden states of the top layer, its directions side by side."""
        arch = self.architecture
        tops = [h[:, : arch.hidden_layer_sizes[-1]] for h in h_last[-arch.n_directions :]]
        return np.ascontiguousarray(tops[0]) if len(tops) == 1 else np.hstack(tops)
