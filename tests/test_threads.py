"""Threads, processes and BLAS: after the last fit the limits are those of the process again."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from threadpoolctl import ThreadpoolController, threadpool_limits

import skce
from skce import SoftmaxClassifier
from skce._threads import Machine, cached_property, threads

BLAS = ThreadpoolController().select(user_api="blas").lib_controllers
X, y = load_iris(return_X_y=True)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked")


def number_of_threads():
    return [library.num_threads for library in BLAS]


def set_numbers(numbers):
    """Set limits from a thread that ends: until then threadpoolctl ignores other threads."""

    def set_all():
        for library, number in zip(BLAS, numbers, strict=True):
            library.set_num_threads(number)

    thread = threading.Thread(target=set_all)
    thread.start()
    thread.join()


@pytest.fixture(autouse=True)
def two_threads():
    machine, threads.machine = threads.machine, Machine(cores=lambda: 2)
    before = number_of_threads()
    set_numbers([2] * len(BLAS))
    yield
    set_numbers(before)
    threads.machine = machine


class InThread:
    """A fit in a thread that stays alive, with calls to enter and to leave the fit."""

    def __init__(self):
        self.executor = ThreadPoolExecutor(1)

    def do(self, function, *args):
        return self.executor.submit(function, *args).result(timeout=60)

    def enter(self):
        return self.do(threads.__enter__)

    def leave(self):
        return self.do(threads.__exit__, None, None, None)

    def end(self):
        self.executor.shutdown()


@pytest.fixture
def two():
    both = InThread(), InThread()
    yield both
    for one in both:
        one.end()


@pytest.mark.parametrize("last", [0, 1])
def test_the_last_thread_to_leave_restores_blas_while_the_others_live(two, last):
    before = number_of_threads()
    for one in two:
        one.enter()
    assert number_of_threads() == [1] * len(BLAS)
    two[1 - last].leave()
    assert number_of_threads() == [1] * len(BLAS)
    two[last].leave()
    assert number_of_threads() == before


def test_a_fit_leaves_limits_for_other_threads_to_set(two):
    SoftmaxClassifier().fit(X, y)
    with threads:
        pass
    limit = two[0].do(lambda: threadpool_limits(1, user_api="blas"))
    assert number_of_threads() == [1] * len(BLAS)
    two[0].do(limit.__enter__)
    two[0].do(limit.__exit__, None, None, None)
    assert number_of_threads() == [2] * len(BLAS)


def test_a_limit_that_somebody_sets_during_a_fit_stays():
    with threads:
        set_numbers([3] * len(BLAS))
    assert number_of_threads() == [3] * len(BLAS)


def test_threads_that_fit_at_once_share_the_cores(two):
    threads.machine = Machine(cores=lambda: 4)
    set_numbers([4] * len(BLAS))
    with threads:
        assert list(threads.map(abs, [-1, -2])) == [1, 2]
        assert threads._pool.workers == 4
        two[0].enter()
        assert list(two[0].do(threads.map, abs, [-1, -2])) == [1, 2]
        assert two[0].do(lambda: threads._pool.workers) == 2
        two[1].enter()
        assert type(two[1].do(threads.map, abs, [-1, -2])) is map
        two[1].leave()
        two[0].leave()


def test_a_pool_grows_once_the_others_have_left(two):
    two[0].enter()
    with threads:
        assert type(threads.map(abs, [-1, -2])) is map
        two[0].leave()
        assert list(threads.map(abs, [-1, -2])) == [1, 2]
        assert threads._pool.workers == 2
        threads._own.fits.number = 4
        assert list(threads.map(abs, [-1, -2])) == [1, 2]
        assert threads._pool.workers == 4


def test_a_fit_within_a_fit_uses_its_pool():
    with threads:
        list(threads.map(abs, [1, 2]))
        pool = threads._pool
        with threads:
            list(threads.map(abs, [1, 2]))
            assert threads._pool is pool
        assert threads._pool is pool
        assert number_of_threads() == [1] * len(BLAS)
    assert threads._pool is None


def test_where_no_thread_can_be_started_there_is_none():
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    threads.machine = Machine(cores=lambda: 2, start=refuse)
    with threads:
        assert list(threads.map(abs, [-1, -2])) == [1, 2]
        assert threads._pool.workers == 0


def test_work_in_a_thread_of_the_pool_is_not_shared_again():
    with threads:
        kinds = list(threads.map(lambda _: type(threads.map(abs, [1, 2])), range(4)))
    assert kinds == [map] * 4


def test_what_a_thread_leaves_open_ends_with_it():
    thread = threading.Thread(target=threads.__enter__)
    thread.start()
    thread.join()
    assert threads._inside == 0
    with threads:
        pass
    assert number_of_threads() == [2] * len(BLAS)


def test_what_is_kept_is_not_locked_by_another_thread():
    class Slow:
        def __init__(self):
            self.begun, self.goes_on, self.times = threading.Event(), threading.Event(), 0

        @cached_property
        def value(self):
            self.times += 1
            self.begun.set()
            assert self.goes_on.wait(60)
            return self.times

    first, second = Slow(), Slow()
    second.goes_on.set()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(lambda: first.value)
        assert first.begun.wait(60)
        try:
            assert pool.submit(lambda: second.value).result(timeout=60) == 1
        finally:
            first.goes_on.set()
        assert waiting.result() == 1
    assert second.value == second.value == second.times == 1


def test_an_interrupted_fit_does_not_end_that_of_another_thread(two):
    two[0].enter()
    fits = two[0].do(lambda: threads._own.fits)
    with pytest.raises(KeyboardInterrupt), threads:
        raise KeyboardInterrupt
    assert (threads._inside, fits.depth) == (1, 1)
    assert number_of_threads() == [1] * len(BLAS)
    two[0].leave()
    assert number_of_threads() == [2] * len(BLAS)


class LimitedByThread:
    """A library like MKL, with a separate limit for each thread."""

    internal_api = "mkl"

    def __init__(self):
        self.own = threading.local()

    @property
    def num_threads(self):
        return getattr(self.own, "number", 2)

    def set_num_threads(self, number):
        self.own.number = number


def test_limits_that_each_thread_has_are_set_and_restored_in_each(two):
    library = LimitedByThread()
    threads.machine = Machine(cores=lambda: 2, blas=lambda: [library])

    def here():
        return library.num_threads

    for one in two:
        one.enter()
        assert one.do(here) == 1
    assert here() == 2
    for one in two:
        one.leave()
        assert one.do(here) == 2
    with threads:
        assert list(threads.map(lambda _: here(), range(4))) == [1] * 4
        assert threads._pool.workers == 2
    assert here() == 2


# ------------------------------------------------------------------------------------- processes
START = """
import os, sys, threading, time
import numpy as np
from threadpoolctl import ThreadpoolController
from skce import SoftmaxClassifier
from skce._threads import Machine, threads
threads.machine = Machine(cores=lambda: 2)
def blas():
    return ThreadpoolController().select(user_api="blas")
