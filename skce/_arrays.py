"""Arithmetic on arrays of any library of the array API standard.

Every function checks for NumPy first, because most calls are with small arrays of NumPy. If a
docstring says "in place of" an argument, the function may overwrite the argument. Do not use it
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import DTypeLike, NDArray


def namespace(array: Any) -> Any:
    """Return the namespace of an array: NumPy, or that of another library."""
    if isinstance(array, np.ndarray):
        return np
    import array_api_compat

    return array_api_compat.array_namespace(array)


def changes_in_place(array: Any) -> bool:
    """Whether arrays of this library can be changed in place, and be outputs of functions."""
    if isinstance(array, np.ndarray):
        return True
    import array_api_compat

    return array_api_compat.is_torch_array(array) or array_api_compat.is_cupy_array(array)


def as_type(array: Any, dtype: DTypeLike) -> Any:
    """Return an array converted to a type, given as a NumPy dtype. Copy only if necessary."""
    if isinstance(array, np.ndarray):
        return array.astype(dtype, copy=False)
    xp = namespace(array)
    return xp.astype(array, getattr(xp, np.dtype(dtype).name), copy=False)


def as_type_of(array: Any, like: Any) -> Any:
    """Return an array converted to the type of number of another array of its library."""
    if isinstance(array, np.ndarray):
        return array.astype(like.dtype, copy=False)
    return namespace(array).astype(array, like.dtype, copy=False)


def product(A: Any, B: Any) -> Any:
    """Return A B. Only NumPy multiplies two types. In other libraries A gets the type of B."""
    if isinstance(A, np.ndarray):
        return A @ B
    return as_type_of(A, B) @ B


def sums(A: Any, axis: int, dtype: DTypeLike | None = None) -> Any:
    """Return the sums of A along an axis."""
    if isinstance(A, np.ndarray):
        return np.add.reduce(A, axis=axis, dtype=dtype)
    xp = namespace(A)
    wide = {} if dtype is None else {"dtype": getattr(xp, np.dtype(dtype).name)}
    return xp.sum(A, axis=axis, **wide)


def sum_of_all(values: Any) -> Any:
    """Return the sum of all numbers in float64: a float, or an array on the same device."""
    if isinstance(values, np.ndarray):
        return float(np.add.reduce(values, axis=None, dtype=np.float64))
    xp = namespace(values)
    return xp.sum(values, dtype=xp.float64)


def largest(A: Any, axis: int | None = None) -> Any:
    """Return the largest numbers of A along an axis, or the largest of all numbers."""
    if isinstance(A, np.ndarray):
        return np.maximum.reduce(A, axis=axis)
    return namespace(A).max(A, axis=axis)


def smallest(A: Any) -> Any:
    """Return the smallest number of A."""
    return np.minimum.reduce(A, axis=None) if isinstance(A, np.ndarray) else namespace(A).min(A)


def sum_of_products(A: Any, B: Any) -> Any:
    """Return the sums of the products of A and B down their columns."""
    return np.einsum("kr,kr->r", A, B) if isinstance(A, np.ndarray) else sums(A * B, axis=0)


def sums_of_products(A: Any, B: Any) -> Any:
    """Return the sums of the products of A and B along their rows."""
    return np.einsum("kr,kr->k", A, B) if isinstance(A, np.ndarray) else sums(A * B, axis=1)


def exp(z: Any) -> Any:
    """Return exponentials, in place of z."""
    if isinstance(z, np.ndarray):
        return np.exp(z, out=z)
    xp = namespace(z)
    return xp.exp(z, out=z) if changes_in_place(z) else xp.exp(z)


def expit(z: Any) -> Any:
    """Return the sigmoid of z."""
    if isinstance(z, np.ndarray):
        return scipy.special.expit(z)
    xp = namespace(z)
    e = xp.exp(-xp.abs(z))
    return xp.where(z > 0, 1 / (1 + e), e / (1 + e))


def log_expit(z: Any) -> Any:
    """Return the logarithm of the sigmoid of z."""
    if isinstance(z, np.ndarray):
        return scipy.special.log_expit(z)
    xp = namespace(z)
    return xp.where(z > 0, 0.0, z) - xp.log1p(xp.exp(-xp.abs(z)))


def in_flat(rows: Any) -> Any:
    """Return positions in the memory of an array, given the row of one element in each column."""
    r = rows.shape[0]
    if isinstance(rows, np.ndarray):
        return rows.astype(np.intp) * r + np.arange(r)
    xp = namespace(rows)
    return xp.astype(rows, xp.int64, copy=False) * r + numbers(rows)


def taken(values: Any, places: Any) -> Any:
    """Return the numbers at some places of a 1-D array."""
    if isinstance(values, np.ndarray) or changes_in_place(values):
        return values[places]
    return namespace(values).take(values, places, axis=0)


def at(A: Any, places: Any) -> Any:
    """Return the numbers at some places in the memory of A, one in each column."""
    if isinstance(A, np.ndarray):
        return A.reshape(-1)[places]
    return taken(_flat(A), places)


def with_at(A: Any, places: Any, values: Any) -> Any:
    """Return A with new values at places in its memory, one in each column, in place of A."""
    if isinstance(A, np.ndarray) or changes_in_place(A):
        A.reshape(-1)[places] = values
        return A
    xp = namespace(A)
    rows = numbers(A)
    return xp.where(rows[:, None] == (places // A.shape[1])[None, :], values, A)


def _flat(A: Any) -> Any:
    """Return the memory of an array as a 1-D array."""
    return A.reshape(-1) if changes_in_place(A) else namespace(A).reshape(A, (-1,))


def in_memory_order(A: Any) -> Any:
    """Return a copy whose last axis is contiguous in memory."""
    if isinstance(A, np.ndarray):
        return np.array(A, order="C")
    if not changes_in_place(A):
        return copied(A)
    whole = _empty(tuple(A.shape), A)
    whole[...] = A
    return whole


def picked(A: Any, codes: NDArray) -> Any:
    """Return one number of each row of A. `codes`, in host memory, has the column of each."""
    if isinstance(A, np.ndarray):
        return A[np.arange(len(A)), codes]
    places = beside(codes.astype(np.int64) + np.arange(len(codes)) * A.shape[1], A)
    return taken(_flat(A), places)


def columns(A: Any, chosen: NDArray | None) -> Any:
    """Return the chosen columns of A, or A itself if `chosen` is None."""
    if chosen is None:
        return A
    if isinstance(A, np.ndarray):
        return A[:, chosen]
    return namespace(A).take(A, beside(chosen.astype(np.int64), A), axis=1)


def epsilon(array: Any) -> float:
    """Return the machine epsilon of the type of an array, 0 for integers."""
    if isinstance(array, np.ndarray):
        return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
    xp = namespace(array)
    is_float = xp.isdtype(array.dtype, "real floating")
    return float(xp.finfo(array.dtype).eps) if is_float else 0.0


def copied(A: Any) -> Any:
    """Return a copy with the same memory order."""
    if isinstance(A, np.ndarray):
        return np.array(A)
    return namespace(A).asarray(A, copy=True)


def zeros(n_rows: int, like: Any) -> Any:
    """Return an array of zeros: `n_rows` rows with the shape, type and device of `like`."""
    xp = namespace(like)
    where = {} if xp is np else {"device": _device(like)}
    return xp.zeros((n_rows, *like.shape), dtype=like.dtype, **where)


def numbers(values: Any) -> Any:
    """Return the positions 0, 1, ... along the first axis of an array, on its device."""
    if isinstance(values, np.ndarray):
        return np.arange(len(values))
    return namespace(values).arange(values.shape[0], device=_device(values))


def joined(arrays: list[Any], axis: int = 0) -> Any:
    """Return the arrays concatenated along an axis."""
    first = arrays[0]
    return (np.concatenate if isinstance(first, np.ndarray) else namespace(first).concat)(
        arrays, axis=axis
    )


def gathered(parts: Iterable[tuple[tuple[int, int], Any]], n_rows: int) -> Any:
    """Return an array made of parts. Each part comes with the start and stop of its rows.

    If arrays of the library change in place, only one part at a time is in memory besides the
    result.
    """
    whole, others = None, []
    for (start, stop), part in parts:
        if not changes_in_place(part):
            others.append(part)
            continue
        whole = _empty((n_rows, *part.shape[1:]), part) if whole is None else whole
        whole[start:stop] = part
    return joined(others) if others else whole


def _empty(shape: tuple[int, ...], like: Any) -> Any:
    xp = namespace(like)
    where = {} if xp is np else {"device": _device(like)}
    return xp.empty(shape, dtype=like.dtype, **where)


def beside(values: Any, array: Any) -> Any:
    """Return a NumPy array as an array of the library of another array, on its device.

    An array that is not of NumPy is there already, and is returned as it is.
    """
    if isinstance(array, np.ndarray) or not isinstance(values, np.ndarray):
        return values
    return namespace(array).asarray(values, device=_device(array))


def _device(array: Any) -> Any:
    import array_api_compat

    return array_api_compat.device(array)
