"""Fits for many values of C, from the strongest penalty to the weakest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import norm
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context

from ._array_api import on_host, place_of
from ._classifier import SoftmaxClassifier
from ._interrupts import restored_on_error
from ._problem.objective import Objective
from ._solver.minimize import Known, minimize
from ._solver.stop import Report, warn_if_not_converged
from ._span import grid
from ._targets.mass import Targets
from ._threads import threads


class SoftmaxPath(NamedTuple):
    """Fits along a path; see :func:`softmax_path`.

    Attributes
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, from the strongest penalty to the weakest.
    coefs : ndarray of shape (n_Cs, n_outputs, n_features)
        Coefficients for each value of C. The outputs have the order of `classes_` of a
        :class:`SoftmaxClassifier`.
    intercepts : ndarray of shape (n_Cs, n_outputs)
        Intercepts for each value of C.
    n_iters : ndarray of int, shape (n_Cs,)
        Iterations of the solver for each value of C.

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
    offset: ArrayLike | None = None,
    **params: Any,
) -> SoftmaxPath:
    """Fit a :class:`SoftmaxClassifier` for many values of C. Each fit starts from those before.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities.
    Cs : int or array-like of shape (n_Cs,), default=10
        Values of C, or their number. If it is a number, the values are spaced evenly on a
        logarithmic scale, over the range that matters. With an L1 penalty the first value is the
        largest C that leaves all coefficients zero. With ``l1_ratio=0`` the coefficients are nearly
        zero at the first value: they go a hundredth of the way along the steepest direction. The
        last value is so large that the penalty matters little, even for the column in the smallest
        units.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Known parts of the logits, as in :meth:`SoftmaxClassifier.fit`.
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
        If `tol` was not reached for some value of C.

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
    X, y, sample_weight, offset = map(on_host, (X, y, sample_weight, offset))
    with config_context(array_api_dispatch=False):
        path = _path(model, model._read(X, y, sample_weight, offset), Cs)
    return path if place is None else SoftmaxPath(*map(place.put, path))


def _path(model: SoftmaxClassifier, read: tuple[Any, Targets], Cs: int | ArrayLike) -> SoftmaxPath:
    """Fit a model to validated rows, for many values of C."""
    X, targets = read
    objective = model._objective(X, targets)
    values = grid(Cs, objective, np.array([model.l1_ratio], dtype=np.float64))
    way = Way(model._start(objective, targets), objective.costs.path_fits)
    l1_ratio, tol = float(model.l1_ratio), float(model.tol)
    coefs, intercepts, n_iters = [], [], []
    for C, report in zip(values, fits(model, objective, way, values, l1_ratio, tol), strict=True):
        warn_if_not_converged(
            report,
            tol=model.tol,
            unpenalised=bool(np.isinf(C)),
            dtype=objective.data.dtype,
            classes=targets.classes,
            features=getattr(model, "feature_names_in_", None),
        )
        W, b = objective.layout.unpack(report.result.x)
        coefs.append(W)
        intercepts.append(b)
        n_iters.append(report.result.nit)
    return SoftmaxPath(values, np.array(coefs), np.array(intercepts), np.array(n_iters))


def fits(
    model: SoftmaxClassifier,
    objective: Objective,
    way: Way,
    Cs: NDArray,
    l1_ratio: float,
    tol: float,
    label: str = "",
    *,
    whole: bool = True,
) -> Iterator[Report]:
    """Fit a model for ascending values of C. Each fit starts from those before.

    Parameters
    ----------
    model : SoftmaxClassifier
        A model with the parameters of the solver.
    objective : Objective
        The objective, with any penalty.
    way : Way
        It returns the start of each fit, and learns from the result.
    Cs : ndarray of shape (n_Cs,)
        Values of C.
    l1_ratio : float
        Share of the L1 penalty.
    tol : float
        Accuracy of every fit.
    label : str, default=""
        Text at the beginning of each line that is printed.
    whole : bool, default=True
        Whether to look for coefficients that grow without bound.

    Yields
    ------
    Report
        The report of each fit.
    """
    learnt = None
    for C in Cs:
        own = objective.penalised(float(C), l1_ratio)
        with threads:  # threads of BLAS spin for a while after a product: 30 ms of every fit
            report = minimize(
                own,
                way.start(own),
                solver=model.solver,
                tol=tol,
                max_iter=model.max_iter,
                verbose=model.verbose,
                label=f"{label}C={C:g}  ",
                earlier=learnt,
                known=way.known(own),
                whole=whole,
            )
            learnt = report.learnt
            way.learn(own, report)
        yield report


class _Known(NamedTuple):
    """A fit on a path.

    Attributes
    ----------
    place : float
        The logarithm of its C.
    theta, ahead : ndarray
        Its result, and the coefficients that are nearer to its optimum.
    loss : float
        The objective at `theta` without the penalty.
    """

    place: float
    theta: NDArray
    ahead: NDArray
    loss: float


class Way:
    """Starts of the fits on a path: values of the polynomial in log C through the nearest fits.

    With an L2 penalty the coefficients change smoothly with log C. In a path of 45 values from 1e-6
    to 1e6, log10 C grows by 0.27 from one fit to the next. The objective at the last coefficients
    was then 3e-2 above the optimum; at the value of a line it was 1e-5 above, and at the value of
    a parabola 1e-6.

    Source: predictors of continuation methods (Allgower and Georg, *Introduction to numerical
    continuation methods*, 2003, chapter 6).

    Parameters
    ----------
    theta : ndarray
        Start of the first fit, in the user's variables.
    most : int
        The largest number of fits that a polynomial goes through.
    all_fits : bool, default=False
        Whether to keep all fits, for values of C that do not ascend. If False, only the last
        `most` fits are kept.
    """

    def __init__(self, theta: NDArray, most: int, *, all_fits: bool = False):
        self.first, self.most, self.all_fits = theta, most, all_fits
        self.fits: list[_Known] = []
        #: The fits that are nearest to the next one. The nearest comes first.
        self.near: list[_Known] = []
        #: Guesses for the next fit, by polynomials of degree 0, 1 and so on.
        self.guesses: list[NDArray] = []
        self.degree = 1

    def start(self, objective: Objective) -> NDArray:
        """Return the start for an objective, by the degree that was best for the last fit.

        Parameters
        ----------
        objective : Objective
            The objective, with its penalty.

        Returns
        -------
        ndarray
            The start, in the user's variables.
        """
        log_C = np.log(objective.penalty.C)
        far = min(log_C, np.finfo(float).max)  # without a penalty the largest C is nearest
        latest_first = self.fits[::-1]
        self.near = sorted(latest_first, key=lambda fit: abs(fit.place - far))[: self.most]
        self.guesses = [self.near[0].ahead if self.near else self.first]
        if objective.nonsmooth is None and np.isfinite(log_C):
            self.guesses += [
                _polynomial(self.near[:n], log_C) for n in range(2, len(self.near) + 1)
            ]
        return self.guesses[min(self.degree, len(self.guesses) - 1)]

    def known(self, objective: Objective) -> Known | None:
        """Return the nearest fit and the value of an objective there, to compare with the start.

        Parameters
        ----------
        objective : Objective
            The objective of the last call of `start`.

        Returns
        -------
        Known or None
            None if there is one guess only: the start is then the nearest fit, or there is no fit.
        """
        if len(self.guesses) < 2:
            return None
        nearest = self.near[0]
        W, _ = objective.layout.unpack(nearest.theta)
        return Known(nearest.theta, nearest.loss + objective.penalty.value(W))

    def learn(self, objective: Objective, report: Report) -> None:
        """Keep a fit, and find the degree that predicts it best.

        Parameters
        ----------
        objective : Objective
            The objective of the last call of `start`.
        report : Report
            The report of the fit.
        """
        if len(self.guesses) > 1:
            self.degree = int(np.argmin([norm(guess - report.ahead) for guess in self.guesses]))
        result, C = report.result, objective.penalty.C
        theta = result.x
        W, _ = objective.layout.unpack(theta)
        loss = result.fun / objective.scale - objective.penalty.value(W)
        if np.isfinite(C):
            self.fits.append(_Known(float(np.log(C)), theta, report.ahead, loss))
        if not self.all_fits:
            self.fits = self.fits[-self.most :]


def _polynomial(fits: list[_Known], x: float) -> NDArray:
    """Value at x of the polynomial through some points, by Lagrange's formula."""
    places = np.array([fit.place for fit in fits])
    guess = np.zeros_like(fits[0].ahead)
    for i, fit in enumerate(fits):
        others = np.delete(places, i)
        guess += np.prod((x - others) / (fit.place - others)) * fit.ahead
    return guess