def numbers():
    return [library.num_threads for library in blas().lib_controllers]
rng = np.random.default_rng(0)
X, y = rng.normal(size=(8000, 20)), rng.integers(3, size=8000)
small = X[:100], y[:100]
def fit(C=1.0):
    return SoftmaxClassifier(C=C).fit(X, y).coef_
def fit_and_count(C):
    before = numbers()
    coef = fit(C)
    return coef, before, numbers()
def child(function):
    "Exit status of a forked process, which is ended after a minute."
    process = os.fork()
    if not process:
        status = 1
        try:
            status = 0 if function() else 2
        finally:
            os._exit(status)
    for _ in range(6000):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, 9)
    os.waitpid(process, 0)
    return "hangs"
def main():
    blas().limit(limits=2)
"""


@pytest.fixture
def program(tmp_path):
    """Run a program from a file, which processes that are spawned can import."""

    def run(main, wanted=""):
        lines = "\n".join(f"    {line}" for line in main.strip().splitlines())
        file = tmp_path / "program.py"
        file.write_text(f'{START}{lines}\nif __name__ == "__main__":\n    main()\n')
        path = str(Path(skce.__file__).parents[1])
        paths = os.pathsep.join([path, *filter(None, [os.environ.get("PYTHONPATH")])])
        found = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(file)],
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "PYTHONPATH": paths},
            cwd=tmp_path,
        )
        assert found.returncode == 0, found.stdout + found.stderr
        assert found.stdout == wanted, found.stderr

    return run


@needs_fork
def test_a_process_that_is_forked_while_a_thread_fits_works_and_has_its_limits(program, request):
    long = request.config.getoption("hypothesis_profile", None) == "long"
    program(f"""
