"""Labels as ONNX has them."""

import numpy as np
import pytest

from skgru.interop.onnx import labels


def test_integers_are_int64():
    for classes in (
        np.array([0, 1], "uint8"),
        np.array([False, True]),
        np.array([0, 2**62], "uint64"),
    ):
        got = labels(classes)
        assert got.dtype == np.int64
        assert got.tolist() == classes.tolist()


def test_labels_above_int64_are_refused():
    with pytest.raises(
        ValueError, match="int64, which does not hold the label 9223372036854775809"
    ):
        labels(np.array([0, 2**63 + 1], "uint64"))
