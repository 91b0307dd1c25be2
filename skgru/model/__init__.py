"""The network: parameters, forward and backward passes, pooling, predictions, threads."""
