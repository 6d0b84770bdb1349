"""The estimator: parameters and fit. The computations are in other modules."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ._array_api import fits_in_numpy
from ._callbacks import Task, begin, given, iterations, with_callbacks
from ._checks import (
    LARGEST,
    VERBOSE,
    Number,
    check_numbers,
    check_numbers_or_none,
    first_not_finite,
)
from ._data import Data, as_data, read_as
from ._hints import with_hints
from ._interrupts import unchanged_on_error
from ._linear_model import LinearModel
from ._losses import loss_of
from ._problem.certain import at_limit, certain
from ._problem.objective import Objective
from ._problem.penalty import Penalty, check_bounds, check_penalty_weights
from ._sklearn import Options, StrOptions, fit_context
from ._solver.minimize import minimize
from ._solver.stop import warn_if_not_converged
from ._targets.mass import Targets, fold_weights
from ._targets.meaning import (
    RawTargets,
    check_y,
)

#: exp(-800) is 0.
_BEYOND_EXP = 800.0


class SoftmaxClassifier(LinearModel):
    r"""Linear classifier that minimises cross-entropy, for labels and for probability targets.

    With targets t_i, total target mass m_i = sum_k t_ik, coefficients W and intercepts b it
    minimises scikit-learn's own objective ::

        C * sum_i s_i * loss(t_i, W x_i + b)
        + sum_j f_j * ((1 - l1_ratio) / 2 * ||W_j||_2^2 + l1_ratio * ||W_j||_1)

    with W_j the coefficients of feature j and f_j its weight in the penalty, 1 by default. If `fit`
    gets an offset o_i, a known part of the logits, it is added to ``W x_i + b``. On labels the
    coefficients equal those of :class:`~sklearn.linear_model.LogisticRegression` with the same `C`.
    The loss is categorical cross-entropy, ``m * logsumexp(z) - t @ z``, or binary cross-entropy,
    ``m * softplus(z) - t * z``. Intercepts are never penalised.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the strength of the penalty, in (0, inf]. ``np.inf`` means no penalty.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, in [0, 1]. 0 is L2. 1 is L1, which makes coefficients zero. Values
        in between are the elastic net.
    loss : {"auto", "categorical", "binary"}, default="auto"
        What the targets mean. "auto" is "binary" for labels of two classes and "categorical"
        otherwise. "binary" also takes a 1-D `y` of floats in [0, 1] (the probability of class 1),
        a 2-D `y` with a probability per label (multilabel; NaN or a masked element is a label that
        is not known, and has no mass), and labels of three or more classes (one-vs-rest: a sigmoid
        per class, probabilities normalised).
    fit_intercept : bool, default=True
        Whether to fit an intercept per coefficient vector.
    class_weight : dict or "balanced", default=None
        Factors ``{class: weight}`` on the target mass of classes, 1 for classes that are left out.
        For labels this is the meaning in scikit-learn, for probabilities the meaning in
        ``torch.nn.CrossEntropyLoss``. For multilabel targets it is a factor on the positive part of
        a label. "balanced" uses ``total mass / (n_classes * mass of the class)``, with sample
        weights. For multilabel targets it balances the two sides of each label, in the rows in
        which the label is known.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes before class
        weights apply. Binary losses smooth towards 1/2.
    coef_bounds : tuple (low, high), default=None
        Bounds of the coefficients. Each is a number, an array that broadcasts to `coef_`, or None
        for no bound: with ``(0, None)`` no coefficient is negative. Intercepts have no bounds.
    penalty_weights : array-like of shape (n_features,), default=None
        Non-negative factors f of the penalty, one for each feature; 0 for no penalty.
    solver : {"auto", "newton-cg", "lbfgs"} or callable, default="auto"
        "newton-cg" is Newton's method, with conjugate gradients on exact Hessian products. With
        many more rows than parameters it uses the Hessian products of a fixed sample of rows.
        "lbfgs" is L-BFGS-B of :func:`scipy.optimize.minimize`. "auto" is "newton-cg". With
        89 to 1000 columns, and not many more rows than parameters, "auto" begins with L-BFGS, which
        needs half of the passes there. With an L1 penalty or bounds all three are Newton's method
        on a working set of coefficients. A callable is a `method` as
        :func:`scipy.optimize.minimize` accepts it. It gets value, gradient and Hessian products of
        the objective in whitened variables, and ends when the estimated gap is at most `tol`.
    tol : float, default=1e-9
        Accuracy: fitting stops once the estimated gap to the optimal objective, relative to it,
        is at most `tol`. The estimate is the Newton decrement and does not depend on the units of
        the features. If the fit does not reach `tol`, or the gap is not known, a warning says how
        close the fit is, and why.
    max_iter : int, default=1000
        The largest number of iterations of the solver.
    warm_start : bool, default=False
        Whether to start from the coefficients of the previous fit. If these are worse than zeros,
        because somebody has changed them, the fit starts from zeros.
    verbose : int, default=0
        Whether to print a line per iteration: objective, estimated relative gap, passes over the
        data, seconds. With 2, also print the progress of each pass over X in a file.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted. For a 2-D `y` these are ``arange(n_classes)``, or the column names if
        `y` is a data frame. Column names are sorted if they can be. Otherwise, and for multilabel
        targets, they are in the order of the columns. `coef_` and predictions are in the order of
        `classes_`.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients, in the dtype of X. One row for a binary loss on two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts, zeros if ``fit_intercept=False``.
    n_iter_ : ndarray of shape (1,)
        Number of iterations.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.
    loss_curve_ : ndarray of shape (n_iter,)
        The objective above after each iteration, or at the start if that was good enough. Without
        a penalty (``C=np.inf``) it is the weighted sum of the losses.
    optimize_result_ : scipy.optimize.OptimizeResult
        How the fit went: `x` (`coef_` row by row, then `intercept_`), `fun` (the objective above),
        `jac` (its gradient), `nit`, `nfev`, `njev`, `nhev`, `passes` (rows read, in multiples of
        n_samples), `gap` (the last estimate of the relative gap), `seconds` (after each iteration),
        `success`, `message`.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The same model for labels only.
    skce.metrics.log_loss : Log-loss for the same targets.

    Notes
    -----
    If X has at most 1000 columns or at most 1000 rows, the solver works on centred and whitened
    features, implicitly and without a copy of X. Otherwise it works on centred and scaled features,
    until whitening is worth its cost. Columns whose means are a thousand standard deviations from
    zero (a hundred in float32) are centred when they are read. The curvature of each class at the
    current point is then whitened, too (Newton's method with a block preconditioner; Nocedal and
    Wright, *Numerical Optimization*, 2006, chapter 7). With many rows the curvature is that of a
    sample of the rows (Roosta-Khorasani and Mahoney, *Sub-sampled Newton methods*, 2019).

    With an L1 penalty or bounds each step is the minimum of a quadratic model that includes them,
    over the coefficients that are not at zero or a bound, or would leave it (a proximal Newton
    method: Lee, Sun and Saunders, 2014). The decrease that the quadratic model predicts estimates
    the gap. In every case the penalty applies to the coefficients of the original features, and the
    optimum is that of all rows.

    X is read by as many threads as BLAS would use. Fits that run at the same time share them. BLAS
    has one thread until the last of these fits ends. The same input gives the same bits. A fit that
    is interrupted leaves the estimator, and the process, as they were.

    With a categorical loss you can add the same vector to every row of `coef_`, and no probability
    changes. The penalty, or without one the start at zero, makes the rows sum to zero.

    With two classes, a categorical fit with half of the `C` has the probabilities of a binary fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifier().fit(X, y)
    >>> clf.predict_proba(X[:2]).round(3)
    array([[0.982, 0.018, 0.   ],
           [0.971, 0.029, 0.   ]])

    Targets may be probabilities, one column per class:

    >>> import numpy as np
    >>> Y = 0.9 * np.eye(3)[y] + 0.1 / 3
    >>> clf = SoftmaxClassifier().fit(X, Y)
    >>> round(clf.score(X, Y), 3)
    0.903
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "C": [Number(Real, 0, LARGEST, closed="right"), Options(Real, {np.inf})],
        "l1_ratio": [Number(Real, 0, 1, closed="both")],
        "loss": [StrOptions({"auto", "categorical", "binary"})],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Number(Real, 0, 1, closed="left")],
        "coef_bounds": [tuple, list, None],
        "penalty_weights": ["array-like", None],
        "solver": [StrOptions({"auto", "newton-cg", "lbfgs"}), callable],
        "tol": [Number(Real, 0, LARGEST, closed="right")],
        "max_iter": [Number(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "verbose": VERBOSE,
    }

    @with_hints
    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        loss: str = "auto",
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        label_smoothing: float = 0.0,
        coef_bounds: tuple | None = None,
        penalty_weights: ArrayLike | None = None,
        solver: Any = "auto",
        tol: float = 1e-9,
        max_iter: int = 1000,
        warm_start: bool = False,
        verbose: int = 0,
    ):
        self.C = C
        self.l1_ratio = l1_ratio
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.coef_bounds = coef_bounds
        self.penalty_weights = penalty_weights
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.verbose = verbose

    @unchanged_on_error
    @fits_in_numpy
    @fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> SoftmaxClassifier:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features. Dense float64 and float32 arrays and CSR matrices are used without a copy.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels, or target probabilities: rows that sum to 1 within 1e-4 (and are
            renormalised), or with ``loss="binary"`` a probability of class 1 (1-D) or of each
            label (2-D), NaN or masked if it is not known. Pass counts per class as ``Y / m`` with
            ``sample_weight=m``, with m the sums of the rows. The columns of a data frame are put in
            order block by block, without a copy.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. The default is 1 for each. A class whose rows all have
            weight zero is still a class. Its probability tends to zero.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, which become ``W x + b + offset``: one column for each class,
            in the order of `classes_`, or by name if it is a data frame. With two classes a single
            column is the offset of the log-odds of ``classes_[1]``. For a multilabel `y` and
            one-vs-rest it is the offset of all labels. The fitted estimator does not keep offsets:
            pass those of new rows when you predict.
        coef_init : array-like of the shape of `coef_`, default=None
            Coefficients to start from. The default is zeros, or the coefficients of the previous
            fit with ``warm_start=True``. The optimum does not depend on them.
        intercept_init : array-like of the shape of `intercept_`, default=None
            Intercepts to start from, with the same defaults.

        Returns
        -------
        SoftmaxClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an argument is not as described. The message names it, with the first
            bad row. The estimator is then as it was before the call.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached, or coefficients without a penalty grow without bound. The
            message says how close the fit is, which coefficients grow, and what to do.
        UserWarning
            If a label of a multilabel `y` is not known in any row: its probability is 1/2.
        """
        context = begin(self, lambda: self.max_iter + 1)  # one iteration may begin without an end
        X, targets = self._read(X, y, sample_weight, offset)
        objective = self._objective(X, targets)
        data = {"X": X, "y": y, "metadata": given(sample_weight=sample_weight, offset=offset)}
        known = partial(self._attributes, objective, targets)
        with iterations(Task(context, self, data), known) as on_iteration:
            report = minimize(
                objective,
                self._start(objective, targets, coef_init, intercept_init),
                solver=self.solver,
                tol=float(self.tol),
                max_iter=self.max_iter,
                verbose=self.verbose,
                on_iteration=on_iteration,
            )
            self._store(objective, targets, report)
        warn_if_not_converged(
            report,
            tol=self.tol,
            unpenalised=bool(np.isinf(float(self.C))),
            dtype=objective.data.dtype,
            classes=targets.classes,
            features=getattr(self, "feature_names_in_", None),
        )
        return self

    @property
    def _inverse_penalty(self) -> float:
        """C of the fit."""
        return self.C

    @property
    def _l1_share(self) -> float:
        """l1_ratio of the fit."""
        return self.l1_ratio

    def _read(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        offset: ArrayLike | None = None,
    ) -> tuple[NDArray | sp.csr_array, Targets]:
        """Validate the arguments of `fit`, and fold weights into targets."""
        X, raw, weights = self._read_raw(X, y, sample_weight, offset)
        return X, self._fold_weights(raw, weights, X)

    def _fold_weights(
        self, raw: RawTargets, weights: NDArray | None, X: NDArray | sp.csr_array
    ) -> Targets:
        smoothing = float(self.label_smoothing)
        dtype = read_as(X, self._costs)
        targets = fold_weights(raw, weights, self.class_weight, smoothing, dtype)
        targets.check_some_known()
        return targets

    def _objective(self, X: NDArray | sp.csr_array, targets: Targets) -> Objective:
        n_features = X.shape[1]
        data = self._data(X, targets)
        penalty = Penalty(
            n_columns=n_features,
            total_weight=data.total_weight,
            C=float(self.C),  # arithmetic in float16 overflows
            l1_ratio=float(self.l1_ratio),
            penalty_weights=check_penalty_weights(
                check_numbers_or_none(self.penalty_weights, "penalty_weights"), n_features
            ),
            bounds=check_bounds(
                _bounds_as_numbers(self.coef_bounds), (targets.n_outputs, n_features)
            ),
        )
        return Objective(data, loss_of(targets), penalty, fit_intercept=self.fit_intercept)

    def _data(self, X: Any, targets: Targets) -> Data:
        return as_data(X, targets, centred=self.fit_intercept, costs=self._costs)

    def _start(
        self,
        objective: Objective,
        targets: Targets,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> NDArray:
        """Return the given start, else the previous coefficients, else zeros.

        If all outputs are certain, the start has their probabilities up to rounding. With steps of
        the solver this would take as long as exp(-n) takes to become 0.
        """
        cold = np.zeros(objective.layout.size)
        never, always = certain(objective)
        if objective.penalty.ridge + objective.penalty.lasso > 0 and (never | always).all():
            cold = at_limit(objective, cold, never, always, far=_BEYOND_EXP)
        W, b = objective.layout.unpack(cold)
        is_missing = coef_init is None or intercept_init is None
        if is_missing and self.warm_start and hasattr(self, "coef_"):
            W, b = self._previous(objective, targets)
        if coef_init is not None:
            W = _check_start("coef_init", coef_init, W.shape)
        if intercept_init is not None:
            b = _check_start("intercept_init", intercept_init, b.shape)
            if b.any() and not self.fit_intercept:
                raise ValueError(
                    "intercept_init is not zero, but there are no intercepts: "
                    "fit_intercept=False. Leave it out."
                )
        return objective.layout.pack(W, b)

    def _previous(self, objective: Objective, targets: Targets) -> tuple[NDArray, NDArray]:
        """Coefficients and intercepts of the previous fit."""
        shape = (objective.layout.n_outputs, objective.layout.n_columns)
        W = check_numbers(self._dense_coef(), "coef_").astype(np.float64)
        classes = check_y(self.classes_, "classes_").tolist()
        if W.shape != shape or classes != targets.classes.tolist() or self._form != targets.form:
            raise ValueError(
                "warm_start=True needs the classes, the number of features and the loss of the "
                f"previous fit: it had coef_ of shape {W.shape} for classes {classes}, this one "
                f"has shape {shape} for classes {targets.classes.tolist()}. Set warm_start=False "
                "or use a new estimator."
            )
        b = check_numbers(self.intercept_, "intercept_").astype(np.float64)
        if b.shape != shape[:1]:
            raise ValueError(
                f"warm_start=True starts from intercept_, which has shape {b.shape} in place of "
                f"{shape[:1]}. Set warm_start=False or use a new estimator."
            )
        for name, values in (("coef_", W), ("intercept_", b)):
            row = first_not_finite(values)
            if row is not None:
                raise ValueError(
                    f"warm_start=True starts from {name}, which is not finite in row {row}. Set "
                    "warm_start=False or use a new estimator."
                )
        return W, b


def _check_start(name: str, values: Any, shape: tuple[int, ...]) -> NDArray:
    """Check coefficients or intercepts to start from."""
    start = check_numbers(values, name).astype(np.float64)
    if start.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, that of {name.replace('init', '')}, but has shape "
            f"{start.shape}."
        )
    row = first_not_finite(start)
    if row is not None:
        raise ValueError(f"{name} must be finite, but is not in row {row}.")
    return start


def _bounds_as_numbers(bounds: Any) -> Any:
    """Return the pair of bounds as arrays. Anything else is returned as is, for a later check."""
    if bounds is None or len(bounds) != 2:
        return bounds
    return tuple(
        check_numbers_or_none(value, f"coef_bounds: {name}")
        for name, value in zip(("low", "high"), bounds, strict=True)
    )
