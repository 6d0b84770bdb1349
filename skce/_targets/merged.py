"""Targets in parts, if no process has all rows: the meaning of all parts together.

`look` reads each part in its own process. `merge` decides on the meaning of all parts.
`Merged.targets` turns a part into the target mass of its rows. The rules are those of `meaning.py`
and `fold.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.multiclass import check_classification_targets

from .._checks import naming
from .fold import (
    ClassFold,
    ClassWeight,
    OutputFold,
    fold_classes,
    fold_outputs,
    mass_of_columns,
    mass_of_labels,
    without_missing,
)
from .mass import Targets, check_some_mass, fold_weights
from .meaning import (
    RawTargets,
    check_probabilities,
    check_sample_weight,
    check_total_weight,
    check_y,
    is_off_one,
    kind_of_labels,
    meaning_of_matrix,
    probabilities_of_one,
    read_targets,
)
from .offset import check_offset


@dataclass(frozen=True)
class Seen:
    """Summary of y and the weights of some rows.

    Attributes
    ----------
    n_rows : int
    total_weight : float
    labels : ndarray, or None
        The labels that occur. None for a matrix, and for probabilities of one class.
    mass, complement : ndarray
        Mass of each label. For a matrix, mass of each column, and mass of 1 minus the column.
    present : ndarray of bool
        Whether each column has mass in any row, even in a row of weight zero.
    is_off_one : bool
        Whether the rows of distributions must be divided by their sums.
    has_missing : bool
        Whether some outputs are NaN.
    """

    n_rows: int
    total_weight: float
    labels: NDArray | None
    mass: NDArray
    complement: NDArray
    present: NDArray
    is_off_one: bool = False
    has_missing: bool = False


def look(y: Any, sample_weight: Any, loss: str) -> Seen:
    """Read the targets of some rows. The parameters are those of `read_targets`."""
    missing = loss == "binary"
    array = check_y(y, missing=missing)
    n = len(array)
    weights = check_sample_weight(sample_weight, n, whole=False)
    total = float(n if weights is None else weights.sum(dtype=np.float64))
    if array.ndim == 2:
        matrix, sums = check_probabilities(
            array, distributions=not missing, loss=loss, missing=missing
        )
        off = loss != "binary" and bool(is_off_one(sums, matrix.shape[1]).any())
        s = np.ones(n) if weights is None else weights.astype(np.float64)
        share = s / sums if off else s
        gaps = bool(np.isnan(sums).any())
        own, others = without_missing(matrix), without_missing(1.0 - matrix)
        mass, rest = mass_of_columns(own, share), mass_of_columns(others, s)
        return Seen(n, total, None, mass, rest, own.max(axis=0) > 0, off, gaps)
    kind = kind_of_labels(array)
    if kind == "continuous":
        p = probabilities_of_one(array, loss)
        mass, rest = (mass_of_columns(q, weights) for q in (p, 1.0 - p))
        return Seen(n, total, None, mass, rest, np.ones(1, dtype=bool))
    if kind not in ("binary", "multiclass"):
        check_classification_targets(array)
    with naming("y", None):
        labels, codes = np.unique(array, return_inverse=True)
    mass = mass_of_labels(codes, weights, len(labels))
    return Seen(n, total, labels, mass, np.zeros(0), np.ones(len(labels), dtype=bool))


@dataclass(frozen=True)
class Merged:
    """Meaning of all parts together.

    Attributes
    ----------
    raw : RawTargets
        The meaning, without rows.
    fold : ClassFold or OutputFold
        Smoothing and class weights, computed from all rows.
    is_off_one : bool
        Whether rows of distributions are divided by their sums.
    asked : str
        The value of the parameter `loss`.
    smoothing : float
    total_weight : float
    known : ndarray of shape (K,), or None
        Sum of the weights of the rows in which each output is known. None if all are known.
    """

    raw: RawTargets
    fold: ClassFold | OutputFold
    is_off_one: bool
    asked: str
    smoothing: float
    total_weight: float
    known: NDArray | None = None

    @property
    def classes(self) -> NDArray:
        """Names of the classes."""
        return self.raw.classes

    @property
    def form(self) -> str:
        """How logits become probabilities."""
        return self.raw.form

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.raw.loss

    @property
    def n_outputs(self) -> int:
        """Number of coefficient vectors."""
        return 1 if self.form == "sigmoid" else len(self.classes)

    def targets(self, y: Any, sample_weight: Any, dtype: DTypeLike, offset: Any = None) -> Targets:
        """Return the target mass of a part, and its offsets."""
        array = check_y(y, missing=self.raw.has_missing)
        weights = check_sample_weight(sample_weight, len(array), whole=False)
        row_sum = None
        if array.ndim == 2:
            is_distribution = self.raw.kind == "distributions"
            array, total = check_probabilities(
                array, distributions=is_distribution, missing=self.raw.has_missing
            )
            row_sum = total if self.is_off_one else None
        elif self.raw.kind == "codes" or len(self.raw.values):
            codes = np.searchsorted(self.classes, array)
            array = codes.astype(np.min_scalar_type(len(self.classes) - 1))
        if self.form == "sigmoid":
            array = array.reshape(-1, 1)
        known = check_offset(offset, len(array), self.form, self.classes)
        raw = replace(self.raw, values=array, row_sum=row_sum, offset=known)
        return fold_weights(raw, weights, self.fold, self.smoothing, dtype)


def merge(
    seen: list[Seen],
    loss: str,
    class_weight: ClassWeight,
    smoothing: float,
    names: NDArray | None,
) -> Merged:
    """Decide on the meaning of all parts together.

    Parameters
    ----------
    seen : list of Seen
        The result of `look` for each part.
    loss : {"auto", "categorical", "binary"}
    class_weight : dict, "balanced" or None
    smoothing : float
    names : ndarray, or None
        Names of the columns of y.

    Returns
    -------
    Merged
    """
    total = sum(part.total_weight for part in seen)
    if not total > 0:
        raise ValueError("sample_weight is zero in every row: at least one must be positive.")
    check_total_weight(total)
    labelled = [part for part in seen if part.labels is not None]
    if labelled and len(labelled) == len(seen):
        with naming("y", None):
            labels = np.unique(np.concatenate([part.labels for part in labelled]))
        raw, mass = read_targets(labels, loss), np.zeros(len(labels))
        for part in labelled:
            mass[np.searchsorted(labels, np.asarray(part.labels))] += part.mass
        complement = mass[:1]
        if raw.form == "sigmoid":
            mass = mass[1:]
    else:
        raw, mass, complement = _merge_columns(seen, loss, names)

    fold: ClassFold | OutputFold
    if raw.kind == "outputs":
        fold = fold_outputs(
            class_weight,
            smoothing,
            raw.classes,
            lambda: (complement, mass),
            None if raw.has_missing else total,
            of_two=raw.form == "sigmoid",
        )
        if fold.factors and isinstance(class_weight, dict) and raw.form == "sigmoid":
            check_some_mass(np.multiply(fold.factors, (complement, mass)) + smoothing)
    else:
        fold = fold_classes(class_weight, smoothing, raw.classes, lambda: mass, total)
        check_some_mass(fold.weights * mass + fold.background * total)
    off = any(part.is_off_one for part in seen)
    known = mass + complement if raw.has_missing else None
    return Merged(raw, fold, off, loss, smoothing, total, known)


def _merge_columns(
    seen: list[Seen], loss: str, names: NDArray | None
) -> tuple[RawTargets, NDArray, NDArray]:
    """Return the meaning of matrices, or of probabilities of one class, with both masses."""
    # A part with only zeros and ones looks like labels. They are probabilities if other parts are.
    parts = [part if part.labels is None else _as_probabilities(part) for part in seen]
    widths = {len(part.mass) for part in parts}
    if len(widths) > 1:
        raise ValueError(f"Chunks of y have different numbers of columns: {sorted(widths)}.")
    (K,) = widths
    mass, complement = (
        np.sum([getattr(part, name) for part in parts], axis=0) for name in ("mass", "complement")
    )
    if K == 1:
        raw = RawTargets(np.array([0, 1]), "sigmoid", "outputs", np.zeros((0, 1)))
        return raw, mass, complement
    present = np.any([part.present for part in parts], axis=0)
    raw = meaning_of_matrix(np.zeros((0, K)), present, loss, names)
    raw = replace(raw, has_missing=any(part.has_missing for part in seen))
    if raw.columns is not None:
        mass, complement = mass[raw.columns], complement[raw.columns]
    return raw, mass, complement


def _as_probabilities(part: Seen) -> Seen:
    """Read labels that are zeros and ones as probabilities of class 1."""
    of: Callable[[int], float] = lambda label: float(part.mass[part.labels == label].sum())  # noqa: E731
    if not set(np.asarray(part.labels).tolist()) <= {0, 1}:
        raise ValueError(
            "Unknown label type: some chunks of y hold probabilities of class 1, and others hold "
            f"the label {np.asarray(part.labels)[-1]!r}. Pass either labels or probabilities."
        )
    return replace(part, labels=None, mass=np.array([of(1)]), complement=np.array([of(0)]))
