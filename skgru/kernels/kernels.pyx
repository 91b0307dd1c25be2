"""All kernels as one module, of one dtype and for one instruction set (see setup.py)."""

from libc.math cimport exp, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from skgru.kernels._simd cimport (
    LANES,
    LINE,
    PANEL,
    add_transposed,
    divide,
    first_line,
    flush_denormals,
    get,
    in_lines,
    multiply,
    pack,
    packed_size,
    put,
    real,
    restore_denormals,
    sigmoid,
    square_root,
    sum,
    tangent,
    term,
    transposed,
    vec,
    zeros,
)

include "dropout.pxi"
include "gru.pxi"
include "linear.pxi"
include "minibatch.pxi"
include "pooling.pxi"
include "update.pxi"
