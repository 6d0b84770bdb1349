"""The loss of one prediction against its probability or logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .._checks import check_number
from ..metrics import (
    log_loss_gradient,
    log_loss_gradient_from_logits,
    log_loss_samples,
    log_loss_samples_from_logits,
)
from ._base import (
    Display,
    check_choice,
    check_count,
    check_finite,
    curve_styles,
    foreground,
)


def _squared_error(y: float, x: NDArray, *, gradient: bool, logits: bool) -> NDArray:
    p = expit(x) if logits else x
    if not gradient:
        return (p - y) ** 2
    return 2 * (p - y) * (p * (1 - p) if logits else 1)


def _log_loss(y: float, x: NDArray, *, gradient: bool, logits: bool) -> NDArray:
    function = {
        (False, False): log_loss_samples,
        (False, True): log_loss_samples_from_logits,
        (True, False): log_loss_gradient,
        (True, True): log_loss_gradient_from_logits,
    }[gradient, logits]
    targets = np.full((len(x), 2), (1 - y, y))
    return function(targets, x)


_CURVES = {"log_loss": _log_loss, "squared_error": _squared_error}
_CURVE_NAMES = {"log_loss": "log-loss", "squared_error": "squared error"}
_LINE_STYLES = ("-", "--", ":", "-.")
#: The range of probabilities, and of logits, that curves cover.
_RANGES = {"proba": (0.001, 0.999), "logit": (-6.0, 6.0)}
#: The gradient with respect to the probability is unbounded. Axes show it up to this size.
_STEEPEST = 10


class LossCurveDisplay(Display):
    """Loss of one prediction for two classes, or the gradient of the loss, against the prediction.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Predicted probabilities of class 1, or logits.
    curves : dict of {(str, float): ndarray of shape (n_points,)}
        Values of each curve. The key holds the loss, "log_loss" or "squared_error", and the target.
    response : {"loss", "gradient"}
        Whether the values are losses or gradients.
    against : {"proba", "logit"}
        Whether `x` holds probabilities or logits. The gradient is with respect to these.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        A line for each curve, in the order of `curves`.

    See Also
    --------
    skce.metrics.log_loss_samples : The loss that is drawn.

    Examples
    --------
    >>> from skce.displays import LossCurveDisplay
    >>> display = LossCurveDisplay.from_targets([0, 1])
    >>> [line.get_label() for line in display.lines_]
    ['log-loss, y = 0', 'log-loss, y = 1']
    """

    def __init__(
        self, *, x: NDArray, curves: dict[tuple[str, float], NDArray], response: str, against: str
    ):
        check_choice("response", response, ("loss", "gradient"))
        check_choice("against", against, tuple(_RANGES))
        self.x = check_finite("x", x, (None,))
        self.curves = _check_curves(curves, len(self.x))
        self.response = response
        self.against = against

    @classmethod
    def from_targets(
        cls,
        targets: Sequence[float] = (0.0, 1.0),
        *,
        losses: Sequence[str] = ("log_loss",),
        response: str = "loss",
        against: str = "proba",
        n_points: int = 301,
        ax: Any = None,
        **kwargs: Any,
    ) -> LossCurveDisplay:
        """Compute and draw the curves of the given targets.

        Parameters
        ----------
        targets : sequence of float, default=(0, 1)
            Target probabilities of class 1; 0.7 is a soft target.
        losses : sequence of {"log_loss", "squared_error"}, default=("log_loss",)
            The losses to draw.
        response : {"loss", "gradient"}, default="loss"
            Whether to draw the loss or its gradient.
        against : {"proba", "logit"}, default="proba"
            Whether to draw against the probability or the logit. The gradient is with respect to
            the same. If a prediction is confident and wrong, the gradient of the squared error with
            respect to the logit vanishes, and that of the log-loss does not.
        n_points : int, default=301
            Number of points of each curve.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a target is not a probability, or `losses`, `response` or `against` has a name that
            is not listed above.
        """
        check_choice("response", response, ("loss", "gradient"))
        check_choice("against", against, tuple(_RANGES))
        check_count("n_points", n_points, 2)
        if not isinstance(losses, (list, tuple)):
            raise ValueError(f"losses must be a list of names, got {losses!r:.100}.")
        for loss in losses:
            check_choice("losses", loss, tuple(_CURVES))
        targets = check_finite("targets", targets, (None,)).tolist()
        bad = [y for y in targets if not 0 <= y <= 1]
        if bad:
            raise ValueError(f"targets must be probabilities in [0, 1], but one is {bad[0]:g}.")
        low, high = _RANGES[against]
        x = np.linspace(low, high, n_points)
        curves = {
            (loss, float(y)): _CURVES[loss](
                y, x, gradient=response == "gradient", logits=against == "logit"
            )
            for loss in losses
            for y in targets
        }
        return cls(x=x, curves=curves, response=response, against=against).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        ax = self._on(ax)
        losses = list(dict.fromkeys(loss for loss, _ in self.curves))
        targets = list(dict.fromkeys(y for _, y in self.curves))
        styles = curve_styles(len(targets))
        self.lines_ = []
        for (loss, y), values in self.curves.items():
            style = {
                "color": styles[targets.index(y)]["color"],
                "linestyle": _LINE_STYLES[losses.index(loss) % len(_LINE_STYLES)],
                "label": f"{_CURVE_NAMES[loss]}, y = {_short(y, targets)}",
            }
            self.lines_ += ax.plot(self.x, values, **{**style, **kwargs})
        name = {"proba": "predicted probability of class 1", "logit": "logit of class 1"}
        response = "loss (nats)" if losses == ["log_loss"] else "loss"
        if self.response == "gradient":
            response = f"gradient in the {'logit' if self.against == 'logit' else 'probability'}"
            ax.axhline(0, color=foreground(ax), alpha=0.4, linewidth=0.8, zorder=0)
        ax.set(xlabel=name[self.against], ylabel=response)
        if self.response == "gradient" and self.against == "proba":
            ax.set_ylim(-_STEEPEST, _STEEPEST)
        place = "upper center" if self.response == "loss" else "upper left"
        self._add_legend(n_points=len(self.x), place=place)
        return self


def _short(y: float, targets: list[float]) -> str:
    """Return a target with the fewest digits, but two or more, that tell it from the others."""
    return next(
        text
        for digits in range(2, 18)
        for text in [f"{y:.{digits}g}"]
        if digits == 17 or sum(f"{other:.{digits}g}" == text for other in targets) == 1
    )


def _check_curves(curves: Any, n_points: int) -> dict[tuple[str, float], NDArray]:
    if not isinstance(curves, dict):
        raise ValueError(f"curves must be a dict, got {curves!r:.100}.")
    for key in curves:
        if not isinstance(key, tuple) or len(key) != 2:
            raise ValueError(f"curves must have keys (loss, target), but one is {key!r:.100}.")
        check_choice("the losses of curves", key[0], tuple(_CURVES))
        check_number(key[1], "the target of a curve")
    return {
        key: check_finite(f"curve {key}", values, (n_points,)) for key, values in curves.items()
    }
