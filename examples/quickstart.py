"""
Quickstart
==========

This script fits labels, then probabilities, and then makes a grid search, on the wine data of
scikit-learn. Run it with ``python examples/quickstart.py``. It takes a few seconds.
"""

# sphinx_gallery_thumbnail_path = "_static/quickstart.png"

import warnings

import numpy as np
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import SoftmaxClassifier, log_loss


def objective(model, X, y):
    """What both minimise: C * sum of the log-losses + half the squared coefficients."""
    data = log_loss(y, model.predict_proba(X), normalize=False)
    return model.C * data + (model.coef_**2).sum() / 2


def hard_labels(X, y):
    print("1. Labels, raw columns (178 wines, 13 columns, 3 growers)\n")
    print("   model                                       iterations   objective      log-loss")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the first one stops early
        models = {
            "LogisticRegression()": LogisticRegression().fit(X, y),
            "LogisticRegression(newton-cg, tol=1e-10)": LogisticRegression(
                solver="newton-cg", tol=1e-10, max_iter=10_000
            ).fit(X, y),
            "SoftmaxClassifier()": SoftmaxClassifier().fit(X, y),
        }
    for name, model in models.items():
        loss = log_loss(y, model.predict_proba(X))
        print(f"   {name:42} {model.n_iter_[0]:9d} {objective(model, X, y):12.6f} {loss:13.6f}")
    exact, ours = list(models.values())[1:]
    difference = np.abs(exact.coef_ - ours.coef_).max()
    print(f"\n   Largest difference between the coefficients of the last two: {difference:.1e}")


def probability_targets(X, y):
    print("\n2. The same rows, each labelled by 5 annotators who err in 30 % of the cases\n")
    rng = np.random.default_rng(0)
    wrong = rng.random((5, len(y))) < 0.3
    votes = np.where(wrong, rng.integers(3, size=(5, len(y))), y)
    Y = np.stack([(votes == k).mean(axis=0) for k in range(3)], axis=1)

    train, test = train_test_split(np.arange(len(y)), random_state=0, stratify=y)
    fits = {
        "majority vote (labels)": Y[train].argmax(axis=1),
        "shares of the votes (probabilities)": Y[train],
    }
    print("   fitted to                              accuracy   log-loss against unseen votes")
    for name, targets in fits.items():
        model = SoftmaxClassifier().fit(X[train], targets)
        loss = log_loss(Y[test], model.predict_proba(X[test]))
        print(f"   {name:38} {model.score(X[test], y[test]):7.3f} {loss:11.3f}")
    return Y


def grid_search(X, Y):
    print("\n3. A grid search over C in a pipeline, on the probabilities\n")
    pipeline = make_pipeline(StandardScaler(), SoftmaxClassifier())
    grid = {"softmaxclassifier__C": [0.001, 0.01, 0.1, 1, 10]}
    folds = KFold(5, shuffle=True, random_state=0)  # the rows are sorted by grower
    search = GridSearchCV(pipeline, grid, cv=folds).fit(X, Y)
    for C, score in zip(
        grid["softmaxclassifier__C"], search.cv_results_["mean_test_score"], strict=True
    ):
        best = "  <- chosen" if search.best_params_["softmaxclassifier__C"] == C else ""
        print(f"   C = {C:<6} share of the votes on the predicted class: {score:.3f}{best}")


if __name__ == "__main__":
    X, y = load_wine(return_X_y=True)
    hard_labels(X, y)
    Y = probability_targets(X, y)
    grid_search(X, Y)
