"""The verbs of a method: it looks at a point, searches along the step, and learns from both.

A method is a value. What it has learnt is in the one that a verb returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from numpy.typing import NDArray

from .run import Hessp, Look, Point, Run
from .variables import Whitening


@dataclass(frozen=True, eq=False, kw_only=True)
class Method(ABC):
    """What makes the steps of a run."""

    #: Products with the Hessian of the functions, if the method takes any.
    hessp: Hessp | None = None

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of variables."""

    @abstractmethod
    def gradient(self, point: Point) -> NDArray:
        """Gradient at a point, or its least subgradient, in the variables of the method."""

    @abstractmethod
    def missed(self, point: Point, limit: float) -> float:
        """Bound of the gap by the gradient alone, infinite if none is known.

        Above the limit it may leave out what takes time to find out.
        """

    @abstractmethod
    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point, after one where the decrement was `before`."""

    @abstractmethod
    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search for a lower point along the step of a look.

        Returns
        -------
        point : Point
            The origin if nothing was lower.
        method : Method
            What has learnt from it.
        """

    def through(self, hessp: Hessp | None) -> Self:
        """Return the method with Hessian products by a function."""
        return self

    def estimate(self, point: Point, run: Run, before: float, *, max_products: int = 0) -> Look:
        """Look at a point as closely as can be, with at most so many Hessian products, 0 for any.

        By default, as always.
        """
        del max_products
        return self.look(point, run, before)

    def search_again(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search along a last step that, in full, gained nothing; by default do not."""
        return origin, self

    def square(self, point: Point) -> float:
        """Squared norm of the gradient."""
        gradient = self.gradient(point)
        return float(gradient @ gradient)

    def left_out(self, point: Point) -> float:
        """Return roughly the gain of variables that the last model left out."""
        return 0.0

    @property
    def is_rounded(self) -> bool:
        """Whether looks are less exact than they could be."""
        return False

    @property
    def has_spent_its_work(self) -> bool:
        """Whether models took so much work that no more is worth it."""
        return False

    def exact(self) -> Self:
        """Return the method whose looks are as exact as they can be."""
        return self

    @property
    def reusable(self) -> Whitening | None:
        """The variables that a similar objective can begin with, if there are any."""
        return None

    def afresh(self) -> Self:
        """Return the method at the beginning of a run."""
        return self

    def at(self, point: Point, run: Run) -> Self:
        """Return the method in the variables for a point."""
        return self

    def made(self, products: float) -> Self:
        """Return the method after a look that took so many Hessian products."""
        return self

    def learn(self, origin: Point, point: Point) -> Self:
        """Return the method after a search."""
        return self

    def adapted(self, point: Point, run: Run, work: float) -> Self:
        """Return the method after an iteration that took so many passes."""
        return self
