"""Arrays of other libraries than NumPy, if scikit-learn's `array_api_dispatch` is on.

Estimators compute in NumPy, except for the sums of `_data.device`. Arrays in host memory are used
without a copy. Rows on another device are read some at a time. Results are arrays of the library of
X, on the device of X.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config

from ._arrays import namespace, sum_of_all
from ._checks import is_on_host
from ._costs import DEFAULT
from ._rows import Rows


def _compat(array: Any) -> Any:
    """Return array_api_compat if dispatch is on and this is an array of another library."""
    if not get_config()["array_api_dispatch"] or isinstance(array, (np.ndarray, list, tuple)):
        return None
    return None if hasattr(array, "__dask_graph__") else _compat_of(array)


def _compat_of(array: Any) -> Any:
    """Return array_api_compat if this is an array that it knows, else None."""
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "Arrays of other libraries than NumPy need array-api-compat: "
            "pip install 'skce[array-api]'."
        ) from error
    return array_api_compat if array_api_compat.is_array_api_obj(array) else None


def to_numpy(array: Any) -> Any:
    """Return an array of any library as a NumPy array, and any other object as it is.

    An array that is in host memory already is not copied.
    """
    compat = _compat(array)
    return array if compat is None else _in_host_memory(array, compat)


def _in_host_memory(array: Any, compat: Any) -> NDArray:
    xp = compat.array_namespace(array)
    if _is_bfloat16(array):
        array = xp.astype(array, xp.float32)
    if compat.is_jax_array(array):
        return np.asarray(array)
    try:
        return np.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError, ValueError):  # on another device
        host = xp.Device("CPU_DEVICE") if hasattr(xp, "Device") else "cpu"
        return np.from_dlpack(compat.to_device(array, host))


def _is_on_host(array: Any) -> bool:
    """Whether NumPy can read an array. Arrays of array-api-strict say that by their device."""
    name = str(getattr(array, "device", ""))
    return is_on_host(array) and "array_api_strict.Device" not in name.replace("CPU_DEVICE", "")


def _is_bfloat16(array: Any) -> bool:
    """Whether an array has the type bfloat16, which NumPy lacks."""
    return "bfloat16" in str(array.dtype)


def like(result: NDArray, array: Any) -> Any:
    """Return a result as an array of the library of `array`, on the same device."""
    place = place_of(array)
    return result if place is None or not isinstance(result, np.ndarray) else place.put(result)


class Place(NamedTuple):
    """A library of arrays, and one of its devices.

    Attributes
    ----------
    xp : module
        Namespace of the library.
    device : object
        Device of the library.
    """

    xp: Any
    device: Any

    def put(self, values: NDArray) -> Any:
        """Return a NumPy array as an array of this library, on this device."""
        usable = values.flags.writeable and all(stride >= 0 for stride in values.strides)
        return self.xp.asarray(values if usable else values.copy(), device=self.device)

    def __str__(self) -> str:
        name = self.xp.__name__.removeprefix("array_api_compat.")
        return f"{name} on {self.device}"


def place_of(array: Any) -> Place | None:
    """Return library and device of an array, or None for NumPy or if dispatch is off."""
    compat = _compat(array)
    if compat is None:
        return None
    return _place(array, compat)


def _place(array: Any, compat: Any) -> Place:
    return Place(compat.array_namespace(array), compat.device(array))


class Elsewhere:
    """Rows on another device, or of a type that NumPy lacks. They are read some at a time.

    Attributes
    ----------
    place : Place
        Library and device of the rows.
    computes : bool
        Whether the device can sum over the rows. It must support float64 for that.
    worth : int
        The fewest bytes of rows for which sums on the device are worth it.
    """

    worth = DEFAULT.worth_device

    def __init__(self, array: Any, compat: Any):
        self._array, self._compat = array, compat
        self.place = _place(array, compat)
        self.computes = _has_float64(self.place)
        self.shape = tuple(array.shape)
        self.dtype = _in_host_memory(array[:0, ...], compat).dtype

    def __getitem__(self, rows: slice) -> NDArray:
        return self.in_numpy(self._array[rows, ...])

    def in_numpy(self, values: Any) -> NDArray:
        """Return an array on the device as a NumPy array."""
        return _in_host_memory(values, self._compat)

    def result(self, values: Any) -> NDArray:
        """Return an array on the device as a writable NumPy array."""
        return np.require(self.in_numpy(values), requirements="W")

    def there(self, rows: NDArray | range) -> Any:
        """Return the given rows, on the device."""
        if isinstance(rows, range) and rows.step == 1:
            return self._array[rows.start : rows.stop, ...]
        places = self.place.put(np.asarray(rows, dtype=np.int64))
        return self.place.xp.take(self._array, places, axis=0)

    def taken(self, rows: NDArray | range, columns: NDArray | None = None) -> Elsewhere:
        """Return a copy of the given rows, or of some of their columns, on the device."""
        found = self.there(rows)
        if columns is not None:
            found = self.place.xp.take(found, self.place.put(columns.astype(np.int64)), axis=1)
        return Elsewhere(found, self._compat)

    def are_finite(self, rows: NDArray | range) -> bool:
        """Whether the sum of the given rows is finite, so that all of their numbers are."""
        return self.computes and bool(np.isfinite(float(sum_of_all(self.there(rows)))))

    @property
    def free_bytes(self) -> int | None:
        """Bytes of free memory on the device, or None if they are not known."""
        if self._compat.is_cupy_array(self._array):
            with self.place.device as device:
                pool = self.place.xp.get_default_memory_pool()
                return int(device.mem_info[0] + pool.free_bytes())
        if getattr(self.place.device, "type", None) != "cuda":
            return None
        import torch

        device = self.place.device
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)


def _has_float64(place: Place) -> bool:
    """Whether a device supports float64. Apple's GPUs do not, and JAX only if it is configured."""
    info = place.xp.__array_namespace_info__()
    return "float64" in info.dtypes(device=place.device, kind="real floating")


