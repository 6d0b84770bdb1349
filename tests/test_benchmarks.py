"""The reference of the benchmarks finds the optimum, checked by mpmath with 40 digits."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp, mpf

FILE = Path(__file__).parents[1] / "benchmarks" / "reference.py"
if not FILE.exists():
    pytest.skip("there are no benchmarks beside the tests", allow_module_level=True)
spec = importlib.util.spec_from_file_location("benchmarks_reference", FILE)
reference = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = reference
spec.loader.exec_module(reference)


def parts(X, T, C, W, b):
    """F and its gradient in W and b, by the formula, in the type of number of W and b."""
    value = sum((w * w for row in W for w in row), mpf(0)) / 2
    G, g = [list(row) for row in W], [mpf(0)] * len(b)
    for x, t in zip(X, T, strict=True):
        z = [
            sum(w * v for w, v in zip(row, x, strict=True)) + c for row, c in zip(W, b, strict=True)
        ]
        total = sum(mp.exp(v) for v in z)
        value += C * (mp.log(total) - sum(a * v for a, v in zip(t, z, strict=True)))
        for k, v in enumerate(z):
            residual = C * (mp.exp(v) / total - t[k])
            g[k] += residual
            for j, w in enumerate(x):
                G[k][j] += residual * w
    return value, G, g


@pytest.mark.parametrize("kind", ["labels", "probabilities"])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_the_reference_is_the_optimum(C, kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(14, 2)) * [1, 50] + [3, 0]
    y = np.arange(14) % 3 if kind == "labels" else rng.dirichlet(np.ones(3), 14)
    found = reference.minimum(X, y, C)
    T = np.eye(3)[y] if kind == "labels" else y
    with mp.workdps(40):
        rows, targets, c = mp.matrix(X).tolist(), mp.matrix(T).tolist(), mpf(C)

        def at(*theta):
            """F and its gradient. A shift of all classes changes neither: it is kept at zero."""
            W = [list(theta[2 * k : 2 * k + 2]) for k in range(3)]
            value, G, g = parts(rows, targets, c, W, [*theta[6:], mpf(0)])
            return value, [*G[0], *G[1], *G[2], *g[:2]]

        start = [*map(mpf, found.W.ravel()), *map(mpf, found.b[:2] - found.b[2])]
        best = mp.findroot(lambda *theta: at(*theta)[1], start, tol=1e-50)
        value = at(*best)[0]
        gap = (at(*start)[0] - value) / value
        assert 0 <= gap < 1e-15
        assert abs(mpf(found.objective) - value) / value < 1e-14
        assert max(abs(a - b) for a, b in zip(start, best, strict=True)) < 1e-7
