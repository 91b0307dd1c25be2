"""Warning classes of skgru, to use in warning filters."""

import warnings

from sklearn.exceptions import ConvergenceWarning


class GradientWarning(UserWarning):
    """The gradient vanishes on its way to the first time steps, or most updates are clipped.

    Turn it off with ``warnings.simplefilter("ignore", GradientWarning)``.
    """


class DivergenceWarning(ConvergenceWarning):
    """Training diverged, and the fit restored the best weights so far.

    It is a subclass of scikit-learn's `ConvergenceWarning`: a filter for that one applies to both.
    """


_shown: set[tuple[str, type[Warning]]] = set()


def warn_once(message: str, category: type[Warning]) -> None:
    """Warn like `warnings.warn`, but show a text once per process under the default filter.

    Every `warnings.catch_warnings` resets Python's record of the warnings that were shown, and a
    search uses one per fit. The filters "always" and "error" work as for any warning.
    """
    shown = (message, category)
    if _action(message, category) in ("default", "module", "once") and shown in _shown:
        return
    _shown.add(shown)
    warnings.warn(message, category, stacklevel=3)


def _action(message: str, category: type[Warning]) -> str:
    """Return the action of the first matching filter, like `warnings`."""
    for action, pattern, filtered, module, line in warnings.filters:
        if (
            (pattern is None or pattern.match(message))
            and issubclass(category, filtered)
            and (module is None or module.match(__name__))
            and line == 0
        ):
            return action
    return "default"
