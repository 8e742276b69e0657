"""The two devices of a scenario: whole agents, without anybody who could log in, on a loopback fabric of their own."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

from mlag_agent.access.users import hash_password
from mlag_agent.app import Device, identity_of
from mlag_agent.config import (
    AuditSettings,
    DeviceSettings,
    ListenSettings,
    NotificationSettings,
    Settings,
    UserSettings,
)
from mlag_agent.data.build import Below
from mlag_agent.data.decode import Operation
from mlag_agent.data.edit import Editor
from mlag_agent.errors import RpcFailure, SettingsError
from mlag_agent.foreign.plain import plain
from mlag_agent.mlag import LoopbackFabric
from mlag_agent.mlag.wire import PROTOCOL_VERSION
from mlag_agent.models import find_model
from mlag_agent.notify.notification import Notification
from mlag_agent.notify.notifier import NETCONF_STREAM
from mlag_agent.scenario.script import DeviceScript
from mlag_agent.scenario.values import PathError, config, look_up

__all__ = ["Happening", "Player"]

MAX_EVENTS = 10_000
"""Events of a device that wait for a step that looks at them; the oldest are forgotten."""

Held: TypeAlias = tuple[str, ...] | None
UNCHANGED: Held = ("unchanged",)
"""By identity: not a value, but that the one before stays."""

GROUP = "m-lag/dfs-groups/dfs-group[1]/state"


@lru_cache(maxsize=1)
def _nobody() -> UserSettings:
    """Settings have a user; this one has no way in, and nothing listens."""
    return UserSettings(name="nobody", password_hash=hash_password(secrets.token_urlsafe(16)))


@dataclass(frozen=True, slots=True)
class Happening:
    """A notification: its name, and its leafs by name."""

    name: str
    leafs: Mapping[str, str]


@dataclass(slots=True)
class Player:
    """One device, which can be stopped and started again with what it had stored."""

    name: str
    script: DeviceScript
    folder: Path
    device: Device | None = None
    events: deque[Happening] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    _fabric: LoopbackFabric | None = None
    _addresses: Held = None
    _vpn_instances: Held = None

    def __post_init__(self) -> None:
        self._addresses, self._vpn_instances = self.script.addresses, self.script.vpn_instances

    @property
    def running(self) -> Device:
        """The device; raises SettingsError when it has been stopped, which is a mistake of the scenario."""
        if self.device is None:
            raise SettingsError(f"{self.name} is stopped", "start it first")
        return self.device

    async def start(self) -> None:
        """Boot it."""
        if self.device is not None:
            raise SettingsError(f"{self.name} is running already")
        script, folder = self.script, self.folder / "rendezvous"
        model = find_model(script.model or "")
        fabric = self._fabric = LoopbackFabric(folder, self.name, "pair")
        self.hold()
        identity = identity_of(self.name, model, mac=script.system_mac, release=script.release)
        device = Device(
            Settings(
                state=str(self.folder / self.name),
                device=DeviceSettings(name=self.name, model=model.name),
                listen=ListenSettings(ssh=False),
                users=(_nobody(),),
                audit=AuditSettings(file="off"),
                notifications=NotificationSettings(replay_length=0),
                control=False,
            ),
            identity=identity,
            fabric=fabric,
            protocol_version=script.protocol_version or PROTOCOL_VERSION,
        )
        await device.start()
        self.device = device
        device.agent.notifier.subscribe(NETCONF_STREAM, self._happened)

    async def stop(self) -> None:
        """Shut it down in good order; harmless when it is not running."""
        device, self.device = self.device, None
        if device is not None:
            await device.aclose()

    def hold(self, *, addresses: Held = UNCHANGED, vpn_instances: Held = UNCHANGED) -> None:
        """The addresses and VPN instances that it has from now on, over restarts too; None: any."""
        if addresses is not UNCHANGED:
            self._addresses = addresses
        if vpn_instances is not UNCHANGED:
            self._vpn_instances = vpn_instances
        if self._fabric is not None:
            known = None if self._addresses is None else {ip_address(text) for text in self._addresses}
            self._fabric.restrict(known, self._vpn_instances)

    async def configure(self, values: Mapping[str, Any]) -> None:
        """Merge a configuration into running.  Raises ValuesError, or RpcFailure for what the agent refuses."""
        agent = self.running.agent
        nodes = agent.reader.read(config(agent.library.tree, values))
        editor = Editor()
        root = editor.apply(agent.stores.running, nodes, Operation.MERGE)
        if editor.errors:
            raise RpcFailure(*editor.errors)
        await agent.transactor.apply(root)

    def value(self, path: str) -> Any:
        """One value of configuration and state: below the group's state, or with a leading slash below the root.

        Raises PathError.
        """
        agent = self.running.agent
        tree = agent.library.tree.data
        full = path[1:] if path.startswith("/") else f"{GROUP}/{path}"
        top = full.partition("/")[0].rpartition(":")[2]
        nodes = [node for node in tree.children.values() if node.name == top]
        if not nodes:
            raise PathError(f"'{path}': no module has {top} at the top")
        return look_up(tree, plain(tree, agent.operational(Below(nodes))), full)

    def _happened(self, notification: Notification, number: int) -> None:
        element = notification.element
        leafs = {
            child.tag.rpartition("}")[2]: child.text or "" for child in element.iter() if isinstance(child.tag, str)
        }
        self.events.append(Happening(notification.schema.name, leafs))
