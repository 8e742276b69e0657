"""Two agents in two processes, and two in two network namespaces with real addresses."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

# A device driven by lines of JSON: each is a call, each answer a line.
DEVICE = """
import asyncio, json, sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from mlag_agent.mlag import *

def fabric(spec):
    if "folder" in spec:
        return LoopbackFabric(Path(spec["folder"]), spec["name"], "pair")
    link = spec.get("peer_link")
    return HostFabric(None if link is None else PeerLinkAddresses(ip_address(link[0]), ip_address(link[1]), 4800))

async def main():
    spec = json.loads(sys.argv[1])
    timers = EngineTimers(hello_interval=0.1, hello_hold=0.5, keepalive=0.2, session_hold=1.0, retry_cap=0.2,
                          connect_timeout=0.5, open_timeout=1.0, address_check=0.2, close_timeout=0.3)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with Engine(DeviceIdentity(spec["name"]), fabric(spec), timers=timers) as engine:
        print("ready", flush=True)
        while line := await reader.readline():
            call = json.loads(line)
            try:
                answer = await globals()["do_" + call.pop("do")](engine, **call)
            except (EngineRefused, TimeoutError) as error:
                answer = {"error": type(error).__name__, "text": str(error)}
            print(json.dumps(answer), flush=True)
    transport.close()

async def do_apply(engine, local, peer, port, vpn=None):
    local, peer = ip_address(local), ip_address(peer)
    config = GroupConfig(1, "secret-123", ChannelConfig(local.version, local, peer, vpn, port), None, None)
    engine.commit(await engine.prepare(config))
    return {}

async def do_wait(engine, reason=None, arp=None):
    def there(state):
        if reason is not None:
            return state.channel.down_reason == reason
        return state.channel.up and (arp is None or state.table(EntryType.ARP).from_peer == arp)
    state = await engine.wait_for(there, 15)
    return {"role": state.channel.role, "detail": state.channel.detail,
            "digests": [table.digest for table in state.tables]}

async def do_learn(engine, start, count):
    return await engine.learn(ip_address(start), count, "eth0", 10)