@contextmanager
def exact_products(place: Place, *, rough: bool) -> Iterator[None]:
    """Compute products of float32 matrices on a GPU in full precision, or in TF32 if `rough`.

    Afterwards the user's setting is restored.
    """
    if getattr(place.device, "type", None) != "cuda":
        yield
        return
    import torch

    matmul = torch.backends.cuda.matmul
    name: str = "allow_tf32"
    wanted: dict[bool, bool | str] = {True: True, False: False}
    if hasattr(matmul, "fp32_precision"):  # since PyTorch 2.9, in which allow_tf32 may raise
        name, wanted = "fp32_precision", {True: "tf32", False: "ieee"}
    before = getattr(matmul, name)
    setattr(matmul, name, wanted[rough])
    try:
        yield
    finally:
        setattr(matmul, name, before)


def is_computed_with(array: Any) -> bool:
    """Whether an array is on another device that supports float64."""
    compat = _compat(array)
    return compat is not None and not _is_on_host(array) and _has_float64(_place(array, compat))


def elsewhere(X: Any) -> Elsewhere | None:
    """Return the `Elsewhere` of rows on another device that supports float64, else None."""
    there = X.values if isinstance(X, Rows) else None
    return there if isinstance(there, Elsewhere) and there.computes else None


def in_host_memory(array: Any) -> Any:
    """Return an array of any library as a NumPy array, and any other object as it is."""
    is_foreign = hasattr(array, "__dlpack__") and not isinstance(array, (np.ndarray, np.generic))
    return _in_host_memory(array, _compat_of(array)) if is_foreign else array


def on_host(array: Any) -> Any:
    """Return an array as a NumPy array, a matrix on another device as `Rows`, others as is."""
    compat = _compat(array)
    if compat is None:
        return array
    if getattr(array, "requires_grad", False):  # later checks name the argument and refuse it
        return array
    if array.ndim != 2 or (_is_on_host(array) and not _is_bfloat16(array)):
        return _in_host_memory(array, compat)
    return Rows(Elsewhere(array, compat))


