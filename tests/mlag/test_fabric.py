"""The loopback fabric: claims, pairs, ports that are really bound; and the fault hook on a wire of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.mlag import AddressUnavailable, FabricSettingsError, Fault, HostFabric, Link, LoopbackFabric
from mlag_agent.mlag.fabric import Connection
from mlag_agent.mlag.port_holder import describe_port_holder

A, B = ip_address("10.1.1.1"), ip_address("2001:db8::2")


class Sink:
    """Records what a connection delivers."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.arrived.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()

    def resume_sending(self) -> None:
        self.arrived.set()

    async def has(self, count: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self.data) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return bytes(self.data)


@pytest.fixture
async def wire(tmp_path: Path) -> Any:
    """Two fabrics and a connection between them: (fabric, its end, what the far end gets, far end)."""
    one, two = LoopbackFabric(tmp_path, "one", None), LoopbackFabric(tmp_path, "two", None)
    await one.open()
    await two.open()
    here, there = await one.listen(None, A, 2048), await two.listen(None, B, 2048)
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    there.set_handler(accepted.set_result)
    near = await one.connect(None, A, B, 2048)
    far = await accepted
    sink = Sink()
    far.attach(sink)
    near.attach(Sink())
    yield one, near, sink, far, two
    for connection in (near, far):
        connection.abort()
        await connection.wait_closed()
    await here.aclose()
    await there.aclose()


async def test_bytes_cross(wire: Any) -> None:
    _, near, sink, _, _ = wire
    near.send(b"hello")
    assert await sink.has(5) == b"hello"


async def test_drop(wire: Any) -> None:
    fabric, near, sink, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.DROP)
    near.send(b"lost")
    fabric.set_fault(Link.CHANNEL, Fault.NONE)
    near.send(b"kept")
    assert await sink.has(4) == b"kept"


async def test_what_the_sender_is_told(wire: Any) -> None:
    """Lost on the way is sent for all that the sender knows; a connection that is closed takes nothing."""
    fabric, near, _, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.DROP)
    assert near.send(b"lost") is None
    fabric.set_fault(Link.CHANNEL, Fault.NONE)
    assert near.send(b"kept") is None
    fabric.set_fault(Link.CHANNEL, Fault.CUT)
    assert near.send(b"late") == "the connection is closed"


async def test_corrupt_changes_one_byte(wire: Any) -> None:
    fabric, near, sink, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.CORRUPT)
    near.send(b"abcdef")
    got = await sink.has(6)
    assert sum(x != y for x, y in zip(got, b"abcdef", strict=True)) == 1


async def test_delay_keeps_the_order_even_when_mended(wire: Any) -> None:
    fabric, near, sink, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.DELAY, 50)
    near.send(b"first ")
    fabric.set_fault(Link.CHANNEL, Fault.NONE)
    near.send(b"second")
    assert await sink.has(12) == b"first second"


async def test_close_sends_what_is_late(wire: Any) -> None:
    fabric, near, sink, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.DELAY, 30)
    near.send(b"late")
    near.close()
    assert await sink.has(4) == b"late"
    async with asyncio.timeout(10):
        await sink.lost.wait()


async def test_cut_acts_on_both_directions(wire: Any) -> None:
    fabric, _, sink, _, two = wire
    fabric.set_fault(Link.CHANNEL, Fault.CUT)
    async with asyncio.timeout(10):
        await sink.lost.wait()
    with pytest.raises(ConnectionError):
        await fabric.connect(None, A, B, 2048)
    fabric.set_fault(Link.CHANNEL, Fault.NONE)
    two.set_fault(Link.CHANNEL, Fault.CUT)
    connection = await fabric.connect(None, A, B, 2048)  # the kernel accepts, the fabric does not
    lost = Sink()
    connection.attach(lost)
    async with asyncio.timeout(10):
        await lost.lost.wait()


async def test_unsent_bytes_are_bounded(wire: Any) -> None:
    _, near, sink, far, _ = wire
    far._transport.pause_reading()
    sent = 0
    while near.can_send:
        near.send(bytes(65536))
        sent += 65536
        assert sent < 64 << 20
        await asyncio.sleep(0)
    far._transport.resume_reading()
    await sink.has(sent)
    assert near.can_send


async def test_unsent_bytes_are_bounded_when_late(wire: Any) -> None:
    fabric, near, _, _, _ = wire
    fabric.set_fault(Link.CHANNEL, Fault.DELAY, 60000)
    sent = 0
    while near.can_send:
        near.send(bytes(65536))
        sent += 65536
    assert sent == 1 << 20


