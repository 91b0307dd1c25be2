"""Export a fitted model as a C99 header, for devices without heap and without Python."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skgru import __version__
from skgru.base import BaseGRU
from skgru.interop.c_categories import (
    CODE,
    check_unscaled,
    constants_of_categories,
    step_of_categories,
)
from skgru.interop.c_cells import ACTIVATIONS, CELLS
from skgru.interop.c_gaps import constants_of_gaps, state_of_gaps, step_of_gaps
from skgru.interop.c_outputs import prediction_statements
from skgru.interop.c_parts import parts_of
from skgru.interop.c_patches import state_of_patches, step_of_patches
from skgru.interop.c_text import activated, add_product, array, at, declarations, for_, function
from skgru.interop.inputs import ExportedInputs, exported_inputs
from skgru.interop.poolings import exported_pooling
from skgru.interop.scaling import affine, undo_of_target
from skgru.model.architecture import Architecture
from skgru.model.parameters import Parameters
from skgru.preprocessing import Patches


def to_c(estimator: Any, *, name: str = "gru") -> str:
    """Export a fitted model as a C99 header without dependencies, with one call per time step.

    The header holds weights, scaling and labels, and these functions (with `name` in place of
    ``gru``)::

        void gru_reset(gru_state *state);
        void gru_step(gru_state *state, const float x[gru_channels], float out[gru_outputs]);
        int gru_class(const float out[gru_outputs]);     /* most probable class; classifiers only */
        const char *gru_label(int class_index);          /* in UTF-8; classifiers only */

    ``out`` is the result of `predict_proba` or `predict` for the sequence up to this time step, or
    for the time step with `return_sequences`. The caller owns one ``gru_state`` per sequence and
    calls ``gru_reset`` before the first step. The functions allocate nothing and keep no other
    state.

    Categories are numbers in x, as in X: they must be whole ones. They are looked up in a table.
    With `missing="decay"`, NaN in x is a missing value, which compilers must not assume away
    (``-ffast-math``). The time must not fall; as x is float32, count it from the first step.

    With `Patches`, a step is still a time step of the sequence, and the state also holds the
    current patch. While the patch is incomplete, the network processes it on a copy of its state.
    With `return_sequences`, ``out`` is the prediction for the newest patch.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor, Pipeline, ScaledTargetRegressor or \
            TransformedTargetRegressor
        A fitted estimator. In a pipeline, the steps before the model must be `PerTimestep` with
        transformers that scale and shift each channel (`StandardScaler`, `MinMaxScaler`, …),
        followed by at most one `Patches`. The transformer of a target must scale and shift, too;
        it may be around the pipeline, or its last step.
    name : str, default="gru"
        Prefix of all names in the header: letters, digits and underscores.

    Returns
    -------
    header : str
        The header. A comment at its top states the architecture and the size in flash and RAM.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If `estimator` is none of the types above.
    ValueError
        If the model needs the whole sequence (`bidirectional`, `pooling="attention"`), if a
        transformer is not affine in each channel or follows `Patches`, if the name or a label is
        invalid in C: a label with a NUL, or of more than 4095 bytes in UTF-8; or if the model has
        categories that are scaled or not whole numbers.

    See Also
    --------
    to_onnx : Export to ONNX.
    to_torch : Convert to a PyTorch module.

    Notes
    -----
    Computations are in float32, whatever the model's `dtype`. σ and tanh are approximated by a
    rational function with an error below 4e-7; the outputs use ``expf`` of the C library.

    Weights have the layout of `layers_`: one row per input, multiplied and added to the sums of all
    units. This reads memory in order, and compilers vectorize it (gcc from version 12 on with
    ``-O2``, earlier versions with ``-O3``).

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.datasets import load_japanese_vowels
    >>> from skgru.interop import to_c
    >>> X, y = load_japanese_vowels(return_X_y=True)
    >>> gru = GRUClassifier(8, bidirectional=False, max_iter=2, random_state=0).fit(X, y)
    >>> header = to_c(gru, name="vowel")
    >>> "void vowel_step(" in header
    True
    """
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name, flags=re.ASCII):
        raise ValueError(
            f"name must be a letter, followed by letters, digits and underscores, got {name!r}."
        )
    model, scalers, patches, target = parts_of(estimator)
    inputs = exported_inputs(model, "C", decays=True)
    network = model._network
    architecture = network.architecture
    _check_runs_forward(architecture)
    n_outputs, links, functions = prediction_statements(model._outputs)
    scaling = {}
    if scalers:
        what = " and ".join(type(scaler.transformer_).__name__ for scaler in scalers)
        transforms = [scaler._transform_rows for scaler in scalers]
        scaling |= _named("", affine(transforms, what, scalers[0]._n_channels_in, "to_c"))
    if target is not None:
        scaling |= _named("target_", undo_of_target(target, n_outputs, "to_c"))
        links += for_(n_outputs, "out[j] = (out[j] - @target_shift[j]) * @target_factor[j];")
    check_unscaled(inputs, scaling)
    constants = _constants(architecture, network.weights, inputs, scaling)
    code = _code(architecture, inputs, links, bool(scalers), patches)
    n_channels = patches._n_channels_in if patches else inputs.n_channels
    parts = [
        _heading(model, inputs, constants, code, patches),
        "#ifndef SKGRU_@H\n#define SKGRU_@H\n",
        "#include <math.h>\n",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        f"enum {{ @channels = {n_channels}, @outputs = {n_outputs} }};\n",
        *code.types,
        *(array(name, values) for name, values in constants.items()),
        ACTIVATIONS,
        CODE if inputs.categorical else "",
        *code.functions,
        *functions,
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
    ]
    return "\n".join(part for part in parts if part).replace("@", f"{name}_")


def _named(prefix: str, values: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}shift": values[0], f"{prefix}factor": values[1]}


def _check_runs_forward(architecture: Architecture) -> None:
    """Raise if the model needs the whole sequence, or if its cell is unknown here."""
    if architecture.bidirectional:
        raise ValueError(
            "A model with bidirectional=True reads a sequence from its end too; it cannot be "
            "exported to C, where time steps come one at a time."
        )
    pooling = exported_pooling(architecture.pooling)
    if pooling.onnx is not None and pooling.c is None:
        raise ValueError(f"pooling={architecture.pooling!r} has no form in C.")
    if architecture.cell not in CELLS:
        raise ValueError(f"cell={architecture.cell!r} has no form in C; {list(CELLS)} have.")


# ---- contents of the header ------------------------------------------------------------------


def _constants(
    architecture: Architecture,
    parameters: Parameters,
    inputs: ExportedInputs,
    scaling: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the constant arrays by name, each in the order in which a time step reads it."""
    constants = scaling | constants_of_categories(inputs, parameters)
    constants |= constants_of_gaps(inputs, parameters.inputs.decays)
    cell = CELLS[architecture.cell]
    for k, (layer,) in enumerate(parameters.layers):
        constants |= {f"W{k}": layer.W, f"U{k}": layer.U}
        if cell.inner:  # the product of the candidate has another operand than those of the gates
            constants[f"U{k}"], constants[f"V{k}"] = np.split(layer.U, [-len(layer.U)], axis=1)
        constants[f"b{k}"] = layer.b
        if architecture.reset_after:
            constants[f"c{k}"] = layer.c
    constants |= {"W": parameters.head.W, "b": parameters.head.b}
    with np.errstate(over="ignore"):  # beside categories, there may be no numbers to multiply by W0
        constants = {name: a.astype(np.float32) for name, a in constants.items() if a.size}
    for name, values in constants.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of the model is not finite in float32.")
    return constants


