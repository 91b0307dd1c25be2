"""What every container of every dtype does in X and in y.

`python tests/container_table.py` runs all of them and writes the table. Values are 3 sequences of 4 time steps. `tests/test_containers.py` compares what happens with the
written table, tests/data/containers.txt.
"""

import re
import warnings
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from skgru import GRUClassifier, GRURegressor
from skgru.sequences import check_sequences

TABLE = Path(__file__).parent / "data" / "containers.txt"

BITS = np.array([[0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1]])


def objects(values, shape=BITS.shape):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def with_first(value, array=BITS):
    """Objects, of which the first is another."""
    return objects([value, *array.ravel().tolist()[1:]])


def dates(unit="D"):
    return np.datetime64("2020-01-01", unit) + BITS.astype(f"timedelta64[{unit}]")


NAT = dates()
NAT[0, 0] = "NaT"

DTYPES = {
    **{t: BITS.astype(t) for t in ("float64", "float32", "float16", "int64", "int8", "uint8")},
    **{t: BITS.astype(t) for t in ("uint64", "bool")},
    "float64, a NaN": np.where(np.eye(3, 4), np.nan, BITS),
    "float64, an infinity": np.where(np.eye(3, 4), np.inf, BITS.astype(float)),
    "int64 above 2**53": BITS + 2**60,
    "uint64 above int64": BITS.astype("uint64") + np.uint64(2**63),
    "complex128": BITS.astype(complex),
    "str": np.array(["no", "yes"])[BITS],
    "str of numbers": BITS.astype(str),
    "bytes": np.array([b"no", b"yes"])[BITS],
    "datetime64": dates(),
    "datetime64[ns]": dates("ns"),
    "datetime64, a NaT": NAT,
    "timedelta64": BITS.astype("timedelta64[s]"),
    "objects: int": BITS.astype(object),
    "objects: bool": BITS.astype(bool).astype(object),
    "objects: str": np.array(["no", "yes"])[BITS].astype(object),
    "objects: Decimal": objects([Decimal(int(v)) for v in BITS.flat]),
    "objects: int, a None": with_first(None),
    "objects: int, a NaN": with_first(np.nan),
    "objects: int, a pandas.NA": with_first(pd.NA),
    "objects: int, a NaT": with_first(pd.NaT),
    "objects: bool, a None": with_first(None, BITS.astype(bool)),
    "objects: str, a None": with_first(None, np.array(["no", "yes"])[BITS]),
    "objects: int, a str": with_first("a"),
    "objects: int, a date": with_first(pd.Timestamp("2020-01-01")),
    "objects: int, a dict": with_first({}),
    "objects: int above 2**53, a NaN": with_first(np.nan, BITS + 2**60),
    "objects: int of 400 digits": with_first(10**400),
}


def values_of(array):
    """Nested lists of Python's values, but of dates in ns, of which Python has none."""
    if array.ndim > 1:
        return [values_of(row) for row in array]
    return list(array) if array.dtype.kind in "mM" else array.tolist()


def masked(values, mask):
    return np.ma.MaskedArray(values, mask=mask)


def extension(dtype):
    """Make a pandas frame of an extension dtype."""
    return lambda v: pd.DataFrame({f"t{i}": pd.array(values_of(v[:, i]), dtype) for i in range(4)})


def polars(v):
    import polars

    return polars.DataFrame({f"t{i}": values_of(v[:, i]) for i in range(v.shape[1])}, strict=True)


def polars_lists(v):
    import polars

    return polars.Series(values_of(v), strict=True)


def arrow(v):
    import pyarrow

    return pyarrow.table({f"t{i}": values_of(v[:, i]) for i in range(v.shape[1])})


def arrow_lists(v):
    import pyarrow

    return pyarrow.array(values_of(v))


def awkward(v):
    import awkward

    return awkward.Array([values_of(row[: i + 2]) for i, row in enumerate(v)])


def frames(v):
    return [pd.DataFrame({"a": row}) for row in v]


