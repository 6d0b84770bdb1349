"""What inference computes on a block of rows, and adds up over all blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .._data import Block
from .._losses import Loss
from .._losses.categorical import softmax
from .._problem import kernels

InVariables = Callable[[NDArray], NDArray]


def with_one(X: NDArray) -> NDArray:
    """Return rows with a last column of ones, for the intercept."""
    return np.column_stack([X, np.ones(len(X))])


def as_they_are(X: NDArray) -> NDArray:
    """Return rows as they are."""
    return X


def counted(block: Block, n_outputs: int) -> tuple[float]:
    """Return how far target mass is from whole numbers, relatively if it is above 1."""
    t, mass = block.t.dense(n_outputs).astype(np.float64), np.atleast_2d(block.t.mass)
    off = np.abs(t - np.rint(t)) / np.maximum(t, 1)
    whole = np.abs(mass - np.rint(mass)) / np.maximum(mass, 1)
    return (float(max(off.max(initial=0), whole.max(initial=0))),)


def masses(block: Block, n_outputs: int) -> tuple[NDArray, NDArray]:
    """Return the target mass of each output, and the total mass of which it is a part."""
    t, mass = block.t.dense(n_outputs), np.atleast_2d(block.t.mass)
    total = np.broadcast_to(mass, t.shape).sum(axis=1, dtype=np.float64)
    return t.sum(axis=1, dtype=np.float64), total


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused
def information(
    block: Block, loss: Loss, W: NDArray, b: NDArray, in_variables: InVariables
) -> tuple[NDArray, ...]:
    """Sum of the Hessians, in the form of `joint_hessian`."""
    return kernels.joint_hessian(block, loss, W, b, in_variables, 1.0)


def value_gradient(
    block: Block, loss: Loss, W: NDArray, b: NDArray
) -> tuple[float, NDArray, NDArray]:
    """Sum of the losses, and its gradients, in float64."""
    return kernels.slowly(block, loss, W, b[:, None])


def scores(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    in_variables: InVariables,
    of_penalty: NDArray,
) -> NDArray:
    """Gradient of the part of each row in the objective, shape (r, K d).

    Parameters
    ----------
    block : Block
    loss : Loss
    W, b : ndarray of shape (K, p) and (K,)
    in_variables : callable
    of_penalty : ndarray of shape (K d,)
        Gradient of the penalty for a unit of weight, so that scores sum to zero at the optimum.
    """
    X = block.X.dense()
    Z = in_variables(X)
    _, R = loss.value_gradient(W @ X.T + b[:, None], block.t)
    S = (R.T[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)
    S += np.multiply.outer(block.weights.astype(np.float64), of_penalty)
    return S


@np.errstate(over="ignore", invalid="ignore")
def score_squares(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    in_variables: InVariables,
    of_penalty: NDArray,
) -> tuple[NDArray]:
    """Sum of the outer products of scores with themselves, shape (K d, K d)."""
    S = scores(block, loss, W, b, in_variables, of_penalty)
    return (S.T @ S,)


def firth_gradient(
    block: Block,
    loss: Loss,
    W: NDArray,
    b: NDArray,
    in_variables: InVariables,
    inverse: NDArray,
) -> tuple[float, NDArray]:
    """Sum of the losses, and gradient of it minus half the log-determinant of the information.

    With C = I^-1 and Q_kh = z' C_kh z, the gradient of half the log-determinant in logit l is

        categorical    m / 2 * p_l * (D_l - sum_c p_c D_c),  D_c = (e_c - p)' Q (e_c - p)
        binary         m / 2 * q_l * (1 - q_l) * (1 - 2 q_l) * Q_ll

    Parameters
    ----------
    block : Block
    loss : Loss
    W, b : ndarray of shape (K, p) and (K,)
    in_variables : callable
    inverse : ndarray of shape (K, d, K, d)
        C above.
    """
    X, K = block.X.dense(), len(W)
    Z = in_variables(X)
    z = W @ X.T + b[:, None]
    if loss.shift_invariant:
        e = np.exp(z - z.max(axis=0))
        p = e / e.sum(axis=0)
        Q = np.empty((K, K, len(Z)))
        for k in range(K):
            for h in range(K):
                Q[k, h] = np.einsum("rd,rd->r", Z @ inverse[k, :, h], Z)
        Qp = np.einsum("khr,hr->kr", Q, p)
        D = np.einsum("kkr->kr", Q) - 2 * Qp + (p * Qp).sum(axis=0)
        half = p * (D - (p * D).sum(axis=0))
    else:
        e = np.exp(-np.abs(z))
        Q = np.stack([np.einsum("rd,rd->r", Z @ inverse[k, :, k], Z) for k in range(K)])
        # 1 - 2 sigmoid(z) = -tanh(z / 2)
        half = -e / (1 + e) ** 2 * np.tanh(z / 2) * Q
    values, R = loss.value_gradient(z, block.t)
    R = R - block.t.mass * half / 2
    return float(values.sum(dtype=np.float64)), R @ Z


def derivatives(z: NDArray, form: str) -> tuple[NDArray, NDArray]:
    """First and second derivatives of probabilities in the logits.

    One-vs-rest has p_k = q_k / sum_h q_h with q = sigmoid(z), so that d log q_h / dz_h = 1 - q_h;
    softmax is the same with exp(z) in place of q, and 1 in place of 1 - q_h.

    Parameters
    ----------
    z : ndarray of shape (K, r)
    form : str
        A key of `OUTPUTS`.

    Returns
    -------
    first : ndarray of shape (K, K, r)
        The probability, and the logit.
    second : ndarray of shape (K, K, K, r)
    """
    K = len(z)
    one = np.eye(K)[..., None]
    if form in ("sigmoid", "multilabel"):
        q = expit(z)
        slope = q * expit(-z)
        first = one * slope
        return first, one[:, :, None] * one[:, None] * (slope * (1 - 2 * q))
    if form == "softmax":
        p, a, a_slope = softmax(z), np.ones_like(z), np.zeros_like(z)
    else:
        q, a = expit(z), expit(-z)
        p, a_slope = q / q.sum(axis=0), -q * a
    left = (one - p) * a  # [k, h] = (1[k = h] - p_h) a_h, which is d log p_k / dz_h
    first = p[:, None] * left
    second = first[:, None] * left[:, :, None] - p[:, None, None] * (a[:, None] * first)
    second += one[None] * (p[:, None] * (one - p) * a_slope)[:, :, None]
    return first, second


@np.errstate(over="ignore", invalid="ignore")
def effects(
    block: Block, loss: Loss, W: NDArray, b: NDArray, in_variables: InVariables, form: str
) -> tuple[NDArray, NDArray]:
    """Sum the first derivatives of weighted rows, and the second ones times each variable."""
    del loss
    X, s = block.X.dense(), block.weights.astype(np.float64)
    z = W @ X.T + b[:, None]
    z = z if block.t.offset is None else z + block.t.offset
    first, second = derivatives(z, form)
    return (first * s).sum(axis=-1), (second * s) @ in_variables(X)
