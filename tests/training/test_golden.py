"""Fits of small models beside those of the code before its files were rearranged.

Exact bits differ between machines, whose compilers, instruction sets and libraries of mathematics
round differently; `benchmarks/same_bits.py` compares them on one machine, before and after a
change. Here each number has to agree to 1e-6, which no other formula would.
"""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

golden = run_path(str(Path(__file__).parents[1] / "data" / "make_golden.py"))


@pytest.mark.parametrize("name", golden["CASES"])
def test_fits_are_what_they_were(name):
    with np.load(golden["PATH"]) as saved:
        for what, got in golden["results"](name).items():
            want = saved[f"{name}: {what}"]
            assert got.shape == want.shape
            scale = np.abs(want).max()
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7 * scale, err_msg=what)


def test_the_cases_differ():
    """The fits move every kind of parameter, or they would show nothing."""
    with np.load(golden["PATH"]) as saved:
        for name in golden["CASES"]:
            after = saved[f"{name}: parameters"]
            before = np.random.default_rng(1).normal(size=after.size) / 2
            assert np.abs(after - before).max() > 1e-2
            assert (after != before).mean() > 0.8
            assert len(saved[f"{name}: losses"]) > 2
