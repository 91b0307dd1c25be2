"""The way of X through the steps of a pipeline to the network, and of gradients back."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skgru._sklearn import _check_feature_names
from skgru.base import BaseGRU
from skgru.interop.scaling import SCALES_TARGET, affine
from skgru.preprocessing import Patches, PerTimestep
from skgru.preprocessing.base import SequenceTransformer
from skgru.sequences import Channels, Sequences, check_sequences
from skgru.sequences.gaps import gaps_backward

# takes the gradient by the rows of a step's output, returns that by the rows of its input
PullBack = Callable[[np.ndarray], np.ndarray]


class Route(NamedTuple):
    """A fitted model, taken apart.

    Attributes
    ----------
    model : GRUClassifier or GRURegressor
    steps : list of transformers
        Before the model, in the order of their application.
    target : TransformedTargetRegressor, ScaledTargetRegressor or None
        Around the model.
    """

    model: BaseGRU
    steps: list[Any]
    target: SCALES_TARGET | None

    @classmethod
    def of(cls, estimator: Any) -> "Route":
        """Take apart pipelines, searches and regressors of a scaled target.

        Raises
        ------
        TypeError
            If there is no estimator of skgru in them.
        NotFittedError
            If it is not fitted.
        """
        steps, target, given = [], None, estimator
        while not isinstance(estimator, BaseGRU):
            if hasattr(estimator, "best_estimator_"):
                estimator = estimator.best_estimator_
            elif isinstance(estimator, Pipeline):
                *before, estimator = [step for _, step in estimator.steps]
                steps += [step for step in before if step not in (None, "passthrough")]
            elif isinstance(estimator, SCALES_TARGET) and target is None:
                check_is_fitted(estimator, "regressor_")
                target, estimator = estimator, estimator.regressor_
            else:
                raise TypeError(
                    "input_attributions takes a GRUClassifier or a GRURegressor, also at the end "
                    "of a Pipeline, in a search or in a ScaledTargetRegressor; got "
                    f"{type(estimator).__name__}"
                    f"{'' if estimator is given else f' in a {type(given).__name__}'}. "
                    "channel_importance takes every estimator that predicts."
                )
        check_is_fitted(estimator, "_network")
        return cls(estimator, steps, target)

    def channels(self, n_channels: int) -> Channels:
        """Return what the channels of X are: those of the model, or numbers before other steps."""
        channels = self.model._channels
        return Channels(n_channels, missing=channels.missing) if self.steps else channels

    @property
    def n_channels_of_table(self) -> int:
        """How a two-dimensional X unfolds: as the first step that says so reads it."""
        for step in self.steps:
            if isinstance(step, SequenceTransformer):
                return step._n_channels_in
        return self.model._n_channels_of_table

    def transform(self, X: Any) -> Any:
        """Apply all steps."""
        for step in self.steps:
            X = step.transform(X)
        return X

    def inputs(self, sequences: Sequences) -> Sequences:
        """Return what the network gets, whatever the steps do."""
        if not self.steps:
            return _encode(self.model._channels, sequences)[0]
        with _names_compared_before():
            X = self.transform(sequences.in_form_of_x(sequences.values))
            return self.model._check_X(X, reset=False, dtype=np.float64)

    def read(self, X: Any) -> Sequences:
        """Validate X as the first step does; before other steps than the model, it may have NaN."""
        if not self.steps:
            raw = self.model._read_X(X, reset=False, dtype=np.float64)
            if raw.values.dtype == object:
                return raw
            # integers that are categories stay what they are, beside missing ones
            exact = self.model._channels.categorical and raw.values.dtype.kind in "iu"
            return raw.with_values(raw.values.astype(object if exact else np.float64, copy=False))
        channels = self.model._channels
        if channels.categorical or channels.time is not None:
            raise ValueError(
                f"This {type(self.model).__name__} has categorical channels or a time_channel, "
                "which cannot be found in the X that the pipeline gets. Explain what the last step "
                "gets, with at='last_step'."
            )
        first = self.steps[0]
        if isinstance(first, SequenceTransformer):
            first._check_channels(X)
        else:
            _check_feature_names(first, X, reset=False)
        return check_sequences(
            X,
            n_channels=self.n_channels_of_table,
            dtype=np.float64,
            allow_nan=True,
            caller="input_attributions",
        )

    def follow(self, sequences: Sequences) -> tuple[Sequences, list[PullBack]]:
        """Apply steps that are affine in X, given which values are missing.

        Returns
        -------
        sequences : Sequences
            Those that the network gets.
        pull_backs : list of callable
            The backward pass of each step, in the order of the steps.

        Raises
        ------
        ValueError
            If a step is not affine, channel by channel and step by step.
        """
        pull_backs = []
        for step in self.steps:
            pass_on = _cut if isinstance(step, Patches) else _scale
            sequences, pull_back = pass_on(step, sequences)
            pull_backs.append(pull_back)
        sequences, pull_back = _encode(self.model._channels, sequences)
        return sequences, [*pull_backs, pull_back]

    def series(self, sequences: Sequences) -> np.ndarray:
        """Return what can be drawn of X: numbers, codes of categories, and NaN for times."""
        channels = self.channels(sequences.n_channels)
        if channels.are_numbers:
            return sequences.values
        result = np.full(sequences.values.shape, np.nan)
        result[:, channels.numeric] = channels.numbers(sequences.values)
        if channels.categorical:
            encoded, _ = _encode(channels, sequences)
            result[:, channels.categorical] = encoded.codes
        return result

    def channel_names(self, n_channels: int) -> list[str]:
        """Return the names of the channels that the first step saw in `fit`, or x0, x1, …."""
        names = getattr((self.steps or [self.model])[0], "feature_names_in_", ())
        return list(names) if len(names) == n_channels else [f"x{j}" for j in range(n_channels)]


def _encode(channels: Channels, sequences: Sequences) -> tuple[Sequences, PullBack]:
    """Make numbers and codes of values of X; gradients of codes follow those of numbers."""
    if channels.are_numbers:
        return sequences, lambda gradient: gradient
    encoded = channels.encode(sequences, np.float64, "input_attributions")
    n_numbers, n_values = len(channels.numeric), encoded.n_channels

    def pull_back(gradient: np.ndarray) -> np.ndarray:
        """Turn the gradient at numbers and codes into that at the channels; of times it is 0."""
        result, of_numbers = np.zeros(sequences.values.shape), gradient[:, :n_values]
        if channels.missing == "decay":
            seen = encoded.values[:, n_numbers : 2 * n_numbers] > 0
            of_numbers = gaps_backward(of_numbers, seen, sequences.starts)
        result[:, channels.numeric] = of_numbers
        if channels.categorical:
            result[:, channels.categorical] = gradient[:, n_values:]
        return result

    return encoded, pull_back


def _cut(step: Patches, sequences: Sequences) -> tuple[Sequences, PullBack]:
    patches, rows = step._cut(sequences)

    def pull_back(gradient: np.ndarray) -> np.ndarray:
        """Add up the gradients of all patches that a time step is part of."""
        result = np.zeros(sequences.values.shape)
        np.add.at(result, rows.ravel(), gradient.reshape(rows.size, -1))
        return result

    return patches, pull_back


def _scale(step: Any, sequences: Sequences) -> tuple[Sequences, PullBack]:
    """Apply a scaler of channels, or of the columns of a table."""
    per_step = isinstance(step, PerTimestep)
    wrapped = step.transformer_ if per_step else step
    what = type(wrapped).__name__
    rows = sequences.values
    if not per_step and sequences.form == "table":
        rows = rows.reshape(len(sequences), -1)
    transform = step._transform_rows if per_step else step.transform
    try:
        if not per_step and (sequences.form != "table" or isinstance(step, SequenceTransformer)):
            raise ValueError(f"{what} is no scaler of channels.")
        _, factor = affine([transform], what, rows.shape[1], "input_attributions")
    except ValueError as error:
        raise ValueError(
            f"The step {what} is not one that gradients can be followed through, to the units of "
            "X: these are scalers in PerTimestep, scalers of the columns of a table, and Patches. "
            "Explain what the last step gets, with at='last_step', or take method='occlusion', "
            "which needs no gradient."
        ) from error
    with _names_compared_before():
        values = np.asarray(transform(rows), dtype=np.float64).reshape(sequences.values.shape)

    def pull_back(gradient: np.ndarray) -> np.ndarray:
        """Turn the gradient per unit of the scaled values into that per unit of the given ones."""
        return (gradient.reshape(rows.shape) * factor).reshape(values.shape)

    return sequences.with_values(values), pull_back


@contextmanager
def _names_compared_before() -> Iterator[None]:
    """Suppress warnings of arrays that stand for data frames here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield
