"""Problems: real data sets as they are, and generated data of a given shape.

`problems` returns them all, with a function that loads X and y, and the value of C. Generators use
fixed seeds. Labels are drawn from a softmax model, so that classes overlap.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import scipy
import scipy.sparse as sp
import sklearn
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

Data = tuple[NDArray | sp.csr_matrix, NDArray]


@dataclass(frozen=True)
class Problem:
    """Data, and the C with which they are fitted.

    Attributes
    ----------
    name : str
    load : callable
        Returns X and y.
    C : float
    kind : {"dense", "sparse"}
    l1_ratio : {0.0, 1.0}
        The penalty: L2 or L1.
    """

    name: str
    load: Callable[[], Data]
    C: float = 1.0
    kind: str = "dense"
    l1_ratio: float = 0.0


def letter(path: str | None = None) -> Data:
    """Letter recognition (20 000, 16), 26 classes, from a CSV file or from OpenML.

    The file has the letter in its first column, as in the UCI repository. A header is skipped.
    """
    if path is None:
        X, y = fetch_openml("letter", version=1, return_X_y=True, as_frame=False)
        return np.ascontiguousarray(X, dtype=np.float64), y
    table = np.genfromtxt(Path(path), delimiter=",", dtype=str)
    if len(table[0, 0]) > 1:
        table = table[1:]
    return np.ascontiguousarray(table[:, 1:].astype(np.float64)), table[:, 0]


def draw_labels(rng: np.random.Generator, logits: NDArray) -> NDArray:
    """Labels drawn from softmax(logits), by the Gumbel maximum, in blocks of rows."""
    y = np.empty(len(logits), dtype=np.int64)
    for start in range(0, len(logits), 4096):
        z = logits[start : start + 4096]
        y[start : start + 4096] = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return y


def raw_table(n: int = 300_000, p: int = 54, n_classes: int = 7, seed: int = 0) -> Data:
    """Correlated columns in units from 1e-3 to 1e3, with offsets of a few standard deviations."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(p) + 0.5 * rng.standard_normal((p, p)) / np.sqrt(p)
    X = rng.standard_normal((n, p)) @ mixing
    W = rng.standard_normal((n_classes, p)) * 2 / np.sqrt(p)
    y = draw_labels(rng, X @ W.T + rng.standard_normal(n_classes))
    X += 3 * rng.standard_normal(p)
    X *= 10 ** rng.uniform(-3, 3, p)
    return X, y


def embeddings(
    n: int = 50_000, p: int = 512, n_classes: int = 10, dtype: str = "float64", seed: int = 0
) -> Data:
    """Rotated Gaussian columns whose standard deviations decay like 1/j from 10 (p = 512)."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    deviations = 10 / np.arange(1, p + 1)
    X = np.empty((n, p), dtype=dtype)
    W = rng.standard_normal((n_classes, p))
    logits = np.empty((n, n_classes), dtype=np.float32)
    for start in range(0, n, 8192):
        Z = rng.standard_normal((min(8192, n - start), p))
        X[start : start + 8192] = (Z * deviations) @ rotation
        logits[start : start + 8192] = (Z / np.arange(1, p + 1) ** 0.5) @ W.T
    return X, draw_labels(rng, logits)


def clusters(
    n: int = 30_000, p: int = 512, n_classes: int = 100, apart: float = 1.0, seed: int = 0
) -> Data:
    """Rows of norm 1 in float32, around class means that are `apart` deviations of the noise apart.

    The columns are rotated. Their standard deviations decay like 1/sqrt(j), as those of embeddings
    do. With 0.3 classes overlap. With 1.5 almost no row is nearer to the mean of another class.
    """
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    deviations = 1 / np.sqrt(np.arange(1, p + 1))
    means = apart * rng.standard_normal((n_classes, p))
    y = rng.integers(n_classes, size=n)
    X = np.empty((n, p), dtype=np.float32)
    for start in range(0, n, 8192):
        some = y[start : start + 8192]
        Z = ((means[some] + rng.standard_normal((len(some), p))) * deviations) @ rotation
        X[start : start + 8192] = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    return X, y


def fourier(load: Callable[[], Data], p: int = 1000, scale: float = 0.35, seed: int = 0) -> Data:
    """Random Fourier features of scaled columns, in float32.

    Source: Rahimi and Recht, *Random features for large-scale kernel machines*, 2007.
    """
    X, y = scaled(load)
    rng = np.random.default_rng(seed)
    angles = X @ (scale * rng.standard_normal((X.shape[1], p))) + rng.uniform(0, 2 * np.pi, p)
    return (np.sqrt(2 / p) * np.cos(angles)).astype(np.float32), y


def scaled(load: Callable[[], Data]) -> Data:
    """Columns of mean 0 and variance 1."""
    X, y = load()
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    return X, y


def text(
    n: int = 20_000, p: int = 50_000, n_classes: int = 20, length: int = 120, seed: int = 0
) -> Data:
    """Tf-idf of documents whose words follow Zipf's law; a third are words of the topic."""
    rng = np.random.default_rng(seed)
    zipf = 1 / np.arange(1, p + 1)
    common = np.cumsum(zipf / zipf.sum())
    topics = []
    for _ in range(n_classes):
        own = zipf * rng.gamma(0.1, 10, p)
        topics.append(np.cumsum(own / own.sum()))
    y = rng.integers(n_classes, size=n)
    lengths = np.maximum(rng.lognormal(np.log(length), 0.6, n).astype(int), 5)
    words = np.empty(lengths.sum(), dtype=np.int32)
    ends = np.cumsum(lengths)
    for i, k in enumerate(y):
        u = rng.random(lengths[i])
        own = rng.random(lengths[i]) < 1 / 3
        drawn = np.where(own, np.searchsorted(topics[k], u), np.searchsorted(common, u))
        words[ends[i] - lengths[i] : ends[i]] = np.minimum(drawn, p - 1)
    rows = np.repeat(np.arange(n), lengths)
    counts = sp.csr_matrix((np.ones(len(words)), (rows, words)), shape=(n, p))
    counts.sum_duplicates()
    noisy = rng.random(n) < 0.1
    y[noisy] = rng.integers(n_classes, size=noisy.sum())
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts), y


