"""The Newton decrement: an estimate of the gap to the optimum, and the Newton step, in one.

    gap = g' H^-1 g / 2

does not depend on the units of the features (Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 9.5.1). SciPy's conjugate gradients solve for H^-1 g on products with H.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.linalg.blas import get_blas_funcs
from scipy.sparse.linalg import LinearOperator, cg

#: Hessian products in one sum of the decrement, at most.
PRODUCTS = 1000
#: The part of the gap that a sum may still miss once it counts as settled. The Newton step taken at
#: the end is as exact, which decides how many digits of the coefficients agree.
MISSING = 1e-4
#: The square of a residual that counts as solved, in proportion, and where no more can be done.
SOLVED = 1e-8
_NEARLY_SOLVED = 1e-4
#: Products that gain nothing but rounding, after which no more is to be had.
_STAGNANT = 30
_ROUNDING = 1e-13
#: Whitened features have eigenvalues about this, rows of norm 1 smaller ones.
_TYPICAL_EIGENVALUE = 1.0


class _EndOfSumError(Exception):
    """Ends conjugate gradients from their callback."""


@dataclass
class Decrement:
    """The Newton decrement at a point.

    Attributes
    ----------
    gap : float
        Estimate of F - F*; a lower bound where `complete` is False.
    complete : bool
        Whether the sum has settled.
    step : ndarray
        The Newton step, as far as it was solved.
    """

    gap: float
    complete: bool
    step: NDArray


def newton_decrement(
    gradient: NDArray,
    hessian: Callable[[NDArray], NDArray],
    *,
    limit: float,
    truncation: float,
    missing: float = MISSING,
    max_products: int = PRODUCTS,
) -> Decrement:
    """Sum g' H^-1 g / 2 by conjugate gradients: until it has settled, or is a step above `limit`.

    From a zero start the iterate x of conjugate gradients has x' H x = -g' x, so that -g' x / 2 is
    what the quadratic model gains, and grows to the decrement. What is missing is r' H^-1 r / 2, r
    being the residual of H x = -g. The sum counts as settled when |r|^2 / (2 lambda) is small
    beside it, or beside `limit`, with lambda the smallest Ritz value so far, an estimate of the
    smallest eigenvalue that g excites, and its last terms are small too. Above `limit` it ends
    earlier, once the last term is less than `truncation` times the mean of all.

    Parameters
    ----------
    gradient : ndarray
        The gradient g.
    hessian : callable
        Takes v and returns H v.
    limit : float
        The gap that matters.
    truncation : float
        How small the last term of a sum above `limit` need be; 0 to let every sum settle.
    missing : float
        The part of the gap that a sum may still miss.
    max_products : int
        Hessian products at most.

    Returns
    -------
    Decrement

    Notes
    -----
    Sources: Nash and Sofer, *Assessing a search direction within a truncated-Newton method*, 1990;
    Meurant and Tichy, *On computing quadrature-based bounds for the A-norm of the error in
    conjugate gradients*, 2013.
    """
    found = Decrement(0.0, True, np.zeros_like(gradient))
    if not gradient.any():
        return found
    residual = -gradient
    axpy = get_blas_funcs("axpy", dtype=gradient.dtype)
    sums, lengths, norms = [0.0], [], [float(residual @ residual)]
    length = 0.0
    curved = gradient

    def matvec(v: NDArray) -> NDArray:
        nonlocal curved, length
        curved = hessian(v)
        curvature = float(v @ curved)
        if not 0 < curvature < np.inf:  # lost in rounding, or zero
            found.complete = norms[-1] <= _NEARLY_SOLVED * norms[0]
            found.gap = found.gap if found.complete else np.inf
            raise _EndOfSumError
        length = float(v @ residual) / curvature
        return curved

    def callback(x: NDArray) -> None:
        axpy(curved, residual, a=-length)  # in place, where NumPy would need a temporary
        gap = -float(gradient @ x) / 2
        sums.append(gap)
        lengths.append(length)
        norms.append(float(residual @ residual))
        found.gap, found.step = gap, x
        small = missing * max(gap, limit)
        window = max(3, len(sums) // 4)
        found.complete = (
            norms[-1] <= SOLVED * norms[0]
            or (len(sums) > _STAGNANT and gap - sums[-_STAGNANT] <= _ROUNDING * gap)
            or (
                len(sums) > window
                and gap - sums[-1 - window] <= small
                and norms[-1] <= 2 * small * _smallest_ritz_value(lengths, norms)
            )
        )
        last_term = max(gap - sums[-2], 0)
        enough = gap > limit and last_term * (len(sums) - 1) < truncation * gap
        if found.complete or enough:
            raise _EndOfSumError

    size = len(gradient)
    operator = LinearOperator((size, size), matvec=matvec, dtype=gradient.dtype)
    # A singular Hessian makes conjugate gradients divide by zero, which the callback sees.
    with np.errstate(all="ignore"):
        try:
            _, failed = cg(
                operator, -gradient, rtol=1e-10, atol=0, maxiter=max_products, callback=callback
            )
        except _EndOfSumError:
            return found
    found.complete = not failed
    return found


def _smallest_ritz_value(lengths: list[float], norms: list[float]) -> float:
    """Smallest eigenvalue of the Lanczos matrix that conjugate gradients build.

    At most a typical one: where a few far larger ones come first, those say nothing of the rest.
    """
    alpha, squares = np.array(lengths), np.array(norms)
    beta = squares[1:-1] / squares[:-2]
    diagonal = 1 / alpha
    diagonal[1:] += beta / alpha[:-1]
    off = np.sqrt(beta) / alpha[:-1]
    smallest = eigh_tridiagonal(diagonal, off, eigvals_only=True, select="i", select_range=(0, 0))
    return min(float(smallest[0]), _TYPICAL_EIGENVALUE)
