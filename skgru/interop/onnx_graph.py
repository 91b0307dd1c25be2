"""Nodes and constants of an ONNX graph."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """An operator with the names of its inputs and outputs, and its attributes."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Graph:
    """Nodes and constants that become an ONNX graph.

    Parameters
    ----------
    new_name : callable, default=None
        Takes a name; returns a unique one.

    Attributes
    ----------
    nodes : list of Node
    constants : dict of str to ndarray
    """

    def __init__(self, new_name: Callable[[str], str] | None = None) -> None:
        numbers = count()
        self._new_name = new_name or (lambda name: f"{name}_{next(numbers)}")
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Add a node with one output and return its name; arrays in `inputs` become constants."""
        return self.add_with_outputs(operator, 1, *inputs, **attributes)[0]

    def add_with_outputs(
        self, operator: str, n_outputs: int, *inputs: str | np.ndarray, **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs and return their names."""
        names = [name if isinstance(name, str) else self._constant(name) for name in inputs]
        while not names[-1]:  # optional inputs at the end
            names.pop()
        outputs = [self._new_name(operator) for _ in range(n_outputs)]
        self.nodes.append(Node(operator, names, outputs, attributes))
        return outputs

    def name(self, result: str, name: str) -> None:
        """Add another name for an output."""
        self.nodes.append(Node("Identity", [result], [name], {}))

    def _constant(self, array: np.ndarray) -> str:
        name = self._new_name("constant")
        # onnxruntime has no recurrent operators in float64
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name
