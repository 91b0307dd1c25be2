"""What exporters can write of the channels of a model."""

from skgru.base import BaseGRU


def check_channels(estimator: BaseGRU, target: str) -> None:
    """Refuse a fitted model whose channels are more than numbers that are read as they are.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        Fitted.
    target : str
        What it is exported to, for the message.

    Raises
    ------
    ValueError
        If it has `missing="decay"` or categorical channels.
    """
    architecture = estimator._network.architecture
    if architecture.missing == "decay":
        raise ValueError(
            f'A model with missing="decay" cannot be exported to {target}, where channels and '
            'states do not decay between observations. Fit with missing="error" on X whose gaps '
            "are filled, for instance by skgru.preprocessing.FillGaps."
        )
    if architecture.n_categories:
        raise ValueError(
            f"A model with categorical_channels cannot be exported to {target}. Fit without them "
            "on X whose categories are encoded before the model, for instance by "
            "PerTimestep(OneHotEncoder())."
        )
