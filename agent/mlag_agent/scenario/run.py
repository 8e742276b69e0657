"""Runs a scenario against a pair, step by step."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any, Final

from mlag_agent.errors import RpcFailure, SettingsError
from mlag_agent.mlag import ElectionPacket, EntryKind, Fault, Link
from mlag_agent.mlag.consistency import Item
from mlag_agent.scenario.clock import VirtualLoop
from mlag_agent.scenario.script import DEVICES, Script, Step, load
from mlag_agent.scenario.stage import Happening, Player
from mlag_agent.scenario.values import PathError, ValuesError, text

__all__ = ["Outcome", "Tell", "run_file"]

PATIENCE: Final = 60.0
"""Seconds that an expectation may take unless it says otherwise: longer than any default timer but the up-delay."""

Tell = Callable[[float, str], None]
"""Takes the scenario's time in seconds, and what is done now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario ended: ``failure`` None is success; seconds of the scenario and of the world."""

    name: str
    failure: str | None
    seconds: float
    real_seconds: float


class _Failed(Exception):  # noqa: N818  # named after what it says
    """A step did not come out as the scenario says."""


def run_file(path: Path, tell: Tell = lambda at, what: None, *, real_time: bool = False) -> Outcome:
    """Run a scenario from its file, in virtual time unless ``real_time``.

    Raises SettingsError for a file that is none, or that does what cannot be done.
    """
    script = load(path)
    began = monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mlag-scenario-") as folder,
        asyncio.Runner(loop_factory=None if real_time else VirtualLoop) as runner,
    ):
        failure, seconds = runner.run(_Run(script, Path(folder), tell).run())
    return Outcome(script.name, failure, seconds, monotonic() - began)


class _Run:
    """One scenario being run."""

    def __init__(self, script: Script, folder: Path, tell: Tell) -> None:
        self._script = script
        self._tell = tell
        self._players: dict[str, Player] = {name: Player(name, script.device(name), folder) for name in DEVICES}
        self._actions: Mapping[str, Callable[[Step], Awaitable[None]]] = {
            "configure": self._configure,
            "fault": self._fault,
            "port": self._port,
            "packet": self._packet,
            "value": self._value,
            "learn": self._learn,
            "age": self._age,
            "flush": self._flush,
            "stop": self._stop,
            "start": self._start,
            "addresses": self._addresses,
            "vpn-instances": self._vpn_instances,
            "wait": self._wait,
            "expect": self._expect,
            "events": self._events,
        }

    async def run(self) -> tuple[str | None, float]:
        """All steps; what failed, and the seconds that it took by the loop's time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            for name in DEVICES:
                player = self._players[name]
                await player.start()
                for config in self._script.configs(name):
                    await self._edit(player, config)
            for number, step in enumerate(self._script.steps, 1):
                what = f"step {number}, {step.action}"
                self._tell(loop.time() - began, f"{number}  {_summary(step)}")
                try:
                    await self._actions[step.action](step)
                except _Failed as failed:
                    return f"{what}: {failed}", loop.time() - began
                except (PathError, ValuesError, ValueError) as error:
                    raise SettingsError(f"{self._script.name}: {what}: {error}") from error
            return None, loop.time() - began
        finally:
            for player in self._players.values():
                await player.stop()

    # --- actions ------------------------------------------------------------------------------------------------

    async def _edit(self, player: Player, config: Mapping[str, Any]) -> None:
        try:
            await player.configure(config)
        except ValuesError as error:
            raise SettingsError(f"{self._script.name}: config of {player.name}: {error}") from error
        except RpcFailure as refusal:
            raise SettingsError(f"{self._script.name}: {player.name} refuses its config: {refusal}") from refusal

    async def _configure(self, step: Step) -> None:
        for name, values in (step.configure or {}).items():
            try:
                await self._players[name].configure(values)
            except RpcFailure as refusal:
                tags = [error.app_tag or error.tag.value for error in refusal.errors]
                if step.refused not in tags:
                    wanted = "" if step.refused is None else f", not with {step.refused}"
                    raise _Failed(f"{name} refuses ({', '.join(tags)}){wanted}: {refusal}") from refusal
            else:
                if step.refused is not None:
                    raise _Failed(f"{name} accepts what should be refused with {step.refused}")

    async def _fault(self, step: Step) -> None:
        fault = step.fault
        assert fault is not None
        self._engine(fault.device).set_fault(Link(fault.link), Fault(fault.kind), fault.delay)

    async def _port(self, step: Step) -> None:
        port = step.port
        assert port is not None
        self._engine(port.device).set_port_state(port.interface, up=port.state == "up")

    async def _packet(self, step: Step) -> None:
        packet = step.packet
        assert packet is not None
        found = self._engine(packet.device).receive_election_packet(packet.m_lag_id, ElectionPacket(packet.type))
        if found != packet.outcome:
            raise _Failed(f"{packet.device}: the outcome of the packet is {found}, not {packet.outcome}")

    async def _value(self, step: Step) -> None:
        given = step.value
        assert given is not None
        value = None if given.value is None else text(given.value)
        self._engine(given.device).set_configuration_value(given.scope, Item(given.item), value)

    async def _learn(self, step: Step) -> None:
        learn = step.learn
        assert learn is not None
        await self._engine(learn.device).learn(
            ip_address(learn.start_address), learn.count, learn.interface, learn.vlan, EntryKind(learn.kind)
        )

    async def _age(self, step: Step) -> None:
        await self._engine(step.age or "").age()

    async def _flush(self, step: Step) -> None:
        await self._engine(step.flush or "").flush()

    async def _stop(self, step: Step) -> None:
        player = self._players[step.stop or ""]
        if player.device is None:
            raise SettingsError(f"{player.name} is stopped already")
        await player.stop()

    async def _start(self, step: Step) -> None:
        await self._players[step.start or ""].start()

    async def _addresses(self, step: Step) -> None:
        for name, addresses in (step.addresses or {}).items():
            self._players[name].hold(addresses=addresses)

    async def _vpn_instances(self, step: Step) -> None:
        for name, instances in (step.vpn_instances or {}).items():
            self._players[name].hold(vpn_instances=instances)

    async def _wait(self, step: Step) -> None:
        await asyncio.sleep(step.wait or 0)

    async def _expect(self, step: Step) -> None:
        for name, values in (step.expect or {}).items():
            player = self._players[name]
            await self._until(player, partial(_difference, player, values), step.within)

    async def _events(self, step: Step) -> None:
        for name, wanted in (step.events or {}).items():
            player = self._players[name]
            for item in wanted:
                event, leafs = (item, {}) if isinstance(item, str) else next(iter(item.items()))
                await self._until(player, partial(_missing, player, event, leafs), step.within)

    def _engine(self, name: str) -> Any:
        return self._players[name].running.engine

    async def _until(self, player: Player, problem: Callable[[], str | None], within: float | None) -> None:
        """Until there is no problem; looked at whenever the engine's state changes."""
        limit = PATIENCE if within is None else within
        if problem() is None:
            return
        try:
            if limit > 0:
                await player.running.engine.wait_for(lambda _: problem() is None, limit)
                return
        except TimeoutError:
            pass  # what is wrong is said below, in the words of the scenario
        words = problem()
        if words is not None:
            raise _Failed(f"{player.name}: {words}" + (f" (for {limit:g} s)" if limit > 0 else ""))


