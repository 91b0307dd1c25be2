"""Warnings of skgru's own, so that a filter can name them."""

from sklearn.exceptions import ConvergenceWarning


class GradientWarning(UserWarning):
    """The gradient vanishes on its way back through time, or is clipped in most updates.

    ``warnings.simplefilter("ignore", GradientWarning)`` turns it off.
    """


class DivergenceWarning(ConvergenceWarning):
    """Training diverged, and the fit returned to the best weights that it had.

    It is a `ConvergenceWarning` of scikit-learn too, so that a filter for that one holds for both.
    """
