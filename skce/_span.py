"""The range of C that matters, from the slope and the curvature of the losses at zero coefficients.

Set all penalised coefficients to zero, and fit the intercepts and the other coefficients. Let G be
the gradient of the sum of the losses there, and H its Hessian, with the intercepts eliminated. Let
rho be the L1 share, and f_j the factor of the penalty. For a coefficient of column j,

    C |G_kj| = rho f_j              is the C at which the coefficient leaves zero
    C H_jj = (1 - rho) f_j          is the C at which L2 penalty and losses have equal curvature
    C sqrt(H_jj) = rho f_j          is the C at which the coefficient of pure noise leaves zero

H_jj is the sum of the weights times the variance of the column times p (1 - p). All three values
therefore depend on the units of the column: a column in large units matters at a small C, and a
column in small units at a large C. The range of C that matters goes from the smallest of these
values to the largest. If there are few columns, directions with almost no variance count too, such
as the difference of two nearly equal columns: the smallest eigenvalue of H then replaces the
smallest H_jj.

If y did not depend on X, the mean of |G|^2 would be tr H. The ratio r of the two says how far the
slope is above the noise, and so how far C may be above the second value: for a ridge penalty, C is
the variance of the coefficients that explains |G|^2, by the method of moments.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._checks import check_numbers
from ._problem import kernels
from ._problem.objective import Objective
from ._solver.minimize import minimize
from ._solver.variables import moments

#: The largest number of values of C. It detects a value of C that is passed as a number of values.
MOST_CS = 100_000
#: If the L1 share is less than this, the L2 penalty decides where a path begins.
_LEAST_L1 = 1e-3
#: Accuracy of the fit with all penalised coefficients at zero, and the factor to stay just below
#: the C at which the first coefficient leaves zero.
_ZERO_TOL = 1e-12
_JUST_BELOW = 1 - 1e-9
#: A span begins at this share of the C that halves the way along the steepest direction.
_NEXT_TO_NOTHING = 1e-2
#: Larger ratios of slope to noise are replaced by this one.
_LOUDEST = 300.0
#: A span ends at this multiple of the C at which the flattest column matters, for L2 and for L1. If
#: classes are nearly separated, the curvature at the optimum is that much smaller than at zero.
_BEYOND = 1e4
_BEYOND_L1 = 1e2
#: A column is constant if its variance is less than this share of its mean square, due to rounding.
_CONSTANT = 1e-13
#: A variance below this share of the largest one, times the number of columns, is due to rounding.
_COLLINEAR = 1e-14
#: The smallest and the largest value of C.
_LEAST_C, _MOST_C = 1e-100, 1e100


class Span(NamedTuple):
    """The range of C that matters to an objective.

    Attributes
    ----------
    first : float
        Up to this C all penalised coefficients are zero, or nearly zero.
    begin : float
        The C at which a search begins, from the ratio of slope to noise in the direction in which
        the losses decrease most steeply.
    every : float
        The C at which every column matters.
    last : float
        Above this C the penalty matters little, unless classes are separated.
    """

    first: float
    begin: float
    every: float
    last: float


def span(objective: Objective, l1_ratios: NDArray) -> Span:
    """Return the range of C that matters for at least one of the shares of the L1 penalty.

    Parameters
    ----------
    objective : Objective
        The objective, with any penalty.
    l1_ratios : ndarray of shape (n_l1_ratios,)
        Shares of the L1 penalty.

    Returns
    -------
    Span
    """
    slope, steepest, flattest, loudness = _at_zero(objective)
    found = []
    for rho in l1_ratios.tolist():
        by_ridge = (1 - rho) / np.array([steepest, flattest])
        leaves = rho / slope
        of_noise = rho / np.sqrt(flattest)
        first = leaves * _JUST_BELOW if rho >= _LEAST_L1 else _NEXT_TO_NOTHING * by_ridge[0]
        last = max(_BEYOND * by_ridge[1], _BEYOND_L1 * of_noise)
        begin = max(by_ridge[0] * loudness, leaves * np.sqrt(loudness))
        every = max(by_ridge[1], of_noise, leaves)
        found.append((first, begin, every, max(last, leaves)))
    firsts, begins, everys, lasts = np.clip(np.array(found), _LEAST_C, _MOST_C).T
    return Span(float(firsts.min()), float(begins.min()), float(everys.max()), float(lasts.max()))


def grid(Cs: Any, objective: Objective, l1_ratios: NDArray) -> NDArray:
    """Return sorted values of C.

    Parameters
    ----------
    Cs : int or array-like
        Number of values, or the values.
    objective : Objective
        The objective that gives the first and the last value, if `Cs` is a number of values.
    l1_ratios : ndarray of shape (n_l1_ratios,)
        Shares of the L1 penalty.

    Returns
    -------
    ndarray of shape (n_Cs,)
        Values of C.
    """
    if not isinstance(Cs, Integral):
        numbers = np.zeros(0) if isinstance(Cs, str) else check_numbers(Cs, "Cs")
        if numbers.ndim != 1 or not len(numbers) or not (numbers > 0).all():
            raise ValueError(
                f"Cs must be a number of values or a list of positive values, got {Cs!r:.100}."
            )
        return np.unique(numbers.astype(np.float64))
    count = int(Cs)
    if count < 1:
        raise ValueError(f"Cs must be at least 1, got {count}.")
    if count > MOST_CS:
        raise ValueError(
            f"Cs is the number of values, which is at most {MOST_CS}, got {count}. Pass values "
            "of C as a list."
        )
    first, _, _, last = span(objective, l1_ratios)
    return np.geomspace(first, last, count) if count > 1 else np.array([first])


def _at_zero(objective: Objective) -> tuple[float, float, float, float]:
    """Slope and curvatures of the sum of the losses, with penalised coefficients at zero.

    Returns
    -------
    slope : float
        The largest slope along a coefficient, divided by the factor of its penalty.
    steepest : float
        Curvature along the direction in which the losses decrease most steeply.
    flattest : float
        The smallest curvature along the coefficient of a column that is not constant, divided by
        the factor of its penalty. If there are few columns, the smallest along any direction.
    loudness : float
        Ratio of the square of the slope to its mean under noise, and at least 1.
    """
    free = objective.penalised(np.inf, 0.0)
    factors = objective.penalty.factors
    theta = free.from_user(zero_fit(objective, np.flatnonzero(factors == 0)))
    penalised, S = factors > 0, objective.data.total_weight
    _, gradient = free.value_gradient(theta)
    G, _ = free.layout.unpack(gradient)
    H = _intercept_hessian(free, theta)
    mean, square = free.moments()
    spread = square - mean**2 if free.layout.fit_intercept else square
    varies = penalised & (spread > _CONSTANT * square)
    curvature = S * H.trace() / len(H) * spread[varies] / factors[varies]
    if not varies.any() or not curvature.min() > 0:
        return 1.0, 1.0, 1.0, 1.0
    slopes = np.abs(G[:, penalised]) / factors[penalised]
    slope = S * float(slopes.max())
    direction = np.zeros_like(G)
    direction[:, varies] = G[:, varies] / factors[varies]
    length = float((factors * direction**2).sum())
    steepest = S * _curvature_along(free, theta, direction, H) / length if length > 0 else 0.0
    if not (slope > 0 and 0 < steepest < np.inf):  # y does not depend on X
        steepest = float(curvature.max())
        slope = float(np.sqrt(steepest))
    noise = len(H) * float(curvature.sum())
    loudness = float(np.clip(S**2 * length / noise, 1.0, _LOUDEST))
    flattest = float(curvature.min()) * _least_share(free, varies, factors)
    return slope, steepest, flattest, loudness


def _least_share(objective: Objective, varies: NDArray, factors: NDArray) -> float:
    """Return the smallest variance along a direction, as a share of the smallest along a column.

    Variances are in the units of the penalty. If there are many columns, or more columns than rows,
    the share is not computed, and 1 is returned.
    """
    data = objective.data
    few = data.n_columns <= min(data.n_rows, objective.costs.whiten_up_to)
    if not few or data.distance or not objective.layout.fit_intercept:
        return 1.0
    _, covariance = moments(objective)
    scale = np.sqrt(factors[varies])
    covariance = covariance[np.ix_(varies, varies)] / np.multiply.outer(scale, scale)
    values = np.linalg.eigvalsh(covariance)
    told = values[values > _COLLINEAR * len(values) * values[-1]]
    return float(min(1.0, told[0] / covariance.diagonal().min())) if len(told) else 1.0


def zero_fit(objective: Objective, free: NDArray) -> NDArray:
    """Minimise the losses with all coefficients at zero except those of some columns.

    Parameters
    ----------
    objective : Objective
    free : ndarray of int
        Columns whose coefficients are not at zero.

    Returns
    -------
    ndarray of shape (n_variables,)
        The user's variables.
    """
    # Without a free column, one column is kept, and bounded to zero.
    some = free if len(free) else np.zeros(1, dtype=int)
    edge = np.full(len(some), np.inf if len(free) else 0.0)
    few = objective.columns(some).penalised(np.inf, 0.0, bounds=(-edge, edge))
    found = minimize(
        few, np.zeros(few.layout.size), solver="auto", tol=_ZERO_TOL, max_iter=100, whole=False
    )
    W_some, b = few.layout.unpack(found.result.x)
    W = np.zeros((objective.layout.n_outputs, objective.layout.n_columns))
    W[:, some] = W_some
    return objective.layout.pack(W, b)


def _intercept_hessian(objective: Objective, theta: NDArray) -> NDArray:
    """Hessian with respect to intercepts, even if the fit has none."""
    sent = objective.data.coefficients(*objective.layout.unpack(theta))
    width = 2 * objective.layout.n_outputs
    H: NDArray
    (H,) = objective.data.sum(kernels.intercept_hessian, objective.loss, *sent, width=width)
    return H / objective.data.total_weight


def _curvature_along(objective: Objective, theta: NDArray, direction: NDArray, H: NDArray) -> float:
    """Curvature along a direction of W, with the intercepts eliminated.

    H is the Hessian with respect to the intercepts.
    """
    layout = objective.layout
    product = objective.hessian(theta)(layout.pack(direction, np.zeros(layout.n_outputs)))
    along, across = layout.unpack(product)
    return float(np.vdot(direction, along) - across @ np.linalg.pinv(H, hermitian=True) @ across)
