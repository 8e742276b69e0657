"""``make demo`` does what it says: a whole pair from command lines, broken and mended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"


@pytest.mark.timeout(170)
def test_every_step_succeeds() -> None:
    """The demo ends with 1 at the first state that does not come; its last step follows all others."""
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error-down on the Backup" in done.stdout
    assert "8  the peer-link is mended" in done.stdout
    assert "Both devices are active" in done.stdout, "the history of faults tells the story"
    assert "Secret-pw1" not in done.stdout
