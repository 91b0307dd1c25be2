"""X of an estimator: what its channels are, recorded by the first fit and compared afterwards."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from skgru._combinations import channel_settings, reads_both_ways
from skgru.sequences import (
    Channels,
    Sequences,
    categorical_by_dtype,
    channel_indices,
    check_features,
    check_sequences,
    read_raw,
)


class ReadsChannels:
    """Mixin for estimators of sequences whose channels are numbers, categories or the time."""

    def _check_X(self, X: Any, *, reset: bool, dtype: DTypeLike) -> Sequences:
        """Validate X, and record its features (`reset`) or compare it with those recorded."""
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
            # names of a table are those of its columns, of which a channel has several
            names = getattr(self, "feature_names_in_", None) if raw.form == "list" else None
            self._channels = channels_of(self, raw, X, names)
            self._channels.learn(raw, names, name)
        return raw if self._channels.are_numbers else self._channels.encode(raw, dtype, name)

    def _channels_are_numbers(self, *, reset: bool) -> bool:
        if reset:
            return self.missing == "error" and self.categorical_channels is None
        return self._channels.are_numbers


def channels_of(estimator: Any, raw: Sequences, X: Any, names: Any) -> Channels:
    """Describe the channels of an estimator's first X, before anything is learned of them.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
    raw : Sequences
        What `read_raw` made of X.
    X : Any
    names : sequence of str or None
        Of the channels of X.

    Raises
    ------
    ValueError
        If a parameter names a channel that there is not, or one twice.
    """
    n_channels, wanted = raw.n_channels, estimator.categorical_channels
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
        settings=channel_settings(estimator),
    )
    if estimator.missing == "decay" and not channels.numeric:
        raise ValueError('missing="decay" is for channels that are numbers, and X has none.')
    return channels
