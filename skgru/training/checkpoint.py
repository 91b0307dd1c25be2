"""Checkpoints: a fit that was killed continues from a file, to the same bits."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from typing import Any

import joblib
from sklearn.utils import check_scalar

from skgru._sklearn import BaseEstimator
from skgru.persistence import CALLBACKS, checksum

#: Name of the state of a training in a checkpoint, among the attributes of the estimator.
TRAINING = "_training"

# Parameters that may differ when a fit continues. The state of the random numbers is in the file.
FREE = ("n_jobs", "verbose", "random_state")


class Checkpoint:
    """Save a fit to a file again and again, so that it can continue after it was killed.

    The file is a model of its own, that of the epochs so far: `joblib.load` returns an estimator
    that predicts. ``fit(X, y, resume_from=path)`` continues from it and gives the same bits as a
    fit that was never interrupted.

    It is written under another name, flushed to the disk and then renamed, so that there is a
    whole file at every moment. If it cannot be written, as on a full disk, the fit warns and goes
    on, and the file before stays.

    Set it on `GRUClassifier` or `GRURegressor` with ``set_callbacks``, which needs scikit-learn
    1.9, one path for each fit. `partial_fit` writes none. A solver of "lbfgs" is refused, as SciPy
    does not show its state.

    Parameters
    ----------
    path : str or path-like
        The file; its folder must exist.
    every : int, default=1
        Epochs between two checkpoints.

    See Also
    --------
    skgru.GRUClassifier.fit : Its parameter `resume_from`.
    skgru.GRURegressor.fit : The same.

    Examples
    --------
    >>> import os, tempfile
    >>> import joblib
    >>> from skgru import GRUClassifier
    >>> from skgru.callbacks import Checkpoint
    >>> from skgru.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(subset="train", return_X_y=True)
    >>> gru = GRUClassifier(8, max_iter=4, random_state=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "gru.joblib")
    >>> _ = gru.set_callbacks(Checkpoint(path, every=2)).fit(X, y)
    >>> joblib.load(path).n_iter_
    4
    """

    __module__ = "skgru.callbacks"

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        check_scalar(every, "every", int, min_val=1)
        self.path = path
        self.every = every

    def setup(self, estimator: BaseEstimator, context: Any) -> None:
        """Refuse a fit that cannot be continued.

        Parameters
        ----------
        estimator : BaseEstimator
            Estimator that is fitted.
        context : CallbackContext
            Context of the fit.

        Raises
        ------
        TypeError
            If the estimator is no `GRUClassifier` or `GRURegressor`.
        ValueError
            If its solver is "lbfgs", or if there is no folder for the file.
        """
        name = type(estimator).__name__
        if not hasattr(estimator, "_learn_outputs"):
            raise TypeError(
                f"a Checkpoint follows the epochs of GRUClassifier and GRURegressor; {name} has "
                "none. Set it on the one inside."
            )
        if estimator.solver == "lbfgs":
            raise ValueError(
                'solver="lbfgs" cannot be continued from a Checkpoint, as SciPy does not show its '
                "state. Choose another solver, or drop the callback."
            )
        if not Path(self.path).absolute().parent.is_dir():
            raise ValueError(f"there is no folder for the checkpoint {os.fspath(self.path)!r}")

    def teardown(self, estimator: BaseEstimator, context: Any) -> None:
        """Keep the file.

        Parameters
        ----------
        estimator : BaseEstimator
            Estimator that is fitted.
        context : CallbackContext
            Context of the fit.
        """

    def on_fit_task_begin(self, estimator: BaseEstimator, context: Any) -> None:
        """Wait for the end of the epoch.

        Parameters
        ----------
        estimator : BaseEstimator
            Estimator that is fitted.
        context : CallbackContext
            Context of the task.
        """

    def on_fit_task_end(self, estimator: BaseEstimator, context: Any) -> None:
        """Wait for `end_epoch`, which also follows epochs that are no tasks.

        Parameters
        ----------
        estimator : BaseEstimator
            Estimator that is fitted.
        context : CallbackContext
            Context of the task.
        """

    def end_epoch(self, n_epochs: int, estimator_so_far: Callable[[], BaseEstimator]) -> None:
        """Save the estimator, if it is time.

        Parameters
        ----------
        n_epochs : int
            Epochs so far.
        estimator_so_far : callable
            Returns the estimator with its attributes after these epochs.

        Warns
        -----
        UserWarning
            If the file cannot be written.
        """
        if n_epochs % self.every:
            return
        try:
            write_atomically(estimator_so_far(), Path(self.path))
        except OSError as error:
            warnings.warn(
                f"The checkpoint after epoch {n_epochs} could not be written: {error}. Training "
                "goes on; the checkpoint before is kept.",
                UserWarning,
                stacklevel=1,
            )


def write_atomically(value: Any, path: Path) -> None:
    """Save a value with joblib, so that there is the file before or a whole new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}.part")
    try:
        with open(part, "wb") as file:
            joblib.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name has to be on the disk, too
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def take_checkpoint(path: str | os.PathLike[str], estimator: BaseEstimator) -> dict[str, Any]:
    """Give an estimator the attributes that it has in a checkpoint.

    Returns
    -------
    dict
        The state of its training.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged, is no checkpoint, or that of a fit with other parameters.
    """
    name = os.fspath(path)
    if not Path(path).exists():
        raise FileNotFoundError(
            f"resume_from={name!r} does not exist. Leave it out of the first fit, as in "
            "resume_from=path if os.path.exists(path) else None."
        )
    saved = joblib.load(path)
    if type(saved) is not type(estimator) or TRAINING not in vars(saved):
        raise ValueError(
            f"resume_from={name!r} must be the file of a Checkpoint of a "
            f"{type(estimator).__name__}; it holds a {type(saved).__name__} that is none."
        )
    before, now = saved.get_params(deep=False), estimator.get_params(deep=False)
    changed = [
        f"{parameter}={before[parameter]!r} is {now[parameter]!r} now"
        for parameter in now
        if parameter not in FREE and checksum(before[parameter]) != checksum(now[parameter])
    ]
    if changed:
        raise ValueError(
            f"The fit in resume_from={name!r} had other parameters: {', '.join(changed)}. Set them "
            f"as they were, or fit anew; only {', '.join(FREE)} may differ."
        )
    own = {n: v for n, v in vars(estimator).items() if n in now or n in CALLBACKS}
    learned = {n: v for n, v in vars(saved).items() if n not in now}
    training = learned.pop(TRAINING)
    vars(estimator).clear()
    vars(estimator).update(own, **learned)
    return training
