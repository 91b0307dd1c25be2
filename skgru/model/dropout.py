"""Dropout of a minibatch."""

from typing import NamedTuple


class Dropout(NamedTuple):
    """Dropout in one minibatch: its masks depend on the seed, and not on the threads.

    Attributes
    ----------
    rate : float
        Between layers and before the head (Srivastava et al. 2014), inverted.
    recurrent_rate : float
        Of the states that U multiplies; one mask for all steps (Gal & Ghahramani 2016).
    seed : int
    """

    rate: float = 0.0
    recurrent_rate: float = 0.0
    seed: int = 0
