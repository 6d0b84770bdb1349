"""Log-loss for any target that the estimator takes: metrics, scorers and their decomposition."""

from ._decomposition import LogLossDecomposition, log_loss_decomposition
from ._log_loss import (
    d2_log_loss_score,
    entropy,
    kl_divergence,
    log_loss,
    log_loss_from_logits,
    log_loss_gradient,
    log_loss_gradient_from_logits,
    log_loss_samples,
    log_loss_samples_from_logits,
)
from ._scorers import (
    LogLossScorer,
    d2_log_loss_scorer,
    make_log_loss_scorer,
    neg_log_loss_scorer,
)

__all__ = [
    "LogLossDecomposition",
    "LogLossScorer",
    "d2_log_loss_score",
    "d2_log_loss_scorer",
    "entropy",
    "kl_divergence",
    "log_loss",
    "log_loss_decomposition",
    "log_loss_from_logits",
    "log_loss_gradient",
    "log_loss_gradient_from_logits",
    "log_loss_samples",
    "log_loss_samples_from_logits",
    "make_log_loss_scorer",
    "neg_log_loss_scorer",
]
