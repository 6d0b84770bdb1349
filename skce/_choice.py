"""Which values of C to try, one after the other, and which of them to take.

Scores are means over folds, greater being better, and smooth in log C if they are log-losses. The
search goes over what matters (`_span`) from strong to weak penalties, in steps of a factor of ten
or more, until every column has had its say and the score falls; then on beyond the ends while it
rises there; then between, by parabolas through the best three (Brent, *Algorithms for minimization
without derivatives*, 1973, chapter 5). Places are decimal logarithms of C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._span import Span
from ._warnings import warn

#: A share of the best score that is not worth another value of C.
_LITTLE = 5e-3
#: The same for going on where the penalty should matter no more.
_MUCH = 2e-2
#: Values of C over what matters, at most.
_SPREAD = 5
#: How far to go below, at a time, and above the span, at a time and at most.
_DOWN, _UP, _FARTHEST = 2.0, 2.0, 6.0
#: Steps that are looked into whatever the scores there.
_WIDE = 1.05
#: The nearest that two values of C are to each other.
_NEAR = 0.05
#: Of the distance to a neighbour, how near to it no parabola may lead.
_INSIDE = 0.2
_NONE = np.zeros(0)
#: A peak is sharp if a parabola falls by this share within a quarter of a step.
_SHARP = 1e-2


def further(places: NDArray, scores: NDArray, span: Span) -> NDArray:
    """Return where to try next.

    Parameters
    ----------
    places : ndarray of shape (n_tried,)
        Decimal logarithms of the values of C that were tried, ascending.
    scores : ndarray of shape (n_tried,)
        Their scores; minus infinity where there is none.
    span : Span
        The values of C that matter.

    Returns
    -------
    ndarray
        More places; none if the search has ended.
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
    """How much better one is than another, as a share of its size."""
    gain, size = scores[i] - scores[j], abs(scores[i])
    return float(gain / size) if size > 0 else float(np.sign(gain))


def _is_flat(scores: NDArray) -> bool:
    """Whether three scores in a row are about the same. Between two there may be a peak."""
    return len(scores) == 3 and _gain(scores, int(scores.argmax()), int(scores.argmin())) <= _LITTLE


def _above(places: NDArray, gain: float, flat: bool, every: float, last: float) -> list[float]:
    """Where to try above the largest, which is the best."""
    top = places[-1]
    if flat and top >= every + 1:
        return []
    if top < last:
        return [top + 1]
    return [top + _UP] if gain > _MUCH and top < last + _FARTHEST else []


def _below(places: NDArray, flat: bool, first: float, begin: float) -> list[float]:
    """Where to try below the smallest, which is the best."""
    bottom = places[0]
    if bottom - first < _NEAR or (flat and bottom < begin):
        return []
    return [max(bottom - (1 if bottom >= begin else _DOWN), first)]


def _between(places: NDArray, scores: NDArray) -> list[float]:
    """Where to try between the neighbours of the best."""
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
    # A parabola through places far apart may be wrong by more than a sharp peak allows.
    side = int(values[2] > values[0])
    step = float(steps[side])
    if -bend * (step / 4) ** 2 > _SHARP and step > 4 * _NEAR:
        return [float(places[side] + places[side + 1]) / 2]
    return []


class Found(NamedTuple):
    """What a fold found for some values of C.

    Attributes
    ----------
    scores, paths, n_iters : list
        Scores, coefficients and iterations, by l1_ratio and C.
    complete : bool
        Whether no class lacks mass in the training rows.
    ways : list, or None
        Where the paths led, for the values of C to come.
    """

    scores: list[list]
    paths: list[list]
    n_iters: list[list]
    complete: bool
    ways: list | None


class Tried:
    """The values of C that were tried, in rounds, and what all folds found.

    Attributes
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, ascending.
    scores, n_iters : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
    paths : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_outputs, n_columns)
    complete : ndarray of bool, shape (n_folds,)
        Folds whose training rows lack no class.
    n_rounds : int
    bottom : float
        The C at which the search ends below; 0 if values of C were given.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,), or Span
        Values of C, or where to search for them.
    """

    def __init__(self, Cs: NDArray | Span) -> None:
        self.span = Cs if isinstance(Cs, Span) else None
        self.bottom = 0.0 if self.span is None else self.span.first * 10**_NEAR
        #: The values of C to try next; none if all are done.
        self.to_come = _powers(further(_NONE, _NONE, Cs)) if isinstance(Cs, Span) else Cs
        self.Cs: NDArray = _NONE
        self.scores: NDArray
        self.paths: NDArray
        self.n_iters: NDArray
        self.n_rounds = 0
        self._ways: list[list | None] = []

    def ways(self, fold: int) -> list | None:
        """Return where the paths of a fold led, if that is known."""
        return self._ways[fold] if self._ways else None

    def add(self, found: Sequence[Found]) -> None:
        """Take note of a round, of the values of C that were to come."""
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
        """Return more values of C to try, by the best l1_ratio at each."""
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
        Position of its l1_ratio, and of its C.
    error : float
        Standard error of the mean over folds; 0 for one fold.
    """
    n_folds, mean = len(scores), scores.mean(axis=0)
    j, i = np.unravel_index(int(mean.argmax()), mean.shape)
    error = scores[:, j, i].std(ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0.0
    return int(j), int(i), float(error)


def without_bad(scores: NDArray, Cs: NDArray, l1_ratios: NDArray) -> NDArray:
    """Scores, minus infinity in all folds of a candidate that has none in some fold."""
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
            "Pass folds in which the score exists as cv, stratified ones say, or another "
            "scoring."
        )
    warn(
        f"{what}, and {candidates.sum()} of {candidates.size} candidates have such a score in "
        "some fold. They are not chosen.",
        UserWarning,
    )
    return np.where(candidates, -np.inf, scores)


def warn_at_an_edge(Cs: NDArray, scores: NDArray, nothing: bool) -> None:
    """Warn if the best of some values of C is the first or the last, unless scores are flat there.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, ascending.
    scores : ndarray of shape (n_Cs,)
        Their mean scores.
    nothing : bool
        Whether coefficients are zero, or next to nothing, at the first.
    """
    i, n = int(scores.argmax()), len(Cs)
    if n < 2 or 0 < i < n - 1 or np.isinf(Cs[i]):
        return
    j = 1 if i == 0 else n - 2
    if not np.isfinite(scores[j]):
        return
    empty = i == 0 and nothing
    # Where nothing is left to shrink scores are flat: those farther away say what that is worth.
    worst = int(np.where(np.isfinite(scores), scores, scores[i]).argmin()) if empty else j
    step = 1.0 if empty else min(1.0, float(abs(np.log10(Cs[j] / Cs[i]))))
    if not _gain(scores, i, worst) > _LITTLE * step:
        return
    what = f"The best C, {Cs[i]:.3g}, is the {'largest' if i else 'smallest'} of the {n} in Cs_"
    rises = f"and the mean score still rises there, from {scores[j]:.4g} at C={Cs[j]:.3g} to "
    rises += f"{scores[i]:.4g}."
    if i:
        message = f"{what}, {rises} Pass larger values as Cs. If the features separate the classes "
        message += "there is no best C: the larger it is, the surer are the predictions."
    elif empty:
        message = f"{what}, where coefficients are next to zero: on the rows left out the features "
        message += "predict y no better than the shares of the classes do. Smaller values in Cs "
        message += "would change nothing."
    else:
        message = f"{what}, {rises} Pass smaller values as Cs."
    warn(message, UserWarning)
