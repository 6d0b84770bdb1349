"""SciPy's BLAS held to one thread while a solver runs.

The wheels of NumPy and SciPy each carry an OpenBLAS with its own pool of spinning threads. L-BFGS-B
calls SciPy's on short vectors between evaluations that call NumPy's on large blocks, and the two
pools fight for the cores: on digits (1797, 64, 10) with two cores an evaluation took 11 ms, and
0.5 ms with SciPy's pool held to one thread.
"""

from __future__ import annotations

import functools
import threading
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController


@functools.cache
def _scipy_blas() -> ThreadpoolController:
    """Select the BLAS inside SciPy's wheel; nothing where NumPy and SciPy share a library."""
    controller = ThreadpoolController()
    paths = [library.filepath for library in controller.lib_controllers]
    return controller.select(filepath=[path for path in paths if "scipy.libs" in path])


class _SciPyOnOneThread:
    """Context manager, for any number of threads and nested fits: the last to leave restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limit = _scipy_blas().limit(limits=1)
                self._limit.__enter__()
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.restore_original_limits()


scipy_on_one_thread = _SciPyOnOneThread()
