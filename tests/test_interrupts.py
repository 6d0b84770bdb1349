"""After an interrupt the estimator and the process are as before, and the next fit is correct.

`pytest --hypothesis-profile=long tests/test_interrupts.py` makes 300 interrupts at random times and
500 at given lines, and interrupts at every line of the modules that handle them.
"""

import linecache
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from threadpoolctl import ThreadpoolController, threadpool_limits

import skce
from skce import SoftmaxClassifier, SoftmaxClassifierCV, _threads, log_loss, softmax_path
from skce._threads import Machine, threads

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

BLAS = ThreadpoolController().select(user_api="blas").lib_controllers
PACKAGE = str(Path(skce.__file__).parent)
OURS = tuple(f"{PACKAGE}/_{name}.py" for name in ("threads", "interrupts", "callbacks"))
needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no timer")
KINDS = ("small", "large", "sparse", "l1", "lbfgs", "binary", "cv")


@pytest.fixture(autouse=True)
def two_threads():
    """Use two threads, so that there is a pool, and a limit of BLAS to restore."""
    machine, threads.machine = threads.machine, Machine(cores=lambda: 2)
    with threadpool_limits(2, user_api="blas"):
        yield
    threads.machine = machine


@pytest.fixture
def untraced():
    """Stop measuring coverage: an interrupt inside its tracer would keep its lock for ever."""
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)


@pytest.fixture
def long(request):
    return request.config.getoption("hypothesis_profile", None) == "long"


def number_of_threads():
    return [library.num_threads for library in BLAS]


def lock_is_free():
    def look():
        found.append(threads._lock.acquire(blocking=False))
        if found[0]:
            threads._lock.release()

    found = []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


def process():
    """Return the state that a fit must not change."""
    return {
        "blas": number_of_threads(),
        "threads in fits": threads._inside,
        "depth": threads.depth,
        "pool": threads._pool,
        "warning filters": list(warnings.filters),
        "shows warnings": (warnings.showwarning, warnings._showwarnmsg_impl),
        "NumPy's errors": np.geterr(),
        "settings": sklearn.get_config(),
        "lock is free": lock_is_free(),
        "SIGINT": signal.getsignal(signal.SIGINT),
    }


def make(kind):
    """An estimator and its data."""
    rng = np.random.default_rng(3)
    if kind in ("large", "l1"):
        X, y = rng.normal(size=(20_000, 40)), rng.integers(4, size=20_000)
        return SoftmaxClassifier(**({"l1_ratio": 1.0, "C": 0.01} if kind == "l1" else {})), X, y
    if kind == "sparse":
        X = sp.random(2000, 300, density=0.03, format="csr", random_state=0)
        return SoftmaxClassifier(), X, rng.integers(3, size=2000)
    X, y = load_iris(return_X_y=True)
    if kind == "cv":
        return SoftmaxClassifierCV(Cs=2, cv=2, tol=1e-4), X, y
    if kind == "binary":
        return SoftmaxClassifier(loss="binary"), X, y
    return SoftmaxClassifier(solver="lbfgs" if kind == "lbfgs" else "auto"), X, y


class At:
    """Raises at the k-th line of some files that this thread executes.

    It does not raise at a `with` of other packages. Python traces such a line once more at the end
    of the block, before a lock is released. A real signal cannot come at that moment.
    """

    def __init__(self, k, where=PACKAGE):
        self.k, self.where = k, where
        self.n, self.hit = 0, None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def _call(self, frame, event, argument):
        name = frame.f_code.co_filename
        return self._line if name.startswith(self.where) and name != __file__ else None

    def _line(self, frame, event, argument):
        if event == "line" and not is_with_of_others(frame):
            self.n += 1
            if self.n == self.k:
                self.hit = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._line


def is_with_of_others(frame):
    """Whether a line of another package begins a block of `with`."""
    name = frame.f_code.co_filename
    line = linecache.getline(name, frame.f_lineno)
    return not name.startswith(PACKAGE) and line.lstrip().startswith("with ")


class Case:
    """Fits that are interrupted, one after the other."""

    def __init__(self, kind):
        self.estimator, self.X, self.y = make(kind)
        self.fit()
        self.before, self.process = vars(self.estimator).copy(), process()
        self.coef = self.estimator.coef_.copy()

    def fit(self):
        return self.estimator.fit(self.X, self.y)

    def lines(self, **where):
        with At(-1, **where) as counted:
            sklearn.clone(self.estimator).fit(self.X, self.y)
        return counted.n

    def check(self, hit):
        """Check that everything is as before, and that the next fit is correct with all threads."""
        assert process() == self.process, hit
        after = vars(self.estimator)
        assert after.keys() == self.before.keys(), hit
        assert all(after[name] is value for name, value in self.before.items()), hit
        assert_array_equal(self.estimator.coef_, self.coef, err_msg=hit)
        again = sklearn.clone(self.estimator).fit(self.X, self.y)
        assert_array_equal(again.coef_, self.coef, err_msg=hit)
        assert process() == self.process, hit
        with threads:
            assert threads._own.fits.number == 2, hit
            assert number_of_threads() == [1] * len(BLAS), hit

    def interrupt_at(self, k, **where):
        """Interrupt at the k-th line. Return whether there was such a line."""
        with At(k, **where) as at:
            try:
                self.fit()
            except KeyboardInterrupt:
                pass
            else:
                assert at.hit is None, f"swallowed at {at.hit}"
        if at.hit is not None:
            self.check(at.hit)
        self.reset()
        return at.hit is not None

    def reset(self):
        vars(self.estimator).clear()
        vars(self.estimator).update(self.before)


