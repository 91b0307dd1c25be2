"""Whatever comes in: a finite answer, or a short error of the right class, and no change by it."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skgru import GRUClassifier, GRURegressor

# ---- values --------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.floats(-10, 10, width=32),
    st.sampled_from([0, 1, 1, 2, -0.0, 1e30, 1e300, -1e-300, 2**60, 2**63, 2**64, 10**400]),
)
ODD = st.sampled_from(
    [np.nan, np.inf, None, pd.NA, pd.NaT, "a", "1.5", b"a", True, 1j, Decimal("1.5"), {}, (), [],
     np.datetime64("2020-01-01"), np.timedelta64(1, "s"), pd.Timestamp("2020"), np.ma.masked,
     "x" * 999]
)  # fmt: skip
DTYPES = st.sampled_from(
    ["float64", "float32", "float16", "longdouble", "int64", "int8", "uint64", "bool", "object",
     "str", "bytes", "complex64", "datetime64[s]", "timedelta64[ns]", ">f8", "StringDType"]
)  # fmt: skip

PLAIN_DTYPES = st.sampled_from(["float64", "float32", "int64", "uint8", "bool", "object"])


@st.composite
def values(draw, shape, odd):
    """Numbers in nested lists, of which one may be something else."""
    n = int(np.prod(shape))
    flat = draw(st.lists(NUMBERS if odd else st.integers(0, 2), min_size=n, max_size=n))
    if odd and n and draw(st.booleans()):
        flat[draw(st.integers(0, n - 1))] = draw(ODD)
    array = np.empty(n, dtype=object)
    array[:] = flat
    return array.reshape(shape)


def typed(array, dtype):
    """The values in a dtype, or as objects if they do not fit."""
    dtype = np.dtypes.StringDType() if dtype == "StringDType" else dtype
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return array.astype(dtype)
    except Exception:
        return array


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


CONTAINERS = [
    lambda a: a,
    lambda a: a.tolist(),
    list,
    tuple,
    lambda a: objects(list(a)),
    lambda a: pd.Series(list(a)),
    lambda a: pd.DataFrame(a.reshape(len(a), -1)),
    lambda a: [pd.DataFrame(x) for x in a],
    lambda a: np.ma.MaskedArray(a, mask=np.zeros(a.shape, bool)),
    lambda a: np.ma.MaskedArray(a, mask=np.arange(a.size).reshape(a.shape) % 5 == 0),
    lambda a: dict(enumerate(a)),
    lambda a: dict(enumerate(a)).values(),
    iter,
    lambda a: a.ravel()[0] if a.size else a,
    lambda a: {str(v) for v in a.ravel()},
    lambda a: str(a.tolist()),
]  # fmt: skip


@st.composite
def data(draw, shape, *, odd=True):
    array = typed(draw(values(shape, odd)), draw(DTYPES if odd else PLAIN_DTYPES))
    kinds = CONTAINERS if odd else CONTAINERS[:7]
    try:
        container = draw(st.sampled_from(kinds))(array)
    except Exception:  # pandas or NumPy make no such container
        return array
    if odd and isinstance(container, list) and draw(st.booleans()):  # ragged
        return [x[: i + 1] if np.ndim(x) else x for i, x in enumerate(container)]
    return container


PARAMETERS = {
    "hidden_layer_sizes": [1, (2, 1), True, (), {2}, np.array(2), 1.5],
    "n_channels": [1, 1, 2, 3],
    "return_sequences": [False, True],
    "bidirectional": [False, True],
    "pooling": ["last", "mean", "max", "attention", "median"],
    "cell": ["gru", "lstm", "rnn", "elman"],
    "solver": ["adam", "sgd", "lbfgs"],
    "batch_size": [1, 2, "auto"],
    "early_stopping": [False, True],
    "dtype": ["float32", "float64"],
    "alpha": [0.0, 1.0, -1.0],
    "dropout": [0.0, 0.5],
    "learning_rate_init": [1e-3, 1e3, True],
    "learning_rate": ["cosine", "invscaling"],
    "power_t": [0.5, 1, 300.0],
}
OF_REGRESSOR = {
    "loss": ["squared_error", "quantile", "poisson", "huber"],
    "quantiles": [(0.5,), (0.1, 0.9), (), (2.0,)],
}
OF_CLASSIFIER = {
    "class_weight": [
        None, "balanced", {0: 1.0, 1: 2.0}, {0: 1e-300}, {0: 1e300, 1: 1e-300}, {0: -1.0},
        {0: np.nan}, {0: "2"}, {"a": 1.0}, {},
    ],
}  # fmt: skip


@st.composite
def calls(draw):
    """An estimator, and what it is fitted to."""
    estimator = draw(st.sampled_from([GRUClassifier, GRURegressor]))
    options = {**PARAMETERS, **(OF_REGRESSOR if estimator is GRURegressor else OF_CLASSIFIER)}
    names = draw(st.lists(st.sampled_from(sorted(options)), unique=True, max_size=4))
    # the first values are valid for themselves
    sane = draw(st.booleans())
    parameters = {
        name: draw(st.sampled_from(options[name][: 2 if sane else None])) for name in names
    }
    odd_x, odd_y, odd_w = draw(
        st.sampled_from([(False,) * 3, *np.eye(3, dtype=bool).tolist(), (True,) * 3])
    )
    n, steps = (draw(st.integers(0 if odd_x else 1, k)) for k in (6, 3))
    channels = draw(st.integers(1, 3))
    shapes = [(n, steps, channels), (n, steps * channels), *[(n,)] * odd_x]
    X = draw(data(draw(st.sampled_from(shapes)), odd=odd_x))
    by_step = parameters.get("return_sequences", False)
    shapes = [(n, steps), (n, steps, 2)] if by_step and steps else [(n,), (n, 1), (n, 2)]
    y = draw(data(draw(st.sampled_from(shapes)), odd=odd_y))
    weight_shapes = [(n,), (n, steps)] if by_step else [(n,)]
    weight = None
    if draw(st.booleans()):
        weight = draw(data(draw(st.sampled_from(weight_shapes)), odd=odd_w))
    return estimator, parameters, X, y, weight


def numbers_in(result):
    """All numbers of predictions, but those that mark the padding of an array."""
    rows = result if isinstance(result, list) else [result]
    flat = np.concatenate([np.ravel(np.asarray(row)) for row in rows])
    return flat.astype(float) if flat.dtype.kind in "biuf" else np.zeros(1)


def check(call):
    estimator, parameters, X, y, weight = call
    model = estimator(max_iter=1, random_state=0).set_params(**parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = dict(vars(model))
        if not succeeds(lambda: model.fit(X, y, sample_weight=weight)):
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[name] is value for name, value in before.items())
            return
        # whether X was padded: only its end may lack a prediction
        padded = model.return_sequences and not isinstance(model.predict(X), list)
        for method in ("predict", "transform", "predict_proba"):
            if hasattr(model, method):
                numbers = numbers_in(getattr(model, method)(X))
                assert np.isfinite(numbers).all() or (padded and np.isnan(numbers).any())
        fitted = dict(vars(model))
        assert succeeds(lambda: model.score(X, y)) or weight is not None or len(y) < 2
        if hasattr(model, "partial_fit") and not succeeds(lambda: model.partial_fit(y, X)):
            assert vars(model).keys() == fitted.keys()
            assert all(vars(model)[name] is value for name, value in fitted.items())


def succeeds(function):
    """Whether a call returns; an error must be of the right class, and short."""
    try:
        function()
    except (ValueError, TypeError) as error:  # InvalidParameterError is both
        message = str(error)
        assert 0 < len(message) < 400, (len(message), message[:1000])
        return False
    return True


COMMON = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=200, **COMMON)
@given(calls())
def test_a_finite_answer_or_a_short_error(call):
    check(call)


@pytest.mark.slow
@settings(max_examples=2000, **COMMON)
@given(calls())
def test_a_finite_answer_or_a_short_error_2000_times(call):
    check(call)
