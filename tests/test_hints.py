"""skce._hints: parameters of other libraries."""

import inspect
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skce import SoftmaxClassifier, SoftmaxClassifierCV
from skce._hints import _HINTS

OURS = [SoftmaxClassifier, SoftmaxClassifierCV]


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("name", _HINTS)
def test_parameters_of_others_are_refused_with_a_hint(cls, name):
    if name in cls().get_params():
        cls(**{name: None})
        return
    words = rf"{cls.__name__}.__init__\(\) got an unexpected keyword argument '{name}'\. \w+"
    for value in (None, 1, [], {}, "x"):
        with pytest.raises(TypeError, match=words):
            cls(**{name: value})


@pytest.mark.parametrize(
    ("cls", "given", "words"),
    [
        (SoftmaxClassifier, {"penalty": "l1"}, "Type l1_ratio=1.0."),
        (SoftmaxClassifier, {"penalty": "l2"}, "type l1_ratio=0.0"),
        (SoftmaxClassifier, {"penalty": "elasticnet"}, "l1_ratio between 0 and 1"),
        (SoftmaxClassifier, {"penalty": None}, "Type C=np.inf."),
        (SoftmaxClassifier, {"random_state": 0}, "Leave it out"),
        (SoftmaxClassifier, {"n_jobs": -1}, "threads that BLAS may use"),
        (SoftmaxClassifier, {"multi_class": "multinomial"}, "Type loss='categorical'"),
        (SoftmaxClassifier, {"multi_class": "ovr"}, "Type loss='binary'."),
        (SoftmaxClassifier, {"Cs": 10}, "Use SoftmaxClassifierCV"),
        (SoftmaxClassifierCV, {"C": 1.0}, "Type Cs=[...]"),
        (SoftmaxClassifierCV, {"l1_ratio": 0.5}, "Type l1_ratios=[...]"),
    ],
)
def test_hints_say_what_to_type(cls, given, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        cls(**given)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"l1_ratio": 1.0, "solver": "saga"}, {"l1_ratio": 1.0}),
        ({"C": np.inf, "solver": "newton-cholesky"}, {"C": np.inf}),
        ({}, {"loss": "categorical"}),
    ],
)
def test_what_hints_say_is_the_same_model(theirs, ours):
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0) + np.random.default_rng(0).normal(size=X.shape)
    if LogisticRegression().get_params().get("penalty") == "l2" and "l1_ratio" in theirs:
        theirs = {"penalty": "l1", "solver": "saga"}
    other = LogisticRegression(tol=1e-8, max_iter=10**5, **theirs).fit(X, y)
    model = SoftmaxClassifier(**ours).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("cls", OURS)
def test_signatures_stay_as_they_are(cls):
    parameters = inspect.signature(cls).parameters.values()
    assert {parameter.name for parameter in parameters} == set(cls().get_params())
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        cls(nonsense=1)
    assert clone(cls(tol=1e-3)).tol == 1e-3


def test_subclasses_can_have_such_parameters():
    class Own(SoftmaxClassifier):
        def __init__(self, random_state=None):
            super().__init__()
            self.random_state = random_state

    assert clone(Own(random_state=3)).random_state == 3
