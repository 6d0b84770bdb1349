r"""Binary cross-entropy of each output: m * softplus(z) - t * z, summed over the K outputs.

Let e = exp(-|z|), and r the mass of the side that the sign of z predicts against (m - t for z > 0,
else t). Then

    value     = m * log1p(e) + r * |z|
    gradient  = sign(z) * (r - m * e / (1 + e))
    curvature = m * e / (1 + e)^2

Nothing overflows in these terms, and no two of them cancel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._arrays import namespace, sums
from .._targets.mass import TargetBlock


class Binary:
    """The loss above. Outputs do not depend on each other."""

    shift_invariant = False

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Loss m * softplus(z) - t * z of each row and its gradient m * sigmoid(z) - t."""
        m, t_dense, xp = t.mass, t.dense(z.shape[0]), namespace(z)
        positive = z > 0
        against = xp.where(positive, m - t_dense, t_dense)
        size = xp.abs(z)
        e = xp.exp(-size)
        value = m * xp.log1p(e) + against * size
        gradient = against - m * (e / (1 + e))
        # z = 0 takes the branch z <= 0: the gradient is m / 2 - t.
        if xp is np:
            np.negative(gradient, out=gradient, where=~positive)
        else:
            gradient = xp.where(positive, gradient, -gradient)
        return sums(value, axis=0), gradient

    def curvature(self, z: NDArray, t: TargetBlock) -> NDArray:
        """Second derivative m * q * (1 - q), in which q = sigmoid(z)."""
        xp = namespace(z)
        e = xp.exp(-xp.abs(z))
        return t.mass * e / (1 + e) ** 2

    def curvature_product(self, state: NDArray, v: NDArray, t: TargetBlock) -> NDArray:
        """Return m * q * (1 - q) * v, in place of v."""
        v *= state
        return v

    def curvature_diagonal(self, state: NDArray, t: TargetBlock) -> NDArray:
        """Return m * q * (1 - q). The Hessian is diagonal."""
        return state

    def curvature_between(self, state: NDArray, t: TargetBlock) -> None:
        """Return None: the Hessian is diagonal."""

    def curvature_root(self, state: NDArray, t: TargetBlock) -> NDArray:
        """Return A, such that A'A = diag(m * q * (1 - q)) for each row."""
        A = np.zeros((len(state), *state.shape))
        np.einsum("kkr->kr", A)[:] = np.sqrt(state)
        return A

    def curvature_bound(self, n_classes: int) -> float:
        """Curvature q * (1 - q) = 1/4 at q = 1/2, for any number of outputs."""
        return 0.25
