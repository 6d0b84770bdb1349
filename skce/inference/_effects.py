"""Average marginal effects: derivatives of probabilities in the features, averaged over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._sklearn import validate_params
from ._fit import ROWS, check_in_range, read_fit
from ._sandwich import COVARIANCE, covariance_of
from ._summary import LEVEL
from ._sums import effects
from ._table import as_table, wald_columns


@validate_params(
    {**ROWS, **COVARIANCE, **LEVEL},
    prefer_skip_nested_validation=True,
)
def average_marginal_effects(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    cov: str = "auto",
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Any:
    r"""Average of the derivatives of the probabilities in the features, over the rows.

    For a categorical fit :math:`\partial p_k / \partial x_j = p_k (W_{kj} - \sum_h p_h W_{hj})`.
    Standard errors come from the delta method. With J the derivative of the effects in the
    coefficients and V the covariance of the coefficients, the covariance of the effects is
    :math:`J V J'`.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit. The average over the rows uses them, too.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    cov : {"auto", "model", "robust", "cluster"}, default="auto"
        Covariance of the coefficients, as in :func:`coef_summary`.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    level : float, default=0.95
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame or dict
        A row for each class and feature, with the columns `estimate`, `std_error`, `z`, `p_value`,
        `lower` and `upper`. If a fit of two classes has one row of coefficients, the table holds
        the second class. The effects on the first class have the opposite sign. The features of
        a pipeline are those that its last step gets.

    Raises
    ------
    ValueError
        As in :func:`coef_summary`.

    Warns
    -----
    InferenceWarning
        As in :func:`coef_summary`.

    See Also
    --------
    coef_summary : Effects on the log-odds. These are the same for all rows.

    Notes
    -----
    The standard errors describe the uncertainty of the coefficients, and take X as fixed. For a
    column of 0 and 1 the effect is also a derivative, and not the difference between 0 and 1.

    References
    ----------
    Greene, *Econometric Analysis*, 2003, section 21.4.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import average_marginal_effects
    >>> X, y = load_wine(return_X_y=True)
    >>> X = X[:, [0, 10]]
    >>> clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    >>> average_marginal_effects(clf, X, y)[["estimate", "std_error"]].round(3)
                   estimate  std_error
    class feature
    0     x0          0.222      0.014
          x1          0.441      0.093
    1     x0         -0.275      0.012
          x1          0.520      0.074
    2     x0          0.053      0.018
          x1         -0.961      0.063
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    covariance = covariance_of(fit, cov, groups)
    (K, d), (W, _) = fit.theta.shape, fit.parts
    first, second = fit.sum(effects, fit.in_variables, fit.form, width=K**3)
    check_in_range(second)
    total = fit.objective.data.total_weight
    first, second = first / total, second / total
    # The derivative of sum_h first_kh W_hj in coefficient m of output l.
    J = np.einsum("khlm,hj->kjlm", second, W)
    p = W.shape[1]
    J[:, np.arange(p), :, np.arange(p)] += first
    J = J.reshape(K * p, K * d)
    variance = np.einsum("am,mn,an->a", J, covariance.matrix, J, optimize=True)
    columns = wald_columns((first @ W).ravel(), variance, float(level))
    index = {
        "class": [label for label in fit.outputs for _ in fit.features],
        "feature": fit.features * K,
    }
    attrs = {
        "cov": covariance.kind,
        "level": float(level),
        "n_observations": covariance.n_observations,
    }
    return as_table(index, columns, attrs)
