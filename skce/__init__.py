"""Softmax classifiers on labels and on probability targets, for scikit-learn.

`SoftmaxClassifier` is a linear classifier that minimises categorical or binary cross-entropy, and
`log_loss` scores probabilities against the same targets; it belongs to the module `metrics`.
"""

from . import metrics
from ._classifier import SoftmaxClassifier
from .metrics import log_loss

__all__ = ["SoftmaxClassifier", "__version__", "log_loss", "metrics"]
__version__ = "0.1.0"
