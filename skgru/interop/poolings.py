"""Each pooling in the terms of other runtimes: ONNX, PyTorch and C.

A new pooling is an entry of `FORMS`; exporters raise for a pooling that has none.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from skgru.interop.onnx import Graph


class CForm(NamedTuple):
    """A pooling as C statements, one time step after the other.

    Attributes
    ----------
    first : str
        Value of `pooled` before the first step.
    update : str
        Statement for every unit j, with the state `{h}` and the pooled state `{pooled}`.
    counts_steps : bool
        Whether the statement needs the number of steps, `state->n_steps[0]`.
    """

    first: str
    update: str
    counts_steps: bool = False


class Form(NamedTuple):
    """One pooling in all runtimes.

    Attributes
    ----------
    onnx : callable or None
        Takes the graph, states (n_timesteps, n_samples, width), a mask (n_timesteps, n_samples,
        1) of the steps that are not padding, or "", and the query; adds nodes and returns the
        name of the pooled states (n_samples, width). None if the last state needs no nodes.
    torch : callable or None
        Takes states (n_samples, n_timesteps, width), which are 0 in the padding, a mask or None,
        and the query; returns the pooled states.
    c : CForm or None
        None if it cannot be computed step by step in constant memory, or needs no statement.
    """

    onnx: Callable[["Graph", str, str, np.ndarray], str] | None
    torch: Callable[["Tensor", "Tensor | None", "Tensor | None"], "Tensor"] | None
    c: CForm | None


def form_of(pooling: str) -> Form:
    """Look up a pooling.

    Raises
    ------
    NotImplementedError
        If it has no form in other runtimes.
    """
    if pooling not in FORMS:
        raise NotImplementedError(
            f"pooling={pooling!r} has no form in other runtimes; {list(FORMS)} have."
        )
    return FORMS[pooling]


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
    """Set padding to 0, as onnxruntime has it; ONNX does not say what stands there."""
    return graph.add("Where", present, states, np.array(np.float32(0))) if present else states


def _onnx_lowest_padding(graph: "Graph", values: str, present: str) -> str:
    return graph.add("Where", present, values, np.array(np.float32(-np.inf))) if present else values


def _torch_lowest_padding(values: "Tensor", present: "Tensor | None") -> "Tensor":
    return values if present is None else values.masked_fill(~present, -np.inf)


FORMS: dict[str, Any] = {
    "last": Form(None, None, None),
    "mean": Form(
        _onnx_mean,
        _torch_mean,
        CForm("0.0f", "{pooled} += ({h} - {pooled}) / state->n_steps[0];", counts_steps=True),
    ),
    # no state of any cell is below -1
    "max": Form(
        _onnx_max, _torch_max, CForm("-1.0f", "{pooled} = {h} > {pooled} ? {h} : {pooled};")
    ),
    "attention": Form(_onnx_attention, _torch_attention, None),
}
