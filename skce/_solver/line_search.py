"""The line search of every method."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .run import Look, Point, Run


class Found(NamedTuple):
    """What a line search found.

    Attributes
    ----------
    point : Point
        The origin if nothing was lower.
    gain : float
        How much lower than the origin the point was before it was lengthened.
    length : float
        Of the step then, as a share of the whole; 0 if nothing was lower.
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
    climbs: float = np.inf,
) -> Found:
    """Shorten the step of a look until the point at its end is low enough.

    It must gain a share of what the slope promises. A step that gains nearly all of that is
    lengthened.

    Parameters
    ----------
    run : Run
    origin : Point
    look : Look
    shorter : callable
        Takes a length that was too long, and what was gained there; returns the next.
    accepts : callable
        Takes the point at the end of the whole step, if rounding takes the difference of values;
        returns whether it is good enough.
    climbs : float, default=inf
        A step is shortened if its end climbs by more than this share of the value there.

    Returns
    -------
    Found

    Notes
    -----
    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.1.
    """
    length = 1.0
    for _ in range(run.costs.backtracks):
        target = look.target if length == 1 else None  # in full, so that zeros and bounds are exact
        point = run.evaluate(origin.theta + length * look.step if target is None else target)
        gain = origin.value - point.value
        flat = run.is_flat(gain, point)
        lower = gain > 0 and gain >= -run.costs.enough * length * look.slope
        if lower or (length == 1 and flat and accepts(point)):
            if not flat:
                point = _lengthen(run, origin, point, look, length)
                point = _shorten(run, origin, point, look, length, climbs)
            run.log.accept(point)
            return Found(point, gain, length)
        length = shorter(length, gain)
    return Found(origin)


def _lengthen(run: Run, origin: Point, point: Point, look: Look, length: float) -> Point:
    """Go farther along a step that gained nearly all that its slope promises.

    There is next to no curvature along it, as if logits are so far off that every probability is
    zero or one, or it was cut too short. A whole step of Newton's method gains a half of it.
    """
    factor = 1.0
    while origin.value - point.value >= run.costs.straight * length * -look.slope > 0:
        factor = 2 * factor if length >= 1 else 2
        length *= factor
        farther = run.evaluate(origin.theta + length * look.step)
        if not farther.value < point.value:
            return point
        point = farther
    return point


def _shorten(
    run: Run, origin: Point, point: Point, look: Look, length: float, climbs: float
) -> Point:
    """Go back along a step whose end climbs steeply, as long as that is lower.

    A first step can go so far that all classes are separated, and nothing but the penalty is left:
    the minimum along it is much nearer.
    """
    while length * float(point.gradient @ look.step) > climbs * abs(point.value):
        length /= 4
        nearer = run.evaluate(origin.theta + length * look.step)
        if not nearer.value < point.value:
            return point
        point = nearer
    return point
