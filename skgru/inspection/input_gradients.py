"""Forward and backward passes from the inputs of a network to one number per sequence."""

from collections.abc import Callable

import numpy as np
from sklearn.utils import gen_batches

from skgru.base import BaseGRU
from skgru.inspection.categories import CategoryLines
from skgru.inspection.responses import Response
from skgru.model.buffers import Buffers
from skgru.model.inference import PREDICT_SAMPLES
from skgru.model.network import DTYPES, Network
from skgru.model.parameters import Head, Layer, Parameters
from skgru.model.propagation import Propagation
from skgru.model.workers import Workers, n_threads
from skgru.sequences import Packed, Sequences, Span

# Numbers that the arrays of a pass have together, about; at least one sequence is computed at once.
MAX_NUMBERS = 8_000_000


class InputGradients:
    """Responses to sequences, and their gradients.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        Fitted.
    sequences : Sequences
        What the network gets.
    response : Response
        What is differentiated.
    dtype : {"float32", "float64"} or None
        None is that of the estimator.
    """

    def __init__(
        self, estimator: BaseGRU, sequences: Sequences, response: Response, dtype: str | None
    ):
        if dtype not in (None, *DTYPES):
            raise ValueError(f"dtype must be {', '.join(DTYPES)} or None, got {dtype!r}.")
        self._estimator = estimator
        self._network = fitted = estimator._network
        if dtype not in (None, fitted.dtype.name):
            self._network = Network(fitted.architecture, dtype)
            self._network.parameters[:] = fitted.parameters
        self.sequences = sequences
        self._response = response
        self._free: list[Buffers] = []  # of passes that are over

    @property
    def dtype(self) -> np.dtype:
        """That of the network."""
        return self._network.dtype

    def responses(self) -> np.ndarray:
        """Compute the response to each sequence, of shape (n_samples,)."""
        responses = np.empty(len(self.sequences))

        def run(a_pass: _Pass, chosen: np.ndarray) -> None:
            responses[chosen] = a_pass.forward(a_pass.pack(self.sequences), keep=False)

        self._in_passes(run, np.arange(len(responses)), backward=False)
        return responses

    def like(self, sequences: Sequences, samples: np.ndarray) -> "InputGradients":
        """Return the same for other sequences, in the place of these samples."""
        response = self._response.take(samples)
        return InputGradients(self._estimator, sequences, response, self.dtype.name)

    def gradients(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Compute the gradient of each response at each value; also return the "responses"."""
        everything = np.arange(len(self.sequences))
        responses, gradients = self.on_lines(None, everything, np.ones(len(everything)))
        return gradients, {"responses": responses}

    def on_lines(
        self, start: np.ndarray | None, samples: np.ndarray, points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute responses and gradients on the lines that end at the sequences.

        Parameters
        ----------
        start : ndarray of shape (sum of lengths, n_channels) or None
            Where the line of each sequence begins, at point 0; it ends at point 1. None if there is
            no other point.
        samples : ndarray of int, shape (n,)
            Number of the sequence of each point; it may appear several times.
        points : ndarray of shape (n,)

        Returns
        -------
        responses : ndarray of shape (n,)
        gradients : ndarray of shape (sum of lengths of samples, n_channels)
        """
        lengths, n_channels = self.sequences.lengths[samples], self.sequences.n_channels
        first_rows = np.cumsum(lengths) - lengths
        responses, gradients = np.empty(len(samples)), np.empty((lengths.sum(), n_channels))

        def run(a_pass: _Pass, chosen: np.ndarray) -> None:
            packed = a_pass.pack(self.sequences, start, points[chosen])
            if packed.codes is not None and start is not None:
                packed = a_pass.on_category_lines(packed)
            responses[chosen] = a_pass.forward(packed, keep=True)
            rows = Span(chosen, first_rows[chosen], lengths[chosen])
            rows.unpack(a_pass.backward(packed).astype(gradients.dtype), gradients)

        self._in_passes(run, samples, backward=True)
        return responses, gradients

    def _in_passes(
        self, run: Callable[["_Pass", np.ndarray], None], samples: np.ndarray, *, backward: bool
    ) -> None:
        """Call a function for some of the samples at a time, in threads.

        It takes a pass, and the positions of its sequences in `samples`, longest first.
        """
        arch, cell = self._network.architecture, self._network.cell
        lengths = self.sequences.lengths[samples]
        by_length = np.argsort(-lengths, kind="stable")
        # gates, states and what is saved besides, and as much again for the backward pass
        n_saved = 2 * (cell.n_gates + cell.n_extra + 1) if backward else 1
        per_step = 4 * self.sequences.n_channels
        per_step += n_saved * arch.n_directions * sum(arch.hidden_layer_sizes)
        if backward and arch.n_categories:
            # rows of categories, how they change, and their gradients
            width = arch.embedding_dim or (
                arch.n_directions * cell.n_gates * arch.hidden_layer_sizes[0]
            )
            per_step += 4 * len(arch.n_categories) * width
        n_samples = MAX_NUMBERS // (int(lengths.max()) * per_step)
        n_samples = min(max(1, n_samples), PREDICT_SAMPLES)

        def run_chunk(chunk: slice) -> None:
            chosen = by_length[chunk]
            own = samples[chosen]
            try:
                buffers = self._free.pop()
            except IndexError:  # the other threads have them
                buffers = Buffers(self._network)
            run(_Pass(self._network, buffers, self._response, self.sequences.span(own)), chosen)
            self._free.append(buffers)

        with Workers(n_threads(self._estimator.n_jobs)) as workers:
            workers.map(run_chunk, list(gen_batches(len(by_length), n_samples)))


class _Pass:
    """Some sequences that are computed together, longest first."""

    def __init__(
        self,
        network: Network,
        buffers: Buffers,
        response: Response,
        span: Span,
    ):
        self.span = span
        self._response = response
        self._network = network
        self._buffers = buffers
        self._propagation = Propagation(network, buffers.parameters, buffers.empty)
        self._gradients = _of_no_weights(buffers.parameters)
        self._lines: CategoryLines | None = None

    def pack(
        self, end: Sequences, start: np.ndarray | None = None, points: np.ndarray | None = None
    ) -> Packed:
        """Pack the sequences, or points of the lines to them, in the dtype of the network."""
        packed = end.pack(self.span)
        x = packed.x
        if start is not None:
            first = self.span.pack(start).x
            x = first + points[packed.sequence_of_row, np.newaxis] * (x - first)
        return packed._replace(x=x.astype(self._network.dtype, copy=False))

    def on_category_lines(self, packed: Packed) -> Packed:
        """Give each step the rows of its categories that are at its points of their lines."""
        self._lines = lines = CategoryLines(packed, self._network.first_rows)
        parameters = lines.parameters(self._buffers.parameters)
        self._propagation = Propagation(self._network, parameters, self._buffers.empty)
        inputs = lines.gradients(parameters).inputs._replace(decays=[])
        self._gradients = self._gradients._replace(inputs=inputs)
        return lines.packed

    def forward(self, packed: Packed, *, keep: bool) -> np.ndarray:
        """Compute the responses; keep what the backward pass needs."""
        propagation, steps = self._propagation, self._response.steps
        self._pooling = propagation.pooling(self.span.lengths)
        want_states = steps is not None or self._pooling.of_all_steps
        self._window = propagation.forward(packed, None, 0, keep=keep, want_states=want_states)
        if steps is None:
            propagation.pool(self._pooling, self._window, packed.batch_sizes, 0)
            features = self._pooling.pooled()
        else:
            features = self._window.states[self._rows(packed)]
        values, self._d_outputs = self._response(propagation.outputs(features), self.span.samples)
        return values

    def backward(self, packed: Packed) -> np.ndarray:
        """Compute the gradient of the responses of the last forward pass, of the shape of x."""
        propagation, states = self._propagation, self._window.states
        d_features = self._d_outputs @ propagation.parameters.head.W.T
        d_states, d_last = None, None
        if self._response.steps is not None:
            d_states = np.zeros_like(states)
            d_states[self._rows(packed)] = d_features
        elif self._pooling.of_all_steps:
            d_states = propagation.empty("d_states", states.shape)
            of_steps = Packed(states, packed.batch_sizes)
            self._pooling.backward(d_features, of_steps, 0, d_states, self._gradients.query)
        else:
            d_last = d_features
        gradients = propagation.backward(
            self._window,
            packed.batch_sizes,
            d_states=d_states,
            d_last=d_last,
            d_parameters=self._gradients,
            of_inputs=True,
        )
        if self._lines is None:
            return gradients
        of_lines = self._lines.backward(self._buffers.parameters, self._gradients)
        return np.hstack([gradients, of_lines])

    def _rows(self, packed: Packed) -> np.ndarray:
        """Return the packed row of the time step of each response."""
        first_rows = np.cumsum(packed.batch_sizes) - packed.batch_sizes
        samples = self.span.samples
        return first_rows[self._response.steps[samples]] + np.arange(len(samples))


def _of_no_weights(parameters: Parameters) -> Parameters:
    """Return arrays for gradients of which those of weights are empty: they are not wanted."""
    none = np.empty((0, 0), parameters.query.dtype)
    layer = Layer(none, none, none.ravel(), none.ravel())
    return Parameters(
        layers=[[layer] * len(directions) for directions in parameters.layers],
        query=np.zeros_like(parameters.query),
        head=Head(none, none.ravel()),
    )
