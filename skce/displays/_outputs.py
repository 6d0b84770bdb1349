"""What displays need to know of targets: their classes, or their labels if they are multilabel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._targets.meaning import in_order
from ..metrics._problem import Problem
from ..metrics._terms import OneVsRest, Outputs


def loss_of(estimator: Any) -> str:
    """Return "binary" if an estimator was fitted to multilabel targets, else "categorical"."""
    several = getattr(estimator, "_form", None) == "multilabel"
    return "binary" if several or getattr(estimator, "multilabel_", False) else "categorical"


def is_multilabel(problem: Problem) -> bool:
    """Whether targets are multilabel: each row can have several labels."""
    return isinstance(problem.targets, Outputs) and not isinstance(problem.targets, OneVsRest)


def outputs_of(problem: Problem) -> tuple[NDArray, NDArray]:
    """Return targets and probabilities of each label, shape (n_samples, n_labels)."""
    targets, p = problem.targets, problem.predictions.values
    problem.rows(targets.loss, problem.shape[:1])  # which checks them
    return in_order(np.asarray(targets.values, np.float64), targets.columns), p


def classes_of(targets: Any) -> NDArray:
    """Return the position of the class of each row; for target probabilities the most probable."""
    if targets.values.ndim == 1 and targets.values.dtype.kind in "iu":  # positions already
        return targets.values
    return targets.distribution(slice(None)).argmax(axis=1)
