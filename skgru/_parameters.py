"""Parameters of both estimators: constraint and documentation of each, side by side.

A new parameter is an entry of `PARAMETERS` and an argument of both estimators' `__init__`.
"""

from collections.abc import Callable
from inspect import cleandoc, signature
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

from skgru._constraints import Interval
from skgru._sklearn import HasMethods, StrOptions
from skgru.model.pooling import POOLINGS
from skgru.training.optimizers import OPTIMIZERS
from skgru.training.schedules import SCHEDULES


class Parameter(NamedTuple):
    """Constraint and documentation of one parameter.

    Attributes
    ----------
    constraint : list
        As in scikit-learn's `_parameter_constraints`.
    doc : str
        Type, and from the second line on the description; the default is that of the signature.
    """

    constraint: list[Any]
    doc: str


PARAMETERS = {
    "hidden_layer_sizes": Parameter(
        [Interval(Integral, 1, None, closed="left"), "array-like"],
        """int or sequence of int
    Units of each recurrent layer, the first layer first. An int is one layer.""",
    ),
    "cell": Parameter(
        [str],
        """{"gru", "rnn", "lstm", "cifg", "mgu", "light_gru"}
    Recurrent unit: gated recurrent unit (Cho et al. 2014), plain tanh network (Elman 1990), long
    short-term memory (Hochreiter & Schmidhuber 1997), the same with coupled gates (Greff et al.
    2017), minimal gated unit (Zhou et al. 2016), or GRU without reset gate (Ravanelli et al.
    2018). A layer has G * (n_inputs * n_units + n_units**2 + n_units) parameters, where G is 3,
    1, 4, 3, 2 and 2.""",
    ),
    "activation": Parameter(
        [StrOptions({"tanh", "relu"})],
        """{"tanh", "relu"}
    Activation of the candidate; "relu" is only for `cell="light_gru"`.""",
    ),
    "reset_after": Parameter(
        ["boolean"],
        """bool
    Where the reset gate of `cell="gru"` acts: on the past state (False; Cho et al. 2014), or on
    its product with the recurrent weights (True; the form of cuDNN and of PyTorch).""",
    ),
    "bidirectional": Parameter(
        ["boolean", StrOptions({"auto"})],
        """bool or "auto"
    Whether every layer also reads the sequence from its end, with weights of its own. The next
    layer, or the pooling, receives both states side by side. "auto" is True if a sequence has one
    prediction. It is False with `return_sequences`, where the next steps could give the answer
    away, and with `bptt_steps`. A bidirectional model cannot be streamed.""",
    ),
    "pooling": Parameter(
        [StrOptions(set(POOLINGS))],
        """{"last", "mean", "max", "attention"}
    How the states of the top layer become one vector per sequence for the output layer: the last
    state (of the backward direction, the one after the first step), the mean or maximum over
    time, or a mean whose weights are the softmax over time of products with a learned query.""",
    ),
    "return_sequences": Parameter(
        ["boolean"],
        """bool
    Whether to predict at every time step instead of once per sequence. y then holds a target for
    each step; missing ones (NaN or None) are ignored. `pooling` is then not used.""",
    ),
    "dropout": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        """float
    Probability with which a number between layers, or before the output layer, is set to 0 in
    training; the others are scaled up.""",
    ),
    "recurrent_dropout": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        """float
    The same for the states that the recurrent weights multiply, with one mask for all steps of a
    sequence (Gal & Ghahramani 2016).""",
    ),
    "solver": Parameter(
        [StrOptions({*OPTIMIZERS, "lbfgs"})],
        """{"adam", "adamw", "sgd", "rmsprop", "lbfgs"}
    Stochastic updates, one minibatch at a time, or L-BFGS over the whole training set. L-BFGS
    suits small sets and finds the same optimum for sample weights as for repeated samples.
    "rmsprop" is "adam" without the first moment.""",
    ),
    "alpha": Parameter(
        [Interval(Real, 0, None, closed="left")],
        """float
    Strength of the L2 penalty on the weight matrices; biases are free. As in scikit-learn's
    `MLPClassifier`, it is divided by the sample size when it is added to the loss. With "adamw"
    it is the weight decay instead: each update takes `alpha` times the learning rate off every
    weight, and nothing is added to the loss. Stochastic solvers multiply it by twice the loss of
    the best constant prediction (the variance of y, for the squared error) where that is below 1,
    so that the penalty does not dominate targets of a small scale.""",
    ),
    "batch_size": Parameter(
        [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        """int or "auto"
    Sequences per update. "auto" is a tenth of the samples, but at least 4 and at most 32: small
    sets get at least ten updates per epoch, and small minibatches regularize. A size above the
    number of samples means all of them. Not used by "lbfgs".""",
    ),
    "bptt_steps": Parameter(
        [Interval(Integral, 1, None, closed="left"), None],
        """int or None
    Number of steps over which gradients are propagated back (truncated backpropagation through
    time). Long sequences are cut into windows of this many steps, counted from their ends; states
    pass from one window to the next, gradients do not. Memory is that of one window. None
    propagates gradients to the first step.""",
    ),
    "update_every": Parameter(
        [StrOptions({"sequence", "window"})],
        """{"sequence", "window"}
    When the weights are updated: after all time steps of a minibatch of sequences, or after every
    window of `bptt_steps` steps, while states pass from one window to the next. "window" is for
    few and long sequences, such as a corpus of text in parallel streams
    (`skgru.preprocessing.parallel_streams`), of which `batch_size` advance together. It needs
    `return_sequences` and `bptt_steps`. `batch_size="auto"` then means 32, and early stopping
    does not train again on what it held out.""",
    ),
    "learning_rate": Parameter(
        [StrOptions(set(SCHEDULES))],
        """{"constant", "cosine", "invscaling", "adaptive"}
    Schedule of the learning rate of the stochastic solvers: constant; half a cosine wave down to
    0 at `max_iter` (`partial_fit`, which does not know the number of epochs, keeps it constant);
    divided by `n_samples_seen ** power_t` after each epoch; or divided by five
    each time that training has stopped improving, until it falls below 1e-6.""",
    ),
    "learning_rate_init": Parameter(
        [Interval(Real, 0, None, closed="neither")],
        """float
    Initial learning rate. Not used by "lbfgs".""",
    ),
    "warmup_updates": Parameter(
        [Interval(Integral, 0, None, closed="left")],
        """int
    Number of updates over which the learning rate first rises linearly to that of its schedule.
    Not used by "lbfgs".""",
    ),
    "power_t": Parameter(
        [Interval(Real, 0, None, closed="left")],
        """float
    Exponent of `learning_rate="invscaling"`. It is an error if the rate is 0 after the first
    epoch.""",
    ),
    "max_iter": Parameter(
        [Interval(Integral, 0, None, closed="left")],
        """int
    Maximum number of epochs of the stochastic solvers, or of iterations of "lbfgs". 0 leaves the
    initial weights, so that you can change them before `warm_start` continues from them. Not used
    by `partial_fit`, which is one epoch.""",
    ),
    "max_grad_norm": Parameter(
        [Interval(Real, 0, None, closed="right"), None],
        """float or None
    Gradients of a minibatch with a larger L2 norm are scaled down to it (Pascanu et al. 2013);
    None turns this off. Not used by "lbfgs".""",
    ),
    "shuffle": Parameter(
        ["boolean"],
        """bool
    Whether to draw the minibatches anew in each epoch. Not used by "lbfgs".""",
    ),
    "random_state": Parameter(
        ["random_state"],
        """int, RandomState instance or None
    Draws the initial weights, the validation split, the minibatches and dropout. Pass an int for
    reproducible fits. Calls of `partial_fit` continue the generator of the first one, until the
    seed changes.""",
    ),
    "tol": Parameter(
        [Interval(Real, 0, None, closed="left")],
        """float
    Minimum improvement of the loss (or of the validation score) that counts as progress. The loss
    is averaged over the last epoch, or over 100 updates if an epoch has fewer. For "lbfgs", the
    largest entry of the gradient at which to stop.""",
    ),
    "verbose": Parameter(
        ["verbose"],
        """bool
    Whether to print the loss, and the validation score if there is one, of each epoch.""",
    ),
    "warm_start": Parameter(
        ["boolean"],
        """bool
    Whether `fit` starts from the weights of the previous fit, with a new state of the solver. All
    parameters may change except those that describe the network. Moments, schedule and random
    numbers start anew, so two fits of 3 epochs differ from one of 6;
    `skgru.callbacks.Checkpoint` continues all of them. Not used by `partial_fit`, which always
    continues.""",
    ),
    "momentum": Parameter(
        [Interval(Real, 0, 1, closed="both")],
        """float
    Momentum of "sgd", in [0, 1].""",
    ),
    "nesterovs_momentum": Parameter(
        ["boolean"],
        """bool
    Whether the momentum of "sgd" is Nesterov's.""",
    ),
    "beta_1": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        """float
    Decay of the first moment of "adam" and "adamw", in [0, 1).""",
    ),
    "beta_2": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        """float
    Decay of the second moment of "adam", "adamw" and "rmsprop", in [0, 1).""",
    ),
    "epsilon": Parameter(
        [Interval(Real, 0, None, closed="neither")],
        """float
    Added to the root of the second moment.""",
    ),
    "early_stopping": Parameter(
        ["boolean"],
        """bool
    Whether to hold out part of the training samples, to stop when the score on them no longer
    improves (`scoring`), and to keep the weights with the best score (the latest of equal ones).
    Not used by "lbfgs", and an error in `partial_fit`.""",
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        """float
    Share of the samples that early stopping holds out, unless `fit` is given `X_val`.""",
    ),
    "validation_split": Parameter(
        [StrOptions({"random", "last"}), HasMethods(["split", "get_n_splits"])],
        """{"random", "last"} or splitter
    Which samples early stopping holds out. "random": stratified by class if each sequence has one
    label, and by whole groups if `fit` is given `groups`. "last": the last ones, for samples in the
    order of time. A scikit-learn splitter, such as `GroupShuffleSplit`: its first split.""",
    ),
    "scoring": Parameter(
        [str, callable, None],
        """str, callable or None
    Score on the validation samples that early stopping watches: "loss" is the negative loss,
    weighted as in training; other names and callables are scorers of scikit-learn, or of
    `skgru.metrics.step_scorer`; None is the estimator's own `score`.""",
    ),
    "n_iter_no_change": Parameter(
        [Interval(Integral, 1, None, closed="left")],
        """int
    Number of consecutive epochs without an improvement of at least `tol` before training stops
    (with `learning_rate="cosine"`, before the rate falls to 0 in a fifth of the updates so far).
    No fit is stopped by its loss before 1,000 updates (`n_updates_`).""",
    ),
    "max_fun": Parameter(
        [Interval(Integral, 1, None, closed="left")],
        """int
    Maximum number of evaluations of the loss by "lbfgs".""",
    ),
    "n_channels": Parameter(
        [Interval(Integral, 1, None, closed="left")],
        """int
    How a two-dimensional X is split into time steps: a row holds `n_timesteps * n_channels`
    values, all channels of the oldest step first. The channels of other forms of X are known; if
    `n_channels` is not 1, it must be their number.""",
    ),
    "missing": Parameter(
        [StrOptions({"error", "decay"})],
        """{"error", "decay"}
    What NaN within a sequence means: an error, or a missing value. "decay" is the GRU-D of Che et
    al. (2018), for every `cell`: a missing value is the last observed one of its channel, which
    decays towards the channel's mean over the training set, and the states of the first layer
    decay too, at learned rates, with the time since the last observation; the layer also reads
    which values were observed. Steps that are NaN in all channels at the end of a sequence of a
    three-dimensional X are padding.""",
    ),
    "time_channel": Parameter(
        [Integral, str, None],
        """int, str or None
    Channel of X, by index or name, that holds the time of each step: numbers or datetimes, which
    do not fall within a sequence. With `missing="decay"` the time since the last observation is
    measured on it, in units of the mean time between two steps; None counts steps. The network does
    not read the channel itself.""",
    ),
    "categorical_channels": Parameter(
        ["array-like", StrOptions({"from_dtype"}), None],
        """array-like of int or str, "from_dtype" or None
    Channels of X, by index or name, whose values (numbers or strings) are categories, such
    as tokens: each category has a row of weights. "from_dtype" selects the columns of strings and
    of categories in a list of data frames. Missing values are a category, and values not seen in
    `fit` are another one. A row changes only in updates whose minibatch has its category.""",
    ),
    "embedding_dim": Parameter(
        [Interval(Integral, 1, None, closed="left"), None],
        """int or None
    Number of learned numbers that represent a category as inputs of the first layer. None adds a
    row of the first layer's weights directly, as a one-hot encoding would. For many
    categories, an embedding has far fewer parameters.""",
    ),
    "n_jobs": Parameter(
        [Interval(Integral, None, None, closed="neither"), None],
        """int or None
    Number of threads of `fit` and of predictions; -1 is all cores, None is 1 unless in a
    `joblib.parallel_config`. The result has the same bits for every number. Threads share the
    sequences of a minibatch, 16 or more to each, so large minibatches gain most.""",
    ),
    "dtype": Parameter(
        [StrOptions({"float32", "float64"})],
        """{"float32", "float64"}
    Precision of the weights and of all computations.""",
    ),
}

