"""The whole path of C."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import norm
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult
from sklearn import config_context

from ._array_api import on_host, place_of
from ._checks import check_numbers
from ._classifier import SoftmaxClassifier
from ._interrupts import restored_on_error
from ._problem.objective import Objective
from ._solver.minimize import Known, minimize
from ._solver.stop import Report, warn_if_not_converged

#: The weakest penalty of a path that is made from a number, as a multiple of the strongest.
_RANGE = 1e4
#: Values of C at most, so that a value of C in place of their number is found out.
MOST_CS = 100_000
#: With less L1 than this no C makes all coefficients zero; that of this share is taken instead.
_LEAST_L1 = 1e-3
#: Accuracy of the fit that says where the first coefficient leaves zero, and a step below that.
_ZERO_TOL = 1e-12
_JUST_BELOW = 1 - 1e-9


class SoftmaxPath(NamedTuple):
    """Fits along a path; see :func:`softmax_path`.

    Attributes
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, from the strongest penalty to the weakest.
    coefs : ndarray of shape (n_Cs, n_outputs, n_features)
        Coefficients at each of them, outputs in the order that `classes_` of a
        :class:`SoftmaxClassifier` has.
    intercepts : ndarray of shape (n_Cs, n_outputs)
        Intercepts at each of them.
    n_iters : ndarray of int, shape (n_Cs,)
        Iterations of the solver.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import softmax_path
    >>> path = softmax_path(*load_iris(return_X_y=True), Cs=[0.1, 1, 10])
    >>> path.coefs.shape, path.intercepts.shape
    ((3, 3, 4), (3, 3))
    """

    Cs: NDArray
    coefs: NDArray
    intercepts: NDArray
    n_iters: NDArray


@restored_on_error
def softmax_path(
    X: Any,
    y: ArrayLike,
    *,
    Cs: int | ArrayLike = 10,
    sample_weight: ArrayLike | None = None,
    **params: Any,
) -> SoftmaxPath:
    """Fit a :class:`SoftmaxClassifier` for each of many values of C, each from the one before.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities.
    Cs : int or array-like of shape (n_Cs,), default=10
        Values of C, or how many to take: then they are spaced evenly on a logarithmic scale from
        the largest C that leaves all coefficients zero to 10 000 times that. Where there is no
        such C, with ``l1_ratio=0``, that of ``l1_ratio=0.001`` is taken.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    **params : dict
        Other parameters of :class:`SoftmaxClassifier`.

    Returns
    -------
    SoftmaxPath
        A named tuple of `Cs`, `coefs`, `intercepts` and `n_iters`.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Warns
    -----
    ConvergenceWarning
        If `tol` was not reached somewhere.

    See Also
    --------
    SoftmaxClassifierCV : Chooses C by cross-validation.
    sklearn.linear_model.lasso_path : The same for least squares.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import softmax_path
    >>> X, y = load_iris(return_X_y=True)
    >>> path = softmax_path(X, y, Cs=5, l1_ratio=1.0)
    >>> (path.coefs != 0).sum(axis=(1, 2))
    array([0, 2, 4, 6, 6])
    """
    if "C" in params:
        raise TypeError("softmax_path takes Cs in place of C.")
    model = SoftmaxClassifier(**params)
    model._validate_params()
    place = place_of(X)
    X, y, sample_weight = map(on_host, (X, y, sample_weight))
    with config_context(array_api_dispatch=False):
        path = _path(model, X, y, Cs, sample_weight)
    return path if place is None else SoftmaxPath(*map(place.put, path))


def _path(
    model: SoftmaxClassifier, X: Any, y: Any, Cs: int | ArrayLike, sample_weight: Any
) -> SoftmaxPath:
    """Fit a model for each of many values of C."""
    X, targets = model._read(X, y, sample_weight)
    objective = model._objective(X, targets)
    values = grid(Cs, objective, model.l1_ratio)
    start = model._start(objective, targets)
    l1_ratio, tol = float(model.l1_ratio), float(model.tol)
    reports = list(fits(model, objective, start, values, l1_ratio, tol))
    for C, report in zip(values, reports, strict=True):
        warn_if_not_converged(
            report,
            tol=model.tol,
            unpenalised=bool(np.isinf(C)),
            dtype=objective.data.dtype,
            classes=targets.classes,
            features=getattr(model, "feature_names_in_", None),
        )
    parts = [objective.layout.unpack(report.result.x) for report in reports]
    return SoftmaxPath(
        values,
        np.array([W for W, _ in parts]),
        np.array([b for _, b in parts]),
        np.array([report.result.nit for report in reports]),
    )


def fits(
    model: SoftmaxClassifier,
    objective: Objective,
    theta: NDArray,
    Cs: NDArray,
    l1_ratio: float,
    tol: float,
    label: str = "",
) -> Iterator[Report]:
    """Fit ascending values of C, the first from theta, each from those before.

    Parameters
    ----------
    model : SoftmaxClassifier
        With the parameters of the solver.
    objective : Objective
        With any penalty.
    theta : ndarray
        Start, in the user's variables.
    Cs : ndarray of shape (n_Cs,)
        Values of C.
    l1_ratio : float
        Share of the L1 penalty.
    tol : float
        Accuracy of every fit.
    label : str, default=""
        What lines on iterations begin with.

    Yields
    ------
    Report
        Of each fit.
    """
    variables, way = None, _Way(theta, objective.costs.path_fits)
    for C in Cs:
        own = objective.penalised(float(C), l1_ratio)
        report = minimize(
            own,
            way.start(own),
            solver=model.solver,
            tol=tol,
            max_iter=model.max_iter,
            verbose=model.verbose,
            label=f"{label}C={C:g}  ",
            variables=variables,
            known=way.known(own),
        )
        variables = report.variables
        way.learn(own, report.result)
        yield report


class _Way:
    """Where a path leads: the polynomial in log C through the last fits.

    With an L2 penalty coefficients change smoothly with log C. Where that grows by 0.27 from one
    fit to the next, as in 45 values from 1e-6 to 1e6, the last coefficients were 3e-2 above the
    optimum, and these guesses 1e-5 and 1e-6, for a line and a parabola.

    Source: predictors of continuation methods (Allgower and Georg, *Introduction to numerical
    continuation methods*, 2003, chapter 6).
    """

    def __init__(self, theta: NDArray, most: int):
        self.theta, self.most = theta, most
        #: The last fits: log C and coefficients.
        self.fits: list[tuple[float, NDArray]] = []
        #: Guesses for the next fit by polynomials of degree 0, 1 and so on, and the best degree.
        self.guesses: list[NDArray] = []
        self.degree = 1
        #: F of the last fit without its penalty.
        self.loss = np.inf

    def start(self, objective: Objective) -> NDArray:
        """Return where to begin with an objective: by the degree that was best for the last."""
        self.guesses = [self.theta]
        smooth = objective.nonsmooth is None and np.isfinite(objective.penalty.C)
        if smooth and len(self.fits) > 1:
            log_C = np.log(objective.penalty.C)
            self.guesses += [
                _extrapolated(self.fits[-n:], log_C) for n in range(2, len(self.fits) + 1)
            ]
        return self.guesses[min(self.degree, len(self.guesses) - 1)]

    def known(self, objective: Objective) -> Known | None:
        """Return the last fit, and what it is worth to an objective, if the start is another."""
        if len(self.guesses) < 2:
            return None
        W, _ = objective.layout.unpack(self.theta)
        return Known(self.theta, self.loss + objective.penalty.value(W))

    def learn(self, objective: Objective, result: OptimizeResult) -> None:
        """Take note of a fit."""
        if len(self.guesses) > 1:
            self.degree = int(np.argmin([norm(guess - result.x) for guess in self.guesses]))
        self.theta = result.x
        W, _ = objective.layout.unpack(self.theta)
        self.loss = result.fun / objective.scale - objective.penalty.value(W)
        if objective.nonsmooth is None and np.isfinite(objective.penalty.C):
            fit = float(np.log(objective.penalty.C)), self.theta
            self.fits = [*self.fits, fit][-self.most :]


def _extrapolated(fits: list[tuple[float, NDArray]], x: float) -> NDArray:
    """Value at x of the polynomial through some points, by Lagrange's formula."""
    places = np.array([place for place, _ in fits])
    guess = np.zeros_like(fits[0][1])
    for i, (place, value) in enumerate(fits):
        others = np.delete(places, i)
        guess += np.prod((x - others) / (place - others)) * value
    return guess


