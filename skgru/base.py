"""What the two estimators share: parameters, the way through fit, the fitted attributes."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike
from sklearn._loss.loss import BaseLoss
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skgru.network import Head, Layer, Network
from skgru.optimizers import SGD, Adam, Adaptive, Constant, InverseScaling
from skgru.sequences import Sequences, check_sequences
from skgru.training import (
    History,
    Objective,
    Patience,
    Solver,
    fit_lbfgs,
    fit_stochastic,
    merge_equal,
)
from skgru.workers import Workers

# Sequences an update, where batch_size="auto" and there are as many.
AUTO_BATCH_SIZE = 32

PARAMETERS_DOC = """
    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64,)
        Units of each recurrent layer, the first layer first. An int is one layer.

    reset_after : bool, default=False
        Where the reset gate acts: on the past state (False; Cho et al. 2014), or on its product
        with the recurrent weights (True; the form of cuDNN and of PyTorch).

    solver : {{"adam", "sgd", "lbfgs"}}, default="adam"
        Stochastic updates a minibatch at a time, or L-BFGS over the whole training set, which
        suits small sets and finds the same optimum for sample weights as for repeated samples.

    alpha : float, default=1e-4
        Strength of the L2 penalty on the weight matrices (biases are free). As in scikit-learn's
        `MLPClassifier`, it is divided by the sample size when it is added to the loss.

    batch_size : int or "auto", default="auto"
        Sequences an update; "auto" is `min(32, n_samples)`, and a larger size than there are
        samples is all of them. Not used by "lbfgs".

    learning_rate : {{"constant", "invscaling", "adaptive"}}, default="constant"
        Schedule of the learning rate, of "sgd" and "adam" alike: constant; divided by
        `n_samples_seen ** power_t` after each epoch; or divided by five each time that training
        has stopped improving, until it falls below 1e-6.

    learning_rate_init : float, default=0.01
        Learning rate of the first update. Not used by "lbfgs".

    power_t : float, default=0.5
        Exponent of `learning_rate="invscaling"`.

    max_iter : int, default=100
        Most epochs of "adam" and "sgd", most iterations of "lbfgs".

    max_grad_norm : float, default=1.0
        Gradients of a minibatch with a larger L2 norm are scaled down to it (Pascanu et al.
        2013); `numpy.inf` never does. Not used by "lbfgs".

    shuffle : bool, default=True
        Whether to draw the minibatches anew in each epoch. Not used by "lbfgs".

    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the validation split and the minibatches. An int makes fits
        reproducible.

    tol : float, default=1e-4
        By how much the loss (or the validation score) has to improve to count as progress; for
        "lbfgs" the largest entry of the gradient at which to stop.

    verbose : bool, default=False
        Whether to print the loss, and the validation score if there is one, of each epoch.

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the fit before.

    momentum : float, default=0.9
        Of "sgd", in [0, 1].

    nesterovs_momentum : bool, default=True
        Whether the momentum of "sgd" is Nesterov's.

    beta_1 : float, default=0.9
        Decay of Adam's first moment, in [0, 1).

    beta_2 : float, default=0.999
        Decay of Adam's second moment, in [0, 1).

    epsilon : float, default=1e-8
        Added to the root of Adam's second moment.

    early_stopping : bool, default=False
        Whether to hold out part of the training samples, to stop when the score on them no
        longer improves, and to keep the weights that scored best. Not used by "lbfgs".

    validation_fraction : float, default=0.1
        Share of the samples that early stopping holds out{stratified}.

    n_iter_no_change : int, default=10
        How many epochs in a row without an improvement of `tol` are borne.

    max_fun : int, default=15000
        Most evaluations of the loss by "lbfgs".
{own_parameters}
    n_channels : int, default=1
        How a two-dimensional X unfolds: a row is `n_timesteps * n_channels` values, all channels
        of the oldest step first. Other forms of X say it themselves.

    n_jobs : int or None, default=None
        Threads of `fit` and of predictions; -1 is all cores, None is 1 unless in a
        `joblib.parallel_config`. The result is the same to the last bit for every number.
        Threads share out the sequences of a minibatch, 16 or more to each, hence large
        minibatches gain most.

    dtype : {{"float32", "float64"}}, default="float32"
        Precision of the weights and of all computations.
"""

ATTRIBUTES_DOC = """
    n_outputs_ : int
        Number of outputs of the network.
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.
    n_iter_ : int
        Completed epochs, or iterations of "lbfgs"; counted on by `partial_fit` and `warm_start`.
    t_ : int
        Training samples seen.
    loss_ : float
        The last entry of `loss_curve_`.
    best_loss_ : float or None
        The lowest of `loss_curve_`; None with early stopping.
    loss_curve_ : list of float
        Mean training loss of each epoch, the penalty included.
    grad_norm_curve_ : list of float
        Mean L2 norm of the gradient in each epoch, before clipping.
    validation_scores_ : list of float or None
        Score of each epoch on the samples held out by early stopping.
    best_validation_score_ : float or None
        The highest of `validation_scores_`.
    layers_ : list of named tuples
        Weights of each recurrent layer: `W` (n_inputs, 3 * n_units), `U` (n_units, 3 * n_units),
        `b` (3 * n_units,), and `c` (n_units,) with `reset_after`; the columns are the reset
        gate's, the update gate's and the candidate's. Views: to write to them changes the model.
    head_ : named tuple
        Weights of the output layer: `W` (n_units, n_outputs) and `b` (n_outputs,). Views.
    n_parameters_ : int
        Number of all weights and biases.
