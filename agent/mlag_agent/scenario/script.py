"""The file format of scenarios: YAML into checked, frozen structures (docs/scenarios.md shows it by example)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mlag_agent.errors import SettingsError
from mlag_agent.models import DEFAULT_MODEL, MODELS
from mlag_agent.scenario.document import Document

__all__ = [
    "DEVICES",
    "MAX_FILE",
    "DeviceScript",
    "FaultStep",
    "LearnStep",
    "PacketStep",
    "PortStep",
    "Script",
    "Step",
    "ValueStep",
    "load",
]


DEVICES: tuple[DeviceName, ...] = ("device-1", "device-2")
"""A pair has two, always of these names."""

MAX_FILE = 1 << 20
"""Bytes of a file; the longest that people write have some thousand."""

DeviceName = Literal["device-1", "device-2"]
Values = dict[str, Any]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)]
Scalar = str | int | float | bool | None


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Base: keys are spelt with hyphens, unknown ones are errors."""


class DeviceScript(_Strict, frozen=True):
    """One device: what it is, and its configuration by the names of the YANG modules.

    ``addresses``: those that its interfaces hold, None: any; ``protocol_version``: of the synchronisation protocol.
    """

    model: str | None = None
    system_mac: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")] | None = None
    release: str | None = None
    protocol_version: Annotated[int, msgspec.Meta(ge=1, le=255)] | None = None
    addresses: tuple[str, ...] | None = None
    vpn_instances: tuple[str, ...] | None = None
    config: Values = {}


class FaultStep(_Strict, frozen=True):
    """A link of one device is broken or, with ``none``, mended (``mlag-simulator:set-fault``)."""

    device: DeviceName
    link: Literal["channel", "peer-link", "heartbeat"]
    kind: Literal["none", "drop", "delay", "cut", "corrupt"]
    delay: Annotated[int, msgspec.Meta(ge=1, le=60000)] = 500


class PortStep(_Strict, frozen=True):
    """A port of the simulated device stops or begins to work (``mlag-simulator:set-port-state``)."""

    device: DeviceName
    interface: str
    state: Literal["up", "down"]


class PacketStep(_Strict, frozen=True):
    """A packet of the server arrives (``mlag-simulator:receive-election-packet``); ``outcome``: what it has to do."""

    device: DeviceName
    m_lag_id: Annotated[int, msgspec.Meta(ge=1, le=2048)]
    type: Literal["arp", "nd", "igmp", "dhcp", "mld"]
    outcome: Literal["master", "type-not-configured", "dual-active", "interface-down"] = "master"


class ValueStep(_Strict, frozen=True):
    """``mlag-simulator:set-configuration-value``: for the consistency check; without a value it is taken away."""

    device: DeviceName
    item: str
    scope: str = "global"
    value: Scalar = None


class LearnStep(_Strict, frozen=True):
    """``mlag-simulator:learn-entries``."""

    device: DeviceName
    start_address: str
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    interface: str = "Eth-Trunk10"
    vlan: Annotated[int, msgspec.Meta(ge=1, le=4094)] = 10
    kind: Literal["dynamic", "static", "interface"] = "dynamic"


class Step(_Strict, frozen=True):
    """Exactly one action; ``within``: seconds that ``expect`` and ``events`` may take, ``refused``: the app-tag that
    ``configure`` has to be refused with."""

    configure: dict[DeviceName, Values] | None = None
    fault: FaultStep | None = None
    port: PortStep | None = None
    packet: PacketStep | None = None
    value: ValueStep | None = None
    learn: LearnStep | None = None
    age: DeviceName | None = None
    flush: DeviceName | None = None
    stop: DeviceName | None = None
    start: DeviceName | None = None
    addresses: dict[DeviceName, tuple[str, ...] | None] | None = None
    vpn_instances: dict[DeviceName, tuple[str, ...] | None] | None = None
    wait: Seconds | None = None
    expect: dict[DeviceName, dict[str, Scalar]] | None = None
    events: dict[DeviceName, tuple[str | dict[str, dict[str, Scalar]], ...]] | None = None
    within: Seconds | None = None
    refused: str | None = None

    @property
    def action(self) -> str:
        """The name of the one that is given."""
        (name,) = self.given()
        return name

    def given(self) -> Sequence[str]:
        """Names of the actions that are given; ``load`` sees to it that it is one."""
        return [
            field.encode_name
            for field in msgspec.structs.fields(self)
            if field.name not in ("within", "refused") and getattr(self, field.name) is not None
        ]


