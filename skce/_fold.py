"""One fold of a cross-validation: candidates are fitted to its training rows, and scored."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.utils.parallel import Parallel, delayed

from ._callbacks import Task
from ._checks import check_number
from ._choice import Found, Tried
from ._classifier import SoftmaxClassifier
from ._data import Data, as_data, read_as
from ._losses import loss_of
from ._path import Way, fits
from ._problem import kernels
from ._problem.certain import at_limit, certain
from ._problem.objective import Objective
from ._problem.penalty import Penalty
from ._rows import Rows, opened
from ._sklearn import safe_indexing
from ._solver.stop import Report
from ._span import Span
from ._targets.mass import Targets, fold_weights
from ._targets.meaning import RawTargets
from ._threads import threads
from .metrics import LogLossScorer, make_log_loss_scorer

#: `tol` of fits that are only scored, and of fits of a search. The gap after the last Newton step
#: is far smaller.
_SCORED_TOL, _SEARCHED_TOL = 1e-3, 1e-2
#: The logit of a class without mass is below the others by this much. A probability of exp(-50) is
#: below exp(-36), the epsilon to which log-loss clips.
_NEVER = 50.0

#: A function that returns the score of a fit.
Score = Callable[[Objective, Report], float]


class Prepared(NamedTuple):
    """A fold whose rows are read.

    Attributes
    ----------
    model : SoftmaxClassifier
    objective : Objective
        Objective of the training rows.
    targets : Targets
    score : callable
    never, always : ndarray of bool
        Whether each output has no mass, and whether it has all mass, in the training rows.
    data : dict
        X, y and metadata of the training rows, for callbacks. It is empty if there are none.
    """

    model: SoftmaxClassifier
    objective: Objective
    targets: Any
    score: Score
    never: NDArray
    always: NDArray
    data: dict[str, Any]

    @property
    def complete(self) -> bool:
        """Whether every class has mass."""
        return not (self.never.any() or self.always.any())


@dataclass
class Fold:
    """Fits candidates to the training rows of a fold, and scores them on the test rows.

    Attributes
    ----------
    model : SoftmaxClassifier
    X, y, raw, weights
        The data of all rows.
    l1_ratios : ndarray
    scorer : callable, or None for the loss of the logits
    metadata : dict
        Metadata of all rows for the scorer.
    returns : bool
        Whether more values of C may follow, as in a search.
    """

    model: SoftmaxClassifier
    X: Any
    y: Any
    raw: RawTargets
    weights: NDArray | None
    l1_ratios: NDArray
    scorer: Any
    metadata: dict[str, Any]
    returns: bool

    @property
    def is_small(self) -> bool:
        """Whether the training rows of all folds may be in memory at the same time."""
        n_bytes = getattr(self.X, "nbytes", None)
        n_bytes = self.X.data.nbytes if n_bytes is None else n_bytes
        return not isinstance(self.X, Rows) and n_bytes <= self.model._costs.few_bytes

    def __call__(
        self,
        number: int,
        train: Any,
        test: Any,
        Cs: NDArray,
        ways: list[Way] | None,
        task: Task,
        kept: dict[int, Prepared] | None,
    ) -> Found:
        """Fit and score candidates.

        Parameters
        ----------
        number : int
            Number of the fold.
        train, test : ndarray
            Training and test rows of the fold.
        Cs : ndarray of shape (n_Cs,)
            Values of C.
        ways : list of Way, or None
            The fits of earlier rounds, for each l1_ratio.
        task : Task
        kept : dict, or None
            Folds that are prepared. This fold is added if it is not in it.
        """
        prepared = (kept or {}).get(number) or self._prepared(number, train, test, task)
        if kept is not None:
            kept[number] = prepared
        task.data = prepared.data or task.data
        with task:
            return self._fit(prepared, number, Cs, ways, task)

    def _prepared(self, number: int, train: Any, test: Any, task: Task) -> Prepared:
        """Read the rows of a fold."""
        if isinstance(self.X, Rows):  # rows of a file are read in ascending order
            train, test = np.sort(train), np.sort(test)
        X = opened(self.X[train], self.model._costs.part_bytes)
        data = {}
        if task.is_told:
            data = {"X": X, "y": safe_indexing(self.y, train), "metadata": None}
        model = clone(self.model)
        return self._ready(number, model, X, self._targets(model, X, train), test, data)

    def _ready(
        self,
        number: int,
        model: SoftmaxClassifier,
        X: Any,
        targets: Any,
        test: Any,
        data: dict[str, Any],
    ) -> Prepared:
        """Make the objective of the training rows, and the function that scores fits."""
        way_out = "Drop rows without weight, or pass other folds as cv."
        if targets is None:
            raise ValueError(
                f"sample_weight is zero in all training rows of fold {number}. {way_out}"
            )
        costs = model._costs
        model._costs = replace(costs, missing=max(costs.missing, costs.missing_scored))
        objective = model._objective(X, targets)
        never, always = certain(objective)
        complete = not (never.any() or always.any())
        if self.scorer is None and self._weigh_nothing(test):
            raise ValueError(f"sample_weight is zero in all test rows of fold {number}. {way_out}")
        by_loss = self.scorer is None and complete
        score = self._loss(test) if by_loss else self._score(model, targets, test)
        return Prepared(model, objective, targets, score, never, always, data)

    def _targets(self, model: SoftmaxClassifier, X: Any, train: Any) -> Any:
        """Return the targets of the training rows. None if all of them have weight zero."""
        weights = None if self.weights is None else self.weights[train]
        if weights is not None and not weights.any():
            return None
        return model._fold_weights(self.raw.take(train), weights, X)

    def _weigh_nothing(self, test: Any) -> bool:
        """Whether all test rows have weight zero."""
        return self.weights is not None and not self.weights[test].any()

    def _fit(
        self, prepared: Prepared, number: int, Cs: NDArray, ways: list[Way] | None, task: Task
    ) -> Found:
        """Fit candidates to the training rows, and score them on the test rows."""
        model, objective, targets, score, never, always, _ = prepared
        far = _NEVER + 2 * self.raw.largest_offset
        tol = max(float(model.tol), _SEARCHED_TOL if self.returns else _SCORED_TOL)
        if ways is None:
            start, most = model._start(objective, targets), objective.costs.path_fits
            ways = [Way(start, most, all_fits=self.returns) for _ in self.l1_ratios]
        found = Found([], [], [], prepared.complete, ways if self.returns else None)
        for l1_ratio, way in zip(self.l1_ratios.tolist(), ways, strict=True):
            for rows in found[:3]:
                rows.append([])
            label = f"fold {number}  l1_ratio={l1_ratio:g}  "
            reports = fits(model, objective, way, Cs, l1_ratio, tol, label, whole=False)
            for C in Cs:
                with task.subtask(f"l1_ratio={l1_ratio:g}, C={C:g}") as candidate:
                    report = next(reports)
                    if not prepared.complete:
                        theta = report.result.x
                        report.result.x = at_limit(objective, theta, never, always, far=far)
                    x = report.result.x
                    found.scores[-1].append(score(objective, report))
                    candidate.attributes = partial(model._attributes, objective, targets, x)
                parts = objective.layout.unpack(x)
                found.paths[-1].append(np.column_stack(parts if model.fit_intercept else parts[:1]))
                found.n_iters[-1].append(report.result.nit)
        return found

    def _loss(self, test: Any) -> Score:
        """Return a function that returns the negative log-loss of a fit, averaged over labels."""
        fit_intercept = self.model.fit_intercept
        data = self._test_data(test)
        nothing = Penalty(n_columns=data.n_columns, total_weight=data.total_weight, C=np.inf)
        losses = Objective(data, loss_of(self.raw), nothing, fit_intercept=fit_intercept)

        def score(objective: Objective, report: Report) -> float:
            with threads:
                loss, _ = losses.value_gradient(losses.from_user(report.result.x))
            return -loss / outputs

        outputs = self._outputs_of_a_row(data)
        return score

    def _outputs_of_a_row(self, data: Data) -> float:
        """Return the mean number of known outputs of a row, over which its loss is averaged."""
        if self.raw.form != "multilabel":
            return 1
        if not self.raw.has_missing:
            return data.n_outputs
        (known,) = data.sum(kernels.total_mass)
        if not known > 0:
            raise ValueError(
                "No label of y is known in the test rows of a fold. Pass other folds as cv."
            )
        return float(known / data.total_weight)

    def _test_data(self, test: Any) -> Data:
        """Return the test rows, without class weights and smoothing."""
        costs = self.model._costs
        X = opened(self.X[test], costs.part_bytes)
        targets = fold_weights(self.raw, self.weights, None, 0.0, read_as(X, costs)).take(test)
        return as_data(X, targets, centred=self.model.fit_intercept, costs=costs)

    def _test_rows(self, test: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the test rows, their y, and their metadata for the scorer."""
        metadata = {
            name: value if np.ndim(value) == 0 else safe_indexing(value, test)
            for name, value in self.metadata.items()
        }
        X = opened(self.X[test], self.model._costs.part_bytes)
        return X, safe_indexing(self.y, test), metadata

    def _score(self, model: SoftmaxClassifier, targets: Targets, test: Any) -> Score:
        """Return a function that returns the scorer's score of a fit."""
        X, y, metadata = self._test_rows(test)
        multilabel = self.raw.form == "multilabel"
        scorer = self.scorer
        if scorer is None:
            scorer = make_log_loss_scorer(loss="binary" if multilabel else "categorical")
        elif np.ndim(self.y) == 1:
            scorer = knowing(scorer, self.raw.classes)

        def score(objective: Objective, report: Report) -> float:
            model._store(objective, targets, report)
            return check_number(scorer(model, X, y, **metadata), "the score of scoring")

        return score


