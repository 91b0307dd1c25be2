"""From texts to sequences of codes, back again, and from a long sequence to parallel streams."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_is_fitted

from skgru._constraints import Interval
from skgru._sklearn import BaseEstimator, HasMethods, StrOptions, TransformerMixin, fit_context
from skgru.persistence import Saved
from skgru.sequences import read, short
from skgru.training.callbacks import CallbackSupport, one_task

UNKNOWN = 0  # the code of all tokens that are not in the vocabulary
REPLACEMENT = "\ufffd"  # Unicode's character for one that is unknown


class TokenEncoder(
    TransformerMixin, CallbackSupport, Saved, BaseEstimator, auto_wrap_output_keys=None
):
    r"""Encode texts, or lists of tokens, as sequences of integer codes.

    The codes are for estimators with `categorical_channels`, and for y: 1, 2, … for the tokens of
    the vocabulary, 0 for all others. They take one byte per token for up to 255 tokens, and two
    for up to 65,535.

    Parameters
    ----------
    analyzer : {"word", "char"} or callable, default="word"
        What a token of a text is: a word (see `token_pattern`), or a character, white space
        included. A callable takes an item of X and returns its tokens.
    lowercase : bool, default=True
        Whether to convert texts to lowercase.
    strip_accents : {"ascii", "unicode"}, callable or None, default=None
        Remove accents, as :class:`~sklearn.feature_extraction.text.CountVectorizer` does.
    preprocessor : callable, default=None
        Replaces `lowercase` and `strip_accents`: takes a text and returns one.
    tokenizer : callable, default=None
        Takes a text and returns its words. Only for ``analyzer="word"``.
    token_pattern : str or None, default=r"(?u)\w+|[^\w\s]"
        Regular expression of a word. By default a word is a run of letters, digits and underscores,
        or a single punctuation mark: the order of tokens matters here, and none is left out. Only
        for ``analyzer="word"`` without a `tokenizer`.
    min_df : int or float, default=1
        Tokens in fewer texts than this (int), or in a smaller share of them (float), are left out
        of the vocabulary.
    max_features : int, default=None
        Maximum number of tokens in the vocabulary: the most frequent ones.
    vocabulary : mapping or iterable, default=None
        Tokens in the order of their codes, or a mapping from tokens to the codes 1, 2, …, such as
        the `vocabulary_` of another encoder. By default, `fit` collects and sorts the tokens.

    Attributes
    ----------
    vocabulary_ : dict
        Code of each token.
    tokens_ : ndarray of shape (n_tokens + 1,)
        Token of each code: None for code 0.

    See Also
    --------
    parallel_streams : Cuts a long sequence of codes into streams, for a language model.
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens, without their order.

    Notes
    -----
    Texts become tokens as in `CountVectorizer`, with two differences: no word is left out because
    it is short, and ``analyzer="char"`` keeps repeated white space as it is.

    Examples
    --------
    >>> from skgru.preprocessing import TokenEncoder
    >>> encoder = TokenEncoder().fit(["to be, or not to be"])
    >>> encoder.vocabulary_
    {',': 1, 'be': 2, 'not': 3, 'or': 4, 'to': 5}
    >>> encoder.transform(["To do or not to do", ["to", "be"]])
    [array([5, 0, 4, 3, 5, 0], dtype=uint8), array([5, 2], dtype=uint8)]
    >>> chars = TokenEncoder(analyzer="char", lowercase=False)
    >>> codes = chars.fit_transform(["Who's there?"])
    >>> chars.inverse_transform(codes)
    ["Who's there?"]
    """

    # where users import it from, and what saved models name
    __module__ = "skgru.preprocessing"

    _parameter_constraints: ClassVar[dict] = {
        "analyzer": [StrOptions({"word", "char"}), callable],
        "lowercase": ["boolean"],
        "strip_accents": [StrOptions({"ascii", "unicode"}), None, callable],
        "preprocessor": [callable, None],
        "tokenizer": [callable, None],
        "token_pattern": [str, None],
        "min_df": [
            Interval(Real, 0, 1, closed="both"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "vocabulary": [Mapping, HasMethods("__iter__"), None],
    }

    def __init__(
        self,
        analyzer: str | Callable[[Any], Iterable[str]] = "word",
        *,
        lowercase: bool = True,
        strip_accents: str | Callable[[str], str] | None = None,
        preprocessor: Callable[[str], str] | None = None,
        tokenizer: Callable[[str], Iterable[str]] | None = None,
        token_pattern: str | None = r"(?u)\w+|[^\w\s]",
        min_df: float = 1,
        max_features: int | None = None,
        vocabulary: Mapping[str, int] | Iterable[str] | None = None,
    ) -> None:
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.preprocessor = preprocessor
        self.tokenizer = tokenizer
        self.token_pattern = token_pattern
        self.min_df = min_df
        self.max_features = max_features
        self.vocabulary = vocabulary

    @one_task
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Iterable[Any], y: ArrayLike | None = None) -> Self:
        """Collect the tokens of the texts.

        Parameters
        ----------
        X : iterable
            Texts, or lists of tokens (strings), which are taken as they are.
        y : Ignored
            Present for consistency with the API of scikit-learn.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If no token is left, or `vocabulary` is none.
        TypeError
            If an item of X is no text and no list of tokens.
        """
        if self.vocabulary is not None:
            tokens = _ordered(self.vocabulary)
        else:
            counter = CountVectorizer(
                analyzer=_as_they_are, min_df=self.min_df, max_features=self.max_features
            )
            tokens = list(counter.fit(self._tokens(X)).get_feature_names_out())
        self.vocabulary_ = {token: code for code, token in enumerate(tokens, start=UNKNOWN + 1)}
        self.tokens_ = np.array([None, *tokens], dtype=object)
        return self

    def transform(self, X: Iterable[Any]) -> list[np.ndarray]:
        """Encode texts.

        Parameters
        ----------
        X : iterable
            Texts or lists of tokens, as in `fit`.

        Returns
        -------
        codes : list of ndarray of shape (n_tokens_i,)
            Of the smallest unsigned dtype that holds all codes.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If a text has no tokens: a sequence needs at least one time step.
        TypeError
            If an item of X is no text and no list of tokens.
        """
        check_is_fitted(self)
        code, dtype = self.vocabulary_.get, np.min_scalar_type(len(self.vocabulary_))
        return [
            np.fromiter((code(token, UNKNOWN) for token in tokens), dtype, len(tokens))
            for tokens in self._tokens(X)
        ]

    def inverse_transform(self, X: ArrayLike) -> list[str] | list[np.ndarray]:
        """Look up the tokens of codes.

        Parameters
        ----------
        X : list of array-like
            Sequences of codes, each of shape (n_tokens_i,) or (n_tokens_i, 1).

        Returns
        -------
        texts : list of str or list of ndarray of shape (n_tokens_i,)
            Texts, if `analyzer` is "char", with U+FFFD for unknown characters. Otherwise arrays of
            tokens, with None for unknown ones.

        Raises
        ------
        NotFittedError
            If `fit` has not been called.
        ValueError
            If there is no such code.
        """
        check_is_fitted(self)
        items = []
        for i, item in enumerate(read(X, "X")):
            codes = np.asarray(item)
            if codes.ndim == 2 and codes.shape[1] == 1:
                codes = codes[:, 0]
            last = len(self.vocabulary_)
            if codes.ndim != 1 or codes.dtype.kind not in "iu":
                raise ValueError(
                    f"X[{i}] has shape {codes.shape} and dtype {codes.dtype}; expected integer "
                    "codes of shape (n_tokens,)."
                )
            if codes.size and not 0 <= codes.min() <= codes.max() <= last:
                odd = codes.min() if codes.min() < 0 else codes.max()
                raise ValueError(f"X[{i}] holds the code {odd}; codes are 0 to {last}.")
            items.append(self.tokens_[codes])
        if self.analyzer != "char":
            return items
        return ["".join(REPLACEMENT if c is None else c for c in item) for item in items]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the one channel of the sequences of codes.

        Parameters
        ----------
        input_features : Ignored
            Present for consistency with the API of scikit-learn.

        Returns
        -------
        names : ndarray of shape (1,)
            "token".
        """
        check_is_fitted(self)
        return np.array(["token"], dtype=object)

    def _tokens(self, X: Any) -> list[list[str]]:
        """Return the tokens of each item of X."""
        one = isinstance(X, str | bytes) or not isinstance(X, Iterable)
        if one or isinstance(X, Mapping) or hasattr(X, "columns"):
            raise TypeError(
                f"X is a {type(X).__name__}, {short(X)}; expected a list (or an array, or a column "
                "of a data frame) of texts, or of lists of tokens."
            )
        analyze = self._build_analyzer()
        items = []
        for i, item in enumerate(X):
            tokens = list(item if _is_list(item) and not callable(self.analyzer) else analyze(item))
            if not tokens:
                raise ValueError(
                    f"X[{i}] has no tokens ({short(item)}); a sequence needs at least one time "
                    "step. Leave it out."
                )
            odd = next((token for token in tokens if not isinstance(token, str)), None)
            if odd is not None:
                raise TypeError(
                    f"X[{i}] holds the token {short(odd)} of type {type(odd).__name__}; tokens are "
                    "strings."
                )
            items.append(tokens)
        return items

    def _build_analyzer(self) -> Callable[[Any], Iterable[str]]:
        """Return the function from a text to its tokens."""
        if callable(self.analyzer):
            return self.analyzer
        # of scikit-learn's, characters would lose repeated white space
        words = CountVectorizer(
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            preprocessor=self.preprocessor,
            tokenizer=self.tokenizer,
            token_pattern=None if self.tokenizer is not None else self.token_pattern,
        )
        preprocess = words.build_preprocessor()
        tokenize = list if self.analyzer == "char" else words.build_tokenizer()

        def analyze(text: Any) -> Iterable[str]:
            if not isinstance(text, str):
                raise TypeError(
                    f"X holds {short(text)} of type {type(text).__name__}; expected texts (str) or "
                    "lists of tokens."
                )
            return tokenize(preprocess(text))

        return analyze

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _is_list(item: Any) -> bool:
    return isinstance(item, list | tuple | np.ndarray)


