"""Threads over blocks of rows, with every BLAS held to one thread while a fit runs.

The wheels of NumPy and SciPy each carry an OpenBLAS with its own pool of spinning threads. On
blocks that stay in cache the two pools fight for the cores, with each other and with whatever else
runs: on two cores, one of them busy, digits (1797, 64, 10) took 100 times as long as with one
thread. Threads of our own over the blocks wait without spinning, and share the element-wise work
too.

An interrupt may come between any two lines. So nothing here is counted up and down:

- each thread knows how deep it is in fits, and goes to a depth, not one up or one down;
- the threads in fits are a set, and BLAS is brought to what the set says: held, or released;
- a pool belongs to the outermost fit of a thread, and ends with it.

Every one of these steps can be made again, and is by `_interrupts` at the latest. What was there
before is noted before it is changed, and forgotten after it is back.
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

#: Columns of a (K, n_features) array that stay in cache while something is done with it.
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
    """Whether the number of threads is that of the calling thread, and not of the process."""
    return library.internal_api == "mkl" or getattr(library, "threading_layer", "") == "openmp"


def _limit_this_thread() -> None:
    """Hold BLAS to one thread, where that is up to each thread, for as long as this one lives."""
    for library in threads.machine.blas():
        if _is_limited_by_thread(library):
            library.set_num_threads(1)


class _Held:
    """BLAS libraries, held to one thread or not.

    Parameters
    ----------
    by_thread : bool
        Whether they are those that each thread limits for itself, or those of the process.
    """

    def __init__(self, by_thread: bool) -> None:
        self._by_thread = by_thread
        self.before: dict[Any, int] = {}

    def hold(self) -> None:
        """Hold them, or those that somebody has released since."""
        for library in threads.machine.blas():
            number = library.num_threads
            if number > 1 and _is_limited_by_thread(library) == self._by_thread:
                self.before[library] = number
                library.set_num_threads(1)

    def release(self) -> None:
        """Restore them, but those that somebody has set since."""
        for library, number in self.before.items():
            if library.num_threads == 1:
                library.set_num_threads(number)
        self.before = {}


class _Job(Generic[Item, Result]):
    """A function of many items, whose results are wanted in order."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self._function = function
        self._done: SimpleQueue = SimpleQueue()
        self._over = False

    def do(self, place: int, item: Item) -> None:
        """Work on an item, unless nobody waits for it."""
        if self._over:
            return
        try:
            self._done.put((place, self._function(item), None))
        except BaseException as error:
            self._done.put((place, None, error))

    def results(self, number: int) -> Iterator[Result]:
        """Yield the results, and keep none."""
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

    Those of `concurrent.futures` wait by `threading.Condition`, which keeps its lock if an
    interrupt comes just before it would release it; then they never end. A `SimpleQueue` has no
    such gap.
    """

    def __init__(self) -> None:
        self.workers = 0
        self._tasks: SimpleQueue = SimpleQueue()
        self._ended: SimpleQueue = SimpleQueue()

    def start(self, workers: int) -> None:
        """Start threads, up to that number, as far as the system lets us have them."""
        while self.workers < workers:
            try:
                threads.machine.start(_work, (self._tasks, self._ended))
            except RuntimeError:  # too many there, or the interpreter ends
                return
            self.workers += 1

    def map(self, function: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        """Results in the order of the items."""
        job = _Job(function)
        for task in enumerate(items):
            self._tasks.put((job, *task))
        return job.results(len(items))

    def close(self) -> None:
        """Let the threads finish what they are at, and wait for them; can be called again."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        self._tasks.put(None)
        while self.workers:
            self.workers -= 1  # before, for an interrupt may come: rather one too few than for ever
            self._ended.get()


def _work(tasks: SimpleQueue, ended: SimpleQueue) -> None:
    """Do what comes, until nothing does."""
    _limit_this_thread()
    while (task := tasks.get()) is not None:
        job, place, item = task
        job.do(place, item)
        del task, job, item
    tasks.put(None)  # for the others
    ended.put(None)


