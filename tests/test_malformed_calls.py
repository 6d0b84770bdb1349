"""No malformed call hangs, crashes, answers NaN or raises what is not documented."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import skce

# Calls of a run and seconds that it may take, by profile of Hypothesis; "long" is run by hand:
# pytest tests/test_malformed_calls.py --hypothesis-profile=long
PROFILES = {"long": (100_000, 7200), "default": (500, 300)}


@pytest.fixture
def profile(pytestconfig):
    name = pytestconfig.getoption("--hypothesis-profile", default=None)
    return PROFILES.get(name, PROFILES["default"])


def test_malformed_calls_are_refused_by_name_or_right(profile):
    """In a process of its own, which a hang or a crash ends: the last line tells the call."""
    count, seconds = profile
    path = [str(Path(skce.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("malformed_calls.py")), f"--count={count}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    faults = [line for line in run.stdout.splitlines() if line.startswith("fault ")]
    assert faults == []
    assert run.stdout.splitlines()[-1] == f"made {count} calls"
