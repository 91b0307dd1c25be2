"""Warning classes of skgru, to use in warning filters."""

import sys
import warnings

from skgru._sklearn import ConvergenceWarning


class GradientWarning(UserWarning):
    """The gradient vanishes on its way to the first time steps, or most updates are clipped.

    Turn it off with ``warnings.simplefilter("ignore", GradientWarning)``.

    See Also
    --------
    skgru.inspection.gradient_flow : Measure where the gradient goes.

    Examples
    --------
    >>> import warnings
    >>> from skgru.exceptions import GradientWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", GradientWarning)
    """


class DivergenceWarning(ConvergenceWarning):
    """Training diverged, and the fit restored the best weights so far.

    It is a subclass of scikit-learn's `ConvergenceWarning`: a filter for that one applies to both.

    See Also
    --------
    sklearn.exceptions.ConvergenceWarning : The class that it is derived from.

    Examples
    --------
    >>> import warnings
    >>> from skgru.exceptions import DivergenceWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DivergenceWarning)
    """


_shown: set[tuple[str, type[Warning]]] = set()


def warn_once(message: str, category: type[Warning]) -> None:
    """Warn like `warnings.warn`, but show a text once per process under the default filter.

    Every `warnings.catch_warnings` resets Python's record of the warnings that were shown, and a
    search uses one per fit. The filters "always" and "error" work as for any warning. The warning
    belongs to the module that calls this function, as all warnings of skgru belong to the module
    that gives them: filters for "skgru" hold for all of them, whatever calls it.
    """
    shown = (message, category)
    module = sys._getframe(1).f_globals["__name__"]
    if _action(message, category, module) in ("default", "module", "once") and shown in _shown:
        return
    _shown.add(shown)
    warnings.warn(message, category, stacklevel=2)


def _action(message: str, category: type[Warning], module: str) -> str:
    """Return the action of the first matching filter, like `warnings`."""
    for action, pattern, filtered, modules, line in warnings.filters:
        if (
            (pattern is None or pattern.match(message))
            and issubclass(category, filtered)
            and (modules is None or modules.match(module))
            and line == 0
        ):
            return action
    return "default"
