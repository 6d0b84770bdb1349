"""Covariance of the coefficients of a fit: of the model, robust, or by groups of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import naming, to_numpy
from .._sklearn import StrOptions
from ._fit import (
    Factor,
    Fit,
    check_in_range,
    factorise,
    refuse_without_theory,
    warn_of_distance,
    warn_of_many,
)
from ._sums import score_squares, scores

#: Most numbers in the sums of scores of the groups that are added up together.
_GROUP_SUMS = 2**23

#: What functions with a covariance check of their arguments.
COVARIANCE: dict[str, Any] = {
    "cov": [StrOptions({"auto", "model", "robust", "cluster"})],
    "groups": ["array-like", None],
}


@dataclass(frozen=True, eq=False)
class Covariance:
    """Coefficients of a fit, and their covariance.

    Attributes
    ----------
    fit : Fit
    kind : {"model", "robust", "cluster"}
    factor : Factor
        Factor of the Hessian A of what the fit minimised.
    H : ndarray of shape (K d, K d)
        Hessian of the losses alone.
    matrix : ndarray of shape (K d, K d)
        Covariance of the coefficients of rows as they are read. With a categorical loss and no
        penalty these coefficients sum to zero over the classes.
    n_observations : float
        Number of counts if the kind is "model". Otherwise the number of rows of positive weight.
    """

    fit: Fit
    kind: str
    factor: Factor
    H: NDArray
    matrix: NDArray
    n_observations: float

    def contrasts(self, L: NDArray) -> tuple[NDArray, NDArray]:
        """Return combinations of the classes, of the user's rows, and their covariance.

        Parameters
        ----------
        L : ndarray of shape (J, K)

        Returns
        -------
        estimates : ndarray of shape (J, d)
        covariance : ndarray of shape (J d, J d)
        """
        fit, (K, d) = self.fit, self.fit.theta.shape
        matrix = np.einsum("ak,kilj,bl->aibj", L, self.matrix.reshape(K, d, K, d), L, optimize=True)
        for axis in (1, 3):
            matrix = fit.in_user(matrix, axis)
        return fit.in_user(L @ fit.theta, 1), matrix.reshape(len(L) * d, -1)


def covariance_of(fit: Fit, cov: str, groups: ArrayLike | None) -> Covariance:
    """Return coefficients and their covariance.

    With A the Hessian of what the fit minimised, divided by C, it is A^-1 B A^-1, B being

        model      the Hessian of the losses, which is their Fisher information
        robust     sum_i psi_i psi_i', psi_i being the gradient of row i
        cluster    the same for sums of psi_i over groups of rows
    """
    refuse_without_theory(fit)
    is_counts = fit.is_counts()
    kind = _kind(cov, groups, is_counts)
    codes = None if groups is None else codes_of_groups(groups, fit.objective.data.n_rows)
    H = fit.information()
    factor = factorise(fit, H + np.diag(fit.penalty_hessian()))
    n_observations = fit.n_observations(is_counts and kind == "model")
    warn_of_many(fit, float(np.trace(factor.solve(H))), n_observations)
    if kind == "model":
        B = H
    elif codes is None:
        (B,) = fit.sum(score_squares, fit.in_variables, _of_penalty(fit))
    else:
        B = _squares_of_groups(fit, codes)
    check_in_range(B)
    matrix = factor.solve(factor.solve(B).T)
    matrix = (matrix + matrix.T) / 2
    warn_of_distance(fit, factor, np.sqrt(np.diag(matrix)))
    return Covariance(fit, kind, factor, H, matrix, n_observations)


def _kind(cov: str, groups: ArrayLike | None, is_counts: bool) -> str:
    if cov == "cluster" and groups is None:
        raise ValueError("cov='cluster' needs groups, the group of each row.")
    if cov in ("model", "robust") and groups is not None:
        raise ValueError(
            f"groups are for cov='cluster', but cov is {cov!r}. Leave out groups, or cov."
        )
    if cov != "auto":
        return cov
    if groups is not None:
        return "cluster"
    return "model" if is_counts else "robust"


def codes_of_groups(groups: ArrayLike, n_rows: int) -> NDArray:
    """Return the number of the group of each row."""
    with naming("groups", None):
        array = np.asarray(to_numpy(groups, "groups"))
    if array.shape != (n_rows,):
        raise ValueError(
            f"groups must have shape ({n_rows},), a group for each row, but has {array.shape}."
        )
    try:
        found, codes = np.unique(array, return_inverse=True)
    except TypeError:
        raise ValueError("groups must hold labels of one kind that can be sorted.") from None
    if len(found) < 2:
        raise ValueError("groups must hold 2 groups or more, but all rows are in one group.")
    return codes


def _of_penalty(fit: Fit) -> NDArray:
    return fit.penalty_gradient() / fit.objective.data.total_weight


def _squares_of_groups(fit: Fit, codes: NDArray) -> NDArray:
    """Return the sum of the squares of the sums of scores over groups, with its correction.

    The correction for few groups, G / (G - 1) * (n - 1) / (n - n_parameters), is that of Stata and
    of statsmodels.
    """
    size, data = fit.theta.size, fit.objective.data
    at_once, B = max(1, _GROUP_SUMS // size), np.zeros((size, size))
    n_rows, seen = 0, np.zeros(int(codes.max()) + 1, dtype=bool)
    of_penalty, arguments = _of_penalty(fit), (fit.objective.loss, *fit.parts, fit.in_variables)
    for first in range(0, len(seen), at_once):
        sums, row = np.zeros((min(at_once, len(seen) - first), size)), 0
        for block, _ in data.chunks(fit.block_rows()):
            of_row = codes[row : row + len(block.weights)] - first
            row += len(block.weights)
            some = (of_row >= 0) & (of_row < len(sums)) & (block.weights > 0)
            if some.any():
                with np.errstate(over="ignore", invalid="ignore"):
                    np.add.at(sums, of_row[some], scores(block, *arguments, of_penalty)[some])
                seen[of_row[some] + first] = True
                n_rows += int(np.count_nonzero(some))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            B += sums.T @ sums
    n_groups, n_parameters = np.count_nonzero(seen), fit.theta.shape[1]
    if fit.objective.loss.shift_invariant:  # with the others each output is a fit of its own
        n_parameters *= fit.n_free
    if n_rows <= n_parameters or n_groups < 2:
        raise ValueError(
            f"cov='cluster' needs more rows of positive weight ({n_rows}) than coefficients "
            f"({n_parameters}), in 2 groups or more ({n_groups})."
        )
    return np.asarray(B * (n_groups / (n_groups - 1) * (n_rows - 1) / (n_rows - n_parameters)))


def contrast_matrix(fit: Fit, reference: Any) -> tuple[NDArray, list, Any]:
    """Return combinations of the rows of coefficients, the classes they are of, and the reference.

    Parameters
    ----------
    fit : Fit
    reference : label, "mean" or None
    """
    K, classes = len(fit.theta), fit.classes
    if fit.form in ("multilabel", "one-vs-rest"):
        if reference is not None:
            raise ValueError(
                f"reference must be None for this fit, got {reference!r:.100}: in a multilabel or "
                "one-vs-rest fit each label has a logistic regression of its own."
            )
        return np.eye(K), classes, None
    places = {label: k for k, label in enumerate(classes)}
    if fit.form == "softmax":
        is_mean = isinstance(reference, str) and reference == "mean" and "mean" not in places
        if is_mean or (reference is None and fit.is_penalised):
            return np.eye(K) - 1 / K, classes, "mean"
    r = 0 if reference is None else _place(places, reference, fit.form)
    if fit.form == "sigmoid":
        return np.array([[1.0 if r == 0 else -1.0]]), [classes[1 - r]], classes[r]
    L = np.eye(K)
    L[:, r] -= 1
    return np.delete(L, r, axis=0), classes[:r] + classes[r + 1 :], classes[r]


def _place(places: dict[Any, int], reference: Any, form: str) -> int:
    """Return the position of a class."""
    try:
        return places[reference]
    except (KeyError, TypeError):  # what cannot be a key
        mean = ", 'mean'" if form == "softmax" else ""
        raise ValueError(
            f"reference must be one of the classes {list(places)}{mean} or None, got "
            f"{reference!r:.100}."
        ) from None
