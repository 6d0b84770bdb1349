"""Cross-entropy in logit space, one block of rows at a time.

A block has r rows. Every loss is an instance of `Loss` without state, with these conventions:

z : ndarray of shape (K, r)
    Logits, one row per coefficient vector. The block is transposed so that sums over classes
    run down contiguous columns (on 50 000 x 512 x 10 a pass took 36 ms, against 57 ms for (r, K)).
t : HardBlock or SoftBlock
    Target mass per class and total mass m per row, with weights and smoothing folded in.
    A loss therefore knows nothing of sample weights, class weights or label smoothing.

Logits are shifted, never clipped. Values are exact to rounding for any finite z.

`AtTemperature` makes a smoother loss of any loss. `WithOffset` adds the known part of the logits of
a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._targets.mass import TargetBlock
from .binary import Binary
from .categorical import Categorical


class Loss(Protocol):
    """The methods of a loss.

    Attributes
    ----------
    shift_invariant : bool
        Whether the loss does not change if the same number is added to all logits of a row.
    """

    @property
    def shift_invariant(self) -> bool:
        """Whether the loss does not change if a number is added to all logits of a row."""

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Return the loss of each row, shape (r,), and its gradient in z, shape (K, r).

        It may overwrite z, and return the gradient in the memory of z.
        """

    def curvature(self, z: NDArray, t: TargetBlock) -> Any:
        """Return the state that the Hessian in z needs. It may overwrite z."""

    def curvature_product(self, state: Any, v: NDArray, t: TargetBlock) -> NDArray:
        """Return the Hessian times v, both of shape (K, r).

        It may overwrite v: with K = 1000 a block and its temporaries do not fit into the cache.
        """

    def curvature_diagonal(self, state: Any, t: TargetBlock) -> NDArray:
        """Return the diagonal of the Hessian, shape (K, r)."""

    def curvature_between(self, state: Any, t: TargetBlock) -> NDArray | None:
        """Return F of shape (K, r). Off the diagonal, the Hessian is -F_k F_j.

        Return None if the Hessian is diagonal.
        """

    def curvature_root(self, state: Any, t: TargetBlock) -> NDArray:
        """Return A of shape (K, K, r), such that A'A is the Hessian of each row."""

    def curvature_bound(self, n_classes: int) -> float:
        """Return the curvature per unit of mass at z = 0, where most fits start."""


LOSSES: dict[str, Loss] = {"categorical": Categorical(), "binary": Binary()}


def loss_of(targets: Any) -> Loss:
    """Return the loss that targets name. If they have an offset, the loss adds it."""
    loss = LOSSES[targets.loss]
    return WithOffset(loss) if targets.has_offset else loss


def without_offset(loss: Loss) -> Loss:
    """Return the loss without the offset, for example for logits along a direction."""
    return loss.loss if isinstance(loss, WithOffset) else loss


def at_temperature(loss: Loss, T: float) -> Loss:
    """Return the loss T * loss(z / T), in which z includes the offset."""
    smoother = AtTemperature(without_offset(loss), T)
    return WithOffset(smoother) if isinstance(loss, WithOffset) else smoother


@dataclass(frozen=True)
class WithOffset:
    """The loss of z + o, in which o is the offset of the targets.

    Only `value_gradient` and `curvature` take the logits of a point, and add o. The other methods
    are linear in their arguments.

    Attributes
    ----------
    loss : Loss
    """

    loss: Loss

    @property
    def shift_invariant(self) -> bool:
        """Whether the loss is shift invariant."""
        return self.loss.shift_invariant

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Loss and gradient at z + o."""
        z += t.offset
        return self.loss.value_gradient(z, t)

    def curvature(self, z: NDArray, t: TargetBlock) -> Any:
        """State of the Hessian at z + o."""
        z += t.offset
        return self.loss.curvature(z, t)

    def curvature_product(self, state: Any, v: NDArray, t: TargetBlock) -> NDArray:
        """Hessian times v."""
        return self.loss.curvature_product(state, v, t)

    def curvature_diagonal(self, state: Any, t: TargetBlock) -> NDArray:
        """Diagonal of the Hessian."""
        return self.loss.curvature_diagonal(state, t)

    def curvature_between(self, state: Any, t: TargetBlock) -> NDArray | None:
        """Return F. Off the diagonal, the Hessian of a row is -F_k F_j."""
        return self.loss.curvature_between(state, t)

    def curvature_root(self, state: Any, t: TargetBlock) -> NDArray:
        """Return A, such that A'A is the Hessian of a row."""
        return self.loss.curvature_root(state, t)

    def curvature_bound(self, n_classes: int) -> float:
        """Curvature per unit of mass at z + o = 0."""
        return self.loss.curvature_bound(n_classes)


@dataclass(frozen=True)
class AtTemperature:
    """The loss T * loss(z / T), whose curvature is large for logits up to the size of T.

    For T > 1 it is at least the loss, and at most T - 1 times the loss at z = 0 above it.

    Source: Nesterov, *Smooth minimization of non-smooth functions*, 2005.

    Attributes
    ----------
    loss : Loss
    T : float
        Temperature.
    """

    loss: Loss
    T: float

    @property
    def shift_invariant(self) -> bool:
        """Whether the loss is shift invariant."""
        return self.loss.shift_invariant

    def value_gradient(self, z: NDArray, t: TargetBlock) -> tuple[NDArray, NDArray]:
        """Loss and gradient."""
        value, gradient = self.loss.value_gradient(z / self.T, t)
        return self.T * value, gradient

    def curvature(self, z: NDArray, t: TargetBlock) -> Any:
        """State of the Hessian at z / T."""
        return self.loss.curvature(z / self.T, t)

    def curvature_product(self, state: Any, v: NDArray, t: TargetBlock) -> NDArray:
        """Hessian times v."""
        return self.loss.curvature_product(state, v, t) / self.T

    def curvature_diagonal(self, state: Any, t: TargetBlock) -> NDArray:
        """Diagonal of the Hessian."""
        return self.loss.curvature_diagonal(state, t) / self.T

    def curvature_between(self, state: Any, t: TargetBlock) -> NDArray | None:
        """Return F. Off the diagonal, the Hessian of a row is -F_k F_j."""
        between = self.loss.curvature_between(state, t)
        return None if between is None else between / np.sqrt(self.T)

    def curvature_root(self, state: Any, t: TargetBlock) -> NDArray:
        """Return A, such that A'A is the Hessian of a row."""
        return self.loss.curvature_root(state, t) / np.sqrt(self.T)

    def curvature_bound(self, n_classes: int) -> float:
        """Curvature per unit of mass at z = 0."""
        return self.loss.curvature_bound(n_classes) / self.T
