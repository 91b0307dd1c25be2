"""Names for the weights of a network, or for their gradient."""

from itertools import chain
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """Weights of one recurrent layer in one direction, with a block of columns for each gate.

    Attributes
    ----------
    W : ndarray of shape (n_inputs, n_gates * n_units)
    U : ndarray of shape (n_units, n_gates * n_units)
    b : ndarray of shape (n_gates * n_units,)
    c : ndarray of shape (n_units,), or (0,) without `reset_after`
        Bias of the candidate's recurrent product.
    """

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    c: np.ndarray


class Head(NamedTuple):
    """Weights of the linear map from states to outputs.

    Attributes
    ----------
    W : ndarray of shape (width, n_outputs)
    b : ndarray of shape (n_outputs,)
    """

    W: np.ndarray
    b: np.ndarray


class Decay(NamedTuple):
    """Weights of the decay where values are missing (Che et al. 2018), see `kernels/gaps.pxi`.

    Attributes
    ----------
    w_x, b_x : ndarray of shape (n_channels,)
        Of the channels, towards their means.
    W_h : ndarray of shape (n_channels, n_units)
    b_h : ndarray of shape (n_units,)
        Of the states of the first layer.
    """

    w_x: np.ndarray
    b_x: np.ndarray
    W_h: np.ndarray
    b_h: np.ndarray


class InputWeights(NamedTuple):
    """Weights of the first layer for what is not a plain number.

    Attributes
    ----------
    tables : list of ndarray of shape (sum of n_categories, n_gates * n_units)
        For each direction, the rows that categories pick; empty without them.
    embedding : ndarray of shape (sum of n_categories, embedding_dim), or (0, 0)
        What stands for a category instead, in both directions.
    decays : list of Decay
        For each direction; empty without decay.
    """

    tables: list[np.ndarray]
    embedding: np.ndarray
    decays: list[Decay]


NO_INPUTS = InputWeights([], np.empty((0, 0)), [])


class Parameters(NamedTuple):
    """Names for the parts of a flat vector.

    Attributes
    ----------
    layers : list of list of Layer
        For each layer, forward in time, and backward if bidirectional.
    query : ndarray of shape (width,), or (0,) without attention
    head : Head
    inputs : InputWeights
    """

    layers: list[list[Layer]]
    query: np.ndarray
    head: Head
    inputs: InputWeights = NO_INPUTS


def arrays_of(parameters: Parameters) -> list[np.ndarray]:
    """Return all arrays, in the order of these classes, without those of inputs there are not."""
    layers, inputs = chain.from_iterable(parameters.layers), parameters.inputs
    return [
        *chain.from_iterable(layers),
        parameters.query,
        *parameters.head,
        *inputs.tables,
        *([inputs.embedding] if inputs.embedding.size else []),
        *chain.from_iterable(inputs.decays),
    ]
