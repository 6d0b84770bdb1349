"""Cross-entropy in logit space, one block of rows at a time.

A block has r rows. Every loss is a module of pure functions that share these conventions:

z : ndarray of shape (K, r)
    Logits, one row per coefficient vector. The block is transposed so that sums over classes
    run down contiguous columns (on 50 000 x 512 x 10 a pass took 36 ms, against 57 ms for (r, K)).
t : HardBlock or SoftBlock
    Target mass per class and total mass m per row, with weights and smoothing folded in.
    A loss therefore knows nothing of sample weights, class weights or label smoothing.

and these verbs:

value_gradient(z, t)
    The loss of each row, shape (r,), and its gradient with respect to z, shape (K, r).
curvature(z, t)
    What the Hessian with respect to z needs at this point; opaque to the caller. May use up z.
curvature_product(state, v, t)
    The Hessian with respect to z times v, both of shape (K, r). May use up v: at K = 1000 a block
    and its temporaries do not fit the cache together.
curvature_diagonal(state, t)
    The diagonal of the Hessian with respect to z, shape (K, r).
curvature_between(state, t)
    F of shape (K, r), where the Hessian of a row is its diagonal and - F_k F_j off it; None where
    it is diagonal.
curvature_root(state, t)
    A of shape (K, K, r) with A'A the Hessian of each row.
curvature_bound(K)
    The curvature per unit of mass at z = 0, which a preconditioner takes as typical.

Logits are shifted, never clipped: values are exact to rounding for any finite z.

`AtTemperature` makes a smoother loss of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._target_mass import TargetBlock
from . import _binary, _categorical

#: Modules, or objects with the same functions.
LOSSES: dict[str, Any] = {"categorical": _categorical, "binary": _binary}


@dataclass(frozen=True)
class AtTemperature:
    """The loss T * loss(z / T), which has its curvature where logits are of the size of T.

    For T > 1 it is never below the loss, and above it by T - 1 times the loss at z = 0 at most.

    Source: Nesterov, *Smooth minimization of non-smooth functions*, 2005.

    Attributes
    ----------
    loss : one of LOSSES
    T : float
        Temperature.
    """

    loss: Any
    T: float

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Loss and gradient."""
        value, gradient = self.loss.value_gradient(z / self.T, t)
        return self.T * value, gradient

    def curvature(self, z: NDArray, t: TargetBlock) -> Any:
        """State of the loss at z / T."""
        return self.loss.curvature(z / self.T, t)

    def curvature_product(self, state: Any, v: NDArray, t: TargetBlock) -> NDArray:
        """Hessian times v."""
        return self.loss.curvature_product(state, v, t) / self.T

    def curvature_diagonal(self, state: Any, t: TargetBlock) -> NDArray:
        """Diagonal of the Hessian."""
        return self.loss.curvature_diagonal(state, t) / self.T

    def curvature_between(self, state: Any, t: TargetBlock) -> NDArray | None:
        """Off the diagonal the Hessian of a row is - F_k F_j."""
        between = self.loss.curvature_between(state, t)
        return None if between is None else between / np.sqrt(self.T)

    def curvature_root(self, state: Any, t: TargetBlock) -> NDArray:
        """Return A with A'A the Hessian of a row."""
        return self.loss.curvature_root(state, t) / np.sqrt(self.T)

    def curvature_bound(self, n_classes: int) -> float:
        """Curvature per unit of mass at z = 0."""
        return self.loss.curvature_bound(n_classes) / self.T
