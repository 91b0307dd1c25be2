"""Convert fitted estimators to PyTorch modules, and PyTorch modules to fitted estimators."""

from collections.abc import Sequence
from itertools import chain
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.classifier import GRUClassifier
from skgru.interop.inputs import exported_inputs, one_hot_layers
from skgru.interop.standard import Gates, layer_of, split
from skgru.interop.torch_weights import NAMES, ORDERS, SUFFIXES, copy_to, tensor, torch_layer
from skgru.model.parameters import Head, Layer, Parameters
from skgru.outputs import learn_numbers
from skgru.regressor import GRURegressor
from skgru.sequences import read, short
from skgru.sequences.labels import missing_values

if TYPE_CHECKING:
    from torch import Tensor, nn

# ---- to PyTorch --------------------------------------------------------------------------------


def to_torch(estimator: BaseGRU) -> "nn.Module":
    """Convert a fitted classifier or regressor to a PyTorch module.

    ``rnn``, ``gru`` with `reset_after=True` and ``lstm`` become the `nn.RNN`, `nn.GRU` and
    `nn.LSTM` of the same equations. ``cifg`` becomes an LSTM whose input gate is one minus its
    forget gate, and ``light_gru`` a GRU whose reset gate is one; further training in PyTorch does
    not preserve these constraints. PyTorch has no layer whose reset gate is applied before the
    product, and no ``relu`` in a GRU: the default ``gru``, ``mgu``, and ``light_gru`` with ``relu``
    become a module of skgru, which takes one time step after the other and is slower than PyTorch's
    own.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        A fitted estimator.

    Returns
    -------
    module : torch.nn.Module
        A module in evaluation mode, on the CPU, in the estimator's dtype. `module(x)` takes a
        tensor of shape (n_samples, n_timesteps, n_channels) or a `PackedSequence`;
        `module(x, lengths)` takes padded sequences of different lengths. It returns the outputs of
        the linear layer, of shape (n_samples, n_outputs), or (n_samples, n_timesteps, n_outputs)
        with `return_sequences`:

        - for more than two classes, one logit per class;
        - for two classes, the logit of the second; for a multilabel indicator, one per label;
        - for a regressor, the predicted numbers; with `loss="poisson"`, the logarithm of the mean;
          with `loss="quantile"`, the unsorted quantiles of the first target, then of the second.

        Categories are numbers in the tensor, as in X: they must be whole ones. The submodule
        ``inputs`` looks them up, and has the embedding if there is one; without an embedding, they
        become one-hot inputs of the first layer.

        The submodules are ``recurrent``, a list of layers, and `head`; the parameter ``query``
        belongs to attention. The module is differentiable with respect to its parameters and to x.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of skgru.
    ValueError
        If the model has `missing="decay"`, or categories that are not whole numbers.
    NotImplementedError
        If the cell or the pooling is unknown here.
    ImportError
        If PyTorch is not installed.

    See Also
    --------
    from_torch : Convert a PyTorch module to an estimator.

    Examples
    --------
    >>> from skgru.interop import to_torch
    >>> module = to_torch(GRUClassifier().fit(X, y))  # doctest: +SKIP
    >>> probabilities = torch.softmax(module(x), dim=1)  # doctest: +SKIP
    """
    from torch import nn

    from skgru.interop.torch_inputs import ChannelInputs
    from skgru.interop.torch_module import SequenceModel

    if not isinstance(estimator, BaseGRU):
        raise TypeError(
            "to_torch takes a fitted GRUClassifier or GRURegressor, got a "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator, "_network")
    network = estimator._network
    arch = network.architecture
    inputs = exported_inputs(estimator, "PyTorch")
    parameters = network.weights
    layers, query, head = one_hot_layers(parameters), parameters.query, parameters.head
    module = SequenceModel(
        [torch_layer(arch, directions) for directions in layers],
        nn.Linear(*head.W.shape),
        arch.pooling,
        tensor(query) if len(query) else None,
        arch.return_sequences,
        ChannelInputs(inputs, parameters.inputs.embedding) if inputs.categorical else None,
    ).to(tensor(head.W).dtype)
    copy_to(head.W.T, module.head.weight)
    copy_to(head.b, module.head.bias)
    return module.eval()


