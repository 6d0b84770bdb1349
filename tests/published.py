"""Published data and tables of logistic regressions, copied from their sources."""

import numpy as np
import pandas as pd


def spector():
    """Greene, Econometric Analysis (2003), table 21.1: estimates and standard errors."""
    import statsmodels.api as sm

    data = sm.datasets.spector.load_pandas()
    X = data.exog[["GPA", "TUCE", "PSI"]]
    return X, data.endog, [2.826, 0.095, 2.379, -13.021], [1.263, 0.142, 1.065, 4.931]


def snoring():
    """Snoring and heart disease: Agresti, Introduction to Categorical Data Analysis (2007), 3.2."""
    yes, no = np.array([24, 35, 21, 30]), np.array([1355, 603, 192, 224])
    X = pd.DataFrame({"snoring": [0.0, 2.0, 4.0, 5.0]})
    return X, yes / (yes + no), yes + no, [0.3973, -3.8662], [0.0500, 0.1662]


def azt():
    """AZT and symptoms of AIDS: Agresti, Categorical Data Analysis (2002), table 5.6."""
    yes, no = np.array([14, 32, 11, 12]), np.array([93, 81, 52, 43])
    X = pd.DataFrame({"azt": [1.0, 0.0, 1.0, 0.0], "white": [1.0, 1.0, 0.0, 0.0]})
    return X, yes / (yes + no), yes + no, [-0.7195, 0.0555, -1.0736], [0.2790, 0.2886, 0.2629]


def alligators():
    """Food of alligators: Agresti, Categorical Data Analysis (2002), tables 7.1 and 7.3.

    Estimates by food (beside fish), for small animals and three lakes, with standard errors.
    """
    foods = ["fish", "invertebrate", "reptile", "bird", "other"]
    counts = np.array(
        [
            [23, 4, 2, 2, 8],
            [7, 0, 1, 3, 5],
            [5, 11, 1, 0, 3],
            [13, 8, 6, 1, 0],
            [5, 11, 2, 1, 5],
            [8, 7, 6, 3, 5],
            [16, 19, 1, 2, 3],
            [17, 1, 0, 1, 3],
        ]
    )
    lakes = np.repeat(["Hancock", "Oklawaha", "Trafford", "George"], 2)
    X = pd.DataFrame({"small": np.tile([1.0, 0.0], 4)})
    for lake in ("Hancock", "Oklawaha", "Trafford"):
        X[lake] = (lakes == lake).astype(float)
    estimates = {
        "invertebrate": [1.46, -1.66, 0.94, 1.12, -1.55],
        "reptile": [-0.35, 1.24, 2.46, 2.94, -3.31],
        "bird": [-0.63, 0.70, -0.65, 1.09, -2.09],
        "other": [0.33, 0.83, 0.01, 1.52, -1.90],
    }
    errors = {
        "invertebrate": [0.40, 0.61, 0.47, 0.49],
        "reptile": [0.58, 1.19, 1.12, 1.12],
        "bird": [0.64, 0.78, 1.20, 0.84],
        "other": [0.45, 0.56, 0.78, 0.62],
    }
    return X, pd.DataFrame(counts, columns=foods), estimates, errors


def hepatitis():
    """Hepatitis after transfusions: Bull, Mak and Greenwood (2002), table 3, penalised estimates.

    Classes are: no disease, hepatitis C, and neither A, B nor C. Features are group, time and their
    product.
    """
    group = [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 2, 2, 2, 1, 2, 2]
    time = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 2, 1, 2, 2, 1, 2, 1, 2, 1, 2, 2, 2, 1, 2]
    healthy = [144, 960, 160, 965, 172, 629, 160, 626, 73, 275, 80, 305]
    ill = [2, 1, 2, 2, 2, 1, 1, 2, 3, 10, 1, 6, 3, 1, 1, 1]
    X = np.column_stack([group, time]) - 1.0
    X = np.column_stack([X, X.prod(axis=1)])
    y = np.repeat([0, 1, 2], [12, 8, 8])
    return X, y, np.array(healthy + ill), [[-2.43, -1.57, 1.96], [-0.36, -0.38, 0.26]]


def sex2():
    """Urinary tract infections and contraceptives: Heinze and Schemper (2002), and R's logistf.

    The published figures are the coefficients, the statistics of tests, intervals at 95 and at
    90 %, and the test of all features, as logistf prints them: case ~ age + oc + vic + vicl + vis +
    dia. logistf stops at steps of 1e-5.
    """
    rows, counts = zip(*_SEX2, strict=True)
    table = np.repeat(np.array([[*map(int, row)] for row in rows]), counts, axis=0)
    X = pd.DataFrame(table[:, 1:], columns=["age", "oc", "vic", "vicl", "vis", "dia"], dtype=float)
    published = pd.DataFrame(
        {
            "estimate": [
                -1.10598131,
                -0.06881673,
                2.26887464,
                -2.11140817,
                -0.78831694,
                3.09601166,
                0.12025405,
            ],
            "chi2": [
                7.50773092,
                0.02467044,
                22.93139022,
                19.10407252,
                3.69740975,
                7.89693139,
                0.06286298,
            ],
            "p_value": [
                6.143472e-03,
                8.751911e-01,
                1.678877e-06,
                1.237805e-05,
                5.449701e-02,
                4.951873e-03,
                8.020268e-01,
            ],
            "lower": [
                -1.9737884,
                -0.9414363,
                1.2730216,
                -3.2608611,
                -1.6080879,
                0.7745682,
                -0.8185591,
            ],
            "upper": [
                -0.30742514,
                0.78920202,
                3.43543273,
                -1.11773495,
                0.01518468,
                8.03029352,
                1.07315122,
            ],
            "lower90": [
                -1.8277045,
                -0.7986318,
                1.4248338,
                -3.0613215,
                -1.4743338,
                1.0835108,
                -0.6673577,
            ],
            "upper90": [
                -0.4328451,
                0.6507581,
                3.2325326,
                -1.2704704,
                -0.1137542,
                6.8752016,
                0.9177303,
            ],
        },
        index=[*X.columns, "intercept"],
    )
    return X, table[:, 0], published, (49.09064, 6, 7.15089e-09)


