"""The choice of an instruction set."""

import pytest
from process_helpers import run_forked

from skgru.kernels import active_instruction_set, instruction_sets

SHOW = "from skgru.kernels import active_instruction_set as f; print(f())"


def test_the_fastest_is_the_default():
    assert run_forked(SHOW, SKGRU_ISA=None).stdout.strip() == instruction_sets()[-1]


def test_skgru_isa_forces_one(isa):
    code = (
        SHOW
        + """
from skgru import GRURegressor
import numpy as np, sys
GRURegressor(max_iter=1, early_stopping=False).fit(np.eye(9), np.arange(9.0)).predict(np.eye(9))
print(*[name for name in sys.modules if name.startswith("skgru.kernels.float")])
"""
    )
    out = run_forked(code, SKGRU_ISA=isa)
    assert out.stdout.split() == [isa, f"skgru.kernels.float32_{isa.replace('-', '_')}"]


@pytest.mark.parametrize("name", ["avx9", "x86_64_v3", "neon", "PORTABLE"])
def test_an_unknown_skgru_isa_is_rejected(name, monkeypatch):
    if name in instruction_sets():
        pytest.skip(f"{name} exists here")
    monkeypatch.setenv("SKGRU_ISA", name)
    with pytest.raises(ValueError, match=f"SKGRU_ISA='{name}' cannot be used") as raised:
        active_instruction_set.__wrapped__()
    assert ", ".join(instruction_sets()) in str(raised.value)
