"""Newton's method as a `method` of :func:`scipy.optimize.minimize`, for functions of any kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult

from ._checks import LARGEST, VERBOSE, Number, check_numbers
from ._sklearn import validate_params
from ._solver.iterate import State
from ._solver.methods import as_one, descend, vector
from ._solver.newton import AsTheyAre, Newton
from ._solver.run import Log, Run

__all__ = ["newton_cg"]


@validate_params(
    {
        "fun": [callable],
        "jac": [callable, None],
        "hess": [callable, None],
        "hessp": [callable, None],
        "callback": [callable, None],
        "tol": [Number(Real, 0, LARGEST, closed="right")],
        "maxiter": [Number(Integral, 1, None, closed="left")],
        "disp": VERBOSE,
        "least_curvature": [Number(Real, 0, LARGEST, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def newton_cg(
    fun: Callable[..., float],
    x0: ArrayLike,
    args: tuple[Any, ...] = (),
    *,
    jac: Callable[..., NDArray] | None = None,
    hess: Callable[..., Any] | None = None,
    hessp: Callable[..., NDArray] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    tol: float = 1e-9,
    maxiter: int = 1000,
    disp: bool = False,
    least_curvature: float = 0.0,
    **unknown: Any,
) -> OptimizeResult:
    """Newton's method with conjugate gradients, as a `method` of `scipy.optimize.minimize`.

    It minimises smooth, convex functions, and fits :class:`~skce.SoftmaxClassifier`.
    It stops by the gap to the minimum, which the Newton decrement g' H^-1 g / 2 estimates. SciPy's
    own "Newton-CG" stops by the size of a step, which depends on the units.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns the value, or with ``jac=True`` the value and the gradient.
    x0 : array-like of shape (n,)
        Start.
    args : tuple, default=()
        More arguments of all functions.
    jac : callable
        ``jac(x, *args)`` returns the gradient.
    hess : callable, default=None
        ``hess(x, *args)`` returns the Hessian, an array, sparse matrix or `LinearOperator`.
    hessp : callable, default=None
        ``hessp(x, p, *args)`` returns the Hessian times p. Takes precedence over `hess`.
    bounds : None
        There must be none.
    constraints : tuple, default=()
        There must be none.
    callback : callable, default=None
        Is called after each iteration, as SciPy's methods do it: with x or, if its parameter is
        named `intermediate_result`, with an `OptimizeResult`. `StopIteration` ends the run.
    tol : float, default=1e-9
        The gap to reach, relative to the size of the minimum, or absolute if that is below 1.
    maxiter : int, default=1000
        Iterations at most.
    disp : bool, default=False
        Whether to print a line per iteration.
    least_curvature : float, default=0.0
        A lower bound of the eigenvalues of all Hessians, for example the strength of an L2 penalty
        on all x. It bounds the error of conjugate gradients in the gap, so that they can end
        earlier.
    **unknown : dict
        Other options are an error.

    Returns
    -------
    OptimizeResult
        With `x`, `fun`, `jac`, `nit`, `nfev`, `njev`, `nhev`, `gap`, `success`, `status` and
        `message`.

    Raises
    ------
    ValueError
        If there is no gradient or no Hessian, if there are bounds or constraints, if `x0` or what
        the functions return there is not finite, or if an option is out of range.
    TypeError
        If an option is unknown.

    See Also
    --------
    scipy.optimize.minimize : Takes this as its `method`.
    skce.SoftmaxClassifier : Is fitted by this method.

    Notes
    -----
    Sources: Nocedal and Wright, *Numerical Optimization*, 2006, section 7.1; Boyd and Vandenberghe,
    *Convex Optimization*, 2004, section 9.5.1 (the decrement).

    Examples
    --------
    Poisson regression with an L2 penalty:

    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from skce.optimize import newton_cg
    >>> rng = np.random.default_rng(0)
    >>> X, w = rng.normal(size=(200, 3)), np.array([1.0, -0.5, 0.0])
    >>> y = rng.poisson(np.exp(X @ w))
    >>> result = minimize(
    ...     lambda w: float((np.exp(X @ w) - y * (X @ w)).sum() + w @ w / 2), np.zeros(3),
    ...     jac=lambda w: X.T @ (np.exp(X @ w) - y) + w,
    ...     hessp=lambda w, v: X.T @ (np.exp(X @ w) * (X @ v)) + v,
    ...     method=newton_cg, tol=1e-9, options={"least_curvature": 1.0},
    ... )
    >>> result.success, result.x.round(2)
    (True, array([ 0.99, -0.5 ,  0.05]))
    """
    if unknown:
        raise TypeError(f"newton_cg has no option {next(iter(unknown))!r}.")
    if jac is None or (hess is None and hessp is None):
        raise ValueError(
            "newton_cg needs the gradient and the Hessian: pass jac, and hessp or hess."
        )
    if bounds is not None or constraints:
        raise ValueError("newton_cg takes no bounds and no constraints.")
    start = check_numbers(x0, "x0").astype(np.float64)
    if start.ndim != 1 or not len(start) or not np.isfinite(start).all():
        raise ValueError("x0 must be a vector of finite numbers.")

    times_hessian = _products(hess, hessp, args, len(start))
    log = Log(verbose=int(disp))
    run = Run(fun=as_one(fun, jac, args), log=log, tol=float(tol), max_iter=int(maxiter))
    point = run.evaluate(start)
    if not np.isfinite(point.value) or not np.isfinite(point.gradient).all():
        raise ValueError("fun and jac must be finite at x0: start from another point.")
    log.start(point)
    log.on_iteration = None if callback is None else _on_iteration(callback, log)
    variables = AsTheyAre(len(start), float(least_curvature))
    state = State(point, Newton(hessp=times_hessian, variables=variables))
    result = descend(fun, start, args, jac=jac, hessp=times_hessian, run=run, state=state)
    log.print_last()
    del result["state"], result["stop"]
    return result


def _products(
    hess: Callable[..., Any] | None,
    hessp: Callable[..., NDArray] | None,
    args: tuple[Any, ...],
    size: int,
) -> Callable[[NDArray, NDArray], NDArray]:
    """Return what takes x and p, and returns the Hessian at x times p."""

    def times_hessian(x: NDArray, p: NDArray) -> NDArray:
        if hessp is not None:
            return vector(hessp(x, p, *args), size, "hessp")
        return vector(hess(x, *args) @ p, size, "hess")  # type: ignore[misc]

    return times_hessian


def _on_iteration(callback: Callable[..., Any], log: Log) -> Callable[[NDArray], bool]:
    """Return what calls back as SciPy's methods do, and returns whether to stop."""
    takes_result = set(inspect.signature(callback).parameters) == {"intermediate_result"}

    def on_iteration(x: NDArray) -> bool:
        try:
            if takes_result:
                result = OptimizeResult(x=x.copy(), fun=log.values[-1], nit=log.n_iter)
                callback(intermediate_result=result)
            else:
                callback(x.copy())
        except StopIteration:
            return True
        return False

    return on_iteration
