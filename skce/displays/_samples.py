"""The log-loss of each sample."""

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
#: Font size of the names of rows, in points.
_NAME_SIZE = 8


#: The most points beyond the whiskers of a box that are drawn. An image file stores each of them.
_BEYOND = 2000


class SampleLossDisplay(Display):
    """Distribution of the log-loss of single rows by class, and the rows with the largest loss.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Log-loss of each row, in nats. For multilabel targets the log-loss of each label of each
        row, NaN if the label is missing.
    codes : ndarray of int, shape (n_samples,), default=None
        Position in `classes` of the class of each row. For probability targets it is the most
        probable class. None for multilabel targets.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_worst : int, default=5
        How many of the largest losses to mark with the name of their row.
    index : sequence of shape (n_samples,), default=None
        Names of the rows. If None, rows are named by their numbers.
    scale : {"linear", "log"}, default="linear"
        Scale of the losses. With a good model most losses are close to zero and the boxes are flat.
        A logarithmic scale makes them readable. It draws losses of zero at the smallest loss above
        zero.

    Attributes
    ----------
    worst_ : ndarray of int
        Numbers of the rows with the largest losses, the largest first. The loss of a multilabel row
        is the mean over its known labels.
    ax_ : matplotlib Axes
        Axes with a box per class.
    figure_ : matplotlib Figure
        Figure of the axes.
    boxes_ : dict
        The result of matplotlib's `boxplot`. At most 2000 points beyond the whiskers of each box
        are drawn.
    points_ : matplotlib PathCollection
        The marked rows. A multilabel row is marked at its label with the largest loss.
    texts_ : list of matplotlib Annotation
        The names of the marked rows.

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
            The estimator that predicts. It may be a pipeline.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        loss : {"categorical", "binary"}, default=None
            Whether the classes exclude each other ("categorical"), or a row can have several labels
            ("binary"), as in :func:`~skce.metrics.log_loss`. None stands for "binary" if the
            estimator was fitted to multilabel targets, and for "categorical" otherwise.
        n_worst : int, default=5
            How many of the largest losses to mark.
        index : array-like of shape (n_samples,), default=None
            Names of the rows. If None, the index of `X` or `y` if one of them is a data frame,
            otherwise row numbers.
        scale : {"linear", "log"}, default="linear"
            Scale of the losses. Choose "log" if most of them are close to zero.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
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
            Whether the classes exclude each other ("categorical"), or a row can have several labels
            ("binary"), as in :func:`~skce.metrics.log_loss`.
        n_worst : int, default=5
            How many of the largest losses to mark.
        index : array-like of shape (n_samples,), default=None
            Names of the rows. If None, the index of `y_true` or `y_proba` if one of them is a data
            frame, otherwise row numbers.
        scale : {"linear", "log"}, default="linear"
            Scale of the losses. Choose "log" if most of them are close to zero.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
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
            Axes to draw on. If None, new axes are made.
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
        """Mark the worst rows, and place their names so that none covers another."""
        from matplotlib.patheffects import withStroke

        if self.codes is None:
            codes = np.nan_to_num(losses[self.worst_], nan=-1.0).argmax(axis=1)
            at = codes, losses[self.worst_, codes]
        else:
            at = self.codes[self.worst_], losses[self.worst_]
        self.points_ = ax.scatter(*at, s=18, color="C3", zorder=3)
        if self._own_figure:
            self.figure_.draw_without_rendering()  # sets the layout
        in_points = ax.transData.transform(np.column_stack(at))[:, 1] * 72 / self.figure_.dpi
        below = _apart(at[0], in_points, 1.1 * _NAME_SIZE)
        names = self.worst_ if self.index is None else [self.index[i] for i in self.worst_]
        # The names have an outline, because whiskers and caps may cross them.
        outline = [withStroke(linewidth=2.5, foreground=ax.get_facecolor())]
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
                    path_effects=outline,
                )
            )


def _of_rows(losses: NDArray) -> NDArray:
    """Return the loss of each row. For multilabel targets it is the mean over the known labels."""
    if losses.ndim == 1:
        return losses
    known = ~np.isnan(losses)
    return np.where(known, losses, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _losses_of_labels(y: NDArray, p: NDArray) -> NDArray:
    """Return the loss of each label of each row. It is NaN if the label is NaN."""
    known = ~np.isnan(y)
    losses = np.full(y.shape, np.nan)
    t, q = (np.column_stack([1 - values[known], values[known]]) for values in (y, p))
    losses[known] = log_loss_samples(t, q)
    return losses


def _box_style(ax: Any) -> dict[str, Any]:
    """Return properties that make boxes visible on light and on dark axes."""
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
    """Keep some of the points of a line, including the highest and the lowest."""
    y = np.asarray(line.get_ydata())
    if len(y) > _BEYOND:
        some = np.argsort(y)[np.linspace(0, len(y) - 1, _BEYOND).astype(np.intp)]
        line.set_data(np.asarray(line.get_xdata())[some], y[some])


def _apart(codes: NDArray, heights: NDArray, least: float) -> NDArray:
    """Return how far to move the names of points so that no two cover each other.

    Parameters
    ----------
    codes : ndarray of int, shape (n_points,)
        Column of each point. Only names in the same column can cover each other.
    heights : ndarray of shape (n_points,)
        Height of each point.
    least : float
        Smallest distance between two names.

    Returns
    -------
    ndarray of shape (n_points,)
        Shift of each name, zero or negative: names move down.
    """
    shifts = np.zeros(len(heights))
    lowest: dict[int, float] = {}
    for i in np.argsort(-heights, kind="stable"):
        limit = lowest.get(int(codes[i]), np.inf) - least
        lowest[int(codes[i])] = min(heights[i], limit)
        shifts[i] = lowest[int(codes[i])] - heights[i]
    return shifts
