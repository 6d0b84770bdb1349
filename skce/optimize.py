"""Newton's method as a `method` of :func:`scipy.optimize.minimize`, for functions of any kind."""

from ._solver.methods import newton_cg

__all__ = ["newton_cg"]
