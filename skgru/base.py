"""What the two estimators share: parameters, the way through fit, the fitted attributes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from inspect import Parameter, signature
from itertools import chain
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import (
    LokyBackend,
    MultiprocessingBackend,
    SequentialBackend,
    ThreadingBackend,
    get_active_backend,
)
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
    is_classifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skgru.callbacks import CallbackSupport, FitTasks, with_callbacks
from skgru.html_repr import network_html
from skgru.kernels import kernels_for
from skgru.losses import Loss
from skgru.network import Architecture, Head, Layer, Network, Parameters
from skgru.optimizers import SGD, Adam, AdamW, Adaptive, Constant, Cosine, InverseScaling
from skgru.persistence import SavedWithVersion
from skgru.pooling import POOLINGS
from skgru.propagation import attention_weights, pool, predict
from skgru.sequences import Sequences, check_sequences
from skgru.targets import Targets, known_labels, missing_labels, step_weights
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

if TYPE_CHECKING:
    from skgru.streaming import Stream

# What joblib has of its own; all other backends are of packages that know of other machines.
ONE_MACHINE = (SequentialBackend, ThreadingBackend, MultiprocessingBackend, LokyBackend)

# Sequences an update, where batch_size="auto" and there are as many.
AUTO_BATCH_SIZE = 32

PARAMETERS_DOC = """
    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64,)
        Units of each recurrent layer, the first layer first. An int is one layer.

    cell : {{"gru", "rnn", "lstm", "cifg", "mgu", "light_gru"}}, default="gru"
        The recurrent unit: gated recurrent unit (Cho et al. 2014), plain tanh network (Elman
        1990), long short-term memory (Hochreiter & Schmidhuber 1997), the same with coupled gates
        (Greff et al. 2017), minimal gated unit (Zhou et al. 2016), or GRU without reset gate
        (Ravanelli et al. 2018). A layer has G * (n_inputs * n_units + n_units**2 + n_units)
        parameters, where G is 3, 1, 4, 3, 2 and 2.

    activation : {{"tanh", "relu"}}, default="tanh"
        Of the candidate; "relu" is for `cell="light_gru"`.

    reset_after : bool, default=False
        For `cell="gru"`, where the reset gate acts: on the past state (False; Cho et al. 2014),
        or on its product with the recurrent weights (True; the form of cuDNN and of PyTorch).

    bidirectional : bool, default=False
        Whether every layer also reads the sequence from its end, with weights of its own; what
        is above it sees both states side by side.

    pooling : {{"last", "mean", "max", "attention"}}, default="last"
        What becomes of the top layer's states before the output layer: the last one (of the
        backward direction, that after the first step), their mean or maximum over time, or a
        mean with weights that are the softmax over time of their products with a learned query.

    return_sequences : bool, default=False
        Whether to predict at every time step instead of once a sequence. y then holds a target
        for each step; what is missing in it (NaN or None) counts for nothing.

    dropout : float, default=0.0
        Share of the numbers that are set to 0 between layers and before the output layer in
        training, the others being scaled up.

    recurrent_dropout : float, default=0.0
        The same for the states that the recurrent weights see, with one mask for all steps of a
        sequence (Gal & Ghahramani 2016).

    solver : {{"adam", "adamw", "sgd", "rmsprop", "lbfgs"}}, default="adam"
        Stochastic updates a minibatch at a time, or L-BFGS over the whole training set, which
        suits small sets and finds the same optimum for sample weights as for repeated samples.
        "rmsprop" is "adam" without first moment.

    alpha : float, default=1e-4
        Strength of the L2 penalty on the weight matrices (biases are free). As in scikit-learn's
        `MLPClassifier`, it is divided by the sample size when it is added to the loss. Of
        "adamw", the weight decay: each update takes `alpha` times the learning rate off every
        weight, and nothing is added to the loss.

    batch_size : int or "auto", default="auto"
        Sequences an update; "auto" is `min(32, n_samples)`, and a larger size than there are
        samples is all of them. Not used by "lbfgs".

    bptt_steps : int or None, default=None
        Steps that gradients go back in time: long sequences are cut into windows of so many
        steps, counted from their ends, and states go from one window to the next, but gradients
        do not. Memory is that of one window. None goes back to the first step.

    learning_rate : {{"constant", "cosine", "invscaling", "adaptive"}}, default="constant"
        Schedule of the learning rate, of all stochastic solvers: constant; down to 0 at
        `max_iter` as half a cosine wave; divided by `n_samples_seen ** power_t` after each epoch;
        or divided by five each time that training has stopped improving, until it falls below
        1e-6.

    learning_rate_init : float, default=0.01
        Learning rate at the beginning. Not used by "lbfgs".

    warmup_updates : int, default=0
        Updates over which the learning rate first rises to what its schedule says. Not used by
        "lbfgs".

    power_t : float, default=0.5
        Exponent of `learning_rate="invscaling"`.

    max_iter : int, default=100
        Most epochs of stochastic solvers, most iterations of "lbfgs".

    max_grad_norm : float or None, default=1.0
        Gradients of a minibatch with a larger L2 norm are scaled down to it (Pascanu et al.
        2013); None never does. Not used by "lbfgs".

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
        Decay of the first moment of "adam" and "adamw", in [0, 1).

    beta_2 : float, default=0.999
        Decay of the second moment of "adam", "adamw" and "rmsprop", in [0, 1).

    epsilon : float, default=1e-8
        Added to the root of the second moment.

    early_stopping : bool, default=False
        Whether to hold out part of the training samples, to stop when the score on them no
        longer improves, and to keep the weights that scored best. Not used by "lbfgs".

    validation_fraction : float, default=0.1
        Share of the samples that early stopping holds out, where `fit` is given no `X_val`.

    validation_split : {{"random", "last"}}, default="random"
        Which samples early stopping holds out: random ones{stratified}, or the last, which is for
        samples in the order of time.

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
        Weights of each recurrent layer, and of each direction of it (forward, then backward):
        `W` (n_inputs, G * n_units), `U` (n_units, G * n_units), `b` (G * n_units,), and `c`
        (n_units,) with `reset_after`; a block of columns a gate, of a GRU the reset gate's, the
        update gate's and the candidate's (the user guide has those of the other cells). Views: to
        write to them changes the model.
    query_ : ndarray of shape (width,)
        The learned query of `pooling="attention"`; width is `n_units` of the top layer times its
        directions. A view.
    head_ : named tuple
        Weights of the output layer: `W` (width, n_outputs) and `b` (n_outputs,). Views.
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

    Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks", NIPS 2016, arXiv:1512.05287.