def some_of(n, total, seed):
    rng = np.random.default_rng(seed)
    return sorted(int(k) for k in rng.choice(total, min(n, total), replace=False) + 1)


# ------------------------------------------------------------------------------------- by line
@pytest.mark.parametrize("kind", KINDS)
def test_interrupts_at_any_line_of_the_package_leave_nothing(kind, long):
    case = Case(kind)
    some = some_of(72 if long else 12, case.lines(), seed=1)
    assert sum(case.interrupt_at(k) for k in some) >= len(some) - 2  # some run once


@pytest.mark.parametrize("kind", ["small", "l1"])
def test_interrupts_at_every_line_that_deals_with_interrupts_leave_nothing(kind, long):
    case = Case(kind)
    total = case.lines(where=OURS)
    for k in range(1, total + 1) if long else some_of(25, total, seed=2):
        assert case.interrupt_at(k, where=OURS)


def test_interrupts_at_any_line_of_python_leave_nothing(long):
    case = Case("small")
    some = some_of(400 if long else 40, case.lines(where="/"), seed=3)
    assert sum(case.interrupt_at(k, where="/") for k in some) >= len(some) // 2


def test_interrupts_at_every_line_of_a_pool_in_use_leave_nothing():
    def use():
        with threads, threads:
            assert list(threads.map(abs, [-1, -2, -3])) == [1, 2, 3]
            assert threads._pool is not None

    use = skce._interrupts.restored_on_error(use)
    before = process()
    with At(-1, OURS) as counted:
        use()
    assert counted.n > 80
    for k in range(1, counted.n + 1):
        with At(k, OURS) as at, pytest.raises(KeyboardInterrupt):
            use()
        assert process() == before, at.hit
        use()
        assert process() == before, at.hit


@pytest.mark.parametrize(
    "function",
    [
        lambda X, y: softmax_path(X, y, Cs=2, tol=1e-3),
        lambda X, y: log_loss(np.resize(y, 90_000), np.full((90_000, 3), 1 / 3)),
    ],
    ids=["softmax_path", "log_loss"],
)
def test_interrupts_of_functions_leave_nothing(function, long):
    X, y = load_iris(return_X_y=True)
    function(X, y)
    before = process()
    with At(-1, OURS) as counted:
        function(X, y)
    assert counted.n > 20
    for k in range(1, counted.n + 1) if long else some_of(20, counted.n, seed=7):
        with At(k, OURS) as at, pytest.raises(KeyboardInterrupt):
            function(X, y)
        assert process() == before, at.hit


def test_a_fit_that_fails_and_is_then_interrupted_leaves_nothing():
    case = Case("small")
    case.y = case.y[:-1]
    with At(-1) as counted, pytest.raises(ValueError, match="samples"):
        case.fit()
    for k in range(1, counted.n + 1):
        with At(k) as at, pytest.raises((KeyboardInterrupt, ValueError)):
            case.fit()
        assert process() == case.process, at.hit
        assert vars(case.estimator) == case.before, at.hit


# ------------------------------------------------------------------------------- at random times
@needs_timer
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("kind", KINDS)
def test_interrupts_at_random_times_leave_nothing(kind, long):
    case = Case(kind)
    start = time.perf_counter()
    sklearn.clone(case.estimator).fit(case.X, case.y)
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(6)
    came, wanted = 0, 43 if long else 4
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(20 * wanted):
            in_fit = False
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, seconds))
                case.fit()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt as error:
                in_fit = error.__traceback__.tb_next is not None  # otherwise it came in this test
            if in_fit:
                case.check("a random time")
                came += 1
            case.reset()
            if came == wanted:
                break
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert came == wanted


# ---------------------------------------------------------------------------- in certain places
@pytest.mark.parametrize("place", ["__init__", "start", "map", "close"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_of_the_pool_leaves_none_that_is_used_again(place, when):
    case, came = Case("l1"), []

    def interrupted(self, *args):
        real = getattr(super(Pool, self), place)
        if came:
            return real(*args)
        if when == "after":
            real(*args)
        came.append(place)
        raise KeyboardInterrupt

    Pool = type("Pool", (_threads._Pool,), {place: interrupted})
    threads.machine = Machine(cores=lambda: 2, pool=Pool)
    with pytest.raises(KeyboardInterrupt):
        case.fit()
    case.check(place)


def test_what_is_raised_in_a_thread_of_the_pool_comes_out_and_leaves_nothing():
    def fails(number):
        if number == 5:
            raise KeyboardInterrupt
        return number

    @skce._interrupts.restored_on_error
    def use():
        with threads:
            for number in threads.map(fails, range(100)):
                assert number < 5

    before = process()
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            use()
        assert process() == before


@needs_timer
@pytest.mark.usefixtures("untraced")
def test_a_wait_for_the_pool_can_be_interrupted_and_its_threads_end():
    ended = []

    def slow(_):
        time.sleep(0.5)
        ended.append(threading.get_ident())

    @skce._interrupts.restored_on_error
    def use():
        # The first signal comes while it waits for results, the second while it waits for threads.
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        try:
            with threads:
                list(threads.map(slow, range(50)))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = process()
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            use()
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert (number_of_threads(), threads.depth) == (before["blas"], 0)
    with threads:
        assert list(threads.map(abs, [-1, -2])) == [1, 2]
    assert process() == before
    assert len(ended) <= 4
