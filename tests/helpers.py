"""Functions and parameters that several test modules share."""

import os
import re
import subprocess
import sys
import warnings
from contextlib import contextmanager, redirect_stdout
from functools import cache
from io import StringIO
from itertools import repeat
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
from scipy.special import softmax

import skgru
from skgru import GRUClassifier, GRURegressor
from skgru.exceptions import GradientWarning
from skgru.model.architecture import Cell

# parameters with which scikit-learn's checks of estimators train for fewer, larger steps
QUICK_FIT = {"max_iter": 40, "learning_rate_init": 0.02}


def environment_with(**variables):
    """Return the environment of a process with the skgru under test, and with these variables.

    Those that are given as None are removed.
    """
    path = str(Path(skgru.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return {name: value for name, value in environment.items() if value is not None}


def run_python(code, **environment):
    """Run code in an interpreter of its own; see `environment_with`."""
    # -P: a source tree in the working directory may lack the compiled modules
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=environment_with(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


DOCS = Path(__file__).parents[1] / "docs"


BLOCK = re.compile(
    r"^(?P<indent> *)\.\. (?P<kind>testsetup::|code-block:: python)\n"
    r"(?P<body>(?:(?P=indent) {3,}.*\n|[ ]*\n)+)",
    re.MULTILINE,
)
TITLE = re.compile(r"^(.+)\n-+$", re.MULTILINE)
OPTION = re.compile(r"^ +:(?P<name>[\w-]+):(?P<value>.*)\n", re.MULTILINE)


class Snippet(NamedTuple):
    """A block of Python of a docs page.

    Attributes
    ----------
    line : int
        Of the page, from 1 on.
    title : str
        Of its section; empty above the first one.
    is_setup : bool
        Whether it is a `testsetup` block, which readers do not see.
    caption : str
        Empty without.
    code : str
    """

    line: int
    title: str
    is_setup: bool
    caption: str
    code: str

    @property
    def is_script(self) -> bool:
        return self.caption.endswith(".py")


def snippets(text: str) -> list[Snippet]:
    """Return the blocks of Python of a docs page, or of a part of it."""
    found = []
    for block in BLOCK.finditer(text):
        options = {o["name"]: o["value"].strip() for o in OPTION.finditer(block["body"])}
        found.append(
            Snippet(
                line=text.count("\n", 0, block.start()) + 1,
                title=["", *TITLE.findall(text, 0, block.start())][-1],
                is_setup=block["kind"].startswith("testsetup"),
                caption=options.get("caption", ""),
                code=dedent(OPTION.sub("", block["body"])),
            )
        )
    return found


@contextmanager
def warnings_are_errors():
    """All but those of gradients: made-up data need not hold anything that far back."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", GradientWarning)
        yield


def run_script(script: Snippet) -> dict[str, Any]:
    """Run a script of a docs page, which needs nothing above it; return its names.

    It prints, unless another one reads the file that it saves.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    with warnings_are_errors(), redirect_stdout(StringIO()) as printed:
        exec(compile(script.code, script.caption, "exec"), names)
    assert printed.getvalue() or script.caption == "train.py", script.caption
    return names


@cache
def run_snippets(page: str, title: str) -> dict[str, Any]:
    """Run the code blocks under a title of a docs page and return the names that they define.

    They run once for all tests, which leave their results as they are. Their `testsetup` makes
    files at most: the blocks do not see its names.
    """
    text = (DOCS / page).read_text(encoding="utf-8")
    section = [snippet for snippet in snippets(text) if snippet.title == title]
    assert section, title
    names: dict[str, Any] = {}
    for snippet in section:
        if snippet.is_script:
            names.update(run_script(snippet))
        else:
            code = compile(snippet.code, f"{page}: {title}", "exec")
            exec(code, {} if snippet.is_setup else names)
    return names


# Number of gates of each cell, and the parameters of an estimator for each variant of a cell.
N_GATES = {"gru": 3, "rnn": 1, "lstm": 4, "cifg": 3, "mgu": 2, "light_gru": 2}
CELL_PARAMETERS = {
    **{cell: {"cell": cell} for cell in N_GATES},
    "gru_reset_after": {"cell": "gru", "reset_after": True},
    "light_gru_relu": {"cell": "light_gru", "activation": "relu"},
}
every_variant = pytest.mark.parametrize("parameters", CELL_PARAMETERS.values(), ids=CELL_PARAMETERS)

# Arguments of an Architecture for each variant of a cell.
VARIANTS = {
    name: {
        "cell": name.removesuffix("_reset_after").removesuffix("_relu"),
        "reset_after": name.endswith("_reset_after"),
        "activation": "relu" if name.endswith("_relu") else "tanh",
    }
    for name in reference.CELLS
}
ONES = repeat(1.0)  # no dropout


def forward_classifier(*args, **parameters):
    """Make a classifier that reads forward alone and takes the last state, as a stream can."""
    return GRUClassifier(*args, **{"bidirectional": False, "pooling": "last", **parameters})


def small_classifier(**parameters):
    """Return a reproducible classifier of 8 units."""
    return GRUClassifier(**{"hidden_layer_sizes": 8, "random_state": 0, **parameters})


def small_regressor(**parameters):
    """Return a reproducible regressor of 8 units."""
    return GRURegressor(**{"hidden_layer_sizes": 8, "random_state": 0, **parameters})


def random_layer(rng, cell, D, H, dtype):
    """Return random W, U, b and c of a layer."""
    G = reference.CELLS[cell].n_gates * H
    shapes = {"W": (D, G), "U": (H, G), "b": G, "c": H * cell.endswith("reset_after")}
    layer = {k: rng.normal(size=s) / np.sqrt(H) for k, s in shapes.items()}
    if cell == "rnn":  # otherwise it is chaotic with masks, and rounding errors grow
        layer["U"] /= 2
    return {k: v.astype(dtype) for k, v in layer.items()}


def cell_info(kernels, cell):
    """Return the description of a cell by the kernels."""
    return Cell(*kernels.CELLS[cell])


def reference_states(architecture, layers, x, before=None, masks=ONES):
    """Return the states of the top layer, and the full states of each layer.

    x is one sequence, or several of one length (n_steps, n_sequences, …). The full states (of the
    last direction of a layer) have the cell states beside the hidden states. `before` has the
    initial states of each layer; `masks` yields the masks in the order in which they are used.
    """
    states, S = [], reference.CELLS[architecture.variant].n_states
    for depth, directions in enumerate(layers):
        if depth:
            x = x * next(masks)
        both = []
        for (W, U, b, c), order in zip(directions, (1, -1), strict=False):
            h = np.zeros(S * len(U)) if before is None else before[depth]
            # (mask ⊙ h) U = h (mask ⊙ U): each row of U is multiplied by one number of the mask
            U = U * np.reshape(next(masks), (-1, 1))
            own = reference.forward(architecture.variant, x[::order], h, W, U, b, c)[::order]
            both.append(own[..., : len(U)])
        x = np.concatenate(both, axis=-1)
        states.append(own)
    return x, states


def reference_weights(h, parameters):
    """Return the weights of attention pooling, one per time step."""
    return softmax(h @ parameters.query)


def reference_pool(architecture, h, parameters):
    """Return the pooled states of one sequence."""
    H = architecture.hidden_layer_sizes[-1]
    return {
        "last": lambda: np.r_[h[-1, :H], h[0, H:]],
        "mean": lambda: h.mean(axis=0),
        "max": lambda: h.max(axis=0),
        "attention": lambda: reference_weights(h, parameters) @ h,
    }[architecture.pooling]()


def reference_outputs(architecture, h, parameters, mask=1.0):
    """Return one row of outputs, or one per time step, given the states of the top layer."""
    if not architecture.return_sequences:
        h = reference_pool(architecture, h, parameters)[np.newaxis]
    return h * mask @ parameters.head.W + parameters.head.b


def one_by_one(sequences):
    """Return each sequence in float64."""
    return np.split(sequences.values.astype("float64"), sequences.starts[1:])


def pack(sequences):
    """Pack sequences, sorted from long to short: time-major rows and batch sizes."""
    lengths = np.array([len(s) for s in sequences])
    batch_sizes = np.array([(lengths > t).sum() for t in range(lengths[0])], dtype=np.intp)
    rows = [sequences[i][t] for t, n in enumerate(batch_sizes) for i in range(n)]
    return np.array(rows), batch_sizes


def unpack(rows, batch_sizes):
    """Return the sequences that `pack` was given."""
    steps = np.split(rows, np.cumsum(batch_sizes)[:-1])
    return [np.array([s[i] for s in steps if i < len(s)]) for i in range(batch_sizes[0])]


def ragged_lengths(B, T):
    """Return B lengths of at most T, from long to short."""
    return -np.sort(-np.r_[T, 1 + np.arange(1, B) * 7919 % T])


def relative_error(actual, expected):
    """Return the largest error over the largest value, as single entries may cancel to zero."""
    return np.abs(actual - expected).max(initial=0) / np.abs(expected).max(initial=1e-37)


def central_differences(loss, array):
    """Return the gradient of loss(), which depends on the array, by central differences."""
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
    """Return the wrong shapes that a kernel accepts.

    Every axis of every array is made one longer, one shorter and empty, one at a time.
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
