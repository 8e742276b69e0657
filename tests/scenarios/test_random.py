"""Whatever has happened to a pair: once everything is mended and has had its time, both devices are as at first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mlag_agent.scenario import run_file

FOLDER = Path(__file__).parent
LINKS = ("channel", "peer-link", "heartbeat")
PORT = "Eth-Trunk10"
PAUSES = (0, 0.3, 1, 2.9, 3, 4, 10, 60, 300)
"""Around the hold time, the detection delay, the time-out of the heartbeat and the up-delay."""
ALL_WELL = {
    "pair-state": "paired",
    "sync-channel/oper-status": "up",
    "heartbeat/status": "ok",
    "dual-active/status": "none",
    **{f"/interfaces/interface[{name}]/oper-status": "up" for name in (PORT, "10GE1/0/1", "Vlanif10")},
}


def group(values: dict[str, Any]) -> dict[str, Any]:
    return {"m-lag": {"dfs-groups": {"dfs-group": [{"id": 1, **values}]}}}


def fault(chance: Random, device: str) -> dict[str, Any]:
    kind = chance.choice(("cut", "drop", "delay", "corrupt", "none", "none"))
    delay = {"delay": chance.choice((100, 2000, 10000, 60000))} if kind == "delay" else {}
    return {"fault": {"device": device, "link": chance.choice((*LINKS, "peer-link")), "kind": kind, **delay}}


def setting(chance: Random) -> dict[str, Any]:
    detection = chance.choice(
        ({"error-down-delay": 0}, {"error-down-delay": 50}, {"error-down-routing-switch": chance.random() < 0.5})
    )
    return chance.choice(
        (
            {"priority": chance.choice((100, 150, 200))},
            {"up-delay": {"delay": chance.choice((0, 30, 240))}},
            {"dual-active-detection": detection},
        )
    )


def action(chance: Random, running: dict[str, bool]) -> dict[str, Any]:
    device = chance.choice(sorted(running))
    what = chance.choice((*["fault"] * 5, "power", "entries", "setting", "port"))
    if what == "power" or not running[device]:
        running[device] = not running[device]
        return {"start" if running[device] else "stop": device}
    if what == "fault":
        return fault(chance, device)
    if what == "setting":
        return {"configure": {device: group(setting(chance))}}
    if what == "port":
        return {"port": {"device": device, "interface": PORT, "state": chance.choice(("up", "down"))}}
    count = chance.choice((1, 50, 3000))
    learn = {"learn": {"device": device, "start-address": f"10.{chance.randint(1, 3)}.0.1", "count": count}}
    return chance.choice((learn, learn, {"age": device}, {"flush": device}))


def steps(chance: Random) -> list[dict[str, Any]]:
    running = {"device-1": True, "device-2": True}
    found: list[dict[str, Any]] = []
    for _ in range(chance.randint(4, 16)):
        found += [action(chance, running), {"wait": chance.choice(PAUSES)}]
    found += [{"start": device} for device, up in running.items() if not up]
    for device in running:
        found += [{"fault": {"device": device, "link": link, "kind": "none"}} for link in LINKS]
        found.append({"port": {"device": device, "interface": PORT, "state": "up"}})
    # The longest delay that may be under way, the longest up-delay, and the time to find each other.
    return [*found, {"wait": 60 + 240 + 60}, {"expect": dict.fromkeys(running, ALL_WELL), "within": 0}]


@pytest.mark.parametrize("seed", range(16))
def test_all_is_well_in_the_end(tmp_path: Path, seed: int) -> None:
    for base in FOLDER.glob("*.base.yaml"):
        shutil.copy(base, tmp_path)
    path = tmp_path / "random.yaml"
    path.write_text(
        json.dumps({"name": f"random {seed}", "base": "pair.base.yaml", "steps": steps(Random(seed))}, indent=1)
    )
    outcome = run_file(path)
    assert outcome.failure is None, f"{outcome.failure}\n{path.read_text()}"
