"""Constraints of parameters that scikit-learn does not have."""

from typing import Any

import numpy as np

from skgru import _sklearn


class Interval(_sklearn.Interval):
    """Numbers of an interval, as scikit-learn's; True and False are none, and not 1 and 0."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is a number in the interval."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)
