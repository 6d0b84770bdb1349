"""Targets and predictions of a metric together, and sums over their rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_consistent_length

from .._array_api import is_computed_with, place_of, to_numpy
from .._arrays import beside, gathered, namespace, sum_of_all
from .._checks import naming, refuse_sparse
from .._targets.meaning import check_sample_weight, column_names
from .._warnings import warn
from ._terms import (
    MetricTargets,
    Outputs,
    Predictions,
    by_blocks,
    check_columns,
    read_logits,
    read_probabilities,
    read_targets,
    spans_of,
    times,
)

#: Rows that are checked first. With fewer rows than these, zeros and ones give no warning.
_LOOKED_AT = 10


@dataclass(frozen=True)
class Problem:
    """Validated targets and predictions of a metric."""

    targets: MetricTargets
    predictions: Predictions
    sample_weight: NDArray | None

    def average(
        self, of_rows: Callable[[Predictions, slice], NDArray], *, normalize: bool
    ) -> float:
        """Return the weighted mean, or sum, over rows of the results of a method of the targets."""
        total, mass = self.totals(of_rows)
        if not normalize:
            return total
        if not mass > 0:
            raise ValueError(
                "class_weight, sample_weight and labels that are missing leave no row of y_true "
                "any weight, so that there is no mean. Give a positive weight to a class that is "
                "in y_true, or set normalize=False."
            )
        return total / mass

    def totals(self, of_rows: Callable[[Predictions, slice], NDArray]) -> tuple[float, float]:
        """Return the weighted sum of a method of the targets over rows, and the sum of weights."""

        def one(rows: slice) -> tuple[float, float]:
            values = of_rows(self.predictions, rows)
            counts = self.targets.counts(rows)
            with np.errstate(over="ignore"):  # a sum of losses may be infinite
                if self.sample_weight is None:
                    mass = values.shape[0] if counts is None else sum_of_all(counts)
                    return float(sum_of_all(values)), float(mass)
                w = beside(self.sample_weight[rows].astype(np.float64, copy=False), values)
                mass = sum_of_all(w) if counts is None else w @ counts
                return float(sum_of_all(times(w, values))), float(mass)

        parts = by_blocks(self.predictions.values, one)
        self.predictions.finish()
        loss, mass = (_sum([part[i] for part in parts]) for i in (0, 1))
        return loss, mass

    def rows(self, of_rows: Callable[[Predictions, slice], NDArray], shape: tuple) -> Any:
        """Return the results of a method of the targets for all rows, beside the predictions."""
        values = self.predictions.values
        if not isinstance(values, np.ndarray):
            xp = namespace(values)
            parts = (
                (
                    (rows.start, rows.stop),
                    xp.reshape(of_rows(self.predictions, rows), (-1, *shape[1:])),
                )
                for rows in spans_of(values)
            )
            found = gathered(parts, shape[0])
            self.predictions.finish()
            return found
        out = np.empty(shape)

        def one(rows: slice) -> None:
            out[rows] = of_rows(self.predictions, rows).reshape(-1, *shape[1:])

        by_blocks(values, one)
        self.predictions.finish()
        return out

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the predictions."""
        return self.predictions.values.shape


def _sum(parts: list[float]) -> float:
    """Exact sum. It is infinite if it overflows."""
    try:
        return math.fsum(parts)
    except OverflowError:
        return math.inf


def check_lengths_of(**arrays: Any) -> None:
    """Check that no array except `sample_weight` is None, and that all have as many rows."""
    for name, array in arrays.items():
        if array is None and name != "sample_weight":
            raise TypeError(f"{name} is missing.")
        refuse_sparse(array, name)
    with naming(" and ".join(arrays), None):
        check_consistent_length(*arrays.values())


def read(
    y_true: Any,
    predicted: Any,
    sample_weight: Any,
    *,
    loss: str,
    labels: Any,
    logits: bool = False,
    clip: bool = True,
    **options: Any,
) -> Problem:
    """Read and check the arguments of a metric. The parameters are those of `log_loss`."""
    names = _names(predicted)
    there = is_computed_with(predicted)
    y_true = y_true if there and is_matrix_beside(y_true, predicted) else to_numpy(y_true)
    predicted, labels = predicted if there else to_numpy(predicted), to_numpy(labels)
    name = "logits" if logits else "y_proba"
    check_lengths_of(**{name: predicted}, y_true=y_true, sample_weight=sample_weight)
    weights = check_sample_weight(to_numpy(sample_weight), n_rows(predicted))
    targets = read_targets(
        y_true, loss, labels, sample_weight=weights, predicted_names=names, **options
    )
    if not (logits or there) and targets.values.dtype.kind == "f":
        _check_order(targets.values, predicted)
    distributions = not isinstance(targets, Outputs)
    predictions: Predictions = (
        read_logits(predicted)
        if logits
        else read_probabilities(predicted, distributions=distributions, clip=clip)
    )
    check_columns(targets, predictions, labels, name)
    targets.like = predictions.values
    return Problem(targets, predictions, weights)


def is_matrix_beside(y_true: Any, predicted: Any) -> bool:
    """Whether targets are a matrix on the device of the predictions, which is not the host."""
    is_there = is_computed_with(y_true) and y_true.ndim == 2
    return is_there and place_of(y_true) == place_of(predicted)


def n_rows(predicted: Any) -> int:
    """Return the number of rows of predictions."""
    shape = getattr(predicted, "shape", None)
    return int(shape[0]) if shape else len(predicted)


def _check_order(y_true: NDArray, predicted: Any) -> None:
    """Refuse, or warn of, targets and predictions that seem to be in each other's place."""
    asked = (
        "y_true holds probabilities and y_proba {}: are they in each other's place? The order is "
        "metric(y_true, y_proba)."
    )
    first = y_true[:_LOOKED_AT]
    if not ((first > 0) & (first < 1)).any():
        return
    values = np.asarray(predicted)
    if values.dtype.kind in "biuf":
        if not _are_whole(values[:_LOOKED_AT]) or not _are_whole(values):
            return
        if (np.abs(values) <= 1).all():
            if len(values) >= _LOOKED_AT and (values >= 0).all():
                warn(asked.format("only zeros and ones"), UserWarning)
            return
    elif not all(isinstance(value, str) for value in values.flat):
        return
    raise ValueError(asked.format("labels"))


def _are_whole(values: NDArray) -> bool:
    """Whether all values are whole numbers."""
    return values.dtype.kind != "f" or bool((values == np.floor(values)).all())


def _names(predicted: Any) -> NDArray | None:
    """Names of the columns of predictions. Numbers 0, 1, ... and repeated names are ignored."""
    try:
        names = column_names(predicted)
    except (TypeError, ValueError):
        return None
    return None if names is None or np.array_equal(names, np.arange(len(names))) else names
