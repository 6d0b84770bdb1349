"""The gap of a fit against its iterations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_number
from ._base import (
    Display,
    as_text,
    check_choice,
    check_finite,
    check_fitted_with,
    check_text,
)

#: More marks than these would hide the curve.
_MARKED = 100
_WAY_OUT = " Pass a fitted SoftmaxClassifier, or a SoftmaxClassifierCV with refit=True."


class ConvergenceDisplay(Display):
    """Relative gap of the objective of a fit against iterations or seconds.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Number of iterations, or seconds since the fit began.
    gap : ndarray of shape (n_points,)
        (objective - minimum) / minimum at each point of `x`.
    against : {"iteration", "time"}
        Whether `x` holds iterations or seconds.
    name : str, default=None
        Name of the fit in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib Line2D
        The curve.

    See Also
    --------
    skce.SoftmaxClassifier : Keeps `loss_curve_` and `optimize_result_`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.displays import ConvergenceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = ConvergenceDisplay.from_estimator(SoftmaxClassifier().fit(X, y))
    >>> bool((display.gap[1:] < display.gap[:-1]).all())
    True
    """

    def __init__(self, *, x: NDArray, gap: NDArray, against: str, name: str | None = None):
        check_choice("against", against, ("iteration", "time"))
        self.x = check_finite("x", x, (None,))
        self.gap = check_finite("gap", gap, self.x.shape)
        if name is not None:
            check_text("name", name)
        self.against = against
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        against: str = "iteration",
        minimum: float | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ConvergenceDisplay:
        """Draw the convergence of a fitted :class:`~skce.SoftmaxClassifier`.

        Parameters
        ----------
        estimator : SoftmaxClassifier
            A fitted estimator. It may be the last step of a pipeline, or the best estimator of a
            search.
        against : {"iteration", "time"}, default="iteration"
            Whether to draw the gap against iterations or seconds.
        minimum : float, default=None
            The minimum of the objective, if you know it, for example from a fit with a smaller
            `tol`. If None the smallest objective of this fit stands for it. Its own gap is then
            unknown, and is not drawn.
        name : str, default=None
            Name in the legend. If None it is made of the class and its solver.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        ConvergenceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `minimum` is larger than an objective of the fit by more than rounding, or if it is
            not positive and finite.
        """
        check_choice("against", against, ("iteration", "time"))
        if minimum is not None:
            minimum = check_number(minimum, "minimum")
        estimator = check_fitted_with(estimator, "loss_curve_", _WAY_OUT)
        curve = np.asarray(estimator.loss_curve_)
        seconds = estimator.optimize_result_.seconds
        x = np.arange(1, len(curve) + 1) if against == "iteration" else seconds
        least = curve.min() if minimum is None else float(minimum)
        if not 0 < least < np.inf:
            raise ValueError(
                f"minimum must be positive and finite, because the gap is relative to it, "
                f"got {least:g}."
            )
        gap = (curve - least) / least
        if (gap < -np.sqrt(np.finfo(float).eps)).any():
            raise ValueError(
                f"minimum is {least:.10g}, but the fit reached {curve.min():.10g}, which is less."
            )
        drawn = gap > 0
        if name is None:
            name = f"{type(estimator).__name__}(solver={estimator.solver!r})"
        display = cls(x=x[drawn], gap=gap[drawn], against=against, name=name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> ConvergenceDisplay:
        """Draw the gap on a logarithmic scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        ConvergenceDisplay
            The display itself.
        """
        ax = self._on(ax)
        (self.line_,) = ax.plot(
            self.x,
            self.gap,
            **{
                "marker": "o" if len(self.x) <= _MARKED else None,
                "markersize": 4,
                "label": None if self.name is None else as_text(self.name),
                **kwargs,
            },
        )
        ax.set_yscale("log")
        if self.against == "iteration":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(
            xlabel={"iteration": "iteration", "time": "seconds"}[self.against],
            ylabel="relative gap of the objective",
        )
        self._add_legend(n_points=len(self.x))
        return self
