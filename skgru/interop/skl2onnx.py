"""Converters for skl2onnx, to export pipelines as ONNX graphs."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skgru.base import BaseGRU
from skgru.classifier import GRUClassifier
from skgru.forecasting import ScaledTargetRegressor
from skgru.forecasting.predictions import outputs_of
from skgru.interop.onnx import (
    OLDEST_OPSET,
    add_estimator,
    labels,
    shapes_of_outputs,
)
from skgru.interop.onnx_graph import Graph
from skgru.interop.onnx_patches import add_patches
from skgru.interop.scaling import undo_of_target
from skgru.outputs import Quantiles
from skgru.preprocessing import FillGaps, Patches, PerSequence, PerTimestep
from skgru.preprocessing.patches import n_patches
from skgru.regressor import GRURegressor


def register_skl2onnx() -> None:
    """Register the estimators, `PerTimestep`, `Patches` and `ScaledTargetRegressor` with skl2onnx.

    ``skl2onnx.to_onnx`` and ``convert_sklearn`` then accept pipelines and other compositions that
    contain them. The first input is float32. It has two or three dimensions, like the X that the
    first transformer or estimator was fitted on. An optional second input of type
    `Int64TensorType([None])` is the number of time steps of each sequence, as with `lengths=True`
    in `to_onnx`; every step of the pipeline before the estimator must then be a `PerTimestep` or
    `Patches`, which replaces time steps by patches. `PerSequence` and `FillGaps` cannot be
    converted, nor a `ScaledTargetRegressor` whose transformer does more than to scale and shift
    the target. Categories of an estimator must be whole numbers; do not scale them before it, as
    rounding in float32 may make others of them.

    Classifiers support skl2onnx's options ``zipmap`` (True, False or "columns") and
    ``output_class_labels``. Multilabel indicators and `return_sequences` need `zipmap=False`. The
    outputs are those of `to_onnx`, with one exception: a regressor that predicts one number per
    sequence has outputs of shape (n_samples, 1), as all regressors in skl2onnx.

    Calling this function again has no effect.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    to_onnx : Export a single estimator; does not need skl2onnx.

    Examples
    --------
    >>> from skgru.interop import register_skl2onnx
    >>> register_skl2onnx()  # doctest: +SKIP
    >>> skl2onnx.to_onnx(pipeline, X, options={"zipmap": False})  # doctest: +SKIP
    """
    from skl2onnx import update_registered_converter

    update_registered_converter(
        GRUClassifier,
        "SkgruGRUClassifier",
        _set_types,
        _convert,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [False],  # skl2onnx looks it up for every classifier
        },
    )
    update_registered_converter(GRURegressor, "SkgruGRURegressor", _set_types, _convert)
    update_registered_converter(
        PerTimestep,
        "SkgruPerTimestep",
        _set_types_of_steps,
        _convert_steps,
        parser=_parse_steps,
    )
    update_registered_converter(
        Patches, "SkgruPatches", _set_types_of_patches, _convert_patches, parser=_parse_steps
    )
    update_registered_converter(
        ScaledTargetRegressor,
        "SkgruScaledTargetRegressor",
        _set_types_of_target,
        _convert_target,
        parser=_parse_target,
    )
    # types are requested before the converter runs, which raises
    for refused in (PerSequence, FillGaps):
        alias = f"Skgru{refused.__name__}"
        update_registered_converter(refused, alias, _refuse_sequences, _convert)


# ---- the estimators ----------------------------------------------------------------------------


def _set_types(operator: Any) -> None:
    """Set the types and shapes of an estimator's outputs."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    estimator = operator.raw_operator
    check_is_fitted(estimator, "_network")
    _check_inputs(operator)
    shapes = list(shapes_of_outputs(estimator, operator.inputs[0].type.shape).values())
    if not is_classifier(estimator):
        shape = shapes[0]
        operator.outputs[0].type = FloatTensorType(shape if shape[1:] else [*shape, 1])
        return
    options = operator.scope_inst.get_options(estimator, {"zipmap": True})
    if options["zipmap"] and shapes[0][1:]:
        raise NotImplementedError(
            "A multilabel indicator or one label per time step cannot be mapped from labels to "
            "probabilities; convert with options={'zipmap': False}."
        )
    strings = labels(estimator.classes_).dtype == object
    operator.outputs[0].type = (StringTensorType if strings else Int64TensorType)(shapes[0])
    operator.outputs[1].type = FloatTensorType(shapes[1])


