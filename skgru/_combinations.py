"""Checks of parameters against each other, against the kernels, and against a fitted model."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skgru._sklearn import InvalidParameterError
from skgru._validation import GivenValidation
from skgru.kernels import kernels_for
from skgru.model.architecture import Architecture
from skgru.model.network import Network
from skgru.outputs import Outputs
from skgru.sequences import Channels, short

# The square of so many units, in float32, is what 47 bits of an address reach.
MAX_UNITS = 5_931_641


def check_combinations(estimator: Any, validation: GivenValidation, *, incremental: bool) -> None:
    """Refuse parameters that contradict each other, or the arguments of `fit`.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
    validation : GivenValidation
    incremental : bool
        Whether this is `partial_fit`.

    Raises
    ------
    ValueError
        If two of them cannot be used together.
    """
    if incremental:
        estimator._validate_params()  # scikit-learn does so before the first call only
    if (validation.X is None) != (validation.y is None):
        given, missing = ("y_val", "X_val") if validation.X is None else ("X_val", "y_val")
        raise ValueError(f"{given} is given, but not {missing}; validation needs both.")
    if validation.sample_weight is not None and validation.X is None:
        raise ValueError("sample_weight_val is given, but not X_val and y_val.")
    if validation.X is not None and estimator.solver == "lbfgs":
        raise ValueError("X_val and y_val need a stochastic solver, solver='lbfgs' has no epochs.")
    if validation.groups is not None and (
        not estimator.early_stopping or validation.X is not None or estimator.solver == "lbfgs"
    ):
        raise ValueError(
            "groups say what early_stopping=True may hold out of X; without it, or with X_val, "
            "nothing is held out."
        )
    if incremental and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True.")
    if estimator.return_sequences and estimator.pooling in ("max", "attention"):
        raise ValueError(
            f"pooling={estimator.pooling!r} makes one vector of a sequence, while "
            "return_sequences=True predicts from every state; one of the two must go."
        )
    if estimator.update_every == "window":
        _check_windows(estimator)
    if reads_both_ways(estimator) and estimator.bptt_steps is not None:
        raise ValueError(
            "bptt_steps cuts sequences into windows one after the other, which "
            "bidirectional=True cannot read from their end; one of the two must go."
        )
    if estimator.time_channel is not None and estimator.missing != "decay":
        raise ValueError(
            f'time_channel={estimator.time_channel!r} is for missing="decay", which lets channels '
            "and states decay with the time that has passed; otherwise leave the time out of X, or "
            "among its channels."
        )
    if estimator.solver == "lbfgs" and (estimator.dropout or estimator.recurrent_dropout):
        raise ValueError(
            'solver="lbfgs" needs a loss that is the same each time; dropout and '
            "recurrent_dropout need a stochastic solver."
        )


def _check_windows(estimator: Any) -> None:
    """Refuse what leaves `update_every="window"` without a meaning."""
    needed = {
        "bptt_steps=None": (estimator.bptt_steps is None, "the steps of a window, bptt_steps="),
        "return_sequences=False": (
            not estimator.return_sequences,
            "a loss in every window, return_sequences=True",
        ),
        'solver="lbfgs"': (estimator.solver == "lbfgs", "a stochastic solver"),
    }
    for given, (contradicts, remedy) in needed.items():
        if contradicts:
            raise ValueError(
                f'update_every="window" updates the weights after every window of time steps, and '
                f"needs {remedy}; got {given}."
            )


def reads_both_ways(estimator: Any) -> bool:
    """Return the meaning of `bidirectional`, whose "auto" depends on other parameters."""
    if estimator.bidirectional == "auto":
        return not estimator.return_sequences and estimator.bptt_steps is None
    return bool(estimator.bidirectional)


def architecture_of(estimator: Any, channels: Channels, n_outputs: int) -> Architecture:
    """Describe the network of an estimator.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
    channels : Channels
    n_outputs : int

    Raises
    ------
    ValueError
        If its parameters describe none.
    """
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, Integral):
        sizes = (sizes,)
    # layers have an order, which sets and dicts have not
    ordered = isinstance(sizes, Sequence) or (hasattr(sizes, "__array__") and np.ndim(sizes) == 1)
    sizes = list(sizes) if ordered else []
    if not sizes or not all(map(_is_size, sizes)):
        raise ValueError(
            f"hidden_layer_sizes must be one or more integers >= 1, got "
            f"{short(estimator.hidden_layer_sizes)}."
        )
    if max(sizes) > MAX_UNITS:
        raise ValueError(
            f"hidden_layer_sizes={short(estimator.hidden_layer_sizes)}: a layer of more than "
            f"{MAX_UNITS} units has more weights than any memory holds."
        )
    sizes = tuple(int(n) for n in sizes)
    architecture = Architecture(
        n_channels=len(channels.numeric),
        hidden_layer_sizes=sizes,
        n_outputs=n_outputs,
        reset_after=estimator.reset_after,
        bidirectional=reads_both_ways(estimator),
        # a head on every state pools nothing
        pooling="last" if estimator.return_sequences else estimator.pooling,
        return_sequences=estimator.return_sequences,
        cell=estimator.cell,
        activation=estimator.activation,
        missing=estimator.missing,
        n_categories=channels.n_categories,
        embedding_dim=estimator.embedding_dim or 0,
    )
    variants = kernels_for(np.dtype(estimator.dtype)).CELLS
    # not a constraint of the parameter, as to know the cells is to import the kernels
    cells = [name for name in variants if not name.endswith(("_reset_after", "_relu"))]
    if architecture.cell not in cells:
        raise InvalidParameterError(
            f"The 'cell' parameter of {type(estimator).__name__} must be a str among {cells}. Got "
            f"{architecture.cell!r} instead."
        )
    if architecture.variant not in variants:
        raise ValueError(
            f"cell={architecture.cell!r} has no form with reset_after={architecture.reset_after} "
            f'and activation={architecture.activation!r}; reset_after is for "gru", "relu" for '
            '"light_gru".'
        )
    return architecture


def _is_size(n: Any) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool) and n >= 1


def check_same_model(
    estimator: Any, network: Network, architecture: Architecture, outputs: Outputs
) -> None:
    """Refuse to continue a fitted model with parameters that describe another one.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
    network : Network
        The fitted one.
    architecture : Architecture
        The wanted one.
    outputs : Outputs
        The fitted ones.

    Raises
    ------
    ValueError
        If a parameter differs.
    """
    fitted = {
        **network.architecture._asdict(),
        "dtype": network.dtype,
        "n_channels": estimator._n_channels_of_table,
        **outputs.settings,
    }
    wanted = {
        **architecture._asdict(),
        "dtype": np.dtype(estimator.dtype),
        "n_channels": estimator.n_channels,
    }
    for name, value in outputs.settings.items():
        parameter = getattr(estimator, name)
        wanted[name] = tuple(parameter) if isinstance(value, tuple) else parameter
    for name, value in wanted.items():
        if value != fitted[name]:
            given = getattr(estimator, name, value)
            meaning = f" means {value!r} here and" if str(given) == "auto" else ""
            raise ValueError(
                f"{name}={short(given)}{meaning} differs from {short(fitted[name])} of the fitted "
                "model, which warm_start and partial_fit continue."
            )


def has_stochastic_solver(estimator: Any) -> bool:
    """Return whether `partial_fit` exists; raise AttributeError with the reason if not."""
    if estimator.solver == "lbfgs":
        raise AttributeError('partial_fit needs a stochastic solver; "lbfgs" is none.')
    return True
