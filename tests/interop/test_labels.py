"""Labels as ONNX has them."""

import re

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


@pytest.mark.parametrize("dtype", ["datetime64[D]", "datetime64[ns]", "timedelta64[h]"])
def test_dates_and_durations_are_refused(dtype):
    with pytest.raises(ValueError, match=rf"dtype {re.escape(dtype)}; .* y.astype\(str\)"):
        labels(np.array([1, 2], dtype))


def test_strings_that_are_not_utf_8_are_refused():
    assert labels(np.array(["größe", "a"])).tolist() == ["größe", "a"]
    with pytest.raises(ValueError, match=r"ONNX labels are UTF-8, but '\\ud800' is not"):
        labels(np.array(["a", "\ud800"]))
