"""Codes of texts and of lists of tokens, and streams of a long sequence."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

from skgru import GRUClassifier, GRURegressor
from skgru.preprocessing import TokenEncoder, parallel_streams

TEXTS = ["To be, or not to be:", "that is  the question\n\n-- Hamlet", "é a"]


@pytest.mark.parametrize(
    "container",
    [list, tuple, np.array, lambda x: np.array(x, object), pd.Series, iter],
    ids=["list", "tuple", "strings", "objects", "Series", "iterator"],
)
def test_characters_come_back_as_they_were(container):
    encoder = TokenEncoder("char", lowercase=False).fit(container(TEXTS))
    codes = encoder.transform(container(TEXTS))
    assert [len(c) for c in codes] == [len(text) for text in TEXTS]
    assert {c.dtype for c in codes} == {np.dtype("uint8")}
    assert min(c.min() for c in codes) == 1
    assert encoder.inverse_transform(codes) == TEXTS
    assert encoder.inverse_transform([c[:, np.newaxis] for c in codes]) == TEXTS
    assert sorted(encoder.vocabulary_) == list(encoder.vocabulary_) == sorted(set("".join(TEXTS)))
    assert list(encoder.vocabulary_.values()) == list(range(1, len(encoder.vocabulary_) + 1))


def test_words_and_punctuation():
    encoder = TokenEncoder().fit(TEXTS)
    (codes,) = encoder.transform(["Is the Question a  questionnaire?"])
    (tokens,) = encoder.inverse_transform([codes])
    assert tokens.tolist() == ["is", "the", "question", "a", None, None]
    assert list(encoder.tokens_[1:]) == list(encoder.vocabulary_)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"lowercase": False},
        {"strip_accents": "unicode"},
        {"preprocessor": str.upper},
        {"tokenizer": str.split},
        {"token_pattern": r"(?u)\b\w+\b"},
        {"analyzer": str.split},
        {"min_df": 2},
        {"min_df": 0.6},
        {"max_features": 3},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The parameter 'token_pattern':UserWarning")
def test_the_vocabulary_is_that_of_count_vectorizer(parameters):
    texts = [*TEXTS, "to BE a question", "a be"]
    encoder = TokenEncoder(**parameters).fit(texts)
    pattern = {"token_pattern": encoder.token_pattern}
    counter = CountVectorizer(**{**pattern, **parameters})
    counts = counter.fit_transform(texts).toarray()
    assert list(encoder.vocabulary_) == list(counter.get_feature_names_out())
    codes = encoder.transform(texts)
    for own, row in zip(codes, counts, strict=True):
        np.testing.assert_array_equal(np.bincount(own, minlength=len(row) + 1)[1:], row)


def test_lists_of_tokens_are_taken_as_they_are():
    encoder = TokenEncoder().fit([["A", "b"], ("b c",), np.array(["d"])])
    assert encoder.vocabulary_ == {"A": 1, "b": 2, "b c": 3, "d": 4}
    assert encoder.transform([["a", "A"], "B"])[0].tolist() == [0, 1]
    np.testing.assert_array_equal(encoder.transform(np.array([["A", "d"], ["b", "?"]])),
                                  [[1, 4], [2, 0]])  # fmt: skip


def test_unknown_characters():
    encoder = TokenEncoder("char").fit(["ab"])
    codes = encoder.transform(["abc"])
    assert codes[0].tolist() == [1, 2, 0]
    assert encoder.inverse_transform(codes) == ["ab\ufffd"]


@pytest.mark.parametrize(("n", "dtype"), [(255, "uint8"), (256, "uint16"), (65_536, "uint32")])
def test_codes_have_the_smallest_type(n, dtype):
    encoder = TokenEncoder().fit([[str(i) for i in range(n)]])
    (codes,) = encoder.transform([["0", "nowhere"]])
    assert codes.dtype == dtype


def test_a_given_vocabulary_keeps_its_order():
    encoder = TokenEncoder(vocabulary=["z", "a"]).fit(["whatever"])
    assert encoder.transform(["a z b"])[0].tolist() == [2, 1, 0]
    again = TokenEncoder(vocabulary=encoder.vocabulary_).fit([])
    assert again.vocabulary_ == encoder.vocabulary_
    assert TokenEncoder(vocabulary={"z", "a"}).fit([]).vocabulary_ == {"a": 1, "z": 2}


@pytest.mark.parametrize(
    "vocabulary", [[], ["a", "a"], [1, 2], {"a": 0, "b": 1}, {"a": 1, "b": 3}], ids=str
)
def test_no_vocabulary(vocabulary):
    with pytest.raises(ValueError, match="vocabulary must"):
        TokenEncoder(vocabulary=vocabulary).fit(["a b"])


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one text", TypeError, "X is a str.*expected a list"),
        ({"a": 1}, TypeError, "X is a dict"),
        (3, TypeError, "X is a int"),
        (pd.DataFrame({"text": ["a"]}), TypeError, "X is a DataFrame"),
        ([b"a"], TypeError, "b'a' of type bytes"),
        (["a", None], TypeError, "None of type NoneType"),
        (["a", np.nan], TypeError, "of type float"),
        ([["a", 1]], TypeError, r"X\[0\] holds the token 1 of type int"),
        (["a", " "], ValueError, r"X\[1\] has no tokens"),
        ([[]], ValueError, r"X\[0\] has no tokens"),
    ],
)
def test_what_is_no_text(X, error, message):
    with pytest.raises(error, match=message):
        TokenEncoder().fit(X)
    with pytest.raises(error, match=message):
        TokenEncoder(vocabulary=["a"]).fit([]).transform(X)


def test_a_vocabulary_without_tokens():
    with pytest.raises(ValueError, match="no terms remain"):
        TokenEncoder(min_df=2).fit(["a", "b"])


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 4]], r"X\[0\] holds the code 4; codes are 0 to 3"),
        ([[1], [-1, 2]], r"X\[1\] holds the code -1"),
        ([[0.5]], "expected integer codes"),
        (np.zeros((1, 2, 2), int), r"shape \(2, 2\)"),
    ],
)
def test_what_is_no_code(codes, message):
    with pytest.raises(ValueError, match=message):
        TokenEncoder().fit(["a b c"]).inverse_transform(codes)


@pytest.mark.parametrize(
    "check",
    [
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
    ],
)
def test_conventions(check):
    check("TokenEncoder", TokenEncoder())


def test_tags_names_and_output():
    encoder = TokenEncoder()
    with pytest.raises(NotFittedError):
        encoder.transform(["a"])
    tags = get_tags(encoder.fit(["a b"])).input_tags
    assert (tags.string, tags.two_d_array) == (True, False)
    assert encoder.get_feature_names_out().tolist() == ["token"]
    # sequences of different lengths are no data frame
    assert not hasattr(encoder, "set_output")
    with pytest.raises(ValueError, match="set_output"):
        make_pipeline(encoder, GRUClassifier()).set_output(transform="pandas")


def test_copies():
    encoder = TokenEncoder("char", max_features=3).fit(TEXTS)
    fresh = clone(encoder)
    assert fresh.get_params() == encoder.get_params()
    assert not hasattr(fresh, "vocabulary_")
    loaded = pickle.loads(pickle.dumps(encoder))
    assert loaded.vocabulary_ == encoder.vocabulary_
    for own, want in zip(loaded.transform(TEXTS), encoder.transform(TEXTS), strict=True):
        np.testing.assert_array_equal(own, want)


@pytest.mark.parametrize("estimator", [GRUClassifier, GRURegressor])
@pytest.mark.parametrize(
    "X",
    [
        ["to be", "or not"],
        np.array(["to be", "or not"]),
        pd.Series(["to be", "or not"]),
        [["to", "be"], ["or"]],
        [["to", "be"], ["or", "not"]],
        [np.array(["to"]), np.array(["be", "or"])],
    ],
    ids=["texts", "array", "Series", "ragged", "lists", "arrays"],
)
def test_estimators_name_the_encoder(estimator, X):
    with pytest.raises(ValueError, match=r"skgru\.preprocessing\.TokenEncoder makes codes"):
        estimator().fit(X, [0, 1])


# ---- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_streams", [1, 3, 4])
@pytest.mark.parametrize("n_steps", [5, 9, 10, 13])
def test_streams_follow_each_other(n_streams, n_steps):
    codes = np.arange(n_steps, dtype=np.uint8)
    X, y = parallel_streams(codes[:, np.newaxis], n_streams)
    assert len(X) == len(y) == n_streams
    assert len({len(x) for x in X}) == 1
    whole = np.concatenate(X)
    np.testing.assert_array_equal(whole, codes[: len(whole)])
    np.testing.assert_array_equal(np.concatenate(y), whole + 1)
    assert n_steps - n_streams <= len(whole) < n_steps
    assert X[0].dtype == np.uint8
    assert np.shares_memory(X[0], codes)


@pytest.mark.parametrize(
    ("sequence", "n_streams", "message"),
    [
        (np.arange(4), 4, "4 codes are too few for 4 streams"),
        (np.arange(4), 0, "n_streams must be"),
        (np.arange(4), 2.0, "n_streams must be"),
        ([np.arange(4), np.arange(3)], 2, "a list of sequences; expected one"),
        (np.zeros((4, 2)), 2, r"of shape \(4, 2\); expected one"),
    ],
)
def test_what_cannot_be_cut(sequence, n_streams, message):
    with pytest.raises(ValueError, match=message):
        parallel_streams(sequence, n_streams)
