"""Conversion of a fitted estimator to one or several `LogisticRegression` of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer


def as_sklearn(fitted: Any) -> LogisticRegression | OneVsRestClassifier:
    """Return a classifier of scikit-learn with the predictions of a fitted `LinearModel`."""
    coef, intercept = fitted._dense_coef(), fitted.intercept_
    if fitted._form == "softmax" and len(intercept) == 2:
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    if fitted._form in ("softmax", "sigmoid"):
        return _fitted_model(fitted, fitted.classes_, coef, intercept, fitted.class_weight)
    columns = np.arange(len(coef)).reshape(-1, 1)
    weights = _class_weights_of_labels(fitted)
    shared = weights[0] if isinstance(weights[0], str) else None
    model = OneVsRestClassifier(_new_model(fitted, shared))
    model.estimators_ = [
        _fitted_model(fitted, np.array([0, 1]), coef[k], intercept[k], w)
        for k, w in zip(columns, weights, strict=True)
    ]
    seen = np.eye(len(coef), dtype=int) if fitted._form == "multilabel" else fitted.classes_
    model.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(seen)
    model.classes_ = model.label_binarizer_.classes_
    return _with_features(fitted, model)


def _class_weights_of_labels(fitted: Any) -> list[dict | str | None]:
    """Return the class weights of the classifier of each label."""
    if fitted._form != "multilabel":
        return [None] * len(fitted.classes_)
    if not isinstance(fitted.class_weight, dict):
        return [fitted.class_weight] * len(fitted.classes_)
    return [{0: 1, 1: fitted.class_weight.get(label, 1)} for label in fitted.classes_.tolist()]


def _new_model(fitted: Any, class_weight: dict | str | None) -> LogisticRegression:
    """Return an unfitted LogisticRegression with the parameters that both classes have."""
    params: dict[str, Any] = {
        "C": fitted._inverse_penalty,
        "fit_intercept": fitted.fit_intercept,
        "class_weight": class_weight,
        "max_iter": fitted.max_iter,
    }
    if fitted._l1_share > 0:
        params |= {"l1_ratio": fitted._l1_share, "solver": "saga"}
        if LogisticRegression().get_params().get("penalty") == "l2":  # before scikit-learn 1.8
            params["penalty"] = "elasticnet"
    return LogisticRegression(**params)


def _fitted_model(
    fitted: Any,
    classes: NDArray,
    coef: NDArray,
    intercept: NDArray,
    class_weight: dict | str | None,
) -> LogisticRegression:
    model = _new_model(fitted, class_weight)
    model.classes_ = classes
    model.coef_ = coef.copy()
    model.intercept_ = intercept.copy()
    model.n_iter_ = fitted.n_iter_.copy()
    return _with_features(fitted, model)


def _with_features(fitted: Any, model: Any) -> Any:
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(fitted, name):
            setattr(model, name, getattr(fitted, name))
    return model
