"""The interface of a method: it looks at a point, searches along the step and learns from both.

A method is never changed in place. What it has learnt is in the method that a call returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Self

from numpy.typing import NDArray

from .run import Hessp, Look, Point, Run
from .variables import Whitening


class Pair(NamedTuple):
    """A step and the change of the gradient along it, in the variables of a method.

    Attributes
    ----------
    s, y : ndarray of shape (size,)
        The step, and the change of the gradient.
    product : float
        s'y, which is positive.
    """

    s: NDArray
    y: NDArray
    product: float


class Learnt(NamedTuple):
    """What a method has learnt that is of use to the fit of a similar objective.

    Attributes
    ----------
    variables : Whitening
        The last variables.
    pairs : tuple of Pair
        The last pairs of L-BFGS in these variables, the oldest first.
    """

    variables: Whitening
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Method(ABC):
    """A method that makes the steps of a run."""

    #: Products with the Hessian of the functions, if the method uses any.
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
        """Return an upper bound of the gap by the gradient alone, infinite if none is known.

        If it is above the limit, it may leave out a part that takes time to compute.
        """

    @abstractmethod
    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point. At the point before, the decrement was `before`."""

    @abstractmethod
    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search for a lower point along the step of a look.

        Returns
        -------
        point : Point
            The origin if no point was lower.
        method : Method
            The method after it has learnt from the search.
        """

    def through(self, hessp: Hessp | None) -> Self:
        """Return the method with Hessian products by a function."""
        return self

    def estimate(self, point: Point, run: Run, before: float, *, max_products: int = 0) -> Look:
        """Look at a point as closely as possible, with at most `max_products` Hessian products.

        0 stands for no limit. By default this is the usual look.
        """
        del max_products
        return self.look(point, run, before)

    def search_again(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search along a last step at whose end F was not lower; by default, do not search."""
        return origin, self

    def square(self, point: Point) -> float:
        """Squared norm of the gradient."""
        gradient = self.gradient(point)
        return float(gradient @ gradient)

    def left_out(self, point: Point, limit: float) -> float:
        """Estimate how much F could fall along variables that the last model left out.

        Less than the limit does not matter.
        """
        return 0.0

    @property
    def is_rounded(self) -> bool:
        """Whether looks are less exact than they could be."""
        return False

    @property
    def has_spent_its_work(self) -> bool:
        """Whether models took so much work that more is not worth its cost."""
        return False

    def exact(self) -> Self:
        """Return the method whose looks are as exact as they can be."""
        return self

    @property
    def learnt(self) -> Learnt | None:
        """What is of use to the fit of a similar objective, or None."""
        return None

    def afresh(self) -> Self:
        """Return the method at the beginning of a run."""
        return self

    def at(self, point: Point, run: Run) -> Self:
        """Return the method with its variables chosen for a point."""
        return self

    def made(self, products: float) -> Self:
        """Return the method after a look that took this many Hessian products."""
        return self

    def learn(self, origin: Point, point: Point) -> Self:
        """Return the method after a search."""
        return self

    def adapted(self, point: Point, run: Run, work: float) -> Self:
        """Return the method after an iteration that took `work` passes."""
        return self
