"""The Newton decrement, an estimate of the gap to the optimum, and the Newton step.

The decrement

    gap = g' H^-1 g / 2

does not depend on the units of the features (Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 9.5.1). Conjugate gradients on products with H add up the decrement term by term. They find
H^-1 g at the same time.

The sum still misses r' H^-1 r / 2, with r the residual of the linear system. If all coefficients
have an L2 penalty, an upper bound of this is known (`Whitened.missed`), and the sum is complete
once the bound is small. If no bound is known, the smallest Ritz value so far is used in place of
the smallest eigenvalue of H.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from .._costs import DEFAULT, Costs


@dataclass
class Decrement:
    """The Newton decrement at a point.

    Attributes
    ----------
    gap : float
        Estimate of F - F*; a lower bound if `complete` is False.
    complete : bool
        Whether the sum has settled.
    step : ndarray
        The Newton step, as far as the linear system was solved.
    left : float
        If a bound of what the sum misses made it complete: that bound. Otherwise a bound of what
        the intercepts alone can gain.
    """

    gap: float
    complete: bool
    step: NDArray
    left: float = 0.0


@np.errstate(over="ignore", invalid="ignore")  # then the gap is infinite
def newton_decrement(
    gradient: NDArray,
    user_gradient: NDArray,
    product: Callable[[NDArray], tuple[NDArray, NDArray]],
    missed: Callable[..., float],
    unseen: Callable[[NDArray, float], float] = lambda *_: 0.0,
    *,
    limit: float,
    truncation: float,
    costs: Costs = DEFAULT,
    missing: float | None = None,
    white: bool = True,
    eps: float = float(np.finfo(np.float64).eps),
    max_products: int | None = None,
    trust: float = 1.0,
    as_bounded: bool = False,
    most: float = np.inf,
    slope_size: Callable[[], float] = lambda: 1.0,
) -> Decrement:
    """Sum g' H^-1 g / 2 by conjugate gradients.

    Each iteration adds the decrease of the quadratic model, alpha * |r|^2 / 2. The sum has settled
    when the bound of what is missing is small compared with the sum or with `limit`. If there is no
    bound, |r|^2 / (2 lambda) must be small, with lambda the smallest Ritz value so far, and the
    last terms of the sum must be small too. A sum above `limit` ends earlier: once its last term is
    less than `truncation` times the mean of all terms.

    Parameters
    ----------
    gradient : ndarray of shape (n_variables,)
        The gradient g in the variables of the solver.
    user_gradient : ndarray of shape (size,)
        The gradient in the user's variables.
    product : callable
        Takes v and returns H v, in the variables of the solver and in the user's.
    missed : callable
        Takes the residual in the user's variables and returns an upper bound of r' H^-1 r / 2,
        infinite if none is known.
    unseen : callable, optional
        Takes the residual, and an amount that would be small enough, and returns the part of the
        gap that the bound leaves out; 0 by default. It is called only if the bound is small.
    limit : float
        The gap that matters.
    truncation : float
        How small the last term of a sum above `limit` must be; 0 to let every sum settle.
    costs : Costs
        The constants of a fit.
    missing : float, default=None
        The share of the gap that a sum may still miss; None for the one in `costs`.
    white : bool, default=True
        Whether the variables were whitened, so that the smallest Ritz value can be trusted.
    eps : float, default=2.2e-16
        Precision of the products.
    max_products : int, default=None
        Hessian products at most; None for the number in `costs`.
    trust : float, default=1.0
        By which factor `missed` may be above what is missed, if the Ritz values agree.
    as_bounded : bool, default=False
        Whether a sum is complete as soon as the sum plus the bound of what it misses is at most
        `limit`. A larger sum ends as soon as the bound alone is: the gradient after the step is
        about the residual, so that it bounds the gap there.
    most : float, default=inf
        The sum ends once it is larger than this, which is too large to be believed.
    slope_size : callable, optional
        Returns an upper bound of the terms of a slope, in units of the size of its column; 1 by
        default. A slope is rounded by about `eps` of that.

    Returns
    -------
    Decrement

    Notes
    -----
    Sources: Hestenes and Stiefel, *Methods of conjugate gradients for solving linear systems*,
    1952; Nash and Sofer, *Assessing a search direction within a truncated-Newton method*, 1990;
    Meurant and Tichy, *On computing quadrature-based bounds for the A-norm of the error in
    conjugate gradients*, 2013.
    """
    found = Decrement(0.0, True, np.zeros_like(gradient))
    if not gradient.any():
        return found
    missing = costs.missing if missing is None else missing
    max_products = costs.products if max_products is None else max_products
    residual, user_residual = -gradient, -user_gradient
    direction, temporary = residual.copy(), np.empty_like(residual)
    rounded_away = np.finfo(gradient.dtype).eps ** costs.rounded_away
    sums, norms = [0.0], [float(residual @ residual)]
    if not norms[0] < np.inf:  # the square overflows
        return Decrement(np.inf, False, found.step)
    lengths: list[float] = []
    has_bound = missed(user_residual) < np.inf

    def smallest_eigenvalue() -> float:
        """Smallest Ritz value, but at most a typical eigenvalue: the first may be far larger."""
        return min(_smallest_ritz_value(lengths, norms), costs.typical_eigenvalue)

    def is_small() -> bool:
        """Whether the residual is small in itself: in white variables half of its square is a gap.

        Less curvature than usual makes the gap larger.
        """
        small = missing * max(found.gap, limit)
        return norms[-1] <= 2 * small * smallest_eigenvalue()

    def is_solved() -> bool:
        """Whether the residual is next to nothing beside its start and, if white, in itself."""
        solved = norms[-1] <= eps**costs.solved_without_bound * norms[0]
        return solved and (not white or is_small())

    def rounding_hides(enough: float) -> bool:
        """Whether the bound is small except for rounding: variables may lack a direction."""
        if not has_bound:
            return True
        rounding = costs.slope_terms * eps * slope_size()
        return missed(user_residual, rounding) / trust <= enough

    def is_complete(left: float) -> bool:
        """Whether little is missing by the terms, the Ritz values and the bound `left`, if used."""
        if found.gap + left <= limit:
            found.left = left + unseen(user_residual, limit - found.gap - left)
            if found.gap + found.left <= limit:
                return True
        if not (white or has_bound):
            return is_solved()
        small = missing * max(found.gap, limit)
        window = max(3, len(sums) // 4)
        settled = len(sums) > window and found.gap - sums[-1 - window] <= small and is_small()
        if not settled and norms[-1] > costs.solved * norms[0]:
            return False
        bound = (left if as_bounded else missed(user_residual)) / trust
        if bound < np.inf:
            enough = max(costs.missing_bound * np.sqrt(missing) * found.gap, limit - found.gap)
            found.left, share = 0.0, costs.intercept_gain
            if bound <= enough:
                found.left = unseen(user_residual, share * (enough - bound))
            if bound + found.left <= enough:
                return True
            return norms[-1] <= rounded_away * norms[0] and rounding_hides(enough)
        return (settled and white) or is_solved()

    found.complete = False
    for _ in range(max_products):
        curved, user_curved = product(direction)
        curvature = float(direction @ curved)
        if not 0 < curvature < np.inf:  # zero, or lost to rounding
            found.complete = is_solved() and rounding_hides(limit)
            found.gap = found.gap if found.complete else np.inf
            return found
        length = norms[-1] / curvature
        found.step += np.multiply(direction, length, out=temporary)
        residual -= np.multiply(curved, length, out=curved)
        user_residual -= np.multiply(user_curved, length, out=user_curved)
        found.gap += length * norms[-1] / 2
        sums.append(found.gap)
        lengths.append(length)
        norms.append(float(residual @ residual))
        last_term = sums[-1] - sums[-2]
        left = missed(user_residual) if as_bounded else np.inf
        enough = found.gap > limit and (
            last_term * (len(sums) - 1) < truncation * found.gap or left <= limit
        )
        if not np.isfinite(found.gap + norms[-1]):  # almost no curvature
            found.gap = np.inf
            return found
        if enough or found.gap > most:
            return found
        found.complete = is_complete(left)
        stagnant = (
            len(sums) > costs.stagnant
            and found.gap - sums[-costs.stagnant] <= costs.stagnant_gain * found.gap
        )
        if found.complete or stagnant:
            return found
        direction *= norms[-1] / norms[-2]
        direction += residual
    return found


def _smallest_ritz_value(lengths: list[float], norms: list[float]) -> float:
    """Return the smallest eigenvalue of the Lanczos matrix of conjugate gradients."""
    if len(lengths) == 1:  # old SciPy takes no matrix of one row
        return 1 / lengths[0]
    alpha, squares = np.array(lengths), np.array(norms)
    beta = squares[1:-1] / squares[:-2]
    diagonal = 1 / alpha
    diagonal[1:] += beta / alpha[:-1]
    off = np.sqrt(beta) / alpha[:-1]
    smallest = eigh_tridiagonal(diagonal, off, eigvals_only=True, select="i", select_range=(0, 0))
    return float(smallest[0])
