"""Fits in other units of the columns are the same."""

from __future__ import annotations

import argparse

import numpy as np

from ..problems import draw_labels
from ._common import fit_and_watch


def units(options: argparse.Namespace) -> str:
    """Measure how probabilities without a penalty depend on the units of the columns."""
    worst, warned, repeats = 0.0, 0, 5 if options.quick else 25
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((178, 13)) @ (np.eye(13) + rng.standard_normal((13, 13)) / 4)
        y = draw_labels(rng, X @ rng.standard_normal((13, 3)) / 4)
        X += 3
        factors = 10 ** rng.uniform(-6, 6, 13)
        (one, first), (other, second) = (fit_and_watch(Z, y, C=np.inf) for Z in (X, X * factors))
        difference = np.abs(one.predict_proba(X) - other.predict_proba(X * factors)).max()
        worst, warned = max(worst, float(difference)), warned + first + second
    return (
        f"`SoftmaxClassifier(C=np.inf)` on X (178, 13), 3 overlapping classes, beside X with "
        f"columns times 10^U(-6, 6), {repeats} seeds: probabilities differ by at most "
        f"{worst:.1e} (1e-6 is claimed); {warned} of {2 * repeats} fits warned."
    )
