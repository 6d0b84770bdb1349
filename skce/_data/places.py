"""The choice of a place for X, of the type of number for computing, and of the centre."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._array_api import elsewhere
from .._costs import DEFAULT, Costs
from .._rows import Rows, number_type
from .._targets.mass import Targets
from .device import DeviceData
from .memory import CSRData, DenseData, MemoryData, n_bytes
from .stored import StoredData


def read_as(X: Any, costs: Costs = DEFAULT) -> np.dtype:
    """Return the type of number in which a fit computes with X."""
    return np.dtype(np.float64) if n_bytes(X) < costs.few_bytes else number_type(X.dtype)


def as_data(
    X: Any, targets: Targets, *, centred: bool = True, costs: Costs = DEFAULT
) -> MemoryData:
    """Combine validated X and targets to `Data`.

    Parameters
    ----------
    X : {ndarray, csr_array, Rows} of shape (n_samples, n_features)
    targets : Targets
    centred : bool, default=True
        Whether columns far from zero may be centred. This needs an intercept. Without one, float32
        is read as float64 if there are such columns. It is also read as float64 if X is small.
    costs : Costs
        Constants of the fit.

    Returns
    -------
    MemoryData
    """
    place: type[MemoryData] = DenseData
    if sp.issparse(X):
        place = CSRData
    elif isinstance(X, Rows):
        place = StoredData if elsewhere(X) is None else DeviceData
    full: Any = slice(None)
    dtype = read_as(X, costs)
    if sp.issparse(X):
        full = np.flatnonzero(np.bincount(X.indices, minlength=X.shape[1]) >= X.shape[0])
        if not len(full):
            return CSRData(X, targets, dtype=dtype, costs=costs)
    centre, distance = far_from_zero(X, full, costs)
    if centre is None or not centred:
        data = place(X, targets, dtype=dtype if centre is None else np.float64, costs=costs)
        data.distance = distance
        return data
    if sp.issparse(X) and not X.has_canonical_format:  # the centre may be subtracted only once
        X = X.copy()
        X.sum_duplicates()
        full = np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0]
        centre = np.where(full, centre, 0)
    return place(X, targets, centre, dtype, costs=costs)


def far_from_zero(X: Any, columns: NDArray | slice, costs: Costs) -> tuple[NDArray | None, float]:
    """Return the means of columns so far from zero that digits are lost, else 0, from some rows.

    The first result is None if there are no such columns. The second is the largest distance from
    zero, in standard deviations, of such columns that are not constant. It is 0 if fewer than two
    columns are far from zero.
    """
    most = costs.rows_for_centre
    if isinstance(X, Rows):
        most = min(most, max(2, costs.part_bytes // (8 * X.shape[1])))
    step = max(1, X.shape[0] // most)
    single = number_type(X.dtype) == np.float32
    some = X[::step]
    some = some[:, columns].toarray() if sp.issparse(some) else np.asarray(some)[:, columns]
    some = some.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = some.mean(axis=0), some.std(axis=0)
        limit = (costs.far_single if single else costs.far_double) * deviation
        far = np.isfinite(mean) & (np.abs(mean) > limit)
    if not far.any():
        return None, 0.0
    centre = np.zeros(X.shape[1], number_type(X.dtype))
    centre[columns] = np.where(far, mean, 0)
    if np.count_nonzero(far) < 2:  # a single column cannot be collinear with another one
        return centre, 0.0
    differ = far & (deviation > np.finfo(np.float64).eps * np.abs(mean))
    return centre, float((np.abs(mean[differ]) / deviation[differ]).max(initial=0))