def _heading(
    model: BaseGRU,
    inputs: ExportedInputs,
    constants: dict[str, np.ndarray],
    code: "_Code",
    patches: Patches | None,
) -> str:
    """Return the comment at the top, without any text of the user, which might end the comment."""
    architecture = model._network.architecture
    layers = " -> ".join(map(str, (inputs.n_channels, *architecture.hidden_layer_sizes)))
    top = "each state" if architecture.return_sequences else f"{architecture.pooling} state"
    lines = [
        f"A model of skgru {__version__}, with one call per time step.",
        "",
        f"cell {architecture.variant}, {layers} units, {top} -> {architecture.n_outputs} outputs; "
        f"{model._network.parameters.size} parameters",
        f"flash: {4 * sum(array.size for array in constants.values())} bytes of numbers, and code",
        f"RAM: {4 * code.n_state} bytes a state; in @step "
        f"{4 * code.n_stack} bytes of stack, and what the compiler adds",
    ]
    if patches:
        size, n_channels = patches.size_, patches._n_channels_in
        lines[3:3] = [
            f"patches of {size} steps of {n_channels} channels, {patches.stride_} steps apart"
        ]
    return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def _state(architecture: Architecture, inputs: ExportedInputs) -> dict[str, int]:
    """Return the sizes of the arrays that persist between time steps."""
    state = state_of_gaps(inputs)
    for k, n_units in enumerate(architecture.hidden_layer_sizes):
        state[f"h{k}"] = n_units
        if "{cell_state}" in CELLS[architecture.cell].update:
            state[f"cell_state{k}"] = n_units
    pooling = exported_pooling(architecture.pooling).c
    if pooling:
        state["pooled"] = architecture.width
        if pooling.counts_steps:
            state["n_steps"] = 1
    return state


