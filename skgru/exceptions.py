"""Warnings of skgru's own, so that a filter can name them."""


class GradientWarning(UserWarning):
    """The gradient vanishes on its way back through time, or is clipped in most updates.

    ``warnings.simplefilter("ignore", GradientWarning)`` turns it off.
    """
