"""The state of the last time step, which `RecurrentLayers.forward` returns.

Uses pooling.pxi.
"""

_add_pooling("last", Pooling(n_vectors=0, n_numbers=0, has_query=False, step=NULL))
