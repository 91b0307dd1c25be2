"""Last: the state of the last step, which `layer_forward` returns as it is."""

_add_pooling("last", Pooling(n_vectors=0, n_numbers=0, has_query=False, step=NULL))
