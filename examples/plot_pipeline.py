"""
Data frames, pipelines, grid search
===================================

``SoftmaxClassifier`` is a scikit-learn estimator and works wherever ``LogisticRegression``
does. Here a pipeline turns a data frame of numbers and categories into features, a grid search
chooses C by log-loss, and the targets are distributions with named classes.
"""

# %%
# Trips by foot, bicycle, bus and car
# -----------------------------------
# The survey is made up. Each row is a district with its distance to the centre, its income and its
# kind of area. The targets are the shares of trips by foot, bicycle, bus and car.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.compose import make_column_transformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from skce import SoftmaxClassifier
from skce.metrics import entropy, log_loss, neg_log_loss_scorer
from skce.model_selection import StratifiedProbabilityKFold

rng = np.random.default_rng(0)
n = 400
X = pd.DataFrame(
    {
        "distance": rng.gamma(2.0, 2.5, n),
        "income": rng.lognormal(10, 0.4, n),
        "area": rng.choice(["centre", "suburb", "village"], n, p=[0.3, 0.5, 0.2]),
    }
)
d, money = X["distance"] / 5, np.log(X["income"]) - 10
logits = np.column_stack(
    [1.5 - 2.5 * d, 1 - 0.8 * d + 0.3 * money, 0.5 - 0.3 * d - 0.8 * money, 0.6 * d + 0.8 * money]
)
logits[:, 3] += X["area"].map({"centre": -1.0, "suburb": 0.0, "village": 1.0})
trips = rng.integers(20, 200, n)
counts = rng.multinomial(trips, softmax(logits, axis=1))
Y = pd.DataFrame(counts / trips[:, None], columns=["foot", "bicycle", "bus", "car"])
X.join(Y.round(2)).head(3)

# %%
# A pipeline, and a search by log-loss
# ------------------------------------
# Folds are stratified on the distributions. The numbers of trips are the weights of the rows.
features = make_column_transformer(
    (SplineTransformer(5), ["distance", "income"]), (OneHotEncoder(), ["area"])
)
search = GridSearchCV(
    make_pipeline(features, SoftmaxClassifier()),
    {"softmaxclassifier__C": np.logspace(-4, 2, 7)},
    scoring=neg_log_loss_scorer,
    cv=StratifiedProbabilityKFold(5),
)
search.fit(X, Y, softmaxclassifier__sample_weight=trips)
search.best_estimator_

# %%
print(f"C = {search.best_params_['softmaxclassifier__C']:g}, log-loss {-search.best_score_:.4f}")
print(f"entropy of the shares, the least possible log-loss: {entropy(Y):.4f}")
print(f"classes: {', '.join(search.classes_)}")

# %%
# What matters, and how
# ---------------------
importance = permutation_importance(
    search.best_estimator_, X, Y, scoring=neg_log_loss_scorer, n_repeats=10, random_state=0
)
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.barh(X.columns, importance.importances_mean, xerr=importance.importances_std)
ax.set(title="how much each column matters", xlabel="log-loss added if the column is shuffled")
plt.show()

# %%
# This picture shows the predicted shares by distance, for a suburb with a middle income:
grid = pd.DataFrame({"distance": np.linspace(0, 15, 100), "income": np.exp(10), "area": "suburb"})
proba = search.predict_proba(grid)
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.stackplot(grid["distance"], proba.T, labels=search.classes_)
ax.set(
    title="predicted shares of trips by distance",
    xlabel="distance to the centre",
    ylabel="share of trips",
    xlim=(0, 15),
    ylim=(0, 1),
)
figure.legend(loc="outside lower center", ncols=4)
plt.show()
loss = log_loss(Y, search.predict_proba(X), sample_weight=trips)
print(f"log-loss of the best model on all trips: {loss:.4f}")