ATTRIBUTES = """
    n_outputs_ : int
        Number of outputs of the network.
    n_features_in_ : int
        Columns of a two-dimensional X seen in `fit`; otherwise the channels of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X was a DataFrame with string names.
    n_updates_ : int
        Updates of the weights by stochastic solvers; `partial_fit` and `warm_start` add to it.
    n_iter_ : int
        Completed epochs, or iterations of "lbfgs"; `partial_fit` and `warm_start` add to it.
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
        Score of each epoch on the samples held out by early stopping, or on `X_val`: by default
        the negative loss (see `scoring`), higher is better.
    best_validation_score_ : float or None
        The highest of `validation_scores_`.
    layers_ : list of named tuples
        Weights of each recurrent layer, and of each direction of it (forward, then backward):
        `W` (n_inputs, G * n_units), `U` (n_units, G * n_units), `b` (G * n_units,), and `c`
        (n_units,) with `reset_after`. Each gate has a block of columns: of a GRU reset gate, update
        gate and candidate (the user guide has those of the other cells). Views: writing to them
        changes the model.
    query_ : ndarray of shape (width,)
        The learned query of `pooling="attention"`; width is `n_units` of the top layer times its
        directions. A view.
    head_ : named tuple
        Weights of the output layer: `W` (width, n_outputs) and `b` (n_outputs,). Views.
    n_parameters_ : int
        Number of all weights and biases.
"""

