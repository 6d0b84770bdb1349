"""Standard errors, tests and intervals for the coefficients of a fit.

`coef_summary` returns the table that statistics packages print after a logistic regression. Its
standard errors come from the covariance of the model, a robust covariance, or one for groups of
rows. `bootstrap` returns intervals for fits for which these are not valid. `FirthClassifier` fits
few rows and separated classes.
"""

from ._bootstrap import BootstrapResult, bootstrap
from ._effects import average_marginal_effects
from ._firth import FirthClassifier
from ._fit import InferenceWarning
from ._profile import profile_summary
from ._statistics import (
    ChiSquareResult,
    FitStatistics,
    fit_statistics,
    likelihood_ratio_test,
    wald_test,
)
from ._summary import coef_cov, coef_summary

__all__ = [
    "BootstrapResult",
    "ChiSquareResult",
    "FirthClassifier",
    "FitStatistics",
    "InferenceWarning",
    "average_marginal_effects",
    "bootstrap",
    "coef_cov",
    "coef_summary",
    "fit_statistics",
    "likelihood_ratio_test",
    "profile_summary",
    "wald_test",
]