"""


def _has_attention(estimator: BaseEstimator) -> bool:
    if estimator.pooling != "attention":
        raise AttributeError(
            f"only pooling='attention' has weights and a query, not {estimator.pooling!r}"
        )
    return True


class BaseGRU(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupport,
    SavedWithVersion,
    BaseEstimator,
):
    """Everything but labels and numbers: see `GRUClassifier` and `GRURegressor`."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cell": [str],
        "activation": [StrOptions({"tanh", "relu"})],
        "reset_after": ["boolean"],
        "bidirectional": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "return_sequences": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "solver": [StrOptions({"adam", "adamw", "sgd", "rmsprop", "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "bptt_steps": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [StrOptions({"constant", "cosine", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "warmup_updates": [Interval(Integral, 0, None, closed="left")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="right"), None],
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
        "validation_split": [StrOptions({"random", "last"})],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    # ---- what classifier and regressor say for themselves --------------------------------------

    def _check_y(self, y: ArrayLike, *, reset: bool) -> np.ndarray:
        """Return y as numbers in `dtype`, (n_rows, k); learn what there is of it if `reset`."""
        raise NotImplementedError

    def _class_weights(self, y: np.ndarray) -> np.ndarray | float:
        """Factor of the weight of each row, given what `_check_y` returned."""
        return 1.0

    def _loss(self) -> Loss:
        raise NotImplementedError

    def _predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Turn rows of outputs into what `predict` says, or a single row into a row of that."""
        raise NotImplementedError

    def _score_predictions(
        self, y: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """Score of predictions, given y as numbers or as it came."""
        raise NotImplementedError

    # ---- the way through fit -------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the model to sequences X and targets y.

        Parameters
        ----------
        X : array-like
            Sequences in any of the forms of the user guide: an array of shape (n_samples,
            n_timesteps, n_channels), whose sequences may end in NaN steps; an array or DataFrame
            of shape (n_samples, n_timesteps * n_channels); or a list, tuple or object array of
            arrays of shape (n_timesteps_i, n_channels) or (n_timesteps_i,).
        y : array-like
            Class labels, of shape (n_samples,), or a multilabel indicator, of shape (n_samples,
            n_outputs); or numbers, of either shape. With `return_sequences`, those of every time
            step: of shape (n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs), or a
            list of arrays of shape (n_timesteps_i,) or (n_timesteps_i, n_outputs); NaN and None
            are missing ones.
        sample_weight : array-like, default=None
            Weights in the loss and in the validation score, of shape (n_samples,). With
            `return_sequences`, also one for every step, in any form that y may have.
        X_val : array-like, default=None
            Sequences for early stopping to validate on, instead of a part of X. In a `Pipeline`,
            `transform_input=["X_val"]` transforms it as X.
        y_val : array-like, default=None
            Their targets.
        sample_weight_val : array-like, default=None
            Their weights in the validation score.

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
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        tasks = FitTasks()
        tasks.begin_fit(self, self.max_iter, X, y, metadata)
        with unchanged_on_error(self):
            self._fit(
                X,
                y,
                sample_weight,
                incremental=False,
                validation=(X_val, y_val, sample_weight_val),
                tasks=tasks,
            )
        tasks.end_fit()
        return self

    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        *,
        incremental: bool,
        validation: tuple[Any, ArrayLike | None, ArrayLike | None] = (None, None, None),
        tasks: FitTasks | None = None,
    ) -> Self:
        tasks = tasks or FitTasks()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        self._check_combinations(validation, incremental)
        proceed = hasattr(self, "_network") and (incremental or self.warm_start)
        sequences = self._check_X(X, reset=not proceed, dtype=self.dtype)
        targets = self._check_targets(
            y, sample_weight, sequences, reset=not (proceed or incremental)
        )

        random_state = check_random_state(self.random_state)
        architecture = self._architecture(sequences.n_channels)
        if proceed:
            # copies, so that a failure leaves the fitted ones alone
            network, history = self._network.copy(), deepcopy(self._history)
            self._check_same_network(network, architecture)
        else:
            network, history = Network(architecture, self.dtype), History()
            network.initialize(random_state)
        tasks.make_fitted(lambda: {"_network": network.copy()})
        solver, finished = None, True
        with Workers(self._n_threads()) as workers:
            if self.solver == "lbfgs":
                self._fit_lbfgs(network, history, sequences, targets, workers, tasks)
            else:
                solver = deepcopy(self._solver) if incremental and proceed else None
                solver, finished = self._fit_stochastic(
                    network, history, sequences, targets, validation, workers, tasks, solver,
                    random_state, 1 if incremental else self.max_iter,
                )  # fmt: skip
        # the cosine ends at max_iter as it should
        if not (finished or incremental or self.learning_rate == "cosine"):
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and had not converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._network, self._history, self._solver = network, history, solver
        return self._publish()

    def _check_combinations(self, validation: tuple[Any, Any, Any], incremental: bool) -> None:
        """Refuse parameters that contradict each other."""
        X_val, y_val, sample_weight_val = validation
        if (X_val is None) != (y_val is None):
            given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} is given, but not {missing}; validation needs both.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("sample_weight_val is given, but not X_val and y_val.")
        if X_val is not None and (not self.early_stopping or self.solver == "lbfgs"):
            raise ValueError(
                "X_val and y_val are for early stopping, which needs early_stopping=True and a "
                "stochastic solver."
            )
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        if incremental and self.learning_rate == "cosine":
            raise ValueError(
                'partial_fit does not support learning_rate="cosine", which has to know the '
                "number of epochs."
            )
        if self.return_sequences and self.pooling != "last":
            raise ValueError(
                f"pooling={self.pooling!r} makes one vector of a sequence, while "
                "return_sequences=True predicts from every state; leave it at pooling='last'."
            )
        if self.bidirectional and self.bptt_steps is not None:
            raise ValueError(
                "bptt_steps cuts sequences into windows one after the other, which "
                "bidirectional=True cannot read from their end; one of the two must go."
            )
        if self.solver == "lbfgs" and (self.dropout or self.recurrent_dropout):
            raise ValueError(
                'solver="lbfgs" needs a loss that is the same each time; dropout and '
                "recurrent_dropout need a stochastic solver."
            )

    def _check_targets(
        self,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        sequences: Sequences,
        *,
        reset: bool,
    ) -> Targets:
        """Validate y and the weights, of sequences or of their steps."""
        rows, weights = self._rows(y, sample_weight, sequences)
        known = slice(None)
        if self.return_sequences:
            missing = missing_labels(rows)
            if missing.all():
                raise ValueError("All labels in y are missing (NaN or None).")
            weights[missing] = 0
            known = ~missing
            rows = known_labels(rows, known)
        numbers = self._check_y(rows, reset=reset)
        weights[known] *= self._class_weights(numbers)
        if not self.return_sequences:
            return Targets(numbers, weights, None)
        y_by_row = np.zeros((len(weights), numbers.shape[1]), dtype=numbers.dtype)
        y_by_row[known] = numbers
        return Targets(y_by_row, weights, sequences)

    def _rows(
        self, y: ArrayLike, sample_weight: ArrayLike | None, sequences: Sequences
    ) -> tuple[Any, np.ndarray]:
        """Find what y and sample_weight say of each sequence, or of each step."""
        if self.return_sequences:
            return sequences.rows_by_step(y, "y"), step_weights(sample_weight, sequences)
        check_consistent_length(sequences, y)
        weights = _check_sample_weight(
            sample_weight, sequences, dtype=np.float64, ensure_non_negative=True, copy=True
        )
        return y, weights

    def _objective(
        self,
        network: Network,
        sequences: Sequences,
        targets: Targets,
        samples: np.ndarray,
        workers: Workers,
        random_state: np.random.RandomState | None = None,
    ) -> Objective:
        return Objective(
            network,
            self._loss(),
            sequences,
            targets,
            samples,
            0.0 if self.solver == "adamw" else self.alpha,
            workers,
            self.bptt_steps,
            self.dropout,
            self.recurrent_dropout,
            random_state,
        )

    def _fit_lbfgs(
        self,
        network: Network,
        history: History,
        sequences: Sequences,
        targets: Targets,
        workers: Workers,
        tasks: FitTasks,
    ) -> None:
        samples, targets = merge_equal(sequences, targets)
        fit_lbfgs(
            self._objective(network, sequences, targets, samples, workers),
            history,
            max_iter=self.max_iter,
            max_fun=self.max_fun,
            tol=self.tol,
            tasks=tasks,
            verbose=self.verbose,
        )

    def _fit_stochastic(
        self,
        network: Network,
        history: History,
        sequences: Sequences,
        targets: Targets,
        validation: tuple[Any, ArrayLike | None, ArrayLike | None],
        workers: Workers,
        tasks: FitTasks,
        solver: Solver | None,
        random_state: np.random.RandomState,
        max_iter: int,
    ) -> tuple[Solver, bool]:
        """Train for epochs; return the solver, and whether they ended by themselves."""
        if solver is not None:
            random_state = solver.random_state
        samples, validation_score = np.arange(len(sequences)), None
        if self.early_stopping:
            if validation[0] is None:
                samples, held_out = self._hold_out(targets, random_state)
                rows = targets.rows(held_out)
                held_out = sequences.take(held_out)
                y_val, weights_val = targets.y[rows], targets.weights[rows]
            else:
                held_out = self._check_X(validation[0], reset=False, dtype=self.dtype)
                targets_val = self._check_targets(
                    validation[1], validation[2], held_out, reset=False
                )
                y_val, weights_val = targets_val.y, targets_val.weights
            known = weights_val > 0

            def validation_score() -> float:
                predictions = self._predictions(predict(network, held_out, workers)[known])
                return self._score_predictions(
                    self._decode(y_val[known]), predictions, weights_val[known]
                )

        batch_size = AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size
        batch_size = min(batch_size, len(samples))
        if solver is None:
            n_updates = max_iter * -(-len(samples) // batch_size)
            solver = self._new_solver(network, n_updates, random_state)
        finished = fit_stochastic(
            self._objective(network, sequences, targets, samples, workers, random_state),
            solver,
            history,
            max_iter=max_iter,
            batch_size=batch_size,
            max_grad_norm=self.max_grad_norm,
            shuffle=self.shuffle,
            validation_score=validation_score,
            tasks=tasks,
            verbose=self.verbose,
        )
        return solver, finished

    def _decode(self, y: np.ndarray) -> np.ndarray:
        """Turn numbers back into what `_check_y` made them of."""
        return y

    def _publish(self) -> Self:
        """Set the fitted attributes that tell of the training."""
        history = self._history
        self.n_outputs_ = self._network.architecture.n_outputs
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

    def _fit_to_parameters(self, X: Any, y: ArrayLike, parameters: Parameters) -> Self:
        """Become fitted with given weights, without training.

        Parameters
        ----------
        X : array-like
            An example of the sequences that the model is for.
        y : array-like
            Rows of targets, as `_check_y` takes them: all classes, or the columns that there are.
        parameters : Parameters

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the weights do not have the shapes that the estimator's parameters, X and y give
            them.
        """
        self._validate_params()
        self._check_combinations((None, None, None), incremental=False)
        sequences = self._check_X(X, reset=True, dtype=self.dtype)
        self._check_y(y, reset=True)
        network = Network(self._architecture(sequences.n_channels), self.dtype)
        network.assign(parameters)
        self._network, self._history, self._solver = network, History(), None
        return self._publish()

    def _check_X(self, X: Any, *, reset: bool, dtype: DTypeLike) -> Sequences:
        """Validate X, and record its features (`reset`) or compare it with those recorded."""
        name = type(self).__name__
        sequences = check_sequences(X, n_channels=self.n_channels, dtype=dtype, caller=name)
        is_table = sequences.form == "table"
        if reset:
            self._fitted_on_table = is_table
            self._n_channels_seen = sequences.n_channels
            # of 3-D X, scikit-learn would take the number of time steps for that of features
            validate_data(self, X if is_table else sequences.values, skip_check_array=True)
        elif sequences.n_channels != self._n_channels_seen:
            unfolded = f" with n_channels={self.n_channels}" if is_table else ""
            raise ValueError(
                f"X has {sequences.n_channels} channels{unfolded}, but {name} was fitted on "
                f"sequences of {self._n_channels_seen} channels."
            )
        elif is_table and self._fitted_on_table:
            validate_data(self, X, reset=False, skip_check_array=True)
        return sequences

    def _architecture(self, n_channels: int) -> Architecture:
        sizes = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
        if not sizes or not all(isinstance(n, Integral) and n >= 1 for n in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be one or more integers >= 1, got "
                f"{self.hidden_layer_sizes!r}."
            )
        architecture = Architecture(
            n_channels,
            sizes,
            self.n_outputs_,
            self.reset_after,
            self.bidirectional,
            self.pooling,
            self.return_sequences,
            self.cell,
            self.activation,
        )
        forms = kernels_for(np.dtype(self.dtype)).CELLS
        # not among the constraints above, as to know the cells is to import the kernels
        cells = [name for name in forms if not name.endswith(("_reset_after", "_relu"))]
        if self.cell not in cells:
            raise InvalidParameterError(
                f"The 'cell' parameter of {type(self).__name__} must be a str among {cells}. Got "
                f"{self.cell!r} instead."
            )
        if architecture.variant not in forms:
            raise ValueError(
                f"cell={self.cell!r} has no form with reset_after={self.reset_after} and "
                f'activation={self.activation!r}; reset_after is for "gru", "relu" for '
                '"light_gru".'
            )
        return architecture

    def _check_same_network(self, network: Network, architecture: Architecture) -> None:
        """Refuse to continue a model with parameters that describe another one."""
        fitted = {**network.architecture._asdict(), "dtype": network.dtype}
        for name, wanted in {**architecture._asdict(), "dtype": np.dtype(self.dtype)}.items():
            if wanted != fitted[name]:
                raise ValueError(
                    f"{name}={getattr(self, name, wanted)!r} differs from {fitted[name]!r} of the "
                    "fitted model, which warm_start and partial_fit continue."
                )

    def _new_solver(
        self, network: Network, n_updates: int, random_state: np.random.RandomState
    ) -> Solver:
        parameters = network.parameters
        if self.solver == "adam":
            optimizer = Adam(parameters, self.beta_1, self.beta_2, self.epsilon)
        elif self.solver == "adamw":
            optimizer = AdamW(
                parameters, self.beta_1, self.beta_2, self.epsilon, network.n_weights, self.alpha
            )
        elif self.solver == "rmsprop":
            optimizer = Adam(parameters, 0.0, self.beta_2, self.epsilon)
        else:
            optimizer = SGD(parameters, self.momentum, self.nesterovs_momentum)
        rise = self.learning_rate_init, self.warmup_updates
        if self.learning_rate == "cosine":
            schedule = Cosine(*rise, n_updates)
        elif self.learning_rate == "invscaling":
            schedule = InverseScaling(*rise, self.power_t)
        elif self.learning_rate == "adaptive":
            schedule = Adaptive(*rise)
        else:
            schedule = Constant(*rise)
        patience = Patience(self.tol, self.n_iter_no_change)
        return Solver(optimizer, schedule, patience, random_state)

    def _hold_out(
        self, targets: Targets, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Split the samples into those to train on and those to validate on."""
        # not at the top, as it would triple the time that `import skgru` takes
        from sklearn.model_selection import train_test_split

        at_random = self.validation_split == "random"
        one_label = targets.sequences is None and targets.y.shape[1] == 1
        training, held_out = train_test_split(
            np.arange(len(targets)),
            test_size=self.validation_fraction,
            shuffle=at_random,
            random_state=random_state if at_random else None,
            stratify=targets.y if is_classifier(self) and one_label and at_random else None,
        )
        if np.count_nonzero(targets.weights[targets.rows(held_out)]) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(targets)} samples leaves "
                "fewer than 2 of positive weight to validate on. Increase it, or fit on more "
                "samples."
            )
        return training, held_out

    # ---- the fitted model ----------------------------------------------------------------------

    def _outputs(self, X: Any) -> tuple[np.ndarray, Sequences]:
        """Compute the outputs of the fitted network, a row for each sequence or each step."""
        return self._run(predict, X)

    def _run(
        self, function: Callable[[Network, Sequences, Workers], np.ndarray], X: Any
    ) -> tuple[np.ndarray, Sequences]:
        """Apply a function of the fitted network to X."""
        check_is_fitted(self, "_network")
        sequences = self._check_X(X, reset=False, dtype=self._network.dtype)
        with Workers(self._n_threads()) as workers:
            return function(self._network, sequences, workers), sequences

    def _in_form_of_x(
        self, rows: np.ndarray, sequences: Sequences
    ) -> np.ndarray | list[np.ndarray]:
        """Give predictions, one for each sequence or each step, the form that X had."""
        by_step = self._network.architecture.return_sequences
        return sequences.by_step(rows) if by_step else rows

    def _score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> float:
        outputs, sequences = self._outputs(X)
        rows, weights = self._rows(y, sample_weight, sequences)
        predictions = self._predictions(outputs)
        if self.return_sequences:
            known = ~missing_labels(rows)
            rows, predictions, weights = (
                known_labels(rows, known), predictions[known], weights[known]
            )  # fmt: skip
        return self._score_predictions(rows, predictions, weights)

    def transform(self, X: Any) -> np.ndarray:
        """Compute the hidden state of each sequence, after `pooling`: features for other models.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, width)
            What the output layer sees, or with `return_sequences` would see at the last step; the
            width is that of the top layer, forward and backward side by side.
        """
        return self._run(pool, X)[0]

    def stream(self, n_streams: int = 1) -> "Stream":
        """Predict as sequences come in, a time step at a time.

        Parameters
        ----------
        n_streams : int, default=1
            How many sequences advance together.

        Returns
        -------
        stream : skgru.streaming.Stream
            With a method `step` that takes the next time step and returns what is predicted after
            it, of a classifier also `step_proba`; and with `state` and `reset`. Later fits do not
            change it.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator is `bidirectional`, or `n_streams` is no positive integer.
        """
        # not at the top, as fits and predictions do without
        from skgru.streaming import ClassifierStream, Stream

        check_is_fitted(self, "_network")
        return (ClassifierStream if is_classifier(self) else Stream)(self, n_streams)

    @available_if(_has_attention)
    def attention_weights(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Compute how much each time step counts in `pooling="attention"`.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_timesteps) or list of ndarray
            In the form of X, NaN in its padding; those of a sequence add up to 1.
        """
        weights, sequences = self._run(attention_weights, X)
        return sequences.by_step(weights)

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return self._network.architecture.width

    def _n_threads(self) -> int:
        """Threads that `n_jobs` asks for, but no more than a worker of joblib's share of cores."""
        backend, _ = get_active_backend()
        on_this_machine = isinstance(backend, ONE_MACHINE)
        if on_this_machine:
            n_threads = effective_n_jobs(self.n_jobs)
        else:  # Dask, Ray or Spark would count the cores of the whole cluster
            n_threads = ThreadingBackend().effective_n_jobs(self.n_jobs)
        if backend.nesting_level or not on_this_machine:
            n_threads = min(n_threads, _openmp_effective_n_threads())
        return n_threads

    @property
    def layers_(self) -> list[Layer]:
        """Weights of each recurrent layer and direction."""
        return list(chain.from_iterable(self._fitted_views().layers))

    @property
    def query_(self) -> np.ndarray:
        """The query of attention."""
        _has_attention(self)
        return self._fitted_views().query

    @property
    def head_(self) -> Head:
        """Weights of the output layer."""
        return self._fitted_views().head

    def _fitted_views(self) -> Parameters:
        if "_network" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.")
        return self._network.views(self._network.parameters)

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Add the network to what scikit-learn's diagrams show, alone and in a pipeline."""
        shown = super()._get_params_html(*args, **kwargs)
        if "_network" in vars(self):
            parameters = shown._repr_html_inner()
            shown._html_repr = lambda: parameters + network_html(self._network)
        return shown

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # of a model that was pickled before a parameter existed
        for name, parameter in signature(type(self)).parameters.items():
            if parameter.default is not Parameter.empty:
                vars(self).setdefault(name, parameter.default)
        if "_network" in vars(self):
            self._check_saved()

    def _check_saved(self) -> None:
        """Refuse a fitted model whose parts, out of a file, do not belong together."""
        parts = vars(self)
        architecture = getattr(self._network, "architecture", None)
        if (
            not isinstance(self._network, Network)
            or architecture.pooling not in POOLINGS
            or parts.get("_n_channels_seen") != architecture.n_channels
            or parts.get("n_outputs_") != architecture.n_outputs
        ):
            raise ValueError(
                f"The saved {type(self).__name__} is damaged, or another version of skgru wrote "
                f"it: a fit to {parts.get('_n_channels_seen')} channels and "
                f"{parts.get('n_outputs_')} outputs cannot have {architecture}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # scikit-learn's checks and composite estimators look at two_d_array
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
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
