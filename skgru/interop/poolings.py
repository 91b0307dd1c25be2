"""Poolings in ONNX, PyTorch and C.

To export a new pooling, add it to `EXPORTED_POOLINGS`. The exporters raise for any other pooling.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from skgru.interop.onnx_graph import Graph


class CPooling(NamedTuple):
    """A pooling as C code, computed one time step at a time.

    Attributes
    ----------
    first : str
        Value of `pooled` before the first step.
    update : str
        Statement that updates the pooled state `{pooled}` of unit j with its state `{h}`.
    counts_steps : bool
        Whether `update` uses the number of time steps so far, `state->n_steps[0]`.
    """

    first: str
    update: str
    counts_steps: bool = False


class ExportedPooling(NamedTuple):
    """Implementations of a pooling in other runtimes.

    Attributes
    ----------
    onnx : callable or None
        Adds nodes to a graph and returns the name of the pooled states, (n_samples, width). Its
        arguments are the graph, the states (n_timesteps, n_samples, width), a mask (n_timesteps,
        n_samples, 1) of the time steps that are not padding, or "", and the query. None if the last
        state is used as it is.
    torch : callable or None
        Takes states (n_samples, n_timesteps, width) that are 0 in the padding, a mask or None, and
        the query; returns the pooled states. None if the last state is used as it is.
    c : CPooling or None
        None if the last state is used as it is, or if the pooling cannot be computed one time step
        at a time in constant memory.
    """

    onnx: Callable[["Graph", str, str, np.ndarray], str] | None
    torch: Callable[["Tensor", "Tensor | None", "Tensor | None"], "Tensor"] | None
    c: CPooling | None


def exported_pooling(pooling: str) -> ExportedPooling:
    """Return the implementations of a pooling.

    Raises
    ------
    NotImplementedError
        If the pooling cannot be exported.
    """
    if pooling not in EXPORTED_POOLINGS:
        raise NotImplementedError(
            f"pooling={pooling!r} has no form in other runtimes; {list(EXPORTED_POOLINGS)} have."
        )
    return EXPORTED_POOLINGS[pooling]


def _type(name: str) -> int:
    from onnx import TensorProto

    return TensorProto.DataType.Value(name)


STEPS = np.array([0])  # the axis of time


# ---- mean --------------------------------------------------------------------------------------


def _onnx_mean(graph: "Graph", states: str, present: str, query: np.ndarray) -> str:
    if not present:
        return graph.add("ReduceMean", states, STEPS, keepdims=0)
    counts = graph.add("Cast", present, to=_type("FLOAT"))
    counts = graph.add("ReduceSum", counts, STEPS, keepdims=0)
    total = graph.add("ReduceSum", _onnx_zero_padding(graph, states, present), STEPS, keepdims=0)
    return graph.add("Div", total, counts)


def _torch_mean(states: "Tensor", present: "Tensor | None", query: "Tensor | None") -> "Tensor":
    return states.mean(dim=1) if present is None else states.sum(dim=1) / present.sum(dim=1)


# ---- max ---------------------------------------------------------------------------------------


def _onnx_max(graph: "Graph", states: str, present: str, query: np.ndarray) -> str:
    return graph.add("ReduceMax", _onnx_lowest_padding(graph, states, present), STEPS, keepdims=0)


def _torch_max(states: "Tensor", present: "Tensor | None", query: "Tensor | None") -> "Tensor":
    return _torch_lowest_padding(states, present).amax(dim=1)


# ---- attention ---------------------------------------------------------------------------------


def _onnx_attention(graph: "Graph", states: str, present: str, query: np.ndarray) -> str:
    states = _onnx_zero_padding(graph, states, present)
    scores = graph.add("MatMul", states, query[:, np.newaxis])
    weights = graph.add("Softmax", _onnx_lowest_padding(graph, scores, present), axis=0)
    return graph.add("ReduceSum", graph.add("Mul", weights, states), STEPS, keepdims=0)


def _torch_attention(
    states: "Tensor", present: "Tensor | None", query: "Tensor | None"
) -> "Tensor":
    scores = _torch_lowest_padding((states @ query)[:, :, None], present)
    return (scores.softmax(dim=1) * states).sum(dim=1)


# ---- padding -----------------------------------------------------------------------------------


def _onnx_zero_padding(graph: "Graph", states: str, present: str) -> str:
    """Set states in the padding to 0. onnxruntime does, but ONNX does not require it."""
    return graph.add("Where", present, states, np.array(np.float32(0))) if present else states


def _onnx_lowest_padding(graph: "Graph", values: str, present: str) -> str:
    return graph.add("Where", present, values, np.array(np.float32(-np.inf))) if present else values


def _torch_lowest_padding(values: "Tensor", present: "Tensor | None") -> "Tensor":
    return values if present is None else values.masked_fill(~present, -np.inf)


EXPORTED_POOLINGS: dict[str, Any] = {
    "last": ExportedPooling(None, None, None),
    "mean": ExportedPooling(
        _onnx_mean,
        _torch_mean,
        CPooling("0.0f", "{pooled} += ({h} - {pooled}) / state->n_steps[0];", counts_steps=True),
    ),
    # no cell has states below -1
    "max": ExportedPooling(
        _onnx_max, _torch_max, CPooling("-1.0f", "{pooled} = {h} > {pooled} ? {h} : {pooled};")
    ),
    "attention": ExportedPooling(_onnx_attention, _torch_attention, None),
}
