"""Validation of X, and its conversion to `Sequences`."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skgru.sequences import check_sequences

RNG = np.random.default_rng(0)
ARRAY = RNG.integers(-9, 9, size=(4, 5, 2)).astype("float64")


def padded(array, lengths, extra=0):
    array = np.pad(array, ((0, 0), (0, extra), (0, 0)))
    array[np.arange(array.shape[1]) >= np.array(lengths)[:, None]] = np.nan
    return array


def object_array(items):
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


FORMS = {
    "3-D": (ARRAY, "array"),
    "3-D of ints": (ARRAY.astype(int), "array"),
    "3-D of float32": (ARRAY.astype("float32"), "array"),
    "3-D, Fortran order": (np.asfortranarray(ARRAY), "array"),
    "3-D, every other step": (np.repeat(ARRAY, 2, axis=1)[:, ::2], "array"),
    "3-D, padded": (padded(ARRAY, [5] * 4, extra=3), "array"),
    "3-D nested lists": (ARRAY.tolist(), "array"),
    "2-D": (ARRAY.reshape(4, 10), "table"),
    "2-D nested lists": (ARRAY.reshape(4, 10).tolist(), "table"),
    "2-D of objects": (ARRAY.reshape(4, 10).astype(object), "table"),
    "DataFrame": (pd.DataFrame(ARRAY.reshape(4, 10)), "table"),
    "DataFrame of mixed dtypes": (pd.DataFrame(ARRAY.reshape(4, 10)).astype({0: "Int64"}), "table"),
    "list": (list(ARRAY), "list"),
    "tuple": (tuple(ARRAY), "list"),
    "object array": (object_array(list(ARRAY)), "list"),
    "Series of arrays": (pd.Series(list(ARRAY)), "list"),
    "list of DataFrames": ([pd.DataFrame(x) for x in ARRAY], "list"),
    "list of float32 and int": ([ARRAY[0].astype("f4"), ARRAY[1].astype(int), *ARRAY[2:]], "list"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_x_gives_the_same_sequences(name, dtype):
    X, form = FORMS[name]
    sequences = check_sequences(X, n_channels=2, dtype=dtype)
    assert sequences.form == form
    assert sequences.values.flags.c_contiguous
    assert sequences.values.dtype == dtype
    np.testing.assert_array_equal(sequences.values, ARRAY.reshape(20, 2))
    np.testing.assert_array_equal(sequences.lengths, 4 * [5])


LENGTHS = [3, 5, 1, 4]


@pytest.mark.parametrize(
    "X",
    [
        [x[:n] for x, n in zip(ARRAY, LENGTHS, strict=True)],
        [x[:n].tolist() for x, n in zip(ARRAY, LENGTHS, strict=True)],
        padded(ARRAY, LENGTHS),
        padded(ARRAY, LENGTHS, extra=2),
    ],
    ids=["list", "nested lists", "padded", "padded more"],
)
def test_every_ragged_form_of_x_gives_the_same_sequences(X):
    sequences = check_sequences(X)
    np.testing.assert_array_equal(sequences.lengths, LENGTHS)
    expected = np.concatenate([x[:n] for x, n in zip(ARRAY, LENGTHS, strict=True)])
    np.testing.assert_array_equal(sequences.values, expected)
    back = sequences.in_form_of_x(sequences.values)
    np.testing.assert_array_equal(np.concatenate(list(back)), np.concatenate(list(X)))


def test_one_dimensional_items_have_one_channel():
    sequences = check_sequences([np.arange(3), np.arange(2)])
    np.testing.assert_array_equal(sequences.values[:, 0], [0, 1, 2, 0, 1])
    ragged_lists = check_sequences([[0, 1, 2], [0, 1]])
    np.testing.assert_array_equal(ragged_lists.values, sequences.values)


def test_a_contiguous_array_is_not_copied():
    X = ARRAY.copy()
    X.flags.writeable = False
    assert np.shares_memory(check_sequences(X).values, X)


def test_nan_within_a_sequence_needs_allow_nan():
    X = ARRAY.copy()
    X[2, 1, 0] = np.nan
    assert np.isnan(check_sequences(X, allow_nan=True).values).sum() == 1
    with pytest.raises(ValueError, match=r"contains NaN: X\[2\], time step 1, channel 0"):
        check_sequences(X)


def with_value(value, index=(3, 4, 1)):
    X = ARRAY.copy()
    X[index] = value
    return X


BAD = {
    "empty list": ([], ValueError, "Expected 2D array, got 1D"),
    "no samples": (np.zeros((0, 5)), ValueError, "0 sample"),
    "no time steps": (np.zeros((3, 0, 2)), ValueError, r"shape \(3, 0, 2\)"),
    "no channels": (np.zeros((3, 2, 0)), ValueError, r"shape \(3, 2, 0\)"),
    "no columns": (np.zeros((3, 0)), ValueError, "0 feature"),
    "empty sequence": ([ARRAY[0], np.zeros((0, 2))], ValueError, r"X\[1\] is empty"),
    "all NaN": (padded(ARRAY, [5, 0, 5, 5]), ValueError, r"X\[1\] is empty: all"),
    "1-D": (np.zeros(5), ValueError, "Expected 2D array, got 1D"),
    "a scalar": (3.0, ValueError, "scalar"),
    "4-D": (np.zeros((2, 3, 4, 5)), ValueError, r"4 dimensions \(shape \(2, 3, 4, 5\)\)"),
    "3-D items": ([ARRAY, ARRAY], ValueError, r"X\[0\] has shape \(4, 5, 2\)"),
    "channels": (
        [*ARRAY, np.zeros((3, 3))],
        ValueError,
        r"X\[4\] has 3 channels, the others have 2",
    ),
    "first channels": ([np.zeros((3, 3)), *ARRAY], ValueError, r"X\[0\] has 3 channels"),
    "ragged item": ([ARRAY[0], [[1, 2], [3]]], ValueError, r"X\[1\] is not an array"),
    "inf": (with_value(np.inf), ValueError, r"infinity .*X\[3\], time step 4, channel 1"),
    "too large": (with_value(1e300), ValueError, "too large for float32"),
    "inf in a list": (list(with_value(-np.inf)), ValueError, r"X\[3\], time step 4"),
    "NaN in 2-D": (with_value(np.nan).reshape(4, 10), ValueError, "contains NaN"),
    "NaN tail in a list": (list(padded(ARRAY, LENGTHS)), ValueError, r"NaN: X\[0\], time step 3"),
    "one channel NaN": (with_value(np.nan), ValueError, "NaN"),
    "width": (np.zeros((3, 5)), ValueError, "5 columns, which n_channels=2 does not divide"),
    "strings": (np.array([["a", "b"]]), ValueError, "strings"),
    "numeric strings": (np.array([["1", "2"]]), ValueError, "strings"),
    "lists of strings": ([["1", "2"], ["3", "4"]], ValueError, "strings"),
    "items of strings": ([np.array(["a"]), np.array(["b", "c"])], ValueError, "strings"),
    "objects": (np.array([[{}, 1]], dtype=object), TypeError, "must be a string or a real number"),
    "complex": (ARRAY * 1j, ValueError, "Complex data"),
    "sparse": (csr_array(np.eye(4)), TypeError, "[Ss]parse"),
}


@pytest.mark.parametrize("name", BAD)
def test_invalid_input_is_rejected(name):
    X, error, message = BAD[name]
    with pytest.raises(error, match=message):
        check_sequences(X, n_channels=2, dtype="float32")
