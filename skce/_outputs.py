"""Forms of output: how logits become decisions, probabilities and labels.

The table `OUTPUTS` has an `Output` for each form of target (see `RawTargets.form`). All functions
take logits of shape (n_samples, K), in arrays of any library. K is the number of coefficient
vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._arrays import as_type, expit, joined, log_expit, namespace
from ._losses.categorical import log_softmax, softmax


@dataclass(frozen=True)
class Output:
    """The functions of a form of output. Each takes logits.

    Attributes
    ----------
    decision : callable
        Returns the result of `decision_function`.
    proba, log_proba : callable
        Return probabilities of shape (n_samples, n_classes), and their exact logarithms.
    predict : callable
        Returns positions in `classes_`, or a 0/1 indicator matrix.
    """

    decision: Callable[[NDArray], NDArray]
    proba: Callable[[NDArray], NDArray]
    log_proba: Callable[[NDArray], NDArray]
    predict: Callable[[NDArray], NDArray]


def _argmax(z: NDArray) -> NDArray:
    codes: NDArray = namespace(z).argmax(z, axis=1)
    return codes


def _softmax_decision(z: NDArray) -> NDArray:
    """Return the logits. With two classes return their difference, as scikit-learn requires."""
    return z[:, 1] - z[:, 0] if z.shape[1] == 2 else z


def _two_columns(z: NDArray) -> NDArray:
    """Return the logits of class 0 and class 1, given the logit of class 1."""
    return joined([-z, z], axis=1)


OUTPUTS = {
    "softmax": Output(
        decision=_softmax_decision,
        proba=lambda z: softmax(z.T).T,
        log_proba=lambda z: log_softmax(z.T).T,
        predict=_argmax,
    ),
    "sigmoid": Output(
        decision=lambda z: z[:, 0],
        proba=lambda z: expit(_two_columns(z)),
        log_proba=lambda z: log_expit(_two_columns(z)),
        predict=lambda z: as_type(z[:, 0] > 0, np.intp),
    ),
    "one-vs-rest": Output(
        decision=lambda z: z,
        proba=lambda z: softmax(log_expit(z).T).T,
        log_proba=lambda z: log_softmax(log_expit(z).T).T,
        predict=_argmax,
    ),
    "multilabel": Output(
        decision=lambda z: z,
        proba=expit,
        log_proba=log_expit,
        predict=lambda z: as_type(z > 0, np.int64),
    ),
}
