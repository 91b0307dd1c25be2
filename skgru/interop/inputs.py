"""What of the channels of a model is exported: numbers, and categories that are whole numbers."""

from typing import NamedTuple

import numpy as np

from skgru.base import BaseGRU
from skgru.model.parameters import Layer, Parameters
from skgru.sequences import short

# All whole numbers up to this are float32, in which exported models read X.
LARGEST_WHOLE = 2**24


class Categorical(NamedTuple):
    """A categorical channel.

    Attributes
    ----------
    channel : int
        Of X.
    values : ndarray of shape (n_values,), float32
        Its categories, sorted. Their rows of the tables are the first of the channel; then come
        that of other values, and that of NaN.
    rows : slice
        Its rows of the tables, for two more categories than there are values.
    """

    channel: int
    values: np.ndarray
    rows: slice


class ExportedInputs(NamedTuple):
    """What the first layer of an exported model reads.

    Attributes
    ----------
    n_channels : int
        Of X.
    numeric : list of int
        The channels that are numbers.
    categorical : list of Categorical
    means : ndarray of shape (n_numeric,), or None
        Towards which channels decay; None without decay.
    time : int or None
        The channel that is the time.
    time_unit : float
        The time in which weights of the decay are.
    """

    n_channels: int
    numeric: list[int]
    categorical: list[Categorical]
    means: np.ndarray | None
    time: int | None
    time_unit: float


def one_hot_layers(parameters: Parameters) -> list[list[Layer]]:
    """Return the weights of all layers, those of the first for categories as one-hot inputs.

    Without an embedding, the row of W that a one-hot input multiplies is that of its category.
    """
    first, *others = parameters.layers
    tables = parameters.inputs.tables
    if tables:
        first = [
            layer._replace(W=np.vstack([layer.W, table]))
            for layer, table in zip(first, tables, strict=True)
        ]
    return [first, *others]


def exported_inputs(estimator: BaseGRU, target: str, *, decays: bool = False) -> ExportedInputs:
    """Describe the channels of a fitted model for an export.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        Fitted.
    target : str
        What it is exported to, for the messages.
    decays : bool, default=False
        Whether the exporter knows decay.

    Raises
    ------
    ValueError
        If it has ``missing="decay"`` and the exporter does not know it, or categories that are not
        whole numbers.
    """
    channels, network = estimator._channels, estimator._network
    if channels.missing == "decay" and not decays:
        raise ValueError(
            f'A model with missing="decay" cannot be exported to {target}, where channels and '
            'states do not decay between observations. Fit with missing="error" on X whose gaps '
            "are filled, for instance by skgru.preprocessing.FillGaps."
        )
    categorical = []
    for channel, values, first, n in zip(
        channels.categorical,
        channels.categories,
        network.first_rows.tolist(),
        channels.n_categories,
        strict=True,
    ):
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"Categorical channel {channel} holds strings, such as {short(values[0])}, and "
                f"{target} reads numbers. Fit on X whose categories are codes, for instance those "
                "of PerTimestep(OrdinalEncoder())."
            )
        # others may differ from those of X in float32, and would be taken for unknown
        whole = (np.abs(values.astype(np.float64)) <= LARGEST_WHOLE) & (values == np.round(values))
        if not whole.all():
            raise ValueError(
                f"Categorical channel {channel} has the category {values[np.argmin(whole)]}; "
                f"exported to {target}, categories must be whole numbers of at most "
                f"{LARGEST_WHOLE}. Fit on X whose categories are codes, for instance those of "
                "PerTimestep(OrdinalEncoder())."
            )
        categorical.append(Categorical(channel, values.astype(np.float32), slice(first, first + n)))
    return ExportedInputs(
        channels.n_channels,
        channels.numeric,
        categorical,
        channels.means,
        channels.time,
        channels.time_unit,
    )
