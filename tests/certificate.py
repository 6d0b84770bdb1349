"""A certificate of the gap of a fit, which shares no code with the package.

For rows x_i, offsets o_i, target mass t_i >= 0 with m_i = sum_k t_ik, and

    F(W, b) = C sum_i loss(t_i, W x_i + b + o_i) + sum_kj f_j ((1 - rho) / 2 W_kj^2 + rho |W_kj|)

within bounds of W, `certify` returns three figures, all in long double:

value   F at the candidate, with rows centred exactly. It is exact up to a rounding of 1e-17 of it.
best    the lowest known F: that of a Newton polish, or that of the candidate. It is F at a feasible
        point, so the optimum is not above it: (value - best) / best is a LOWER bound of the true
        relative gap, whatever the polish did. A figure above tol proves a broken promise.
lower   a lower bound of the optimum, by Fenchel's duality: (value - lower) / lower is an UPPER
        bound of the true relative gap. A figure of at most tol proves a kept promise.

The dual point is the matrix of probabilities q at some (W, b). With g_i = m_i q_i - t_i and
v = C sum_i g_i x_i, for any (W, b)

    C loss(t_i, z_i) >= C (g_i . z_i + m_i H(q_i)),   H the entropy,
    F(W, b) >= C sum_i (m_i H(q_i) + g_i . o_i) + sum_kj min over w of (v_kj w + penalty_j(w)).

The minimum over w has a closed form. If w has no bound (intercepts, columns without a penalty, L1
alone), or hardly any, the minimum is taken over |w| <= R, in units of the columns' standard
deviations. R is the largest |w| that a term of the penalty allows at the optimum, or at least 100
times the largest coefficient of the best point. In the second case `lower` is a proof only for
coefficients that are not beyond R. Everything else holds up to the rounding of long double (the
bound is not rounded outwards).

The polish is Newton's method on centred, scaled columns: value, gradient and dual in long double,
the Hessian and its Cholesky factor in float64, so that each step refines the last. With an L1
penalty or bounds a step is the minimum of the quadratic model, by coordinate descent and Newton
steps on the free coefficients. If there are more columns than rows, and F is smooth, steps are
within the span of the rows, by a QR factorisation with rows sorted and columns pivoted, which is
stable row by row (Cox and Higham, *Stability of Householder QR factorization for weighted least
squares*, 1998).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp
from numpy.typing import NDArray

LD = np.longdouble
#: A bound holds for coefficients up to this many times the largest one at its dual point. It is
#: used if this limit is at least a tenth of the limit at the best point.
REGION = 1000.0
#: The most coefficients that a step with an L1 penalty or bounds moves, besides those inside.
MOST_FREE = 1200
#: The largest product of the size of a Hessian in long double and the rows.
MOST_PRECISE = 2e7
#: The most Newton steps of a polish.
STEPS = 100
#: The polish ignores smaller amounts, relative to F: this is ten times the rounding of a long sum.
FLOOR = 1e-17


@dataclass(frozen=True)
class Problem:
    """The problem to minimise, in plain arrays.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n, p)
    T : ndarray of shape (n, K)
        Target mass, with smoothing, class weights and sample weights folded in.
    M : ndarray of shape (n, 1) or (n, K)
        Total mass of each row, or of each row and output for "sigmoid".
    kind : {"softmax", "sigmoid"}
        One softmax over all columns of T, or a sigmoid for each.
    C : float
        Infinite for no penalty.
    l1_ratio : float
    factors : ndarray of shape (p,), or None
    low, high : ndarray of shape (K, p), or None
    fit_intercept : bool
    offset : ndarray of shape (n, K), or None
        Known parts of the logits.
    """

    X: Any
    T: NDArray
    M: NDArray
    kind: str
    C: float = 1.0
    l1_ratio: float = 0.0
    factors: NDArray | None = None
    low: NDArray | None = None
    high: NDArray | None = None
    fit_intercept: bool = True
    offset: NDArray | None = None


@dataclass(frozen=True)
class Certificate:
    """Figures on a candidate; see the docstring of the module.

    Attributes
    ----------
    value, best, lower : longdouble
    W, b : ndarray of longdouble
        The point at which F is `best`.
    outside : float
        Distance of the candidate from its bounds. Its value is that of the nearest point within.
    """

    value: Any
    best: Any
    lower: Any
    W: NDArray
    b: NDArray
    outside: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def gap(self) -> float:
        """Lower bound of the true relative gap."""
        if not np.isfinite(self.value):
            return np.inf
        excess = self.value - self.best
        if not excess > 0:
            return 0.0
        return float(excess / abs(self.best)) if self.best else np.inf

    @property
    def most(self) -> float:
        """Upper bound of the true relative gap."""
        return float((self.value - self.lower) / self.lower) if self.lower > 0 else np.inf

    @property
    def slack(self) -> float:
        """How far `best` may be above the optimum, relative to the optimum."""
        return float((self.best - self.lower) / self.lower) if self.lower > 0 else np.inf


def certify(
    problem: Problem, W: NDArray, b: NDArray, *, accuracy: float = 0.0, limit: float = 10.0
) -> Certificate:
    """Bound the gap of the candidate (W, b).

    Parameters
    ----------
    problem : Problem
    W : ndarray of shape (K, p)
    b : ndarray of shape (K,)
    accuracy : float
        The polish ends once `slack` is at most this.
    limit : float
        The most seconds of the polish.
    """
    with np.errstate(all="ignore"):  # exponentials underflow, and F judges steps
        return _certify(problem, W, b, accuracy, limit)


def _certify(
    problem: Problem, W: NDArray, b: NDArray, accuracy: float, limit: float
) -> Certificate:
    started = time.perf_counter()
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    centred = _Centred(problem)
    parts = (
        [range(problem.T.shape[1])]
        if problem.kind == "softmax"
        else [[k] for k in range(problem.T.shape[1])]
    )
    value = best = lower = LD(0)
    best_W = np.zeros(W.shape, LD)
    best_b = np.zeros(len(b), LD)
    steps, outside = 0, 0.0
    deadline = started + limit
    for part in parts:
        core = _Core(problem, centred, list(part))
        theta, beyond = core.clip(centred.to_scaled(W[part], b[part]))
        outside = max(outside, beyond)
        found = _polish(core, theta, accuracy, deadline)
        value, best, lower = value + found.start, best + found.best, lower + found.lower
        best_W[part], best_b[part] = centred.to_user(found.theta)
        steps += found.steps
    return Certificate(
        value, best, lower, best_W, best_b, outside, steps, time.perf_counter() - started
    )


def objective(problem: Problem, W: NDArray, b: NDArray) -> Any:
    """F at (W, b), in long double."""
    return certify(problem, W, b, limit=-1.0).value


def exactly(problem: Problem, W: NDArray, b: NDArray) -> Any:
    """F at (W, b), to 40 digits: with columns far from zero long double loses digits.

    `Problem.X` is dense, and W and b have any precision. This takes 10 microseconds for each number
    of X and each output.
    """
    with mpmath.workdps(40):

        def exact(values: NDArray) -> list[Any]:
            high = np.asarray(values).astype(np.float64)
            low = (values - high).astype(np.float64)
            return [
                mpmath.mpf(float(h)) + mpmath.mpf(float(e)) for h, e in zip(high, low, strict=True)
            ]

        coefficients = [exact(np.append(w, c)) for w, c in zip(W, b, strict=True)]
        loss = mpmath.mpf(0)
        o = np.zeros(problem.T.shape) if problem.offset is None else problem.offset
        for x, known, T, M in zip(problem.X, o, problem.T, problem.M, strict=True):
            row, t, m = exact(np.append(x, 1)), exact(T), exact(M)
            z = [
                mpmath.fdot(row, w) + own for w, own in zip(coefficients, exact(known), strict=True)
            ]
            top = max(z)
            if problem.kind == "softmax":
                loss += m[0] * (top + mpmath.log(mpmath.fsum(mpmath.exp(a - top) for a in z)))
            else:
                m = m * len(z) if len(m) == 1 else m
                loss += mpmath.fsum(
                    c * mpmath.log(1 + mpmath.exp(a)) for c, a in zip(m, z, strict=True)
                )
            loss -= mpmath.fdot(t, z)
        penalised = np.isfinite(problem.C)
        f = np.ones(np.shape(W)[1]) if problem.factors is None else problem.factors
        rho, penalty = mpmath.mpf(problem.l1_ratio), mpmath.mpf(0)
        for w in coefficients if penalised else []:
            for factor, one in zip(exact(f), w[:-1], strict=True):
                penalty += factor * ((1 - rho) / 2 * one**2 + rho * abs(one))
        return (problem.C if penalised else 1) * loss + penalty


# --------------------------------------------------------------------------- the columns
class _Centred:
    """Columns minus their means, divided by a power of two near their standard deviations.

    X is read as float64. Means and units are float64, so that each entry is exact to long double.
    """

    def __init__(self, problem: Problem):
        X = problem.X.toarray() if sp.issparse(problem.X) else np.asarray(problem.X)
        self.kept = np.asarray(problem.M).max(axis=1) > 0
        X = X[self.kept].astype(np.float64)
        p = X.shape[1]
        self.intercept = problem.fit_intercept
        if self.intercept:
            # Averaging differences from a row makes the mean of a constant column exact.
            self.mean = (X[0] + (X.astype(LD) - X[0]).mean(axis=0)).astype(np.float64)
        else:
            self.mean = np.zeros(p)
        self.X = X.astype(LD) - self.mean
        rms = np.sqrt((self.X**2).mean(axis=0))
        rms[rms == 0] = 1
        self.unit = np.exp2(np.round(np.log2(rms)))
        self.X /= self.unit
        self.XT = np.ascontiguousarray(self.X.T)

    def to_scaled(self, W: NDArray, b: NDArray) -> NDArray:
        """Coefficients of the scaled columns and of a column of ones, shape (K, p + 1)."""
        b = np.array([_exact_sum(row, self.mean, c) for row, c in zip(W, b, strict=True)], LD)
        return np.column_stack([W.astype(LD) * self.unit, b])

    def to_user(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        W = theta[:, :-1] / self.unit
        return W, theta[:, -1] - W @ self.mean.astype(LD)


def _exact_sum(w: NDArray, x: NDArray, c: float) -> Any:
    """c + w . x, correctly rounded to twice float64, by exact products (Dekker, 1971) and sums."""
    w, ew = np.frexp(w)
    x, ex = np.frexp(x)
    scale = np.where(w * x == 0, 0, ew + ex)
    if scale.size and scale.max() > 1000:
        return LD(c) + (np.ldexp(w.astype(LD), ew) * np.ldexp(x.astype(LD), ex)).sum()
    high = w * x
    wa = w * 134217729.0
    wa = wa - (wa - w)
    xa = x * 134217729.0
    xa = xa - (xa - x)
    low = ((wa * xa - high) + wa * (x - xa) + (w - wa) * xa) + (w - wa) * (x - xa)
    terms = [c, *np.ldexp(high, scale).tolist(), *np.ldexp(low, scale).tolist()]
    total = math.fsum(terms)
    return LD(total) + LD(math.fsum([*terms, -total]))


# --------------------------------------------------------------------------- the function
@dataclass
class _Point:
    """F, its dual bound and its derivatives at theta."""

    theta: NDArray
    value: Any
    lower: Any
    gradient: NDArray
    P: NDArray
    v: NDArray
    G: NDArray
    reach: Any


class _Core:
    """F in coefficients theta (K, p + 1) of the scaled columns and a column of ones."""

    def __init__(self, problem: Problem, centred: _Centred, part: list[int]):
        kept = centred.kept
        self.c = centred
        self.softmax = problem.kind == "softmax"
        self.T = np.asarray(problem.T)[kept][:, part].astype(LD)
        M = np.asarray(problem.M)[kept]
        self.M = (M if self.softmax else M[:, part]).astype(LD)
        known = np.zeros(problem.T.shape) if problem.offset is None else problem.offset
        self.offset = known[kept][:, part].astype(LD)
        p = centred.X.shape[1]
        K = len(part)
        penalised = np.isfinite(problem.C)
        self.C = LD(problem.C) if penalised else LD(1)
        f = np.ones(p, LD) if problem.factors is None else np.asarray(problem.factors).astype(LD)
        f = f if penalised else np.zeros(p, LD)
        rho = LD(problem.l1_ratio)
        unit = centred.unit.astype(LD)
        self.ridge = np.append(f * (1 - rho) / unit**2, LD(0))
        self.lasso = np.append(f * rho / unit, LD(0))
        self.low = np.full((K, p + 1), -np.inf, LD)
        self.high = np.full((K, p + 1), np.inf, LD)
        if problem.low is not None:
            self.low[:, :-1] = problem.low[part] * unit
        if problem.high is not None:
            self.high[:, :-1] = problem.high[part] * unit
        if not centred.intercept:
            self.low[:, -1] = self.high[:, -1] = 0
        self.bounded = bool(
            np.isfinite(self.low[:, :-1]).any() | np.isfinite(self.high[:, :-1]).any()
        )
        self.smooth = not self.bounded and not self.lasso.any()
        self.fixed = self.low == self.high

    def clip(self, theta: NDArray) -> tuple[NDArray, float]:
        """Nearest theta within the bounds, and the largest distance, in the user's units."""
        inside = np.clip(theta, self.low, self.high)
        moved = np.abs(inside - theta)[:, :-1] / self.c.unit
        return inside, float(moved.max(initial=0))

    def log_proba(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """Log-probabilities with a small relative error. For a sigmoid these are of 1 and of 0."""
        z = self.c.X @ theta[:, :-1].T + theta[:, -1] + self.offset
        if not self.softmax:
            near = np.log1p(np.exp(-np.abs(z)))
            return -near - np.maximum(-z, 0), -near - np.maximum(z, 0)
        rows = np.arange(len(z))
        top = z.argmax(axis=1)
        d = z - z[rows, top][:, None]
        e = np.exp(d)
        e[rows, top] = 0
        return d - np.log1p(e.sum(axis=1, keepdims=True)), z

    def value(self, theta: NDArray) -> Any:
        logp, log_other = self.log_proba(theta)
        return self._value(theta, logp, log_other)

    def _value(self, theta: NDArray, logp: NDArray, log_other: NDArray) -> Any:
        loss = -_dot(self.T, logp)
        if not self.softmax:
            loss -= _dot(self.M - self.T, log_other)
        return (
            self.C * loss + (self.ridge * theta**2).sum() / 2 + (self.lasso * np.abs(theta)).sum()
        )

    def at(self, theta: NDArray) -> _Point:
        """All that is known at theta."""
        logp, log_other = self.log_proba(theta)
        P = np.exp(logp)
        if self.softmax:
            entropy = -(self.M * _times(P, logp)).sum()
            G = self.M * P - self.T
            # Where nearly all mass is on a class, p - 1 is minus the sum of the others.
            rows, top = np.arange(len(P)), P.argmax(axis=1)
            others = P.copy()
            others[rows, top] = 0
            G[rows, top] = (self.M[:, 0] - self.T[rows, top]) - self.M[:, 0] * others.sum(axis=1)
        else:
            Q = np.exp(log_other)
            entropy = -(self.M * (_times(P, logp) + _times(Q, log_other))).sum()
            G = np.where(P < 0.5, self.M * P - self.T, (self.M - self.T) - self.M * Q)
        v = self.C * np.column_stack([(self.c.XT @ G).T, G.sum(axis=0)])
        value = self._value(theta, logp, log_other)
        lower = self.C * (entropy + (G * self.offset).sum()) + self._least(v, theta, value).sum()
        return _Point(theta, value, lower, v + self.ridge * theta, P, v, G, self.reach(theta))

    @staticmethod
    def reach(theta: NDArray) -> Any:
        """How large a coefficient may be, so that the bound made at theta holds."""
        return LD(REGION) * (1 + np.abs(theta).max())

    def _least(self, v: NDArray, theta: NDArray, value: Any) -> NDArray:
        """Minimum over w of v w + ridge/2 w^2 + lasso |w|, within the bounds and the region."""
        ridge = np.broadcast_to(self.ridge, v.shape)
        lasso = np.broadcast_to(self.lasso, v.shape)
        # At the optimum no term of the penalty is above F at any point.
        R = np.full(v.shape, self.reach(theta))
        np.minimum(R, np.sqrt(2 * value / np.where(ridge > 0, ridge, 1)), out=R, where=ridge > 0)
        np.minimum(R, value / np.where(lasso > 0, lasso, 1), out=R, where=lasso > 0)
        low = np.minimum(np.maximum(self.low, -R), self.high)
        high = np.maximum(np.minimum(self.high, R), self.low)
        pull = np.sign(-v) * np.maximum(np.abs(v) - lasso, 0)
        endless = np.where(pull > 0, LD(np.inf), np.where(pull < 0, LD(-np.inf), LD(0)))
        w = np.clip(np.divide(pull, ridge, out=endless, where=ridge > 0), low, high)
        return v * w + ridge * w**2 / 2 + lasso * np.abs(w)

    def curvature(self, P: NDArray, k: int, j: int, dtype: Any) -> NDArray:
        """Second derivative of the loss of each row by its logits k and j."""
        P = P.astype(dtype)
        C, M = dtype(self.C), self.M.astype(dtype)
        if not self.softmax:
            return C * M[:, 0] * P[:, 0] * (1 - P[:, 0])
        return C * M[:, 0] * P[:, k] * ((1 - P[:, k]) if k == j else -P[:, j])

    def shrunk(self, point: _Point) -> Any:
        """Return the best dual bound on the way from the probabilities at the point to the targets.

        At the targets v is zero, which is always feasible.
        """

        def bound(share: float) -> Any:
            g = share * point.G
            q = np.divide(self.T + g, self.M, out=np.zeros_like(g), where=self.M > 0)
            entropy = -_times(self.M * q, np.log(np.where(q > 0, q, 1))).sum()
            if not self.softmax:
                q = np.divide(self.M - self.T - g, self.M, out=np.zeros_like(g), where=self.M > 0)
                entropy -= _times(self.M * q, np.log(np.where(q > 0, q, 1))).sum()
            least = self._least(share * point.v, point.theta, point.value)
            return self.C * (entropy + (g * self.offset).sum()) + least.sum()

        below, above = 0.0, 1.0  # golden section: the bound is concave
        best = max(bound(0.0), point.lower)
        for _ in range(25):
            one, two = above - 0.618 * (above - below), below + 0.618 * (above - below)
            first, second = bound(one), bound(two)
            best = max(best, first, second)
            below, above = (below, two) if first > second else (one, above)
        return best


def _dot(t: NDArray, logp: NDArray) -> Any:
    return _times(t, logp).sum()


def _times(t: NDArray, logp: NDArray) -> NDArray:
    """t * logp, and zero if t is zero."""
    return np.where(t > 0, t * np.where(t > 0, logp, 0), LD(0))


# --------------------------------------------------------------------------- the polish
@dataclass
class _Found:
    start: Any
    best: Any
    bounds: list[tuple[Any, Any]]  # pairs of bound and reach
    theta: NDArray
    steps: int

    @property
    def lower(self) -> Any:
        """The best of the bounds that reach far enough beyond theta."""
        needed = _Core.reach(self.theta) / 10
        return max((bound for bound, reach in self.bounds if reach >= needed), default=LD(0))

    def is_enough(self, accuracy: float) -> bool:
        """Whether the optimum is known accurately enough."""
        return bool(self.best - self.lower <= max(0.1 * accuracy, 1e-13) * self.best)


def _polish(core: _Core, theta: NDArray, accuracy: float, deadline: float) -> _Found:
    """Newton steps from theta. If these fail, all in long double, or from zero."""
    start = core.value(theta)
    zero, _ = core.clip(np.zeros_like(theta))
    origin = theta if np.isfinite(start) else zero
    found = _newton(core, origin, accuracy, deadline, np.float64)
    for begin, dtype in ((None, LD), (zero, np.float64), (None, LD)):
        if found.is_enough(accuracy) or time.perf_counter() > deadline:
            break
        if dtype is LD and theta.size**2 * len(core.T) > MOST_PRECISE:
            continue
        again = _newton(core, found.theta if begin is None else begin, accuracy, deadline, dtype)
        nearest = min(found, again, key=lambda f: f.best)
        bounds, steps = found.bounds + again.bounds, found.steps + again.steps
        found = _Found(start, nearest.best, bounds, nearest.theta, steps)
    if not found.is_enough(accuracy):
        found.bounds.append((core.shrunk(core.at(found.theta)), core.reach(found.theta)))
    found.start = start
    if start <= found.best:
        found.best, found.theta = start, theta
    return found


def _newton(core: _Core, theta: NDArray, accuracy: float, deadline: float, dtype: Any) -> _Found:
    point = core.at(theta)
    bounds, lower = [(point.lower, point.reach)], point.lower
    basis = _Basis(core, dtype) if core.smooth else None
    decrement = np.inf
    n_steps = 0
    while n_steps < STEPS and time.perf_counter() < deadline:
        if point.value - lower <= max(0.1 * accuracy, FLOOR) * point.value:
            break
        if basis is None:
            step, gain = _model_step(core, point, deadline, dtype)
        else:
            step, gain = basis.step(point)
        if not (np.isfinite(gain) and gain > 0):
            break
        new = _search(core, point, step, gain)
        if new is None:
            break
        n_steps += 1
        flat = not new.value < point.value
        bounds.append((new.lower, new.reach))
        lower = max(lower, new.lower) if new.reach < 2 * point.reach else new.lower
        # If F changes only by rounding, a point with a better dual bound is nearer.
        if flat and not (gain < decrement / 4 and new.lower >= point.lower):
            break
        point, decrement = new, gain
    return _Found(point.value, point.value, bounds, point.theta, n_steps)


def _search(core: _Core, point: _Point, step: NDArray, gain: Any) -> _Point | None:
    """Halve the step until F is low enough. Return None if it never is."""
    length = LD(1)
    for halvings in range(60):
        theta, _ = core.clip(point.theta + length * step)
        new = core.at(theta)
        if not np.isfinite(new.value):
            length /= 16
            continue
        if new.value <= point.value - LD(1e-4) * length * gain:
            return new
        if (
            halvings == 0
            and gain <= 1e-15 * point.value
            and new.value <= point.value * (1 + LD(1e-18) * 64)
        ):
            return new
        length /= 2
    return None


class _Basis:
    """The space of the steps of smooth problems: all columns, or the span of the rows."""

    def __init__(self, core: _Core, dtype: Any):
        self.core, self.dtype = core, dtype
        n, p = core.c.X.shape
        penalised = core.ridge[:-1] > 0
        self.wide = core.smooth and penalised.sum() > n
        self.Z = core.c.X.astype(dtype)
        self.rows: NDArray | None = None
        if self.wide:
            root = np.sqrt(core.ridge[:-1][penalised])
            A = (core.c.X[:, penalised] / root).astype(np.float64)
            order = np.argsort(-np.abs(A).max(axis=0))
            Q = sl.qr(A[:, order].T, mode="economic", pivoting=True)[0]
            rows = np.zeros((Q.shape[1], p))
            at = np.flatnonzero(penalised)[order]
            rows[:, at] = Q.T / root[order].astype(np.float64)
            others = np.eye(p)[~penalised]
            self.rows = np.vstack([rows, others])
            self.Z = self.Z @ self.rows.T.astype(dtype)
            self.penalty = np.append(np.ones(len(rows)), np.zeros(len(others)))
        else:
            self.penalty = core.ridge[:-1].astype(dtype)
        if core.c.intercept:
            self.Z = np.column_stack([self.Z, np.ones(n)])
            self.penalty = np.append(self.penalty, dtype(0))

    def step(self, point: _Point) -> tuple[NDArray, Any]:
        """Newton's step, and half of its slope."""
        core = self.core
        g = point.gradient[:, :-1]
        off = np.zeros_like(g)
        if self.rows is not None:
            # A part outside of the span only costs penalty: its minimum is zero.
            theta = point.theta[:, :-1]
            rows = self.rows.astype(LD)
            weights = theta @ (core.ridge[:-1, None] * rows.T)
            unpenalised = ~(core.ridge[:-1] > 0)
            off = weights @ rows - theta
            off[:, unpenalised] = 0
            g = g + core.ridge[:-1] * off
            g = g @ rows.T
        if core.c.intercept:
            g = np.column_stack([g, point.gradient[:, -1]])
        K, m = g.shape
        H = np.empty((K, m, K, m), self.dtype)
        for k in range(K):
            for j in range(k + 1):
                block = (self.Z * core.curvature(point.P, k, j, self.dtype)[:, None]).T @ self.Z
                H[k, :, j] = block
                H[j, :, k] = block.T
            H[k, np.arange(m), k, np.arange(m)] += self.penalty
        H = H.reshape(K * m, K * m)
        d = _solve(H, -g.ravel()).reshape(K, m)
        if core.softmax:
            unpenalised = self.penalty == 0
            d[:, unpenalised] -= d[:, unpenalised].mean(axis=0)
        step = np.zeros_like(point.theta)
        if core.c.intercept:
            step[:, -1] = d[:, -1]
            d = d[:, :-1]
        step[:, :-1] = off + (d if self.rows is None else d @ self.rows.astype(LD))
        return step, -(point.gradient * step).sum() / 2


def _solve(H: NDArray, g: NDArray) -> NDArray:
    """H^-1 g by a factor of H with a unit diagonal, in the dtype of H, with damping if needed."""
    size = np.sqrt(np.maximum(H.diagonal(), 0))
    size[size == 0] = 1
    H = H / size[:, None] / size
    damping = 4 * np.finfo(H.dtype).eps
    scale = np.abs(g).max(initial=0)
    if scale == 0:
        return np.zeros_like(g)
    diagonal = np.arange(len(H))
    kept = H.diagonal().copy()
    right = (g / scale / size).astype(H.dtype)
    while True:
        H[diagonal, diagonal] = kept + damping
        try:
            if H.dtype == LD:
                return _solve_precisely(H, right) * scale / size
            factor = sl.cho_factor(H, lower=True, check_finite=False)
            return sl.cho_solve(factor, right, check_finite=False) * scale / size
        except np.linalg.LinAlgError:
            damping *= 10


def _solve_precisely(H: NDArray, g: NDArray) -> NDArray:
    """Gaussian elimination of a positive definite matrix, with g as the last column."""
    A = np.column_stack([H, g])
    N = len(H)
    for i in range(N):
        if not A[i, i] > 0:
            raise np.linalg.LinAlgError
        A[i + 1 :, i:] -= np.multiply.outer(A[i + 1 :, i] / A[i, i], A[i, i:])
    x = np.zeros(N, A.dtype)
    for i in range(N - 1, -1, -1):
        x[i] = (A[i, N] - A[i, i + 1 : N] @ x[i + 1 :]) / A[i, i]
    return x


def _model_step(core: _Core, point: _Point, deadline: float, dtype: Any) -> tuple[NDArray, Any]:
    """Go to the minimum of the quadratic model, with its penalty and bounds."""
    theta, g = point.theta, point.gradient
    lasso = np.broadcast_to(core.lasso, theta.shape)
    up = g + np.where(theta >= 0, lasso, -lasso)
    down = g + np.where(theta > 0, lasso, -lasso)
    can_rise = (up < 0) & (theta < core.high)
    can_fall = (down > 0) & (theta > core.low)
    inside = (theta != 0) | (lasso == 0)
    inside &= (theta > core.low) & (theta < core.high)
    free = (can_rise | can_fall | inside) & ~core.fixed
    if free.sum() > MOST_FREE:
        # First coefficients that are not at a corner, then the steepest of the others.
        steepness = np.where(inside, np.inf, np.where(can_rise, -up, down).astype(np.float64))
        free &= steepness >= np.partition(steepness[free], -MOST_FREE)[-MOST_FREE]
    ks, js = np.nonzero(free)
    if not len(ks):
        return np.zeros_like(theta), LD(0)
    Z = np.column_stack([core.c.X, np.ones(len(core.c.X))]).astype(dtype)
    N = len(ks)
    H = np.empty((N, N), dtype)
    own = [np.flatnonzero(ks == k) for k in range(len(theta))]
    for k in range(len(theta)):
        for j in range(k + 1):
            if len(own[k]) and len(own[j]):
                weighted = Z[:, js[own[k]]] * core.curvature(point.P, k, j, dtype)[:, None]
                block = weighted.T @ Z[:, js[own[j]]]
                H[np.ix_(own[k], own[j])] = block
                H[np.ix_(own[j], own[k])] = block.T
    H[np.arange(N), np.arange(N)] += core.ridge[js].astype(dtype)
    at, lam = theta[free], lasso[free]
    d = _quadratic(H, g[free], at, lam, core.low[free], core.high[free], deadline)
    step = np.zeros_like(theta)
    step[free] = d
    if core.softmax:  # a shift of all classes changes nothing else
        loose = (core.ridge == 0) & (core.lasso == 0)
        loose &= (np.isinf(core.low) & np.isinf(core.high)).all(axis=0)
        step[:, loose] -= step[:, loose].mean(axis=0)
        d = step[free]
    slope = (g[free] * d).sum() + (lam * (np.abs(at + d) - np.abs(at))).sum()
    return step, -slope / 2


def _quadratic(
    H: NDArray,
    g: NDArray,
    at: NDArray,
    lam: NDArray,
    low: NDArray,
    high: NDArray,
    deadline: float,
) -> NDArray:
    """Minimise g.d + d.Hd/2 + lam.|at + d| within bounds, by coordinate descent and Newton steps.

    Products are in long double if they decide how much of the gradient is left.
    """
    diagonal = H.diagonal().copy()
    diagonal[diagonal <= 0] = 1e-300
    N = len(g)

    def value(d: NDArray) -> Any:
        return (g * d).sum() + (d * (H @ d)).sum() / 2 + (lam * (np.abs(at + d) - np.abs(at))).sum()

    def sweep(d: NDArray, times: int) -> NDArray:
        w0, l64 = at.astype(np.float64), lam.astype(np.float64)
        lo, hi = low.astype(np.float64), high.astype(np.float64)
        d64 = d.astype(np.float64)
        r = g.astype(np.float64) + H @ d64
        for _ in range(times):
            for i in range(N):
                w = w0[i] + d64[i]
                u = diagonal[i] * w - r[i]
                new = (u - l64[i] if u > l64[i] else u + l64[i] if u < -l64[i] else 0.0) / diagonal[
                    i
                ]
                new = min(max(new, lo[i]), hi[i])
                move = new - w
                if move != 0.0:
                    d64[i] += move
                    r += move * H[i]
        # zeros and bounds exactly
        w = w0 + d64
        return np.where(w == 0, -at, np.where(w <= lo, low - at, np.where(w >= hi, high - at, d64)))

    d = np.zeros(N, LD)
    best = value(d)
    idle = 0
    rest = (H, g, at, lam, low, high)
    turns = int(np.clip(1e9 / N**3, 10, 200))
    for _ in range(40):
        before = best
        for find in (
            lambda d: _face(*rest, d, 8, one_by_one=False),
            lambda d: sweep(d, 2),
            lambda d: _face(*rest, d, turns, one_by_one=True),
        ):
            trial = find(d)
            got = value(trial)
            if got < best:
                d, best = trial, got
        idle = idle + 1 if before - best <= 1e-6 * abs(best) else 0
        if idle > 1 or time.perf_counter() > deadline:
            break
    return d


def _face(
    H: NDArray,
    g: NDArray,
    at: NDArray,
    lam: NDArray,
    low: NDArray,
    high: NDArray,
    d: NDArray,
    turns: int,
    one_by_one: bool,
) -> NDArray:
    """Newton steps on the coefficients that are free at d, without a change of signs.

    A step may lead coefficients past a bound, or past zero, where |w| has its corner. Then all of
    these end there; or, one by one, the step ends at the first of them. The others move again.
    """
    r = g + H @ d
    w = at + d
    pull = np.where(w == 0, np.where(np.abs(r) > lam, -np.sign(r), 0), np.sign(w))
    slope = r + lam * pull
    free = (w != 0) | (np.abs(r) > lam) | (lam == 0)
    free &= ~((w <= low) & (slope >= 0)) & ~((w >= high) & (slope <= 0))
    some = np.flatnonzero(free)
    d = d.copy()
    for _ in range(turns):
        if not len(some):
            break
        step = _solve(H[np.ix_(some, some)], -(g + H @ d + lam * pull)[some])
        here = at[some] + d[some]
        lo = np.where((lam[some] > 0) & (pull[some] > 0), np.maximum(low[some], 0), low[some])
        hi = np.where((lam[some] > 0) & (pull[some] < 0), np.minimum(high[some], 0), high[some])
        target = here + step
        out = (target < lo) | (target > hi)
        if not out.any():
            d[some] = d[some] + step
            break
        end = np.clip(target, lo, hi)
        if one_by_one:
            room = np.divide(end - here, step, out=np.ones_like(step), where=out)
            first = room.min()
            out &= room <= first
            d[some] = np.where(out, end - at[some], d[some] + first * step)
        else:
            d[some] = end - at[some]
        some = some[~out]
    return d
