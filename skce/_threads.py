"""Threads over blocks of rows, with every BLAS held to one thread while a fit runs.

The wheels of NumPy and SciPy each carry an OpenBLAS with its own pool of spinning threads. On
blocks that stay in cache the two pools fight for the cores, with each other and with whatever else
runs: on two cores, one of them busy, digits (1797, 64, 10) took 100 times as long as with one
thread. Threads of our own over the blocks wait without spinning, and share the element-wise work
too.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from joblib import cpu_count
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


@functools.cache
def _cores() -> int:
    return cpu_count()


def _number_of_threads() -> int:
    """As many as BLAS would use, so that what limits it limits us, but no more than there are."""
    allowed = [library.num_threads for library in _blas().lib_controllers]
    return min(_cores(), max(allowed)) if allowed else _cores()


class _Threads:
    """Context manager, for any number of threads and nested fits: the last to leave restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit: Any = None
        self._number = 1
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._number = _number_of_threads()
                self._limit = _blas().limit(limits=1)
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
                if self._pool is not None:
                    self._pool.shutdown()
                    self._pool = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterable[Result]:
        """Results in the order of the items, from several threads where there are some."""
        items = list(items)
        if self._number == 1 or self._inside == 0 or len(items) == 1:
            return map(function, items)
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._number)
        return self._pool.map(function, items)


threads = _Threads()
# A child process has none of the threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=threads.__init__)  # type: ignore[misc]