def _as_they_are(tokens: list[str]) -> list[str]:
    return tokens


def _ordered(vocabulary: Any) -> list[str]:
    """Return the tokens of a given vocabulary in the order of their codes."""
    if isinstance(vocabulary, Mapping):
        tokens = sorted(vocabulary, key=vocabulary.get)
        if [vocabulary[token] for token in tokens] != list(range(1, len(tokens) + 1)):
            raise ValueError(
                "vocabulary must map tokens to the codes 1, 2, … without a gap (0 is the code of "
                f"unknown tokens), got {short(dict(vocabulary))}."
            )
    else:
        is_set = isinstance(vocabulary, set | frozenset)
        tokens = sorted(vocabulary) if is_set else list(vocabulary)
    if not tokens or len(set(tokens)) < len(tokens) or not all(isinstance(t, str) for t in tokens):
        raise ValueError(
            f"vocabulary must hold strings, at least one and each once, got {short(tokens)}."
        )
    return tokens


def parallel_streams(
    sequence: ArrayLike, n_streams: int = 32
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cut a long sequence of codes into streams of equal length, with the next code as target.

    A classifier with ``return_sequences=True`` learns from them to continue texts, and with
    ``update_every="window"`` it reads the streams side by side, from their beginning to their end.

    Parameters
    ----------
    sequence : array-like of shape (n_steps,) or (n_steps, 1)
        Codes, such as those of a text.
    n_streams : int, default=32
        Number of streams.

    Returns
    -------
    X : list of ndarray of shape (n_steps_of_a_stream,)
        Consecutive parts of the sequence. At most `n_streams` codes at the end are left out, the
        last one among them.
    y : list of ndarray of shape (n_steps_of_a_stream,)
        The code after each of X. Both are views of the sequence.

    Raises
    ------
    ValueError
        If the sequence has fewer than `n_streams` + 1 codes, or is no single sequence.

    See Also
    --------
    TokenEncoder : Codes of texts.
    skgru.streaming.generate : Continue texts with a model of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru.preprocessing import parallel_streams
    >>> X, y = parallel_streams(np.arange(10), n_streams=3)
    >>> X
    [array([0, 1, 2]), array([3, 4, 5]), array([6, 7, 8])]
    >>> y
    [array([1, 2, 3]), array([4, 5, 6]), array([7, 8, 9])]
    """
    if not isinstance(n_streams, Integral) or isinstance(n_streams, bool) or n_streams < 1:
        raise ValueError(f"n_streams must be an integer >= 1, got {short(n_streams)}.")
    codes = read(sequence, "sequence")
    if isinstance(codes, np.ndarray) and codes.ndim == 2 and codes.shape[1] == 1:
        codes = codes[:, 0]
    if isinstance(codes, list) or codes.ndim != 1:
        shape = "a list of sequences" if isinstance(codes, list) else f"of shape {codes.shape}"
        raise ValueError(
            f"sequence is {shape}; expected one sequence of shape (n_steps,). Join several with "
            "np.concatenate, or cut each by itself."
        )
    length = (len(codes) - 1) // n_streams
    if length < 1:
        raise ValueError(
            f"{len(codes)} codes are too few for {n_streams} streams and the code after each."
        )
    end = n_streams * length
    return np.split(codes[:end], n_streams), np.split(codes[1 : end + 1], n_streams)
