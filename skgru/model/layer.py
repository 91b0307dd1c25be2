"""One direction of one recurrent layer over all time steps, forward and backward."""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from skgru.model.architecture import Cell
from skgru.model.parameters import Layer


class SavedLayer(NamedTuple):
    """Arrays that one direction of one layer saves for its backward pass.

    Attributes
    ----------
    x : ndarray of shape (n_rows, n_inputs)
        Packed inputs, in the order in which the direction reads them.
    h_0 : ndarray of shape (n_samples, n_states * n_units)
        State before the first step, and the cell state beside it if there is one.
    mask : ndarray of shape (n_samples, n_units), or (0, 0)
        Of recurrent dropout.
    states : ndarray of shape (n_rows, n_units), or (0, 0) if not wanted
        Packed hidden states.
    activations : ndarray of shape (n_rows, n_blocks * n_units), or (0, 0) if not kept
        Gates and candidate of each row, then what else the backward pass needs (see the cells).
    codes : ndarray of shape (n_rows, n_categorical), int32, or (0, 0)
        Rows of `table`.
    table : ndarray of shape (n_categories, n_gates * n_units), or (0, 0)
        What a category adds to x W.
    decay : ndarray of shape (n_rows, n_units), or (0, 0)
        Factor of the state before each row.
    """

    x: np.ndarray
    h_0: np.ndarray
    mask: np.ndarray
    states: np.ndarray
    activations: np.ndarray
    codes: np.ndarray
    table: np.ndarray
    decay: np.ndarray


def run_layer(
    *,
    kernels: ModuleType,
    cell: Cell,
    weights: Layer,
    saved: SavedLayer,
    batch_sizes: np.ndarray,
) -> np.ndarray:
    """Run all time steps; write `saved.states` and `saved.activations` unless they are empty.

    Returns
    -------
    h_last : ndarray of shape (n_samples, n_states * n_units)
        Last state of each sequence, and the cell state beside it if there is one.
    """
    h_last = np.empty_like(saved.h_0)
    kernels.layer_forward(
        cell_index=cell.index,
        x=saved.x,
        batch_sizes=batch_sizes,
        W=weights.W,
        U=weights.U,
        b=weights.b,
        c=weights.c,
        h_0=saved.h_0,
        mask=saved.mask,
        codes=saved.codes,
        E=saved.table,
        decay=saved.decay,
        h_last=h_last,
        states=saved.states,
        saved=saved.activations,
    )
    return h_last


# Called with keywords only; see `backpropagate_layer`.
LayerBackward = Callable[..., None]


def backpropagate_layer(
    *,
    kernels: ModuleType,
    cell: Cell,
    weights: Layer,
    saved: SavedLayer,
    batch_sizes: np.ndarray,
    d_states: np.ndarray,
    d_h: np.ndarray,
    d_x: np.ndarray,
    d_decay: np.ndarray,
    d_table: np.ndarray,
    d_weights: Layer,
) -> None:
    """Backpropagate through all time steps of one direction of one layer.

    Parameters
    ----------
    kernels : module
    cell : Cell
    weights : Layer
    saved : SavedLayer
    batch_sizes : ndarray of shape (n_timesteps,)
    d_states : ndarray of shape (n_rows, n_units), or (0, 0)
        ∂L/∂h_t of the loss or the layer above; empty if there is none.
    d_h : ndarray of shape (n_samples, n_states * n_units)
        ∂L/∂h_T on entry, ∂L/∂h_0 on return.
    d_x : ndarray of shape (n_rows, n_inputs), or (0, 0)
        Receives ∂L/∂x unless it is empty.
    d_decay : ndarray of shape (n_rows, n_units), or (0, 0)
        Receives ∂L/∂decay; empty without.
    d_table : ndarray of shape (n_categories, n_gates * n_units), or (0, 0)
    d_weights : Layer
        Arrays to which the gradients of the table and of the weights are added. Those of the
        weights are not computed if all four are empty.
    """
    kernels.layer_backward(
        cell_index=cell.index,
        x=saved.x,
        batch_sizes=batch_sizes,
        W=weights.W,
        U=weights.U,
        h_0=saved.h_0,
        mask=saved.mask,
        codes=saved.codes,
        decay=saved.decay,
        states=saved.states,
        saved=saved.activations,
        d_states=d_states,
        d_h=d_h,
        dx=d_x,
        d_decay=d_decay,
        dE=d_table,
        dW=d_weights.W,
        dU=d_weights.U,
        db=d_weights.b,
        dc=d_weights.c,
    )
