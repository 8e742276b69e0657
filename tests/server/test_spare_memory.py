"""What long messages leave behind is given back, some time later and once."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.app import Device
from mlag_agent.server.spare_memory import LONG_MESSAGE, SpareMemory
from netconf_client import Client

Connect = Callable[..., Awaitable[Client]]


async def test_after_a_long_message_and_once(device: Device, connect: Connect) -> None:
    trimmed: list[None] = []
    over = asyncio.Event()

    def trim() -> None:
        trimmed.append(None)
        over.set()

    device._spare_memory = SpareMemory(trim, after=0)
    session = await connect(device)
    await session.rpc("<get/>")
    await session.rpc("<get/>")
    await session.rpc(f"<get><!--{'x' * LONG_MESSAGE}--></get>")
    await asyncio.wait_for(over.wait(), 10)
    await session.rpc("<get/>")
    assert len(trimmed) == 1


async def test_closed_while_it_waits() -> None:
    trimmed: list[None] = []
    spare = SpareMemory(lambda: trimmed.append(None), after=0)
    spare.long_message()
    spare.close()
    spare.long_message()
    await asyncio.sleep(0.01)
    assert not trimmed


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim(3) is glibc's")
def test_this_system_has_it() -> None:
    SpareMemory()._due()
