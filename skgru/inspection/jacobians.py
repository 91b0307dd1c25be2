"""Jacobians of the recurrence: one step, and the product of all steps to the end."""

from typing import Any

import numpy as np

from skgru._sklearn import Bunch
from skgru.inspection.passes import Direction, ForwardPass, Inspected


def step_jacobian(
    estimator: Any, X: Any, *, chunk_size: int = 32, return_matrices: bool = False
) -> Bunch:
    """Compute the Jacobian of every step, J_t[i, j] = ∂h_t[j] / ∂h_{t-1}[i].

    For a GRU (z=1 keeps the past; reset gate before the product) it is the sum of four parts::

        carry      diag(z)
        update     U_z diag((h_{t-1} - h̃) ⊙ z ⊙ (1 - z))
        candidate  diag(r) U_h diag((1 - z) ⊙ (1 - h̃²))
        reset      U_r diag(h_{t-1} ⊙ r ⊙ (1 - r)) U_h diag((1 - z) ⊙ (1 - h̃²))

    It is the identity if z=1, the Jacobian of a plain tanh network if z=0 and r=1, and 0 if z=0 and
    r=0. The parts of other cells are named after their gates. For cells with a cell state, the
    Jacobian is that of [h | c]. The inputs of a layer are held fixed. With ``missing="decay"``, a
    step of the first layer begins with γ_t ⊙ h_{t-1}, and each part is diag(γ_t) times the above.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator; see `gate_activations`.
    X : array-like
        Sequences, as in `fit`.
    chunk_size : int, default=32
        Number of sequences that are processed together. Each takes the memory of about ten
        matrices of (n_units, n_units) doubles.
    return_matrices : bool, default=False
        Whether to return all Jacobians and their parts too, which takes one matrix per time step
        of each sequence.

    Returns
    -------
    jacobians : Bunch
        A Bunch with one attribute:

        layers : list of Bunch
            One per entry of the estimator's `layers_`, with `layer`, ``direction`` and the
            following. Each is an array of shape (n_samples, n_timesteps), or a list of arrays of
            shape (n_timesteps_i,) if X is a list.

            spectral_norm
                The 2-norm of J_t: the largest factor by which the step amplifies a small change.
            spectral_radius
                The largest magnitude of an eigenvalue of J_t.
            parts : dict
                The 2-norm of each part.
            log_norm_to_end
                Natural logarithm of the 2-norm of ∂h_T / ∂h_{t-1}, the product of the Jacobians
                from step t to the last step T of the direction; -inf if the norm is 0. The product
                is rescaled at every step, so that it neither overflows nor underflows. For cells
                with a cell state, it is the Jacobian of [h | c].
            matrices, part_matrices : with `return_matrices`
                J_t, with two more axes of the size of the state, and a dict of its parts.

        The first step has a Jacobian too: that with respect to the initial state, which is zero.

    Raises
    ------
    ValueError
        If chunk_size is not positive.

    See Also
    --------
    gradient_flow : Compute the gradient of every state.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013, arXiv:1211.5063.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import step_jacobian
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> layer = step_jacobian(model, X[:2]).layers[0]
    >>> [norm.shape for norm in layer.spectral_norm]
    [(20,), (26,)]
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
    inspected = Inspected(estimator, X)
    directions = inspected.directions
    collected = [
        _JacobianCollector(inspected, direction, return_matrices) for direction in directions
    ]
    for forward in inspected.passes(chunk_size):
        for steps in collected:
            steps.add(forward)
    return Bunch(
        layers=[
            Bunch(layer=direction.layer, direction=direction.name, **steps.in_form_of_x())
            for direction, steps in zip(directions, collected, strict=True)
        ]
    )


class _JacobianCollector:
    """Collects norms and products of the Jacobians of one direction of one layer."""

    def __init__(self, inspected: Inspected, direction: Direction, keep_matrices: bool) -> None:
        self._inspected = inspected
        self._direction = direction
        self._keep_matrices = keep_matrices
        self._found: dict[tuple[str, ...], np.ndarray] = {}

    def add(self, forward: ForwardPass) -> None:
        """Add the time steps of the sequences of a forward pass, from the last to the first."""
        direction, n_steps = self._direction, len(forward.batch_sizes)
        H = len(direction.weights.U)
        size = H * self._inspected.network.cell.n_states
        # ∂h_T / ∂h_t of each sequence, scaled to norm 1, and the logarithm of its actual norm
        product = np.broadcast_to(np.eye(size), (forward.batch_sizes[0], size, size)).copy()
        log_scale = np.zeros(len(product))
        packed: dict[tuple[str, ...], np.ndarray] = {}

        def put(name: tuple[str, ...], t: int, values: np.ndarray) -> None:
            if name not in packed:
                packed[name] = np.empty((forward.slices[-1].stop, *values.shape[1:]))
            packed[name][forward.slices[t]] = values

        for t in reversed(range(n_steps)):
            n = forward.batch_sizes[t]
            parts = forward.jacobian(direction, t)
            jacobian = sum(parts.values())
            put(("spectral_norm",), t, _norms(jacobian))
            put(("spectral_radius",), t, np.abs(np.linalg.eigvals(jacobian)).max(axis=1))
            for name, part in parts.items():
                put(("parts", name), t, _norms(part))
            if self._keep_matrices:
                put(("matrices",), t, jacobian)
                for name, part in parts.items():
                    put(("part_matrices", name), t, part)
            product[:n] = jacobian @ product[:n]
            norms = _norms(product[:n])
            with np.errstate(divide="ignore"):
                log_scale[:n] += np.log(norms)
            put(("log_norm_to_end",), t, log_scale[:n])
            product[:n] /= np.where(norms > 0, norms, 1)[:, np.newaxis, np.newaxis]
        for name, rows in packed.items():
            self._unpack(forward, name, rows)

    def _unpack(self, forward: ForwardPass, name: tuple[str, ...], rows: np.ndarray) -> None:
        shape = rows.shape[1:]
        if name not in self._found:
            n_rows = len(self._inspected.sequences.values)
            self._found[name] = np.empty((n_rows, *shape))
        flat = self._found[name].reshape(len(self._found[name]), -1)
        self._inspected.unpack(forward.span, self._direction, rows.reshape(len(rows), -1), flat)

    def in_form_of_x(self) -> dict[str, Any]:
        """Return all collected values in the form of X."""
        result: dict[str, Any] = {}
        for (name, *part), values in self._found.items():
            by_step = self._inspected.sequences.by_step(values)
            if part:
                result.setdefault(name, {})[part[0]] = by_step
            else:
                result[name] = by_step
        return result


def _norms(matrices: np.ndarray) -> np.ndarray:
    return np.linalg.norm(matrices, 2, axis=(1, 2))
