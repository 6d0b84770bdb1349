"""Log-likelihood, criteria from it, and tests between nested fits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from scipy.stats import chi2

from .._checks import check_numbers, naming, to_numpy
from .._sklearn import validate_params
from .._span import zero_fit
from .._warnings import warn
from ._fit import ROWS, Fit, InferenceWarning, at_bounds, factorise, read_fit
from ._penalised import maximise, problem_of, relative_to
from ._sandwich import COVARIANCE, contrast_matrix, covariance_of
from ._sums import masses, value_gradient

#: Length of a step that ends a maximisation, in standard errors, and largest number of steps.
_TOL, _STEPS = 1e-9, 200
#: Gain of a restricted fit that may be rounding.
_ROUNDED = 1e-6


class FitStatistics(NamedTuple):
    """Statistics of how well a fit agrees with its rows, given its number of coefficients.

    Attributes
    ----------
    n_observations : float
        Sum of the weights if all target mass is whole numbers. Otherwise the number of rows of
        positive weight.
    effective_df : float
        Effective degrees of freedom. Without a penalty, the number of free coefficients.
    log_likelihood, null_log_likelihood : float
        Log-likelihood of the fit, and of the best fit that has intercepts only.
    aic, bic : float
        Criteria of Akaike and of Schwarz.
    mcfadden_r2 : float
        1 minus the ratio of the two log-likelihoods.

    See Also
    --------
    fit_statistics : The function that returns it.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import fit_statistics
    >>> X, y = load_wine(return_X_y=True)
    >>> fit_statistics(SoftmaxClassifier(C=0.1).fit(X, y), X, y)._fields[:3]
    ('n_observations', 'effective_df', 'log_likelihood')
    """

    n_observations: float
    effective_df: float
    log_likelihood: float
    null_log_likelihood: float
    aic: float
    bic: float
    mcfadden_r2: float


class ChiSquareResult(NamedTuple):
    """Result of a test whose statistic has a chi-squared distribution under the null hypothesis.

    Attributes
    ----------
    statistic : float
        Statistic of the test, not negative.
    df : float
        Degrees of freedom.
    p_value : float
        Probability of a statistic at least as large under the null hypothesis.

    See Also
    --------
    wald_test : A function that returns it.
    likelihood_ratio_test : Another function that returns it.

    Examples
    --------
    >>> from skce.inference import ChiSquareResult
    >>> statistic, df, p_value = ChiSquareResult(3.84, 1, 0.05)
    """

    statistic: float
    df: float
    p_value: float


def _log_likelihood(fit: Fit) -> float:
    """Return minus the sum of the losses."""
    return -float(fit.sum(value_gradient)[0])


def _null_log_likelihood(fit: Fit) -> float:
    """Return the log-likelihood of the shares of the target mass; with an offset of intercepts."""
    data: Any = fit.objective.data
    if data.targets.has_offset:
        theta = zero_fit(fit.objective, np.zeros(0, dtype=int))
        losses = fit.objective.penalised(np.inf, 0.0)
        value, _ = losses.value_gradient(losses.from_user(theta))
        return -value * data.total_weight
    t, total = fit.objective.data.sum(masses, len(fit.theta), rows=fit.block_rows())
    value = xlogy(t, t / total).sum()
    if not fit.objective.loss.shift_invariant:
        value += xlogy(total - t, 1 - t / total).sum()
    return float(value)


def _effective_df(fit: Fit) -> float:
    """Return the trace of (H + P)^-1 H over the coefficients that are not at a kink or a bound."""
    H, P = fit.information(), fit.penalty_hessian()
    free = _is_free(fit)
    if free.all():
        return float(np.trace(factorise(fit, H + np.diag(P)).solve(H)))
    H = H[np.ix_(free, free)]
    A = H + np.diag(P[free])
    root = np.sqrt(np.maximum(np.diag(A), np.finfo(float).tiny))
    A, H = A / root / root[:, None], H / root / root[:, None]
    return float(np.trace(np.linalg.pinv(A, hermitian=True) @ H))


def _is_free(fit: Fit) -> NDArray:
    """Whether each coefficient can move: it is not zero by an L1 penalty, nor at a bound."""
    free, penalty, (W, _) = np.ones_like(fit.theta, dtype=bool), fit.objective.penalty, fit.parts
    inside = free[:, : W.shape[1]]
    if penalty.lasso > 0:
        inside &= (W != 0) | np.equal(penalty.factors, 0)
    inside &= ~at_bounds(fit)
    return free.ravel()


@validate_params(
    ROWS,
    prefer_skip_nested_validation=True,
)
def fit_statistics(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
) -> FitStatistics:
    r"""Log-likelihood, AIC, BIC, McFadden's R2 and effective degrees of freedom of a fit.

    The effective degrees of freedom are the trace of :math:`(H + P)^{-1} H`. H is the Hessian of
    the losses, and P is the Hessian of the penalty. Coefficients that are zero because of an L1
    penalty, or that lie at a bound, do not count. AIC and BIC use the effective degrees of freedom
    in place of the number of coefficients.

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

    Returns
    -------
    FitStatistics
        The log-likelihood is minus the sum of the losses. It lacks the constant that the
        multinomial coefficients of counts would add. If the targets are probabilities and not
        counts, it is minus their cross-entropy. AIC and BIC then have no meaning.

    Raises
    ------
    ValueError
        If an argument is not as described, or columns are collinear.

    See Also
    --------
    likelihood_ratio_test : Comparison of nested fits.

    References
    ----------
    Hastie, Tibshirani and Friedman, *The Elements of Statistical Learning*, 2009, section 7.6.

    Zou, Hastie and Tibshirani, *On the "degrees of freedom" of the lasso*, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import fit_statistics
    >>> X, y = load_wine(return_X_y=True)
    >>> X = X[:, [0, 10]]
    >>> clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    >>> statistics = fit_statistics(clf, X, y)
    >>> round(statistics.log_likelihood, 3), round(statistics.effective_df, 6)
    (-53.632, 6.0)
    >>> clf = SoftmaxClassifier(C=0.01).fit(X, y)
    >>> round(fit_statistics(clf, X, y).effective_df, 3)
    2.577
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    value, null, df = _log_likelihood(fit), _null_log_likelihood(fit), _effective_df(fit)
    n = fit.n_observations(fit.is_counts())
    return FitStatistics(
        n_observations=n,
        effective_df=df,
        log_likelihood=value,
        null_log_likelihood=null,
        aic=2 * (df - value),
        bic=float(np.log(n)) * df - 2 * value,
        mcfadden_r2=1 - value / null if null else 0.0,
    )


