"""What a saved estimator says of the version that wrote it, by pickle, joblib or skops."""

import warnings
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning


class VersionWarning(InconsistentVersionWarning):
    """Another version of skgru wrote what is being loaded.

    The versions in its attributes are skgru's. It is scikit-learn's warning too, so that a filter
    for that one holds for both.
    """

    def __str__(self):
        return (
            f"{self.estimator_name} was saved by skgru {self.original_sklearn_version} and is "
            f"loaded by skgru {self.current_sklearn_version}. It may fail or predict something "
            "else; fit and save it anew, or load it with the version that saved it."
        )


class SavedWithVersion:
    """A mixin for estimators: what is saved names the version of skgru, and loading compares it."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_skgru_version": _version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        # the first versions did not say
        saved_by = state.pop("_skgru_version", "before 0.1.0")
        if saved_by != _version():
            warnings.warn(
                VersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_version(),
                    original_sklearn_version=saved_by,
                ),
                stacklevel=3,
            )
        super().__setstate__(state)


def _version() -> str:
    from skgru import __version__  # the package imports the estimators first

    return __version__
