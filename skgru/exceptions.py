"""Warning classes of skgru, to use in warning filters."""


class GradientWarning(UserWarning):
    """The gradient vanishes on its way to the first time steps, or most updates are clipped.

    Turn it off with ``warnings.simplefilter("ignore", GradientWarning)``.
    """
