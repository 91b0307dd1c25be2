"""Compiled kernels: arrays and sizes in, arrays out; they know nothing of estimators.

One cell a module, its ``forward`` and its ``backward`` side by side. A ragged minibatch of B
sequences is *packed*: sorted from long to short, time-major, and step t holds a row for each
sequence that is still running, so that N = Σ_t batch_sizes[t] rows carry no padding.
"""