@validate_params(
    {
        **ROWS,
        "X_restricted": "no_validation",
    },
    prefer_skip_nested_validation=True,
)
def likelihood_ratio_test(
    estimator: Any,
    restricted: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    X_restricted: Any = None,
) -> ChiSquareResult:
    """Test a fit against a nested fit, which is a special case of it.

    Parameters
    ----------
    estimator : estimator
        A classifier of this package that was fitted with ``C=np.inf``, or a pipeline that ends with
        one. A :class:`FirthClassifier` is compared by its penalised likelihood.
    restricted : estimator or None
        The same kind of estimator, fitted on fewer features. None means a fit of intercepts only.
        A :class:`FirthClassifier` can only be compared with None.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of `estimator`.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of both fits.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of both fits, counts of equal rows.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    X_restricted : {array-like, sparse matrix} of shape (n_samples, n_fewer), default=None
        Features of `restricted`. None takes its columns from the data frame X by their names.

    Returns
    -------
    ChiSquareResult
        Twice the difference of the log-likelihoods, the number of coefficients that `restricted`
        lacks, and the p-value.

    Raises
    ------
    ValueError
        If an argument is not as described, if a fit has a penalty or bounds, or if `restricted` is
        not a special case of `estimator`, because it fits better or has as many coefficients.

    Warns
    -----
    InferenceWarning
        If some target mass is not a whole number. The statistic then has another distribution.
        Use :func:`wald_test` with ``cov="robust"`` instead.

    See Also
    --------
    wald_test : A test of the same hypothesis that needs one fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import likelihood_ratio_test
    >>> X, y = load_iris(return_X_y=True)
    >>> full = SoftmaxClassifier(C=np.inf).fit(X[:, :2], y == 1)
    >>> fewer = SoftmaxClassifier(C=np.inf).fit(X[:, :1], y == 1)
    >>> test = likelihood_ratio_test(full, fewer, X[:, :2], y == 1, X_restricted=X[:, :1])
    >>> f"{test.statistic:.2f} on {test.df} degree of freedom, p = {test.p_value:.1e}"
    '38.36 on 1 degree of freedom, p = 5.9e-10'
    """
    full = read_fit(estimator, X, y, sample_weight, offset)
    if full.is_firth:
        return _penalised_ratio(full, restricted)
    _check_maximum(full, "estimator")
    value, df = _log_likelihood(full), full.theta.shape[1] * full.n_free
    if restricted is None:
        less, fewer_df = _null_of(full)
    else:
        if X_restricted is None:
            X_restricted = _columns_of(restricted, X, len(full.features))
        fewer = read_fit(restricted, X_restricted, y, sample_weight, offset)
        _check_maximum(fewer, "restricted")
        if fewer.form != full.form:
            raise ValueError(
                f"restricted is a {fewer.form} fit, but estimator is a {full.form} fit. Fit both "
                "with the same loss."
            )
        less, fewer_df = _log_likelihood(fewer), fewer.theta.shape[1] * fewer.n_free
    df -= fewer_df
    if df <= 0 or less > value + _ROUNDED * max(1.0, abs(value)):
        raise ValueError(
            f"restricted is no special case of estimator: it has {-df} more coefficients, and a "
            f"log-likelihood of {less:.6g}. That of estimator is {value:.6g}."
        )
    if not full.is_counts():
        warn(
            "The target mass is not all whole numbers. So the likelihood ratio does not have a "
            "chi-squared distribution. Use wald_test with cov='robust'.",
            InferenceWarning,
        )
    statistic = max(2 * (value - less), 0.0)
    return ChiSquareResult(statistic, df, float(chi2.sf(statistic, df)))


