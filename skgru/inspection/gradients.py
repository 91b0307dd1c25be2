"""Norms of the gradient of the loss over time."""

from collections.abc import Sequence
from math import exp
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skgru._sklearn import Bunch
from skgru.inspection.passes import Direction, Inspected
from skgru.model.inputs import NO_CODES, Inputs
from skgru.model.parameters import Layer
from skgru.model.propagation import Propagation
from skgru.sequences import Examples, Packed, Span, Targets


def gradient_flow(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    fallen_to: Sequence[float] = (exp(-1), 0.01),
    vanished_below: float = 1e-3,
    exploded_above: float = 1e3,
    by_loss_step: bool = False,
    return_gradients: bool = False,
) -> Bunch:
    """Compute the gradient of the loss with respect to the states of every time step.

    The loss L is the one that `fit` minimizes, without penalty and without dropout: the weighted
    mean over sequences or, with `return_sequences`, over labeled time steps. `bptt_steps` is
    ignored: gradients are propagated to the first step. All of X is one minibatch and takes the
    memory of a training step on it; about 32 sequences are enough.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator; see `gate_activations`.
    X, y, sample_weight : array-like
        As in `fit`.
    quantiles : sequence of float in [0, 1], default=(0.1, 0.5, 0.9)
        Quantiles of the norms over the sequences.
    fallen_to : sequence of float in (0, 1), default=(1/e, 0.01)
        Shares of the norm at lag 0 that define ``memory_lengths``.
    vanished_below, exploded_above : float, default=1e-3, 1e3
        Thresholds below and above which a norm counts as vanished and as exploded. They are
        relative to the largest gradient that enters any state of the sequence from above: from the
        loss or from the next layer.
    by_loss_step : bool, default=False
        With `return_sequences`, whether to separate the gradients by the time step of the loss.
        This takes a forward and a backward pass per time step.
    return_gradients : bool, default=False
        Whether to return the contributions of each time step to the gradients of the weights, and
        not only their norms. This takes the memory of all weights per time step.

    Returns
    -------
    flow : Bunch
        A Bunch with the attributes

        loss : float
            The loss L.
        layers : list of Bunch
            One per entry of the estimator's `layers_`, with `layer`, ``direction``, and

            norms : ndarray of shape (n_samples, n_timesteps), or list of (n_timesteps_i,) arrays
                ‖∂(w_i L_i)/∂h_t‖ at the time steps of X, where w_i L_i is the weighted loss of
                sequence i. For cells with a cell state, h_t stands for [h_t | c_t].
            mean : ndarray of shape (n_timesteps,)
                Mean of the norms over the sequences, by lag: entry k is k steps before the last
                step of the direction. Sequences of at most k steps are left out.
            quantiles : ndarray of shape (n_quantiles, n_timesteps)
                Quantiles of the norms over the sequences, by lag.
            memory_lengths : ndarray of shape (n_shares,)
                The effective memory in time steps, for each share of `fallen_to`: the first lag
                from which the mean norm stays below that share of the norm at lag 0. Infinite if
                there is none.
            vanished, exploded : float
                Shares of all time steps of all sequences. If no gradient enters a sequence, it
                counts as vanished.
            weights : dict
                For "W", "U" and "b", an ndarray of shape (n_timesteps, n_gates): the Frobenius
                norm of what the k-th step of the direction contributes to the gradient ∂L/∂W of
                each gate, over all sequences. With `reset_after` also "c", for the candidate only.
            by_loss_step : dict, with `by_loss_step`
                The same for the loss of each time step. Entry (t, k) of "W", "U" and so on, of
                shape (n_timesteps, n_timesteps, n_gates), is the norm of what the loss of time
                step t contributes to the gradient of the weights at the k-th step. "h", of shape
                (n_timesteps, n_timesteps), is the mean over the sequences of ‖∂L_t/∂h_k‖.
            gradients : dict, with `return_gradients`
                Contributions of each time step to the gradients, of shape (n_timesteps, *) for
                weights of shape (*). Their sum over the first axis is ∂L/∂W, and so on.

    Raises
    ------
    ValueError
        If X or y is invalid, or if `by_loss_step` is True and `return_sequences` is False.

    See Also
    --------
    step_jacobian : Compute the Jacobian of every step.
    GradientFlowDisplay : Draw the norms.

    References
    ----------
    Y. Bengio, P. Simard and P. Frasconi, "Learning long-term dependencies with gradient descent is
    difficult", IEEE Transactions on Neural Networks 5(2), 1994, 157-166.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import gradient_flow
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> flow = gradient_flow(model, X[:16], y[:16]).layers[0]
    >>> bool(flow.mean[0] > 0)
    True
    """
    inspected = Inspected(estimator, X)
    model, sequences = inspected.estimator, inspected.sequences
    if by_loss_step and not inspected.network.architecture.return_sequences:
        raise ValueError(
            "by_loss_step separates the losses of time steps; with return_sequences=False there "
            "is only one per sequence."
        )
    targets = model._check_targets(y, sample_weight, sequences)
    with np.errstate(over="ignore"):
        weights = np.ldexp(targets.weights, targets.exponent)
    targets = Targets(targets.y.astype(np.float64), weights, targets.sequences)
    backward = _Backward(inspected, targets)
    value, flows = backward.run(targets.weights, return_gradients)
    splits = backward.split_by_loss_step() if by_loss_step else [{}] * len(flows)
    return Bunch(
        loss=value,
        layers=[
            Bunch(
                layer=flow.direction.layer,
                direction=flow.direction.name,
                norms=sequences.by_step(flow.norms_of_x()),
                **_by_lag(*flow.norms_by_lag(), quantiles, fallen_to),
                **flow.shares(vanished_below, exploded_above),
                weights=flow.weights,
                **({"gradients": flow.gradients} if return_gradients else {}),
                **split,
            )
            for flow, split in zip(flows, splits, strict=True)
        ],
    )