def _difference(player: Player, values: Mapping[str, Any]) -> str | None:
    """The first value that is not as it should be."""
    for path, wanted in values.items():
        found = player.value(path)
        if found != wanted and (found is None or wanted is None or text(found) != text(wanted)):
            return f"{path} is {_shown(found)}, not {_shown(wanted)}"
    return None


def _shown(value: Any) -> str:
    return "absent" if value is None else text(value)


def _missing(player: Player, name: str, leafs: Mapping[str, Any]) -> str | None:
    """Take the events up to the one that is wanted; None when it was there."""
    for at, event in enumerate(player.events):
        if event.name == name and all(_fits(event, leaf, value) for leaf, value in leafs.items()):
            for _ in range(at + 1):
                player.events.popleft()
            return None
    seen = ", ".join(event.name for event in player.events) or "none"
    wanted = "".join(f" {leaf} {text(value)}" for leaf, value in leafs.items())
    return f"no event {name}{wanted}; those since the last: {seen}"


def _fits(event: Happening, leaf: str, value: Any) -> bool:
    found = event.leafs.get(leaf)
    return found is None if value is None else found == text(value)


def _summary(step: Step) -> str:
    match step.action:
        case "fault" if step.fault is not None:
            kind = "mended" if step.fault.kind == "none" else step.fault.kind
            return f"{step.fault.device}: {step.fault.link} {kind}"
        case "port" if step.port is not None:
            return f"{step.port.device}: {step.port.interface} {step.port.state}"
        case "packet" if step.packet is not None:
            return f"{step.packet.device}: {step.packet.type} packet over M-LAG {step.packet.m_lag_id}"
        case "value" if step.value is not None:
            return f"{step.value.device}: {step.value.item} of {step.value.scope} is {_shown(step.value.value)}"
        case "learn" if step.learn is not None:
            return f"{step.learn.device}: learns {step.learn.count} from {step.learn.start_address} on"
        case "wait":
            return f"wait {step.wait:g} s"
        case "expect":
            named = (
                f"{name} {path} = {_shown(v)}" for name, vs in (step.expect or {}).items() for path, v in vs.items()
            )
            return "expect " + "; ".join(named)
        case "events":
            named = (
                f"{name} {item if isinstance(item, str) else next(iter(item))}"
                for name, items in (step.events or {}).items()
                for item in items
            )
            return "events " + ", ".join(named)
        case "configure":
            return (
                "configure " + ", ".join(step.configure or {}) + (f", refused: {step.refused}" if step.refused else "")
            )
        case other:
            devices = step.addresses or step.vpn_instances or {}
            return f"{other} {step.stop or step.start or step.age or step.flush or ', '.join(devices)}"
