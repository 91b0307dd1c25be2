"""Functions and parameters that several test modules share."""

import os
import re
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import reference
from scipy.special import softmax

import skgru
from skgru.network import Cell


def run_python(code, **environment):
    """Result of the code; without the environment variables that are given as None."""
    # -P: a source tree in the working directory may lack the compiled modules
    path = str(Path(skgru.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


DOCS = Path(__file__).parents[1] / "docs"


def run_snippets(page: str, title: str) -> dict[str, Any]:
    """Names that are defined after the code blocks under a title."""
    text = (DOCS / page).read_text()
    start = re.search(rf"^{re.escape(title)}\n-+\n", text, re.MULTILINE).end()
    following = re.search(r"^.+\n-+\n", text[start:], re.MULTILINE)
    section = text[start : start + following.start()] if following else text[start:]
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", section, re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile("\n".join(map(dedent, blocks)), f"{page}: {title}", "exec"), names)
    return names


N_GATES = {"gru": 3, "rnn": 1, "lstm": 4, "cifg": 3, "mgu": 2, "light_gru": 2}
FORMS = {
    **{cell: {"cell": cell} for cell in N_GATES},
    "gru_reset_after": {"cell": "gru", "reset_after": True},
    "light_gru_relu": {"cell": "light_gru", "activation": "relu"},
}
every_form = pytest.mark.parametrize("parameters", FORMS.values(), ids=FORMS)
VARIANTS = {
    name: {
        "cell": name.removesuffix("_reset_after").removesuffix("_relu"),
        "reset_after": name.endswith("_reset_after"),
        "activation": "relu" if name.endswith("_relu") else "tanh",
    }
    for name in reference.CELLS
}
ONES = repeat(1.0)


def random_layer(rng, cell, D, H, dtype):
    G = reference.CELLS[cell].n_gates * H
    shapes = {"W": (D, G), "U": (H, G), "b": G, "c": H * cell.endswith("reset_after")}
    layer = {k: rng.normal(size=s) / np.sqrt(H) for k, s in shapes.items()}
    if cell == "rnn":  # with masks it would be chaotic, and rounding errors grow
        layer["U"] /= 2
    return {k: v.astype(dtype) for k, v in layer.items()}


def known(kernels, cell):
    """What the kernels know of a cell."""
    return Cell(*kernels.CELLS[cell])


def reference_states(architecture, layers, x, before=None, masks=ONES):
    """Top states of one sequence, or of several as long (n_steps, n_sequences, …).

    And of each layer (its last direction) the states with their memories. `before` are those that
    the first step follows, a row a layer; masks are taken one by one.
    """
    states, S = [], reference.CELLS[architecture.variant].n_states
    for depth, directions in enumerate(layers):
        if depth:
            x = x * next(masks)
        both = []
        for (W, U, b, c), order in zip(directions, (1, -1), strict=False):
            h = np.zeros(S * len(U)) if before is None else before[depth]
            # (mask ⊙ h) U is h (mask ⊙ U), of whose rows each has one number of the mask
            U = U * np.reshape(next(masks), (-1, 1))
            own = reference.forward(architecture.variant, x[::order], h, W, U, b, c)[::order]
            both.append(own[..., : len(U)])
        x = np.concatenate(both, axis=-1)
        states.append(own)
    return x, states


def reference_weights(h, parameters):
    return softmax(h @ parameters.query)


def reference_pool(architecture, h, parameters):
    H = architecture.hidden_layer_sizes[-1]
    return {
        "last": lambda: np.r_[h[-1, :H], h[0, H:]],
        "mean": lambda: h.mean(axis=0),
        "max": lambda: h.max(axis=0),
        "attention": lambda: reference_weights(h, parameters) @ h,
    }[architecture.pooling]()


def reference_outputs(architecture, h, parameters, mask=1.0):
    """A row, or a row a step, given the states of the top layer."""
    if not architecture.return_sequences:
        h = reference_pool(architecture, h, parameters)[np.newaxis]
    return h * mask @ parameters.head.W + parameters.head.b


def one_by_one(sequences):
    return np.split(sequences.values.astype("float64"), sequences.starts[1:])


def pack(sequences):
    """Time-major rows of sequences sorted from long to short."""
    lengths = np.array([len(s) for s in sequences])
    batch_sizes = np.array([(lengths > t).sum() for t in range(lengths[0])], dtype=np.intp)
    rows = [sequences[i][t] for t, n in enumerate(batch_sizes) for i in range(n)]
    return np.array(rows), batch_sizes


def unpack(rows, batch_sizes):
    """Make `pack`'s sequences of its rows."""
    steps = np.split(rows, np.cumsum(batch_sizes)[:-1])
    return [np.array([s[i] for s in steps if i < len(s)]) for i in range(batch_sizes[0])]


def ragged_lengths(B, T):
    """So many lengths of up to T, from long to short."""
    return -np.sort(-np.r_[T, 1 + np.arange(1, B) * 7919 % T])


def relative_error(actual, expected):
    """Largest error over the largest value: single entries may be zero by cancellation."""
    return np.abs(actual - expected).max(initial=0) / np.abs(expected).max(initial=1e-37)


def central_differences(loss, array):
    """Gradient of loss(), which looks at the array."""
    numeric = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value, step = array[index], 1e-5
        array[index] = value + step
        above = loss()
        array[index] = value - step
        below = loss()
        array[index] = value
        numeric[index] = (above - below) / (2 * step)
    return numeric


def accepted_shapes(kernel, arguments):
    """What a kernel takes in place of its arguments' shapes, which must be nothing unforeseen.

    Every axis of every array is one longer, one shorter and empty, the other arrays as they were.
    """
    accepted = set()
    for name, array in arguments.items():
        for axis, n in enumerate(getattr(array, "shape", ())):
            for size in {0, n - 1, n + 1} - {-1, n}:
                shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
                try:
                    kernel(**{**arguments, name: np.resize(array, shape)})
                except ValueError:
                    continue
                accepted.add((name, shape))
    return accepted
