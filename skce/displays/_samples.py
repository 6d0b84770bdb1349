"""The losses of all samples of an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics import log_loss_samples
from ..metrics._problem import read
from ._base import (
    Display,
    as_text,
    check_choice,
    check_classes,
    check_count,
    check_finite,
    check_fitted_with,
    check_index,
    foreground,
    name_ticks,
    row_names,
)
from ._outputs import classes_of, is_multilabel, loss_of, outputs_of

_SCALES = ("linear", "log")
#: Size of the font of names of rows, in points.
_NAME_SIZE = 8


#: Points beyond the whiskers that are drawn of a box; the file of a picture holds all of them.
_BEYOND = 2000


class SampleLossDisplay(Display):
    """Distribution of the log-loss of single rows by class, and the rows with the largest.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Log-loss of each row, in nats; for labels that can hold together that of each label, NaN if
        it is not known.
    codes : ndarray of int, shape (n_samples,), default=None
        Position in `classes` of the class of each row, the most probable one for probability
        targets. None for labels that can hold together.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_worst : int, default=5
        How many of the largest losses to mark with the name of their row.
    index : sequence of shape (n_samples,), default=None
        Names of the rows; their numbers if None.
    scale : {"linear", "log"}, default="linear"
        Scale of the losses. For a good model most losses are close to zero, so that the boxes are
        flat; on a logarithmic scale they can be read. Losses of zero are then drawn at the least
        loss above zero.

    Attributes
    ----------
    worst_ : ndarray of int
        Numbers of the rows with the largest losses, the largest first. The loss of a row with
        several labels is the mean over them.
    ax_ : matplotlib Axes
        Axes with a box per class.
    figure_ : matplotlib Figure
        Figure of the axes.
    boxes_ : dict
        What matplotlib's `boxplot` returned. Of the points beyond the whiskers of a box 2000 at
        most are drawn.
    points_ : matplotlib PathCollection
        The marked rows; one with several labels is marked at the label that costs most.
    texts_ : list of matplotlib Annotation
        Their names.

    See Also
    --------
    skce.metrics.log_loss_samples : The losses.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.displays import SampleLossDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = SampleLossDisplay.from_estimator(SoftmaxClassifier().fit(X, y), X, y)
    >>> display.worst_
    array([ 83,  70, 106,  77, 133])
    """

    def __init__(
        self,
        *,
        losses: NDArray,
        codes: NDArray | None = None,
        classes: Any,
        n_worst: int = 5,
        index: Any = None,
        scale: str = "linear",
    ):
        check_count("n_worst", n_worst, 0)
        check_choice("scale", scale, _SCALES)
        self.classes = check_classes(classes)
        if codes is None:
            shape = (None, len(self.classes))
            self.losses = check_finite("losses", losses, shape, missing=True)
            self.codes = None
        else:
            self.losses = check_finite("losses", losses, (None,))
            codes = check_finite("codes", codes, self.losses.shape)
            if ((codes != np.floor(codes)) | (codes < 0) | (codes >= len(self.classes))).any():
                last = len(self.classes) - 1
                raise ValueError(f"codes must be positions in classes, 0 to {last}.")
            self.codes = codes.astype(np.intp)
        self.n_worst = n_worst
        self.index = None if index is None else check_index(index, len(self.losses))
        self.scale = scale
        self.worst_ = np.argsort(-_of_rows(self.losses), kind="stable")[:n_worst]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        loss: str | None = None,
        n_worst: int = 5,
        index: Any = None,
        scale: str = "linear",
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleLossDisplay:
        """Draw the losses of an estimator on some data.

        Parameters
        ----------
        estimator : fitted estimator with `predict_proba`
            What predicts; a pipeline, too.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        loss : {"categorical", "binary"}, default=None
            As in :func:`~skce.metrics.log_loss`: whether the classes exclude each other, or are
            labels that can hold together. None is "binary" if the estimator was fitted to such
            labels.
        n_worst : int, default=5
            How many of the largest losses to mark.
        index : array-like of shape (n_samples,), default=None
            Names of the rows; if None, the index of `X` or `y` if one is a data frame, or numbers.
        scale : {"linear", "log"}, default="linear"
            Scale of the losses; "log" if most of them are close to zero.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        final = check_fitted_with(estimator, "predict_proba")
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            labels=getattr(estimator, "classes_", None),
            loss=loss_of(final) if loss is None else loss,
            n_worst=n_worst,
            index=row_names(X, y) if index is None else index,
            scale=scale,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        loss: str = "categorical",
        n_worst: int = 5,
        index: Any = None,
        scale: str = "linear",
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleLossDisplay:
        """Draw the losses of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
            Predicted probabilities.
        labels : array-like of shape (n_classes,), default=None
            Names of the classes, in the order of the columns.
        loss : {"categorical", "binary"}, default="categorical"
            As in :func:`~skce.metrics.log_loss`: whether the classes exclude each other, or are
            labels that can hold together.
        n_worst : int, default=5
            How many of the largest losses to mark.
        index : array-like of shape (n_samples,), default=None
            Names of the rows; if None, the index of `y_true` or `y_proba` if one is a data frame,
            or numbers.
        scale : {"linear", "log"}, default="linear"
            Scale of the losses; "log" if most of them are close to zero.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        problem = read(y_true, y_proba, None, loss=loss, labels=labels)
        targets, codes = problem.targets, None
        if is_multilabel(problem):
            losses = _losses_of_labels(*outputs_of(problem))
        else:
            losses = problem.rows(targets.loss, problem.shape[:1])
            codes = classes_of(targets)
        display = cls(
            losses=losses,
            codes=codes,
            classes=targets.classes,
            n_worst=n_worst,
            index=row_names(y_true, y_proba) if index is None else index,
            scale=scale,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> SampleLossDisplay:
        """Draw the boxes and mark the worst rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display itself.
        """
        ax = self._on(ax)
        ax.set_yscale(self.scale)
        losses = self.losses
        if self.scale == "log":
            above = losses[losses > 0]
            losses = np.maximum(losses, above.min() if len(above) else 1.0)
        positions = np.arange(len(self.classes))
        self.boxes_ = ax.boxplot(
            [self._of_class(losses, k) for k in range(len(self.classes))],
            positions=positions,
            **{**_box_style(ax), **kwargs},
        )
        for line in self.boxes_["fliers"]:
            _thin_out(line)
        name_ticks(ax, positions, self.classes)
        ax.set(
            xlabel="class" if self.codes is not None else "label",
            ylabel="log-loss (nats)",
        )
        self._mark_worst(ax, losses)
        return self

    def _of_class(self, losses: NDArray, k: int) -> NDArray:
        if self.codes is not None:
            return losses[self.codes == k]
        return losses[~np.isnan(losses[:, k]), k]

    def _mark_worst(self, ax: Any, losses: NDArray) -> None:
        """Mark the worst rows, with names that do not cover each other."""
        if self.codes is None:
            codes = np.nan_to_num(losses[self.worst_], nan=-1.0).argmax(axis=1)
            at = codes, losses[self.worst_, codes]
        else:
            at = self.codes[self.worst_], losses[self.worst_]
        self.points_ = ax.scatter(*at, s=18, color="C3", zorder=3)
        if self._own_figure:
            self.figure_.draw_without_rendering()  # so that the layout is known
        in_points = ax.transData.transform(np.column_stack(at))[:, 1] * 72 / self.figure_.dpi
        below = _apart(at[0], in_points, 1.1 * _NAME_SIZE)
        names = self.worst_ if self.index is None else [self.index[i] for i in self.worst_]
        self.texts_ = []
        for name, k, loss, shift in zip(names, *at, below, strict=True):
            on_left = 2 * k > len(self.classes) - 1
            self.texts_.append(
                ax.annotate(
                    as_text(name),
                    (k, loss),
                    xytext=(-6 if on_left else 6, shift),
                    textcoords="offset points",
                    ha="right" if on_left else "left",
                    va="center",
                    fontsize=_NAME_SIZE,
                )
            )


def _of_rows(losses: NDArray) -> NDArray:
    """Return the loss of each row, the mean over its labels that are known."""
    if losses.ndim == 1:
        return losses
    known = ~np.isnan(losses)
    return np.where(known, losses, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _losses_of_labels(y: NDArray, p: NDArray) -> NDArray:
    """Return the loss of each label of each row, NaN if the label is."""
    known = ~np.isnan(y)
    losses = np.full(y.shape, np.nan)
    t, q = (np.column_stack([1 - values[known], values[known]]) for values in (y, p))
    losses[known] = log_loss_samples(t, q)
    return losses


def _box_style(ax: Any) -> dict[str, Any]:
    """Return properties of boxes that can be seen on light and dark axes."""
    line = {"color": foreground(ax)}
    return {
        "boxprops": line,
        "whiskerprops": line,
        "capprops": line,
        "flierprops": {
            "marker": ".",
            "markersize": 4,
            "markeredgecolor": foreground(ax),
            "alpha": 0.5,
        },
    }


def _thin_out(line: Any) -> None:
    """Leave some of the points of a line, the highest and the lowest among them."""
    y = np.asarray(line.get_ydata())
    if len(y) > _BEYOND:
        some = np.argsort(y)[np.linspace(0, len(y) - 1, _BEYOND).astype(np.intp)]
        line.set_data(np.asarray(line.get_xdata())[some], y[some])


def _apart(codes: NDArray, heights: NDArray, least: float) -> NDArray:
    """Return how far to move names of points, the highest first, so that they are apart.

    Parameters
    ----------
    codes : ndarray of int, shape (n_points,)
        Only names of the same column can cover each other.
    heights : ndarray of shape (n_points,)
    least : float
        Distance of two of them at least.

    Returns
    -------
    ndarray of shape (n_points,)
        Not positive: names move down.
    """
    shifts = np.zeros(len(heights))
    lowest: dict[int, float] = {}
    for i in np.argsort(-heights, kind="stable"):
        limit = lowest.get(int(codes[i]), np.inf) - least
        lowest[int(codes[i])] = min(heights[i], limit)
        shifts[i] = lowest[int(codes[i])] - heights[i]
    return shifts