# ---- from PyTorch ------------------------------------------------------------------------------


def from_torch(
    module: "nn.Module | Sequence[nn.Module]",
    head: "nn.Linear | None" = None,
    *,
    classes: ArrayLike | None = None,
    multilabel: bool = False,
    **parameters: Any,
) -> GRUClassifier | GRURegressor:
    """Convert a trained PyTorch model to a fitted estimator, which does not need PyTorch.

    Parameters
    ----------
    module : nn.GRU, nn.LSTM, nn.RNN, a list of these, or a result of `to_torch`
        The recurrent layers; the layers of a list are stacked. On any device, all in float32 or
        all in float64.
    head : nn.Linear
        The output layer, applied to the pooled states of the top layer. Leave it out for a result
        of `to_torch`, which contains it.
    classes : array-like of shape (n_classes,), default=None
        Labels of a classifier, in the order of the head's outputs. For two classes, the head may
        have two outputs (`nn.CrossEntropyLoss`), or one that is the logit of the second class
        (`nn.BCEWithLogitsLoss`).
    multilabel : bool, default=False
        Whether the model is a multilabel classifier, with one logit per label.
    **parameters
        Parameters of the estimator that the module does not determine: `pooling`,
        `return_sequences`, `loss`, `quantiles`, `n_jobs`, those of further training, and so on.

    Returns
    -------
    estimator : GRUClassifier or GRURegressor
        A classifier if `classes` or `multilabel` is given. It works like any fitted estimator. As
        it was not trained by `fit`, its `n_iter_` is 0 and its `loss_` is infinite.

    Raises
    ------
    TypeError
        If `module`, `head` or `classes` has another type, or if a parameter is given that the
        module determines.
    ValueError
        If layers, head, classes and `n_channels` do not match, if classes are missing, repeated or
        of several types, if a module has ``proj_size`` or `nonlinearity="relu"`, or if weights are
        not finite or not all float32 or all float64.
    ImportError
        If PyTorch is not installed.

    See Also
    --------
    to_torch : Convert an estimator to a PyTorch module.

    Notes
    -----
    `pooling="last"` is the last state of each direction, ``h_n`` in PyTorch, where the backward
    direction has read the whole sequence. In `outputs[:, -1]` it has read only one time step: a
    bidirectional model trained on `outputs[:, -1]` has no equivalent in skgru. Dropout of the
    module is ignored.

    Examples
    --------
    >>> from skgru.interop import from_torch
    >>> gru = from_torch(model.gru, model.fc, classes=["no", "yes"])  # doctest: +SKIP
    >>> gru.predict(X)  # doctest: +SKIP
    """
    from torch import nn

    from skgru.interop.torch_module import SequenceModel

    query = None
    if isinstance(module, SequenceModel):
        if head is not None:
            raise ValueError("The result of to_torch contains its head; leave head out.")
        if module.inputs is not None:
            raise ValueError(
                "The module reads categories, which from_torch does not take; fit an estimator "
                "with categorical_channels instead."
            )
        said = {"pooling": module.pooling, "return_sequences": module.return_sequences}
        module, head, query = module.recurrent, module.head, module.query
    else:
        said = {}
        if parameters.get("pooling") == "attention":
            raise ValueError(
                'pooling="attention" has a query to learn, which only the result of to_torch '
                "contains; the poolings of other modules are last, mean and max."
            )
    recurrent = list(module) if isinstance(module, nn.ModuleList | list | tuple) else [module]
    _check_recurrent(recurrent)
    if not isinstance(head, nn.Linear):
        raise TypeError(f"head must be an nn.Linear, got {type(head).__name__}.")

    first = recurrent[0]
    layers = [directions for layer in recurrent for directions in _own_layers(layer)]
    own_head = _own_head(head)
    own_query = np.empty(0, own_head.W.dtype) if query is None else _array(query)
    said |= {
        "hidden_layer_sizes": tuple(len(directions[0].U) for directions in layers),
        "dtype": _common_dtype(Parameters(layers, own_query, own_head)),
        **_determined(first),
    }
    twice = sorted(said.keys() & parameters)
    if twice:
        raise TypeError(f"from_torch takes {', '.join(twice)} from the module; leave it out.")
    n_channels = parameters.get("n_channels", first.input_size)
    if not isinstance(n_channels, Integral) or n_channels != first.input_size:
        raise ValueError(
            f"n_channels={short(n_channels)}, but the module takes {first.input_size} channels; "
            "leave n_channels out."
        )
    parameters = {"n_channels": first.input_size, "pooling": "last"} | parameters | said

    width = len(layers[-1][0].U) * len(layers[-1])
    if len(own_head.W) != width:
        raise ValueError(
            f"head takes {len(own_head.W)} features, but the states of the top layer have {width}."
        )
    if not len(own_head.b):
        raise ValueError("head has no outputs; it needs one or more.")
    if not isinstance(multilabel, bool | np.bool_):
        raise TypeError(f"multilabel must be True or False, got {short(multilabel)}.")
    if classes is None and not multilabel:
        estimator = GRURegressor(**parameters)
        estimator._validate_params()
        n_targets = _n_targets(estimator, head.out_features)
        example = np.ones((1, n_targets) if n_targets > 1 else 1)
    else:
        estimator = GRUClassifier(**parameters)
        if multilabel:
            if classes is not None or head.out_features < 2:
                raise ValueError(
                    "multilabel=True numbers the labels itself and needs two or more outputs; got "
                    f"classes={short(classes)} and a head of {head.out_features}."
                )
            example = np.zeros((1, head.out_features), dtype=int)
        else:
            own_head, example = _by_class(own_head, classes)
    return estimator._fit_to_parameters(
        np.zeros((1, 1, first.input_size)), example, Parameters(layers, own_query, own_head)
    )


