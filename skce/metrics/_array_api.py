"""Arrays of other libraries, where scikit-learn's `array_api_dispatch` is on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config


def _compat(array: Any) -> Any:
    """Return array_api_compat if it has to deal with this array, else None."""
    if not get_config()["array_api_dispatch"] or isinstance(array, (np.ndarray, list, tuple)):
        return None
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "Arrays of other libraries than NumPy need array-api-compat: "
            "pip install 'skce[array-api]'."
        ) from error
    return array_api_compat if array_api_compat.is_array_api_obj(array) else None


def to_numpy(array: Any) -> Any:
    """Return an array of any library in host memory, shared where it is there; others as is."""
    compat = _compat(array)
    if compat is None:
        return array
    try:
        return np.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError, ValueError):  # on another device
        return np.from_dlpack(compat.to_device(array, "cpu"))


def like(result: NDArray, array: Any) -> Any:
    """Return a result as an array of the library and on the device of `array`."""
    compat = _compat(array)
    if compat is None:
        return result
    xp = compat.array_namespace(array)
    return xp.asarray(result, device=compat.device(array))
