"""The HTML representation of estimators."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skgru import GRUClassifier, GRURegressor
from skgru.html_repr import network_html
from skgru.preprocessing import PerTimestep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Tables(HTMLParser):
    """Collect the rows of all tables."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.in_cell = [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self.in_cell:
            self.rows[-1][-1] += data


def network(model):
    """Return the rows of the table of the network, with its heading, or an empty list."""
    rows = Tables(estimator_html_repr(model)).rows
    starts = [i for i, row in enumerate(rows) if row[0] == "Layer"]
    if not starts:
        return []
    (start,) = starts
    end = next(i for i in range(start, len(rows)) if rows[i][0] == "all")
    return rows[start : end + 1]


HEADING = ["Layer", "Direction", "Cell", "Inputs → units", "Parameters"]


def test_layers_and_their_parameters(ragged):
    model = GRUClassifier((6, 40), bidirectional=True, pooling="attention", max_iter=1).fit(*ragged)
    assert network(model) == [
        HEADING,
        ["1", "forward", "gru", "2 → 6", "162"],
        ["1", "backward", "gru", "2 → 6", "162"],
        ["2", "forward", "gru", "12 → 40", "6,360"],
        ["2", "backward", "gru", "12 → 40", "6,360"],
        ["output", "", "attention", "80 → 1", "161"],
        ["all", "", "", "", f"{model.n_parameters_:,}"],
    ]
    counts = [int(row[-1].replace(",", "")) for row in network(model)[1:]]
    assert sum(counts[:-1]) == counts[-1] == model.n_parameters_
    # every tag is closed
    ElementTree.fromstring(network_html(model._network))


def test_other_cells_and_outputs(ragged):
    X, _ = ragged
    y = [np.stack([x[:, 0], x[:, 1], x[:, 0]], axis=1) for x in X]
    how = {"cell": "light_gru", "activation": "relu", "return_sequences": True}
    model = GRURegressor(5, **how, max_iter=1).fit(X, y)
    assert network(model)[1:] == [
        ["1", "forward", "light_gru_relu", "2 → 5", "80"],
        ["output", "", "every state", "5 → 3", "18"],
        ["all", "", "", "", "98"],
    ]


def test_only_fitted_estimators_show_a_network(ragged):
    model = GRUClassifier(3, max_iter=1)
    pipeline = make_pipeline(PerTimestep(StandardScaler()), model)
    search = GridSearchCV(pipeline, {"gruclassifier__alpha": [0, 1]}, cv=2)
    for estimator in (model, pipeline, search):
        assert network(estimator) == []
        assert "<table" in estimator_html_repr(estimator)
    for estimator in (pipeline, search):
        estimator.fit(*ragged)
        assert network(estimator)[0] == HEADING
        assert network(clone(estimator)) == []
    # the parameters are still shown, above it
    text = estimator_html_repr(pipeline)
    assert 0 < text.index("hidden_layer_sizes") < text.index("Fitted network")
    assert network(model.set_params(alpha=2)) != []


def test_notebook_representations(ragged):
    model = GRUClassifier(3, max_iter=1, class_weight={"up": 1, "down": 2}).fit(*ragged)
    assert "Fitted network" in model._repr_html_()
    bundle = model._repr_mimebundle_()
    assert "Fitted network" in bundle["text/html"]
    assert bundle["text/plain"] == repr(model)
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")
        assert "text/html" not in model._repr_mimebundle_()


def test_html_is_escaped(ragged):
    model = GRUClassifier(3, max_iter=1).fit(*ragged)
    architecture = model._network.architecture
    model._network.architecture = architecture._replace(cell="<script>alert('&')</script>")
    shown = estimator_html_repr(model)
    assert "<script>alert" not in shown
    assert re.search(r"&lt;script&gt;alert\(&#x27;&amp;", shown)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_inputs_that_have_parameters(bidirectional):
    rng = np.random.default_rng(0)
    X = np.dstack([rng.normal(size=(20, 5, 2)), rng.integers(3, size=(20, 5))])
    directions = ["forward", "backward"][: 1 + bidirectional]
    settings = {"bidirectional": bidirectional, "max_iter": 1, "categorical_channels": [2]}
    model = GRURegressor(4, missing="decay", **settings).fit(X, X[:, 0, 0])
    rows = network(model)
    assert rows[1:-3 - bidirectional] == [
        *(["inputs", name, "categories", "5 → 4", "60"] for name in directions),
        *(["inputs", name, "decay", "2 → 2 + 4", "16"] for name in directions),
    ]  # fmt: skip
    assert rows[-3][1:4] == [directions[-1], "gru", "4 → 4"]
    embedded = GRURegressor(4, embedding_dim=3, **settings).fit(X, X[:, 0, 0])
    assert network(embedded)[1] == ["inputs", "", "embedding", "5 → 3", "15"]
    for fitted in (model, embedded):
        sizes = [int(row[-1].replace(",", "")) for row in network(fitted)[1:]]
        assert sum(sizes[:-1]) == sizes[-1] == fitted.n_parameters_
