"""All calls of `scipy.optimize.minimize`: with our methods as its `method`, and with its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize

from .._checks import check_numbers
from .._problem.objective import Objective
from .iterate import State, iterate
from .run import Fun, Hessp, Look, Run, evolve
from .stop import Stop

#: Options with which SciPy's L-BFGS-B does not stop by itself.
_LBFGS = {"maxcor": 20, "maxfun": np.iinfo(np.int32).max, "maxls": 50, "ftol": 0, "gtol": 0}

#: A `method` as `scipy.optimize.minimize` accepts it.
ScipyMethod = Callable[..., OptimizeResult]

#: A function that runs until the gap is small enough, or F no longer falls.
Solver = Callable[[State, Run], tuple[State, Stop]]


def descend(
    fun: Callable[..., float],
    x0: NDArray,
    args: tuple[Any, ...] = (),
    *,
    jac: Callable[..., NDArray],
    hessp: Hessp | None,
    run: Run,
    state: State,
    **unused: Any,
) -> OptimizeResult:
    """Continue from a state with its method. This function is a `method` for SciPy.

    Its options are the run and the state.

    Parameters
    ----------
    fun, x0, args, jac, hessp : object
        As `scipy.optimize.minimize` passes them; `x0` is the point of the state.
    run : Run
    state : State
    **unused : dict
        Other arguments that SciPy passes to every method.

    Returns
    -------
    OptimizeResult
        It also holds the `state` and the `stop`.
    """
    del unused
    run = evolve(run, fun=as_one(fun, jac, args))
    state, stop = iterate(evolve(state, method=state.method.through(hessp)), run)
    log, point = run.log, state.point
    message = f"The estimated gap, {state.look.gap:.1e}, is at most tol={run.tol:g}."
    return OptimizeResult(
        x=point.theta,
        fun=point.value,
        jac=point.gradient,
        nit=log.n_iter,
        nfev=log.nfev,
        njev=log.nfev,
        nhev=log.nhev,
        gap=state.look.gap,
        success=stop is Stop.GAP,
        status=int(stop is not Stop.GAP),
        message=message if stop is Stop.GAP else stop.reason.removesuffix(" of X"),
        state=state,
        stop=stop,
    )


def as_one(
    fun: Callable[..., float], jac: Callable[..., NDArray], args: tuple[Any, ...]
) -> Callable[[NDArray], tuple[float, NDArray]]:
    """Return the function that takes x and returns the value and the gradient."""
    return lambda x: (float(fun(x, *args)), vector(jac(x, *args), len(x), "jac"))


def vector(values: Any, size: int, name: str) -> NDArray:
    """Convert the result of a function to a vector of that size."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (size,):
        raise ValueError(
            f"{name} must return a vector of shape ({size},), as x0 is, but that has shape "
            f"{vector.shape}."
        )
    return vector


class _Both:
    """Two functions, for the value and for the gradient, from one function that returns both.

    They are called in turn. SciPy's own class for this compares each point with the last one,
    number by number, and copies it.
    """

    def __init__(self, fun: Fun):
        self._fun = fun
        self._theta: NDArray | None = None

    def value(self, theta: NDArray) -> float:
        """Return the value."""
        value, self._gradient = self._fun(theta)
        self._theta = theta
        return value

    def gradient(self, theta: NDArray) -> NDArray:
        """Return the gradient."""
        if theta is not self._theta:
            self.value(theta)
        return self._gradient


def by_descent(state: State, run: Run) -> tuple[State, Stop]:
    """Continue with the method of the state, called through SciPy."""
    both = _Both(run.fun)
    found = scipy_minimize(
        both.value,
        state.point.theta,
        jac=both.gradient,
        hessp=state.method.hessp,
        method=descend,
        options={"run": run, "state": state},
    )
    return found.state, found.stop


