"""Kernels: functions of a block of rows, whose results are added up over all blocks.

Every kernel takes a block, the loss, and coefficients A, a as `Data.coefficients` returns them. The
logits are z = A X' + a. A sum over rows has the form R X and R 1, for a matrix R of shape (K, r).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import (
    as_type,
    copied,
    in_flat,
    in_memory_order,
    joined,
    largest,
    namespace,
    numbers,
    sum_of_all,
    sums,
    sums_of_products,
    with_at,
    zeros,
)
from .._data import Block, anywhere, roughly
from .._losses import Loss


@anywhere
def value_gradient(
    block: Block, loss: Loss, A: NDArray, a: NDArray
) -> tuple[float, NDArray, NDArray]:
    """Sum of the losses, and R X and R 1 for the gradient R of the losses."""
    values, R = loss.value_gradient(block.logits(A, a), block.t)
    return sum_of_all(values), *_back(block, R)


def slowly(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[float, NDArray, NDArray]:
    """Compute the same as `value_gradient`, in the type of number of the coefficients."""
    X = block.X.dense().astype(A.dtype)
    values, R = loss.value_gradient(A @ X.T + a, block.t)
    return float(values.sum()), R @ X, R.sum(axis=1)


@anywhere
def curvature(block: Block, loss: Loss, A: NDArray, a: NDArray) -> Any:
    """Return the state that the loss keeps for products with its Hessian."""
    return loss.curvature(block.X.logits(A, a), block.t)


@roughly
def product(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
    """R X and R 1, in which R is the Hessian of the losses times z, with the kept `curvature`."""
    return _back(block, loss.curvature_product(block.kept, block.logits(A, a), block.t))


@roughly
def product_afresh(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
    """Compute the same if no state was kept. The first half of A gives the logits of the point."""
    z = block.logits(A, a)
    K = z.shape[0] // 2
    state = loss.curvature(z[:K, ...], block.t)
    return _back(block, loss.curvature_product(state, z[K:, ...], block.t))


def _back(block: Block, R: NDArray) -> tuple[NDArray, NDArray]:
    return block.X.back(R), sums(R, axis=1)


@anywhere
def residual_square(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[float]:
    """Sum of the squares of residuals per unit of weight, each times the weight of its row."""
    _, R = loss.value_gradient(block.logits(A, a), block.t)
    weights, xp = as_type(block.weights, np.float64), namespace(R)
    squares = sums(as_type(R, np.float64) ** 2, axis=0)
    return (sum_of_all(squares / xp.where(weights > 0, weights, xp.ones_like(weights))),)


@anywhere
@np.errstate(over="ignore", invalid="ignore")  # then the result is not small
def rounding(block: Block, loss: Loss, A: NDArray, a: NDArray, eps: float) -> tuple[float, float]:
    """Return the change of the sum of losses by rounding of the logits, at first and second order.

    A logit is rounded by eps times the sum of the absolute values of its terms.
    """
    z, xp = block.X.logits(A, a), namespace(A)
    moved = block.X.logit_sizes(A)
    moved += xp.abs(a)
    if block.t.offset is not None:
        moved += xp.abs(block.t.offset)
    moved *= eps
    state = loss.curvature(in_memory_order(z), block.t)
    curved = sum_of_all(loss.curvature_diagonal(state, block.t) * moved**2) / 2
    return sum_of_all(xp.abs(loss.value_gradient(z, block.t)[1]) * moved), curved


@anywhere
def moments(block: Block, total_weight: float) -> tuple[NDArray, NDArray]:
    """Weighted means of the columns, and of their squares."""
    return block.X.moments(as_type(block.weights, np.float64) / total_weight)


def extremes(block: Block, start: float) -> tuple[float, ...]:
    """Return minus the smallest, then the largest value of each column in rows with weight.

    The values are at least -`start`, also if no row has weight.
    """
    X = block.X.dense()[block.weights > 0]
    both = np.concatenate([-X.min(axis=0, initial=start), X.max(axis=0, initial=-start)])
    return tuple(both.tolist())


def slope_sizes(block: Block, loss: Loss, W: NDArray, mean: NDArray) -> tuple[NDArray, ...]:
    """Return three sums that tell how rounding changes slopes without an intercept.

    They are the absolute values of the terms of each slope, the curvature along columns less a
    mean, and the change of slopes along these if a logit changes by the size of its terms.
    """
    X = block.X.dense()
    z, size, distance = W @ X.T, np.abs(X), np.abs(X - mean)
    terms = np.abs(loss.value_gradient(z.copy(), block.t)[1]) @ size
    h = loss.curvature_diagonal(loss.curvature(z, block.t), block.t)  # overwrites z
    moved = np.abs(W) @ size.T
    if block.t.offset is not None:
        moved += np.abs(block.t.offset)
    return terms, h @ distance**2, (h * moved) @ distance


@anywhere
def total_mass(block: Block) -> tuple[float]:
    """Sum of the mass of rows, or of rows and outputs if each output has its own mass."""
    return (sum_of_all(block.t.mass),)


def least_loss(block: Block, n_outputs: int, softmax: bool) -> tuple[float]:
    """Sum of the entropies of the targets, less their rounding. No logits make the loss smaller.

    Each term is computed as a whole. If a row has one class, its entropy is zero, and rounding may
    be larger than the loss of a good fit.
    """
    t, mass = block.t.dense(n_outputs), block.t.mass
    rounded = 4 * float(np.finfo(t.dtype).eps) * float(mass.sum(dtype=np.float64))
    t, mass = t.astype(np.float64), np.broadcast_to(mass, t.shape).astype(np.float64)
    entropy = _entropy(t, mass) + (0.0 if softmax else _entropy(mass - t, mass))
    return (entropy - rounded,)


def _entropy(t: NDArray, mass: NDArray) -> float:
    """Sum of t log(mass / t) over positive t."""
    ratio = np.divide(mass, t, out=np.ones_like(t), where=t > 0)
    return float((t * np.log(ratio)).sum())


def sides_with_mass(block: Block, n_outputs: int) -> tuple[float, ...]:
    """Whether each output has target mass, then whether each lacks target mass, as 0 and 1."""
    t, mass = block.t.dense(n_outputs), block.t.mass
    return tuple(np.concatenate([(t > 0).any(axis=1), (mass > t).any(axis=1)]).astype(float))


@anywhere
def diagonal(
    block: Block, loss: Loss, A: NDArray, a: NDArray, mean: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Diagonal of the sum of the Hessians, for columns less a mean and for intercepts."""
    R = _curvatures(block, loss, A, a)
    return block.X.back_squares(R, mean), sums(R, axis=1)