def tried_on(fold: Fold, folds: list, Cs: NDArray | Span, task: Task, n_jobs: int | None) -> Tried:
    """Fit and score values of C on all folds. The values are given, or come from a search.

    Parameters
    ----------
    fold : Fold
    folds : list of pairs
        Training and test rows of each fold.
    Cs : ndarray of shape (n_Cs,), or Span
        Values of C, or the range to search.
    task : Task
        The task of the fit. Folds are its subtasks.
    n_jobs : int, or None
        Number of processes. Each process fits one fold at a time.

    Returns
    -------
    Tried
    """
    n_jobs = None if n_jobs is None else int(n_jobs)
    tried = Tried(Cs)
    keeps = tried.span is not None and fold.is_small and effective_n_jobs(n_jobs) == 1
    kept: dict[int, Prepared] | None = {} if keeps else None
    with Parallel(n_jobs=n_jobs) as parallel:
        while len(tried.to_come):
            first, n_fits = tried.n_rounds * len(folds), len(tried.to_come) * len(fold.l1_ratios)
            found = parallel(
                delayed(fold)(
                    i,
                    train,
                    test,
                    tried.to_come,
                    tried.ways(i),
                    task.subtask("fold", first + i, n_fits),
                    kept,
                )
                for i, (train, test) in enumerate(folds)
            )
            tried.add(found)
    return tried


