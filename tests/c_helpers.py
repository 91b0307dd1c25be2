"""Models in C, compiled and run."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow"]
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

# what a test calls: the outputs after each step of sequences that are told apart by a reset
PROGRAM = """
#include "model.h"
extern const int n_channels, n_outputs, state_bytes;
extern const char *label(int i);
extern int most_probable(const float *out);
extern void run(const float *x, int n_steps, float *out);
const int n_channels = m_channels, n_outputs = m_outputs, state_bytes = sizeof(m_state);
void run(const float *x, int n_steps, float *out)
{
    m_state state;
    int t;
    m_reset(&state);
    for (t = 0; t < n_steps; t++)
        m_step(&state, x + t * m_channels, out + t * m_outputs);
}
"""
LABELS = """
const char *label(int i) { return m_label(i); }
int most_probable(const float *out) { return m_class(out); }
"""


def compiled(tmp_path, header, *flags, extra=""):
    """Compile a header of the name m as a library."""
    # a library that is loaded must not be written over
    path = tmp_path / f"model{len(list(tmp_path.iterdir()))}.so"
    (tmp_path / "model.h").write_text(header, encoding="ascii")
    (tmp_path / "model.c").write_text(PROGRAM + extra, encoding="ascii")
    command = ["gcc", "-std=c99", *WARNINGS, *(flags or ["-O1"]), "-fPIC", "-shared"]
    result = subprocess.run(
        [*command, "model.c", "-o", path, "-lm"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[:2000]
    return ctypes.CDLL(str(path))


def constant(library, name):
    return ctypes.c_int.in_dll(library, name).value


def steps(library, x):
    """What the model in C says after each step of a sequence."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    out = np.full((len(x), constant(library, "n_outputs")), np.nan, dtype=np.float32)
    assert x.shape[1] == constant(library, "n_channels")
    library.run(x.ctypes.data_as(ctypes.c_void_p), len(x), out.ctypes.data_as(ctypes.c_void_p))
    return out


def last(library, X):
    return np.array([steps(library, x)[-1] for x in X])
