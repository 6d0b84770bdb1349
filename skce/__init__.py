"""Softmax classifiers on labels and on probability targets, for scikit-learn.

Public names
------------
SoftmaxClassifier
    Linear classifier that minimises categorical or binary cross-entropy.
log_loss
    Log-loss for labels and for probability targets.
metrics
    The module that `log_loss` belongs to.
"""

from . import metrics
from ._classifier import SoftmaxClassifier
from .metrics import log_loss

__all__ = ["SoftmaxClassifier", "__version__", "log_loss", "metrics"]
__version__ = "0.1.0"
