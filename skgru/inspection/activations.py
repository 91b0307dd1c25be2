"""Activations of the gates over time, and how often units keep, replace or forget the past."""

from typing import Any

import numpy as np

from skgru._sklearn import Bunch
from skgru.inspection.passes import Inspected

# Sequences per forward pass: enough for large matrix products.
CHUNK_SIZE = 64


def gate_activations(estimator: Any, X: Any) -> Bunch:
    """Compute the gates and states of every layer at every time step.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator. Of a pipeline, the last step is inspected, on X as transformed by the
        steps before it; of a search, the best estimator.
    X : array-like
        Sequences, as in `fit`.

    Returns
    -------
    activations : Bunch
        A Bunch with one attribute:

        layers : list of Bunch
            One per entry of the estimator's `layers_`, with `layer`, ``direction`` ("forward" or
            "backward"), ``hidden`` (the hidden state h_t), and the activations of the cell:

            =============== ==================================================================
            "gru"           ``reset_gate``, ``update_gate``, ``candidate``; with `reset_after` also
                            ``product``, which is h_{t-1} U_h + c
            "light_gru"     ``update_gate``, ``candidate``
            "mgu"           ``forget_gate``, ``candidate``
            "rnn"           ``candidate``
            "lstm"          ``input_gate``, ``forget_gate``, ``output_gate``, ``candidate``,
                            ``cell_state``
            "cifg"          ``forget_gate``, ``output_gate``, ``candidate``, ``cell_state``
            =============== ==================================================================

            Each is an ndarray of shape (n_samples, n_timesteps, n_units), with NaN after the end
            of shorter sequences. If X is a list, it is a list of arrays of shape
            (n_timesteps_i, n_units). Entry t belongs to time step t of X, in both directions.

    See Also
    --------
    gate_regimes : Count how often gates are open or closed.
    GateActivityDisplay : Draw gates and states.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import gate_activations
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> layer = gate_activations(model, X[:5]).layers[0]
    >>> [z.shape for z in layer.update_gate]
    [(20, 16), (26, 16), (22, 16), (20, 16), (21, 16)]
    """
    return activations_of(Inspected(estimator, X))


def activations_of(inspected: Inspected) -> Bunch:
    """Return what `gate_activations` returns."""
    sequences, directions = inspected.sequences, inspected.directions
    found = [
        {
            name: np.empty((len(sequences.values), len(direction.weights.U)))
            for name in (*inspected.cell.gates, "hidden")
        }
        for direction in directions
    ]
    for forward in inspected.passes(CHUNK_SIZE):
        for direction, values in zip(directions, found, strict=True):
            kept = {**forward.gates(direction), "hidden": forward.states(direction)}
            for name, packed in kept.items():
                inspected.unpack(
                    forward.span, direction, np.ascontiguousarray(packed), values[name]
                )
    return Bunch(
        layers=[
            Bunch(
                layer=direction.layer,
                direction=direction.name,
                **{name: sequences.by_step(of_steps) for name, of_steps in values.items()},
            )
            for direction, values in zip(directions, found, strict=True)
        ]
    )


def gate_regimes(estimator: Any, X: Any, *, closed: float = 0.1, open: float = 0.9) -> Bunch:
    """Count how often units keep their state, replace it, or forget it.

    With update gate z and reset gate r, a unit at a time step is in the regime

    - "keep" if z >= `open`: state and gradient pass unchanged,
    - "plain" if z <= `closed` and r >= `open`: the unit works as in a plain tanh network,
    - "cut" if z <= `closed` and r <= `closed`: neither state nor gradient passes,
    - "between" otherwise.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline or search
        A fitted estimator; see `gate_activations`.
    X : array-like
        Sequences, as in `fit`.
    closed, open : float, default=0.1, 0.9
        Highest value at which a gate counts as closed, and lowest at which it counts as open.

    Returns
    -------
    regimes : Bunch
        A Bunch with one attribute:

        layers : list of Bunch
            One per entry of the estimator's `layers_`, with `layer`, ``direction``, and

            keep, plain, cut, between : float
                Share of each regime, over all units and time steps; the shares add up to 1.
            over_time : dict of ndarray of shape (n_timesteps,)
                The same shares for each time step of X, over the sequences that have it.

    Raises
    ------
    ValueError
        Unless 0 <= closed < open <= 1.

    See Also
    --------
    gate_activations : Compute the gates themselves.
    GateRegimesDisplay : Draw the shares over time.

    Notes
    -----
    Cells other than the GRU have these z and r:

    - "mgu": 1 - f and f,
    - "light_gru": z and 1, as it has no reset gate,
    - "rnn": 0 and 1, so that all units are "plain",
    - "lstm": f and i, of the cell state,
    - "cifg": f and 1 - f, of the cell state.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.inspection import gate_regimes
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> model = GRUClassifier(16, random_state=0).partial_fit(X, y, classes=range(1, 10))
    >>> layer = gate_regimes(model, X[:5]).layers[0]
    >>> round(float(layer.keep + layer.plain + layer.cut + layer.between), 6)
    1.0
    """
    if not 0 <= closed < open <= 1:
        raise ValueError(f"need 0 <= closed < open <= 1, got closed={closed} and open={open}.")
    inspected = Inspected(estimator, X)
    sequences, directions = inspected.sequences, inspected.directions
    # share of units at each time step of X, one column per regime
    names = ("keep", "plain", "cut")
    found = [np.empty((len(sequences.values), len(names))) for _ in directions]
    for forward in inspected.passes(CHUNK_SIZE):
        for direction, values in zip(directions, found, strict=True):
            z, r = inspected.cell.update_and_reset(forward.gates(direction))
            replaced = z <= closed
            regimes = (z >= open, replaced & (r >= open), replaced & (r <= closed))
            shares = np.column_stack([units.mean(axis=1) for units in regimes])
            inspected.unpack(forward.span, direction, shares, values)

    n_running = np.bincount(sequences.steps)

    def summary(shares: np.ndarray) -> Bunch:
        total = dict(zip(names, shares.mean(axis=0).tolist(), strict=True))
        over_time = {
            name: np.bincount(sequences.steps, column) / n_running
            for name, column in zip(names, shares.T, strict=True)
        }
        over_time["between"] = np.maximum(1 - sum(over_time.values()), 0)
        return Bunch(**total, between=max(1 - sum(total.values()), 0.0), over_time=over_time)

    return Bunch(
        layers=[
            Bunch(layer=direction.layer, direction=direction.name, **summary(shares))
            for direction, shares in zip(directions, found, strict=True)
        ]
    )
