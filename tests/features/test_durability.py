"""A disk that is full or read-only, over NETCONF: the change is refused, nothing is lost, and later it goes on."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fake_timers import FakeTimers
from mlag_agent.app import Device
from netconf_client import Client, Error, Reply, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

COPY = "<copy-config><target><startup/></target><source><{}/></source></copy-config>"


def large(name: str, size: int) -> str:
    return vpn(name, f"<description>{'x' * size}</description>")


def not_stored(reply: Reply) -> Error:
    error = reply.error
    assert (error.tag, error.app_tag) == ("operation-failed", "state-file-not-writable")
    assert "nothing was applied" in error.message
    return error


async def names(session: Client, source: str = "running") -> list[str]:
    return (await session.get_config(source)).leafs("name")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Use up all the space that is left."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


class TestFullDisk:
    async def test_running(self, start: Start, connect: Connect, disk: Path) -> None:
        options = {"state": str(disk / "state")}
        device = await start(**options)
        session = await connect(device)
        assert (await session.edit(vpn("red"), "running")).ok
        fill(disk)
        not_stored(await session.edit(large("big", 200_000), "running"))
        assert (await session.edit(large("big", 200_000))).ok
        not_stored(await session.commit())
        not_stored(await session.rpc("<commit><confirmed/></commit>"))
        assert device.agent.commits.pending is None
        assert await names(session) == ["red"]
        assert await names(session, "candidate") == ["big", "red"]
        (disk / "filler").unlink()
        assert (await session.commit()).ok
        await session.aclose()
        await device.aclose()
        assert await names(await connect(await start(**options))) == ["big", "red"]

    async def test_startup(self, start: Start, connect: Connect, disk: Path) -> None:
        options = {"state": str(disk / "state"), "startup": True}
        device = await start(**options)
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        assert (await session.rpc(COPY.format("running"))).ok
        await session.edit(large("big", 200_000), "running")
        fill(disk)
        not_stored(await session.rpc(COPY.format("running")))
        assert await names(session, "startup") == ["red"]
        (disk / "filler").unlink()
        assert (await session.rpc(COPY.format("running"))).ok
        assert await names(session, "startup") == ["big", "red"]
        await session.aclose()
        await device.aclose()
        assert await names(await connect(await start(**options))) == ["big", "red"]

    async def test_a_rollback_is_not_kept_off(self, start: Start, connect: Connect, disk: Path) -> None:
        """docs/decisions/010: running goes back; a start goes back once more."""
        timers = FakeTimers()
        options = {"state": str(disk / "state")}
        device = await start(call_later=timers.call_later, **options)
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        await session.edit(large("big", 200_000))
        assert (await session.rpc("<commit><confirmed/></commit>")).ok
        fill(disk)
        timers.fire()
        for task in tuple(device.agent.commits._tasks):
            await task
        assert await names(session) == ["red"]
        await session.aclose()
        await device.aclose()
        (disk / "filler").unlink(missing_ok=True)
        assert await names(await connect(await start(**options))) == ["red"]


class TestReadOnly:
    async def test_file_system(self, start: Start, connect: Connect, disk: Path) -> None:
        """No file can be opened for writing any more; those that are open cannot be written either."""
        device = await start(state=str(disk / "state"))
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        journal = device.agent.journal
        assert journal is not None
        journal._connection.execute("PRAGMA query_only=1")
        not_stored(await session.edit(vpn("blue"), "running"))
        reset = '<factory-reset xmlns="urn:ietf:params:xml:ns:yang:ietf-factory-default"/>'
        assert (await session.rpc(reset)).error.app_tag == "state-file-not-writable"
        assert await names(session) == ["red"]
        journal._connection.execute("PRAGMA query_only=0")
        assert (await session.edit(vpn("blue"), "running")).ok

    async def test_folder_at_the_start(self, start: Start, connect: Connect, disk: Path) -> None:
        from mlag_agent.errors import SettingsError  # noqa: PLC0415  # this test alone needs it

        device = await start(state=str(disk / "state"))
        await device.aclose()
        remount(disk, "ro")
        try:
            with pytest.raises(SettingsError) as caught:
                await start(state=str(disk / "state"))
            assert "state" in str(caught.value)
        finally:
            remount(disk, "rw")


async def test_a_limit_on_the_size_of_files(start: Start, connect: Connect) -> None:
    """As a quota or ulimit: EFBIG instead of ENOSPC.  Needs no rights."""
    device = await start()
    session = await connect(device)
    assert (await session.edit(vpn("red"), "running")).ok
    size = max(file.stat().st_size for file in os.scandir(device.settings.state))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, before[1]))
    try:
        reply = await session.edit(large("big", 500_000), "running")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    not_stored(reply)
    assert await names(session) == ["red"]
    assert (await session.edit(large("big", 500_000), "running")).ok
    await session.aclose()
    await device.aclose()
    assert await names(await connect(await start())) == ["big", "red"]
