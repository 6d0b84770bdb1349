"""Firth's penalised likelihood: finite estimates with less bias, for few or separated rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from .._array_api import fits_in_numpy
from .._callbacks import Task, begin, iterations, with_callbacks
from .._checks import VERBOSE, Number
from .._classifier import SoftmaxClassifier
from .._interrupts import unchanged_on_error
from .._linear_model import LinearModel
from .._problem.objective import Objective
from .._sklearn import StrOptions, fit_context
from .._targets.mass import Targets
from .._warnings import warn
from ._fit import Fit, factorise
from ._penalised import Optimum, maximise, problem_of


class FirthClassifier(LinearModel):
    r"""Linear classifier that maximises Firth's penalised likelihood.

    It maximises :math:`l(\theta) + \tfrac12 \log \det I(\theta)`, which is the log-likelihood plus
    the logarithm of Jeffreys' prior. :math:`I` is the Fisher information. This penalty removes the
    bias of first order, and keeps estimates finite if classes are separated. There is no strength
    of the penalty to choose, and the probabilities do not depend on the units of the features.

    Parameters
    ----------
    loss : {"auto", "categorical", "binary"}, default="auto"
        What the targets mean, as in :class:`~skce.SoftmaxClassifier`.
    fit_intercept : bool, default=True
        Whether to fit an intercept for each coefficient vector. The information includes it.
    class_weight : dict or "balanced", default=None
        Factors of the target mass of each class.
    tol : float, default=1e-8
        The fit ends after a step that moves no combination of the coefficients by more than `tol`
        standard errors.
    max_iter : int, default=200
        Largest number of steps of Fisher scoring.
    verbose : int, default=0
        Whether to print the penalised log-likelihood and the size of the step in each iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, as in :class:`~skce.SoftmaxClassifier`.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients. With a categorical loss they sum to zero over the classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts. They are zero if ``fit_intercept=False``.
    penalized_log_likelihood_ : float
        The maximum. For a categorical loss, the information is that of all classes but the first.
    n_iter_ : ndarray of shape (1,)
        Number of steps.
    optimize_result_ : dict
        `success` says whether the fit converged. `message` says how long the last step was.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    profile_summary : Intervals and tests from profiles of the penalised likelihood.
    coef_summary : Intervals and tests from the normal distribution.

    Notes
    -----
    The penalty draws probabilities towards 1/2, or 1/K for K classes. So their averages are not
    the shares of the classes. This matters for prediction if a class is rare.

    Sample weights are counts of equal rows. The time of a step is proportional to the number of
    rows times the square of the number of coefficients, so use this classifier for small tables.

    References
    ----------
    Firth, *Bias reduction of maximum likelihood estimates*, 1993.

    Heinze and Schemper, *A solution to the problem of separation in logistic regression*, 2002.

    Kosmidis and Firth, *Multinomial logit bias reduction via the Poisson log-linear model*, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inference import FirthClassifier
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0]]), [0, 0, 1, 1]
    >>> clf = FirthClassifier().fit(X, y)
    >>> clf.coef_.round(3), clf.intercept_.round(3)
    (array([[1.31]]), array([-3.275]))
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "loss": [StrOptions({"auto", "categorical", "binary"})],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Number(Real, 0, None, closed="neither")],
        "max_iter": [Number(Integral, 1, None, closed="left")],
        "verbose": VERBOSE,
    }

    def __init__(
        self,
        *,
        loss: str = "auto",
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        tol: float = 1e-8,
        max_iter: int = 200,
        verbose: int = 0,
    ):
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @unchanged_on_error
    @fits_in_numpy
    @fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> FirthClassifier:
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Class labels or target probabilities, as in :meth:`skce.SoftmaxClassifier.fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, which are not negative and count equal rows.

        Returns
        -------
        FirthClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is not as described, or if columns of X are collinear or constant.

        Warns
        -----
        ConvergenceWarning
            If the fit ends before it reaches `tol`.
        """
        context = begin(self, lambda: self.max_iter + 1)
        X, raw, weights = self._read_raw(X, y, sample_weight)
        model = SoftmaxClassifier(
            C=np.inf, fit_intercept=self.fit_intercept, class_weight=self.class_weight
        )
        targets = model._fold_weights(raw, weights, X)
        fit = self._start(model._objective(X, targets), targets)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        task = Task(context, self, {"X": X, "y": y, "metadata": metadata})
        with iterations(task, partial(self._attributes, fit.objective, targets)) as tell:

            def stops(theta: NDArray) -> bool:
                return tell is not None and tell(_of_user(fit, theta))

            problem = problem_of(fit)
            optimum = maximise(
                problem,
                fit.theta,
                problem.free,
                self.tol,
                self.max_iter,
                stops=stops,
                verbose=self.verbose,
            )
            theta = _of_user(fit, optimum.point.theta)
            self.__dict__.update(self._attributes(fit.objective, targets, theta))
        self._report(optimum)
        return self

    def _start(self, objective: Objective, targets: Targets) -> Fit:
        """Return rows with coefficients of zero, of which no column is collinear with others."""
        layout = objective.layout
        theta = np.zeros((layout.n_outputs, layout.n_columns + layout.fit_intercept))
        self._form, self.classes_ = targets.form, targets.classes
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(layout.n_columns)])
        fit = Fit(self, objective, [*map(str, names)], theta)
        factorise(fit, fit.information())
        return fit

    def _report(self, optimum: Optimum) -> None:
        """Keep how the fit went, and warn if it did not converge."""
        self.penalized_log_likelihood_ = -optimum.point.value
        self.n_iter_ = np.array([optimum.n_iter], dtype=np.int32)
        converged = optimum.distance <= self.tol
        message = f"The last step was {optimum.distance:.1e} standard errors long."
        self.optimize_result_ = {"success": converged, "message": message}
        if not (converged or optimum.is_stopped):
            warn(
                f"FirthClassifier stopped after {optimum.n_iter} steps. The last step was "
                f"{optimum.distance:.1e} standard errors long, and tol={self.tol:g}. "
                "Increase max_iter or tol.",
                ConvergenceWarning,
            )

    @property
    def penalty(self) -> str:
        """Kind of the penalty.

        Returns
        -------
        str
            "firth".
        """
        return "firth"

    @property
    def _inverse_penalty(self) -> float:
        return np.inf

    @property
    def _l1_share(self) -> float:
        return 0.0


def _of_user(fit: Fit, theta: NDArray) -> NDArray:
    """Return coefficients as an estimator holds them, in one vector."""
    if fit.objective.loss.shift_invariant:
        theta = theta - theta.mean(axis=0)
    W, b = replace(fit, theta=theta).parts
    return fit.objective.to_user(fit.objective.layout.pack(W, b))