class _Backward:
    """Backward passes over all sequences as one minibatch.

    Parameters
    ----------
    inspected : Inspected
    targets : Targets
    """

    def __init__(self, inspected: Inspected, targets: Targets) -> None:
        self._inspected = inspected
        self._targets = targets
        with np.errstate(over="ignore"):
            self._total = targets.weights.sum()
        if self._total == np.inf:
            raise ValueError(
                "The sum of the weights is infinite in float64; divide sample_weight by its mean."
            )
        if self._total == 0:
            raise ValueError("The weights of all samples are zero; one must be positive.")
        (self._span,) = inspected.spans(len(inspected.sequences))

    def run(self, weights: np.ndarray, keep_gradients: bool) -> tuple[float, list["_Flow"]]:
        """Run a forward and a backward pass; return the loss and the flow through each layer."""
        inspected, network = self._inspected, self._inspected.network
        flows = [
            _Flow(inspected, self._span, direction, self._total, keep_gradients)
            for direction in inspected.directions
        ]
        propagation = Propagation(
            network, inspected.parameters, lambda _, shape: np.empty(shape, network.dtype)
        )
        targets = Targets(self._targets.y, weights, self._targets.sequences)
        value = propagation.value_and_gradient(
            Examples(inspected.sequences, self._span, targets, self._total),
            inspected.estimator._outputs.loss,
            None,
            network.views(np.zeros_like(network.parameters)),
        )
        packed = inspected.sequences.pack(self._span)
        for flow in reversed(flows):  # as gradients flow
            i = flow.direction.index
            inputs = None if flow.direction.layer else propagation.inputs.forward(packed, i)
            flow.backward(propagation.layers.kept(i), inputs)
        return value, flows

    def split_by_loss_step(self) -> list[dict[str, dict[str, np.ndarray]]]:
        """Backpropagate the loss of each time step separately."""
        sequences = self._inspected.sequences
        found: list[dict[str, list[np.ndarray]]] = [{} for _ in self._inspected.directions]
        for t in range(sequences.lengths.max()):
            _, flows = self.run(np.where(sequences.steps == t, self._targets.weights, 0), False)
            for flow, norms in zip(flows, found, strict=True):
                for name, values in {**flow.weights, "h": flow.mean_norms()}.items():
                    norms.setdefault(name, []).append(values)
        return [
            {"by_loss_step": {name: np.array(values) for name, values in norms.items()}}
            for norms in found
        ]