def grid(Cs: Any, objective: Objective, l1_ratio: float) -> NDArray:
    """Return sorted values of C.

    Parameters
    ----------
    Cs : int or array-like
        Their number, or values.
    objective : Objective
        From which the first value is taken, if their number is given.
    l1_ratio : float
        Share of the L1 penalty.

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
    least = _zero_until(objective, max(l1_ratio, _LEAST_L1))
    return np.geomspace(least, _RANGE * least, count) if count > 1 else np.array([least])


def _zero_until(objective: Objective, l1_ratio: float) -> float:
    """Return the largest C that leaves all penalised coefficients zero.

    With these at zero, and the intercepts and all others where they are best, C times the largest
    gradient of the losses, relative to the weight of its feature in the penalty, is `l1_ratio`.
    """
    edge = np.where(objective.penalty.factors > 0, 0, np.inf)
    free = objective.penalised(np.inf, 0.0, bounds=(-edge, edge))
    theta = minimize(
        free, np.zeros(objective.layout.size), solver="auto", tol=_ZERO_TOL, max_iter=100
    ).result.x
    _, gradient = free.value_gradient(free.from_user(theta))
    G, _ = objective.layout.unpack(np.abs(gradient))
    penalised = objective.penalty.factors > 0
    steepest = (G[:, penalised] / objective.penalty.factors[penalised]).max(initial=0)
    scale = objective.data.total_weight
    return float(_JUST_BELOW * l1_ratio / (steepest * scale)) if steepest > 0 else 1.0
