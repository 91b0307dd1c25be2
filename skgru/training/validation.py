"""Validation during a fit: samples held out, a score after every epoch, and the best weights."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import stdtrit

from skgru.sequences import Targets, short

# Level of the test whether an epoch validates worse than the best one.
SIGNIFICANCE = 0.05

# what changes from one epoch to the next
PROGRESS = ("n_epochs", "kept_epoch", "_best_score", "_best_losses", "_kept")


@dataclass
class Validation:
    """Scores of the epochs, and the parameters of the best one.

    With the loss as score, an epoch counts as equal to the best one unless its mean loss is
    significantly higher (one-sided paired t-test over the samples, at 5 %). Of equal epochs the
    latest is kept: a few samples do not take a well-trained network back to its beginning.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        Of the network that is trained.
    evaluate : callable
        Scores the network as it is: returns a score, higher is better, or the weighted losses of
        all samples, whose sum is the mean loss.
    stops : bool
        Whether the scores stop the training and choose the weights (`early_stopping`).
    shares : ndarray of shape (n_samples,)
        Weights of the samples over their sum.

    Attributes
    ----------
    n_epochs, kept_epoch : int
        Number of epochs so far, and of the one whose parameters are kept.
    """

    parameters: np.ndarray
    evaluate: Callable[[], float | np.ndarray]
    stops: bool
    shares: np.ndarray
    n_epochs: int = 0
    kept_epoch: int = 0
    _best_score: float = -np.inf
    _best_losses: np.ndarray | None = None
    _kept: np.ndarray | None = field(default=None)

    def update(self) -> float:
        """Score the network, and keep its parameters if no score is better.

        Raises
        ------
        ValueError
            If the score is NaN.
        """
        result = self.evaluate()
        losses = result if isinstance(result, np.ndarray) else None
        score = float(result) if losses is None else -float(losses.sum())
        if np.isnan(score):
            raise ValueError(
                "The validation score is NaN, so that no epoch can be called the best. Choose "
                "another scoring, or hold out more samples."
            )
        self.n_epochs += 1
        if self.stops:
            equal = score >= self._best_score or not self._is_worse(losses)
            if score > self._best_score:
                self._best_score, self._best_losses = score, losses
            if equal:
                self._kept, self.kept_epoch = self.parameters.copy(), self.n_epochs
        return score

    def _is_worse(self, losses: np.ndarray | None) -> bool:
        """Return whether the losses are significantly higher than those of the best epoch."""
        if losses is None or len(losses) < 2 or not np.isfinite(losses).all():
            return True
        differences = losses - self._best_losses
        mean, n = differences.sum(), len(losses)
        # standard error of a weighted mean, as Σ (w_i (d_i - mean))²
        error = np.sqrt(np.sum((differences - self.shares * mean) ** 2) * n / (n - 1))
        return bool(mean > stdtrit(n - 1, 1 - SIGNIFICANCE) * error)

    def state(self) -> dict[str, Any]:
        """Return plain values of the epochs so far."""
        return {name: vars(self)[name] for name in PROGRESS}

    def resume(self, state: dict[str, Any]) -> None:
        """Continue after the epochs of a state."""
        vars(self).update(state)

    def restore(self) -> None:
        """Return to the parameters of the epoch that was kept."""
        if self._kept is not None:
            self.parameters[:] = self._kept


def hold_out(
    targets: Targets,
    *,
    split: Any,
    fraction: float,
    groups: np.ndarray | None,
    classes: np.ndarray | None,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the samples into those to train on and those to validate on.

    Parameters
    ----------
    targets : Targets
    split : {"random", "last"} or splitter
        As the parameter `validation_split`.
    fraction : float
        Share of the samples to hold out.
    groups : ndarray of shape (n_samples,) or None
        No group is in both parts.
    classes : ndarray or None
        Labels, if each sample has one: both parts then have the same shares of them.
    random_state : RandomState

    Returns
    -------
    training, held_out : ndarray of int

    Raises
    ------
    ValueError
        If fewer than two samples of positive weight are left to validate on, or if there is
        only one group.

    Warns
    -----
    UserWarning
        If the shares of the classes cannot be kept.
    """
    # not at the top, as it would triple the time that `import skgru` takes
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    everyone = np.arange(len(targets))
    one_label = classes is not None
    codes = targets.y[:, 0].astype(np.intp) if one_label else np.zeros(len(targets), np.intp)
    if not isinstance(split, str):
        training, held_out = next(iter(split.split(everyone, codes, groups)))
    elif split == "last":
        if groups is not None:
            raise ValueError(
                'validation_split="last" holds out the last samples, whatever their groups; '
                'groups= are for "random" or a splitter.'
            )
        training, held_out = train_test_split(everyone, test_size=fraction, shuffle=False)
    elif groups is not None:
        if len(np.unique(groups)) < 2:
            raise ValueError(
                f"groups names one group, {short(groups[:1])}; early stopping holds out whole "
                "groups, and needs two or more."
            )
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=random_state)
        training, held_out = next(splitter.split(everyone, codes, groups))
    else:
        rare = _rare(codes, classes, fraction) if one_label else None
        stratified = one_label and rare is not None
        candidates = np.flatnonzero(~np.isin(codes, rare)) if stratified else everyone
        training, held_out = train_test_split(
            candidates,
            test_size=fraction,
            random_state=random_state,
            stratify=codes[candidates] if stratified else None,
        )
        if stratified and len(rare):
            training = np.concatenate([training, np.flatnonzero(np.isin(codes, rare))])
    if np.count_nonzero(targets.weights[targets.rows(held_out)]) < 2:
        raise ValueError(
            f"validation_fraction={fraction} of {len(targets)} samples leaves fewer than 2 of "
            "positive weight to validate on. Increase it, or fit on more samples."
        )
    return training, held_out


def _rare(codes: np.ndarray, classes: np.ndarray, fraction: float) -> np.ndarray | None:
    """Find classes with too few samples to split, or return None if no split keeps the shares."""
    counts = np.bincount(codes, minlength=len(classes))
    rare = np.flatnonzero(counts < 2)
    n_classes, n_samples = len(classes) - len(rare), counts.sum() - counts[rare].sum()
    n_held_out = int(np.ceil(fraction * n_samples))
    if n_classes and n_classes <= n_held_out <= n_samples - n_classes:
        if len(rare):
            warnings.warn(
                f"Classes with a single sample are not validated on: {classes[rare].tolist()}.",
                UserWarning,
                stacklevel=1,
            )
        return rare
    # drawn of all samples, those of rare classes among them
    n_samples, n_classes = counts.sum(), np.count_nonzero(counts)
    n_held_out = int(np.ceil(fraction * n_samples))
    few = "" if n_held_out < n_classes else f" and keeps {n_samples - n_held_out}"
    warnings.warn(
        f"validation_fraction={fraction} holds out {n_held_out} of {n_samples} samples{few}, too "
        f"few to have each of {n_classes} classes among them: they were drawn without regard to "
        "the classes.",
        UserWarning,
        stacklevel=1,
    )
    return None
