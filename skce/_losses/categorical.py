r"""Categorical cross-entropy: m * logsumexp(z) - t.z.

With d_k = max(z) - z_k >= 0, e_k = exp(-d_k) and S = sum_k e_k, the loss of a row is

    m * log(S) + t.d

Both terms are non-negative, so they cannot cancel. If the row is fitted well, S is close to 1 and
log(S) loses digits. So the class c with the most target mass gets a term of its own:

    log(S) = log1p(sum_{k != c} e_k + (e_c - 1))

If c has the largest logit, e_c - 1 is exactly zero. The gradient and the curvature use the same
sum over the other classes, for the same reason.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._arrays import (
    at,
    exp,
    in_flat,
    in_memory_order,
    largest,
    namespace,
    sum_of_products,
    sums,
    with_at,
)
from .._targets.mass import TargetBlock


def _set_apart(e: NDArray, at_c: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Set e to zero at one class of each row. Return e, the old values, and the sums of e."""
    e_c = at(e, at_c)
    e = with_at(e, at_c, 0.0)
    return e, e_c, sums(e, axis=0)


def _below_largest(z: NDArray) -> NDArray:
    """Return -d, in the memory of z if z is contiguous."""
    if isinstance(z, np.ndarray):
        z = np.ascontiguousarray(z)
    z -= largest(z, axis=0)
    return z


#: Exponentials e, their sums with and without the reference class, and the positions of that class
#: in the memory of e.
_State = tuple[NDArray, NDArray, NDArray, NDArray]


class Categorical:
    """The loss above. It does not change if a number is added to all logits of a row."""

    shift_invariant = True

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Loss m * logsumexp(z) - t.z of each row and its gradient m * softmax(z) - t."""
        m, at_c, xp = t.mass, t.at_reference, namespace(z)
        z = _below_largest(z)
        linear = t.dot(z)
        e, e_c, others = _set_apart(exp(z), at_c)  # reuses memory that is in the cache
        value = m * xp.log1p(others + (e_c - 1)) - linear
        scale = m / (others + e_c)
        e *= scale
        e = t.subtract_others(e)
        # This is m * p_c - t_c, in a form that does not cancel if p_c is close to 1.
        return value, with_at(e, at_c, t.rest - scale * others)

    def curvature(self, z: NDArray, t: TargetBlock) -> _State:
        """Exponentials of z, in the memory of z: softmax(z) up to a factor for each row."""
        at_c = t.at_reference
        e, e_c, others = _set_apart(exp(_below_largest(z)), at_c)
        return with_at(e, at_c, e_c), others + e_c, others, at_c

    def curvature_product(self, state: _State, v: NDArray, t: TargetBlock) -> NDArray:
        """Return m * (p * v - p * (p.v)) in the memory of v, after a shift of v to v_c = 0."""
        e, total, _, at_c = state
        v -= at(v, at_c)
        v -= sum_of_products(e, v) / total
        v *= e
        v *= t.mass / total
        return v

    def curvature_diagonal(self, state: _State, t: TargetBlock) -> NDArray:
        """Return m * p * (1 - p). 1 - p of the reference class is the sum of the other p."""
        e, total, others, at_c = state
        p = e / total
        q = with_at(1 - p, at_c, others / total)
        q *= p
        q *= t.mass
        return q

    def curvature_between(self, state: _State, t: TargetBlock) -> NDArray:
        """Return sqrt(m) * p, since the Hessian of a row is m * (diag(p) - p p')."""
        e, total, _, _ = state
        return e * (namespace(e).sqrt(t.mass) / total)

    def curvature_root(self, state: _State, t: TargetBlock) -> NDArray:
        """Return A, such that A'A = m * (diag(p) - p p'). Its rows are sqrt(m p_k) * (e_k - p)'."""
        e, total, others, at_c = state
        p = e / total
        A = -np.broadcast_to(p, (len(p), *p.shape))
        left = 1 - p
        left.reshape(-1)[at_c] = others / total
        np.einsum("kkr->kr", A)[:] = left
        A *= np.sqrt(t.mass * p)[:, None]
        return A

    def curvature_bound(self, n_classes: int) -> float:
        """Curvature 1/K at equal probabilities, along any direction that sums to zero."""
        return 1 / n_classes


def log_softmax(z: NDArray) -> NDArray:
    """Logarithms of softmax(z) down the columns of z, exact even if softmax rounds to 0 or 1."""
    xp = namespace(z)
    at_largest = in_flat(xp.argmax(z, axis=0))
    z = _below_largest(in_memory_order(z))
    _, _, others = _set_apart(xp.exp(z), at_largest)
    z -= xp.log1p(others)
    return z


def softmax(z: NDArray) -> NDArray:
    """Probabilities exp(z_k) / sum_j exp(z_j) down the columns of z."""
    e = exp(z - largest(z, axis=0))
    e /= sums(e, axis=0)
    return e
