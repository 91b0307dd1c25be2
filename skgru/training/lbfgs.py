"""L-BFGS over the whole training set, by SciPy."""

import warnings
from dataclasses import replace
from math import fsum

import numpy as np
from scipy.optimize import minimize

from skgru._sklearn import ConvergenceWarning
from skgru.model.blas import OneBlasThread
from skgru.sequences import Sequences, Targets
from skgru.training.callbacks import FitTasks
from skgru.training.diagnostics import warn_if_vanished
from skgru.training.history import History
from skgru.training.objective import Objective, check_finite, quiet_overflow


def merge_equal(sequences: Sequences, targets: Targets) -> tuple[np.ndarray, Targets]:
    """Find one sample for each distinct (x, y), in an order that depends on their content alone.

    L-BFGS on a loss that is not convex multiplies rounding errors by orders of magnitude. With
    what this returns, its result depends on the weighted set of samples to the last bit: not on
    their order, nor on whether a sample of weight 2 came once or twice.

    Returns
    -------
    samples : ndarray of int
        One sample for each distinct (x, y) of positive weight.
    targets : Targets
        For each of these samples, with the weights of all its equals added up.
    """
    equals: dict[tuple[bytes, ...], list[int]] = {}
    for i in np.flatnonzero(targets.sample_weights()):
        sample = np.array([i])
        x, y = sequences.take(sample), targets.y[targets.rows(sample)]
        codes = b"" if x.codes is None else x.codes.tobytes()
        key = (x.values + 0.0).tobytes(), codes, (y + 0.0).tobytes()  # -0.0 equals 0.0
        equals.setdefault(key, []).append(i)
    samples = np.array([equals[key][0] for key in sorted(equals)], dtype=np.intp)
    weights = np.zeros_like(targets.weights)
    for own in equals.values():
        rows = [targets.rows(np.array([i])) for i in own]
        given = targets.weights[rows]
        # correctly rounded, so that the order of the equals does not matter
        weights[rows[0]] = given[0] if len(own) == 1 else [fsum(w) for w in given.T]
    return samples, replace(targets, weights=weights)


@quiet_overflow
def fit_lbfgs(
    objective: Objective,
    history: History,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    tasks: FitTasks,
    verbose: bool,
) -> None:
    """Minimise the objective over all samples with SciPy's L-BFGS-B, in place.

    Parameters
    ----------
    objective : Objective
    history : History
        Grows by an entry an iteration.
    max_iter : int
        Iterations.
    max_fun : int
        Evaluations of the objective.
    tol : float
        Largest entry of the gradient at which to stop.
    tasks : FitTasks
        Told of every iteration; may stop the training.
    verbose : bool

    Raises
    ------
    ValueError
        If the loss or the gradient is no longer finite.

    Warns
    -----
    ConvergenceWarning
        If the solver stops before it has converged.
    """
    parameters = objective.network.parameters
    accepted = parameters.copy()
    norm = np.nan

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal norm
        parameters[:] = x
        value, gradient, norm = blas.interruptible(objective.full_batch)
        check_finite(value, norm, f"L-BFGS iteration {len(history.loss_curve) + 1}")
        return value, gradient.astype(np.float64)

    def record(intermediate_result) -> None:
        nonlocal stopped
        # the last point that the line search evaluates is the one it accepts
        accepted[:] = intermediate_result.x
        history.loss_curve.append(float(intermediate_result.fun))
        history.grad_norm_curve.append(norm)
        history.n_samples_seen += len(objective.samples)
        if verbose:
            print(f"Iteration {len(history.loss_curve)}, loss = {intermediate_result.fun:.8f}")
        blas.interruptible(tasks.begin)
        stopped = blas.interruptible(tasks.end, len(history.loss_curve))
        if stopped:
            raise StopIteration

    stopped = False
    try:
        with OneBlasThread() as blas:
            result = minimize(
                evaluate,
                parameters.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=record,
                options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
            )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=1)
    else:
        accepted[:] = result.x
        if not (result.success or stopped):
            warnings.warn(
                f"L-BFGS stopped before it converged, after {result.nit} iterations: "
                f"{result.message}. Increase max_iter or max_fun, scale the data, or use "
                'dtype="float64".',
                ConvergenceWarning,
                stacklevel=1,
            )
    parameters[:] = accepted
    warn_if_vanished(objective)