def fits_in_numpy(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method fit in NumPy, and then move the fitted arrays to the device of X.

    Parameters
    ----------
    fit : callable
        A method that takes X, y, weights and metadata, and returns the estimator. A decorator
        outside of this one must restore the estimator if the fit ends early.

    Returns
    -------
    callable
        The method.
    """

    @wraps(fit)
    def fitted(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        place, own = place_of(X), _foreign(self)
        if place is None and not own and _are_numpy_s(y, *args, *kwargs.values()):
            return fit(self, X, y, *args, **kwargs)
        vars(self).update(own)
        _called_in_numpy(fit, self, X, y, *args, **kwargs)
        if place is not None:
            _put(self, place)
        return self

    return fitted


def computes_in_numpy(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of a fitted estimator compute in NumPy, and return arrays on the device of X.

    Parameters
    ----------
    method : callable
        A method that takes X and other arguments.

    Returns
    -------
    callable
        The method.
    """

    @wraps(method)
    def computed(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        place, own = place_of(X), _foreign(self)
        if place is None and not own and _are_numpy_s(*args, *kwargs.values()):
            found = method(self, X, *args, **kwargs)
            # Cross-validation passes rows on a device, but needs results in host memory.
            return found if elsewhere(X) is None else in_host_memory(found)
        if hasattr(self, "intercept_"):
            _check_same_place(self, place, method.__name__)
        model = copy(self)
        vars(model).update(own)
        found = _called_in_numpy(method, model, X, *args, **kwargs)
        numeric = isinstance(found, np.ndarray) and found.dtype.kind in "biuf"
        return place.put(found) if place is not None and numeric else found

    return computed


def _are_numpy_s(*values: Any) -> bool:
    """Whether none of the values is an array of another library, or dispatch is off."""
    return all(_compat(value) is None for value in values)


def _called_in_numpy(method: Callable[..., Any], estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a method with all arrays in host memory, and return its result."""
    args = tuple(map(on_host, args))
    kwargs = {name: on_host(value) for name, value in kwargs.items()}
    with config_context(array_api_dispatch=False):
        return method(estimator, *args, **kwargs)


def _check_same_place(estimator: Any, place: Place | None, method: str) -> None:
    """Raise an error if X has another library or device than the fitted arrays."""
    of_fit = place_of(estimator.intercept_)
    if not get_config()["array_api_dispatch"] or place == of_fit:
        return
    there, here = of_fit or "numpy", place or "numpy"
    raise ValueError(
        f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and "
        f"the same device as those passed to fit(). These inputs are {here}, and the fit used "
        f"{there}. estimator.to_namespace(xp, device) returns the same estimator for other arrays."
    )


def _foreign(estimator: Any) -> dict[str, NDArray]:
    """Return the fitted arrays of an estimator that belong to another library, as NumPy arrays."""
    found = {}
    for name, value in vars(estimator).items():
        is_array = name.endswith("_") and hasattr(value, "__dlpack__")
        if is_array and not isinstance(value, (np.ndarray, np.generic, type)):
            found[name] = _in_host_memory(value, _compat_of(value))
    return found


def moved(estimator: Any, xp: Any, device: Any = None) -> Any:
    """Return a copy of an estimator with fitted arrays of another library, on a device."""
    other = copy(estimator)
    vars(other).update(_foreign(estimator))
    if xp is not np:
        xp = namespace(xp.asarray(np.zeros(1)))  # of array_api_compat, which handles devices
        _put(other, Place(xp, device))
    return other


def _put(estimator: Any, place: Place) -> None:
    """Move the fitted arrays of an estimator to a place, except arrays of names."""
    for name, value in vars(estimator).items():
        is_array = name.endswith("_") and isinstance(value, np.ndarray)
        if is_array and value.dtype.kind in "biuf":
            setattr(estimator, name, place.put(value))
