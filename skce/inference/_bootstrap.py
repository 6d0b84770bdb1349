"""The nonparametric bootstrap of a fit: rows, or groups of rows, drawn with replacement."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._array_api import on_host
from .._checks import N_JOBS, VERBOSE, Number, check_numbers, naming
from .._classifier import SoftmaxClassifier
from .._sklearn import StrOptions, validate_params
from .._targets.mass import Targets
from .._warnings import warn
from ._fit import ROWS, Fit, InferenceWarning, read_fit, refuse_without_optimum, through_steps
from ._sandwich import codes_of_groups, contrast_matrix
from ._summary import LEVEL
from ._table import as_table, odds_ratios

#: If a larger share of the resamples has no optimum, there is a warning.
_FAILED = 0.01
_METHOD = {"method": [StrOptions({"percentile", "basic", "normal"})]}


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Result of a bootstrap: the statistic of the fit and of each resample.

    Attributes
    ----------
    estimate : ndarray
        The statistic of the fit.
    samples : ndarray of shape (n_resamples - n_failed, ...)
        The statistic of each resample.
    n_failed : int
        Number of resamples that were left out, because they lack a class or have no optimum.
    index : dict of list, or None
        Classes and features of the elements if the statistic is the coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import bootstrap
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifier(C=0.1).fit(X, y)
    >>> result = bootstrap(clf, X, y, n_resamples=20, random_state=0)
    >>> result.samples.shape, result.std_error.shape
    ((20, 15), (15,))
    """

    estimate: NDArray
    samples: NDArray
    n_failed: int
    index: dict[str, list] | None = None

    @property
    def std_error(self) -> NDArray:
        """Standard deviation of the samples.

        Returns
        -------
        ndarray
            An array of the shape of the statistic.
        """
        return np.asarray(self.samples.std(axis=0, ddof=1))

    @validate_params({**LEVEL, **_METHOD}, prefer_skip_nested_validation=True)
    def confidence_interval(
        self, level: float = 0.95, method: str = "percentile"
    ) -> tuple[NDArray, NDArray]:
        """Return an interval for each element of the statistic.

        Parameters
        ----------
        level : float, default=0.95
            Level, in (0, 1).
        method : {"percentile", "basic", "normal"}, default="percentile"
            How the ends are computed (Efron and Tibshirani, 1993). "percentile" takes quantiles of
            the samples. "basic" subtracts these quantiles from twice the estimate. "normal" adds
            standard errors times quantiles of the normal distribution to the estimate.

        Returns
        -------
        lower, upper : ndarray
            Ends of the intervals.
        """
        if method == "normal":
            far = norm.ppf((1 + level) / 2) * self.std_error
            return self.estimate - far, self.estimate + far
        ends = np.quantile(self.samples, [(1 - level) / 2, (1 + level) / 2], axis=0)
        if method == "basic":
            ends = 2 * self.estimate - ends[::-1]
        return ends[0], ends[1]

    def summary(self, level: float = 0.95, method: str = "percentile") -> Any:
        """Return the table of coefficients with their intervals.

        Parameters
        ----------
        level : float, default=0.95
            Level, in (0, 1).
        method : {"percentile", "basic", "normal"}, default="percentile"
            As in :meth:`confidence_interval`.

        Returns
        -------
        DataFrame or dict
            The columns `estimate`, `std_error`, `lower`, `upper` and `odds_ratio`.

        Raises
        ------
        ValueError
            If the statistic is not the coefficients.
        """
        if self.index is None:
            raise ValueError(
                "summary is for coefficients, but bootstrap was given another statistic. Use "
                "confidence_interval."
            )
        lower, upper = self.confidence_interval(level, method)
        columns = {
            "estimate": self.estimate,
            "std_error": self.std_error,
            "lower": lower,
            "upper": upper,
            "odds_ratio": odds_ratios(self.estimate),
        }
        attrs = {"cov": "bootstrap", "level": float(level), "n_failed": self.n_failed}
        return as_table(self.index, columns, attrs)


