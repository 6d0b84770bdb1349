"""Data and helpers that several test files share."""

import os

# Before SciPy is imported: without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

# The same examples in every run; `--hypothesis-profile=long` draws new ones for about an hour.
_always = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "print_blob": True,
}
settings.register_profile("default", max_examples=40, derandomize=True, database=None, **_always)
settings.register_profile(
    "long", max_examples=5000, phases=[Phase.explicit, Phase.reuse, Phase.generate], **_always
)
settings.load_profile("default")


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def problem(rng):
    """A noisy three-class problem: X (60, 4), labels, and probability targets."""
    X = rng.normal(size=(60, 4))
    logits = X @ rng.normal(size=(4, 3)) + rng.gumbel(size=(60, 3))
    y = logits.argmax(axis=1)
    Y = rng.dirichlet(np.ones(3), size=60)
    return X, y, Y