class Script(_Strict, frozen=True):
    """A scenario.  ``base``: another file, whose devices these stand on; its steps come first."""

    name: str
    steps: tuple[Step, ...] = ()
    description: str = ""
    base: str | None = None
    devices: dict[DeviceName, DeviceScript] = {}
    layers: tuple[dict[DeviceName, DeviceScript], ...] = ()
    """Devices of the bases, the lowest first; not for files."""

    def device(self, name: DeviceName) -> DeviceScript:
        """What a device is, from all layers; its configuration is that of ``configs``."""
        found: dict[str, Any] = {"model": DEFAULT_MODEL}
        for layer in (*self.layers, self.devices):
            mine = layer.get(name)
            if mine is not None:
                found |= {key: value for key in mine.__struct_fields__ if (value := getattr(mine, key)) is not None}
        return DeviceScript(**found)

    def configs(self, name: DeviceName) -> Sequence[Mapping[str, Any]]:
        """Configurations of the layers, each an edit of those before."""
        layers = (layer.get(name) for layer in (*self.layers, self.devices))
        return [layer.config for layer in layers if layer is not None and layer.config]


def load(path: Path, *, _depth: int = 0) -> Script:
    """Read a scenario.  Raises SettingsError that names the place in the file and what would have been right."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the scenario {path}: {error}") from error
    if len(text) > MAX_FILE:
        raise SettingsError(f"the scenario {path} has {len(text)} characters", f"at most {MAX_FILE}")
    document = Document(text, str(path))
    try:
        script = msgspec.convert(document.data, Script)
    except msgspec.ValidationError as error:
        line = document.line(str(error).partition(" - at `")[2].rstrip("`"))
        raise SettingsError(
            f"{path}, line {line}: {error}", "docs/scenarios.md has an example of everything"
        ) from error
    _check(path, script, document)
    if script.base is None:
        return script
    if _depth >= 3:
        raise SettingsError(f"{path}: bases of bases of bases", "a base may have a base, three deep")
    below = load(path.parent / script.base, _depth=_depth + 1)
    return msgspec.structs.replace(
        script, steps=(*below.steps, *script.steps), layers=(*below.layers, below.devices), base=None
    )


def _check(path: Path, script: Script, document: Document) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(Step) if field.name not in ("within", "refused")]
    for number, step in enumerate(script.steps, 1):
        given = step.given()
        where = f"{path}, line {document.line(f'$.steps[{number - 1}]')}"
        if len(given) != 1:
            what = "no action" if not given else f"the actions {' and '.join(given)}"
            raise SettingsError(f"{where}: step {number} has {what}", f"one of: {', '.join(known)}")
        if step.within is not None and given[0] not in ("expect", "events"):
            raise SettingsError(f"{where}: step {number} has 'within' beside {given[0]}", "it is for expect and events")
        if step.refused is not None and given[0] != "configure":
            raise SettingsError(f"{where}: step {number} has 'refused' beside {given[0]}", "it is for configure")
    if script.layers:
        raise SettingsError(f"{path}: 'layers' is not for files", "name another file as 'base'")
    for name, device in script.devices.items():
        if device.model is not None and device.model not in MODELS:
            raise SettingsError(f"{path}: {name} is of the unknown model {device.model}", "see: mlag-agent models")
