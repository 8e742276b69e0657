"""Fixtures ``mlag_agent`` and ``mlag_pair`` for pytest, found through the entry point ``pytest11``.

pytest imports this file in every run of every project that has the package installed: it imports nothing of ours or of
ncclient before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlag_client.testing import RunningAgent, RunningPair

__all__ = ["mlag_agent", "mlag_pair"]

_MARKER = "mlag_agent(**options): options of the mlag_agent and mlag_pair fixtures, e.g. model=, strict=, startup="


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for ``--strict-markers``."""
    config.addinivalue_line("markers", _MARKER)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of every marker on the test, the nearest one last so that it wins."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("mlag_agent"))):
        options.update(marker.kwargs)
    return options


@pytest.fixture
def mlag_agent(request: pytest.FixtureRequest) -> Iterator[RunningAgent]:
    """One agent on a free port of 127.0.0.1, with a password of its own; ended when the test ends."""
    from mlag_client import testing  # noqa: PLC0415  # see the module's docstring

    with testing.agent(**_options(request)) as running:
        yield running


@pytest.fixture
def mlag_pair(request: pytest.FixtureRequest) -> Iterator[RunningPair]:
    """Two agents of one pair: ``first, second = mlag_pair``; ended when the test ends."""
    from mlag_client import testing  # noqa: PLC0415  # see the module's docstring

    with testing.pair(**_options(request)) as running:
        yield running
