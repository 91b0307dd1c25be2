"""The order of the package: sizes of files, the direction of imports, calls, parameters."""

import ast
import re
from graphlib import TopologicalSorter
from inspect import Parameter, signature
from pathlib import Path

import pytest

import skgru
from skgru import GRUClassifier, GRURegressor
from skgru._parameters import PARAMETERS

PACKAGE = Path(skgru.__file__).parent
SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.suffix in (".py", ".pyx", ".pxd", ".pxi", ".h") and "data" not in path.parts
)
MAX_LINES = 450
MAX_POSITIONAL = 6

# from the bottom to the top; a module imports from its own level and from those below it
LEVELS = [
    {"_sklearn"},
    {"_constraints", "exceptions", "kernels", "persistence"},
    {"losses", "outputs", "sequences"},
    {"model"},
    {"training"},
    {
        "_channels",
        "_attributes",
        "_combinations",
        "_parameters",
        "_validation",
        "html_repr",
        "streaming",
    },
    {"base"},
    {"classifier", "regressor"},
    {"", "callbacks", "datasets", "forecasting", "frames", "metrics", "preprocessing", "versions"},
    {"inspection", "interop"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
TOP = LEVELS[-1]


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in SOURCES
    if path.suffix == ".py"
}


def room_of(module):
    """The file or folder in skgru/ that a module is (in); "" of skgru itself."""
    return module.split(".")[1] if "." in module else ""


def imported(tree, *, within_functions):
    """Modules of skgru that a module imports when it runs; type annotations do not count."""
    nodes = list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef) and not within_functions:
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in TREES)
        elif isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "skgru":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                # what is no module of Python is a compiled one, or a name in the module
                yield name if name in TREES else node.module
        else:
            nodes += ast.iter_child_nodes(node)


GRAPH = {
    module: set(imported(tree, within_functions=False)) & set(TREES) - {module}
    for module, tree in TREES.items()
}


def test_the_graph_is_found():
    assert len(GRAPH) > 60
    assert {"skgru.training.objective", "skgru.model.network"} <= GRAPH["skgru.training.fit"]
    assert "skgru.streaming" not in GRAPH["skgru.base"]
    lazy = set(imported(TREES["skgru.base"], within_functions=True))
    assert any(name.startswith("skgru.streaming") for name in lazy)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES


def test_every_module_has_a_level():
    assert {room_of(module) for module in TREES} == set(LEVEL_OF)


@pytest.mark.parametrize("module", GRAPH)
def test_imports_run_one_way(module):
    level = LEVEL_OF[room_of(module)]
    upwards = {other for other in GRAPH[module] if LEVEL_OF[room_of(other)] > level}
    assert not upwards


def test_no_imports_are_circular():
    # a package imports its modules; they must not import from it in turn
    list(TopologicalSorter(GRAPH).static_order())


@pytest.mark.parametrize("module", [name for name in TREES if room_of(name) not in TOP])
def test_the_core_imports_neither_inspection_nor_interop(module):
    """Not even within a function, when it is called."""
    others = imported(TREES[module], within_functions=True)
    assert not {other for other in others if room_of(other) in TOP}


@pytest.mark.parametrize("module", TREES)
def test_calls_have_few_positional_arguments(module):
    long = [
        f"line {node.lineno}: {ast.unparse(node.func)}"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and len(node.args) > MAX_POSITIONAL
    ]
    assert not long


# ---- parameters ----------------------------------------------------------------------------------

every_estimator = pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])


def documented_defaults(estimator):
    """Text after "default=" of each parameter of the docstring, in its order."""
    parameters = re.search(r"\nParameters\n-+\n(.*?)\nAttributes\n", estimator.__doc__, re.S)
    entries = re.findall(r"^(\w+) : (.*(?:\n    +default=.*)?)", parameters[1], re.MULTILINE)
    return {name: kind.partition("default=")[2] for name, kind in entries}


@every_estimator
def test_every_parameter_is_documented_with_its_default(estimator):
    defaults = documented_defaults(estimator)
    arguments = signature(estimator).parameters
    assert list(defaults) == list(arguments)
    for name, parameter in arguments.items():
        assert parameter.default is not Parameter.empty
        assert ast.literal_eval(defaults[name]) == parameter.default, name


@every_estimator
def test_both_estimators_have_every_shared_parameter(estimator):
    own = {"loss", "quantiles"} if estimator is GRURegressor else {"class_weight"}
    assert set(signature(estimator).parameters) == set(PARAMETERS) | own
    assert set(estimator._parameter_constraints) == set(PARAMETERS) | own
    for name, parameter in PARAMETERS.items():
        assert estimator._parameter_constraints[name] is parameter.constraint


@every_estimator
def test_no_argument_of_init_is_positional_but_the_first(estimator):
    first, *others = signature(estimator).parameters.values()
    assert first.name == "hidden_layer_sizes"
    assert {other.kind for other in others} == {Parameter.KEYWORD_ONLY}
