"""Outputs that the targets are certain of: what has no mass has probability zero.

With an intercept b_k that nothing holds back, the objective has no minimum where class k has no
target mass: its infimum is at W_k = 0 and b_k = -inf. Such outputs are what the rows of a fold or a
bootstrap leave of a rare class.
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
    block, _ = next(objective.data.chunks(few))  # as a rule it tells
    holds, fails = np.array(kernels.sides_with_mass(block, n_outputs), dtype=bool).reshape(2, -1)
    if not (holds.all() and fails.all()) and objective.data.n_rows > few:
        every = objective.data.maximum(kernels.sides_with_mass, n_outputs)
        holds, fails = np.array(every, dtype=bool).reshape(2, -1)
    return ~holds & fails, holds & ~fails


def at_limit(
    objective: Objective, theta: NDArray, never: NDArray, always: NDArray, far: float
) -> NDArray:
    """Return variables where certain outputs have their limits, as far as one wants to go.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (n_variables,)
        What the other outputs keep.
    never, always : ndarray of bool, shape (n_outputs,)
        What `certain` found.
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
