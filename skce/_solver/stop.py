"""Why a fit ended, what to do about it, and the warning that says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.optimize import OptimizeResult
from sklearn.exceptions import ConvergenceWarning

from .._warnings import warn
from .method import Learnt

#: Features, or classes, that a warning names at most.
_NAMED = 5


class Stop(Enum):
    """Why a fit ended: its reason, and a remedy, if it is not within `tol`."""

    GAP = "the estimated gap is at most tol", ""
    MAX_ITER = "max_iter was reached", "Increase max_iter, or increase tol."
    CALLBACK = "a callback ended the fit", ""
    ROUNDING = "the line search found nothing lower in the precision of X", "Increase tol."
    NOWHERE = (
        "the method that was passed as solver found nothing lower",
        'Increase tol, or use solver="auto".',
    )
    SLOW = (
        "iterations gain almost nothing for their work",
        "Increase tol, decrease C, bring the columns of X to a common scale, or widen coef_bounds "
        "if there are any.",
    )
    STORED = (
        "columns far from zero leave too few digits for their intercepts",
        "Increase tol, or subtract their means from the columns of X first.",
    )
    RANGE = (
        "coefficients leave the range of float32",
        "Pass X as float64, or multiply its smallest columns by a power of ten.",
    )
    FAR = (
        "columns far from zero leave too few digits without an intercept",
        "Increase tol, set fit_intercept=True, or subtract their means from the columns of X.",
    )
    SEPARABLE = (
        "the classes are separable and the loss goes to zero as the coefficients grow",
        "Without a penalty on these features there is no optimum: set no weight to zero.",
    )
    QUASI_SEPARABLE = (
        "some coefficients grow without bound, while the loss hardly changes",
        "Without a penalty on these features there is no optimum: set no weight to zero.",
    )

    @property
    def reason(self) -> str:
        """What follows "because"."""
        return self.value[0]

    @property
    def has_no_optimum(self) -> bool:
        """Whether there is nothing to converge to."""
        return self in (Stop.SEPARABLE, Stop.QUASI_SEPARABLE)

    def remedy(self, *, unpenalised: bool, dtype: DTypeLike) -> str:
        """Return what to do about it, without any penalty and for X of that dtype."""
        if self.has_no_optimum and unpenalised:
            return "There is no optimum with C=inf: set a finite C."
        remedy = self.value[1]
        if self is Stop.ROUNDING and np.dtype(dtype) == np.float32:
            remedy = "Increase tol, or pass X as float64."
        if unpenalised:
            remedy += " With C=inf there may be no optimum at all: a finite C makes it exist."
        return remedy


@dataclass
class Report:
    """How a fit ended.

    Attributes
    ----------
    stop : Stop
    gap : float
        Relative to the optimal objective; a lower bound if it is not `complete`.
    complete : bool
    result : OptimizeResult
    loss_curve : list of float
    learnt : Learnt or None
        What is of use to the fit of a similar objective.
    ahead : ndarray
        The coefficients after a last step that was not evaluated, because the gap was known to be
        small enough before it. They are nearer to the optimum than the result.
    runaway : tuple of ndarray, or None
        Outputs and features whose coefficients grow without bound, if any do.
    """

    stop: Stop
    gap: float
    complete: bool
    result: OptimizeResult
    loss_curve: list[float]
    learnt: Learnt | None
    ahead: NDArray
    runaway: tuple[NDArray, NDArray] | None = None


def warn_if_not_converged(
    report: Report,
    *,
    tol: float,
    unpenalised: bool,
    dtype: DTypeLike,
    classes: NDArray,
    features: NDArray | None,
) -> None:
    """Issue a ConvergenceWarning that says how close the fit is, why it stopped and what to do.

    Parameters
    ----------
    report : Report
    tol : float
    unpenalised : bool
        Whether C is infinite.
    dtype : dtype
        In which X was read.
    classes : ndarray
    features : ndarray or None
        Names of the features, if they have any.
    """
    stop = report.stop
    if stop in (Stop.GAP, Stop.CALLBACK):
        return
    reached = "at an unknown distance from the optimum"
    if np.isfinite(report.gap):
        doubt = "" if report.complete else " or more"
        unsure = ", of which it is not sure," if stop is Stop.ROUNDING and report.gap <= tol else ""
        reached = f"at an estimated relative gap of {report.gap:.1e}{doubt} to the optimum{unsure}"
    remedy = stop.remedy(unpenalised=unpenalised, dtype=dtype)
    if report.runaway is not None:
        remedy = f"{_name_runaway(report.runaway, classes, features)} {remedy}"
    warn(
        f"SoftmaxClassifier stopped {reached} after {report.result.nit} iterations, because "
        f"{stop.reason}; tol={tol:g} was asked for. {remedy}",
        ConvergenceWarning,
    )


def _name_runaway(
    runaway: tuple[NDArray, NDArray], classes: NDArray, features: NDArray | None
) -> str:
    """Say which coefficients grow without bound."""
    outputs, columns = runaway
    whose = classes[1:] if len(classes) == 2 and outputs.max(initial=0) == 0 else classes
    names = columns if features is None else features[columns]
    where = f"features {_listed(names)} of " if len(columns) else "the intercepts of "
    return f"The coefficients that grow are those of {where}classes {_listed(whose[outputs])}."


def _listed(names: NDArray) -> str:
    """Return the first few names."""
    more = ", ..." if len(names) > _NAMED else ""
    return "[" + ", ".join(map(repr, names[:_NAMED].tolist())) + more + "]"
