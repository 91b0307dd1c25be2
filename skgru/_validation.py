"""Validation data that comes with `fit`, and the score that `scoring` names."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skgru.model.inference import predict
from skgru.model.network import Network
from skgru.model.workers import Workers, n_threads
from skgru.outputs import Labels, one_column
from skgru.sequences import Sequences, Targets
from skgru.training.fit import TrainingSet
from skgru.training.validation import hold_out


class GivenValidation(NamedTuple):
    """What `fit` was given to validate on, or to split by.

    Attributes
    ----------
    X, y, sample_weight : array-like or None
    groups : array-like of shape (n_samples,) or None
    """

    X: Any = None
    y: ArrayLike | None = None
    sample_weight: ArrayLike | None = None
    groups: ArrayLike | None = None

    def checked_groups(self, sequences: Sequences) -> np.ndarray | None:
        """Return the groups, one for each sequence.

        Raises
        ------
        ValueError
            If there are more or fewer, or if some are missing or of several types.
        TypeError
            If they are no array-like.
        """
        if self.groups is None:
            return None
        groups = one_column(self.groups, "groups")
        if len(groups) != len(sequences):
            raise ValueError(
                f"groups has {len(groups)} entries, X has {len(sequences)} sequences: inconsistent "
                "numbers of samples."
            )
        return groups


def set_validation(
    estimator: Any,
    X: Any,
    training: TrainingSet,
    given: GivenValidation,
    random_state: np.random.RandomState,
    resumed: dict[str, Any] | None,
) -> None:
    """Hold out part of the samples, or take those that came with `fit`.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        With the outputs that it has learned.
    X : array-like
        The training sequences, as `fit` got them.
    training : TrainingSet
    given : GivenValidation
    random_state : RandomState
    resumed : dict or None
        State of a training that continues, on the samples of its beginning.
    """
    targets = training.targets
    if given.X is not None:
        sequences = estimator._check_X(given.X, reset=False, dtype=estimator.dtype)
        targets = estimator._check_targets(given.y, given.sample_weight, sequences)
    else:
        if resumed:
            training.samples, training.held_out = resumed["samples"], resumed["held_out"]
        else:
            outputs = estimator._outputs
            one_label = isinstance(outputs, Labels) and targets.sequences is None
            training.samples, training.held_out = hold_out(
                targets,
                split=estimator.validation_split,
                fraction=estimator.validation_fraction,
                groups=given.checked_groups(training.sequences),
                classes=outputs.classes if one_label else None,
                random_state=random_state,
            )
        rows = targets.rows(training.held_out)
        sequences = training.sequences.take(training.held_out)
        by_step = None if targets.sequences is None else sequences
        targets = Targets(targets.y[rows], targets.weights[rows], by_step, targets.exponent)

    def as_given() -> Sequences:
        if estimator._channels.are_numbers:
            return sequences
        whole = X if given.X is None else given.X
        raw = estimator._read_X(whole, reset=False, dtype=estimator.dtype)
        return raw.take(training.held_out) if given.X is None else raw

    training.validation = sequences, targets
    training.score = validation_score(estimator, sequences, targets, as_given)


def validation_score(
    estimator: Any, sequences: Sequences, targets: Targets, as_given: Callable[[], Sequences]
) -> Callable[[Network], float] | None:
    """Make a function that scores a network on validation data, as `scoring` asks.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        With the outputs that it has learned.
    sequences : Sequences
    targets : Targets
    as_given : callable
        Returns the sequences as X has them, which scorers hand to `predict`.

    Returns
    -------
    callable or None
        None for "loss", which training computes by itself.
    """
    scoring = estimator.scoring
    if scoring == "loss":
        return None
    outputs, known = estimator._outputs, targets.weights > 0
    y = outputs.decode(targets.y)
    if scoring is None:

        def own_score(network: Network) -> float:
            with Workers(n_threads(estimator.n_jobs)) as workers:
                predictions = predict(network, sequences, workers, outputs.predict)
            return outputs.score(y[known], predictions[known], targets.weights[known])

        return own_score

    from sklearn.metrics import check_scoring  # at the top, it would slow `import skgru` down

    raw = as_given()
    if targets.sequences is None:  # a sample of weight 0 is left out; steps of it become missing
        kept = np.flatnonzero(known)
        raw, y, known = raw.take(kept), y[kept], known[kept]
        targets = Targets(y, targets.weights[kept], None, targets.exponent)
    X = raw.in_form_of_x(raw.values)
    weights = {}
    if np.ptp(targets.weights[known]):
        # as they were given, unless metrics could not add them up
        given = np.ldexp(targets.weights, np.clip(targets.exponent, -900, 900))
        by_step = targets.sequences
        weights["sample_weight"] = given if by_step is None else by_step.by_step(given)
    y = _in_form_of_y(y, known, targets)

    def score(network: Network) -> float:
        # a view of the estimator that is being fitted, which is not touched
        fitted = object.__new__(type(estimator))
        vars(fitted).update(vars(estimator), _network=network)
        vars(fitted).pop("feature_names_in_", None)  # the sequences have lost their names
        return check_scoring(fitted, scoring)(fitted, X, y, **weights)

    return score


def _in_form_of_y(y: np.ndarray, known: np.ndarray, targets: Targets) -> Any:
    """Return targets in the form that scorers take, missing ones as NaN or None."""
    if targets.sequences is None:
        return y if y.ndim == 1 or y.shape[1] > 1 else y[:, 0]
    if not known.all():
        missing = np.nan if y.dtype.kind in "biuf" else None
        y = y.astype(np.float64 if missing is not None else object)
        y[~known] = missing
    rows = y if y.ndim == 1 or y.shape[1] > 1 else y[:, 0]
    return targets.sequences.by_step(rows)