before, wanted = numbers(), fit()
def loop():
    while True:
        SoftmaxClassifier().fit(*small)
        fit()
threading.Thread(target=loop, daemon=True).start()
def right():
    start = numbers()
    return start == before and (fit() == wanted).all() and numbers() == before
for _ in range({500 if long else 8}):
    time.sleep(rng.uniform(0, 0.02))
    status = child(right)
    assert status == 0, status
os._exit(0)
""")


@needs_fork
def test_a_process_that_is_forked_before_in_and_after_a_fit_works(program):
    program("""
before = numbers()
assert child(lambda: fit() is not None and numbers() == before) == 0
wanted = fit()
assert child(lambda: (fit() == wanted).all() and numbers() == before) == 0
with threads:
    list(threads.map(abs, [1, 2]))
    assert threads._pool is not None
    # A child that goes on in the fit has a pool of its own, ...
    def goes_on():
        assert numbers() == [1] * len(before)
        assert (fit() == wanted).all()
        threads.__exit__(None, None, None)
        return numbers() == before and (fit() == wanted).all()
    assert child(goes_on) == 0
    assert numbers() == [1] * len(before)
    # and that of another thread is in no fit.
    found = []
    def in_thread():
        found.append(child(lambda: numbers() == before and (fit() == wanted).all()))
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert found == [0]
    assert (fit() == wanted).all()
assert numbers() == before
""")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_multiprocessing_work_while_a_thread_fits(program, method):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    program(f"""
import multiprocessing
wanted = [fit(C) for C in (0.1, 1.0)]
end = threading.Event()
def loop():
    while not end.is_set():
        fit()
        time.sleep(0.01)
thread = threading.Thread(target=loop)
thread.start()
try:
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        found = pool.map_async(fit_and_count, [0.1, 1.0]).get(timeout=120)
finally:
    end.set()
    thread.join()
for (coef, before, after), coef_wanted in zip(found, wanted):
    assert before == after
    assert (coef == coef_wanted).all()
""")


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_fits_work_in_every_backend_of_joblib(program, backend):
    program(f"""
from joblib import Parallel, delayed
before = numbers()
wanted = [fit(C) for C in (0.1, 1.0, 10.0)]
for _ in range(2):
    found = Parallel(n_jobs=2, backend="{backend}")(
        delayed(fit_and_count)(C) for C in (0.1, 1.0, 10.0)
    )
    assert all(np.allclose(a, b, rtol=1e-10) for (a, _, _), b in zip(found, wanted))
    if "{backend}" != "threading":
        assert all(one == other for _, one, other in found)
    assert numbers() == before
    assert all((fit(C) == coef).all() for C, coef in zip((0.1, 1.0, 10.0), wanted))
""")


def test_fits_that_outlast_the_main_thread_end_as_others_do(program):
    program(
        """
import atexit
wanted = fit()
def check(place):
    assert (fit() == wanted).all()
    print(place, flush=True)
started = threading.Event()
def outlasts():
    started.set()
    while threading.main_thread().is_alive():
        fit()
    check("thread")
threading.Thread(target=outlasts).start()
atexit.register(check, "exit")
started.wait()
""",
        "thread\nexit\n",
    )