def _check_inputs(operator: Any) -> None:
    """Raise if X has other dimensions than in `fit`, or if there are other inputs than lengths."""
    model = operator.raw_operator
    name, on_table = type(model).__name__, model._fitted_on_table
    x, *lengths = operator.inputs
    n_dimensions = 2 if on_table else 3
    if len(x.type.shape) != n_dimensions:
        raise ValueError(
            f"{name} was fitted on X of {n_dimensions} dimensions, its input in the graph has the "
            f"shape {x.type.shape}."
        )
    if len(lengths) > (0 if on_table else 1):
        names = [variable.raw_name for variable in operator.inputs]
        raise ValueError(
            f"{name} takes X{'' if on_table else ' and the lengths of its sequences'}, but in the "
            f"graph it has the inputs {names}."
        )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator to the graph of skl2onnx."""
    estimator: BaseGRU = operator.raw_operator
    graph, x, lengths = _begin(scope, operator, container)
    results = list(add_estimator(graph, estimator, x, lengths).values())
    for result, output in zip(results, operator.outputs, strict=True):
        if output.type.shape[1:] == [1] and not is_classifier(estimator):
            result = graph.add("Unsqueeze", result, np.array([1]))
        graph.name(result, output.full_name)
    _add_nodes(graph, scope, container)


def _begin(scope: Any, operator: Any, container: Any) -> tuple[Graph, str, str]:
    """Return an empty graph, the name of x in float32, and that of lengths or ""."""
    from onnx import TensorProto

    if container.target_opset_onnx < OLDEST_OPSET:
        raise ValueError(
            f"{type(operator.raw_operator).__name__} needs target_opset >= {OLDEST_OPSET}, got "
            f"{container.target_opset_onnx}."
        )
    graph = Graph(scope.get_unique_variable_name)
    x, *lengths = (variable.full_name for variable in operator.inputs)
    return graph, graph.add("Cast", x, to=TensorProto.FLOAT), lengths[0] if lengths else ""


def _add_nodes(graph: Graph, scope: Any, container: Any) -> None:
    """Add the nodes and constants of a graph to that of skl2onnx."""
    from onnx import numpy_helper

    for name, array in graph.constants.items():
        container.initializers.append(numpy_helper.from_array(array, name))
    for node in graph.nodes:
        container.add_node(
            node.operator,
            node.inputs,
            node.outputs,
            name=scope.get_unique_operator_name(node.operator),
            **node.attributes,
        )


# ---- transformers of sequences -----------------------------------------------------------------


def _parse_steps(
    scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None
) -> list[Any]:
    """Declare the inputs and outputs: the transformed sequences, and lengths if there are any."""
    from skl2onnx.common.data_types import FloatTensorType

    operator = scope.declare_local_operator(f"Skgru{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("variable", FloatTensorType()))
    for lengths in inputs[1:]:
        operator.outputs.append(scope.declare_local_variable("lengths", lengths.type))
    return operator.outputs


def _set_types_of_steps(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    model = operator.raw_operator
    check_is_fitted(model)
    _check_inputs(operator)
    shape = operator.inputs[0].type.shape
    if model._fitted_on_table:
        n_steps = model.n_features_in_ // model._n_channels_in
        columns = [n_steps * model._n_channels_out]
    else:
        columns = [shape[1], model._n_channels_out]
    operator.outputs[0].type = FloatTensorType([shape[0], *columns])


def _convert_steps(scope: Any, operator: Any, container: Any) -> None:
    """Reshape to one row per time step, convert the transformer, and reshape back."""
    from onnx import TensorProto
    from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
    from skl2onnx.algebra.onnx_ops import (
        OnnxCast,
        OnnxConcat,
        OnnxIdentity,
        OnnxReshape,
        OnnxShape,
        OnnxSlice,
    )

    model, version = operator.raw_operator, {"op_version": container.target_opset_onnx}
    x, *lengths = operator.inputs
    rows = OnnxReshape(x, np.array([-1, model._n_channels_in]), **version)
    table = x.type.__class__([None, model._n_channels_in])
    rows = OnnxSubEstimator(model.transformer_, rows, input_types=[table], **version)
    shape = np.array([-1, operator.outputs[0].type.shape[1]])
    if not model._fitted_on_table:
        begin, end = np.array([0]), np.array([2])
        samples_and_steps = OnnxSlice(OnnxShape(x, **version), begin, end, **version)
        columns = np.array([model._n_channels_out])
        shape = OnnxConcat(samples_and_steps, columns, axis=0, **version)
    rows = OnnxCast(rows, to=TensorProto.FLOAT, **version)
    result = OnnxReshape(rows, shape, output_names=operator.outputs[:1], **version)
    result.add_to(scope, container)
    for taken, given in zip(lengths, operator.outputs[1:], strict=True):
        OnnxIdentity(taken, output_names=[given], **version).add_to(scope, container)


def _set_types_of_patches(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    model: Patches = operator.raw_operator
    check_is_fitted(model)
    _check_inputs(operator)
    n_samples, n_steps = operator.inputs[0].type.shape[:2]
    if model._fitted_on_table:
        n_steps = model.n_features_in_ // model._n_channels_in
    known = isinstance(n_steps, int)
    count = int(n_patches(n_steps, model.size_, model.stride_)) if known else None
    n_channels = model._n_channels_out
    columns = [count * n_channels] if model._fitted_on_table else [count, n_channels]
    operator.outputs[0].type = FloatTensorType([n_samples, *columns])


def _convert_patches(scope: Any, operator: Any, container: Any) -> None:
    graph, x, lengths = _begin(scope, operator, container)
    results = add_patches(graph, operator.raw_operator, x, lengths)
    # lengths are among the outputs if they are among the inputs
    for result, output in zip(results, operator.outputs, strict=False):
        graph.name(result, output.full_name)
    _add_nodes(graph, scope, container)


def _refuse_sequences(operator: Any) -> None:
    name = type(operator.raw_operator).__name__
    raise NotImplementedError(
        f"{name} has no form in ONNX: what it computes takes the sequence as a whole. "
        "Apply it before the graph, and convert the steps of the pipeline that follow."
    )


# ---- scaled targets ----------------------------------------------------------------------------


def _parse_target(
    scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None
) -> list[Any]:
    """Declare the regressor, and the undoing of the scale of its predictions."""
    from skl2onnx._parse import parse_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    check_is_fitted(model, "regressor_")
    operator = scope.declare_local_operator("SkgruScaledTargetRegressor", model)
    operator.inputs = parse_sklearn(scope, model.regressor_, inputs, custom_parsers)
    for predictions in operator.inputs:
        predictions.init_status(is_leaf=False)  # no output of the graph
    operator.outputs.append(scope.declare_local_variable("variable", FloatTensorType()))
    return operator.outputs


def _set_types_of_target(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    operator.outputs[0].type = FloatTensorType(operator.inputs[0].type.shape)


def _convert_target(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    model: ScaledTargetRegressor = operator.raw_operator
    shift, factor = undo_of_target(model, model._n_targets, "skl2onnx")
    outputs = outputs_of(model.regressor_)
    # predictions have the axis of the targets last, or that of the quantiles after it
    if model._n_targets > 1 and isinstance(outputs, Quantiles) and len(outputs.quantiles) > 1:
        shift, factor = shift[:, np.newaxis], factor[:, np.newaxis]
    graph = Graph(scope.get_unique_variable_name)
    predictions = graph.add("Cast", operator.inputs[0].full_name, to=TensorProto.FLOAT)
    undone = graph.add("Mul", graph.add("Sub", predictions, shift), factor)
    graph.name(undone, operator.outputs[0].full_name)
    _add_nodes(graph, scope, container)