def _operator(layer: "nn.RNNBase") -> str:
    return layer.mode.removesuffix("_TANH")


def _determined(layer: "nn.Module") -> dict[str, Any]:
    """Return the parameters of the estimator that the kind of a layer determines."""
    from skgru.interop.torch_layer import GatedLayer

    if isinstance(layer, GatedLayer):
        of_cell = {"cell": layer.cell, "reset_after": False, "activation": layer.activation}
    else:
        operator = _operator(layer)
        of_cell = {"cell": operator.lower(), "reset_after": operator == "GRU"}
    return {**of_cell, "bidirectional": layer.bidirectional}


def _check_recurrent(layers: list[Any]) -> None:
    """Raise unless the layers are a stack of one kind that skgru has."""
    from torch import nn

    from skgru.interop.torch_layer import GatedLayer

    if not layers:
        raise ValueError("module is an empty list; it needs one or more recurrent layers.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, nn.GRU | nn.LSTM | nn.RNN | GatedLayer):
            raise TypeError(
                "module must be an nn.GRU, nn.LSTM or nn.RNN, a list of these, or a result of "
                f"to_torch; got {type(layer).__name__}."
            )
        if getattr(layer, "proj_size", 0):
            raise ValueError(
                f"proj_size={layer.proj_size} projects the states of an LSTM, which skgru does not "
                "support; train with proj_size=0."
            )
        if getattr(layer, "mode", "") == "RNN_RELU":
            raise ValueError(
                'nonlinearity="relu" is not supported; train with nonlinearity="tanh".'
            )
        if _determined(layer) != _determined(layers[0]):
            raise ValueError(
                f"Layers must be alike, but layer {i} is {layer} and the first is {layers[0]}."
            )
        before = layers[i - 1].hidden_size * (1 + layers[0].bidirectional)
        if i and layer.input_size != before:
            raise ValueError(
                f"Layer {i} takes {layer.input_size} features, but the states below it have "
                f"{before}."
            )


def _own_layers(module: "nn.Module") -> list[list[Layer]]:
    """Return the weights of a module: a list of directions for each of its layers."""
    from skgru.interop.torch_layer import GatedLayer

    suffixes = SUFFIXES[: 1 + module.bidirectional]
    if isinstance(module, GatedLayer):
        of_directions = [_weights(module, NAMES[:3], f"_l0{suffix}") for suffix in suffixes]
        return [[Layer(W.T, U.T, b, b[:0]) for W, U, b in of_directions]]
    order, names = ORDERS[_operator(module)], NAMES[: 4 if module.bias else 2]
    layers = []
    for depth in range(module.num_layers):
        layers.append([])
        for suffix in suffixes:
            W, U, *biases = _weights(module, names, f"_l{depth}{suffix}")
            b, c = biases or np.zeros((2, len(W)), W.dtype)
            gates = split(Gates(W.T, U.T, b, c), len(order))
            layers[-1].append(layer_of(_operator(module), dict(zip(order, gates, strict=True))))
    return layers


def _weights(module: "nn.Module", names: Sequence[str], suffix: str) -> list[np.ndarray]:
    return [_array(getattr(module, name + suffix)) for name in names]


def _own_head(head: "nn.Linear") -> Head:
    W = _array(head.weight).T
    return Head(W, np.zeros(W.shape[1], W.dtype) if head.bias is None else _array(head.bias))


def _array(parameter: "Tensor") -> np.ndarray:
    import torch

    if parameter.is_meta or torch.nn.parameter.is_lazy(parameter):
        raise ValueError("A weight has no values yet; load or initialize the module first.")
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"A weight is {parameter.dtype}; call .float() on the module: only float32 and float64 "
            "are supported."
        )
    array = parameter.detach().cpu().numpy()
    if not np.isfinite(array).all():
        raise ValueError(f"A weight of shape {array.shape} holds NaN or infinity.")
    return array


