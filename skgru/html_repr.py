"""HTML table of a fitted network, for the diagrams that scikit-learn shows in notebooks."""

from collections.abc import Iterator
from html import escape

import numpy as np

from skgru.model.network import Network


def network_html(network: Network) -> str:
    """Return an HTML table of the layers: direction, cell, inputs and units, parameters.

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
    architecture, parts = network.architecture, network.views(network.parameters)
    for depth, directions in enumerate(parts.layers, start=1):
        for layer, direction in zip(directions, ("forward", "backward"), strict=False):
            shape = f"{len(layer.W)} → {len(layer.U)}"
            yield f"{depth}", direction, architecture.variant, shape, _size(*layer)
    of_states = "every state" if architecture.return_sequences else architecture.pooling
    shape = f"{architecture.width} → {architecture.n_outputs}"
    yield "output", "", of_states, shape, _size(parts.query, *parts.head)
    yield "all", "", "", "", _size(network.parameters)


def _size(*arrays: np.ndarray) -> str:
    return f"{sum(array.size for array in arrays):,}"