@validate_params(
    {
        **ROWS,
        "groups": ["array-like", None],
        "statistic": [callable, None],
        "n_resamples": [Number(Integral, 2, None, closed="left")],
        "n_jobs": N_JOBS,
        "verbose": VERBOSE,
    },
    prefer_skip_nested_validation=True,
)
def bootstrap(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    statistic: Callable[[Any], Any] | None = None,
    reference: Any = None,
    n_resamples: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> BootstrapResult:
    """Draw rows with replacement, fit each resample, and return the statistics of these fits.

    The fit of a resample weights each row by the number of times that it was drawn. It starts from
    the coefficients of the given fit. The bootstrap also works with an L1 penalty and with bounds.
    It is less accurate with few rows. It does not correct the shrinkage of a penalty.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a pipeline that ends with one. The other steps of a
        pipeline are not fitted again. Each resample uses the C of the fit, even if
        cross-validation chose it.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features of the fit.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Targets of the fit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the fit. A row is one observation, whatever its weight. If a weight is a count
        of equal rows, repeat the row first.
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
        Offset of the fit, if it had one.
    groups : array-like of shape (n_samples,), default=None
        The group of each row. If given, whole groups are drawn.
    statistic : callable, default=None
        Function that takes a fitted estimator and returns an array, such as
        ``lambda clf: clf.predict_proba(X_new)``. None means the coefficients, in the order of
        the rows of :func:`coef_summary`.
    reference : label, default=None
        Reference of these coefficients, as in :func:`coef_summary`.
    n_resamples : int, default=1000
        Number of resamples.
    random_state : int, RandomState instance or None, default=None
        Seed of the random numbers. None means another seed in each call.
    n_jobs : int, default=None
        Number of processes. None means 1.
    verbose : int, default=0
        How often joblib prints the progress: 1 for some lines, 10 for a line after every resample.

    Returns
    -------
    BootstrapResult
        The statistic of the fit and of all resamples, with standard errors and intervals.

    Raises
    ------
    ValueError
        If an argument is not as described, or fewer than two resamples have an optimum.

    Warns
    -----
    InferenceWarning
        If more than one in a hundred resamples lacks a class or has no optimum. These resamples
        are left out.

    See Also
    --------
    coef_summary : Standard errors without resamples.

    References
    ----------
    Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.inference import bootstrap
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:, :2], y == 1
    >>> clf = SoftmaxClassifier(C=0.1, l1_ratio=1.0).fit(X, y)
    >>> bootstrap(clf, X, y, n_resamples=50, random_state=0).summary().round(2)
                     estimate  std_error  lower  upper  odds_ratio
    class feature
    True  x0             0.00       0.04   0.00   0.07        1.00
          x1            -0.72       0.34  -1.38  -0.04        0.49
          intercept      1.49       1.12  -0.55   3.80        4.46
    """
    fit = read_fit(estimator, X, y, sample_weight, offset)
    refuse_without_optimum(fit)
    if hasattr(estimator, "steps"):
        X = through_steps(estimator, X)[0]
    X, y, offset = map(on_host, (X, y, offset))
    L, classes, _ = contrast_matrix(fit, reference)
    index = None
    if statistic is None:
        terms = fit.terms
        index = {"class": [c for c in classes for _ in terms], "feature": terms * len(classes)}
    with naming("random_state", None):
        rng = check_random_state(random_state)
    data: Any = fit.objective.data
    draw = _Draw(data.targets.weights, groups)
    resample = _Resample(fit, L, statistic, X, y, offset, data.targets)
    seeds = rng.randint(np.iinfo(np.int32).max, size=int(n_resamples))
    found = Parallel(n_jobs=None if n_jobs is None else int(n_jobs), verbose=int(verbose))(
        delayed(resample)(draw, seed) for seed in seeds
    )
    samples = [sample for sample in found if sample is not None]
    n_failed = len(found) - len(samples)
    if len(samples) < 2:
        raise ValueError(
            f"{n_failed} of {len(found)} resamples lack a class or have no optimum. Fit with a "
            "finite C, or leave rare classes out."
        )
    if n_failed > _FAILED * len(found):
        warn(
            f"{n_failed} of {len(found)} resamples lack a class or have no optimum. They were left "
            "out, which makes the intervals too short. With a finite C every resample has an "
            "optimum.",
            InferenceWarning,
        )
    return BootstrapResult(resample.value(fit.estimator), np.stack(samples), n_failed, index)


class _Draw:
    """Weights of the rows of a resample."""

    def __init__(self, weights: NDArray, groups: ArrayLike | None):
        self._weights = np.asarray(weights, dtype=np.float64)
        self._codes = None if groups is None else codes_of_groups(groups, len(weights))
        units = np.arange(len(weights)) if self._codes is None else self._codes
        self._units = np.unique(units[self._weights > 0])

    def __call__(self, seed: int) -> NDArray:
        """Return the weights times how often each row was drawn."""
        rng = np.random.default_rng(seed)
        drawn = self._units[rng.integers(len(self._units), size=len(self._units))]
        times = np.bincount(drawn, minlength=len(self._weights))
        return self._weights * (times if self._codes is None else times[self._codes])


class _Resample:
    """The statistic of a fit with other weights."""

    def __init__(
        self,
        fit: Fit,
        L: NDArray,
        statistic: Callable[[Any], Any] | None,
        X: Any,
        y: Any,
        offset: Any,
        targets: Targets,
    ):
        self._L, self._statistic, self._X, self._y = L, statistic, X, y
        self._metadata = {} if offset is None else {"offset": offset}
        self._targets = targets
        self._model = _startable(fit)
        self._intercept = fit.objective.layout.fit_intercept

    def __call__(self, draw: _Draw, seed: int) -> NDArray | None:
        """Return the statistic, or None if the fit has no optimum."""
        weights = draw(seed)
        if self._intercept and _lacks_class(self._targets, weights):
            return None
        model = self._model.__class__(**self._model.get_params(deep=False))
        model.__dict__.update(self._model.__dict__)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self._X, self._y, sample_weight=weights, **self._metadata)
        return self.value(model) if model.optimize_result_["success"] else None

    def value(self, model: Any) -> NDArray:
        """Return the statistic of a fitted estimator."""
        if self._statistic is not None:
            return check_numbers(self._statistic(model), "statistic").astype(np.float64)
        theta = np.asarray(model._dense_coef(), dtype=np.float64)
        if self._intercept:
            theta = np.column_stack([theta, model.intercept_.astype(np.float64)])
        return np.asarray(self._L @ theta).ravel()


def _startable(fit: Fit) -> Any:
    """Return an estimator with the parameters of a fit that starts from its coefficients."""
    fitted = fit.estimator
    own = fitted.get_params(deep=False)
    if not fit.is_firth:
        own = {name: own[name] for name in SoftmaxClassifier().get_params() if name in own}
        own |= {"C": fitted._inverse_penalty, "l1_ratio": fitted._l1_share, "warm_start": True}
    model = type(fitted)(**own) if fit.is_firth else SoftmaxClassifier(**own)
    model.verbose = 0
    for name in ("classes_", "coef_", "intercept_", "_form"):
        setattr(model, name, getattr(fitted, name))
    return model


def _lacks_class(targets: Targets, weights: NDArray) -> bool:
    """Whether a class has no mass, or a label none on one of its sides, with other weights."""
    if not targets._mass(weights).all():
        return True
    is_codes = targets._values.ndim == 1
    return not (is_codes or targets._column_mass(weights, complement=True).all())