"""

REFERENCES_DOC = """
    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", EMNLP 2014, arXiv:1406.1078.

    J. Chung et al., "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence
    Modeling", 2014, arXiv:1412.3555 (whose update gate is one minus ours).
"""


class BaseGRU(BaseEstimator):
    """Everything but labels and numbers: see `GRUClassifier` and `GRURegressor`."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "reset_after": ["boolean"],
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="right")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    # ---- what classifier and regressor say for themselves --------------------------------------

    def _check_y(self, y: ArrayLike, *, reset: bool) -> np.ndarray:
        """Return y as numbers in `dtype`; learn what there is to learn of it if `reset`."""
        raise NotImplementedError

    def _check_weights(self, sample_weight: ArrayLike | None, y: np.ndarray) -> np.ndarray:
        """Return a weight for each sample, in float64."""
        return _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)

    def _loss(self) -> BaseLoss:
        raise NotImplementedError

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
        """Score of the network's outputs against what `_check_y` returned, as `score` does."""
        raise NotImplementedError

    # ---- the way through fit -------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to sequences X and targets y.

        Parameters
        ----------
        X : array-like
            Sequences in any of the forms of the user guide: an array of shape (n_samples,
            n_timesteps, n_channels), whose sequences may end in NaN steps; an array or DataFrame
            of shape (n_samples, n_timesteps * n_channels); or a list, tuple or object array of
            arrays of shape (n_timesteps_i, n_channels) or (n_timesteps_i,).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or the numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss and in the validation score.

        Returns
        -------
        self : object
            The fitted estimator. It is as it was before if anything is raised.

        Raises
        ------
        ValueError
            If X, y or sample_weight cannot be used as they are, or if the loss becomes infinite
            or NaN.
        """
        with unchanged_on_error(self):
            return self._fit(X, y, sample_weight, incremental=False)

    def _fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, *, incremental: bool
    ) -> Self:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        proceed = hasattr(self, "_network") and (incremental or self.warm_start)
        sequences = self._check_X(X, reset=not proceed)
        y = self._check_y(y, reset=not (proceed or incremental))
        check_consistent_length(sequences, y)
        weights = self._check_weights(sample_weight, y)

        random_state = check_random_state(self.random_state)
        if proceed:
            # copies, so that a failure leaves the fitted ones alone
            network, history = deepcopy(self._network), deepcopy(self._history)
            self._check_same_network(network)
        else:
            network, history = self._new_network(sequences.n_channels), History()
            network.initialize(random_state)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        solver, finished = None, True
        with Workers(self._n_threads()) as workers:
            data = sequences, y, weights, workers
            if self.solver == "lbfgs":
                self._fit_lbfgs(network, history, *data)
            else:
                solver = deepcopy(self._solver) if incremental and proceed else None
                solver = solver or self._new_solver(network, random_state)
                max_iter = 1 if incremental else self.max_iter
                finished = self._fit_stochastic(network, solver, history, max_iter, *data)
        if not (finished or incremental):
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and had not converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._network, self._history, self._solver = network, history, solver
        return self._publish()

    def _fit_lbfgs(
        self,
        network: Network,
        history: History,
        sequences: Sequences,
        y: np.ndarray,
        weights: np.ndarray,
        workers: Workers,
    ) -> None:
        samples, weights = merge_equal(sequences, y, weights)
        fit_lbfgs(
            Objective(network, self._loss(), sequences, y, weights, samples, self.alpha, workers),
            history,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            verbose=self.verbose,
        )

    def _fit_stochastic(
        self,
        network: Network,
        solver: Solver,
        history: History,
        max_iter: int,
        sequences: Sequences,
        y: np.ndarray,
        weights: np.ndarray,
        workers: Workers,
    ) -> bool:
        """Train for epochs; answer whether they ended by themselves."""
        samples, validation_score = np.arange(len(sequences)), None
        if self.early_stopping:
            samples, held_out = self._hold_out(y, weights, solver.random_state)
            validation = sequences.take(held_out)

            def validation_score() -> float:
                outputs = network.predict(validation, workers)
                return self._score_outputs(outputs, y[held_out], weights[held_out])

        batch_size = AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size
        return fit_stochastic(
            Objective(network, self._loss(), sequences, y, weights, samples, self.alpha, workers),
            solver,
            history,
            max_iter=max_iter,
            batch_size=min(batch_size, len(samples)),
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            validation_score=validation_score,
            verbose=self.verbose,
        )

    def _publish(self) -> Self:
        """Set the fitted attributes that tell of the training."""
        history = self._history
        self.n_outputs_ = self._network.n_outputs
        self.n_parameters_ = self._network.parameters.size
        self.n_iter_ = len(history.loss_curve)
        self.t_ = history.n_samples_seen
        self.loss_curve_ = history.loss_curve
        self.grad_norm_curve_ = history.grad_norm_curve
        self.loss_ = history.loss_curve[-1] if history.loss_curve else np.inf
        self.best_loss_ = self.validation_scores_ = self.best_validation_score_ = None
        if history.validation_scores:
            self.validation_scores_ = history.validation_scores
            self.best_validation_score_ = max(history.validation_scores)
        else:
            self.best_loss_ = min(history.loss_curve, default=np.inf)
        return self

    def _check_X(self, X: Any, *, reset: bool) -> Sequences:
        """Validate X, and record its features (`reset`) or compare it with those recorded."""
        name = type(self).__name__
        sequences = check_sequences(
            X,
            n_channels=self.n_channels,
            dtype=self.dtype if reset else self._network.dtype,
            caller=name,
        )
        is_table = sequences.form == "table"
        if reset:
            self._fitted_on_table = is_table
            # of 3-D X, scikit-learn would take the number of time steps for that of features
            validate_data(self, X if is_table else sequences.values, skip_check_array=True)
        elif sequences.n_channels != self._network.n_channels:
            unfolded = f" with n_channels={self.n_channels}" if is_table else ""
            raise ValueError(
                f"X has {sequences.n_channels} channels{unfolded}, but {name} was fitted on "
                f"sequences of {self._network.n_channels} channels."
            )
        elif is_table and self._fitted_on_table:
            validate_data(self, X, reset=False, skip_check_array=True)
        return sequences

    def _new_network(self, n_channels: int) -> Network:
        sizes = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
        if not sizes or not all(isinstance(n, Integral) and n >= 1 for n in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be one or more integers >= 1, got "
                f"{self.hidden_layer_sizes!r}."
            )
        return Network(n_channels, sizes, self.n_outputs_, self.reset_after, self.dtype)

    def _check_same_network(self, network: Network) -> None:
        """Refuse to continue a model with parameters that describe another one."""
        wanted = self._new_network(network.n_channels)
        for name in ("hidden_layer_sizes", "reset_after", "dtype"):
            if getattr(wanted, name) != getattr(network, name):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} differs from {getattr(network, name)!r} of "
                    "the fitted model, which warm_start and partial_fit continue."
                )

    def _new_solver(self, network: Network, random_state: np.random.RandomState) -> Solver:
        if self.solver == "adam":
            optimizer = Adam(network.parameters, self.beta_1, self.beta_2, self.epsilon)
        else:
            optimizer = SGD(network.parameters, self.momentum, self.nesterovs_momentum)
        if self.learning_rate == "invscaling":
            schedule = InverseScaling(self.learning_rate_init, self.power_t)
        elif self.learning_rate == "adaptive":
            schedule = Adaptive(self.learning_rate_init)
        else:
            schedule = Constant(self.learning_rate_init)
        patience = Patience(self.tol, self.n_iter_no_change)
        return Solver(optimizer, schedule, patience, random_state)

    def _hold_out(
        self, y: np.ndarray, weights: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Split the samples into those to train on and those to validate on."""
        # not at the top, as it would triple the time that `import skgru` takes
        from sklearn.model_selection import train_test_split

        training, held_out = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=random_state,
            stratify=y if is_classifier(self) else None,
        )
        if np.count_nonzero(weights[held_out]) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(y)} samples leaves fewer "
                "than 2 of positive weight to validate on. Increase it, or fit on more samples."
            )
        return training, held_out

    # ---- the fitted model ----------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Compute the outputs of the fitted network: (n_samples, n_outputs)."""
        check_is_fitted(self, "_network")
        sequences = self._check_X(X, reset=False)
        with Workers(self._n_threads()) as workers:
            return self._network.predict(sequences, workers)

    def _n_threads(self) -> int:
        """Threads that `n_jobs` asks for, but no more than a worker of joblib's share of cores."""
        n_threads = effective_n_jobs(self.n_jobs)
        backend, _ = get_active_backend()
        if backend.nesting_level:
            n_threads = min(n_threads, _openmp_effective_n_threads())
        return n_threads

    @property
    def layers_(self) -> list[Layer]:
        """Weights of each recurrent layer."""
        return self._fitted_views()[0]

    @property
    def head_(self) -> Head:
        """Weights of the output layer."""
        return self._fitted_views()[1]

    def _fitted_views(self) -> tuple[list[Layer], Head]:
        if "_network" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return self._network.views(self._network.parameters)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikit-learn's checks and composite estimators look at two_d_array
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


def has_stochastic_solver(estimator: BaseGRU) -> bool:
    """Say whether `partial_fit` exists; raise AttributeError with the reason if not."""
    if estimator.solver == "lbfgs":
        raise AttributeError('partial_fit needs a stochastic solver; "lbfgs" is none.')
    return True


@contextmanager
def unchanged_on_error(estimator: BaseGRU) -> Iterator[None]:
    """Give an estimator the attributes back that it had, if the block raises."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
