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
curvature_bound(K)
    The curvature per unit of mass at z = 0, which a preconditioner takes as typical.

Logits are shifted, never clipped: values are exact to rounding for any finite z.
"""

from __future__ import annotations

from types import ModuleType

from . import _binary, _categorical

LOSSES: dict[str, ModuleType] = {"categorical": _categorical, "binary": _binary}
