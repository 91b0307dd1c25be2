"""The loop: minibatch epochs with clipping and early stopping, or L-BFGS over the whole set."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from skgru.callbacks import FitTasks
from skgru.exceptions import GradientWarning
from skgru.losses import Loss
from skgru.network import Network
from skgru.optimizers import SGD, Adam, Constant
from skgru.propagation import Buffers, Dropout, Propagation
from skgru.sequences import Sequences
from skgru.targets import Targets
from skgru.workers import Workers, one_blas_thread

# Sequences that one forward and backward pass of L-BFGS takes at a time: enough for large
# products, few enough for the cache.
LBFGS_CHUNK = 256

# Sequences whose gradient tells whether it vanishes.
VANISHING_SAMPLES = 32

# A fit meant for fewer epochs does not tell whether most updates would be clipped.
SETTLED_EPOCHS = 10

# A loss that diverges is reported as an error, with the epoch; numpy's warnings would add nothing.
_quiet_overflow = np.errstate(over="ignore", invalid="ignore")


@dataclass
class History:
    """What happened in each epoch (or L-BFGS iteration), over all calls that continue a model.

    Attributes
    ----------
    loss_curve : list of float
        Mean loss of the epoch with its penalty, before each update.
    grad_norm_curve : list of float
        Mean L2 norm of the epoch's gradients, before clipping.
    validation_scores : list of float
    n_samples_seen : int
    """

    loss_curve: list[float] = field(default_factory=list)
    grad_norm_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    n_samples_seen: int = 0


@dataclass
class Patience:
    """Counts the epochs in which a value, the lower the better, has not fallen by `tol`."""

    tol: float
    n_iter_no_change: int
    best: float = np.inf
    count: int = 0

    def exhausted(self, value: float) -> bool:
        """Take the value of one more epoch; True after too many without improvement."""
        self.count = self.count + 1 if value > self.best - self.tol else 0
        self.best = min(self.best, value)
        if self.count <= self.n_iter_no_change:
            return False
        self.count = 0
        return True


@dataclass
class Solver:
    """What a stochastic solver remembers from one epoch to the next."""

    optimizer: SGD | Adam
    schedule: Constant
    patience: Patience
    random_state: np.random.RandomState


@dataclass
class Objective:
    """The penalised loss of a network on training sequences, as a function of its parameters.

    ``Σ_i w_i loss_i / Σ_i w_i + alpha/2 ‖weights‖² / Σ_i w_i``, in a minibatch with Σ_i w_i
    estimated as the number of its samples times the mean weight of all samples, so that
    its expectation over minibatches has the same data term. With a target for each step, i is a
    step, and the weight of a sample the sum of those of its steps.

    Attributes
    ----------
    network : Network
    loss : Loss
    sequences : Sequences
    targets : Targets
    samples : ndarray of int
        The samples to train on, among those of the sequences.
    alpha : float
    workers : Workers
    bptt_steps : int or None
        Steps that gradients go back; None is all.
    dropout, recurrent_dropout : float
    random_state : RandomState or None
        Draws the seeds of dropout.
    """

    network: Network
    loss: Loss
    sequences: Sequences
    targets: Targets
    samples: np.ndarray
    alpha: float
    workers: Workers
    bptt_steps: int | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    random_state: np.random.RandomState | None = None

    def __post_init__(self):
        total = self.targets.sample_weights()[self.samples].sum()
        self.buffers = Buffers(self.network)
        self.mean_weight = total / max(len(self.samples), 1)
        if total == 0:
            raise ValueError("The weights of all training samples are zero; one must be positive.")

    def minibatch(self, samples: np.ndarray) -> tuple[float, np.ndarray, float]:
        """Value, gradient and its norm on some of the samples, in one pass there and back."""
        total = len(samples) * self.mean_weight
        value, shares = self._data_term(samples, total)
        return self._penalised(value, shares, total)

    def full_batch(self) -> tuple[float, np.ndarray, float]:
        """Value, gradient and its norm on all samples, in chunks."""
        total = len(self.samples) * self.mean_weight
        value, gradient = 0.0, np.zeros_like(self.network.parameters)
        for chunk in gen_batches(len(self.samples), LBFGS_CHUNK):
            chunk_value, shares = self._data_term(self.samples[chunk], total)
            value += chunk_value
            gradient += shares.sum(axis=0)
        return self._penalised(value, gradient[np.newaxis], total)

    def _data_term(self, samples: np.ndarray, total: float) -> tuple[float, np.ndarray]:
        """Value of the loss, and the share of each shard in its gradient."""
        # shards depend on the samples alone, and not on the threads: so do the bits of their sum
        n_steps = int(self.sequences.lengths[samples].sum())
        shards = self.sequences.deal(samples, self.network.n_shards(len(samples), n_steps))
        gradients, views = self.buffers.gradients(len(shards))
        dropout = Dropout()
        if self.dropout or self.recurrent_dropout:
            seed = int(self.random_state.randint(2**63, dtype=np.int64))
            dropout = Dropout(self.dropout, self.recurrent_dropout, seed)

        def run_shard(i: int) -> float:
            return self.propagation(i, dropout).value_and_gradient(
                self.sequences, shards[i], self.targets, total, self.loss, self.bptt_steps, views[i]
            )

        return sum(self.workers.map(run_shard, range(len(shards)))), gradients

    def propagation(self, shard: int, dropout: Dropout) -> Propagation:
        """Make the passes over a shard, in the memory of all shards of this number."""
        return Propagation(
            self.network,
            self.buffers.parameters,
            lambda name, shape: self.buffers.empty((shard, name), shape),
            dropout,
            shard,
        )

    def _penalised(
        self, value: float, shares: np.ndarray, total: float
    ) -> tuple[float, np.ndarray, float]:
        parameters = self.network.parameters
        decay = self.alpha / total
        gradient = np.empty_like(parameters)
        norm, squared_weights = self.network.kernels.penalized_gradient(
            shares, parameters, self.network.n_weights, decay, gradient
        )
        return value + 0.5 * decay * squared_weights, gradient, norm


@_quiet_overflow
def fit_stochastic(
    objective: Objective,
    solver: Solver,
    history: History,
    *,
    max_iter: int,
    batch_size: int,
    max_grad_norm: float | None,
    shuffle: bool,
    validation_score: Callable[[], float] | None,
    tasks: FitTasks,
    verbose: bool,
) -> bool:
    """Update the network's parameters in place, a minibatch at a time.

    Parameters
    ----------
    objective : Objective
    solver : Solver
    history : History
        Grows by an entry an epoch.
    max_iter : int
        Epochs.
    batch_size : int
        Sequences an update.
    max_grad_norm : float or None
        Gradients of a larger L2 norm are scaled down to it (Pascanu et al. 2013).
    shuffle : bool
    validation_score : callable or None
        Scores the network, the higher the better; with it, training stops when the score no
        longer rises, and the best parameters are put back.
    tasks : FitTasks
        Told of every epoch; may stop the training.
    verbose : bool

    Returns
    -------
    bool
        Whether training ended by itself or by the user, and not at `max_iter`.

    Raises
    ------
    ValueError
        If the loss, the gradient or the parameters are no longer finite.

    Warns
    -----
    GradientWarning
        If most updates were clipped to the last, or the gradient vanishes.
    """
    parameters = objective.network.parameters
    best_score, best_parameters = -np.inf, None
    finished, clipped = False, []
    try:
        for _ in range(max_iter):
            tasks.begin()
            samples = objective.samples
            if shuffle:
                samples = solver.random_state.permutation(samples)
            clipped += _run_epoch(objective, samples, solver, history, batch_size, max_grad_norm)
            watched = history.loss_curve[-1]
            if verbose:
                print(f"Epoch {len(history.loss_curve)}, loss = {watched:.8f}")
            if validation_score is not None:
                score = validation_score()
                history.validation_scores.append(score)
                if verbose:
                    print(f"Validation score: {score:.6f}")
                if score > best_score:
                    best_score, best_parameters = score, parameters.copy()
                watched = -score
            solver.schedule.end_epoch(history.n_samples_seen)
            if tasks.end():
                finished = True
                break
            if solver.patience.exhausted(watched) and not solver.schedule.go_on():
                finished = True
                if verbose:
                    print(
                        f"{'Loss' if validation_score is None else 'Validation score'} did not "
                        f"improve by tol={solver.patience.tol} for more than "
                        f"{solver.patience.n_iter_no_change} epochs. Stopping."
                    )
                break
    except KeyboardInterrupt:
        finished = True
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if best_parameters is not None:
        parameters[:] = best_parameters
    # no loss has been computed with what the last update made
    if not np.isfinite(parameters).all():
        raise ValueError(
            "Training diverged: the last update made the weights infinite or NaN. Scale X (and y) "
            "to unit variance, or lower learning_rate_init."
        )
    if max_iter == 1:
        return finished  # such as partial_fit: too early to tell
    # at the beginning it is what clipping is for
    most = sum(clipped) > len(clipped) / 2 and history.grad_norm_curve[-1] > max_grad_norm
    if most and max_iter >= SETTLED_EPOCHS:
        warnings.warn(
            f"{sum(clipped)} of {len(clipped)} updates were clipped at "
            f"max_grad_norm={max_grad_norm}; "
            f"the mean norm of the gradient was {history.grad_norm_curve[-1]:.3g} in the last "
            "epoch (grad_norm_curve_). A threshold is meant for the exception: half to ten times "
            "the average norm (Pascanu et al. 2013). Raise it, scale X (and y) to unit variance, "
            "or lower learning_rate_init.",
            GradientWarning,
            stacklevel=2,
        )
    warn_if_vanished(objective)
    return finished


def _run_epoch(
    objective: Objective,
    samples: np.ndarray,
    solver: Solver,
    history: History,
    batch_size: int,
    max_grad_norm: float | None,
) -> list[bool]:
    """Update the parameters once a minibatch of these samples, in their order.

    Returns
    -------
    list of bool
        Which of the updates were clipped.
    """
    loss_sum, norms, all_clipped = 0.0, [], []
    for batch in gen_batches(len(samples), batch_size):
        value, gradient, norm = objective.minibatch(samples[batch])
        _check_finite(value, norm, f"epoch {len(history.loss_curve) + 1}")
        clipped = max_grad_norm is not None and norm > max_grad_norm
        scale = max_grad_norm / norm if clipped else 1.0
        solver.optimizer.update(
            objective.network.parameters, gradient, scale, solver.schedule.next()
        )
        loss_sum += value * (batch.stop - batch.start)
        norms.append(norm)
        all_clipped.append(clipped)
    history.n_samples_seen += len(samples)
    history.loss_curve.append(loss_sum / len(samples))
    history.grad_norm_curve.append(float(np.mean(norms)))
    return all_clipped


def warn_if_vanished(objective: Objective) -> None:
    """Look at how much of the gradient is left before the first time step of some sequences.

    Parameters
    ----------
    objective : Objective

    Warns
    -----
    GradientWarning
        If in some layer it is less, in all of the sequences, than the dtype resolves beside the
        largest that enters a state.
    """
    if objective.bptt_steps is not None:
        return  # it is cut on purpose
    network, sequences = objective.network, objective.sequences
    counted = objective.targets.sample_weights()[objective.samples] > 0
    (samples,) = sequences.deal(objective.samples[counted][:VANISHING_SAMPLES], 1)
    _, (views,) = objective.buffers.gradients(1)
    propagation = objective.propagation(0, Dropout())
    kernel, entered, left = propagation.layer_backward, [], []

    def watched(*arrays: np.ndarray) -> None:
        d_states, d_h = arrays[9:11]
        entered.append(max(_largest_norm(d_states), _largest_norm(d_h)))
        kernel(*arrays)
        left.append(_largest_norm(d_h) / entered[-1] if entered[-1] else 0.0)

    propagation.layer_backward = watched
    total = len(samples) * objective.mean_weight
    propagation.value_and_gradient(
        sequences, samples, objective.targets, total, objective.loss, None, views
    )
    if not any(entered):
        return  # of a loss without gradient, nothing can vanish
    if min(left) < np.finfo(network.dtype).eps:
        layer = (len(left) - 1 - int(np.argmin(left))) // network.architecture.n_directions
        warnings.warn(
            f"The gradient vanishes on its way to the first time step: in layer {layer}, at most "
            f"{min(left):.0e} of it is left there in each of {len(samples)} sequences of up to "
            f"{sequences.lengths[samples[0]]} steps, less than {network.dtype} resolves. Nothing "
            "that far back can be learned from. If it matters, give the loss a way that is "
            'shorter (return_sequences=True, pooling="mean", or "attention"; Bahdanau et al. '
            '2015), a cell with gates instead of "rnn" (Hochreiter & Schmidhuber 1997), or shorter '
            "sequences; skgru.inspection.gradient_flow shows where the gradient goes.",
            GradientWarning,
            stacklevel=2,
        )


def _largest_norm(rows: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max(initial=0)))


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
    first: dict[tuple[bytes, bytes], tuple[np.ndarray, np.ndarray]] = {}
    weights = np.zeros_like(targets.weights)
    for i in np.flatnonzero(targets.sample_weights()):
        sample = np.array([i])
        rows = targets.rows(sample)
        x, y = sequences.values[sequences.rows(sample)], targets.y[rows]
        sample, own = first.setdefault((x.tobytes(), y.tobytes()), (sample, rows))
        weights[own] += targets.weights[rows]
    samples = [first[key][0] for key in sorted(first)]
    return np.concatenate([np.empty(0, np.intp), *samples]), replace(targets, weights=weights)


@_quiet_overflow
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
        value, gradient, norm = objective.full_batch()
        _check_finite(value, norm, f"L-BFGS iteration {len(history.loss_curve) + 1}")
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
        tasks.begin()
        stopped = tasks.end()
        if stopped:
            raise StopIteration

    stopped = False
    try:
        with one_blas_thread():
            result = minimize(
                evaluate,
                parameters.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=record,
                options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
            )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    else:
        accepted[:] = result.x
        if not (result.success or stopped):
            warnings.warn(
                f"L-BFGS stopped before it converged, after {result.nit} iterations: "
                f"{result.message}. Increase max_iter or max_fun, scale the data, or use "
                'dtype="float64".',
                ConvergenceWarning,
                stacklevel=2,
            )
    parameters[:] = accepted
    warn_if_vanished(objective)


def _check_finite(value: float, norm: float, when: str) -> None:
    """Raise ValueError if the loss or the norm of its gradient is not finite."""
    if not (isfinite(value) and isfinite(norm)):
        raise ValueError(
            f"Training diverged: in {when} the loss was {value} and the norm of its gradient "
            f"{norm}. Scale X (and y) to unit variance, or lower learning_rate_init."
        )
