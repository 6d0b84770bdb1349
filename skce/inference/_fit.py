"""A fit and its rows, which every function of inference reads first.

Coefficients are matrices of shape (K, d), with a row for each output. The intercept is the last
column if there is one. Vectors and square matrices of all coefficients have them row by row.
They belong to the rows as they are read, from which a centre may be subtracted. `in_user` turns
them into coefficients of the user's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.utils.validation import check_is_fitted

from .._array_api import moved, on_host
from .._classifier import SoftmaxClassifier
from .._linear_model import LinearModel
from .._problem.certain import certain
from .._problem.objective import Objective
from .._solver.stop import Stop
from .._targets.meaning import check_lengths, check_sample_weight, read_targets
from .._targets.offset import check_offset
from .._warnings import warn
from ._sums import (
    as_they_are,
    counted,
    firth_gradient,
    information,
    value_gradient,
    with_one,
)

#: Numbers in a block of rows times the coefficients of all outputs.
_BLOCK = 2**19
#: Least eigenvalue of an information matrix of unit diagonal. Rounding turns zero into 1e-14.
_COLLINEAR = 1e-12
#: A number that is farther than this from a whole number is not a count: shares have six digits.
_WHOLE = 1e-6
#: With more coefficients for each logit and row, the theory for many rows fails (Sur and Candès,
#: 2019).
_MANY = 0.2
#: Standard errors that a coefficient may be off without a warning.
_OFF = 0.1


#: Checks of the arguments that go with the rows of a fit.
ROWS: dict[str, Any] = {"sample_weight": ["array-like", None], "offset": ["array-like", None]}


class InferenceWarning(UserWarning):
    """Warning that standard errors are not valid, or not accurate. The message says why.

    Examples
    --------
    >>> import warnings
    >>> from skce.inference import InferenceWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", InferenceWarning)
    """


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit and its rows.

    Attributes
    ----------
    estimator : LinearModel
    objective : Objective
        Objective of the rows, with the penalty of the fit.
    features : list
        Names of the columns of X.
    theta : ndarray of shape (K, d)
        Coefficients of rows as they are read.
    """

    estimator: Any
    objective: Objective
    features: list
    theta: NDArray

    @property
    def form(self) -> str:
        """How logits become probabilities, a key of `OUTPUTS`."""
        return str(self.estimator._form)

    @property
    def classes(self) -> list:
        """Labels of the classes."""
        return list(self.estimator.classes_.tolist())

    @property
    def outputs(self) -> list:
        """The class of each row of coefficients."""
        return self.classes[1:] if self.form == "sigmoid" else self.classes

    @property
    def terms(self) -> list:
        """Names of the columns of coefficients."""
        return [*self.features, *(["intercept"] if self.objective.layout.fit_intercept else [])]

    @property
    def is_firth(self) -> bool:
        """Whether the fit has Firth's penalty."""
        return bool(self.estimator.penalty == "firth")

    @property
    def is_penalised(self) -> bool:
        """Whether the fit has an L1 or L2 penalty."""
        return self.objective.penalty.ridge + self.objective.penalty.lasso > 0

    @property
    def n_free(self) -> int:
        """Logits of a row that are not known from the others."""
        return len(self.theta) - self.objective.loss.shift_invariant

    def block_rows(self, width: int = 1) -> int:
        """Return how many rows to take at a time if each is turned into `width` numbers or more."""
        return max(1, _BLOCK // max(self.theta.size, width))

    @property
    def parts(self) -> tuple[NDArray, NDArray]:
        """Return W and b of rows as they are read."""
        p = self.objective.layout.n_columns
        W = self.theta[:, :p]
        return W, self.theta[:, p] if self.theta.shape[1] > p else np.zeros(len(W))

    @property
    def in_variables(self) -> Any:
        """Return the function that adds the column of the intercept to rows, if there is one."""
        return with_one if self.objective.layout.fit_intercept else as_they_are

    def sum(self, kernel: Any, *arguments: Any, width: int = 1) -> tuple[Any, ...]:
        """Add up what a kernel returns for each block, given the loss, W, b and more."""
        rows = self.block_rows(width)
        return self.objective.data.sum(
            kernel, self.objective.loss, *self.parts, *arguments, rows=rows, runs=1
        )

    def in_user(self, A: NDArray, axis: int) -> NDArray:
        """Turn an axis of d coefficients into that of the user's rows."""
        centre = self.objective.data.centre
        if centre is None:
            return A
        turned = np.moveaxis(A.copy(), axis, -1)  # a view of a copy
        turned[..., -1] -= turned[..., :-1] @ centre.astype(np.float64)
        return np.moveaxis(turned, -1, axis)

    def information(self) -> NDArray:
        """Return the sum of the Hessians of the losses, shape (K d, K d)."""
        K, d = self.theta.shape
        own, *between = self.sum(information, self.in_variables)
        H = -between[0] if between else np.zeros((K * d, K * d))
        for k in range(K):
            some = slice(k * d, (k + 1) * d)
            H[some, some] = own[k]
        check_in_range(H)
        return (H + H.T) / 2

    def penalty_hessian(self) -> NDArray:
        """Return the diagonal of the Hessian of the L2 penalty, beside the sum of the losses."""
        penalty, P = self.objective.penalty, np.zeros_like(self.theta)
        P[:, : penalty.n_columns] = penalty.total_weight * penalty.curvature
        return P.ravel()

    def penalty_gradient(self) -> NDArray:
        """Return the gradient of the penalty, beside the sum of the losses, shape (K d,)."""
        penalty, G = self.objective.penalty, np.zeros_like(self.theta)
        W, _ = self.parts
        slope = penalty.curvature * W + penalty.lasso * penalty.factors * np.sign(W)
        G[:, : penalty.n_columns] = penalty.total_weight * slope
        return G.ravel()

    def gradient(self, inverse: Factor) -> NDArray:
        """Return the gradient of what the fit minimised, shape (K d,)."""
        if self.is_firth:
            _, G = self.sum(firth_gradient, self.in_variables, inverse.blocks(self.theta.shape))
        else:
            _, RX, R1 = self.sum(value_gradient)
            G = RX if self.theta.shape[1] == RX.shape[1] else np.column_stack([RX, R1])
        return G.ravel() + self.penalty_gradient()

    def is_counts(self) -> bool:
        """Whether all target mass is whole numbers: what the model says that it is."""
        (off,) = self.objective.data.maximum(counted, len(self.theta))
        return off <= _WHOLE

    def n_observations(self, is_counts: bool) -> float:
        """Return the number of observations: counts, or else rows of positive weight."""
        data: Any = self.objective.data
        return float(data.total_weight if is_counts else np.count_nonzero(data.targets.weights))


def read_fit(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    offset: ArrayLike | None = None,
) -> Fit:
    """Put a fitted estimator and the rows of its fit side by side.

    Parameters
    ----------
    estimator : estimator
        Of this package, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    sample_weight : array-like of shape (n_samples,), or None
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), or None

    Returns
    -------
    Fit
    """
    names = None
    if hasattr(estimator, "steps"):
        X, names, estimator = through_steps(estimator, X)
    if not isinstance(estimator, LinearModel):
        raise TypeError(
            "estimator must be a fitted classifier of skce, or a pipeline that ends with one, got "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    estimator = moved(estimator, np)
    if offset is not None and estimator.penalty == "firth":
        raise ValueError("offset is given, but FirthClassifier fits without one: leave it out.")
    X, y, sample_weight, offset = map(on_host, (X, y, sample_weight, offset))
    with config_context(array_api_dispatch=False):
        return _read(estimator, X, y, sample_weight, offset, names)


def _read(
    estimator: LinearModel,
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None,
    offset: ArrayLike | None,
    names: Any,
) -> Fit:
    """Return a fit and its rows, all in host memory or read from elsewhere by blocks."""
    X = estimator._check_features(X)
    raw = read_targets(y, estimator.loss)
    check_lengths(X.shape[0], len(raw.values))
    raw = replace(raw, offset=check_offset(offset, X.shape[0], raw.form, raw.classes))
    weights = check_sample_weight(sample_weight, X.shape[0])
    if raw.form != estimator._form or raw.classes.tolist() != estimator.classes_.tolist():
        raise ValueError(
            f"y has the classes {raw.classes.tolist()} ({raw.form}), but the fit had "
            f"{estimator.classes_.tolist()} ({estimator._form}): pass the y of the fit."
        )
    own = estimator.get_params(deep=False)
    shared = {name: own[name] for name in SoftmaxClassifier().get_params() if name in own}
    shared |= {"C": estimator._inverse_penalty, "l1_ratio": estimator._l1_share}
    model = SoftmaxClassifier(**shared)
    objective = model._objective(X, model._fold_weights(raw, weights, X))
    W = np.asarray(estimator._dense_coef(), dtype=np.float64)
    b = np.asarray(estimator.intercept_, dtype=np.float64)
    W, b = objective.layout.unpack(objective.from_user(objective.layout.pack(W, b)))
    theta = np.column_stack([W, b]) if objective.layout.fit_intercept else W.copy()
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
    features = [f"x{j}" for j in range(W.shape[1])] if names is None else [*map(str, names)]
    return Fit(estimator, objective, features, theta)


def through_steps(pipeline: Any, X: Any) -> tuple[Any, Any, Any]:
    """Return X as the last step of a pipeline gets it, with its names, and that step."""
    names, first = None, pipeline[:-1]
    if len(first.steps):
        X = first.transform(X)
        if hasattr(first, "get_feature_names_out"):
            names = first.get_feature_names_out()
    return X, names, pipeline[-1]


def check_in_range(sums: NDArray) -> None:
    """Check that sums of squares of X are numbers."""
    if not np.isfinite(sums).all():
        raise ValueError(
            "X holds values so large that their squares are outside the range of float64. Check "
            "the units of X."
        )


@dataclass(frozen=True, eq=False)
class Factor:
    """Cholesky factor of a matrix of unit diagonal, and what its rows were divided by."""

    factor: tuple[NDArray, bool]
    root: NDArray

    def solve(self, B: NDArray) -> NDArray:
        """Return the inverse times B."""
        scaled = (B.T / self.root).T
        return np.asarray((scipy.linalg.cho_solve(self.factor, scaled).T / self.root).T)

    def inverse(self) -> NDArray:
        """Return the inverse."""
        return self.solve(np.eye(len(self.root)))

    def blocks(self, shape: tuple[int, ...]) -> NDArray:
        """Return the inverse, shape (K, d, K, d)."""
        return self.inverse().reshape(*shape, *shape)


def factorise(fit: Fit, H: NDArray) -> Factor:
    """Factorise the Hessian of what a fit minimised, with shifts of all classes held.

    Scores have no part along these shifts, so it does not matter how they are held.

    Parameters
    ----------
    fit : Fit
    H : ndarray of shape (K d, K d)
        Hessian of the losses and the L2 penalty.

    Returns
    -------
    Factor

    Raises
    ------
    ValueError
        If columns are collinear. The message names them.
    """
    K, d = fit.theta.shape
    if fit.objective.loss.shift_invariant:
        own = H.reshape(K, d, K, d)
        shifts = np.einsum("kjkj->j", own) / K**2
        H = H + np.kron(np.ones((K, K)), np.diag(shifts))
    diagonal = np.diag(H)
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1))
    scaled = H / root / root[:, None]
    try:
        np.linalg.cholesky(scaled - _COLLINEAR * np.eye(len(H)))
    except np.linalg.LinAlgError:
        raise ValueError(_name_collinear(fit, scaled)) from None
    return Factor(scipy.linalg.cho_factor(scaled, lower=True), root)


