"""The losses of all samples of an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics._problem import read
from ._base import (
    Display,
    check_classes,
    check_count,
    check_finite,
    check_fitted_with,
)


class SampleLossDisplay(Display):
    """Distribution of the log-loss of single rows by class, and the rows with the largest.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,)
        Log-loss of each row, in nats.
    codes : ndarray of int, shape (n_samples,)
        Position in `classes` of the class of each row, the most probable one for probability
        targets.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_worst : int, default=5
        How many of the largest losses to mark with the index of their row.

    Attributes
    ----------
    worst_ : ndarray of int
        Indices of the rows with the largest losses, the largest first.
    ax_ : matplotlib Axes
        Axes with a box per class.
    figure_ : matplotlib Figure
        Figure of the axes.
    boxes_ : dict
        What matplotlib's `boxplot` returned.
    points_ : matplotlib PathCollection
        The marked rows.
    texts_ : list of matplotlib Annotation
        Their indices.

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

    def __init__(self, *, losses: NDArray, codes: NDArray, classes: Any, n_worst: int = 5):
        check_count("n_worst", n_worst, 0)
        self.losses = check_finite("losses", losses, (None,))
        codes = check_finite("codes", codes, self.losses.shape)
        self.classes = check_classes(classes)
        if ((codes != np.floor(codes)) | (codes < 0) | (codes >= len(self.classes))).any():
            raise ValueError(f"codes must be positions in classes, 0 to {len(self.classes) - 1}.")
        self.codes = codes.astype(np.intp)
        self.n_worst = n_worst
        self.worst_ = np.argsort(-self.losses, kind="stable")[:n_worst]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_worst: int = 5,
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleLossDisplay:
        """Draw the losses of an estimator on some data.

        Parameters
        ----------
        estimator : fitted estimator with `predict_proba`
            What predicts.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        n_worst : int, default=5
            How many of the largest losses to mark.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        check_fitted_with(estimator, "predict_proba")
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            labels=getattr(estimator, "classes_", None),
            n_worst=n_worst,
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
        n_worst: int = 5,
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
        n_worst : int, default=5
            How many of the largest losses to mark.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        problem = read(y_true, y_proba, None, loss="categorical", labels=labels)
        display = cls(
            losses=problem.rows(problem.targets.loss, problem.shape[:1]),
            codes=problem.targets.distribution(slice(None)).argmax(axis=1),
            classes=problem.targets.classes,
            n_worst=n_worst,
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
        positions = np.arange(len(self.classes))
        groups = [self.losses[self.codes == k] for k in positions]
        style = {"flierprops": {"marker": ".", "markersize": 4, "markeredgecolor": "0.6"}}
        self.boxes_ = ax.boxplot(groups, positions=positions, **{**style, **kwargs})
        at = self.codes[self.worst_], self.losses[self.worst_]
        self.points_ = ax.scatter(*at, s=18, color="C3", zorder=3)
        self.texts_ = [
            ax.annotate(
                str(index), (k, loss), xytext=(6, 0), textcoords="offset points", va="center"
            )
            for index, k, loss in zip(self.worst_, *at, strict=True)
        ]
        ax.set_xticks(positions, [str(label) for label in self.classes])
        ax.set(xlabel="class", ylabel="log-loss (nats)")
        return self
