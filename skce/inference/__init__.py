"""Standard errors, tests and intervals for the coefficients of a fit."""

from ._covariance import coef_cov
from ._fit import InferenceWarning
from ._summary import coef_summary
from ._table import Table

__all__ = ["InferenceWarning", "Table", "coef_cov", "coef_summary"]