def _name_collinear(fit: Fit, scaled: NDArray) -> str:
    """Say which columns are collinear."""
    (K, d), data = fit.theta.shape, fit.objective.data
    if d > data.n_rows:
        return (
            f"X has {data.n_rows} rows, fewer than the {d} coefficients of a logit. Without a "
            "penalty these coefficients are not determined. Use fewer features, or a finite C."
        )
    _, U = np.linalg.eigh(scaled)
    size = np.abs(U[:, 0]).reshape(K, d).max(axis=0)
    some = [fit.terms[j] for j in np.flatnonzero(size > size.max() / 100)[:10]]
    return (
        f"The information matrix is singular: the columns {some} are collinear, or constant. Their "
        "coefficients are not determined. Leave one of these columns out. If they are dummies for "
        "all categories, leave out the first."
    )


def refuse_without_theory(fit: Fit) -> None:
    """Refuse fits whose coefficients do not have a normal distribution even with many rows."""
    if fit.is_firth:
        return
    penalty, (W, _) = fit.objective.penalty, fit.parts
    if penalty.lasso > 0 and not W.all():
        raise ValueError(
            f"{np.count_nonzero(W == 0)} of {W.size} coefficients are zero by the L1 penalty. "
            "Standard errors are not valid after such a selection. Use skce.inference.bootstrap, "
            "or choose features on some rows and fit them with C=np.inf on the other rows."
        )
    at = at_bounds(fit)
    if at.any():
        k, j = np.unravel_index(int(at.argmax()), W.shape)
        raise ValueError(
            f"{np.count_nonzero(at)} coefficients are at coef_bounds (the first is that of "
            f"{fit.features[j]!r}, class {fit.outputs[k]!r}). A coefficient at a bound does not "
            "have a normal distribution. Use skce.inference.bootstrap, or fit without bounds."
        )
    refuse_without_optimum(fit)


