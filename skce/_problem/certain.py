"""Outputs whose probability tends to 0 or 1, because they have no target mass or all of it.

Intercepts have no penalty. So if class k has no target mass, the objective has no minimum: its
infimum is at W_k = 0 and b_k = -inf. This happens to rare classes in folds and bootstrap samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .objective import Objective


def certain(objective: Objective) -> tuple[NDArray, NDArray]:
    """Find the outputs that have no target mass, and those that have all of it.

    Parameters
    ----------
    objective : Objective

    Returns
    -------
    never, always : ndarray of bool, shape (n_outputs,)
        Outputs whose probability tends to 0 and to 1. There are none without an intercept.
    """
    n_outputs = objective.layout.n_outputs
    holds, fails = np.zeros((2, n_outputs), dtype=bool)
    if not objective.layout.fit_intercept:
        return holds, fails
    few = objective.costs.certain_rows
    block, _ = next(objective.data.chunks(few))  # in most cases one block is enough
    holds, fails = np.array(kernels.sides_with_mass(block, n_outputs), dtype=bool).reshape(2, -1)
    if not (holds.all() and fails.all()) and objective.data.n_rows > few:
        every = objective.data.maximum(kernels.sides_with_mass, n_outputs)
        holds, fails = np.array(every, dtype=bool).reshape(2, -1)
    return ~holds & fails, holds & ~fails


def at_limit(
    objective: Objective, theta: NDArray, never: NDArray, always: NDArray, far: float
) -> NDArray:
    """Return variables in which certain outputs are at their limits.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_variables,)
        Variables. The other outputs keep theirs.
    never, always : ndarray of bool, shape (n_outputs,)
        The result of `certain`.
    far : float
        Distance of the logits that stands for infinity.

    Returns
    -------
    ndarray of shape (n_variables,)
    """
    W, b = (part.copy() for part in objective.layout.unpack(theta))
    W[never | always] = 0
    if objective.loss.shift_invariant:
        b[never] = b[~never].mean() - far
    else:
        b[never], b[always] = -far, far
    if objective.penalty.bounds is not None:
        W = np.clip(W, *objective.penalty.bounds)
    return objective.layout.pack(W, b)