@pytest.mark.parametrize("delay", [0, 60001])
async def test_impossible_delay(tmp_path: Path, delay: int) -> None:
    with pytest.raises(ValueError, match="delay"):
        LoopbackFabric(tmp_path, "x", None).set_fault(Link.CHANNEL, Fault.DELAY, delay)


async def test_other_folders_never_share_a_stand_in(tmp_path: Path) -> None:
    held = []
    for number in range(8):
        fabric = LoopbackFabric(tmp_path / str(number), "x", None)
        await fabric.open()
        held.append(await fabric.listen(None, A, 2048))
    assert len({listener._socket.getsockname() for listener in held}) == 8
    for listener in held:
        await listener.aclose()


async def test_hash_collisions_are_resolved(tmp_path: Path) -> None:
    fabric = LoopbackFabric(tmp_path, "x", None)
    await fabric.open()
    first = await fabric.listen(None, A, 2048)
    loopback = first._socket.getsockname()[0]
    await first.aclose()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as squatter:
        squatter.bind(f"\0mlag-agent/{loopback}")
        second = await fabric.listen(None, A, 2048)
        assert second._socket.getsockname()[0] != loopback
        await second.aclose()


async def test_the_claim_of_a_dead_process_blocks_nobody(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys; from pathlib import Path; from ipaddress import ip_address\n"
        "from mlag_agent.mlag import LoopbackFabric\n"
        "async def main():\n"
        "    fabric = LoopbackFabric(Path(sys.argv[1]), 'dead', 'pair')\n"
        "    await fabric.open()\n"
        "    await fabric.listen(None, ip_address('10.1.1.1'), 2048)\n"
        "    print('held', flush=True); sys.stdin.read(1); os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        fabric = LoopbackFabric(tmp_path, "alive", "pair")
        await fabric.open()
        with pytest.raises(AddressUnavailable, match="device dead holds it"):
            await fabric.listen(None, A, 2048)
        with pytest.raises(FabricSettingsError, match="devices dead and alive"):
            await LoopbackFabric(tmp_path, "third", "pair").open()
        process.stdin.write("x")
        process.stdin.flush()
        process.wait()
    listener = await fabric.listen(None, A, 2048)
    third = LoopbackFabric(tmp_path, "third", "pair")
    await third.open()
    await third.aclose()
    await listener.aclose()
    await fabric.aclose()


async def test_a_folder_with_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    fabrics = [LoopbackFabric(deep, name, "p" * 200) for name in "ab"]
    for fabric in fabrics:
        await fabric.open()
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    assert fabrics[0].peer_link is not None
    assert fabrics[1].peer_link is not None
    fabrics[1].peer_link.set_receiver(got.set_result)
    fabrics[0].peer_link.send(b"hello")
    assert await got == b"hello"
    for fabric in fabrics:
        await fabric.aclose()


async def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FabricSettingsError, match="cannot be used") as caught:
        await LoopbackFabric(tmp_path / "file", "x", "p").open()
    assert caught.value.hint


async def test_concurrent_claims_have_one_winner(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from ipaddress import ip_address\n"
        "from mlag_agent.mlag import LoopbackFabric, AddressUnavailable\n"
        "async def main():\n"
        "    fabric = LoopbackFabric(Path(sys.argv[1]), sys.argv[2], None)\n"
        "    await fabric.open()\n"
        "    sys.stdin.readline()\n"
        "    try:\n"
        "        await fabric.listen(None, ip_address('10.1.1.1'), 2048); print('won', flush=True)\n"
        "    except AddressUnavailable: print('refused', flush=True)\n"
        "    sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
            [sys.executable, "-c", script, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.stdout.readline().strip() for process in processes if process.stdout is not None]
    for process in processes:
        process.communicate("end\n")
    assert sorted(answers) == ["refused", "refused", "refused", "won"]


def test_port_holder() -> None:
    with socket.socket() as holder, socket.socket(socket.AF_INET6) as holder6:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        assert describe_port_holder("127.0.0.1", holder.getsockname()[1]) == "this process"
        holder6.bind(("::1", 0))
        holder6.listen()
        assert describe_port_holder("::1", holder6.getsockname()[1]) == "this process"
    assert describe_port_holder("127.0.0.1", 1) == "another process"


async def test_host_fabric_refuses_what_the_machine_has_not() -> None:
    fabric = HostFabric()
    await fabric.open()
    with pytest.raises(AddressUnavailable, match="no interface of this device holds it"):
        await fabric.listen(None, ip_address("192.0.2.77"), 2048)
    with pytest.raises(AddressUnavailable):
        await fabric.check(None, ip_address("192.0.2.77"), 2048)
    assert os.getpid()