def _common_dtype(parameters: Parameters) -> str:
    """Return the dtype of all weights; raise ValueError if there are two."""
    arrays = [*chain.from_iterable(chain.from_iterable(parameters.layers)), *parameters.head]
    dtypes = {str(array.dtype) for array in (*arrays, parameters.query)}
    if len(dtypes) > 1:
        raise ValueError(
            "Some weights are float32 and others float64; call .float() or .double() on all."
        )
    return dtypes.pop()


def _n_targets(regressor: GRURegressor, n_outputs: int) -> int:
    of_one = learn_numbers(np.ones((1, 1)), regressor.loss, regressor.quantiles)
    if n_outputs % of_one.n_outputs:
        raise ValueError(
            f"head has {n_outputs} outputs, which is no multiple of the {of_one.n_outputs} "
            "quantiles."
        )
    return n_outputs // of_one.n_outputs


def _by_class(head: Head, classes: ArrayLike) -> tuple[Head, np.ndarray]:
    """Sort the outputs of a head by class, and reduce two outputs to one logit."""
    classes = _read_classes(classes)
    n_outputs, n_classes = len(head.b), len(classes)
    unique, order = np.unique(classes, return_index=True)
    if n_outputs != n_classes and (n_outputs, n_classes) != (1, 2):
        raise ValueError(
            f"head has {n_outputs} outputs, but there are {n_classes} classes; it needs one for "
            "each class, or a single one for two classes."
        )
    if n_outputs == 1:
        sign = -1 if order[0] else 1  # the logit must be that of the second of the sorted classes
        head = Head(sign * head.W, sign * head.b)
    else:
        head = Head(head.W[:, order], head.b[order])
        if n_outputs == 2:  # the softmax of two logits is σ of their difference
            head = Head(np.diff(head.W, axis=1), np.diff(head.b))
    # each class twice: with one sample per class, scikit-learn may take labels for numbers
    return head, np.repeat(unique, 2)


def _read_classes(classes: ArrayLike) -> np.ndarray:
    """Return classes as an array of two or more different labels of one type."""
    values = read(classes, "classes")
    if isinstance(values, list) or values.ndim != 1:
        raise ValueError(
            f"classes must be one-dimensional, a label for each class, got {short(classes)}."
        )
    if missing_values(values).any():
        raise ValueError(f"classes holds a missing value (NaN or None): {short(classes)}.")
    # of booleans beside integers, NumPy makes integers
    booleans = {isinstance(label, bool | np.bool_) for label in classes}
    if len(booleans) > 1 or (values.dtype == object and len(set(map(type, values))) > 1):
        raise ValueError(
            f"classes mixes labels of several types, {short(classes)}; make them all of one, for "
            "instance strings."
        )
    if len(values) < 2 or len(np.unique(values)) < len(values):
        raise ValueError(f"classes must be two or more different labels, got {short(classes)}.")
    return values
