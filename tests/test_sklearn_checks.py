"""scikit-learn's own checks of estimators, and its tools around one."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import (
    check_class_weight_balanced_linear_classifier,
    parametrize_with_checks,
)

from skce import SoftmaxClassifier

#: Nothing is expected to fail, and nothing is skipped by us.
ESTIMATORS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(loss="categorical"),
    SoftmaxClassifier(loss="binary"),
    SoftmaxClassifier(solver="newton-cg"),
    SoftmaxClassifier(solver="lbfgs"),
    SoftmaxClassifier(fit_intercept=False),
    SoftmaxClassifier(C=np.inf),
    SoftmaxClassifier(class_weight="balanced"),
    SoftmaxClassifier(label_smoothing=0.1),
]


# Some checks draw classes that can be separated: with C=np.inf they have no optimum, and the
# estimator says so.
@pytest.mark.filterwarnings("ignore:.*C=inf:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_estimator_checks(estimator, check):
    check(estimator)
