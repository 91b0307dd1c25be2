"""HTML table of a fitted network, for the diagrams that scikit-learn shows in notebooks."""

from collections.abc import Iterator
from html import escape

import numpy as np

from skgru.model.network import Network
from skgru.model.parameters import InputWeights

DIRECTIONS = "forward", "backward"


def network_html(network: Network) -> str:
    """Return an HTML table of inputs and layers: direction, cell, inputs and units, parameters.

    The CSS classes are those of scikit-learn's table of parameters, which is shown above it.
    """
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>"
        for row in _rows(network)
    )
    return f"""
        <div class="estimator-table">
            <details>
                <summary>Fitted network</summary>
                <table class="parameters-table">
                    <tbody>
                        <tr><th>Layer</th><th>Direction</th><th>Cell</th><th>Inputs → units</th>
                        <th>Parameters</th></tr>
                        {rows}
                    </tbody>
                </table>
            </details>
        </div>
    """


def _rows(network: Network) -> Iterator[tuple[str, str, str, str, str]]:
    architecture, parts = network.architecture, network.weights
    yield from _rows_of_inputs(parts.inputs, architecture.hidden_layer_sizes[0])
    for depth, directions in enumerate(parts.layers, start=1):
        for layer, direction in zip(directions, DIRECTIONS, strict=False):
            shape = f"{len(layer.W)} → {len(layer.U)}"
            yield f"{depth}", direction, architecture.variant, shape, _size(*layer)
    of_states = "every state" if architecture.return_sequences else architecture.pooling
    shape = f"{architecture.width} → {architecture.n_outputs}"
    yield "output", "", of_states, shape, _size(parts.query, *parts.head)
    yield "all", "", "", "", _size(network.parameters)


def _rows_of_inputs(inputs: InputWeights, n_units: int) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield what there is of categories, two of each channel for unknown and missing; and decay."""
    if inputs.embedding.size:
        n_categories, dim = inputs.embedding.shape
        yield "inputs", "", "embedding", f"{n_categories} → {dim}", _size(inputs.embedding)
    for table, direction in zip(inputs.tables, DIRECTIONS, strict=False):
        yield "inputs", direction, "categories", f"{len(table)} → {n_units}", _size(table)
    for decay, direction in zip(inputs.decays, DIRECTIONS, strict=False):
        n_channels = len(decay.W_h)
        shape = f"{n_channels} → {n_channels} + {n_units}"
        yield "inputs", direction, "decay", shape, _size(*decay)


def _size(*arrays: np.ndarray) -> str:
    return f"{sum(array.size for array in arrays):,}"
