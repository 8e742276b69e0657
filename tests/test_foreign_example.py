"""The example of docs/foreign-modules.md: the text shows the files as they are, and their tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "foreign-module"


def test_the_text_shows_the_files() -> None:
    text = (ROOT / "docs" / "foreign-modules.md").read_text()
    shown = re.findall(r"^```(?:yang|python|xml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    files = ("acme-fan.yang", "hooks.py", "replies.xml", "test_fan.py")
    assert shown == [(EXAMPLE / name).read_text() for name in files]


def test_the_example_runs_as_a_project_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE)],
        cwd=EXAMPLE, env={**os.environ, "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
