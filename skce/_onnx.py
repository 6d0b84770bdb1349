"""Converters of the estimators to ONNX, for skl2onnx.

skl2onnx looks up the class of an estimator in a table, to which other packages can add. The
converters are added once both skl2onnx and this package are imported, in whichever order. Users do
not have to import another module.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._array_api import moved

_LIBRARY = "skl2onnx"

#: Options that users can set. Names and values are those of skl2onnx's own classifiers.
_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


class _Registration(MetaPathFinder):
    """Finder that finds skl2onnx as Python does, and registers the converters after its import."""

    def __init__(self, classes: Sequence[type]) -> None:
        self._classes = tuple(classes)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of skl2onnx, and None for every other module."""
        if fullname != _LIBRARY:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register(self._classes)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_with_skl2onnx(*classes: type) -> None:
    """Register the converters of these classes, now or as soon as skl2onnx is imported.

    Parameters
    ----------
    *classes : type
        Subclasses of `LinearModel`.
    """
    if _LIBRARY in sys.modules:
        _register(classes)
    else:
        sys.meta_path.insert(0, _Registration(classes))


def _register(classes: Sequence[type]) -> None:
    from skl2onnx import update_registered_converter

    for cls in classes:
        update_registered_converter(cls, f"Skce{cls.__name__}", _infer, _convert, options=_OPTIONS)


def _infer(operator: Any) -> None:
    """Set the types and shapes of the outputs: labels and probabilities."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType
    from skl2onnx.common.utils_classifier import get_label_classes

    model = operator.raw_operator
    check_is_fitted(model)
    n_rows, n_classes = operator.inputs[0].get_first_dimension(), len(model.classes_)
    labels, probabilities = operator.outputs
    if model._form == "multilabel":
        labels.type = Int64TensorType([n_rows, n_classes])
    else:
        classes = get_label_classes(operator.scope_inst, model)  # numbers with the option nocl
        is_text = _labels_of(classes).dtype.kind == "U"
        labels.type = (StringTensorType if is_text else Int64TensorType)([n_rows])
    probabilities.type.shape = [n_rows, n_classes]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes that compute labels and probabilities from a matrix of features."""
    from skl2onnx.algebra import onnx_ops as ops
    from skl2onnx.common.data_types import guess_proto_type
    from skl2onnx.common.utils_classifier import get_label_classes
    from skl2onnx.proto import TensorProto

    model = moved(operator.raw_operator, np)
    options = container.get_options(operator.raw_operator, {"raw_scores": False})
    X, (labels, probabilities) = operator.inputs[0], operator.outputs
    version = {"op_version": container.target_opset}
    given = guess_proto_type(X.type)
    dtype = np.float64 if given == TensorProto.DOUBLE else np.float32
    if given not in (TensorProto.FLOAT, TensorProto.DOUBLE):  # whole numbers
        X = ops.OnnxCast(X, to=TensorProto.FLOAT, **version)
    W, b = model._dense_coef().astype(dtype), model.intercept_.astype(dtype)
    z = ops.OnnxAdd(ops.OnnxMatMul(X, W.T, **version), b, **version)
    if model._form == "sigmoid":
        z = ops.OnnxConcat(ops.OnnxNeg(z, **version), z, axis=1, **version)

    if model._form == "multilabel":
        holds = ops.OnnxGreater(z, np.zeros(1, dtype), **version)
        to_labels = ops.OnnxCast(holds, to=TensorProto.INT64, output_names=[labels], **version)
    else:
        classes = _labels_of(get_label_classes(scope, operator.raw_operator))
        codes = ops.OnnxArgMax(z, axis=1, keepdims=0, **version)
        to_labels = ops.OnnxGather(classes, codes, axis=0, output_names=[labels], **version)

    out = {"output_names": [probabilities], **version}
    if options["raw_scores"]:
        scores = ops.OnnxIdentity(z, **out)
    elif model._form in ("sigmoid", "multilabel"):
        scores = ops.OnnxSigmoid(z, **out)
    else:
        if model._form == "one-vs-rest":  # its probabilities are normalised sigmoids
            z = _log_sigmoid(ops, z, np.ones(1, dtype), version)
        scores = ops.OnnxSoftmax(z, axis=1, **out)
    for node in (to_labels, scores):
        node.add_to(scope, container)


def _log_sigmoid(ops: Any, z: Any, one: NDArray, version: dict[str, int]) -> Any:
    """Return -max(-z, 0) - log(1 + exp(-|z|)), by operators that onnxruntime has in float64."""
    far = ops.OnnxRelu(ops.OnnxNeg(z, **version), **version)
    small = ops.OnnxExp(ops.OnnxNeg(ops.OnnxAbs(z, **version), **version), **version)
    near = ops.OnnxLog(ops.OnnxAdd(small, one, **version), **version)
    return ops.OnnxNeg(ops.OnnxAdd(far, near, **version), **version)


def _labels_of(classes: NDArray) -> NDArray:
    """Return classes in a type that ONNX has: whole numbers or text."""
    values = classes.tolist()
    if all(isinstance(label, str) for label in values):
        return np.array(values, dtype=str)
    if classes.dtype.kind in "biu" or all(
        isinstance(label, int | float) and label == int(label) for label in values
    ):
        return np.array(values, dtype=np.int64)
    raise TypeError(
        f"Labels in ONNX are whole numbers or strings, but classes_ are {values!r:.100}. Fit with "
        "strings or whole numbers as labels, or pass the option nocl=True."
    )
