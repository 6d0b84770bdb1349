"""The table of coefficients with their standard errors, and their covariance."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import Number
from .._sklearn import validate_params
from ._fit import ROWS, read_fit
from ._sandwich import COVARIANCE, contrast_matrix, covariance_of
from ._table import as_table, odds_ratios, wald_columns

LEVEL = {"level": [Number(Real, 0, 1, closed="neither")]}


@validate_params(
    {**ROWS, **COVARIANCE, **LEVEL},
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
    """Table of coefficients with standard errors, p-values, intervals and odds ratios.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit. With ``cov="model"`` they count equal rows. With "robust" and "cluster"
        a row is one observation, whatever its weight.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    cov : {"auto", "model", "robust", "cluster"}, default="auto"
        Covariance of the coefficients.

        - "model" is the inverse of the Fisher information. It is valid if the targets are labels
          or counts that the model draws.
        - "robust" is the sandwich (Huber, 1967; White, 1982). It is valid if the rows are
          independent, whatever draws their targets. Targets may be probabilities.
        - "cluster" is the sandwich for independent groups of rows. The factor
          ``G / (G - 1) * (n - 1) / (n - n_parameters)`` corrects for few groups.
        - "auto" is "cluster" if `groups` are given. Otherwise it is "model" if all target mass,
          with the weights, is whole numbers, and "robust" if not. The mass of labels is whole
          numbers, and so is that of counts passed as ``Y / m`` with ``sample_weight=m``.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    level : float, default=0.95
        Level of the intervals, in (0, 1).
    reference : label, default=None
        The class with which each class of a categorical fit is compared. The estimates are the
        coefficients of a class minus those of the reference, as in ``MNLogit`` of statsmodels and
        ``multinom`` of R. "mean" compares with the mean over all classes, which is what `coef_`
        holds. None means "mean" if the fit has a penalty. Without a penalty only differences
        between classes are determined, and None means the first class. If a fit has one row of
        coefficients, the reference is one of its two classes, the first by default. One-vs-rest
        and multilabel fits have no reference.

    Returns
    -------
    DataFrame or dict
        A row for each class and feature, and for the intercept of each class. The columns are
        `estimate`, `std_error`, `z`, `p_value` (two-sided, by the normal distribution), `lower`
        and `upper` (the ends of the interval) and `odds_ratio` (the exponential of the estimate).
        `attrs` holds `cov`, `level`, `reference` and `n_observations`. If pandas is not installed,
        the result is a dict of arrays that prints as a table.

    Raises
    ------
    ValueError
        If an argument is not as described, if columns are collinear, or if coefficients do not
        have a normal distribution. They do not if some are zero because of an L1 penalty, lie at
        a bound, or are infinite because classes are separated. The message says what to do.

    Warns
    -----
    InferenceWarning
        If the coefficients are not at the optimum on these rows, if a penalty moves them by more
        than a tenth of their standard errors, or if there are fewer than five observations for
        each coefficient.

    See Also
    --------
    bootstrap : Intervals for fits for which these standard errors are not valid.
    FirthClassifier : Classifier for few rows and separated classes.

    Notes
    -----
    With an L2 penalty, the covariance is that of the penalised coefficients around their own mean.
    It is the sandwich with the Hessian of the penalty added. The penalty biases the coefficients
    towards zero, and the intervals do not correct for this bias. So they are not intervals for
    the coefficients of the model.

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
    {**ROWS, **COVARIANCE},
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

    The covariance is :math:`A^{-1} B A^{-1}`. A is the Hessian of what the fit minimised, divided
    by C. For ``cov="model"``, B is the Fisher information. For ``cov="robust"``, B is the sum of
    :math:`\psi_i \psi_i'` over the rows, and :math:`\psi_i` is the gradient of row i. For
    ``cov="cluster"``, B is the same sum over groups, with the gradients of each group added up.

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
        Covariance of the coefficients, as in :func:`coef_summary`.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    reference : label, default=None
        As in :func:`coef_summary`.

    Returns
    -------
    ndarray of shape (n_coefficients, n_coefficients)
        Rows and columns have the order of the rows of :func:`coef_summary`: the features of the
        first class, its intercept, the features of the next class, and so on.

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
