"""scikit-learn's own tests of log_loss and d2_log_loss_score, with skce's functions in their place.

pytest tests/test_metrics_as_scikit_learns.py
"""

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from skce import metrics

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("y_proba was called y_pred before scikit-learn 1.9", allow_module_level=True)

from sklearn.metrics.tests import test_classification as theirs

# One of these tests passes labels out of order, and does not expect the warning.
pytestmark = pytest.mark.filterwarnings("ignore:Labels passed were:UserWarning")

NAMES = ("log_loss", "d2_log_loss_score")
globals().update(
    {
        name: test
        for name, test in vars(theirs).items()
        if name.startswith(tuple(f"test_{metric}" for metric in NAMES))
    }
)


@pytest.fixture(autouse=True)
def in_their_place(monkeypatch):
    for name in NAMES:
        monkeypatch.setattr(theirs, name, getattr(metrics, name))


def test_these_are_their_tests():
    found = [name for name in globals() if name.startswith(("test_log_loss", "test_d2_log_loss"))]
    assert len(found) >= 12
    assert theirs.log_loss is metrics.log_loss
