"""A short crash test; ``make crashtest`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_some_rounds() -> None:
    """In a process of its own: it forks, which this one, with its threads, must not."""
    command = [sys.executable, "-m", "tests.crash", "--rounds", "20"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "20 rounds" in run.stdout