def at_bounds(fit: Fit) -> NDArray:
    """Whether each coefficient is at a bound, up to the rounding of its storage; shape (K, p)."""
    bounds, (W, _) = fit.objective.penalty.bounds, fit.parts
    if bounds is None:
        return np.zeros(W.shape, dtype=bool)
    rounding = 2 * np.finfo(fit.estimator.intercept_.dtype).eps * np.abs(W)
    return np.asarray((bounds[0] >= W - rounding) | (bounds[1] <= W + rounding))


def refuse_without_optimum(fit: Fit) -> None:
    """Refuse fits whose coefficients are infinite."""
    never, always = certain(fit.objective)
    if (never | always).any():
        k = int((never | always).argmax())
        raise ValueError(
            f"Class {fit.outputs[k]!r} has all of the target mass, or none. So its intercept is "
            "infinite, and has no standard error. Leave this class out."
        )
    result = getattr(fit.estimator, "optimize_result_", None)
    message = "" if result is None else str(result["message"])
    if any(stop.reason in message for stop in (Stop.SEPARABLE, Stop.QUASI_SEPARABLE)):
        raise ValueError(
            "The fit has no optimum: classes are separated, and coefficients grow without bound. "
            "So there are no standard errors. Use skce.inference.FirthClassifier, or a finite C."
        )