def _null_of(fit: Fit) -> tuple[float, int]:
    """Return the log-likelihood and the number of coefficients of intercepts alone."""
    if not fit.objective.layout.fit_intercept:
        raise ValueError(
            "restricted=None is a fit of intercepts only. It is not a special case of a fit with "
            "fit_intercept=False."
        )
    return _null_log_likelihood(fit), fit.n_free


def _penalised_ratio(fit: Fit, restricted: Any) -> ChiSquareResult:
    """Return twice what Firth's penalised log-likelihood loses if all features have zeros."""
    if restricted is not None or not fit.objective.layout.fit_intercept:
        raise ValueError(
            "A FirthClassifier with intercepts is compared with restricted=None only, because its "
            "penalty depends on the features. profile_summary tests each coefficient."
        )
    problem, p = problem_of(fit), fit.objective.layout.n_columns
    theta = relative_to(fit.theta, problem.reference)
    is_feature = np.arange(theta.shape[1]) < p
    free = problem.free & np.tile(~is_feature, len(theta))
    null = maximise(problem, np.where(is_feature, 0, theta), free, _TOL, _STEPS).point
    statistic = max(2 * (null.value - problem.at(theta).value), 0.0)
    df = p * fit.n_free
    return ChiSquareResult(statistic, df, float(chi2.sf(statistic, df)))


def _check_maximum(fit: Fit, name: str) -> None:
    """Check that a fit maximised the likelihood, and nothing else."""
    if fit.is_penalised or fit.is_firth or fit.objective.penalty.bounds is not None:
        raise ValueError(
            f"{name} was fitted with a penalty or bounds, so its likelihood is not the largest. "
            "Fit it with C=np.inf and without bounds."
        )


