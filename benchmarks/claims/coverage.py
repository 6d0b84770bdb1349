"""How often 95 % intervals contain the truth, in simulated data sets."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from skce import SoftmaxClassifier
from skce.inference import FirthClassifier, coef_summary, profile_summary

#: A function that draws a data set: X, y, and other arguments of `coef_summary`.
Draw = Callable[[np.random.Generator], tuple[Any, Any, dict[str, Any]]]

#: Rows of misspecified models are drawn from these points. The estimated coefficients are then
#: those of a fit to the mean targets of the points.
POINTS = np.random.default_rng(0).normal(size=(400, 2))


def coverage(options: argparse.Namespace) -> str:
    """Count the intervals that contain the coefficients that are estimated."""
    repeats = 100 if options.quick else 2000
    lines = [
        f"Each row draws {repeats} data sets. It gives the percentage of the 95 % intervals that "
        "contain the coefficient that they estimate: mean, least and most over the coefficients. "
        f"One such percentage has a standard error of {100 * np.sqrt(0.95 * 0.05 / repeats):.2f}.",
        "",
        "| data | intervals | mean | least | most |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for name, kinds, draw, truth in settings():
        for kind, hits in count(kinds, draw, truth, repeats).items():
            percent = 100 * hits
            lines.append(
                f"| {name} | {kind} | {percent.mean():.1f} | {percent.min():.1f} | "
                f"{percent.max():.1f} |"
            )
    return "\n".join(lines)


def settings() -> list[tuple[str, list[str], Draw, NDArray]]:
    """Return names, kinds of intervals, functions that draw data, and the true coefficients."""
    beta = np.array([0.8, -0.5, 0.3])
    B = np.array([[0.5, -0.6, 0.2], [-0.4, 0.3, 0.5]])
    soft = SoftmaxClassifier(C=np.inf).fit(POINTS, mean_target(POINTS))
    curved = SoftmaxClassifier(C=np.inf, loss="binary").fit(POINTS, mean_label(POINTS))
    theta = np.column_stack([soft.coef_, soft.intercept_])
    curved_theta = np.column_stack([curved.coef_, curved.intercept_]).ravel()

    def with_one(X: NDArray) -> NDArray:
        return np.column_stack([X, np.ones(len(X))])

    def labels(n: int) -> Draw:
        def draw(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
            X = rng.normal(size=(n, 2))
            return X, (rng.random(n) < expit(with_one(X) @ beta)).astype(int), {}

        return draw

    def classes(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
        X = rng.normal(size=(600, 2))
        z = with_one(X) @ np.vstack([np.zeros(3), B]).T
        return X, (z + rng.gumbel(size=z.shape)).argmax(axis=1), {}

    def shares(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
        X = POINTS[rng.integers(len(POINTS), size=1000)]
        return X, scattered(rng, mean_target(X), X), {}

    def curved_labels(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
        X = POINTS[rng.integers(len(POINTS), size=1000)]
        return X, (rng.random(1000) < mean_label(X)).astype(int), {}

    def grouped(rng: np.random.Generator) -> tuple[Any, Any, dict[str, Any]]:
        groups = np.repeat(np.arange(150), 6)
        X = POINTS[rng.integers(len(POINTS), size=150)][groups]
        u = rng.random(150)[groups]  # three quarters of rows share it with their group
        own = rng.random(900)
        u = np.where(rng.random(900) < 0.75, u, own)
        return X, (u < mean_label(X)).astype(int), {"groups": groups}

    return [
        ("labels of 2 classes, 300 rows", ["model"], labels(300), beta),
        ("labels of 3 classes, 600 rows", ["model"], classes, B.ravel()),
        (
            "probabilities of 3 classes that are not a softmax of X, 1000 rows",
            ["robust", "model"],
            shares,
            (theta[1:] - theta[0]).ravel(),
        ),
        (
            "labels whose log-odds are not linear, 1000 rows",
            ["robust"],
            curved_labels,
            curved_theta,
        ),
        ("the same in 150 groups of 6 equal rows", ["cluster", "robust"], grouped, curved_theta),
        ("labels of 2 classes, 40 rows", ["Firth, profile"], labels(40), beta),
    ]


def mean_target(X: NDArray) -> NDArray:
    """Return probabilities that are not the softmax of a linear map."""
    z = np.column_stack([X[:, 0], X[:, 1] ** 2 / 2, np.sin(3 * X[:, 0]) - X[:, 1]])
    return np.asarray(softmax(z, axis=1))


def scattered(rng: np.random.Generator, mean: NDArray, X: NDArray) -> NDArray:
    """Return random distributions with these means, which scatter more for some rows."""
    drawn = np.eye(mean.shape[1])[(rng.random((len(mean), 1)) > mean.cumsum(axis=1)).sum(axis=1)]
    share = expit(X[:, :1] - 1)
    return np.asarray((1 - share) * mean + share * drawn)


def mean_label(X: NDArray) -> NDArray:
    """Return probabilities of a label whose log-odds are not linear."""
    return np.asarray(expit(0.5 * X[:, 0] - 0.5 * X[:, 0] ** 2 + X[:, 1]))


def count(kinds: list[str], draw: Draw, truth: NDArray, repeats: int) -> dict[str, NDArray]:
    """Return the share of intervals of each kind that contain each coefficient."""
    hits: dict[str, list] = {kind: [] for kind in kinds}
    rng = np.random.default_rng(1)
    for _ in range(repeats):
        X, y, call = draw(rng)
        for kind in kinds:
            if kind.startswith("Firth"):
                table = profile_summary(FirthClassifier(tol=1e-6).fit(X, y), X, y)
            else:
                groups = call if kind == "cluster" else {}
                table = coef_summary(
                    SoftmaxClassifier(C=np.inf).fit(X, y), X, y, cov=kind, **groups
                )
            low, high = (np.asarray(table[end]) for end in ("lower", "upper"))
            hits[kind].append((low < truth) & (truth < high))
    return {kind: np.mean(found, axis=0) for kind, found in hits.items()}
