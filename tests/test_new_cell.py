"""A new cell, added as docs/cells.rst describes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run_python

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]
ROOT = Path(__file__).parents[1]
TOY = '''"""A leaky unit: h_t = (h_{t-1} + tanh(x_t W + h_{t-1} U + b)) / 2."""


cdef void _toy_update(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        real* g = r.g
        const real* h_prev = r.h_prev
        real* h = r.h
        vec candidate
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        candidate = tangent(get(g + j, n))
        put(g + j, candidate, n)
        put(h + j, (get(h_prev + j, n) + candidate) / 2, n)
        j += LANES


cdef void _toy_backward(const row* r) noexcept nogil:
    cdef:
        Py_ssize_t H = r.H, j = 0, n
        const real* g = r.g
        const real* d = r.d
        real* delta = r.delta
        real* a = r.a
        vec candidate, total
    while j < H:
        n = min(<Py_ssize_t>LANES, H - j)
        candidate = get(g + j, n)
        total = get(delta + j, n)
        if d != NULL:
            total = total + get(d + j, n)
        put(a + j, total * (1 - candidate * candidate) / 2, n)
        put(delta + j, total / 2, n)
        j += LANES


_add_cell("toy", cell(1, OF_PAST, 0, 1, -1, NULL, _toy_update, _toy_backward, NULL))
'''

# For an unknown platform only the portable kernels are built.
BUILD = """
import runpy, sys, sysconfig
sysconfig.get_platform = lambda: "unknown"
sys.argv = ["setup.py", "build_ext", "--inplace"]
runpy.run_path("setup.py", run_name="__main__")
"""

# A plugin for pytest: given the cell in NumPy, the tests of all cells run for this one too.
REFERENCE = """
import numpy as np
import reference

@reference.of_sums
def toy(sums, h):
    candidate = np.tanh(sums[0])
    def backward_step(d):
        return [d / 2 * (1 - candidate**2)], [d / 2]
    return [(h + candidate) / 2], backward_step

reference.CELLS["toy"] = reference.Cell(toy, 1)
"""
RUN_TESTS = f"""
import sys, pytest
folder = {str(ROOT / "tests")!r}
sys.exit(pytest.main([
    "-v", "-k", "toy", "-p", "toy_reference", "-p", "no:cacheprovider", "--rootdir", {str(ROOT)!r},
    "-c", {str(ROOT / "pyproject.toml")!r}, folder + "/kernels", folder + "/model",
]))
"""
USE = """
import numpy as np
from skgru import GRUClassifier
X = np.random.default_rng(0).normal(size=(60, 7, 2))
y = np.where(X[:, :, 0].mean(axis=1) > 0, "up", "down")
model = GRUClassifier(8, cell="toy", max_iter=60, random_state=0).fit(X, y)
print(model.n_parameters_, model.score(X, y) > 0.9, (model.predict(X) == y).mean() > 0.9)
"""


@pytest.mark.slow
def test_a_cell_is_one_file_and_one_line(tmp_path):
    """Nothing else changes: not the estimators, the model or the tests of all cells."""
    pytest.importorskip("Cython")
    if not (ROOT / "skgru" / "kernels" / "kernels.pyx").exists():
        pytest.skip("needs the source")
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    built = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "data")
    shutil.copytree(ROOT / "skgru", tmp_path / "skgru", ignore=built)
    kernels = tmp_path / "skgru" / "kernels"
    (kernels / "toy.pxi").write_text(TOY, encoding="utf-8")
    with (kernels / "kernels.pyx").open("a", encoding="utf-8") as file:
        file.write('include "toy.pxi"\n')
    build = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stdout + build.stderr

    (tmp_path / "toy_reference.py").write_text(REFERENCE, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT / "tests")])
    result = run_python(RUN_TESTS, PYTHONPATH=path, SKGRU_ISA=None)
    assert result.returncode == 0, result.stdout + result.stderr
    passed = set(re.findall(r"::(test_\w+)\[.*toy.* PASSED", result.stdout))
    assert passed >= {
        "test_forward_matches_reference",
        "test_backward_matches_reference",
        "test_gradients_match_central_differences",
        "test_steps_match_reference",
        "test_gradient_of_every_parameter",
        "test_outputs_match_reference",
    }

    result = run_python(USE, PYTHONPATH=str(tmp_path), PYTHONWARNINGS="ignore", SKGRU_ISA=None)
    assert result.stdout.split() == [str(2 * 8 + 8 * 8 + 8 + 9), "True", "True"], result.stderr