class _InVariables:
    """The functions of a run, and its log, for SciPy's methods: in whitened variables.

    Parameters
    ----------
    state : State
        Its point is the origin of the variables.
    run : Run
    """

    def __init__(self, state: State, run: Run):
        self.state, self.run = state, run
        self.origin = self.point = self.best = state.point
        #: The method of looks. It may change its variables at each point.
        self.looking: Any = state.method
        self._last_v: NDArray | None = None
        #: Points since the last look, and how many must pass before the next one.
        self._waited = self._wait = 0
        self.raised: list[StopIteration] = []

    @property
    def method(self) -> Any:
        """Newton's method, which estimates the gaps."""
        return self.state.method

    def fun(self, v: NDArray) -> tuple[float, NDArray]:
        """Return F and its gradient, at distance v from the origin."""
        if self._last_v is None or not np.array_equal(v, self._last_v):
            theta = self.origin.theta + self.method.variables.to_user(v)
            self.point = self.run.evaluate(theta)
            self._last_v = v.copy()
        return self.point.value, self.method.gradient(self.point)

    def hessp(self, v: NDArray, direction: NDArray) -> NDArray:
        """Return the Hessian of `fun` at v times a direction, without the shift of all classes."""
        self.fun(v)
        variables = self.method.variables
        moved = self.run.without_shift(variables.to_user(direction))
        curved: NDArray = variables.gradient(self.method.curved(self.point, moved, self.run))
        return curved

    def callback(self, intermediate_result: OptimizeResult) -> None:
        """Record an iteration, and look at the gap if the gradient may be small enough.

        After each look that finds too large a gap, the next one waits longer. So looks stay a
        fraction of the work. The method ends at a point whose value is not a number: the line
        search of SciPy's L-BFGS-B accepts such a point, and is lost from then on.
        """
        run, log = self.run, self.run.log
        self.fun(getattr(intermediate_result, "x", intermediate_result))
        if not np.isfinite(self.point.value):
            raise StopIteration
        if self.point.value == log.values[-1]:
            return
        try:
            log.accept(self.point)
        except StopIteration as error:  # from a user's callback: SciPy would take it as a signal
            self.raised.append(error)
            raise
        self.best = self.point if self.point.value <= self.best.value else self.best
        self.look_if_near()
        if log.verbose:
            log.print()
        if self.state.look.converged or run.is_separable(self.point) or log.stopped:
            raise StopIteration

    def look_if_near(self) -> None:
        """Look at the gap if the gradient may be small enough, and the last look is long ago."""
        rough, limit = self.method.rough_gap(self.point), self.run.limit(self.point)
        self.run.log.gap = self.run.relative(rough, self.point)
        self._waited += rough <= limit
        look = evolve(self.state.look, gap=self.run.log.gap)
        if self._waited > self._wait:
            look = self._looked()
            self._wait, self._waited = min(2 * self._wait + 1, self.run.costs.scipy_wait), 0
        self.state = evolve(self.state, look=look)

    def _looked(self) -> Look:
        """Estimate the gap, in other variables if the last estimate took many products."""
        run = self.run
        self.looking, made = self.looking.at(self.point, run), run.log.nhev
        look: Look = self.looking.estimate(
            self.point,
            run,
            self.state.before,
            truncation=np.inf,
            missing=run.costs.missing_scipy,
        )
        self.looking = self.looking.made(run.log.nhev - made)
        return look


def _some_iterations(
    state: State, run: Run, *, method: str | ScipyMethod, options: dict[str, Any]
) -> State:
    """Make some iterations of a method of `scipy.optimize.minimize`.

    None is made if the gap is small enough at the start of the run. A method that never calls the
    callback counts as one iteration.
    """
    functions, log = _InVariables(state, run), run.log
    if not log.n_iter:
        functions.look_if_near()
        if functions.state.look.converged:
            return functions.state
    iterations = min(run.max_iter - log.n_iter, run.costs.scipy_iterations)
    start = np.zeros(functions.method.variables.size)
    arguments: dict[str, Any] = {
        "jac": True,
        "callback": functions.callback,
        "options": {**options, "maxiter": iterations},
    }
    if callable(method):
        arguments["hessp"] = functions.hessp
    try:
        found = scipy_minimize(functions.fun, start, method=method, **arguments)
        functions.fun(_checked(found, len(start)))
    except StopIteration:  # SciPy's own methods catch it as the end, others may not
        pass
    if functions.raised:
        raise functions.raised[0]
    point, look = functions.point, functions.state.look
    if callable(method) or not np.isfinite(point.value):
        if point.value < functions.best.value:
            functions.best = point
            log.accept(point)
        point = functions.best
        if point is not log.accepted:
            look = evolve(look, converged=False)
    return evolve(state, point=point, look=look)


def _checked(result: Any, size: int) -> NDArray:
    """Return the x that a method found, if it is a valid point."""
    x = check_numbers(getattr(result, "x", ()), "x of what solver returned").astype(np.float64)
    if x.shape != (size,) or not np.isfinite(x).all():
        raise ValueError(
            f"solver must return an OptimizeResult whose x is finite and of shape ({size},), as x0 "
            f"is, but that of {result!r:.60} has shape {x.shape}"
            f"{'' if x.shape != (size,) else ' and is not finite'}."
        )
    return x


def by_scipy(method: str | ScipyMethod, **options: Any) -> Solver:
    """Return the solver that runs a method of SciPy, or a callable like one."""
    return partial(iterate, advance=partial(_some_iterations, method=method, options=options))


#: The function that runs each solver.
SOLVERS: dict[str, Solver] = {
    "auto": by_descent,
    "lbfgs": by_scipy("L-BFGS-B", **_LBFGS),
    "newton-cg": by_descent,
}


def solver_of(solver: str | ScipyMethod, objective: Objective) -> Solver:
    """Return the function that runs the fit of an objective."""
    if callable(solver):
        if objective.nonsmooth is not None:
            raise ValueError(
                "solver is a callable, which minimises smooth functions: with l1_ratio above 0 or "
                'coef_bounds use solver="auto".'
            )
        return by_scipy(solver)
    return SOLVERS[solver] if objective.nonsmooth is None else by_descent
