"""Warning classes of skgru, to use in warning filters."""

import warnings

from sklearn.exceptions import ConvergenceWarning


class GradientWarning(UserWarning):
    """The gradient vanishes on its way to the first time steps, or most updates are clipped.

    Turn it off with ``warnings.simplefilter("ignore", GradientWarning)``.
    """


class DivergenceWarning(ConvergenceWarning):
    """Training diverged, and the fit returned to the best weights that it had.

    It is a `ConvergenceWarning` of scikit-learn too, so that a filter for that one holds for both.
    """


_shown: set[tuple[str, type[Warning]]] = set()


def warn_once(message: str, category: type[Warning]) -> None:
    """Warn as `warnings.warn` does, but show a text once per process under the default filter.

    Python's memory of what it has shown is lost with every `warnings.catch_warnings`, of which a
    search has one per fit. Filters that say "always" or "error" hold as they do for any warning.
    """
    shown = (message, category)
    if _action(message, category) in ("default", "module", "once") and shown in _shown:
        return
    _shown.add(shown)
    warnings.warn(message, category, stacklevel=3)


def _action(message: str, category: type[Warning]) -> str:
    """Return the action of the first filter that matches, as `warnings` looks it up."""
    for action, pattern, filtered, module, line in warnings.filters:
        if (
            (pattern is None or pattern.match(message))
            and issubclass(category, filtered)
            and (module is None or module.match(__name__))
            and line == 0
        ):
            return action
    return "default"
