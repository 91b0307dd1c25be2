"""Export `Patches` as nodes of an ONNX graph."""

import numpy as np

from skgru.interop.onnx_graph import Graph
from skgru.preprocessing import Patches


def add_patches(graph: Graph, patches: Patches, x: str, lengths: str) -> tuple[str, str]:
    """Add fitted patches to a graph.

    Parameters
    ----------
    graph : Graph
    patches : Patches
    x : str
        Name of X: float32 of shape (n_samples, n_timesteps, n_channels), or (n_samples,
        n_timesteps * n_channels) if `patches` was fitted on a table.
    lengths : str
        Name of the lengths: int64 of shape (n_samples,), or "" if there is no padding.

    Returns
    -------
    x : str
        Name of the patches, with as many dimensions as x. Patches after the last one of a sequence
        repeat its last time step.
    lengths : str
        Name of the number of patches per sequence, or "".
    """
    size, stride = patches.size_, patches.stride_
    if patches._fitted_on_table:
        x = graph.add("Reshape", x, np.array([0, -1, patches._n_channels_in]))
    n_steps = graph.add("Gather", graph.add("Shape", x), np.array(1))
    one, step = np.array(1), np.array(stride)
    counts = _add_count(graph, n_steps, size, stride)
    firsts = graph.add("Mul", graph.add("Range", np.array(0), counts, one), step)
    steps = graph.add("Add", graph.add("Unsqueeze", firsts, one[np.newaxis]), np.arange(size))
    last = graph.add("Sub", lengths or n_steps, one)
    if lengths:
        # indices of the time steps per sequence: (n_samples, n_patches, size, 1)
        last = graph.add("Unsqueeze", last, np.array([1, 2]))
        steps = graph.add("Unsqueeze", graph.add("Min", steps, last), np.array([3]))
        read = graph.add("GatherND", x, steps, batch_dims=1)
        lengths = _add_count(graph, lengths, size, stride)
    else:
        read = graph.add("Gather", x, graph.add("Min", steps, last), axis=1)
    # (n_samples, n_patches, size, n_channels)
    shape = [0, -1] if patches._fitted_on_table else [0, 0, patches._n_channels_out]
    return graph.add("Reshape", read, np.array(shape)), lengths


def _add_count(graph: Graph, lengths: str, size: int, stride: int) -> str:
    """Count the patches of sequences: 1 + ⌈max(length - size, 0) / stride⌉."""
    beyond = graph.add("Max", graph.add("Sub", lengths, np.array(size)), np.array(0))
    # ONNX truncates the division of integers
    strides = graph.add("Div", graph.add("Add", beyond, np.array(stride - 1)), np.array(stride))
    return graph.add("Add", strides, np.array(1))