def refuse_labels_only(scorer: Any, raw: Any) -> None:
    """Refuse the log-loss of scikit-learn for targets that it refuses or would misread.

    Parameters
    ----------
    scorer : callable, or None
    raw : RawTargets
        The meaning of y. It may be that of targets in parts.
    """
    if getattr(scorer, "_score_func", None) is not sklearn_log_loss:
        return
    hard = getattr(raw, "kind", "codes") == "codes" or np.isin(raw.values, (0, 1)).all()
    if hard and raw.form != "multilabel":
        return
    what = "several labels per row" if hard else "probabilities"
    raise ValueError(
        "scoring='neg_log_loss' is the log-loss of scikit-learn, which is for one label per row, "
        f"but y holds {what}. scoring=None is the log-loss of any y. Other tools can use the same "
        "score as skce.metrics.neg_log_loss_scorer."
    )


def knowing(scorer: Any, classes: NDArray) -> Any:
    """Return a scorer of scikit-learn that passes all classes to a metric with `labels`.

    Test rows may lack some classes. LogisticRegressionCV does the same. A metric that scores one
    class of two gets the second class, if its default `pos_label` is not a class.
    """
    metric = getattr(scorer, "_score_func", None)
    if metric is None or isinstance(scorer, LogLossScorer):
        return scorer
    asked = signature(metric).parameters
    if "labels" not in asked:
        return scorer
    known: dict[str, Any] = {"labels": classes}
    average = {"average": getattr(asked.get("average"), "default", "binary"), **scorer._kwargs}
    one_of_two = "pos_label" in asked and len(classes) == 2 and average["average"] == "binary"
    if one_of_two and asked["pos_label"].default not in classes.tolist():
        known["pos_label"] = classes[-1]
    scorer = copy(scorer)
    scorer._kwargs = {**known, **scorer._kwargs}
    return scorer
