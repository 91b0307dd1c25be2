"""Which channels, and which lags of them, the score of a model depends on."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_random_state

from skgru._sklearn import BaseEstimator
from skgru.sequences import Sequences, check_rows, short
from skgru.sequences.names import columns_of


def channel_importance(
    estimator: BaseEstimator,
    X: Any,
    y: ArrayLike,
    *,
    scoring: Any = None,
    n_repeats: int = 5,
    groups: Any = None,
    lags: Any = None,
    sample_weight: ArrayLike | None = None,
    n_channels: int | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> Bunch:
    """Compute how much the score drops when a channel is permuted between sequences.

    Each sequence gets the channel of another one: its course over time stays whole, but says
    nothing of the sequence any more. What `permutation_importance` of scikit-learn does to a column
    is done to a channel at all time steps, of sequences of equal or different lengths.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of any kind that takes sequences: a classifier or regressor, a pipeline,
        a search, a `WindowScaledRegressor`.
    X : array-like
        Sequences, as in `fit`. Those that the model was not fitted to say what it has learned;
        those of the training set also what it has memorized.
    y : array-like
        Their targets.
    scoring : str, callable or None, default=None
        A scorer, as in scikit-learn; None is the method `score` of the estimator.
    n_repeats : int, default=5
        Number of permutations of each channel.
    groups : dict of str to list, or list of lists, default=None
        Channels that are permuted together, by their names or numbers. Correlated channels belong
        into one group: of two redundant channels, each alone seems to be unimportant. With
        None, each channel is a group.
    lags : int or list of (int, int), default=None
        Permute only some time steps at once: those of lag ``first`` to ``last``, both included, for
        each pair. Lag 0 is the last time step of each sequence. An integer is a number of blocks,
        of equal width, over all lags. None are all time steps. For blocks of time over all
        channels, make these one group.
    sample_weight : array-like, default=None
        Weights of the score.
    n_channels : int, default=None
        How a two-dimensional X unfolds; None is the `n_channels` of the estimator, or of the first
        step of a pipeline that has one.
    n_jobs : int, default=None
        Number of scores that joblib computes at the same time.
    random_state : int, RandomState instance or None, default=None
        Of the permutations.

    Returns
    -------
    result : Bunch
        A Bunch with the attributes

        importances : ndarray of shape (n_groups, n_repeats), or (n_groups, n_lags, n_repeats)
            Score of X minus that of the permuted X. The second shape is that with `lags`.
        importances_mean, importances_std : ndarray
            Over the repetitions.
        group_names : list of str
            Names of the channels or of the groups.
        lags : list of (int, int)
            First and last lag of each block, if `lags` was given.
        score : float
            Score of X as it is.

    Raises
    ------
    ValueError
        If X or an argument is invalid, or if X has less than two sequences.

    See Also
    --------
    input_attributions : Which time steps and channels made a single prediction.
    ChannelImportanceDisplay : Draw the result.

    Notes
    -----
    Sequences are put into a random order, once for each repetition, and every one gets the values
    of the next one, aligned at the last time step. If that one is shorter, the lags that it does
    not have come from the first one after it that has them. So the values of each lag stay those
    of this lag. Lags that only one sequence has stay as they are.

    A permuted channel does not fit to the others any more. Where channels depend on each other,
    the model is asked about sequences such as it has never seen.

    References
    ----------
    L. Breiman. "Random forests". Machine Learning 45(1), 2001, 5-32.

    Examples
    --------
    >>> import numpy as np
    >>> from skgru import GRUClassifier
    >>> from skgru.inspection import channel_importance
    >>> X = np.random.default_rng(0).normal(size=(200, 6, 3))
    >>> y = X[:, -1, 1] > 0
    >>> model = GRUClassifier(8, pooling="last", bidirectional=False, max_iter=100, random_state=0)
    >>> result = channel_importance(model.fit(X, y), X, y, random_state=0)
    >>> result.group_names[int(result.importances_mean.argmax())]
    'x1'
    """
    from sklearn.metrics import check_scoring  # at the top, it would slow the import down

    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive integer, got {n_repeats!r}.")
    n_channels = _n_channels_of_table(estimator) if n_channels is None else n_channels
    sequences = check_rows(X, n_channels=n_channels, caller="channel_importance")
    if len(sequences) < 2:
        raise ValueError("X has one sequence; channels are permuted between two or more.")
    names = _names(X, sequences)
    columns = _groups(groups, names)
    blocks = _blocks(lags, int(sequences.lengths.max()))
    scorer = check_scoring(estimator, scoring=scoring)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    random_state = check_random_state(random_state)
    orders = [random_state.permutation(len(sequences)) for _ in range(n_repeats)]

    def score(channels: list[int], block: tuple[int, int], order: np.ndarray) -> float:
        rows = _rows_of_next(sequences, order, block)
        return float(scorer(estimator, _permuted(X, sequences, rows, channels), y, **weights))

    as_is = float(scorer(estimator, X, y, **weights))
    permuted = Parallel(n_jobs=n_jobs)(
        delayed(score)(channels, block, order)
        for channels in columns.values()
        for block in blocks
        for order in orders
    )
    importances = as_is - np.reshape(permuted, (len(columns), len(blocks), n_repeats))
    found = {"lags": blocks}
    if lags is None:
        importances, found = importances[:, 0], {}
    return Bunch(
        importances=importances,
        importances_mean=importances.mean(axis=-1),
        importances_std=importances.std(axis=-1),
        group_names=list(columns),
        score=as_is,
        **found,
    )


# ---- permutations --------------------------------------------------------------------------------


def _rows_of_next(sequences: Sequences, order: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Return the row that each time step gets its value from.

    Parameters
    ----------
    sequences : Sequences
    order : ndarray of int, shape (n_samples,)
        A permutation of the sequences; each is followed by the next one, the last by the first.
    block : tuple of int
        First and last lag that are permuted.

    Returns
    -------
    rows : ndarray of int, shape (sum of lengths,)
    """
    lengths, ends = sequences.lengths, sequences.starts + sequences.lengths - 1
    rows = np.arange(ends[-1] + 1)
    for lag in range(block[0], min(block[1], int(lengths.max()) - 1) + 1):
        having = order[lengths[order] > lag]
        rows[ends[having] - lag] = ends[np.roll(having, -1)] - lag
    return rows


