"""Losses of single wines by class on unseen rows, with the five worst rows named by their index."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier
from skce.displays import SampleLossDisplay

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
clf = SoftmaxClassifier(C=0.01).fit(X_train, y_train)
SampleLossDisplay.from_estimator(clf, X_test, y_test)
plt.show()
