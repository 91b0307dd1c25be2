import numpy as np
import pytest

from skgru.kernels import instruction_sets

# A failed assertion shows its values there, too.
pytest.register_assert_rewrite("network_helpers", "display_helpers", "c_helpers")


@pytest.fixture(params=instruction_sets())
def isa(request):
    """Return every instruction set that this build and this processor support."""
    return request.param


@pytest.fixture
def ragged():
    """Return 40 sequences of two channels; the class is the sign of the first channel's mean."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    lengths = rng.integers(1, 9, size=40)
    X = [
        rng.normal(size=(n, 2)) + np.array([2 * c - 1, 0]) for n, c in zip(lengths, y, strict=True)
    ]
    return X, np.array(["down", "up"])[y]


@pytest.fixture
def windows():
    """Return 60 windows of 8 steps of a sine, and the value after each."""
    wave = np.sin(np.arange(68) / 2)
    X = np.lib.stride_tricks.sliding_window_view(wave, 8)[:-1]
    return X, wave[8:]