REFERENCES = """
    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", EMNLP 2014, arXiv:1406.1078.

    J. Chung et al., "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence
    Modeling", 2014, arXiv:1412.3555 (whose update gate is one minus ours).

    Y. Gal and Z. Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural
    Networks", NIPS 2016, arXiv:1512.05287.
"""


Class = TypeVar("Class", bound=type)


def documented(**own: Parameter) -> Callable[[Class], Class]:
    """Fill in the docstring of an estimator, and its constraints.

    Parameters
    ----------
    **own : Parameter
        Parameters that only this estimator has.
    """
    parameters = {**PARAMETERS, **own}

    def decorate(cls: Class) -> Class:
        cls._parameter_constraints = {name: p.constraint for name, p in parameters.items()}
        if cls.__doc__:  # python -OO has none
            docs = [
                _entry(name, parameters[name].doc, parameter.default)
                for name, parameter in signature(cls).parameters.items()
            ]
            # from Python 3.13 on, docstrings have no indentation
            docstring = cleandoc(cls.__doc__)
            for placeholder, text in {
                "{parameters}": "\n\n".join(docs),
                "{attributes}": cleandoc(ATTRIBUTES),
                "{references}": cleandoc(REFERENCES),
            }.items():
                docstring = docstring.replace(placeholder, text)
            cls.__doc__ = f"{docstring}\n"
        return cls

    return decorate


def _entry(name: str, doc: str, default: Any) -> str:
    kind, description = doc.split("\n", 1)
    shown = f'"{default}"' if isinstance(default, str) else repr(default)
    return f"{name} : {kind}, default={shown}\n{description}"
