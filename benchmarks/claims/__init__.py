"""Measurements behind single claims: ``python -m benchmarks --only NAME``.

`CLAIMS` maps a name to the title of its section, and to a function that takes the options of the
command line, measures, and returns the section. Functions with a name `*_task` are timed, each in a
process of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .choice import choice
from .choose import choose
from .cluster import cluster
from .comparison import comparison
from .coverage import coverage
from .device import device
from .files import files
from .growth import growth
from .leaders import leaders
from .memory import memory
from .probe import probe
from .promise import promise
from .reach import reach
from .repeat import repeat
from .scoring import scoring
from .units import units

CLAIMS: dict[str, tuple[str, Callable[[argparse.Namespace], str]]] = {
    "promise": ("What tol promises", promise),
    "memory": ("Memory and passes", memory),
    "scoring": ("Scoring ten million rows", scoring),
    "choice": ("C by cross-validation", choice),
    "choose": ("C by default", choose),
    "comparison": ("What people use instead", comparison),
    "growth": ("Growth with the rows", growth),
    "leaders": ("Who is first on linear probes", leaders),
    "units": ("Units of the columns", units),
    "coverage": ("Coverage of intervals", coverage),
    "repeat": ("Two processes", repeat),
    "probe": ("A linear probe of ImageNet's shape", probe),
    "files": ("Files", files),
    "dask": ("Dask", cluster),
    "device": ("Arrays on a device", device),
    "reach": ("How far it goes", reach),
}
