"""Every scenario of this folder goes as written, and together they show what the engine can be led into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.mlag import DownReason
from mlag_agent.mlag.state import Causation, Scope
from mlag_agent.scenario import load, run_file

FOLDER = Path(__file__).parent
FILES = sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(".base.yaml"))

ELSEWHERE: Mapping[DownReason, str] = {
    # A group has the ID 1 and no other, by the model.
    DownReason.GROUP_MISMATCH: "tests/mlag/test_engine.py",
    # Only a process that is no agent can hold the port of an address that the fabric has given to this device.
    DownReason.PORT_IN_USE: "tests/mlag/test_apply.py",
    # Passes within the time of one message.
    DownReason.CONNECTING: "tests/mlag/test_reasons.py",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_goes_as_written(path: Path) -> None:
    outcome = run_file(path)
    assert outcome.failure is None, f"{outcome.failure} at {outcome.seconds:.3f} s"


def expected() -> Iterator[tuple[str, Any]]:
    """Every leaf that a scenario expects to see, in state or in an event, with its value."""
    for path in FILES:
        for step in load(path).steps:
            for values in (step.expect or {}).values():
                yield from ((leaf.rpartition("/")[2], value) for leaf, value in values.items())
            for events in (step.events or {}).values():
                for event in events:
                    if isinstance(event, dict):
                        for leafs in event.values():
                            yield from leafs.items()


class TestEverythingOccurs:
    def test_causations(self) -> None:
        assert {value for leaf, value in expected() if leaf == "causation"} == {str(word) for word in Causation}

    def test_down_reasons(self) -> None:
        seen = {value for leaf, value in expected() if leaf in ("down-reason", "reason")}
        assert {str(word) for word in DownReason} - seen == {str(word) for word in ELSEWHERE}
        for reason, test in ELSEWHERE.items():
            assert reason.name in (FOLDER.parents[1] / test).read_text()

    def test_error_down_ports(self) -> None:
        assert {value for leaf, value in expected() if leaf == "error-down-ports"} == {str(word) for word in Scope}

    def test_error_down_modes(self) -> None:
        """Each mode of DOMAIN.md 1.1 has its scenario."""
        modes = {path.stem.removeprefix("split-brain-") for path in FILES if path.stem.startswith("split-brain-")}
        assert modes >= {"default", "disable", "delay", "routing-switch", "suspend", "reserved"}
