"""All kernels as one module, of one dtype and for one instruction set (see setup.py)."""

from cpython.buffer cimport (
    PyBUF_RECORDS_RO,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.math cimport INFINITY, exp, sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from skgru.kernels._simd cimport (
    LANES,
    LINE,
    MAX_TERMS,
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
    rectified,
    restore_denormals,
    sigmoid,
    square_root,
    step,
    sum,
    tangent,
    term,
    transposed,
    vec,
    zeros,
)

import numpy

include "vectors.pxi"
include "minibatch.pxi"
include "recurrence.pxi"
include "linear.pxi"
include "pooling.pxi"
include "dropout.pxi"
include "update.pxi"
include "stream.pxi"

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