def _is_x(inputs: ExportedInputs) -> bool:
    """Return whether the first layer reads the time step as it is."""
    return inputs.means is None and not inputs.categorical


def _scratch(architecture: Architecture, inputs: ExportedInputs, scaled: bool) -> dict[str, int]:
    """Return the sizes of the arrays that a time step uses temporarily."""
    cell, widest = CELLS[architecture.cell], max(architecture.hidden_layer_sizes)
    scratch = {"g": (len(cell.blocks) + architecture.reset_after) * widest}
    if cell.inner and not architecture.reset_after:
        scratch["inner"] = widest
    if scaled:
        scratch["scaled"] = inputs.n_channels
    if not _is_x(inputs) and architecture.n_inputs:
        scratch["inputs"] = architecture.n_inputs
    if inputs.time is not None:
        scratch["passed"] = 1
    return {**scratch, "y": architecture.n_outputs}


# ---- bodies of the functions -----------------------------------------------------------------


class _Code(NamedTuple):
    """Types and functions of the header, and how many floats they take.

    Attributes
    ----------
    types : list of str
    functions : list of str
    n_state : int
    n_stack : int
    """

    types: list[str]
    functions: list[str]
    n_state: int
    n_stack: int


_FIRST = "h0", "cell_state0"  # states of the first layer
_SCALED = "(x[j] - @shift[j]) * @factor[j]"
_STEP = "void @step(@state *state, const float x[@channels], float out[@outputs])"
_BEGIN = "/* Start a new sequence. */\n"
_NEXT = "/* Process the next time step; out receives the prediction for the sequence so far. */\n"


def _code(
    architecture: Architecture,
    inputs: ExportedInputs,
    links: list[str],
    scaled: bool,
    patches: Patches | None,
) -> _Code:
    """Write the types and the functions; `links` are statements from outputs to predictions."""
    state, scaled_here = _state(architecture, inputs), scaled and not patches
    scratch = _scratch(architecture, inputs, scaled_here)
    steps = [*_step(architecture, inputs, scaled_here), *links]
    n_rows = len(inputs.categorical)
    variables = declarations(scratch) + f"    int i, j{f', rows[{n_rows}]' if n_rows else ''};\n"
    if not patches:
        return _Code(
            [_struct(declarations(state), "@state")],
            [
                _BEGIN + _reset(architecture, state, {}),
                _NEXT + function(_STEP, variables, steps),
            ],
            sum(state.values()),
            sum(scratch.values()) + n_rows,
        )
    of_patches, n_inputs = state_of_patches(patches), inputs.n_channels
    n_network = sum(state.values())
    return _Code(
        [
            _struct(declarations(state), "@network"),
            _struct("    @network network;\n" + declarations(of_patches), "@state"),
        ],
        [
            _BEGIN + _reset(architecture, state, of_patches),
            "/* Process the next patch. */\n"
            + function(
                f"void @advance(@network *state, const float x[{n_inputs}], float out[@outputs])",
                variables,
                steps,
            ),
            _NEXT
            + function(
                _STEP,
                "    @network copy;\n    int i, j, n_filled = (int)state->filled[0];\n",
                step_of_patches(patches, _SCALED if scaled else "x[j]"),
            ),
        ],
        n_network + sum(of_patches.values()),
        n_network + sum(scratch.values()) + n_rows,
    )


def _struct(members: str, name: str) -> str:
    return "typedef struct {\n" + members + f"}} {name};\n"