def endometrial():
    """Endometrial cancer, separated: Heinze and Schemper (2002), and R's logistf (HG ~ NV + PI + EH)."""
    table = np.array([[*map(float, row.split())] for row in _ENDOMETRIAL])
    X = pd.DataFrame(table[:, :3], columns=["NV", "PI", "EH"])
    published = pd.DataFrame(
        {
            "estimate": [2.92927330, -0.03475175, -2.60416387, 3.77455951],
            "lower": [0.6097244, -0.1244587, -4.3651832, 1.0825371],
            "upper": [7.85463171, 0.04045547, -1.23272106, 7.20928050],
        },
        index=[*X.columns, "intercept"],
    )
    return X, table[:, 3].astype(int), published


# Distinct rows of sex2 (case, age, oc, vic, vicl, vis, dia), and how often each occurs.
_SEX2 = [
    ("0000010", 1),
    ("0001000", 2),
    ("0001010", 1),
    ("0001100", 8),
    ("0001110", 18),
    ("0010000", 42),
    ("0010010", 1),
    ("0011000", 1),
    ("0011100", 5),
    ("0011110", 6),
    ("0101100", 2),
    ("0101110", 4),
    ("0110000", 14),
    ("0110010", 1),
    ("0111000", 1),
    ("0111110", 2),
    ("1000010", 1),
    ("1001000", 14),
    ("1001010", 3),
    ("1001100", 10),
    ("1001110", 12),
    ("1001111", 1),
    ("1010000", 44),
    ("1010001", 3),
    ("1011000", 15),
    ("1011001", 1),
    ("1011010", 2),
    ("1011100", 7),
    ("1011110", 3),
    ("1101000", 2),
    ("1101010", 1),
    ("1101011", 1),
    ("1101100", 1),
    ("1101111", 1),
    ("1110000", 5),
    ("1111000", 3),
]
# Rows of endometrial: NV, PI, EH, HG.
_ENDOMETRIAL = [
    "0 13 1.64 0",
    "0 16 2.26 0",
    "0 8 3.14 0",
    "0 34 2.68 0",
    "0 20 1.28 0",
    "0 5 2.31 0",
    "0 17 1.8 0",
    "0 10 1.68 0",
    "0 26 1.56 0",
    "0 17 2.31 0",
    "0 8 2.01 0",
    "0 7 1.89 0",
    "0 20 3.15 0",
    "0 10 1.23 0",
    "0 18 1.27 0",
    "0 16 1.76 0",
    "0 18 2 0",
    "0 8 2.64 1",
    "0 29 0.88 1",
    "0 12 1.27 1",
    "0 20 1.37 1",
    "1 38 0.97 1",
    "1 22 1.14 1",
    "1 7 0.88 1",
    "1 25 0.91 1",
    "1 15 0.58 1",
    "0 7 0.97 1",
    "0 28 1.5 0",
    "0 11 1.33 0",
    "0 19 2.37 0",
    "0 10 1.82 0",
    "0 10 3.13 0",
    "0 18 1.31 0",
    "0 14 1.92 0",
    "0 21 1.64 0",
    "0 11 2.01 0",
    "0 17 1.88 0",
    "0 25 1.93 0",
    "0 16 2.11 0",
    "0 19 1.29 0",
    "0 15 1.72 0",
    "0 33 0.75 0",
    "0 24 1.92 0",
    "0 48 1.84 1",
    "0 12 1.11 1",
    "0 19 1.61 1",
    "0 2 1.18 1",
    "1 22 1.44 1",
    "1 40 1.18 1",
    "1 5 0.93 1",
    "1 0 1.17 1",
    "0 21 1.19 1",
    "0 15 1.06 1",
    "0 29 2.02 0",
    "0 15 2.29 0",
    "0 12 2.33 0",
    "0 3 2.9 0",
    "0 20 1.7 0",
    "0 23 1.41 0",
    "0 12 2.25 0",
    "0 22 1.54 0",
    "0 42 1.97 0",
    "0 15 1.75 0",
    "0 13 2.16 0",
    "0 14 2.57 0",
    "0 19 1.37 0",
    "0 12 3.61 0",
    "0 13 2.04 0",
    "0 10 2.17 0",
    "0 12 1.69 1",
    "1 49 0.27 1",
    "0 6 1.84 1",
    "0 5 1.3 1",
    "0 17 0.96 1",
    "1 11 1.01 1",
    "1 21 0.98 1",
    "0 5 0.35 1",
    "1 19 1.02 1",
    "0 33 0.85 1",
]