class _Fits:
    """The fits of a thread, each inside the one before.

    Attributes
    ----------
    depth : int
        How many they are.
    number : int
        Threads that they may use.
    pool : _Pool or None
        Theirs alone.
    held : _Held
        BLAS libraries that this thread limits for itself.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.number = 1
        self.pool: _Pool | None = None
        self.held = _Held(by_thread=True)

    def pool_of(self, workers: int) -> _Pool:
        """Return a pool of so many threads or more, if there can be as many."""
        if self.pool is None:
            self.pool = threads.machine.pool()
        self.pool.start(workers)
        return self.pool

    def close_pool(self) -> None:
        """Let its threads end what they are at."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None


class _OfThisThread(threading.local):
    def __init__(self) -> None:
        self.fits = _Fits()


@dataclass(frozen=True)
class Machine:
    """What there is to work with.

    Attributes
    ----------
    cores : callable
        Returns their number.
    blas : callable
        Returns the controllers of BLAS libraries.
    start : callable
        Starts a thread that calls a function with arguments.
    pool : callable
        Returns threads that wait for work.
    """

    cores: Callable[[], int] = _cores
    blas: Callable[[], list[Any]] = _blas_libraries
    start: Callable[..., Any] = start_new_thread
    pool: Callable[[], _Pool] = _Pool


class _Threads:
    """Context manager, for any number of threads and nested fits: the last to leave restores.

    Attributes
    ----------
    machine : Machine
        Tests have others.
    """

    def __init__(self) -> None:
        self.machine = Machine()
        # Reentrant, for a handler of signals may fit, or fork, anywhere.
        self._lock = threading.RLock()
        self._own = _OfThisThread()
        # Weak: what a thread leaves open ends with it.
        self._open: WeakSet[_Fits] = WeakSet()
        self._held = _Held(by_thread=False)

    @property
    def depth(self) -> int:
        """How deep this thread is in fits."""
        return self._own.fits.depth

    @property
    def _inside(self) -> int:
        """Threads that are in fits."""
        return len(self._open)

    @property
    def _pool(self) -> _Pool | None:
        """That of this thread."""
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
        """Bring this thread to a depth, and all that goes with it; can be called again.

        Parameters
        ----------
        depth : int
            Of fits inside each other, from 0.
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
        """Results in the order of the items, from several threads where there are some."""
        items = list(items)
        fits = self._own.fits
        workers = fits.number // max(1, self._inside) if fits.depth else 1
        if workers < 2 or len(items) < 2:
            return map(function, items)
        pool = fits.pool_of(workers)
        return pool.map(function, items) if pool.workers else map(function, items)

    def _settle(self, fits: _Fits) -> None:
        """Hold BLAS if some thread is in a fit, and release it if none is."""
        (fits.held.hold if fits.depth else fits.held.release)()
        (self._held.hold if self._open else self._held.release)()
        # threadpoolctl lets one thread at a time set limits, and ignores the others.
        for kind in {type(library) for library in self.machine.blas()}:
            if hasattr(kind, "clear_controlling_thread"):
                kind.clear_controlling_thread()

    def _number_of_threads(self) -> int:
        """As many as BLAS would use, so that what limits it limits us, but no more than cores."""
        libraries, cores = self.machine.blas(), self.machine.cores()
        allowed = [max(lib.num_threads, self._held.before.get(lib, 1)) for lib in libraries]
        return min(cores, max(allowed)) if allowed else cores

    def unlock(self) -> None:
        """Give the lock back, if an interrupt came just before this thread would have."""
        with suppress(RuntimeError):
            while True:
                self._lock.release()

    def before_fork(self) -> None:
        """Let no thread be about to set limits, for the child would inherit a lock of BLAS."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on without the other threads: neither their fits nor a pool are here."""
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
    """As that of Python 3.12: before, it has a lock for all instances.

    Fits in several threads would wait for each other there; and if one of them forks, or is
    interrupted, while it is locked, others wait for ever.
    """

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """Compute the value, which is an attribute of the instance from then on."""
        if instance is None:
            return self
        value = vars(instance)[str(self.attrname)] = self.func(instance)
        return value


#: Start and stop of a block.
Span = tuple[int, int]


def blocks(stop: int, size: int, start: int = 0) -> Iterator[Span]:
    """Start and stop of consecutive blocks of `size`, of rows for one."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def each_span(function: Callable[[slice], None], n_columns: int) -> None:
    """Call a function with some columns of a wide array after the other, in all threads."""
    if n_columns <= _COLUMNS:
        function(slice(None))
    else:
        list(threads.map(function, (slice(*span) for span in blocks(n_columns, _COLUMNS))))
