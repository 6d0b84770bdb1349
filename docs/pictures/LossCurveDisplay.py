"""Log-loss of the labels 0 and 1 and of the soft target 0.7 against the predicted probability."""

import matplotlib.pyplot as plt

from skce.displays import LossCurveDisplay

LossCurveDisplay.from_targets([0, 1, 0.7])
plt.show()
