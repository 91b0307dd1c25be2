"""X of an estimator: what its channels are, recorded by the first fit and compared afterwards."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skgru._combinations import reads_both_ways
from skgru.sequences import (
    Channels,
    Sequences,
    categorical_by_dtype,
    channel_indices,
    check_features,
    check_sequences,
    read_raw,
    short,
)


class ReadsChannels:
    """Mixin for estimators of sequences whose channels are numbers, categories or the time."""

    def _check_X(self, X: Any, *, reset: bool, dtype: DTypeLike) -> Sequences:
        """Validate X as `_read_X` does; return it as the network takes it."""
        as_numbers = self._channels_are_numbers(reset=reset)
        raw = self._read_X(X, reset=reset, dtype=dtype)
        return raw if as_numbers else self._channels.encode(raw, dtype, type(self).__name__)

    def _read_X(self, X: Any, *, reset: bool, dtype: DTypeLike) -> Sequences:
        """Validate X, and record its features (`reset`) or compare it with those recorded.

        Values that are not all numbers stay as they are in X.
        """
        name = type(self).__name__
        n_channels = self.n_channels if reset else self._n_channels_of_table
        if self._channels_are_numbers(reset=reset):
            raw = check_sequences(X, n_channels=n_channels, dtype=dtype, caller=name)
        else:
            raw = read_raw(X, n_channels=n_channels, caller=name)
        if reset:
            self._n_channels_of_table = n_channels
            self._n_channels_seen = raw.n_channels
        elif raw.n_channels != self._n_channels_seen:
            unfolded = f" with n_channels={n_channels}" if raw.form == "table" else ""
            raise ValueError(
                f"X has {raw.n_channels} channels{unfolded}, but {name} was fitted on "
                f"sequences of {self._n_channels_seen} channels."
            )
        check_features(self, X, raw, reset=reset)
        if reset:
            self._channels = channels_of(self, raw.n_channels, X)
            self._channels.learn(raw, _names(self), name)
        return raw

    def _check_same_channels(self, X: Any) -> None:
        """Refuse to continue a fit if parameters now call other channels categories or time."""
        fitted = self._channels
        wanted = channels_of(self, fitted.n_channels, X)
        for parameter, was, now in (
            ("categorical_channels", fitted.categorical, wanted.categorical),
            ("time_channel", fitted.time, wanted.time),
        ):
            if was != now:
                raise ValueError(
                    f"{parameter}={short(getattr(self, parameter))} means {short(now)} and differs "
                    f"from {short(was)} of the fitted model, which warm_start and partial_fit "
                    "continue."
                )

    def _channels_are_numbers(self, *, reset: bool) -> bool:
        if reset:
            return self.missing == "error" and self.categorical_channels is None
        return self._channels.are_numbers


def _names(estimator: Any) -> Any:
    """Return the names of the channels that the first X had, or None."""
    # names of a table are those of its columns, of which a channel has several
    return None if estimator._fitted_on_table else getattr(estimator, "feature_names_in_", None)


def channels_of(estimator: Any, n_channels: int, X: Any) -> Channels:
    """Describe the channels of X by the parameters, before anything is learned of them.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
    n_channels : int
        Of X.
    X : Any

    Raises
    ------
    ValueError
        If a parameter names a channel that there is not, or one twice.
    """
    names, wanted = _names(estimator), estimator.categorical_channels
    if isinstance(wanted, str):
        categorical = categorical_by_dtype(X)
    else:
        wanted = [] if wanted is None else list(np.asarray(wanted, dtype=object).ravel())
        categorical = channel_indices(wanted, "categorical_channels", n_channels, names)
    time = None
    if estimator.time_channel is not None:
        (time,) = channel_indices([estimator.time_channel], "time_channel", n_channels, names)
        if isinstance(estimator.categorical_channels, str):
            categorical = [i for i in categorical if i != time]
        if time in categorical:
            raise ValueError(f"channel {time} is both time_channel and categorical.")
    channels = Channels(
        n_channels=n_channels,
        missing=estimator.missing,
        n_directions=2 if reads_both_ways(estimator) else 1,
        categorical=categorical,
        time=time,
    )
    if estimator.missing == "decay" and not channels.numeric:
        raise ValueError('missing="decay" is for channels that are numbers, and X has none.')
    if estimator.embedding_dim is not None and not categorical:
        raise ValueError(
            f"embedding_dim={estimator.embedding_dim} is for categories, and no channel is one: "
            f"name some in categorical_channels, or leave embedding_dim at None."
        )
    return channels
