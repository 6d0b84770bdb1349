"""scikit-learn's own tests of bagging, and of folds that lack a class, with skce's estimators.

pytest tests/test_bagging_as_scikit_learns.py
"""

import importlib
import inspect
import sys
from itertools import product
from unittest.mock import patch

import pytest
import sklearn.linear_model
from sklearn.utils.fixes import parse_version

from skce import SoftmaxClassifier, SoftmaxClassifierCV

# The other tests of bagging do not use these estimators.
OLD = parse_version(sklearn.__version__) < parse_version("1.9")


class LikeLogisticRegressionCV(SoftmaxClassifierCV):
    """SoftmaxClassifierCV that accepts the one argument that only LogisticRegressionCV has."""

    def __init__(
        self, *, use_legacy_attributes=False, scoring=None, Cs=10, l1_ratios=(0.0,), cv=None
    ):
        super().__init__(scoring=scoring, Cs=Cs, l1_ratios=l1_ratios, cv=cv)
        self.use_legacy_attributes = use_legacy_attributes


THEIRS = {"LogisticRegression": SoftmaxClassifier, "LogisticRegressionCV": LikeLogisticRegressionCV}


def imported_with_ours(name):
    """Import a test module with our estimators in place of LogisticRegression."""
    before = sys.modules.pop(name, None)
    try:
        with patch.multiple(sklearn.linear_model, **THEIRS):
            return importlib.import_module(name)
    finally:
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before


#: One test has 60 products of parameters. Every seventh is used, in which all values occur.
STEP = 7


def with_some_products(test):
    """Return the test with some of its products of parameters, in a list for pytest."""
    test.pytestmark = [
        pytest.mark.parametrize(mark.args[0], list(mark.args[1])[::STEP], **mark.kwargs).mark
        if mark.name == "parametrize" and isinstance(mark.args[1], product)
        else mark
        for mark in getattr(test, "pytestmark", [])
    ]
    return test


bagging = imported_with_ours("sklearn.ensemble.tests.test_bagging")
OURS = [
    name
    for name, test in vars(bagging).items()
    if name.startswith("test_") and "LogisticRegression" in inspect.getsource(test)
]
globals().update({name: with_some_products(getattr(bagging, name)) for name in OURS})

MISSING = (
    "test_logistic_cv_folds_with_classes_missing",
    "test_logistic_cv_mock_scorer",
)
if not OLD:
    logistic = imported_with_ours("sklearn.linear_model.tests.test_logistic")
    globals().update({name: getattr(logistic, name) for name in MISSING})


@pytest.fixture
def global_random_seed():
    return 42


def test_these_are_their_tests_with_our_estimators():
    assert len(OURS) >= 5
    assert "test_bagging_small_max_features" in OURS
    assert bagging.LogisticRegression is SoftmaxClassifier
    assert sklearn.linear_model.LogisticRegression is not SoftmaxClassifier
    if not OLD:
        assert logistic.LogisticRegressionCV is LikeLogisticRegressionCV
