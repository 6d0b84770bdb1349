"""Softmax classifiers on labels and on probability targets, for scikit-learn.

`SoftmaxClassifier` is a linear classifier that minimises categorical or binary cross-entropy,
`softmax_path` fits it for many penalties, and `SoftmaxClassifierCV` chooses among them. `log_loss`
scores probabilities against the same targets; it belongs to the module `metrics`.
"""

from . import metrics
from ._classifier import SoftmaxClassifier
from ._classifier_cv import SoftmaxClassifierCV
from ._onnx import register_with_skl2onnx
from ._path import SoftmaxPath, softmax_path
from .metrics import log_loss

__all__ = [
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "SoftmaxPath",
    "__version__",
    "log_loss",
    "metrics",
    "softmax_path",
]
__version__ = "0.1.0"

register_with_skl2onnx(SoftmaxClassifier, SoftmaxClassifierCV)