class _Flow:
    """Gradients in one direction of one layer, time step by time step."""

    def __init__(
        self,
        inspected: Inspected,
        span: Span,
        direction: Direction,
        total: float,
        keep_gradients: bool,
    ) -> None:
        self._inspected = inspected
        self._span = span
        self.direction = direction
        self._total = total
        n_steps, n_units = int(span.lengths[0]), len(direction.weights.U)
        self._norms = np.empty(span.lengths.sum())  # one per packed row
        # largest norm of a gradient from above, one per sequence
        self._entered = np.zeros(len(span.lengths))
        # the gradient of a step is one matrix of W, U and b, one below the other, and c; squares of
        # it are summed for each gate
        W, U, b, c = direction.weights
        self._first_rows = [0, len(W), len(W) + len(U)]
        self._squares = np.empty((n_steps, 3, len(b) // n_units))
        self._squares_of_c = np.empty((n_steps, len(c) // n_units))
        self._keep_gradients = keep_gradients
        n_kept = n_steps if keep_gradients else 1
        self._gradients = np.empty((n_kept, len(W) + len(U) + 1, len(b)))
        self._gradients_of_c = np.empty((n_kept, len(c)))

    def backward(self, kept: dict[str, np.ndarray], inputs: Inputs | None) -> None:
        """Backpropagate one time step at a time and record its contributions.

        Parameters
        ----------
        kept : dict of ndarray
            What the layers have kept of this direction.
        inputs : Inputs
            Of the first layer; None for others.
        """
        network, weights = self._inspected.network, self.direction.weights
        H, n_states = len(weights.U), network.cell.n_states
        tables = []
        if inputs is None:
            none = np.empty((0, 0))
            inputs = Inputs(kept["x"], NO_CODES, none, none, none, NO_CODES)
        elif inputs.codes.size:
            tables = self._inspected.parameters.inputs.tables[self.direction.index :][:1]
        layer = network.kernels.RecurrentLayers(network.cell.index, [[weights]], tables)
        # the last block, if the cell has a cell state
        cell_state = slice(kept["saved"].shape[1] - H, None)
        _, first_of_U, first_of_b = self._first_rows
        d_states, d_h = kept["d_states"], kept["d_last"]
        batch_sizes = self._span.batch_sizes
        self._entered[:] = self._total * np.linalg.norm(d_h, axis=1)
        slices = Packed(kept["x"], batch_sizes).slices
        for t in reversed(range(len(batch_sizes))):
            n, rows = batch_sizes[t], slices[t]
            d = d_h[:n].copy()
            if len(d_states):
                d[:, :H] += d_states[rows]
                entered = self._total * np.linalg.norm(d_states[rows], axis=1)
                np.maximum(self._entered[:n], entered, out=self._entered[:n])
            self._norms[rows] = self._total * np.linalg.norm(d, axis=1)
            h_prev = np.zeros((n, n_states * H))
            if t:
                before = slice(slices[t - 1].start, slices[t - 1].start + n)
                h_prev[:, :H] = kept["states"][before]
                if n_states == 2:
                    h_prev[:, H:] = kept["saved"][before, cell_state]
            gradient = self._gradients[t if self._keep_gradients else 0]
            gradient_of_c = self._gradients_of_c[t if self._keep_gradients else 0]
            gradient.fill(0)
            gradient_of_c.fill(0)
            own = Inputs(*(array[rows] for array in inputs))
            layer.forward([own], batch_sizes[t : t + 1], h_prev, np.empty((0, 0)), keep=True)
            layer.backward(
                d_states[rows],
                d_h[:n],
                [
                    [
                        Layer(
                            gradient[:first_of_U],
                            gradient[first_of_U:first_of_b],
                            gradient[first_of_b],
                            gradient_of_c,
                        )
                    ]
                ],
                [],
                [(own.x[:0], np.empty_like(own.decay))],
            )
            by_column = np.add.reduceat(gradient**2, self._first_rows)
            self._squares[t] = by_column.reshape(3, -1, H).sum(axis=2)
            self._squares_of_c[t] = gradient_of_c @ gradient_of_c

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Norms of each step's contribution to the gradients, of shape (n_timesteps, n_gates)."""
        W, U, b = np.sqrt(self._squares).transpose(1, 0, 2)
        return self._named(W, U, b, np.sqrt(self._squares_of_c))

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Contributions of each step to the gradients, of shape (n_timesteps, *), if kept."""
        W, U, b = np.split(self._gradients, self._first_rows[1:], axis=1)
        return self._named(W, U, b[:, 0], self._gradients_of_c)

    def _named(self, *weights: np.ndarray) -> dict[str, np.ndarray]:
        named = Layer(*weights)._asdict()
        return {name: values for name, values in named.items() if values.size}

    def norms_of_x(self) -> np.ndarray:
        """Return the norms at each time step of X, of shape (sum of lengths,)."""
        values = np.empty((len(self._norms), 1))
        self._inspected.unpack(self._span, self.direction, self._norms[:, np.newaxis], values)
        return values[:, 0]

    def mean_norms(self) -> np.ndarray:
        """Return the mean over the sequences at each step of the direction, (n_timesteps,)."""
        step, _ = self._span.steps_and_sequences
        return np.bincount(step, self._norms) / np.bincount(step)

    def norms_by_lag(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the norms of each sequence, the last step first, and how many have each lag.

        Shapes are (n_samples, n_lags), with zeros where a sequence has ended, and (n_lags,).
        """
        by_lag = np.zeros((len(self._span.lengths), self._span.lengths[0]))
        step, sample = self._span.steps_and_sequences
        by_lag[sample, self._span.lengths[sample] - 1 - step] = self._norms
        return by_lag, self._span.batch_sizes

    def shares(self, vanished_below: float, exploded_above: float) -> dict[str, float]:
        """Return the shares of time steps whose gradient has vanished and has exploded."""
        _, sample = self._span.steps_and_sequences
        entered = self._entered[sample]
        return {
            # <= rather than <: a sequence that no gradient enters counts as vanished
            "vanished": float(np.mean(self._norms <= vanished_below * entered)),
            # not >: a gradient that overflows becomes NaN
            "exploded": float(np.mean(~(self._norms <= exploded_above * entered))),
        }


def _by_lag(
    norms: np.ndarray,
    n_samples: np.ndarray,
    quantiles: Sequence[float],
    fallen_to: Sequence[float],
) -> dict[str, np.ndarray]:
    """Compute mean, quantiles and memory lengths of what `norms_by_lag` returns."""
    n_steps = norms.shape[1]
    mean, at_quantiles = np.empty(n_steps), np.empty((len(quantiles), n_steps))
    # rows are sorted by length: lags with equally many sequences share the first n rows
    for n in np.unique(n_samples):
        lags = n_samples == n
        mean[lags] = norms[:n, lags].mean(axis=0)
        at_quantiles[:, lags] = np.quantile(norms[:n, lags], quantiles, axis=0)
    memory_lengths = []
    for share in fallen_to:
        # not >=: what overflows becomes NaN, and has not fallen
        alive = np.flatnonzero(~(mean < share * mean[0]))[-1] + 1 if mean[0] else 0
        memory_lengths.append(alive if alive < n_steps else np.inf)
    return {
        "mean": mean,
        "quantiles": at_quantiles,
        "memory_lengths": np.array(memory_lengths, dtype=np.float64),
    }
