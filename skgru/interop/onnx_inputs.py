"""Categories as nodes of an ONNX graph."""

import numpy as np

from skgru.interop.inputs import Categorical, ExportedInputs
from skgru.interop.onnx_graph import Graph


def add_inputs(graph: Graph, inputs: ExportedInputs, embedding: np.ndarray, x: str) -> str:
    """Add the inputs of the first layer to a graph.

    Parameters
    ----------
    graph : Graph
    inputs : ExportedInputs
    embedding : ndarray of shape (n_rows, embedding_dim), or (0, 0)
    x : str
        Name of X, of shape (n_samples, n_timesteps, n_channels).

    Returns
    -------
    x : str
        Name of the numbers, and beside them of each category its row of the embedding, or without
        one a one-hot row: the weights have a row for each category then, see `one_hot_layers`.
    """
    if not inputs.categorical:
        return x
    parts = [graph.add("Gather", x, np.array(inputs.numeric), axis=-1)] if inputs.numeric else []
    for categorical in inputs.categorical:
        rows = _add_one_hot(graph, categorical, x)
        if embedding.size:
            rows = graph.add("MatMul", rows, embedding[categorical.rows])
        parts.append(rows)
    return graph.add("Concat", *parts, axis=-1)


def _add_one_hot(graph: Graph, categorical: Categorical, x: str) -> str:
    """Compare a channel with all categories; two columns more are those of other values and NaN."""
    from onnx import TensorProto

    value = graph.add("Gather", x, np.array([categorical.channel]), axis=-1)
    equal = graph.add("Equal", value, categorical.values)
    known, missing = (
        graph.add("Cast", name, to=TensorProto.FLOAT) for name in (equal, graph.add("IsNaN", value))
    )
    found = graph.add("ReduceSum", known, np.array([-1]), keepdims=1)
    unknown = graph.add("Sub", np.array(np.float32(1)), graph.add("Add", found, missing))
    return graph.add("Concat", known, unknown, missing, axis=-1)
