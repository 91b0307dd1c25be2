"""The penalized loss of a network on training sequences, as a function of its parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np
from sklearn.utils import gen_batches

from skgru.losses import Loss
from skgru.model.buffers import Buffers
from skgru.model.dropout import Dropout
from skgru.model.network import Network
from skgru.model.parameters import Parameters
from skgru.model.propagation import Propagation
from skgru.model.workers import Workers
from skgru.sequences import Examples, Sequences, Span, Targets

# Sequences per forward and backward pass of L-BFGS: enough for large products, few enough for
# the cache.
FULL_BATCH_CHUNK = 256

# A loss that diverges is reported as an error with its epoch; NumPy's warnings would add nothing.
quiet_overflow = np.errstate(over="ignore", invalid="ignore")


@dataclass
class Objective:
    """The penalized loss of a network on training sequences, as a function of its parameters.

    ``Σ_i w_i loss_i / Σ_i w_i + alpha/2 ‖weights‖² / Σ_i w_i``, in a minibatch with Σ_i w_i
    estimated as the number of its samples times the mean weight of all samples, so that
    its expectation over minibatches has the same data term. With a target for each step, i is a
    step, and the weight of a sample the sum of those of its steps.

    Attributes
    ----------
    network : Network
    loss : Loss
    sequences : Sequences
    targets : Targets
    samples : ndarray of int
        The samples to train on, among those of the sequences.
    alpha : float
    workers : Workers
    bptt_steps : int or None
        Steps that gradients go back; None is all.
    dropout, recurrent_dropout : float
    random_state : RandomState or None
        Draws the seeds of dropout.
    segments : ndarray of shape (n, 2)
        The parts of the flat vector to which the samples of the last gradient belong.
    """

    network: Network
    loss: Loss
    sequences: Sequences
    targets: Targets
    samples: np.ndarray
    alpha: float
    workers: Workers
    bptt_steps: int | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    random_state: np.random.RandomState | None = None

    @quiet_overflow
    def __post_init__(self) -> None:
        total = float(self.targets.sample_weights()[self.samples].sum())
        self.buffers: Buffers = Buffers(self.network)
        self._propagations: dict[int, Propagation] = {}
        self.segments: np.ndarray = self.network.segments()
        self.mean_weight: float = total / max(len(self.samples), 1)
        # in units of the weights, of which the targets hold no power of two
        self._alpha = float(np.ldexp(self.alpha, -self.targets.exponent))

    @quiet_overflow
    def check_penalty(self, n_samples: int) -> None:
        """Raise ValueError if the penalty is so large that nothing is left of the data.

        Parameters
        ----------
        n_samples : int
            Samples per update.
        """
        info = np.finfo(self.network.dtype)
        with_weights_of_1 = self.alpha / n_samples
        if with_weights_of_1 > float(info.max) ** 0.5:
            raise ValueError(
                f"alpha={self.alpha:.2g} is too large for {self.network.dtype}: the norm of the "
                "penalty's gradient would overflow."
            )
        limit = 1 / float(info.eps)
        if with_weights_of_1 <= limit < self._alpha / (n_samples * self.mean_weight):
            mean = np.ldexp(self.mean_weight, self.targets.exponent)
            raise ValueError(
                f"The weights of the training samples have a mean of {mean:.2g}. The penalty "
                f"(alpha={self.alpha:.2g}) is divided by their sum, and so large then that nothing "
                f"is left of the data in {self.network.dtype}. Multiply sample_weight (or "
                "class_weight) so that the mean is about 1, or set alpha=0."
            )

    def minibatch(self, samples: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Compute value, gradient and its norm on some of the samples, in one pass.

        The gradient is undefined outside of `segments`, which leave out the rows of categories
        that the samples lack; their weights do not count in the penalty either. The next call
        overwrites it.
        """
        if self.sequences.codes is not None:
            self.segments = self._segments_of(self.sequences.rows(samples))
        total = len(samples) * self.mean_weight
        value, shares = self._data_term(samples, total)
        return self._penalized(value, shares, total)

    def by_window(self, samples: np.ndarray) -> Iterator[tuple[int, float, np.ndarray, float]]:
        """Yield what `minibatch` returns for one window of `bptt_steps` after the other.

        States pass from each window to the next; the parameters may change in between.

        Yields
        ------
        n_steps : int
            Of all sequences, in this window.
        value, gradient, norm
        """
        n_samples, span = len(samples), self.sequences.span(samples)
        n_steps = n_samples * min(int(span.lengths[0]), self.bptt_steps)
        n_shards = self.network.n_shards(n_samples, n_steps, at_least_two=True)
        shards = span.deal(n_shards)
        windows = [shard.windows(self.bptt_steps) for shard in shards]
        n_windows = max(map(len, windows))
        # windows end together: shards of shorter sequences begin later
        windows = [[None] * (n_windows - len(spans)) + spans for spans in windows]
        n_steps_of_all = int(self.sequences.lengths[self.samples].sum())
        weight_of_step = self.mean_weight * len(self.samples) / n_steps_of_all
        dropout, h = self._draw_dropout(), [None] * len(shards)
        for window, spans in enumerate(zip(*windows, strict=True)):
            running = [span for span in spans if span is not None]
            n_steps = sum(int(span.lengths.sum()) for span in running)
            total = n_steps * weight_of_step
            if self.sequences.codes is not None:
                self.segments = self._segments_of(np.concatenate([span.rows for span in running]))
            gradients, views = self.buffers.gradients(n_shards)
            results = self.workers.map(
                partial(self._window_of_shard, dropout=dropout, window=window, total=total),
                list(zip(range(n_shards), shards, spans, h, gradients, views, strict=True)),
            )
            values, h = zip(*results, strict=True)
            yield n_steps, *self._penalized(sum(values), gradients, total)

    def _window_of_shard(
        self,
        shard: tuple[int, Span, Span | None, np.ndarray | None, np.ndarray, Parameters],
        *,
        dropout: Dropout,
        window: int,
        total: float,
    ) -> tuple[float, np.ndarray | None]:
        """Compute the loss of a window, its last states, and its gradient with these views."""
        number, sequences, span, h, gradient, views = shard
        self._clear(gradient)
        if span is None:
            return 0.0, None
        return self.passes_over(number, dropout).window_value_and_gradient(
            self.examples(sequences, total), self.loss, views, span=span, h=h, window=window
        )

    def full_batch(self) -> tuple[float, np.ndarray, float]:
        """Compute value, gradient and its norm on all samples, in chunks."""
        self.segments = self.network.segments()
        total = len(self.samples) * self.mean_weight
        value, gradient = 0.0, np.zeros_like(self.network.parameters)
        for chunk in gen_batches(len(self.samples), FULL_BATCH_CHUNK):
            chunk_value, shares = self._data_term(self.samples[chunk], total)
            value += chunk_value
            gradient += shares.sum(axis=0)
        return self._penalized(value, gradient[np.newaxis], total)

    def loss_without_dropout(self) -> float:
        """Compute the penalized loss on all samples, as `full_batch` does, but of all units."""
        rates = self.dropout, self.recurrent_dropout
        self.dropout = self.recurrent_dropout = 0.0
        try:
            return self.full_batch()[0]
        finally:
            self.dropout, self.recurrent_dropout = rates

    def _data_term(self, samples: np.ndarray, total: float) -> tuple[float, np.ndarray]:
        """Compute the value of the loss, and the share of each shard in its gradient."""
        # shards depend on the samples alone, and not on the threads: so do the bits of their sum
        span = self.sequences.span(samples)
        shards = span.deal(self.network.n_shards(len(samples), span.n_steps))
        gradients, views = self.buffers.gradients(len(shards))
        dropout = self._draw_dropout()

        def run_shard(i: int) -> float:
            self._clear(gradients[i])
            return self.passes_over(i, dropout).value_and_gradient(
                self.examples(shards[i], total), self.loss, self.bptt_steps, views[i]
            )

        return sum(self.workers.map(run_shard, range(len(shards)))), gradients

    def _clear(self, gradient: np.ndarray) -> None:
        """Set the gradient of a shard to zero where it takes part."""
        if self.sequences.codes is None:
            gradient.fill(0)
        else:
            self.network.kernels.clear(gradient[np.newaxis], self.segments)

    def _segments_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the segments of the categories in these rows of the sequences."""
        codes = self.sequences.codes.take(rows, axis=0)
        return self.network.segments(codes + self.network.first_rows)

    def _draw_dropout(self) -> Dropout:
        if not (self.dropout or self.recurrent_dropout):
            return Dropout()
        seed = int(self.random_state.randint(2**63, dtype=np.int64))
        return Dropout(self.dropout, self.recurrent_dropout, seed)

    def examples(self, span: Span, total: float) -> Examples:
        """Describe sequences whose losses are divided by `total`."""
        return Examples(self.sequences, span, self.targets, total)

    def passes_over(self, shard: int, dropout: Dropout) -> Propagation:
        """Return the passes over the shards of this number, with the masks of this minibatch."""
        if shard not in self._propagations:
            self._propagations[shard] = Propagation(
                self.network,
                self.buffers.parameters,
                lambda name, shape: self.buffers.empty((shard, name), shape),
                shard=shard,
            )
        self._propagations[shard].dropout = dropout
        return self._propagations[shard]

    def _penalized(
        self, value: float, shares: np.ndarray, total: float
    ) -> tuple[float, np.ndarray, float]:
        """Add up the shares of the shards in the gradient, and the penalty, in the first share."""
        decay, gradient = self._alpha / total, shares[0]
        norm, squared_weights = self.network.kernels.penalized_gradient(
            shares, self.network.parameters, self.network.n_weights, decay, self.segments, gradient
        )
        return value + 0.5 * decay * squared_weights, gradient, norm


def check_finite(value: float, norm: float, when: str) -> None:
    """Raise ValueError if the loss or the norm of its gradient is not finite."""
    if not (isfinite(value) and isfinite(norm)):
        raise ValueError(
            f"Training diverged: in {when} the loss was {value} and the norm of its gradient "
            f"{norm}. Scale X (and y) to unit variance, or lower learning_rate_init."
        )