def _reset(architecture: Architecture, state: dict[str, int], of_patches: dict[str, int]) -> str:
    """Define the function that sets a state to that before the first time step."""
    pooling = exported_pooling(architecture.pooling).c
    network = "network." if of_patches else ""
    statements = []
    for name, n in state.items():
        first = pooling.first if name == "pooled" else "0.0f"
        statements += for_(n, f"state->{network}{name}[j] = {first};")
    for name, n in of_patches.items():
        statements += for_(n, f"state->{name}[j] = 0.0f;")
    return function("void @reset(@state *state)", "    int j;\n", statements)


def _step(architecture: Architecture, inputs: ExportedInputs, scaled: bool) -> Iterator[str]:
    """Yield the statements of a time step, from x to the outputs y."""
    x, n_inputs = "x", inputs.n_channels
    if scaled:
        yield from for_(n_inputs, f"scaled[j] = {_SCALED};")
        x = "scaled"
    if not _is_x(inputs):
        yield from (f"inputs[{i}] = {x}[{channel}];" for i, channel in enumerate(inputs.numeric))
        if inputs.means is not None:
            states = {n: size for n, size in _state(architecture, inputs).items() if n in _FIRST}
            yield from step_of_gaps(inputs, x, states)
        n_inputs = architecture.n_inputs
        yield from step_of_categories(inputs, x, n_inputs, architecture.embedding_dim)
        x = "inputs"
    n_rows = 0 if architecture.embedding_dim else len(inputs.categorical)
    for k, n_units in enumerate(architecture.hidden_layer_sizes):
        yield f"/* layer {k}: {n_inputs} inputs, {n_units} units */"
        yield from _layer(architecture, k, x, n_inputs, n_rows if k == 0 else 0)
        x, n_inputs = f"state->h{k}", n_units
    pooling = exported_pooling(architecture.pooling).c
    if pooling:
        if pooling.counts_steps:
            yield "state->n_steps[0] += 1.0f;"
        yield from for_(n_inputs, pooling.update.format(h=f"{x}[j]", pooled="state->pooled[j]"))
        x = "state->pooled"
    yield "/* outputs */"
    yield from for_(architecture.n_outputs, "y[j] = @b[j];")
    yield from add_product(x, n_inputs, "@W", architecture.n_outputs, "y[j]")


def _layer(architecture: Architecture, k: int, x: str, n_inputs: int, n_rows: int) -> Iterator[str]:
    """Yield the statements of a time step of layer k: sums in g by gate, then the new state.

    To the sums, n_rows rows of categories are added.
    """
    cell, n_units = CELLS[architecture.cell], architecture.hidden_layer_sizes[k]
    n_gates = (len(cell.blocks) - 1) * n_units
    n_sums = n_gates + n_units
    names = {name: at("g", i * n_units) for i, name in enumerate(cell.blocks)}
    names |= {"h": f"state->h{k}[j]", "cell_state": f"state->cell_state{k}[j]"}
    candidate, product = names["candidate"], at("g", n_sums)
    yield from for_(n_sums, f"g[j] = @b{k}[j];")
    for row in range(n_rows):
        yield from for_(n_sums, f"g[j] += @E[rows[{row}]][j];")
    yield from add_product(x, n_inputs, f"@W{k}", n_sums, "g[j]")
    yield from add_product(
        f"state->h{k}", n_units, f"@U{k}", n_gates if cell.inner else n_sums, "g[j]"
    )
    if n_gates:
        yield from activated("g[j]", n_gates, "@sigmoid", 18)
    if architecture.reset_after:
        yield from for_(n_units, f"{product} = @c{k}[j];")
        yield from add_product(f"state->h{k}", n_units, f"@V{k}", n_units, product)
        yield from for_(n_units, f"{candidate} += {names[cell.inner]} * {product};")
    elif cell.inner:
        yield from for_(n_units, f"inner[j] = {names[cell.inner]} * {names['h']};")
        yield from add_product("inner", n_units, f"@V{k}", n_units, candidate)
    if architecture.activation == "relu":
        yield from for_(n_units, f"{candidate} = {candidate} < 0.0f ? 0.0f : {candidate};")
    else:
        yield from activated(candidate, n_units, "@tanh", 9)
    yield from for_(n_units, cell.update.format(**names))
    if "{cell_state}" in cell.update:
        yield from for_(n_units, f"{candidate} = {names['cell_state']};")
        yield from activated(candidate, n_units, "@tanh", 9)
        yield from for_(n_units, f"{names['h']} = {names['o']} * {candidate};")
