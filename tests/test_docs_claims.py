"""What the docs claim: names of skgru in tables, and messages of warnings."""

import ast
import inspect
import re
import warnings

import numpy as np
import pytest
from helpers import DOCS

import skgru
from skgru import GRUClassifier, GRURegressor, forecasting

# ---- the tables of "Coming from …" ---------------------------------------------------------------

COMING_FROM = (DOCS / "coming_from.rst").read_text(encoding="utf-8")


def cells_of_skgru():
    """Yield the cells of the tables' columns that are about skgru."""
    for table in re.split(r"^\.\. list-table::", COMING_FROM, flags=re.MULTILINE)[1:]:
        rows = [
            [re.sub(r"\s+", " ", cell).strip() for cell in re.split(r"\n? {3,5}- ", row)[1:]]
            for row in table.split("   * - ")[1:]
            for row in ["   - " + row]
        ]
        column = rows[0].index("skgru")
        yield from (row[column] for row in rows[1:])


CELLS = list(cells_of_skgru())
NAMES = [name for cell in CELLS for name in re.findall(r"(?<![`\w:])`(\w+)`", cell)]
CODE = [code for cell in CELLS for code in re.findall(r"``(.+?)``", cell)]


def test_tables_are_found():
    assert len(CELLS) >= 18
    assert len(NAMES) >= 10
    assert len(CODE) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_names_exist(name):
    parameters = inspect.signature(GRUClassifier).parameters
    fitted = GRUClassifier(2, max_iter=1, learning_rate="cosine").fit([[0.0], [1.0]], [0, 1])
    owners = (skgru, forecasting, fitted)
    assert name in parameters or any(hasattr(owner, name) for owner in owners)


@pytest.mark.parametrize("code", CODE)
def test_code_of_tables_is_of_skgru(code):
    if "(" in code and "=(" not in code:
        # "window=" is short for any window
        (call,) = ast.parse(re.sub(r"=(?=[,)])", "=...", code)).body
        name = call.value.func.id
        if name == "make_reduction":
            return  # of sktime, with a regressor of skgru: run in tests/integrations
        thing = getattr(forecasting, name, None) or getattr(forecasting.WindowForecaster, name)
        signature = inspect.signature(thing)
        signature.bind_partial(
            *([...] * (len(call.value.args) + (not inspect.isclass(thing)))),
            **{keyword.arg: ... for keyword in call.value.keywords},
        )
    else:
        (call,) = ast.parse(f"dict({code})").body
        parameters = {keyword.arg: keyword.value for keyword in call.value.keywords}
        model = GRUClassifier(**{k: ast.literal_eval(v) for k, v in parameters.items()})
        model._validate_params()


# ---- the messages of "Troubleshooting" -----------------------------------------------------------

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30, 10, 2)), np.arange(30) % 2
ROWS = X.reshape(30, -1)
SHORT = {"max_iter": 2, "learning_rate": "cosine"}


def fitted(X=X, **parameters):
    return GRUClassifier(4, **SHORT, **parameters).fit(X, y)


def diverge():
    steep = {"learning_rate": "constant", "learning_rate_init": 10.0, "max_grad_norm": None}
    GRURegressor(8, **steep, alpha=0, max_iter=60, n_iter_no_change=60, random_state=0).fit(X, y)


def load_of_other_version():
    state = fitted().__getstate__()
    GRUClassifier().__setstate__(state | {"_skgru_version": "0.0.1"})


def with_steps(y):
    GRUClassifier(4, return_sequences=True, **SHORT).fit(list(X), y)


# what the page says, and a call that makes the message
MESSAGES = {
    "Training diverged: its loss rose far above its minimum": diverge,
    "Training reached max_iter=... epochs and had not converged yet": lambda: GRUClassifier(
        4, max_iter=2, learning_rate="constant"
    ).fit(X, y),
    "The gradient vanishes on its way to the first time step": lambda: GRURegressor(
        4, pooling="last", **SHORT
    ).fit(rng.normal(size=(10, 300, 2)), rng.normal(size=10)),
    "Most updates were clipped at max_grad_norm=...": lambda: GRURegressor(
        4, max_iter=12, max_grad_norm=1e-3
    ).fit(X, rng.normal(size=30)),
    "X has ... channels and only ... time steps": lambda: fitted(
        np.swapaxes(rng.normal(size=(30, 100, 2)), 1, 2)
    ),
    "... was saved by skgru ... and is loaded by skgru ...": load_of_other_version,
    "Input X contains NaN: X[...], time step ..., channel ...": lambda: fitted(
        np.where(np.arange(10)[:, np.newaxis] == 3, np.nan, X)
    ),
    "X has ... features, but ... is expecting ... features as input": lambda: fitted(ROWS).predict(
        ROWS[:, :10]
    ),
    "X has ... columns, which n_channels=... does not divide": lambda: fitted(ROWS, n_channels=3),
    "X is a list of 1-D sequences, which have one channel, but n_channels=...": lambda: fitted(
        list(ROWS), n_channels=2
    ),
    "X has ... channels, but ... was fitted on sequences of ... channels": lambda: fitted().predict(
        X[:, :, :1]
    ),
    "y[...] has ... steps, X[...] has ...": lambda: with_steps([np.zeros(12, int)] * 30),
    "y has ... dimensions (shape ...); with return_sequences=True it needs an entry for each time "
    "step": lambda: with_steps(y),
    "only models with bidirectional=False can be streamed": lambda: fitted().stream(),
    'class_weight="balanced" is not supported by partial_fit': lambda: GRUClassifier(
        class_weight="balanced"
    ).partial_fit(X, y, classes=[0, 1]),
    "classes must be passed on the first call to partial_fit": lambda: GRUClassifier().partial_fit(
        X, y
    ),
    "partial_fit does not support early_stopping=True": lambda: GRUClassifier(
        early_stopping=True
    ).partial_fit(X, y, classes=[0, 1]),
}


# a message, and the class of warning that the page names below it
PAGE = dict(
    re.findall(
        r"^``(.+)``\n    (?:`(\w+Warning)`)?",
        (DOCS / "troubleshooting.rst").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
)


def test_page_has_these_messages():
    assert list(PAGE) == list(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_given(message):
    given = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            MESSAGES[message]()
        except ValueError as error:
            given.append(error)
    given += [warning.message for warning in caught]
    pattern = re.escape(message).replace(r"\.\.\.", ".+")
    (found,) = {type(said).__name__ for said in given if re.search(pattern, str(said))}
    assert found == (PAGE[message] or found)
