"""Saved estimators: plain values with a version and a checksum, by pickle, joblib or skops.

A fitted estimator is saved as arrays, numbers and strings, in dicts, lists and tuples of its own.
No private class is named in the file, so that the inside of the package can change.
"""

import copyreg
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from types import BuiltinFunctionType, FunctionType
from typing import Any
from zlib import crc32

import numpy as np

from skgru._sklearn import InconsistentVersionWarning

VERSION, CHECKSUM = "_skgru_version", "_skgru_checksum"

#: Types of skgru in saved models, to trust in `skops.io.load` and ``mlflow.sklearn.log_model``,
#: whose format is that of skops. None of them runs code from a file.
SKOPS_TRUSTED_TYPES: list[str] = [
    "skgru.GRUClassifier",
    "skgru.GRURegressor",
    "skgru.forecasting.NaiveForecaster",
    "skgru.forecasting.ScaledTargetRegressor",
    "skgru.forecasting.WindowForecaster",
    "skgru.forecasting.WindowScaledRegressor",
    "skgru.forecasting.WindowScaledAverage",
    "skgru.metrics.StepScorer",
    "skgru.metrics.neg_bits_per_step",
    "skgru.preprocessing.FillGaps",
    "skgru.preprocessing.Patches",
    "skgru.preprocessing.PerSequence",
    "skgru.preprocessing.PerTimestep",
    "skgru.preprocessing.TokenEncoder",
]


class VersionWarning(InconsistentVersionWarning):
    """Another version of skgru wrote what is being loaded.

    The versions in its attributes are skgru's. It is scikit-learn's warning too, so that a filter
    for that one holds for both.

    See Also
    --------
    sklearn.exceptions.InconsistentVersionWarning : The warning of scikit-learn.

    Examples
    --------
    >>> import warnings
    >>> from skgru.persistence import VersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", VersionWarning)
    """

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by skgru {self.original_sklearn_version} and is "
            f"loaded by skgru {self.current_sklearn_version}. It may fail or predict something "
            "else; fit and save it anew, or load it with the version that saved it."
        )


class Saved:
    """Mixin for estimators whose saved form has a version and a checksum."""

    def __getstate__(self) -> dict[str, Any]:
        state = self._to_plain(super().__getstate__())
        return {**state, CHECKSUM: checksum(state), VERSION: _version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved_by = state.pop(VERSION, "before 0.1.0")
        if saved_by != _version():
            warnings.warn(
                VersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_version(),
                    original_sklearn_version=saved_by,
                ),
                stacklevel=1,
            )
        try:
            if state.pop(CHECKSUM) != checksum(state):
                raise ValueError("its values are not those whose checksum was saved")
            state = self._from_plain(state)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"The saved {type(self).__name__} is damaged, or another version of skgru wrote "
                f"it: {type(error).__name__}: {error}"
            ) from error
        super().__setstate__(state)

    def _to_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        """Replace objects of private classes by plain values."""
        return state

    def _from_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        """Undo `_to_plain`, and check that what was saved belongs together."""
        return state


def checksum(state: Any) -> int:
    """Compute the CRC-32 of all values in a state, those in objects of other libraries too.

    It is the same on all machines. A function counts by its name.
    """
    crc = 0
    for part in _parts(state, ()):
        crc = crc32(part, crc)
    return crc


# names under which a state holds versions, this checksum, requests for metadata (in scikit-learn
# 1.8 they refer to the estimator itself), and what follows its fit
NOT_COUNTED = frozenset({VERSION, CHECKSUM, "_sklearn_version", "_metadata_request"})
CALLBACKS = frozenset(
    {"_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx"}
)
LEFT_OUT = NOT_COUNTED | CALLBACKS


def _parts(value: Any, around: tuple[int, ...]) -> Iterator[Any]:
    """Yield bytes of a value, delimited and tagged with its type; `around` are ids of holders."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        little_endian = value.dtype.newbyteorder("<")
        yield f"{little_endian.str}{value.shape}".encode()
        yield np.ascontiguousarray(value, little_endian).reshape(-1).view(np.uint8)
        return
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        yield f"{type(value).__name__}:{value!r};".encode("utf-8", "surrogatepass")
        return
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        yield f"{value.__module__}.{value.__qualname__};".encode()
        return
    if id(value) in around:
        yield b"^"
        return
    around = (*around, id(value))
    if isinstance(value, dict):
        yield b"{"
        for key in value:
            if not (isinstance(key, str) and key in LEFT_OUT):
                yield from _parts(key, around)
                yield from _parts(value[key], around)
        yield b"}"
    elif isinstance(value, list | tuple):
        yield b"["
        for item in value:
            yield from _parts(item, around)
        yield b"]"
    elif isinstance(value, set | frozenset):  # in any order
        yield from sorted(b"".join(map(bytes, _parts(item, around))) for item in value)
    elif isinstance(value, np.ndarray):
        yield repr(value.shape).encode()
        yield from _parts(value.ravel().tolist(), around)
    elif isinstance(value, np.random.RandomState | np.random.Generator):
        # what pickle saves of them differs from what skops restores; their numbers do not
        legacy = isinstance(value, np.random.RandomState)
        state = value.get_state(legacy=False) if legacy else value.bit_generator.state
        yield from _parts(state, around)
    else:  # as pickle would save it
        reduce = copyreg.dispatch_table.get(type(value))
        try:
            reduced = reduce(value) if reduce else value.__reduce_ex__(2)
        except TypeError:  # it cannot be saved, but the holder can be copied
            reduced = f"{type(value).__module__}.{type(value).__qualname__}"
        yield b"("
        for part in [reduced] if isinstance(reduced, str) else reduced:
            yield from _parts(list(part) if isinstance(part, Iterator) else part, around)
        yield b")"


def defaults_of(cls: type) -> dict[str, Any]:
    """Return the default of every parameter, for a model that was saved before one existed."""
    return {
        name: parameter.default
        for name, parameter in signature(cls).parameters.items()
        if parameter.default is not Parameter.empty
    }


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator if the block raises."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _version() -> str:
    from skgru import __version__  # the package imports the estimators first

    return __version__