@anywhere
def column_curvatures(
    block: Block, loss: Loss, A: NDArray, a: NDArray, mean: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Mean over all outputs of the curvature along columns less a mean, and along an intercept."""
    q = _curvatures(block, loss, A, a)
    q = namespace(q).mean(q, axis=0, keepdims=True)
    return block.X.back_squares(q, mean), sums(q, axis=1)


@anywhere
def intercept_hessian(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[NDArray]:
    """Sum of the Hessians for intercepts. Small elements are exact, too."""
    state = curvature(block, loss, A, a)
    own = sums(loss.curvature_diagonal(state, block.t), axis=1, dtype=np.float64)
    between = loss.curvature_between(state, block.t)
    H = zeros(own.shape[0], own) if between is None else as_type(-(between @ between.T), np.float64)
    return (with_at(H, in_flat(numbers(own)), own),)


@anywhere
def mean_curvature(block: Block, loss: Loss, A: NDArray, a: NDArray) -> tuple[NDArray]:
    """Sum of the curvatures of each output."""
    q = _curvatures(block, loss, A, a)
    return (sums(q, axis=1, dtype=np.float64),)


@anywhere
def class_matrices(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    mean: NDArray | None,
    Q: NDArray | float,
    fit_intercept: bool,
) -> tuple[NDArray]:
    """Hessian of each class in the variables (X - mean) Q, and the intercept if there is one."""
    X, xp = block.X.dense(), namespace(W)
    q = loss.curvature_diagonal(loss.curvature(W @ X.T + b[:, None], block.t), block.t)
    Z = X if mean is None else X - mean
    Z = Z @ Q if getattr(Q, "ndim", 0) == 2 else Z * Q
    if fit_intercept:
        Z = joined([Z, 0 * Z[:, :1] + 1], axis=1)
    return (xp.stack([(Z.T * q[k, ...]) @ Z for k in range(q.shape[0])]),)


def _curvatures(block: Block, loss: Loss, A: NDArray, a: NDArray) -> NDArray:
    """Diagonals of the Hessians of the rows, shape (K, r), from the kept `curvature` if any."""
    state = curvature(block, loss, A, a) if block.kept is None else block.kept
    return loss.curvature_diagonal(state, block.t)


@anywhere
def recession(
    block: Block, loss: Loss, A: NDArray, a: NDArray, far_along: float
) -> tuple[float, float]:
    """Return the largest move of the logits of a row along a direction, and the largest loss.

    Far along a direction d of the logits, the loss of a row grows like m * max(d) - t.d. A binary
    loss grows like the sum over outputs of m * max(d, 0) - t * d. The largest loss is this growth
    per unit of mass, computed at a distance of `far_along`.
    """
    z, t = block.X.logits(A, a), block.t
    xp = namespace(z)
    if t.mass.ndim == 2:  # an output may be missing in some rows
        z = xp.where(t.mass > 0, z, 0.0)
    size = float(largest(xp.abs(z)))
    if not size > 0:
        return 0.0, 0.0
    z = as_type(z, np.float64)
    mass = t.mass if t.mass.ndim == 1 else largest(t.mass, axis=0)
    seen = mass > 0
    far = largest(z, axis=0) + largest(-z, axis=0) if z.shape[0] > 1 else xp.abs(z[0, ...])
    if not loss.shift_invariant:
        far = xp.maximum(far, largest(xp.abs(z), axis=0))
    values, _ = loss.value_gradient(z * (far_along / size), t)
    lost = values / xp.where(seen, mass, 1.0)
    farthest, most = (float(largest(xp.where(seen, own, 0.0))) for own in (far, lost))
    return farthest, most * size / far_along


@anywhere
def far_curvature(
    block: Block, loss: Loss, A: NDArray, a: NDArray, farthest: float
) -> tuple[float]:
    """Curvature along the second half of A, of rows whose logits it moves by over `farthest`."""
    z, xp = block.X.logits(A, a), namespace(A)
    K = z.shape[0] // 2
    moved = z[K:, ...]
    if loss.shift_invariant:
        distance = largest(moved, axis=0) + largest(-moved, axis=0)
    else:
        distance = largest(xp.abs(moved), axis=0)
    state = loss.curvature(z[:K, ...], block.t)
    curved = loss.curvature_product(state, in_memory_order(moved), block.t)
    return (sum_of_all(xp.where(distance > farthest, curved * moved, 0.0)),)


@anywhere
def logits(block: Block, A: NDArray, a: NDArray) -> NDArray:
    """Return logits, to be kept."""
    return block.X.logits(A, a)


@anywhere
def with_step(block: Block, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
    """Return the kept logits of a point, and how much a whole step moves them."""
    return block.kept, block.X.logits(A, a)


@anywhere
def with_itself(block: Block) -> tuple[NDArray, NDArray]:
    """Return the kept logits of a point twice: they are also how far the point moves them."""
    return block.kept, block.kept


@anywhere
def after_step(
    block: Block,
    lengths: NDArray,
    scales: NDArray | None,
    shifts: NDArray,
    centred: bool,
) -> NDArray:
    """Return the logits after a step, with a length, a scale and a shift for each output.

    The logits of the point are multiplied by 1 plus the scale. If `centred`, the mean over all
    outputs is taken off each row.
    """
    z, d = block.kept
    moved = d * lengths
    moved += z if scales is None else z * (1 + scales)
    moved += shifts
    if centred:
        moved -= sums(moved, axis=0) / moved.shape[0]
    return moved


@anywhere
def value_gradient_of_kept(block: Block, loss: Loss) -> tuple[float, NDArray, NDArray]:
    """Compute the same as `value_gradient`, from kept logits."""
    values, R = loss.value_gradient(copied(block.kept), block.t)
    return sum_of_all(values), *_back(block, R)


@anywhere
def value_slopes(
    block: Block, loss: Loss, lengths: NDArray, scales: NDArray | None, shifts: NDArray
) -> tuple[float | NDArray, ...]:
    """Sum of the losses after a step, and its slopes in the lengths, the scales and the shifts."""
    z = after_step(block, lengths, scales, shifts, centred=False)
    values, R = loss.value_gradient(z, block.t)
    own, step = block.kept
    along = (step,) if scales is None else (step, own)
    return sum_of_all(values), *(sums_of_products(R, d) for d in along), sums(R, axis=1)


@anywhere
def length_curvatures(block: Block, loss: Loss, scaled: bool) -> tuple[NDArray, ...]:
    """Curvatures of each output, between its length, its scale if it has one, and its shift.

    They are the upper triangle of a matrix, row by row.
    """
    z, d = block.kept
    q = loss.curvature_diagonal(loss.curvature(copied(z), block.t), block.t)
    along, found = ((d, z) if scaled else (d,)), []
    for i, one in enumerate(along):
        moved = q * one
        found += [sums_of_products(moved, other) for other in along[i:]]
        found.append(sums(moved, axis=1))
    return *found, sums(q, axis=1)


@anywhere
def mean_curvature_of_kept(block: Block, loss: Loss) -> tuple[NDArray]:
    """Compute the same as `mean_curvature`, from kept logits."""
    q = loss.curvature_diagonal(loss.curvature(copied(block.kept), block.t), block.t)
    return (sums(q, axis=1, dtype=np.float64),)


def joint_hessian(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    in_variables: Callable[[NDArray], NDArray],
    total_weight: float,
) -> tuple[NDArray, ...]:
    """Sum of the Hessians in variables Z of the rows: within each class, and between classes.

    The part between classes is B B', which the caller subtracts. If the Hessian of a row is
    diagonal, there is no such part. Both are divided by the total weight.
    """
    XT, Z, ZT = block.kept or rows_in_variables(block, in_variables)
    state = loss.curvature(W @ XT + b[:, None], block.t)
    own = (ZT * (loss.curvature_diagonal(state, block.t) / total_weight)[:, None]) @ Z
    F = loss.curvature_between(state, block.t)
    if F is None:
        return (own,)
    B = (ZT * (F / np.sqrt(total_weight))[:, None]).reshape(len(F) * len(ZT), -1)
    return own, B @ B.T


def rows_in_variables(
    block: Block, in_variables: Callable[[NDArray], NDArray]
) -> tuple[NDArray, NDArray, NDArray]:
    """Return X', and Z and Z' of the rows."""
    X = block.X.dense()
    Z = in_variables(X)
    return np.ascontiguousarray(X.T), Z, np.ascontiguousarray(Z.T)


def some_hessian(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    columns: NDArray | None,
    mean: NDArray | None,
    places: NDArray,
    groups: list[slice],
    root: float,
) -> tuple[NDArray, ...]:
    """Sum of the Hessians for some coefficients, those of a class side by side.

    Parameters
    ----------
    block : Block
    loss : Loss
    W, b : ndarray of shape (K, n_columns) and (K, 1)
        Coefficients of the columns in use. All others are zero.
    columns : ndarray or None
        The columns in use. None for all.
    mean : ndarray of shape (n_columns, 1), or None
        Mean to subtract from these columns.
    places : ndarray of int
        Position of each coefficient among these columns. The position after the last column is the
        intercept.
    groups : list of slice
        Coefficients of each class.
    root : float
        Square root of the total weight. All results are divided by the total weight.

    Returns
    -------
    within : one ndarray for each class
    between : ndarray
        The part to subtract. It is absent if the Hessian of a row is diagonal.
    """
    X = block.X.dense(columns)
    Z = np.ones((X.shape[1] + 1, len(X)))  # the last one is the intercept
    Z[:-1] = X.T
    z = W @ Z[:-1] + b
    if mean is not None:
        Z[:-1] -= mean
    state = loss.curvature(z, block.t)
    between = loss.curvature_between(state, block.t)
    a = np.sqrt(loss.curvature_diagonal(state, block.t)) / root
    crossed = []
    if between is not None:
        B = Z[places]
        for k, group in enumerate(groups):
            B[group] *= between[k] / root
        crossed.append(B @ B.T)
    within = []
    for k, group in enumerate(groups):
        B = Z[places[group]]
        B *= a[k]
        within.append(B @ B.T)
    return *within, *crossed


def some_root(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    mean: NDArray | None,
    classes: NDArray,
    features: NDArray,
) -> NDArray:
    """Return R, such that R'R is the sum of the Hessians for some coefficients.

    Parameters
    ----------
    block : Block
    loss : Loss
    W, b : ndarray of shape (K, n_columns) and (K,)
    mean : ndarray of shape (n_columns,), or None
        Mean to subtract from the columns.
    classes, features : ndarray of int
        Class and feature of each coefficient. The feature after the last is the intercept.
    """
    X = block.X.dense()
    Z = np.ones((X.shape[1] + 1, len(X)))
    Z[:-1] = X.T
    state = loss.curvature(W @ Z[:-1] + b[:, None], block.t)
    if mean is not None:
        Z[:-1] -= mean[:, None]
    A = loss.curvature_root(state, block.t)
    return np.asarray((A[:, classes] * Z[features]).transpose(0, 2, 1).reshape(-1, len(classes)))
