"""The line search of every method."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .run import Look, Point, Run


class Tried(NamedTuple):
    """A point along a step.

    Attributes
    ----------
    length : float
        Length up to the point, as a share of the whole step.
    point : Point
    """

    length: float
    point: Point


#: A function that takes the run, the origin, the look, a point along its step that is low enough,
#: and, if there is one, a farther point that was not. It returns a point that is as low or lower.
Refine = Callable[[Run, Point, Look, Tried, Tried | None], Point]


class Found(NamedTuple):
    """What a line search found.

    Attributes
    ----------
    point : Point
        The origin if no point was lower.
    gain : float
        How much lower than the origin F was at the first accepted point, before `refine`.
    length : float
        Length of the step to that point, as a share of the whole; 0 if no point was lower.
    """

    point: Point
    gain: float = 0.0
    length: float = 0.0


def line_search(
    run: Run,
    origin: Point,
    look: Look,
    shorter: Callable[[float, float], float],
    accepts: Callable[[Point], bool],
    refine: Refine,
) -> Found:
    """Shorten the step of a look until F at its end is low enough.

    F must fall by a share of what the slope predicts. Then `refine` may look for a lower point. If
    rounding hides whether F falls along a step of L-BFGS, no shorter step is tried.

    Parameters
    ----------
    run : Run
    origin : Point
    look : Look
    shorter : callable
        Takes a length that was too long, and how much lower F was there; returns the next length.
    accepts : callable
        Takes the point at the end of the whole step and returns whether it is good enough. It is
        called if the difference of the values is lost to rounding.
    refine : callable
        Looks for a lower point.

    Returns
    -------
    Found

    Notes
    -----
    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.1.
    """
    length, beyond = 1.0, None
    for _ in range(run.costs.backtracks):
        if length == 1 and look.end is not None:
            point = look.end
        else:
            target = look.target if length == 1 else None  # keeps zeros and bounds exact
            point = run.evaluate(origin.theta + length * look.step if target is None else target)
        gain = origin.value - point.value
        flat = run.is_flat(gain, point)
        lower = gain > 0 and gain >= -run.costs.enough * length * look.slope
        if lower or (length == 1 and flat and accepts(point)):
            if not flat and (look.end is None or length < 1):
                point = refine(run, origin, look, Tried(length, point), beyond)
            run.log.accept(point)
            return Found(point, gain, length)
        if flat and look.own is not None:
            break  # values cannot tell: Newton's method goes on by gradients
        beyond = Tried(length, point)
        length = shorter(length, gain)
    return Found(origin)


def lengthen(
    run: Run, origin: Point, look: Look, found: Tried, beyond: Tried | None = None
) -> Point:
    """Go farther along a step if F fell by almost as much as its slope predicts.

    Then there is almost no curvature along the step, for example because logits are so large that
    every probability is zero or one; or the step was cut too short. Along a whole Newton step the
    quadratic model falls by half of what the slope predicts.
    """
    del beyond
    (length, point), factor = found, 1.0
    while origin.value - point.value >= run.costs.straight * length * -look.slope > 0:
        factor = 2 * factor if length >= 1 else 2
        length *= factor
        farther = run.evaluate(origin.theta + length * look.step)
        if not farther.value < point.value:
            return point
        point = farther
    return point


def level(run: Run, origin: Point, look: Look, found: Tried, beyond: Tried | None) -> Point:
    """Look for the minimum along a step by cubic interpolation, until the slope there is small.

    A Newton step, or the minimum of a model, costs many products. If the quadratic model does not
    hold along the whole step, a few more evaluations along it are worth their cost.

    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.5.
    """
    costs, start, lowest = run.costs, Tried(0.0, origin), found.point
    nearer, farther = start, beyond
    for _ in range(costs.searches):
        slope = run.slope(found.point, look.step)
        if abs(slope) <= costs.level * abs(look.slope):
            break
        if slope < 0:
            nearer = found
        else:
            farther = found
        if farther is None:
            low, high = 2 * found.length, 4 * found.length
            length, usual = _minimum(run, look, start, found), high
        else:
            least = (farther.length - nearer.length) / 10
            low, high = nearer.length + least, farther.length - least
            length, usual = _minimum(run, look, nearer, farther), (low + high) / 2
        length = min(max(length, low), high) if np.isfinite(length) else usual
        found = Tried(length, run.evaluate(origin.theta + length * look.step))
        if found.point.value < lowest.value:
            lowest = found.point
    return lowest


def level_or_lengthen(
    run: Run, origin: Point, look: Look, found: Tried, beyond: Tried | None
) -> Point:
    """Look for the minimum along a step if F climbs at its end. Otherwise try to go farther.

    The minimum of a model with bounds is often exactly at a bound, and the model says nothing about
    what is beyond.
    """
    refine = level if run.slope(found.point, look.step) > 0 else lengthen
    return refine(run, origin, look, found, beyond)


def _minimum(run: Run, look: Look, nearer: Tried, farther: Tried) -> float:
    """Return the minimum of the cubic through values and slopes at two points, or NaN."""
    width = farther.length - nearer.length
    rise = (farther.point.value - nearer.point.value) / width
    before, after = (run.slope(tried.point, look.step) for tried in (nearer, farther))
    middle = before + after - 3 * rise
    square = middle * middle - before * after
    root = float(np.sqrt(square)) if square >= 0 else np.nan
    turn = after - before + 2 * root
    share = 1 - (after + root - middle) / turn if turn else np.nan
    return nearer.length + width * share
