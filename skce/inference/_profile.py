"""Profiles of the likelihood, or of Firth's penalised one: intervals and tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from .._sklearn import validate_params
from ._fit import Fit, read_fit
from ._penalised import Point, Problem, followed, maximise, problem_of, relative_to
from ._sandwich import contrast_matrix, covariance_of
from ._summary import LEVEL
from ._table import as_table, odds_ratios

#: Standard errors to which the ends of intervals are found, and a step that ends a maximisation.
_NEAR, _TOL = 1e-8, 1e-9
#: Steps of a maximisation at most, and doublings of the way to an end.
_STEPS, _DOUBLINGS = 200, 12


@validate_params(
    {"sample_weight": ["array-like", None], **LEVEL}, prefer_skip_nested_validation=True
)
def profile_summary(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    level: float = 0.95,
    reference: Any = None,
) -> Any:
    """Table of coefficients with tests and intervals from the profile of the likelihood.

    An interval holds the values of a coefficient that a likelihood-ratio test does not reject. The
    test maximises the likelihood over the other coefficients at each value. With few rows these
    intervals are more accurate than estimates plus and minus multiples of standard errors.

    Parameters
    ----------
    estimator : estimator
        A fitted :class:`FirthClassifier`, or a classifier of this package that was fitted with
        ``C=np.inf``, or a pipeline that ends with one of them. The profile of a
        :class:`FirthClassifier` is that of its penalised likelihood.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit, counts of equal rows.
    level : float, default=0.95
        Level of the intervals, in (0, 1).
    reference : label, default=None
        The class with which each class of a categorical fit is compared, as in
        :func:`coef_summary`. None means the first class.

    Returns
    -------
    DataFrame or dict
        The rows of :func:`coef_summary`. The columns are `estimate`, `std_error`, `chi2` (the
        statistic of the test that the coefficient is zero, on one degree of freedom), `p_value`,
        `lower`, `upper` and `odds_ratio`. An end of an interval is infinite if the search does not
        find it.

    Raises
    ------
    ValueError
        As in :func:`coef_summary`, or if the fit has a penalty or bounds.

    Warns
    -----
    InferenceWarning
        As in :func:`coef_summary`.

    See Also
    --------
    coef_summary : Tests and intervals from the normal distribution, which are much faster.

    References
    ----------
    Heinze and Schemper, *A solution to the problem of separation in logistic regression*, 2002.

    Venzon and Moolgavkar, *A method for computing profile-likelihood-based confidence intervals*,
    1988.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inference import FirthClassifier, profile_summary
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), [0, 0, 0, 1, 1, 1]
    >>> clf = FirthClassifier().fit(X, y)
    >>> profile_summary(clf, X, y)[["estimate", "chi2", "p_value", "lower", "upper"]].round(3)
                     estimate   chi2  p_value   lower  upper
    class feature
    1     x0            1.129  3.857    0.050   0.002  6.070
          intercept    -3.951  3.183    0.074 -21.588  0.302
    """
    fit = read_fit(estimator, X, y, sample_weight)
    _check_maximised(fit)
    L, classes, reference = _contrasts(fit, reference)
    covariance = covariance_of(fit, "model", None)
    error = np.sqrt(np.diag(covariance.contrasts(L)[1]))
    place = fit.classes.index(reference) if fit.form == "softmax" else 0
    problem = problem_of(fit, place)
    theta = relative_to(fit.theta, problem.reference)
    best = maximise(problem, theta, problem.free, _TOL, _STEPS).point
    q, profiles = float(chi2.ppf(level, 1)), []
    for hold, deviation in zip(_coefficients(problem), error, strict=True):
        deviance = _deviance(problem, best, hold)
        at = float(hold @ best.theta.ravel())
        ends = [_end(deviance, at, sign * float(deviation), q) for sign in (-1, 1)]
        profiles.append((at, deviance(0.0, at), *ends))
    estimate, statistic, lower, upper = np.array(profiles).T
    if fit.form == "sigmoid" and L[0, 0] < 0:
        estimate, lower, upper = -estimate, -upper, -lower
    columns = {
        "estimate": estimate,
        "std_error": error,
        "chi2": statistic,
        "p_value": chi2.sf(statistic, 1),
        "lower": lower,
        "upper": upper,
        "odds_ratio": odds_ratios(estimate),
    }
    terms = fit.terms
    index = {"class": [c for c in classes for _ in terms], "feature": terms * len(classes)}
    attrs = {"level": float(level), "reference": reference}
    return as_table(index, columns, attrs)


def _check_maximised(fit: Fit) -> None:
    if fit.is_penalised or fit.objective.penalty.bounds is not None:
        raise ValueError(
            "A profile needs a fit that maximised the likelihood, but this fit has a penalty or "
            "bounds. Fit with C=np.inf and without bounds, or use FirthClassifier."
        )


def _contrasts(fit: Fit, reference: Any) -> tuple[NDArray, list, Any]:
    L, classes, reference = contrast_matrix(fit, reference)
    if fit.form == "softmax" and reference not in fit.classes:
        raise ValueError(f"reference must be one of the classes {fit.classes}, got {reference!r}.")
    return L, classes, reference


def _coefficients(problem: Problem) -> NDArray:
    """Return each coefficient of the user's rows as a combination of those of rows as read."""
    theta = problem.fit.theta
    each = np.eye(theta.size)[problem.free].reshape(-1, *theta.shape)
    # Of rows as they are read the intercept of the user is the intercept less W centre.
    centre = problem.fit.objective.data.centre
    if centre is not None:
        each[..., :-1] -= each[..., -1:] * centre.astype(np.float64)
    return each.reshape(len(each), -1)


def _deviance(problem: Problem, best: Point, hold: NDArray) -> Callable[[float, float], float]:
    """Return twice what the largest log-likelihood loses if a coefficient has some value.

    The function takes the value, and the one, of those that it was called with, to start from.
    """
    known, free = {float(hold @ best.theta.ravel()): best}, problem.free

    def deviance(value: float, near: float) -> float:
        start = known[near]
        theta = start.theta + (value - near) * followed(start, free, hold)
        try:
            known[value] = maximise(problem, theta, free, _TOL, _STEPS, hold).point
        except np.linalg.LinAlgError:  # so far that there is no information
            return np.inf
        return max(2 * (known[value].value - best.value), 0.0)

    return deviance


def _end(deviance: Callable[[float, float], float], at: float, far: float, q: float) -> float:
    """Return the value, on the side of `far` from the estimate, at which the deviance is q."""
    near, root = at, float(np.sqrt(q))
    if not root:
        return at
    for _ in range(_DOUBLINGS):
        farther = near + far
        lost = deviance(farther, near)
        if q <= lost < np.inf:
            break
        near, far = (near, far / 2) if lost == np.inf else (farther, 2 * far)
    else:
        return float(np.copysign(np.inf, far))

    def beyond(value: float) -> float:
        return float(np.sqrt(deviance(value, near))) - root

    return float(brentq(beyond, near, farther, xtol=_NEAR * abs(far), rtol=1e-12))
