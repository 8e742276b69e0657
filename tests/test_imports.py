"""What a plain agent does not need is not in its memory, and does not keep its start waiting."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["httpx", "rich", "pyang", "prometheus_client", "ncclient"])
def test_is_not_imported_by_the_agent(name: str) -> None:
    code = f"import sys, mlag_agent.app, mlag_agent.cli; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