def _permuted(X: Any, sequences: Sequences, rows: np.ndarray, channels: list[int]) -> Any:
    """Return X with the values of some channels taken from other rows."""
    values = sequences.values
    if isinstance(values, np.ndarray):
        values = values.copy()
        values[:, channels] = sequences.values[np.ix_(rows, channels)]
        permuted = sequences.with_values(values).in_form_of_x(values)
        return _like_table(permuted, X) if sequences.form == "table" else permuted
    # one data frame of all sequences, of pandas or polars
    names = list(values.columns)
    if hasattr(values, "iloc"):
        values = values.copy()
        for j in channels:
            values.isetitem(j, values.iloc[rows, j].array)
        bounds = np.append(sequences.starts, len(values))
        return [values.iloc[a:b] for a, b in pairwise(bounds)]
    values = values.with_columns(values[names[j]].gather(rows) for j in channels)
    pairs = zip(sequences.starts, sequences.lengths, strict=True)
    return [values.slice(int(start), int(length)) for start, length in pairs]


def _like_table(permuted: np.ndarray, X: Any) -> Any:
    """Give a table the container of X: names of columns are compared by the estimator."""
    if columns_of(X) is None:
        return permuted
    if hasattr(X, "iloc"):
        return type(X)(permuted, columns=X.columns, index=X.index)
    return type(X)(dict(zip(columns_of(X), permuted.T, strict=True)))


# ---- arguments -----------------------------------------------------------------------------------


def _n_channels_of_table(estimator: Any) -> int:
    """Return the `n_channels` of an estimator, or of the first one in it that has them."""
    while True:
        if hasattr(estimator, "n_channels"):
            return estimator.n_channels
        if hasattr(estimator, "steps"):
            for _, step in estimator.steps[:-1]:
                if hasattr(step, "n_channels"):
                    return step.n_channels
            estimator = estimator.steps[-1][1]
            continue
        names = ("best_estimator_", "regressor_", "estimator_", "estimator")
        inner = [getattr(estimator, name) for name in names if hasattr(estimator, name)]
        if not inner:
            return 1
        estimator = inner[0]


def _names(X: Any, sequences: Sequences) -> list[str]:
    """Return the names of the channels, which data frames in a list have."""
    names = None
    if sequences.form == "list":
        names = columns_of(next(iter(X)))
    if names is None or not all(isinstance(name, str) for name in names):
        return [f"x{j}" for j in range(sequences.n_channels)]
    return names


def _groups(groups: Any, names: list[str]) -> dict[str, list[int]]:
    """Return the numbers of the channels of each group by its name."""
    if groups is None:
        return {name: [j] for j, name in enumerate(names)}
    if not isinstance(groups, Mapping):
        if isinstance(groups, str) or not all(_is_group(group) for group in groups):
            raise ValueError(
                f"groups={short(groups)}; expected a list of lists of channels, or a dict of them."
            )
        groups = {", ".join(map(str, group)): group for group in groups}
    found = {}
    for name, group in groups.items():
        if not _is_group(group) or not len(group):
            raise ValueError(
                f"groups[{name!r}] is {short(group)}; expected a list of one or more channels."
            )
        found[str(name)] = [_channel(channel, names) for channel in group]
    return found


def _is_group(group: Any) -> bool:
    return isinstance(group, Sequence | np.ndarray) and not isinstance(group, str)


def _channel(channel: Any, names: list[str]) -> int:
    if isinstance(channel, Integral) and 0 <= channel < len(names):
        return int(channel)
    if channel in names:
        return names.index(channel)
    raise ValueError(
        f"groups names the channel {channel!r}; X has {short(names)}, or 0 to {len(names) - 1}."
    )


def _blocks(lags: Any, longest: int) -> list[tuple[int, int]]:
    """Return first and last lag of each block."""
    if lags is None:
        return [(0, longest - 1)]
    if isinstance(lags, Integral):
        if not 1 <= lags <= longest:
            raise ValueError(
                f"lags={lags}; expected from 1 to {longest} blocks, as the longest sequence has "
                f"{longest} time steps."
            )
        edges = np.linspace(0, longest, lags + 1).round().astype(int).tolist()
        return [(a, b - 1) for a, b in pairwise(edges)]
    blocks = [tuple(block) if np.ndim(block) else () for block in lags]
    for block in blocks:
        valid = len(block) == 2 and all(isinstance(lag, Integral) for lag in block)
        if not valid or not 0 <= block[0] <= block[1] < longest:
            raise ValueError(
                f"lags={short(lags)}; expected a number of blocks, or pairs of the first and the "
                f"last lag of each, from 0 to {longest - 1}."
            )
    return [(int(first), int(last)) for first, last in blocks]
