"""Sequences that a classifier continues."""

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import Patches, PerTimestep, TokenEncoder, parallel_streams
from skgru.streaming import generate

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skgru.exceptions.GradientWarning"),
]

TEXT = "the cat sat on the mat and the dog sat on the log "
RNG = np.random.default_rng(0)
CODES = RNG.integers(3, size=400)
PROMPTS = [np.array([0, 1]), np.array([2]), np.array([1, 1, 0, 2])]
HOW = {"return_sequences": True, "max_iter": 3, "random_state": 0}


def one_hot():
    return PerTimestep(OneHotEncoder(sparse_output=False, handle_unknown="ignore"))


def columns(sequences):
    return [np.reshape(x, (-1, 1)) for x in sequences]


def fitted(codes=CODES, **parameters):
    X, y = parallel_streams(codes, 10)
    return GRUClassifier(**{"hidden_layer_sizes": 6, **HOW, **parameters}).fit(X, y)


MODELS = {
    "codes": lambda: fitted(),
    "two labels": lambda: fitted(CODES % 2),
    "lstm": lambda: fitted(hidden_layer_sizes=(5, 4), cell="lstm"),
    "labels that are floats": lambda: fitted(CODES * 1.0),
    "categories": lambda: fitted(categorical_channels=[0]),
    "embedded categories": lambda: fitted(categorical_channels=[0], embedding_dim=3),
    "one label per sequence": lambda: GRUClassifier(
        5, bidirectional=False, max_iter=2, random_state=0
    ).fit([CODES[i : i + 5] for i in range(60)], CODES[5:65]),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_most_likely_label_is_read_next(model):
    model = MODELS[model]()
    prompts = [np.array([0.0, 1.0]), np.array([1.0])]
    got = generate(model, prompts, 12, temperature=0)
    for prompt, labels in zip(prompts, got, strict=True):
        assert labels.dtype == model.classes_.dtype
        for t, label in enumerate(labels):
            read = np.concatenate([prompt, labels[:t]])
            want = model.predict([read])[0]
            assert (want if np.ndim(want) == 0 else want[-1]) == label


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3])
def test_labels_are_drawn_with_their_probabilities(temperature):
    model = fitted()
    n = 3000
    first, second = np.stack(
        generate(model, [[1]] * n, 2, temperature=temperature, random_state=0)
    ).T
    for read, drawn in [([1], first), ([1, 2], second[first == 2])]:
        p = model.predict_proba([read])[0][-1] ** (1 / temperature)
        counts = np.bincount(drawn, minlength=3)
        assert chisquare(counts, p / p.sum() * len(drawn)).pvalue > 1e-3


def test_a_sequence_does_not_depend_on_those_after_it():
    model = fitted()
    together = generate(model, PROMPTS, 30, random_state=5)
    assert [labels.shape for labels in together] == [(30,)] * 3
    np.testing.assert_array_equal(generate(model, PROMPTS[:1], 30, random_state=5)[0], together[0])
    again = generate(model, PROMPTS, 30, random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(again, together)
    assert (np.array(generate(model, PROMPTS, 30, random_state=6)) != together).any()
    # from an array, too
    rows = np.array([[0, 1], [2, 2]])[:, :, np.newaxis]
    of_list = generate(model, list(rows), 9, random_state=0)
    np.testing.assert_array_equal(generate(model, rows, 9, random_state=0), of_list)


def test_the_estimator_stays_as_it_was():
    model = fitted()
    before = model.predict_proba(PROMPTS)
    generate(model, PROMPTS, 5)
    for a, b in zip(model.predict_proba(PROMPTS), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pipelines_read_what_they_would_read_in_predict():
    encoder = TokenEncoder("char")
    codes = encoder.fit_transform([TEXT])[0]
    X, y = parallel_streams(codes, 5)
    tail = make_pipeline(one_hot(), GRUClassifier(8, **HOW)).fit(columns(X), y)
    want = generate(tail, columns(encoder.transform(["the", "a"])), 20, random_state=0)
    # the same network behind the encoder, with codes and with characters as labels
    whole = make_pipeline(encoder, *[step for _, step in tail.steps])
    got = generate(whole, ["the", "a"], 20, random_state=0)
    np.testing.assert_array_equal(got, want)
    texts = encoder.inverse_transform(want)
    assert set("".join(texts)) <= set(TEXT)


def test_characters_as_labels():
    texts = [TEXT[i : i + 20] for i in range(0, 30, 3)]
    model = make_pipeline(TokenEncoder("char"), one_hot(), GRUClassifier(8, **HOW))
    model.fit([text[:-1] for text in texts], [list(text[1:]) for text in texts])
    (got,) = generate(model, ["the"], 15, temperature=0)
    for t, character in enumerate(got):
        assert model.predict(["the" + "".join(got[:t])])[0][-1] == character


def test_strings_as_categories():
    X, y = parallel_streams(np.array(list(TEXT)), 5)
    model = GRUClassifier(8, **HOW, categorical_channels=[0]).fit(X, y)
    prompts = [np.array(["t", "h"]), np.array(["d"])]
    for prompt, labels in zip(prompts, generate(model, prompts, 9, temperature=0), strict=True):
        for t, label in enumerate(labels):
            assert model.predict([np.concatenate([prompt, labels[:t]])])[0][-1] == label


def test_a_search_continues_with_its_best_estimator():
    X, y = parallel_streams(CODES, 10)
    search = GridSearchCV(GRUClassifier(4, **HOW), {"alpha": [0.0, 1e-4]}, cv=2).fit(X, y)
    got = generate(search, PROMPTS, 5, random_state=0)
    np.testing.assert_array_equal(got, generate(search.best_estimator_, PROMPTS, 5, random_state=0))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_steps": 0}, "n_steps must be"),
        ({"n_steps": 2.0}, "n_steps must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"temperature": np.inf}, "temperature must be"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"X": [[], [1]]}, "is empty"),
    ],
    ids=str,
)
def test_what_cannot_be_generated(parameters, message):
    arguments = {"X": PROMPTS, "n_steps": 3, **parameters}
    with pytest.raises(ValueError, match=message):
        generate(fitted(), **arguments)


def test_models_that_cannot_continue():
    X, y = parallel_streams(CODES, 10)
    with pytest.raises(NotFittedError):
        generate(GRUClassifier(), X, 3)
    with pytest.raises(TypeError, match="one label per time step.*got GRURegressor"):
        generate(GRURegressor(3, **HOW).fit(X, y), X, 3)
    with pytest.raises(ValueError, match="bidirectional"):
        generate(fitted(bidirectional=True), X, 3)
    words = GRUClassifier(3, **HOW).fit(X, [np.array(["a", "b", "c"])[row] for row in y])
    with pytest.raises(ValueError, match="could not convert string"):
        generate(words, X, 3)
    two = GRUClassifier(3, **HOW).fit([np.c_[x, x] for x in X], y)
    with pytest.raises(ValueError, match="X has 1 channels"):
        generate(two, [np.c_[x, x] for x in X], 3)
    decay = GRUClassifier(3, **HOW, missing="decay").fit(X, y)
    with pytest.raises(ValueError, match="missing"):
        generate(decay, X, 3)
    patches = make_pipeline(Patches(1, 1), GRUClassifier(3, **HOW)).fit(X, y)
    with pytest.raises(TypeError, match="'patches'.*TokenEncoder and PerTimestep"):
        generate(patches, X, 3)
    scaled = make_pipeline(PerTimestep(StandardScaler()), GRUClassifier(3, **HOW)).fit(
        columns(X), y
    )
    assert len(generate(scaled, columns(X), 3)) == 10