asyncio.run(main())
"""


class Device:
    """A process that runs one engine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def do(self, what: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        return json.loads(await self.line())


@asynccontextmanager
async def device(namespace: str | None = None, **spec: Any) -> AsyncIterator[Device]:
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", DEVICE, json.dumps(spec)]
    if namespace is not None:
        command = ["ip", "netns", "exec", namespace, *command]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    made = Device(process)
    try:
        assert await made.line() == "ready"
        yield made
    finally:
        _, errors = await process.communicate(b"")  # closes its standard input, which ends it
        assert errors == b"", errors.decode()
        assert process.returncode == 0


async def synchronise(a: Device, b: Device, ends: tuple[str, str], vpns: tuple[str | None, str | None]) -> None:
    """Configure both, learn on one, compare, break the port, see the reason, repair."""
    for one, local, peer, vpn in ((a, ends[0], ends[1], vpns[0]), (b, ends[1], ends[0], vpns[1])):
        assert await one.do("apply", local=local, peer=peer, port=2048, vpn=vpn) == {}
    for one, role in ((a, "listens"), (b, "connects")):
        assert (await one.do("wait"))["role"] == role
    assert await a.do("learn", start="192.168.0.0", count=3000) == [3000, 0]
    assert (await b.do("wait", arp=3000))["digests"] == (await a.do("wait"))["digests"]
    await b.do("apply", local=ends[1], peer=ends[0], port=2049, vpn=vpns[1])
    for one in (a, b):
        assert "tcp-port" in (await one.do("wait", reason="port-mismatch"))["detail"]
    await b.do("apply", local=ends[1], peer=ends[0], port=2048, vpn=vpns[1])
    assert (await b.do("wait", arp=3000))["digests"] == (await a.do("wait"))["digests"]


@pytest.mark.parametrize("ends", [("10.1.1.1", "10.1.1.2"), ("2001:db8::1", "2001:db8::2")])
async def test_two_processes(tmp_path: Path, ends: tuple[str, str]) -> None:
    async with device(name="a", folder=str(tmp_path)) as a, device(name="b", folder=str(tmp_path)) as b:
        await synchronise(a, b, ends, (None, None))


async def test_a_killed_process_is_noticed_and_comes_back(tmp_path: Path) -> None:
    async with device(name="a", folder=str(tmp_path)) as a:
        await a.do("apply", local="10.1.1.1", peer="10.1.1.2", port=2048)
        victim = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            DEVICE,
            json.dumps({"name": "b", "folder": str(tmp_path)}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        b = Device(victim)
        assert await b.line() == "ready"
        await b.do("apply", local="10.1.1.2", peer="10.1.1.1", port=2048)
        await a.do("wait")
        victim.kill()
        await victim.communicate()
        assert "error" not in await a.do("wait", reason="peer-closed")
        async with device(name="b", folder=str(tmp_path)) as again:
            await again.do("apply", local="10.1.1.2", peer="10.1.1.1", port=2048)
            assert (await a.do("wait"))["role"] == "listens"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by two veth pairs: ``ch`` for the channel, ``pl`` for the peer-link."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and ip(8)")
    tag = uuid.uuid4().hex[:6]
    names = (f"mlag-{tag}-a", f"mlag-{tag}-b")
    made: list[str] = []
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made: {error.stderr.decode().strip()}")
            made.append(name)
        for wire in ("ch", "pl"):
            ip("-n", names[0], "link", "add", wire, "type", "veth", "peer", "name", wire, "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "link", "set", "lo", "up")
            for wire, addresses in {
                "ch": (f"10.1.1.{number}/24", f"2001:db8::{number}/64"),
                "pl": (f"10.9.9.{number}/24", f"2001:db8:9::{number}/64"),
            }.items():
                for address in addresses:
                    nodad = ["nodad"] if ":" in address else []
                    ip("-n", name, "address", "add", address, "dev", wire, *nodad)
                ip("-n", name, "link", "set", wire, "up")
        yield names
    finally:
        for name in made:
            ip("netns", "del", name)


@pytest.mark.parametrize(
    ("ends", "links"),
    [
        (("10.1.1.1", "10.1.1.2"), ("10.9.9.1", "10.9.9.2")),
        (("2001:db8::1", "2001:db8::2"), ("2001:db8:9::1", "2001:db8:9::2")),
    ],
)
async def test_two_namespaces_with_real_addresses(
    namespaces: tuple[str, str], ends: tuple[str, str], links: tuple[str, str]
) -> None:
    async with (
        device(namespaces[0], name="a", peer_link=links) as a,
        device(namespaces[1], name="b", peer_link=links[::-1]) as b,
    ):
        refused = await a.do("apply", local="192.0.2.1", peer="192.0.2.2", port=2048)
        assert refused["error"] == "AddressUnavailable"
        await synchronise(a, b, ends, (None, None))
        ip("-n", namespaces[0], "link", "set", "ch", "down")
        await b.do("wait", reason="hold-timer-expired")
        ip("-n", namespaces[0], "link", "set", "ch", "up")
        if ":" in ends[0]:  # an interface that goes down loses its IPv6 addresses
            ip("-n", namespaces[0], "address", "add", f"{ends[0]}/64", "dev", "ch", "nodad")
        await b.do("wait", arp=3000)


async def test_a_vpn_instance_is_a_named_namespace(namespaces: tuple[str, str]) -> None:
    """Both agents run in this namespace; their channels live in others, and there is no peer-link."""
    async with device(name="a") as a, device(name="b") as b:
        refused = await a.do("apply", local="10.1.1.1", peer="10.1.1.2", port=2048, vpn="no-such-instance")
        assert refused["error"] == "VpnInstanceUnavailable"
        assert "no-such-instance" in refused["text"]
        await a.do("apply", local="10.1.1.1", peer="10.1.1.2", port=2048, vpn=namespaces[0])
        await a.do("wait", reason="peer-unreachable")
        await b.do("apply", local="10.1.1.2", peer="10.1.1.1", port=2048, vpn=namespaces[1])
        for one in (a, b):
            await one.do("wait")
        await a.do("learn", start="192.168.0.0", count=100)
        await b.do("wait", arp=100)
