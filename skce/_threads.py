"""Threads over blocks of rows. While a fit runs, every BLAS is limited to one thread.

The wheels of NumPy and SciPy each contain an OpenBLAS with its own pool of spinning threads. On
blocks that stay in the cache the two pools compete for the cores, with each other and with all
other processes: on two cores, one of them busy, digits (1797, 64, 10) took 100 times as long as
with one thread. Our own threads over the blocks wait without spinning. They share the element-wise
work, too.

An interrupt may come between any two lines. So nothing here counts up and down:

- Each thread knows its depth of nested fits. It is set to a depth, and not raised or lowered by 1.
- The threads in fits are a set. BLAS is limited if the set has members, and released if it is
  empty.
- A pool belongs to the outermost fit of a thread, and ends with this fit.

Each of these steps can be repeated, and `_interrupts` repeats them if a fit ends early. An old
value is stored before it is changed, and dropped after it is restored.
"""

from __future__ import annotations

import functools
import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from joblib import cpu_count
from threadpoolctl import ThreadpoolController

#: Columns of a (K, n_features) array that fit into the cache during a computation.
_COLUMNS = 4096

Item = TypeVar("Item")
Result = TypeVar("Result")


@functools.cache
def _blas_libraries() -> list[Any]:
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@functools.cache
def _cores() -> int:
    return cpu_count()


def _is_limited_by_thread(library: Any) -> bool:
    """Whether a limit of BLAS threads applies to the calling thread only, not to the process."""
    return library.internal_api == "mkl" or getattr(library, "threading_layer", "") == "openmp"


def _limit_this_thread() -> None:
    """Limit the BLAS calls of this thread to one thread, in libraries with a limit per thread."""
    for library in threads.machine.blas():
        if _is_limited_by_thread(library):
            library.set_num_threads(1)


class _Held:
    """BLAS libraries that can be limited to one thread.

    Parameters
    ----------
    by_thread : bool
        True for libraries with a limit per thread, False for libraries with a limit per process.
    """

    def __init__(self, by_thread: bool) -> None:
        self._by_thread = by_thread
        self.before: dict[Any, int] = {}

    def hold(self) -> None:
        """Limit the libraries to one thread, also those that other code has released since."""
        for library in threads.machine.blas():
            number = library.num_threads
            if number > 1 and _is_limited_by_thread(library) == self._by_thread:
                self.before[library] = number
                library.set_num_threads(1)

    def release(self) -> None:
        """Restore the limits, except those that other code has set since."""
        for library, number in self.before.items():
            if library.num_threads == 1:
                library.set_num_threads(number)
        self.before = {}


class _Job(Generic[Item, Result]):
    """A function of many items, whose results are returned in order."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._function = function
        self._done: SimpleQueue = SimpleQueue()
        self._over = False

    def do(self, place: int, item: Item) -> None:
        """Work on an item, unless the job is over."""
        if self._over:
            return
        try:
            self._done.put((place, self._function(item), None))
        except BaseException as error:
            self._done.put((place, None, error))

    def results(self, number: int) -> Iterator[Result]:
        """Yield the results in order, and drop each of them."""
        early: dict[int, tuple[Result, BaseException | None]] = {}
        try:
            for wanted in range(number):
                while wanted not in early:
                    place, *found = self._done.get()
                    early[place] = tuple(found)
                result, error = early.pop(wanted)
                if error is not None:
                    raise error
                yield result
        finally:
            self._over = True


class _Pool:
    """Threads that wait for work.

    The threads of `concurrent.futures` wait on a `threading.Condition`. If an interrupt comes just
    before this releases its lock, it keeps the lock, and the threads never end. A `SimpleQueue` has
    no such gap.
    """

    def __init__(self) -> None:
        self.workers = 0
        self._tasks: SimpleQueue = SimpleQueue()
        self._ended: SimpleQueue = SimpleQueue()

    def start(self, workers: int) -> None:
        """Start threads up to the given number, or as many as the system allows."""
        while self.workers < workers:
            try:
                threads.machine.start(_work, (self._tasks, self._ended))
            except RuntimeError:  # there are too many threads, or the interpreter ends
                return
            self.workers += 1

    def map(self, function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        """Return the results in the order of the items."""
        job = _Job(function)
        for task in enumerate(items):
            self._tasks.put((job, *task))
        return job.results(len(items))

    def close(self) -> None:
        """Let the threads finish their current work, and wait for them. It can be called again."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        self._tasks.put(None)
        while self.workers:
            self.workers -= 1  # first: after an interrupt, waiting for one too many never ends
            self._ended.get()


def _work(tasks: SimpleQueue, ended: SimpleQueue) -> None:
    """Work on tasks until the end of the queue."""
    _limit_this_thread()
    while (task := tasks.get()) is not None:
        job, place, item = task
        job.do(place, item)
        del task, job, item
    tasks.put(None)  # ends the other threads
    ended.put(None)


class _Fits:
    """The nested fits of a thread.

    Attributes
    ----------
    depth : int
        Number of nested fits.
    number : int
        Number of threads that they may use.
    pool : _Pool or None
        Pool of these fits. They share it with no other thread.
    held : _Held
        BLAS libraries with a limit per thread.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.number = 1
        self.pool: _Pool | None = None
        self.held = _Held(by_thread=True)

    def pool_of(self, workers: int) -> _Pool:
        """Return a pool of at least `workers` threads, or as many as the system allows."""
        if self.pool is None:
            self.pool = threads.machine.pool()
        self.pool.start(workers)
        return self.pool

    def close_pool(self) -> None:
        """Let the threads of the pool finish their current work, and end them."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None


