"""Export fitted estimators as ONNX graphs."""

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.interop.inputs import exported_inputs, one_hot_layers
from skgru.interop.onnx_graph import Graph
from skgru.interop.onnx_inputs import add_inputs
from skgru.interop.poolings import exported_pooling
from skgru.interop.standard import joined, standard_form
from skgru.model.network import Network
from skgru.model.parameters import Head, Layer
from skgru.outputs import Labels, Multilabel, Numbers, Outputs, Quantiles

if TYPE_CHECKING:
    from onnx import ModelProto

# First opset in which every reduction takes its axes as an input; onnxruntime 1.14 supports it.
OLDEST_OPSET = 18

# ONNX's order of the gates
ORDERS = {"RNN": "h", "GRU": "zrh", "LSTM": "iofg"}


def to_onnx(
    estimator: BaseGRU, *, lengths: bool = False, target_opset: int | None = None
) -> "ModelProto":
    """Export a fitted classifier or regressor as an ONNX graph of standard operators.

    Every cell becomes an RNN, GRU or LSTM of ONNX, without approximation: for instance, a light GRU
    is a GRU whose reset gate is one. The graph computes in float32, as onnxruntime's recurrent
    operators do, even if the model has `dtype="float64"`.

    Parameters
    ----------
    estimator : GRUClassifier or GRURegressor
        A fitted estimator. For pipelines, see `register_skl2onnx`.
    lengths : bool, default=False
        Whether the graph has a second input with the number of time steps of each sequence. It is
        needed to pass sequences of different lengths as one array. Values after the end of a
        sequence are then ignored, even if they are NaN.
    target_opset : int, default=None
        Version of ONNX's operators, at least 18. None is 18, which most runtimes support.

    Returns
    -------
    model : onnx.ModelProto
        A model with the inputs

        - `X`: float32 of shape (n_samples, n_timesteps, n_channels), where n_samples and
          n_timesteps are dynamic; or (n_samples, n_timesteps * n_channels) if the estimator was
          fitted on a table; the values of categorical channels must be whole numbers;
        - `lengths`: int64 of shape (n_samples,), from 1 to n_timesteps, if `lengths` is True;

        and, for a classifier, the outputs

        - ``label``: int64 or string, of the shape of `predict`; int64 also if the labels were bool
          or float;
        - ``probabilities``: float32, of the shape of `predict_proba`;

        or, for a regressor, the output

        - ``variable``: float32, of the shape of `predict`.

        With `return_sequences`, numbers after the end of a sequence are NaN, and labels there are
        arbitrary.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `estimator` is not an estimator of skgru.
    ValueError
        If `target_opset` is below 18 or not supported by the installed onnx, if `lengths` is True
        and the model was fitted on a table, or if the model has `missing="decay"` or categories
        that are not whole numbers.
    ImportError
        If onnx is not installed.

    See Also
    --------
    register_skl2onnx : Export pipelines.

    Examples
    --------
    >>> from skgru import GRUClassifier
    >>> from skgru.interop import to_onnx
    >>> model = to_onnx(GRUClassifier().fit(X, y), lengths=True)  # doctest: +SKIP
    >>> onnx.save(model, "gru.onnx")  # doctest: +SKIP
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from skgru import __version__

    if not isinstance(estimator, BaseGRU):
        raise TypeError(
            f"to_onnx takes a fitted GRUClassifier or GRURegressor, got a "
            f"{type(estimator).__name__}; for a Pipeline or a ScaledTargetRegressor, call "
            "register_skl2onnx() and then skl2onnx.to_onnx."
        )
    check_is_fitted(estimator, "_network")
    target_opset = OLDEST_OPSET if target_opset is None else target_opset
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(target_opset, Integral) or not OLDEST_OPSET <= target_opset <= newest:
        raise ValueError(
            f"target_opset must be an integer from {OLDEST_OPSET} to {newest}, the newest of onnx "
            f"{onnx.__version__}; got {target_opset!r}."
        )
    if lengths and estimator._fitted_on_table:
        raise ValueError(
            "lengths=True is for models of sequences; this one was fitted on a table, whose rows "
            "are of one length."
        )

    graph = Graph()
    results = add_estimator(graph, estimator, "X", "lengths" if lengths else "")
    for name, result in results.items():
        graph.name(result, name)
    shape_of_x = _shape_of_x(estimator)
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape_of_x)]
    if lengths:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, shape_of_x[:1]))
    shapes = shapes_of_outputs(estimator, shape_of_x)
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(
                    node.operator, node.inputs, node.outputs, node.outputs[0], **node.attributes
                )
                for node in graph.nodes
            ],
            type(estimator).__name__,
            inputs,
            [
                helper.make_tensor_value_info(name, _element_type(estimator, name), shapes[name])
                for name in results
            ],
            [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", target_opset)],
        producer_name="skgru",
        producer_version=__version__,
    )
    # the oldest possible version, so that older runtimes can read the model
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    onnx.checker.check_model(model)
    return model


def _shape_of_x(estimator: BaseGRU) -> list[str | int]:
    if estimator._fitted_on_table:
        return ["n_samples", estimator.n_features_in_]
    return ["n_samples", "n_timesteps", estimator.n_features_in_]


def shapes_of_outputs(
    estimator: BaseGRU, shape_of_x: list[str | int | None]
) -> dict[str, list[str | int | None]]:
    """Return the shapes of the results of `add_estimator`."""
    n_samples, n_timesteps = shape_of_x[:2]
    if estimator._fitted_on_table:
        n_timesteps = estimator.n_features_in_ // estimator._n_channels_seen
    rows = (
        [n_samples, n_timesteps]
        if estimator._network.architecture.return_sequences
        else [n_samples]
    )
    match estimator._outputs:
        case Labels(classes):
            return {"label": rows, "probabilities": [*rows, len(classes)]}
        case Multilabel(n_labels):
            return {"label": [*rows, n_labels], "probabilities": [*rows, n_labels]}
        case Numbers(n_targets):
            columns = [n_targets]
        case Quantiles(n_targets, quantiles):
            columns = [n_targets, len(quantiles)]
        case outputs:
            raise _unknown(outputs)
    return {"variable": rows + [n for n in columns if n > 1]}


def add_estimator(graph: Graph, estimator: BaseGRU, x: str, lengths: str) -> dict[str, str]:
    """Add a fitted estimator to a graph.

    Parameters
    ----------
    graph : Graph
    estimator : GRUClassifier or GRURegressor
    x : str
        Name of X: float32 of shape (n_samples, n_timesteps, n_channels), or (n_samples,
        n_timesteps * n_channels) if the estimator was fitted on a table.
    lengths : str
        Name of the lengths: int64 of shape (n_samples,), or "" if there is no padding.

    Returns
    -------
    results : dict of str to str
        Names in the graph of "label" and "probabilities", or of "variable".
    """
    inputs = exported_inputs(estimator, "ONNX")
    if estimator._fitted_on_table:
        x = graph.add("Reshape", x, np.array([0, -1, estimator._n_channels_seen]))
    x = add_inputs(graph, inputs, estimator._fitted_views().inputs.embedding, x)
    outputs, present = _add_network(graph, estimator._network, x, lengths)
    match estimator._outputs:
        case Labels():
            return _add_labels(graph, estimator._outputs, outputs, present)
        case Multilabel():
            return _add_multilabel(graph, outputs, present)
        case Numbers() | Quantiles():
            by_step = estimator._network.architecture.return_sequences
            numbers = _hide_padding(graph, outputs, present)
            return {"variable": _add_numbers(graph, estimator._outputs, numbers, by_step)}
        case unknown:
            raise _unknown(unknown)


def _unknown(outputs: Outputs) -> NotImplementedError:
    return NotImplementedError(f"outputs of the kind {outputs.kind!r} have no form in ONNX.")


# ---- the network -------------------------------------------------------------------------------


def _add_network(graph: Graph, network: Network, x: str, lengths: str) -> tuple[str, str]:
    """Add layers, pooling and head; return the names of the outputs and of the mask.

    The outputs have shape (n_samples, n_outputs) or (n_samples, n_timesteps, n_outputs). The mask
    of time steps that are not padding has shape (n_samples, n_timesteps, 1), or is "".
    """
    arch, pooling = network.architecture, exported_pooling(network.architecture.pooling)
    parameters = network.weights
    layers, query, head = one_hot_layers(parameters), parameters.query, parameters.head
    x = graph.add("Transpose", x, perm=[1, 0, 2])  # time-major from here on
    n_steps = graph.add("Cast", lengths, to=_type("INT32")) if lengths else ""
    states = x
    for depth, directions in enumerate(layers):
        if depth:
            states = _add_join(graph, states)
        states, last = _add_layer(graph, network, directions, states, n_steps)
    if pooling.onnx is None and not arch.return_sequences:
        last = graph.add("Transpose", last, perm=[1, 0, 2])
        return _add_head(graph, graph.add("Reshape", last, np.array([0, -1])), head), ""
    states = _add_join(graph, states)
    present = _add_present(graph, x, lengths) if lengths else ""
    if not arch.return_sequences:
        pooled = pooling.onnx(graph, states, present, query)
        return _add_head(graph, pooled, head), ""
    outputs = graph.add("Transpose", _add_head(graph, states, head), perm=[1, 0, 2])
    return outputs, graph.add("Transpose", present, perm=[1, 0, 2]) if present else ""


def _add_present(graph: Graph, x: str, lengths: str) -> str:
    """Add the mask of time steps that are not padding, of shape (n_timesteps, n_samples, 1)."""
    shape = graph.add("Shape", x)
    n_steps = graph.add("Gather", shape, np.array(0))
    steps = graph.add("Range", np.array(0), n_steps, np.array(1))
    present = graph.add("Less", graph.add("Unsqueeze", steps, np.array([1])), lengths)
    return graph.add("Unsqueeze", present, np.array([2]))


def _add_layer(
    graph: Graph, network: Network, directions: list[Layer], x: str, n_steps: str
) -> tuple[str, str]:
    """Add a layer; return its states (T, n_directions, N, H) and last ones (n_directions, N, H)."""
    arch = network.architecture
    forms = [standard_form(arch.cell, layer) for layer in directions]
    operator = forms[0][0]
    attributes = {
        "hidden_size": len(directions[0].U),
        "direction": "bidirectional" if arch.bidirectional else "forward",
    }
    if operator == "GRU":
        attributes["linear_before_reset"] = int(arch.reset_after)
    if arch.activation == "relu":
        attributes["activations"] = ["Sigmoid", "Relu"] * len(directions)
    gates = [joined(form, ORDERS[operator]) for _, form in forms]
    weights = [
        np.stack([gate.W.T for gate in gates]),
        np.stack([gate.U.T for gate in gates]),
        np.stack([np.concatenate([gate.b, gate.c]) for gate in gates]),
    ]
    states, last = graph.add_with_outputs(operator, 2, x, *weights, n_steps, **attributes)
    return states, last


def _add_join(graph: Graph, states: str) -> str:
    """Concatenate the states of both directions: (T, n_directions, N, H) to (T, N, width)."""
    states = graph.add("Transpose", states, perm=[0, 2, 1, 3])
    return graph.add("Reshape", states, np.array([0, 0, -1]))


def _add_head(graph: Graph, states: str, head: Head) -> str:
    return graph.add("Add", graph.add("MatMul", states, head.W), head.b)


# ---- from outputs to predictions ---------------------------------------------------------------


def _add_labels(graph: Graph, fitted: Labels, outputs: str, present: str) -> dict[str, str]:
    if fitted.n_outputs == 1:  # the logit of the second class
        outputs = graph.add("Concat", graph.add("Neg", outputs), outputs, axis=-1)
    most_likely = graph.add("ArgMax", outputs, axis=-1, keepdims=0)
    known = _hide_padding(graph, outputs, present)
    probabilities = (
        graph.add("Sigmoid", known)
        if fitted.n_outputs == 1
        else graph.add("Softmax", known, axis=-1)
    )
    label = graph.add("Gather", labels(fitted.classes), most_likely)
    return {"label": label, "probabilities": probabilities}


def _add_multilabel(graph: Graph, outputs: str, present: str) -> dict[str, str]:
    label = graph.add("Greater", outputs, np.array(np.float32(0)))
    label = graph.add("Cast", label, to=_type("INT64"))
    probabilities = graph.add("Sigmoid", _hide_padding(graph, outputs, present))
    return {"label": label, "probabilities": probabilities}


def labels(classes: np.ndarray) -> np.ndarray:
    """Convert classes to a type that ONNX supports: integers or strings."""
    if classes.dtype.kind == "u" and classes.max() > np.iinfo(np.int64).max:
        raise ValueError(f"ONNX labels are int64, which does not hold the label {classes.max()}.")
    if classes.dtype.kind in "biuf":
        return classes.astype(np.int64)
    if classes.dtype.kind in "mM":
        raise ValueError(
            f"ONNX labels are integers or strings, but those of the model have dtype "
            f"{classes.dtype}; fit with strings, such as y.astype(str)."
        )
    for label in classes:
        try:
            label.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"ONNX labels are UTF-8, but {str(label)!r} is not: {error}"
            ) from error
    return classes.astype(object)


# ONNX operator of each inverse link
INVERSE_LINKS = {"identity": "", "exp": "Exp"}


def _add_numbers(graph: Graph, fitted: Numbers | Quantiles, numbers: str, by_step: bool) -> str:
    if isinstance(fitted, Numbers):
        operator = INVERSE_LINKS[fitted.loss.inverse_link]
        numbers = graph.add(operator, numbers) if operator else numbers
    elif len(fitted.quantiles) > 1:
        rows = [0, 0] if by_step else [0]
        n_quantiles = len(fitted.quantiles)
        numbers = graph.add("Reshape", numbers, np.array([*rows, fitted.n_targets, n_quantiles]))
        numbers, _ = graph.add_with_outputs(
            "TopK", 2, numbers, np.array([n_quantiles]), axis=-1, largest=0, sorted=1
        )
        numbers = graph.add("Gather", numbers, fitted.ranks, axis=-1)
        return graph.add("Squeeze", numbers, np.array([-2])) if fitted.n_targets == 1 else numbers
    return graph.add("Squeeze", numbers, np.array([-1])) if fitted.n_targets == 1 else numbers


def _hide_padding(graph: Graph, outputs: str, present: str) -> str:
    """Set the outputs after the end of a sequence to NaN."""
    return (
        graph.add("Where", present, outputs, np.array(np.float32(np.nan))) if present else outputs
    )


def _type(name: str) -> int:
    from onnx import TensorProto

    return TensorProto.DataType.Value(name)


def _element_type(estimator: BaseGRU, output: str) -> int:
    if output != "label":
        return _type("FLOAT")
    return _type("STRING" if labels(estimator.classes_).dtype == object else "INT64")
