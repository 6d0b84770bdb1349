"""The search for the best C: which values to try next, and which one to choose.

Scores are means over folds. Greater is better. Scores that are log-losses are smooth in log C. The
search tries values in the range that matters (`_span`), from strong to weak penalties, in steps of
a factor of ten or more, until C is large enough for every column and the score falls. It then goes
beyond the ends of the range, while the score rises there. Then it tries values in between, by
parabolas through the best three (Brent, *Algorithms for minimization without derivatives*, 1973,
chapter 5). A place is a decimal logarithm of C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._span import Span
from ._warnings import warn

#: A gain of this share of the best score is not worth another value of C.
_LITTLE = 5e-3
#: The same above the range that matters, where the penalty should have little effect.
_MUCH = 2e-2
#: The largest number of values of C that are tried first.
_SPREAD = 5
#: Step below the start of the search; step above the range, and the largest distance above it.
_DOWN, _UP, _FARTHEST = 2.0, 2.0, 6.0
#: Steps larger than this are halved, whatever the scores.
_WIDE = 1.05
#: The smallest distance between two values of C.
_NEAR = 0.05
#: A parabola's peak keeps this share of the distance to a neighbour away from the neighbour.
_INSIDE = 0.2
_NONE = np.zeros(0)
#: A peak is sharp if a parabola falls by this share within a quarter of a step.
_SHARP = 1e-2


def further(places: NDArray, scores: NDArray, span: Span) -> NDArray:
    """Return the places to try next.

    Parameters
    ----------
    places : ndarray of shape (n_tried,)
        Decimal logarithms of the values of C that were tried, in ascending order.
    scores : ndarray of shape (n_tried,)
        Their scores. Minus infinity if there is none.
    span : Span
        The range of C that matters.

    Returns
    -------
    ndarray
        More places. It is empty if the search has ended.
    """
    first, begin, every, last = np.log10(span)
    if not len(places):
        end = max(every, begin + 1)
        return np.linspace(begin, end, min(int(np.ceil(end - begin)) + 1, _SPREAD))
    i, n = int(scores.argmax()), len(places)
    if not np.isfinite(scores[i]):
        return _NONE
    if i == n - 1:
        found = _above(places, _gain(scores, i, i - 1), _is_flat(scores[-3:]), every, last)
    elif i == 0:
        found = _below(places, _is_flat(scores[:3]), first, begin)
    else:
        found = _between(places[i - 1 : i + 2], scores[i - 1 : i + 2])
    return np.array(found, dtype=np.float64)


def _gain(scores: NDArray, i: int, j: int) -> float:
    """Return by how much score i is better than score j, as a share of score i."""
    gain, size = scores[i] - scores[j], abs(scores[i])
    return float(gain / size) if size > 0 else float(np.sign(gain))


def _is_flat(scores: NDArray) -> bool:
    """Whether three neighbouring scores are about the same. Two scores may have a peak between."""
    return len(scores) == 3 and _gain(scores, int(scores.argmax()), int(scores.argmin())) <= _LITTLE


def _above(places: NDArray, gain: float, flat: bool, every: float, last: float) -> list[float]:
    """Return places above the largest one, if that is the best."""
    top = places[-1]
    if flat and top >= every + 1:
        return []
    if top < last:
        return [top + 1]
    return [top + _UP] if gain > _MUCH and top < last + _FARTHEST else []


def _below(places: NDArray, flat: bool, first: float, begin: float) -> list[float]:
    """Return places below the smallest one, if that is the best."""
    bottom = places[0]
    if bottom - first < _NEAR or (flat and bottom < begin):
        return []
    return [max(bottom - (1 if bottom >= begin else _DOWN), first)]


def _between(places: NDArray, scores: NDArray) -> list[float]:
    """Return places between the best one and its neighbours."""
    (a, b, c), steps = places, np.diff(places)
    if _is_flat(scores):
        return []
    if (steps > _WIDE).any():
        return [
            place
            for place, step in zip(((a + b) / 2, (b + c) / 2), steps, strict=True)
            if step > _WIDE
        ]
    smooth = np.isfinite(scores).all() and (scores < 0).all()
    values = -np.log(-scores) if smooth else scores / (abs(scores[1]) or 1.0)
    if not np.isfinite(values).all():
        return []
    up, down = np.diff(values) / steps
    bend = (down - up) / (c - a)
    peak = np.clip((a + b) / 2 - up / (2 * bend), a + _INSIDE * steps[0], c - _INSIDE * steps[1])
    rise = (peak - b) * (up + bend * (peak - a))
    if rise > _LITTLE and abs(peak - b) > _NEAR:
        return [float(peak)]
    # If places are far apart, a parabola may miss a sharp peak.
    side = int(values[2] > values[0])
    step = float(steps[side])
    if -bend * (step / 4) ** 2 > _SHARP and step > 4 * _NEAR:
        return [float(places[side] + places[side + 1]) / 2]
    return []


class Found(NamedTuple):
    """Results of a fold for some values of C.

    Attributes
    ----------
    scores, paths, n_iters : list
        Scores, coefficients and iterations, by l1_ratio and C.
    complete : bool
        Whether every class has mass in the training rows.
    ways : list, or None
        The fits of the paths, from which the next values of C start.
    """

    scores: list[list]
    paths: list[list]
    n_iters: list[list]
    complete: bool
    ways: list | None


class Tried:
    """The values of C that were tried, in rounds, and the results of all folds.

    Attributes
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, in ascending order.
    scores, n_iters : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
    paths : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_outputs, n_columns)
    complete : ndarray of bool, shape (n_folds,)
        Whether the training rows of each fold have all classes.
    n_rounds : int
    bottom : float
        A search that tried a C of at most this is at its lower end; 0 if values of C were given.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,), or Span
        Values of C, or the range to search.
    """

    def __init__(self, Cs: NDArray | Span) -> None:
        self.span = Cs if isinstance(Cs, Span) else None
        self.bottom = 0.0 if self.span is None else self.span.first * 10**_NEAR
        #: The values of C to try next. It is empty at the end.
        self.to_come = _powers(further(_NONE, _NONE, Cs)) if isinstance(Cs, Span) else Cs
        self.Cs: NDArray = _NONE
        self.scores: NDArray
        self.paths: NDArray
        self.n_iters: NDArray
        self.n_rounds = 0
        self._ways: list[list | None] = []

    def ways(self, fold: int) -> list | None:
        """Return the fits of the paths of a fold, if they are known."""
        return self._ways[fold] if self._ways else None

    def add(self, found: Sequence[Found]) -> None:
        """Add the results of a round, for the values in `to_come`."""
        new = [np.array([one[part] for one in found]) for part in range(3)]
        if self.n_rounds:
            old = (self.scores, self.paths, self.n_iters)
            new = [np.concatenate(both, axis=2) for both in zip(old, new, strict=True)]
        Cs = np.concatenate([self.Cs, self.to_come])
        order = np.argsort(Cs)
        self.Cs = Cs[order]
        self.scores, self.paths, self.n_iters = (part[:, :, order] for part in new)
        self.complete = np.array([one.complete for one in found])
        self.n_rounds, self._ways = self.n_rounds + 1, [one.ways for one in found]
        self.to_come = _NONE if self.span is None else self._next(self.span)

    def _next(self, span: Span) -> NDArray:
        """Return more values of C to try, by the best l1_ratio for each value."""
        finite = np.isfinite(self.scores).all(axis=0)
        mean = np.where(finite, self.scores, -np.inf).mean(axis=0).max(axis=0)
        return _powers(further(np.log10(self.Cs), mean, span))


def _powers(places: NDArray) -> NDArray:
    return np.asarray(np.power(10.0, places))


def best_of(scores: NDArray) -> tuple[int, int, float]:
    """Return the best candidate, and the standard error of its score.

    Parameters
    ----------
    scores : ndarray of shape (n_folds, n_l1_ratios, n_Cs)

    Returns
    -------
    j, i : int
        Position of the best l1_ratio, and of the best C.
    error : float
        Standard error of the mean over folds. It is 0 for one fold.
    """
    n_folds, mean = len(scores), scores.mean(axis=0)
    j, i = np.unravel_index(int(mean.argmax()), mean.shape)
    error = scores[:, j, i].std(ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0.0
    return int(j), int(i), float(error)


def without_bad(scores: NDArray, Cs: NDArray, l1_ratios: NDArray) -> NDArray:
    """Return scores, with minus infinity for candidates that have no finite score in some fold."""
    bad = ~np.isfinite(scores)
    if not bad.any():
        return scores
    candidates = bad.any(axis=0)
    k, j, i = np.argwhere(bad)[0]
    what = (
        f"scoring gave {scores[k, j, i]:g} on the test rows of fold {k} for "
        f"C={Cs[i]:g}, l1_ratio={l1_ratios[j]:g}"
    )
    if candidates.all():
        raise ValueError(
            f"No C can be chosen: {what}, and no candidate has a finite score in every fold. "
            "Pass another cv, for example stratified folds, in which the score exists, or pass "
            "another scoring."
        )
    warn(
        f"{what}, and {candidates.sum()} of {candidates.size} candidates have such a score in "
        "some fold. They are not chosen.",
        UserWarning,
    )
    return np.where(candidates, -np.inf, scores)


def warn_at_an_edge(Cs: NDArray, scores: NDArray, nothing: bool) -> None:
    """Warn if the best C is the first or the last of the values, unless scores are flat there.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, in ascending order.
    scores : ndarray of shape (n_Cs,)
        Their mean scores.
    nothing : bool
        Whether coefficients are zero, or nearly zero, for the first value.
    """
    i, n = int(scores.argmax()), len(Cs)
    if n < 2 or 0 < i < n - 1 or np.isinf(Cs[i]):
        return
    j = 1 if i == 0 else n - 2
    if not np.isfinite(scores[j]):
        return
    empty = i == 0 and nothing
    # Scores are flat if coefficients are already zero, so compare with the worst score of all.
    worst = int(np.where(np.isfinite(scores), scores, scores[i]).argmin()) if empty else j
    step = 1.0 if empty else min(1.0, float(abs(np.log10(Cs[j] / Cs[i]))))
    if not _gain(scores, i, worst) > _LITTLE * step:
        return
    what = f"The best C, {Cs[i]:.3g}, is the {'largest' if i else 'smallest'} of the {n} in Cs_"
    rises = f"and the mean score still rises there, from {scores[j]:.4g} at C={Cs[j]:.3g} to "
    rises += f"{scores[i]:.4g}."
    if i:
        message = f"{what}, {rises} Pass larger values as Cs. If the features separate the classes "
        message += "there is no best C: predictions become more certain as C grows."
    elif empty:
        message = f"{what}, and its coefficients are nearly zero. On the test rows, the features "
        message += "predict y no better than the shares of the classes do. Smaller values in Cs "
        message += "would change nothing."
    else:
        message = f"{what}, {rises} Pass smaller values as Cs."
    warn(message, UserWarning)
