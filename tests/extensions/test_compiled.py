"""A pooling, a cell and an instruction set, as docs/extending.rst adds them.

In one copy of the source, whose portable kernels are built.
"""

import os
import platform
import re
import shutil

import pytest
from extension_helpers import (
    ROOT,
    apply,
    build,
    copy_source,
    installed,
    recipe,
    run_in_copy,
    use,
)
from helpers import run_python

pytestmark = pytest.mark.slow
AVX = platform.machine() in ("x86_64", "AMD64") and os.name == "posix"
TITLES = ["A pooling", "A cell", *(["An instruction set"] if AVX else [])]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The root of a copy with all three, and the files that each of them touched."""
    pytest.importorskip("Cython")
    if not (ROOT / "skgru" / "kernels" / "kernels.pyx").exists():
        pytest.skip("needs the source")
    root = tmp_path_factory.mktemp("extended")
    copy_source(root)
    touched = {title: apply(recipe(title).package, root) for title in TITLES}
    # to build those alone that are portable or new
    table = root / "skgru" / "kernels" / "_instruction_sets.py"
    text = table.read_text(encoding="utf-8")
    known = re.compile(r'("x86-64-v\d",.*\n? *)X86_64')
    table.write_text(known.sub(r'\1"none"', text), encoding="utf-8")
    build(root, "toy-x86_64" if AVX else "unknown")
    return root, touched


# ---- a pooling -----------------------------------------------------------------------------------


def test_a_pooling_has_three_places(copy):
    _, touched = copy
    changed, new = touched["A pooling"]
    # the kernels are one place: a file, and its line among the includes
    assert new == {"skgru/kernels/poolings/sum.pxi"}
    assert changed == {
        "skgru/kernels/kernels.pyx", "skgru/model/pooling.py", "skgru/interop/poolings.py"
    }  # fmt: skip
    (include,) = (c for c in recipe("A pooling").package if c.paths[0].endswith("kernels.pyx"))
    assert include.code.count("\n") == 1


def test_the_pooling_works_everywhere(copy):
    root, _ = copy
    checks = """
    assert model.score(X, y) > 0.9, model.score(X, y)
    check_saved(model, X, y)
    print(*check_interop(model, X))
    small = {"hidden_layer_sizes": (3, 2), "cell": "light_gru", "max_iter": 5, "random_state": 0}
    for both in (False, True):
        gru = GRURegressor(**small, pooling="sum", bidirectional=both, dtype="float64").fit(X, y)
        check_gradient(gru, X, y)
        states = GRURegressor(**small, pooling="mean", bidirectional=both, dtype="float64")
        states.fit(X, y)._network.parameters[:] = gru._network.parameters
        lengths = np.array([[len(x)] for x in X])
        np.testing.assert_allclose(gru.transform(X), states.transform(X) * lengths, rtol=1e-12)
    one_way = GRURegressor(**small, pooling="sum", bidirectional=False, bptt_steps=3).fit(X, y)
    check_stream(one_way, X)
    print(*check_interop(one_way, X))
    """
    printed = use(root, "A pooling", "numbers", checks, SKGRU_ISA=None)
    assert set(printed) == installed()


# ---- a cell --------------------------------------------------------------------------------------


TESTS_OF_ALL_CELLS = f"""
import sys, pytest
folder = {str(ROOT / "tests")!r}
sys.exit(pytest.main([
    "-v", "-k", "leaky", "-p", "extended_reference", "-p", "no:cacheprovider",
    "--rootdir", {str(ROOT)!r}, "-c", {str(ROOT / "pyproject.toml")!r},
    folder + "/kernels", folder + "/model",
]))
"""


def test_a_cell_is_one_file_and_one_line(copy):
    """The estimators, the engine and the tests of all cells know all else from it."""
    root, touched = copy
    assert touched["A cell"] == ({"skgru/kernels/kernels.pyx"}, {"skgru/kernels/cells/leaky.pxi"})
    of_cell = recipe("A cell")
    assert of_cell.package[1].code.count("\n") == 1

    # a plugin puts the extended reference in the place of the other
    reference, *_ = of_cell.tests[0].paths
    (root / "tests").mkdir()
    shutil.copy(ROOT / reference, root / reference)
    assert apply(of_cell.tests, root) == ({reference}, set())
    (root / reference).rename(root / "extended_reference.py")
    with (root / "extended_reference.py").open("a", encoding="utf-8") as file:
        file.write('\n\nimport sys\n\nsys.modules["reference"] = sys.modules[__name__]\n')
    path = os.pathsep.join([str(root), str(ROOT / "tests")])
    result = run_python(TESTS_OF_ALL_CELLS, PYTHONPATH=path, SKGRU_ISA=None)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-3000:]
    passed = set(re.findall(r"::(test_\w+)\[.*leaky.* PASSED", result.stdout))
    assert passed >= {
        "test_forward_matches_reference",
        "test_backward_matches_reference",
        "test_gradients_match_central_differences",
        "test_steps_match_reference",
        "test_gradient_of_every_parameter",
        "test_outputs_match_reference",
    }
    # on every instruction set that is built, the new one among them
    assert ("[x86-64-avx" in result.stdout) == AVX


def test_the_cell_in_an_estimator(copy):
    root, _ = copy
    checks = """
    assert model.score(X, y) > 0.9, model.score(X, y)
    check_saved(model, X, y)
    small = GRUClassifier(
        8, cell="leaky", max_iter=5, bidirectional=False, pooling="last", random_state=0
    ).fit(X, y)
    check_stream(small, X)
    assert small.n_parameters_ == 2 * 8 + 8 * 8 + 8 + 9
    from skgru.inspection import gate_activations
    from skgru.interop import to_c
    raised = []
    for function in (to_c, check_interop, lambda gru, X=X: gate_activations(gru, X)):
        try:
            function(small, X) if function is check_interop else function(small)
        except (NotImplementedError, ValueError) as error:
            raised.append("leaky" in str(error))
    print(*raised)
    """
    assert use(root, "A cell", "labels", checks, SKGRU_ISA=None) == ["True"] * 3


# ---- an instruction set --------------------------------------------------------------------------


@pytest.mark.skipif(not AVX, reason="the recipe is of x86-64")
def test_an_instruction_set_has_two_places(copy):
    root, touched = copy
    files = {"skgru/kernels/_instruction_sets.py", "skgru/kernels/_processor.pyx"}
    assert touched["An instruction set"] == (files, set())
    row, _ = recipe("An instruction set").package
    assert row.code.count("\n") == 1
    code = """
from extension_checks import *
from skgru.kernels import active_instruction_set, instruction_sets, kernels_for
X, y = labels()
model = GRUClassifier(8, max_iter=5, random_state=0).fit(X, y)
print(active_instruction_set(), *instruction_sets(), kernels_for("float64").__name__)
print(model.predict_proba(X)[:, 0].sum().round(4))
"""
    name, *there, module, total = run_in_copy(root, code, SKGRU_ISA="x86-64-avx")
    assert (name, there) == ("x86-64-avx", ["portable", "x86-64-avx"])
    assert module == "skgru.kernels.float64_x86_64_avx"
    fastest, *_ = run_in_copy(root, code, SKGRU_ISA=None)
    assert fastest == "x86-64-avx"
    *_, expected = run_in_copy(root, code, SKGRU_ISA="portable")
    assert float(total) == pytest.approx(float(expected), abs=1e-3)