def warn_of_many(fit: Fit, effective: float, n_observations: float) -> None:
    """Warn if there are too many coefficients for the rows, except with Firth's penalty."""
    if fit.is_firth:
        return
    for_each = effective / max(fit.n_free, 1)
    if for_each > _MANY * n_observations:
        warn(
            f"The fit has {for_each:.4g} coefficients for each logit, and {n_observations:.6g} "
            "observations. With fewer than 5 observations for each coefficient, standard errors "
            "are too small and coefficients are too large, even if the model is right.",
            InferenceWarning,
        )


def warn_of_distance(fit: Fit, factor: Factor, deviation: NDArray) -> None:
    """Warn if coefficients are far from the optimum, or the penalty moves them far.

    Parameters
    ----------
    fit : Fit
    factor : Factor
    deviation : ndarray of shape (K d,)
        Standard errors.
    """

    def most(step: NDArray) -> tuple[float, str]:
        off = np.abs(step) / np.where(deviation > 0, deviation, np.inf)
        k, j = divmod(int(off.argmax()), fit.theta.shape[1])
        return float(off.max()), f"{fit.terms[j]!r}, class {fit.outputs[k]!r}"

    off, which = most(factor.solve(fit.gradient(factor)))
    if off > _OFF:
        warn(
            f"On these rows coefficients are up to {off:.2g} standard errors ({which}) from the "
            "optimum. Pass X, y and sample_weight of the fit. If you did, fit with a smaller tol.",
            InferenceWarning,
        )
    if not fit.is_penalised:
        return
    moved_by, which = most(factor.solve(fit.penalty_gradient()))
    if moved_by > _OFF:
        warn(
            f"The penalty (C={fit.estimator._inverse_penalty:g}) moves coefficients by up to "
            f"{moved_by:.2g} standard errors ({which}). Standard errors are those of the penalised "
            "coefficients around their own mean. Intervals and p-values do not correct for the "
            "shift. Fit with C=np.inf to get those of the model.",
            InferenceWarning,
        )
