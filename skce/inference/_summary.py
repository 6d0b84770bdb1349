"""The table of coefficients with their standard errors, and their covariance."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import Number
from .._sklearn import validate_params
from ._fit import read_fit
from ._sandwich import COVARIANCE, contrast_matrix, covariance_of
from ._table import as_table, odds_ratios, wald_columns

LEVEL = {"level": [Number(Real, 0, 1, closed="neither")]}


@validate_params(
    {"sample_weight": ["array-like", None], "offset": ["array-like", None], **COVARIANCE, **LEVEL},
    prefer_skip_nested_validation=True,
)
def coef_summary(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    cov: str = "auto",
    groups: ArrayLike | None = None,
    level: float = 0.95,
    reference: Any = None,
) -> Any:
    """Coefficients of a fit with standard errors, p-values, intervals and odds ratios.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit. For ``cov="model"`` they are counts of equal rows; for the others
        a row is one observation, whatever its weight.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    cov : {"auto", "model", "robust", "cluster"}, default="auto"
        Which covariance. "model" is the inverse of the Fisher information, which holds if the
        targets are counts that the model draws; "robust" is the sandwich (White, 1982; Huber,
        1967), which holds for independent rows whatever draws their targets, probabilities
        included; "cluster" is the same for independent groups of rows, with the correction
        ``G / (G - 1) * (n - 1) / (n - n_parameters)`` for few groups. "auto" is "cluster" if there
        are groups; else "model" if all target mass, weights included, is whole numbers, which is
        so for labels and for counts passed as ``Y / m`` with ``sample_weight=m``; else "robust".
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    level : float, default=0.95
        Level of the intervals, in (0, 1).
    reference : label, default=None
        The class that a categorical fit is compared with: estimates are its logits less those of
        the reference, as in ``MNLogit`` of statsmodels and ``multinom`` of R. "mean" compares with
        the mean of the logits of all classes, which is what `coef_` holds. None is the first
        class if there is no penalty, for then only differences of classes are determined,
        and "mean" with one. Of a fit with one row of coefficients it is one of both classes, the
        first by default; one-vs-rest and multilabel fits have none.

    Returns
    -------
    DataFrame or dict
        A row for each class and feature, and for the intercept of each class, with the columns
        `estimate`, `std_error`, `z`, `p_value` (two-sided, by the normal distribution), `lower`,
        `upper` (of the interval) and `odds_ratio`, the exponential of the estimate. `attrs` holds
        `cov`, `level`, `reference` and `n_observations`. Without pandas it is a
        dict of arrays that prints as a table.

    Raises
    ------
    ValueError
        If an argument is not as described, columns are collinear, or coefficients have no normal
        distribution: some are zero by an L1 penalty, at a bound, or infinite because classes are
        separated. The message names the way out.

    Warns
    -----
    InferenceWarning
        If coefficients are not at the optimum on these rows, if a penalty moves them by more than
        a tenth of their standard errors, or if there are fewer than five observations for each
        coefficient.

    See Also
    --------
    bootstrap : Intervals where these do not hold.
    FirthClassifier : For few rows and separated classes.

    Notes
    -----
    With an L2 penalty the covariance is that of penalised coefficients around their own mean, the
    sandwich with the Hessian of the penalty in it. Coefficients are biased towards zero, and
    intervals do not allow for that: they are no intervals for the coefficients of the model.

    References
    ----------
    Huber, *The behavior of maximum likelihood estimates under nonstandard conditions*, 1967.

    White, *Maximum likelihood estimation of misspecified models*, 1982.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import coef_summary
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X.iloc[:, :2].set_axis(["length", "width"], axis=1), y == 1
    >>> clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    >>> coef_summary(clf, X, y)[["estimate", "std_error", "z", "odds_ratio"]].round(3)
                     estimate  std_error      z  odds_ratio
    class feature
    True  length        0.129      0.247  0.524       1.138
          width        -3.213      0.638 -5.032       0.040
          intercept     8.093      2.389  3.387    3270.758
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    L, classes, reference = contrast_matrix(fit, reference)
    covariance = covariance_of(fit, cov, groups)
    estimates, matrix = covariance.contrasts(L)
    columns = wald_columns(estimates.ravel(), np.diag(matrix), float(level))
    columns["odds_ratio"] = odds_ratios(columns["estimate"])
    terms = fit.terms
    index = {
        "class": [label for label in classes for _ in terms],
        "feature": terms * len(classes),
    }
    attrs = {
        "cov": covariance.kind,
        "level": float(level),
        "reference": reference,
        "n_observations": covariance.n_observations,
    }
    return as_table(index, columns, attrs)


@validate_params(
    {"sample_weight": ["array-like", None], "offset": ["array-like", None], **COVARIANCE},
    prefer_skip_nested_validation=True,
)
def coef_cov(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    cov: str = "auto",
    groups: ArrayLike | None = None,
    reference: Any = None,
) -> NDArray:
    r"""Covariance matrix of the coefficients of a fit.

    With A the Hessian of what the fit minimised, divided by C, it is :math:`A^{-1} B A^{-1}`. B is
    the Fisher information for ``cov="model"``, the sum of :math:`\psi_i \psi_i'` over rows for
    ``cov="robust"``, with :math:`\psi_i` the gradient of a row, and the same with sums of
    :math:`\psi_i` over groups for ``cov="cluster"``.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    cov : {"auto", "model", "robust", "cluster"}, default="auto"
        Which covariance. "auto" is "cluster" if there are groups; else "model" if all target mass,
        weights included, is whole numbers, which is so for labels and for counts passed as
        ``Y / m`` with ``sample_weight=m``; else "robust".
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    reference : label, default=None
        As in :func:`coef_summary`.

    Returns
    -------
    ndarray of shape (n_coefficients, n_coefficients)
        Rows and columns are in the order of the rows of :func:`coef_summary`: the features of the
        first class, its intercept, those of the next class.

    Raises
    ------
    ValueError
        As in :func:`coef_summary`.

    See Also
    --------
    coef_summary : The table of coefficients with standard errors.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import coef_cov
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:, :2], y == 1
    >>> clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    >>> np.sqrt(np.diag(coef_cov(clf, X, y))).round(3)
    array([0.247, 0.638, 2.389])
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    L, _, _ = contrast_matrix(fit, reference)
    return covariance_of(fit, cov, groups).contrasts(L)[1]