def docstrings(n_grams: int = 1, fewest: int = 100) -> Data:
    """Tf-idf of the docstrings of NumPy, SciPy and scikit-learn; a class is a part of a package.

    This is real text, which is harder than that of `text`: documents repeat each other, the sizes
    of classes differ by a factor of a hundred, and most words are rare.

    Parameters
    ----------
    n_grams : int, default=1
        The most words in a term.
    fewest : int, default=100
        The fewest docstrings of a class.
    """
    texts, labels = [], []
    for package in (np, scipy, sklearn):
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            part = ".".join(path.relative_to(root.parent).parts[:2])
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                if documented and len(text := ast.get_docstring(node) or "") > 60:
                    texts.append(text)
                    labels.append(part)
    _, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = np.random.default_rng(0).permutation(np.flatnonzero(counts[y] >= fewest))
    words = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, n_grams))
    X = words.fit_transform([texts[i] for i in kept])
    return X, np.unique(y[kept], return_inverse=True)[1]


def problems(letter_path: str | None = None) -> dict[str, Problem]:
    """Return every problem by name."""
    float32 = {"dtype": "float32"}
    table = [
        Problem("iris", partial(load_iris, return_X_y=True)),
        Problem("wine", partial(load_wine, return_X_y=True)),
        Problem("breast cancer", partial(load_breast_cancer, return_X_y=True)),
        Problem("digits", partial(load_digits, return_X_y=True)),
        Problem("letter", partial(letter, letter_path)),
        Problem("raw table, 7 classes", raw_table),
        Problem("raw table, 2 classes", partial(raw_table, n_classes=2)),
        Problem("embeddings, 10 classes, float64", embeddings),
        Problem("embeddings, 10 classes, float32", partial(embeddings, **float32)),
        Problem("embeddings, 100 classes, float32", partial(embeddings, n_classes=100, **float32)),
        Problem("embeddings, 10 classes, float64, C=100", embeddings, C=100),
        Problem("embeddings, 10 classes, float32, C=100", partial(embeddings, **float32), C=100),
        Problem(
            "embeddings, 100 classes, float32, C=100",
            partial(embeddings, n_classes=100, **float32),
            C=100,
        ),
        *(
            Problem(f"clusters {apart} apart, C={C:g}", partial(clusters, apart=apart), C=C)
            for apart, C in [(0.3, 1), (0.5, 1), (1.0, 1), (1.5, 1), (0.5, 100), (1.0, 100)]
        ),
        Problem(
            "clusters 0.5 apart, 1000 classes",
            partial(clusters, n=100_000, p=256, n_classes=1000, apart=0.5),
        ),
        Problem("letter, Fourier features", partial(fourier, partial(letter, letter_path))),
        Problem("text", text, kind="sparse"),
        Problem("text, C=100", text, C=100, kind="sparse"),
        *(
            Problem(f"{name}, C={C:g}", partial(docstrings, n_grams), C=C, kind="sparse")
            for name, n_grams in [("docstrings", 1), ("docstrings, pairs of words", 2)]
            for C in (1, 100)
        ),
        Problem("letter, L1", partial(letter, letter_path), l1_ratio=1.0),
        Problem("raw table, 7 classes, L1", raw_table, l1_ratio=1.0),
        Problem("scaled embeddings, L1", partial(scaled, embeddings), C=0.01, l1_ratio=1.0),
        Problem("text, L1", text, kind="sparse", l1_ratio=1.0),
        Problem("text, 2 classes, L1", partial(text, n_classes=2), kind="sparse", l1_ratio=1.0),
    ]
    return {problem.name: problem for problem in table}
