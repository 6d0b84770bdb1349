"""The values of C that matter, from the slope and the curvature of the losses at zero coefficients.

With all penalised coefficients at zero, and everything else where it is best, let G be the gradient
of the sum of the losses and H its Hessian less what the intercepts make up for. A coefficient of
column j has, with an L1 share rho and the factor f_j of the penalty,

    C |G_kj| = rho f_j              where it leaves zero
    C H_jj = (1 - rho) f_j          where the L2 penalty has as much curvature as the losses
    C sqrt(H_jj) = rho f_j          where a column without any meaning leaves zero

H_jj is the sum of the weights times the variance of the column times p (1 - p), so that all of
these are in the units of the column: one in large units has its say at a small C, one in small
units at a large C. What matters lies between the first and the last of them. Where columns are
few, directions of next to no variance count too, as the difference of two columns that are about
the same: then the least eigenvalue of H takes the place of the least H_jj.

If y had nothing to do with X, |G|^2 would be tr H on average. The ratio r of the two says how far
above the noise the slope is, and so how much C may be above the second of these values: for a ridge
penalty 1/C is the variance of coefficients that explains |G|^2, by the method of moments.
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

#: Values of C at most, so that a value of C in place of their number is found out.
MOST_CS = 100_000
#: With less L1 than this the L2 penalty decides where a path begins.
_LEAST_L1 = 1e-3
#: Accuracy of the fit with all coefficients at zero, and a step below where the first one leaves.
_ZERO_TOL = 1e-12
_JUST_BELOW = 1 - 1e-9
#: A span begins at this share of the C that halves the way along the steepest direction.
_NEXT_TO_NOTHING = 1e-2
#: The largest ratio of slope to noise that counts.
_LOUDEST = 300.0
#: It ends at this multiple of the C at which the flattest column has its say, for L2 and for L1.
#: Where classes are next to separated the curvature at the optimum is that much less than at zero.
_BEYOND = 1e4
_BEYOND_L1 = 1e2
#: A column is constant if its variance is a smaller share of its mean square, which is rounding.
_CONSTANT = 1e-13
#: A variance that is a smaller share of the largest, times the number of columns, is rounding.
_COLLINEAR = 1e-14
#: Values of C are kept within these.
_LEAST_C, _MOST_C = 1e-100, 1e100


class Span(NamedTuple):
    """The values of C that matter to an objective.

    Attributes
    ----------
    first : float
        All penalised coefficients are zero, or next to nothing, up to here.
    begin : float
        Where the best is to be looked for first, by the ratio of slope to noise in the direction in
        which the losses fall most steeply.
    every : float
        Every column has.
    last : float
        The penalty matters little beyond, unless classes are separated.
    """

    first: float
    begin: float
    every: float
    last: float


def span(objective: Objective, l1_ratios: NDArray) -> Span:
    """Return the values of C that matter for any of some shares of the L1 penalty.

    Parameters
    ----------
    objective : Objective
        With any penalty.
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
        Their number, or values.
    objective : Objective
        From which the first and the last value are taken, if their number is given.
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
                f"Cs must be a number of values or hold positive ones, got {Cs!r:.100}."
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
    """Slope and curvatures of the sum of the losses where penalised coefficients are zero.

    Returns
    -------
    slope : float
        The steepest along a coefficient, over the factor of its penalty.
    steepest : float
        Curvature along the direction in which the losses fall most steeply.
    flattest : float
        The least curvature along a coefficient or, where columns are few, along any direction, over
        the factors, of what is not constant.
    loudness : float
        Ratio of the square of the slope to what noise would make of it; 1 if it is less.
    """
    free = objective.penalised(np.inf, 0.0)
    theta, factors = free.from_user(_zero_fit(objective)), objective.penalty.factors
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
    if not (slope > 0 and 0 < steepest < np.inf):  # y says nothing
        steepest = float(curvature.max())
        slope = float(np.sqrt(steepest))
    noise = len(H) * float(curvature.sum())
    loudness = float(np.clip(S**2 * length / noise, 1.0, _LOUDEST))
    flattest = float(curvature.min()) * _least_share(free, varies, factors)
    return slope, steepest, flattest, loudness


def _least_share(objective: Objective, varies: NDArray, factors: NDArray) -> float:
    """Return the least variance along a direction as a share of that along a column.

    In the units of the penalty. It is not looked for, and 1, if columns are many, or more than
    rows.
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


def _zero_fit(objective: Objective) -> NDArray:
    """Where the losses are least, in the user's variables, with penalised coefficients at zero."""
    free = np.flatnonzero(objective.penalty.factors == 0)
    # All that are penalised are alike, and one stands for them.
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
    """Hessian for intercepts, whether there are any or not."""
    sent = objective.data.coefficients(*objective.layout.unpack(theta))
    width = 2 * objective.layout.n_outputs
    H: NDArray
    (H,) = objective.data.sum(kernels.intercept_hessian, objective.loss, *sent, width=width)
    return H / objective.data.total_weight


def _curvature_along(objective: Objective, theta: NDArray, direction: NDArray, H: NDArray) -> float:
    """Curvature along a direction of W, less what the intercepts make up for.

    H is the Hessian for the intercepts.
    """
    layout = objective.layout
    product = objective.hessian(theta)(layout.pack(direction, np.zeros(layout.n_outputs)))
    along, across = layout.unpack(product)
    return float(np.vdot(direction, along) - across @ np.linalg.pinv(H, hermitian=True) @ across)
