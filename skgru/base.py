"""What both estimators share: `fit`, the fitted attributes, and the calls on a fitted network."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgru._attributes import FittedAttributes
from skgru._channels import ReadsChannels
from skgru._combinations import (
    architecture_of,
    check_combinations,
    check_same_model,
)
from skgru._sklearn import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ConvergenceWarning,
    Tags,
    TransformerMixin,
    available_if,
    fit_context,
)
from skgru._validation import GivenValidation, set_validation
from skgru.html_repr import network_html
from skgru.model.inference import attention_weights, pool, predict
from skgru.model.network import Network
from skgru.model.parameters import Head, Layer, Parameters
from skgru.model.workers import Workers, n_threads
from skgru.outputs import Outputs, from_state
from skgru.persistence import Saved, defaults_of, unchanged_on_error
from skgru.sequences import Channels, Sequences, Targets, align
from skgru.training.callbacks import CallbackSupport, FitTasks, with_callbacks
from skgru.training.checkpoint import TRAINING, take_checkpoint
from skgru.training.fit import Fit, TrainingSet
from skgru.training.history import History
from skgru.training.stochastic import Solver

if TYPE_CHECKING:
    from skgru.streaming import Stream

# fitted objects, and how each is made of its plain state in a saved model
FITTED_PARTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "_network": Network.from_state,
    "_channels": Channels.from_state,
    "_outputs": from_state,
    "_history": History.from_state,
    "_solver": Solver.from_state,
}

NO_VALIDATION = GivenValidation()


def _has_attention(estimator: "BaseGRU") -> bool:
    fitted = vars(estimator).get("_network")
    pooling = fitted.architecture.pooling if fitted else estimator.pooling
    if pooling != "attention":
        raise AttributeError(f"only pooling='attention' has weights and a query, not {pooling!r}")
    return True


class BaseGRU(
    ReadsChannels,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    CallbackSupport,
    Saved,
    FittedAttributes,
    BaseEstimator,
):
    """Everything except the meaning of y: see `GRUClassifier` and `GRURegressor`."""

    # ---- answers of classifier and regressor ---------------------------------------------------

    def _check_y(self, y: ArrayLike, fitted: Outputs | None) -> np.ndarray:
        """Validate y by itself, and its kind against that of the fitted outputs."""
        raise NotImplementedError

    def _learn_outputs(self, y: np.ndarray, classes: np.ndarray | None) -> Outputs:
        """Learn what the outputs mean, from y or from classes known beforehand."""
        raise NotImplementedError

    def _encode(
        self, outputs: Outputs, y: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | float]:
        """Return y as numbers, and the factor of each one's weight; training gives the weights."""
        return outputs.encode(y, self.dtype, type(self).__name__), 1.0

    # ---- fit -----------------------------------------------------------------------------------

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume_from: str | PathLike[str] | None = None,
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
            mark missing ones.
        sample_weight : array-like, default=None
            Weights in the loss and in the validation score, of shape (n_samples,). With
            `return_sequences`, also one for every step, in any form that y may have.
        groups : array-like of shape (n_samples,), default=None
            Groups of the sequences, such as the patient of each window: early stopping then
            validates on groups that are not trained on.
        X_val : array-like, default=None
            Sequences to validate on after each epoch: early stopping takes them instead of a
            part of X, and without it they give the curve `validation_scores_`. In a `Pipeline`,
            `transform_input=["X_val"]` transforms it as X.
        y_val : array-like, default=None
            Their targets.
        sample_weight_val : array-like, default=None
            Their weights in the validation score.
        resume_from : str or path-like, default=None
            File of a `skgru.callbacks.Checkpoint`, of an interrupted fit with the same parameters
            to the same data. The fit continues, with the same result to the last bit. Like every
            pickle, such a file can run code: do not load one from a stranger.

        Returns
        -------
        self : object
            The fitted estimator. If anything is raised, it is as it was before.

        Raises
        ------
        ValueError
            If X, y or sample_weight cannot be used as they are, if the loss becomes infinite or
            NaN, or if `resume_from` holds another fit.
        """
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        tasks = FitTasks()
        tasks.begin_fit(self, self.max_iter, X, y, metadata)
        with unchanged_on_error(self):
            validation = GivenValidation(X_val, y_val, sample_weight_val, groups)
            resumed = None if resume_from is None else take_checkpoint(resume_from, self)
            self._fit(X, y, sample_weight, validation=validation, tasks=tasks, resumed=resumed)
        tasks.end_fit()
        return self

    def _fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        *,
        incremental: bool = False,
        classes: np.ndarray | None = None,
        validation: GivenValidation = NO_VALIDATION,
        tasks: FitTasks | None = None,
        resumed: dict[str, Any] | None = None,
    ) -> Self:
        tasks = tasks or FitTasks()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_combinations(self, validation, incremental=incremental)
        continued = hasattr(self, "_network") and (
            incremental or self.warm_start or resumed is not None
        )
        sequences = self._check_X(X, reset=not continued, dtype=self.dtype)
        if continued:
            self._check_same_channels(X)
        aligned = align(y, sample_weight, sequences, by_step=self.return_sequences)
        rows = self._check_y(aligned.rows, self._outputs if continued else None)
        if not continued:
            self._outputs = self._learn_outputs(rows, classes)
        known = aligned.weights[aligned.known]
        targets = aligned.encoded(*self._encode(self._outputs, rows, known))
        architecture = architecture_of(self, self._channels, self._outputs.n_outputs)
        random_state = check_random_state(self.random_state)
        solver: Solver | None = None
        if continued:
            # copies, so that a failure leaves the fitted ones alone
            network, history = self._network.copy(), deepcopy(self._history)
            check_same_model(self, network, architecture, self._outputs)
        else:
            network, history = Network(architecture, self.dtype), History()
            network.initialize(random_state)
        if continued and (incremental or resumed):
            solver = deepcopy(self._solver)
        if resumed:
            random_state = solver.random_state
        training = TrainingSet(sequences, targets, np.arange(len(sequences)))
        if (self.early_stopping or validation.X is not None) and self.solver != "lbfgs":
            set_validation(self, X, training, validation, random_state, resumed)
        tasks.make_fitted(lambda: {"_network": network.copy(), **history.attributes()})
        with Workers(n_threads(self.n_jobs)) as workers:
            fit = Fit(
                network=network,
                outputs=self._outputs,
                settings=self,
                history=history,
                solver=solver,
                workers=workers,
                tasks=tasks,
                random_state=random_state,
                resumed=resumed,
            )
            fresh = resumed["fresh"] if resumed else not continued
            finished = fit.run(training, fresh=fresh, incremental=incremental)
        # the cosine ends at max_iter on purpose
        if not (finished or incremental or self.learning_rate == "cosine" or not self.max_iter):
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and had not converged yet.",
                ConvergenceWarning,
                stacklevel=1,
            )
        self._network, self._history, self._solver = network, history, fit.solver
        return self._publish()

    def _check_targets(
        self, y: ArrayLike, sample_weight: ArrayLike | None, sequences: Sequences
    ) -> Targets:
        """Validate y and weights as those of the fitted model."""
        aligned = align(y, sample_weight, sequences, by_step=self.return_sequences)
        rows = self._check_y(aligned.rows, self._outputs)
        return aligned.encoded(*self._encode(self._outputs, rows))

    def _publish(self) -> Self:
        """Set the fitted attributes that describe the training."""
        self.n_outputs_: int = self._network.architecture.n_outputs
        self.n_parameters_: int = self._network.parameters.size
        vars(self).update(self._history.attributes())
        vars(self).pop(TRAINING, None)  # of the checkpoint that the estimator was loaded from
        return self

    def _fit_to_parameters(self, X: Any, y: ArrayLike, parameters: Parameters) -> Self:
        """Become fitted with given weights, without training.

        Parameters
        ----------
        X : array-like
            An example of the sequences that the model is for.
        y : array-like
            Rows of targets: all classes, or as many columns as there are targets.
        parameters : Parameters

        Raises
        ------
        ValueError
            If the weights do not have the shapes that the estimator's parameters, X and y give
            them.
        """
        self._validate_params()
        check_combinations(self, NO_VALIDATION, incremental=False)
        self._check_X(X, reset=True, dtype=self.dtype)
        rows = self._check_y(y, None)
        self._outputs = self._learn_outputs(rows, None)
        self._encode(self._outputs, rows, np.ones(len(rows)))  # learns the weights of classes
        architecture = architecture_of(self, self._channels, self._outputs.n_outputs)
        network = Network(architecture, self.dtype)
        network.assign(parameters)
        self._network, self._history, self._solver = network, History(), None
        return self._publish()

    # ---- the fitted model ----------------------------------------------------------------------

    def _check_is_fitted(self) -> None:
        """Raise NotFittedError unless fitted; scikit-learn would first collect the tags."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def _run(
        self, function: Callable[..., np.ndarray], X: Any, *arguments: Any
    ) -> tuple[np.ndarray, Sequences]:
        """Apply a function of the fitted network to X."""
        self._check_is_fitted()
        sequences = self._check_X(X, reset=False, dtype=self._network.dtype)
        # one sequence needs one thread; to count the cores takes longer than some networks
        with Workers(n_threads(self.n_jobs) if len(sequences) > 1 else 1) as workers:
            return function(self._network, sequences, workers, *arguments), sequences

    def _predict(
        self, X: Any, meaning: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray | list[np.ndarray]:
        """Turn the outputs for X into predictions, one per sequence or per step of X."""
        predictions, sequences = self._run(predict, X, meaning)
        by_step = self._network.architecture.return_sequences
        return sequences.by_step(predictions) if by_step else predictions

    def predict(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Predict; the estimators document what."""
        self._check_is_fitted()
        return self._predict(X, self._outputs.predict)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score the predictions; the estimators document how."""
        self._check_is_fitted()
        predictions, sequences = self._run(predict, X, self._outputs.predict)
        by_step = self._network.architecture.return_sequences
        aligned = align(y, sample_weight, sequences, by_step=by_step)
        known = aligned.known
        return self._outputs.score(aligned.rows, predictions[known], aligned.weights[known])

    def transform(self, X: Any) -> np.ndarray:
        """Compute the pooled hidden state of each sequence, as features for other models.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, width)
            The input of the output layer; with `return_sequences` the last state, in the backward
            direction that after the first step. The width is that of both, side by side.
        """
        return self._run(pool, X)[0]

    def stream(self, n_streams: int = 1) -> "Stream":
        """Predict after every time step, as sequences come in.

        Parameters
        ----------
        n_streams : int, default=1
            Number of sequences that advance together.

        Returns
        -------
        stream : skgru.streaming.Stream
            Its method `step` takes the next time step and returns the prediction after it; that
            of a classifier has `step_proba`, too. ``state`` and `reset` set its state. Later fits
            do not change it.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator is `bidirectional`, or `n_streams` is no positive integer or too large.
        """
        from skgru.streaming import stream_of  # most programs do without

        self._check_is_fitted()
        return stream_of(self._network.copy(), self._outputs, n_streams, self._channels)

    @available_if(_has_attention)
    def attention_weights(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Compute the weight of each time step in `pooling="attention"`.

        Parameters
        ----------
        X : array-like
            Sequences, as in `fit`.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_timesteps) or list of ndarray
            In the form of X, NaN in its padding; those of a sequence sum to 1.
        """
        weights, sequences = self._run(attention_weights, X)
        return sequences.by_step(weights)

    @property
    def _n_features_out(self) -> int:
        """For `get_feature_names_out`."""
        return self._network.architecture.width

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
        return self._network.weights

    # ---- representations -----------------------------------------------------------------------

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Add the network to what scikit-learn's diagrams show, alone and in a pipeline."""
        shown = super()._get_params_html(*args, **kwargs)
        if "_network" in vars(self):
            parameters = shown._repr_html_inner()
            shown._html_repr = lambda: parameters + network_html(self._network)
        return shown

    def _to_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        plain = {n: state[n].state() for n in FITTED_PARTS if state.get(n) is not None}
        return {**state, **plain}

    def _from_plain(self, state: dict[str, Any]) -> dict[str, Any]:
        parts = {n: make(state[n]) for n, make in FITTED_PARTS.items() if state.get(n) is not None}
        state = {**defaults_of(type(self)), **state, **parts}
        if "_network" in state:
            architecture, outputs = state["_network"].architecture, state["_outputs"]
            channels = state.setdefault("_channels", Channels(state["_n_channels_seen"]))
            counts = channels.n_channels, len(channels.numeric), outputs.n_outputs
            fitted = state["_n_channels_seen"], architecture.n_channels, architecture.n_outputs
            if counts != fitted or channels.n_categories != architecture.n_categories:
                raise ValueError(
                    f"a fit to {counts[0]} channels and {counts[2]} outputs cannot have "
                    f"{architecture}"
                )
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in vars(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # scikit-learn's checks and composite estimators look at two_d_array
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "decay"
        tags.input_tags.categorical = self.categorical_channels is not None
        tags.transformer_tags.preserves_dtype = []
        return tags