class _OfThisThread(threading.local):
    def __init__(self) -> None:
        self.fits = _Fits()


@dataclass(frozen=True)
class Machine:
    """The resources of the machine, which tests replace.

    Attributes
    ----------
    cores : callable
        Returns the number of cores.
    blas : callable
        Returns the controllers of BLAS libraries.
    start : callable
        Starts a thread that calls a function with arguments.
    pool : callable
        Returns a pool of threads that wait for work.
    """

    cores: Callable[[], int] = _cores
    blas: Callable[[], list[Any]] = _blas_libraries
    start: Callable[..., Any] = start_new_thread
    pool: Callable[[], _Pool] = _Pool


class _Threads:
    """Context manager for any number of threads and nested fits. The last exit restores BLAS.

    Attributes
    ----------
    machine : Machine
        Resources of the machine.
    """

    def __init__(self) -> None:
        self.machine = Machine()
        # Reentrant, because a signal handler may fit or fork at any line.
        self._lock = threading.RLock()
        self._own = _OfThisThread()
        # Weak references: fits that a thread leaves open end with the thread.
        self._open: WeakSet[_Fits] = WeakSet()
        self._held = _Held(by_thread=False)

    @property
    def depth(self) -> int:
        """Number of nested fits of this thread."""
        return self._own.fits.depth

    @property
    def _inside(self) -> int:
        """Number of threads in fits."""
        return len(self._open)

    @property
    def _pool(self) -> _Pool | None:
        """Pool of this thread."""
        return self._own.fits.pool

    def __enter__(self) -> None:
        before = self.depth
        try:
            self.go_to(before + 1)
        except BaseException:
            self.go_to(before)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go_to(self.depth - 1)

    def go_to(self, depth: int) -> None:
        """Set the depth of this thread, its pool and the limits of BLAS. It can be called again.

        Parameters
        ----------
        depth : int
            Number of nested fits, from 0.
        """
        fits = self._own.fits
        outside = fits.depth == 0
        fits.depth = depth
        try:
            if outside or depth == 0:
                fits.close_pool()
        finally:
            with self._lock:
                if outside and depth:
                    fits.number = self._number_of_threads()
                (self._open.add if depth else self._open.discard)(fits)
                self._settle(fits)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterable[Result]:
        """Return the results in the order of the items, from several threads if there are some."""
        items = list(items)
        fits = self._own.fits
        workers = fits.number // max(1, self._inside) if fits.depth else 1
        if workers < 2 or len(items) < 2:
            return map(function, items)
        pool = fits.pool_of(workers)
        return pool.map(function, items) if pool.workers else map(function, items)

    def _settle(self, fits: _Fits) -> None:
        """Limit BLAS if any thread is in a fit, and release it if none is."""
        (fits.held.hold if fits.depth else fits.held.release)()
        (self._held.hold if self._open else self._held.release)()
        # threadpoolctl lets only one thread at a time set limits, and ignores the others.
        for kind in {type(library) for library in self.machine.blas()}:
            if hasattr(kind, "clear_controlling_thread"):
                kind.clear_controlling_thread()

    def _number_of_threads(self) -> int:
        """Return the number of BLAS threads, so that its limits apply, but at most the cores."""
        libraries, cores = self.machine.blas(), self.machine.cores()
        allowed = [max(lib.num_threads, self._held.before.get(lib, 1)) for lib in libraries]
        return min(cores, max(allowed)) if allowed else cores

    def unlock(self) -> None:
        """Release the lock, if an interrupt came just before this thread released it."""
        with suppress(RuntimeError):
            while True:
                self._lock.release()

    def before_fork(self) -> None:
        """Wait until no thread sets limits: the child process would inherit a lock of BLAS."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the lock."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Drop the fits of other threads, and the pool: a child process does not have them."""
        self._lock = threading.RLock()
        fits = self._own.fits
        fits.pool = None
        self._open = WeakSet([fits] if fits.depth else [])
        self._settle(fits)


threads = _Threads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=threads.before_fork,
        after_in_parent=threads.after_fork_in_parent,
        after_in_child=threads.after_fork_in_child,
    )


class cached_property(functools.cached_property[Result]):  # noqa: N801
    """Cached property without a lock, as in Python 3.12. Before, all instances share one lock.

    With the lock, fits in several threads would wait for each other. If one of them forked or was
    interrupted while it held the lock, the others would wait forever.
    """

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """Compute the value, and store it as an attribute of the instance."""
        if instance is None:
            return self
        value = vars(instance)[str(self.attrname)] = self.func(instance)
        return value


#: Start and stop of a block.
Span = tuple[int, int]


def blocks(stop: int, size: int, start: int = 0) -> Iterator[Span]:
    """Yield start and stop of consecutive blocks of `size`, for example of rows."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def each_span(function: Callable[[slice], None], n_columns: int) -> None:
    """Call a function for each block of columns of a wide array, in all threads."""
    if n_columns <= _COLUMNS:
        function(slice(None))
    else:
        list(threads.map(function, (slice(*span) for span in blocks(n_columns, _COLUMNS))))