RAGGED = {
    "list of arrays, ragged": lambda v: [row[: i + 2] for i, row in enumerate(v)],
    "nested lists, ragged": lambda v: [values_of(row[: i + 2]) for i, row in enumerate(v)],
    "awkward array, ragged": awkward,
}
CONTAINERS = {
    "array (3, 4)": lambda v: v,
    "array, Fortran order": np.asfortranarray,
    "list of arrays": list,
    "tuple of arrays": tuple,
    "nested lists": lambda v: values_of(v),
    "object array of arrays": lambda v: objects(list(v), 3),
    **RAGGED,
    "masked array, nothing masked": lambda v: masked(v, np.zeros((3, 4), bool)),
    "masked array": lambda v: masked(v, np.eye(3, 4, dtype=bool)),
    "list of masked arrays": lambda v: list(masked(v, np.eye(3, 4, dtype=bool))),
    "pandas.DataFrame": lambda v: pd.DataFrame(v, columns=list("abcd")),
    "pandas.DataFrame, Int64": extension("Int64"),
    "pandas.DataFrame, Float64": extension("Float64"),
    "pandas.DataFrame, boolean": extension("boolean"),
    "pandas.DataFrame, string": extension("string"),
    "pandas.DataFrame, category": lambda v: pd.DataFrame(v).astype("category"),
    "pandas.Series of arrays": lambda v: pd.Series(list(v)),
    "list of pandas.DataFrame": frames,
    "polars.DataFrame": polars,
    "polars.Series of lists": polars_lists,
    "list of polars.Series": lambda v: [polars(row[:, np.newaxis]).to_series() for row in v],
    "polars.LazyFrame": lambda v: polars(v).lazy(),
    "pyarrow.Table": arrow,
    "pyarrow.Array of lists": arrow_lists,
    "dict": lambda v: dict(enumerate(v)),
    "dict values": lambda v: dict(enumerate(v)).values(),
    "set": lambda v: {tuple(row.tolist()) for row in v},
    "generator": iter,
    "array of no dimensions": lambda v: v[0, 0, ...],
}
COLUMNS = {
    "array (3,)": lambda v: v,
    "list": list,
    "list of Python's values": lambda v: values_of(v),
    "array (3, 1)": lambda v: v[:, np.newaxis],
    "masked array": lambda v: masked(v, [True, False, False]),
    "pandas.Series": pd.Series,
    "pandas.Series, Int64": lambda v: pd.Series(pd.array(values_of(v), "Int64")),
    "pandas.Series, boolean": lambda v: pd.Series(pd.array(values_of(v), "boolean")),
    "pandas.Series, string": lambda v: pd.Series(pd.array(values_of(v), "string")),
    "pandas.Series, category": lambda v: pd.Series(v, dtype="category"),
    "polars.Series": lambda v: polars(v[:, np.newaxis]).to_series(),
    "pyarrow.Array": lambda v: arrow(v[:, np.newaxis]).column(0),
    "list of arrays, ragged": lambda v: [np.repeat(x, i + 1) for i, x in enumerate(v)],
    "dict values": lambda v: dict(enumerate(v)).values(),
    "set": lambda v: set(values_of(v)),
    "generator": iter,
}


def outcome(function, *arguments):
    """Describe what a function returns, or the error that it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments)
    except Exception as error:
        message = re.sub(r"\s+", " ", str(error))
        assert len(message) < 400, message
        # units depend on the version of pandas; the rest is not what the table is about
        message = re.sub(r"(?<=64)\[\w+\]", "", message).replace("X[0]", "X")
        message = re.sub(r"single value \(.*\)", "single value", message)
        message = re.sub(r"(holds|dtype|missing value) .*", r"\1 …", message)
        return f"{type(error).__name__}: {message[:72]}{'…' if len(message) > 72 else ''}"


def plain(container, v):
    """The values as float64, of sequences as long as the container makes them."""
    rows = [row[: i + 2] if container in RAGGED else row for i, row in enumerate(v)]
    exact = [isinstance(x, int) and x > 10**300 for x in np.hstack(rows)]
    rows = np.where(exact, np.nan, np.hstack(rows))
    return np.array([np.nan if pd.isna(x) else float(x) for x in rows])


def of_X(X, container, v):
    sequences = check_sequences(X, dtype="float64")
    np.testing.assert_array_equal(sequences.values[:, 0], plain(container, v))
    return f"the same numbers, as {sequences.form}"


X_OF_Y = {True: [np.zeros((n, 1)) for n in (2, 3, 4)], False: np.zeros((3, 4, 1))}


def of_labels(y, container, v, by_step):
    X = X_OF_Y[container in RAGGED and by_step]
    model = GRUClassifier(1, max_iter=0, return_sequences=by_step).fit(X, y)
    weights = model._check_targets(y, None, check_sequences(X)).weights
    missing = f", {int((weights == 0).sum())} missing" if (weights == 0).any() else ""
    examples = ", ".join(map(str, model.classes_[:2]))
    kind = model.classes_.dtype.kind
    return f"{len(model.classes_)} classes of kind {kind}: {examples[:60]}{missing}"


def of_numbers(y, container, v, by_step):
    X = X_OF_Y[container in RAGGED and by_step]
    model = GRURegressor(1, max_iter=0, return_sequences=by_step, dtype="float64").fit(X, y)
    targets = model._check_targets(y, None, check_sequences(X))
    known, expected = targets.weights > 0, plain(container, v)
    np.testing.assert_array_equal(targets.y[known, 0], expected[known])
    missing = f", {int((~known).sum())} missing" if not known.all() else ""
    return f"the same numbers{missing}"


SECTIONS = {
    "X": (CONTAINERS, of_X, ()),
    "y of a classifier, per sequence": (COLUMNS, of_labels, (False,)),
    "y of a classifier, per time step": (CONTAINERS, of_labels, (True,)),
    "y of a regressor, per sequence": (COLUMNS, of_numbers, (False,)),
    "y of a regressor, per time step": (CONTAINERS, of_numbers, (True,)),
}


def section(role, container):
    """Lines of the table for one container: each outcome with the dtypes that have it."""
    containers, function, options = SECTIONS[role]
    by_outcome = defaultdict(list)
    for dtype, values in DTYPES.items():
        values = values[:, 1] if containers is COLUMNS else values
        if containers is COLUMNS and dtype.startswith(("objects", "float64,", "datetime64, ")):
            values = DTYPES[dtype][0, :3]
        try:
            data = containers[container](values)
        except Exception:
            continue  # the library makes no such container
        by_outcome[outcome(function, data, container, values, *options)].append(dtype)
    lines = [f"  {what}\n      {'; '.join(dtypes)}" for what, dtypes in by_outcome.items()]
    return "\n".join([f"{role}: {container}", *lines])


def whole_table():
    return {
        (role, container): section(role, container)
        for role, (containers, *_) in SECTIONS.items()
        for container in containers
    }


if __name__ == "__main__":
    TABLE.write_text("\n\n".join(whole_table().values()) + "\n", encoding="utf-8")
