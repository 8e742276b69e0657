"""Agents that serve the module acme, for which there is no code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.app import Device
from netconf_client import Client, Reply

FOLDER = Path(__file__).parent / "yang"
ACTION = "urn:ietf:params:xml:ns:yang:1"


class Acme:
    """An agent and a session with it."""

    def __init__(self, device: Device, session: Client, folder: Path) -> None:
        self.device = device
        self.session = session
        self.folder = folder

    async def reboot(self, content: str = "<reason>r</reason>") -> Reply:
        return await self.session.rpc(f'<reboot xmlns="urn:acme">{content}</reboot>')

    async def ping(self) -> Reply:
        return await self.session.rpc('<ping xmlns="urn:acme"/>')

    async def reset(self, number: int = 1, content: str = "") -> Reply:
        return await self.session.rpc(
            f'<action xmlns="{ACTION}"><system xmlns="urn:acme"><slot><number>{number}</number><reset>{content}</reset>'
            "</slot></system></action>"
        )

    async def configure(self, content: str) -> Reply:
        return await self.session.edit(f'<system xmlns="urn:acme">{content}</system>', "running")

    async def get(self, content: str = "") -> str:
        return (await self.session.get(f'<system xmlns="urn:acme">{content}</system>')).text


MakeAcme = Callable[..., Awaitable[Acme]]


@pytest.fixture
def acme(start: Any, connect: Any, tmp_path: Path) -> MakeAcme:
    """``await acme(hooks="python text", replies="xml text", **settings)``."""

    async def make(hooks: str = "", replies: str | tuple[str, ...] = "", **options: Any) -> Acme:
        for name, text, suffix in (("hooks", hooks, "py"), ("replies", replies, "xml")):
            if isinstance(text, tuple):
                options[name] = text
            elif text:
                file = tmp_path / f"{name}.{suffix}"
                file.write_text(text)
                options[name] = (str(file),)
        device = await start(yang_dirs=(str(FOLDER),), modules=("acme",), **options)
        return Acme(device, await connect(device), tmp_path)

    return make
