"""All kernels as one module, built once per dtype and instruction set (see setup.py).

Each .pxi file names in its first lines the other .pxi files that it uses.

The letters of the mathematics, in all files:

    B    sequences of a minibatch
    T    time steps of the longest sequence
    N    rows of a packed minibatch: one per sequence and time step
    M    time steps of all sequences before they are packed
    C    categorical channels
    D    channels: inputs of a layer
    H    units of a layer
    K    outputs of a linear layer
    G    gates of a cell, the candidate counted as one: blocks of H columns in W, U and b
    P    blocks of H numbers that a cell saves per row for the backward pass: its G gates first
    S    parts of a state: 1 for h, 2 for h and a cell state
    V    categories of all categorical channels, with those of unknown and missing values

    x    inputs                         W    input weights (D, GH)
    γ    factor of decay                E    weights of categories (V, GH)
    h    hidden state                   U    recurrent weights (H, GH)
    q    query of the attention         b    bias (GH)
    L    loss                           c    bias (H) of a candidate's own recurrent product; in
    σ    sigmoid                             equations of the LSTM, the cell state
    ⊙    elementwise product

    t    time step                      k    sequence, that is, row within a time step
    i, j unit, column or element        n    rows of a time step; in loops over the numbers of
                                             a row, how many of them are in this vector

A name d_something is ∂L/∂something. A comment at an argument says IN, OUT or INOUT, and its shape.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_RECORDS_RO,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.math cimport INFINITY, exp, sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from skgru.kernels._simd cimport (
    CACHE_LINE_BYTES,
    LANES,
    MAX_PRODUCTS,
    PANEL,
    Product,
    TransposedProduct,
    add_transposed_matmul,
    align_to_cache_line,
    clamp,
    divide,
    exponential,
    flush_denormals,
    heaviside,
    load,
    matmul,
    pack_panels,
    panels_size,
    prefetch,
    real,
    relu,
    restore_denormals,
    round_to_cache_line,
    sigmoid,
    square_root,
    store,
    sum_lanes,
    tanh,
    vec,
    zeros,
)

import numpy

include "arrays.pxi"
include "vectors.pxi"
include "packing.pxi"
include "categories.pxi"
include "cell.pxi"
include "layer_step.pxi"
include "recurrence.pxi"
include "linear.pxi"
include "gaps.pxi"
include "pooling.pxi"
include "dropout.pxi"
include "layers.pxi"
include "optimizers.pxi"
include "streaming.pxi"

include "cells/cifg.pxi"
include "cells/gru.pxi"
include "cells/light_gru.pxi"
include "cells/lstm.pxi"
include "cells/mgu.pxi"
include "cells/rnn.pxi"

include "poolings/attention.pxi"
include "poolings/last.pxi"
include "poolings/max.pxi"
include "poolings/mean.pxi"