def _columns_of(estimator: Any, X: Any, n_features: int) -> Any:
    """Return the columns of X that an estimator was fitted on: by name, or all."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and getattr(estimator, "n_features_in_", None) == n_features:
        return X
    if names is None or not hasattr(X, "columns"):
        raise ValueError(
            "X_restricted is needed unless both estimators were fitted on data frames. Pass the "
            "features of restricted."
        )
    return X[names.tolist()]


@validate_params(
    {
        **ROWS,
        "features": ["array-like", str, None],
        "contrasts": ["array-like", None],
        **COVARIANCE,
    },
    prefer_skip_nested_validation=True,
)
def wald_test(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    features: ArrayLike | str | None = None,
    contrasts: ArrayLike | None = None,
    cov: str = "auto",
    groups: ArrayLike | None = None,
    reference: Any = None,
) -> ChiSquareResult:
    """Test whether coefficients, or combinations of them, are all zero.

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
    features : str, array-like of str or of int, default=None
        Names or positions of the features whose coefficients are tested, for all classes together.
        None means all features.
    contrasts : array-like of shape (q, n_coefficients), default=None
        Linear combinations of the coefficients, to test in place of features. A row is one
        combination, and its columns have the order of the rows of :func:`coef_summary`.
    cov : {"auto", "model", "robust", "cluster"}, default="auto"
        Covariance of the coefficients, as in :func:`coef_summary`.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, for "cluster".
    reference : label, default=None
        The reference of the coefficients that `contrasts` combine, as in :func:`coef_summary`. A
        test of `features` does not depend on it.

    Returns
    -------
    ChiSquareResult
        The statistic ``v' V^-1 v``, with v the combinations and V their covariance, the number of
        combinations, and the p-value.

    Raises
    ------
    ValueError
        As in :func:`coef_summary`, or if the combinations depend on each other.

    See Also
    --------
    likelihood_ratio_test : A test of the same hypothesis that compares two fits.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import wald_test
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X.iloc[:, :2], y == 1
    >>> clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    >>> test = wald_test(clf, X, y, features="sepal length (cm)")
    >>> f"{test.statistic:.3f} on {test.df} degree of freedom, p = {test.p_value:.3f}"
    '0.275 on 1 degree of freedom, p = 0.600'
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    if features is not None and contrasts is not None:
        raise ValueError("features and contrasts are two ways to say what is tested. Pass one.")
    if contrasts is None and fit.form == "softmax":
        reference = fit.classes[0]  # the others are then free
    L, classes, _ = contrast_matrix(fit, reference)
    covariance = covariance_of(fit, cov, groups)
    estimates, V = covariance.contrasts(L)
    if contrasts is None:
        places = np.arange(estimates.size).reshape(estimates.shape)
        R = np.eye(estimates.size)[places[:, _positions(fit, features)].ravel()]
    else:
        R = check_numbers(contrasts, "contrasts").astype(np.float64)
        if R.ndim != 2 or R.shape[1] != estimates.size or not len(R):
            raise ValueError(
                f"contrasts must have shape (q, {estimates.size}), a column for each of the "
                f"{len(classes)} times {len(fit.terms)} rows of coef_summary, but has {R.shape}."
            )
    v, V = R @ estimates.ravel(), R @ V @ R.T
    root = np.sqrt(np.diag(V))
    if not root.all() or np.linalg.matrix_rank(V / root / root[:, None], hermitian=True) < len(v):
        raise ValueError(
            f"The {len(v)} combinations that are tested depend on each other, or there are fewer "
            "groups than combinations. Test fewer combinations. For categorical fits, pass a class "
            "as reference."
        )
    statistic = float(v @ np.linalg.solve(V, v))
    return ChiSquareResult(statistic, len(v), float(chi2.sf(statistic, len(v))))


def _positions(fit: Fit, features: ArrayLike | str | None) -> NDArray:
    """Return the positions of features."""
    if features is None:
        return np.arange(len(fit.features))
    positions, places = [], {name: j for j, name in enumerate(fit.features)}
    with naming("features", None):
        given = np.atleast_1d(np.asarray(to_numpy(features, "features"))).tolist()
    for feature in given:
        found = places.get(feature, feature) if isinstance(feature, str) else feature
        if isinstance(found, bool) or not isinstance(found, int):
            raise ValueError(
                f"features must be names or positions of columns of X, got {feature!r:.100}; the "
                f"first names are {fit.features[:5]}."
            )
        if not 0 <= found < len(fit.features):
            raise ValueError(f"features: there is no column {found}, X has {len(fit.features)}.")
        positions.append(found)
    if len(set(positions)) < max(len(positions), 1):
        raise ValueError(
            f"features must be different columns, at least one, got {features!r:.100}."
        )
    return np.array(positions)
