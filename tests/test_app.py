"""Start, restart and end of a whole agent, and what stands in its way."""

from __future__ import annotations

import logging
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from mlag_agent.app import Device
from mlag_agent.config import ListenSettings, Settings
from mlag_agent.errors import SchemaError, SettingsError
from netconf_client import DML, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
MakeSettings = Callable[..., Settings]

COPY = "<copy-config><target><{}/></target><source><{}/></source></copy-config>"


async def restart(start: Start, device: Device, **options: object) -> Device:
    """The same device once more, as after a power failure that came when nothing was under way."""
    await device.aclose()
    return await start(device.settings.device.name, **options)


def damage(state: Path) -> None:
    """Overwrite the state file with what is no database."""
    for path in state.glob("state.db*"):
        path.unlink()
    (state / "state.db").write_bytes(b"this is no database, and long enough to be read as one" * 100)


class TestRestart:
    async def test_running_is_restored(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("red") + group(channel(vpn_instance="red"), password="secret-12"), "running")
        await session.edit(group("<ipv6><tcp-port>3000</tcp-port></ipv6>"), "running")
        await session.edit(vpn("blue"))
        before = (await session.get_config()).text.partition(">")[2]
        in_force = device.engine.config
        await session.aclose()
        again = await restart(start, device)
        session = await connect(again)
        assert (await session.get_config()).text.partition(">")[2] == before
        assert again.engine.config == in_force
        # The candidate does not survive: it is running again.
        assert (await session.get_config("candidate")).leafs("name") == ["red"]

    async def test_deletions_are_restored(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        await session.edit(group(channel()), "running")
        await session.edit("", "running", "<default-operation>replace</default-operation>")
        await session.edit(vpn("blue"), "running")
        await session.aclose()
        session = await connect(await restart(start, device))
        found = await session.get_config()
        assert found.leafs("name") == ["blue"]
        assert found.leaf("tcp-port") is None

    async def test_a_refused_commit_leaves_no_trace(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        assert (await session.edit(group(channel(port=device.port)), "running")).errors
        await session.aclose()
        session = await connect(await restart(start, device))
        assert (await session.get_config()).leaf("m-lag") is None
        assert (await session.get_config()).leafs("name") == ["red"]

    async def test_a_port_that_is_busy_now(self, start: Start, connect: Connect) -> None:
        """The agent starts all the same: what was accepted before is shown as down, not lost."""
        device = await start()
        session = await connect(device)
        with socket.socket() as holder:
            holder.bind(("0.0.0.0", 0))
            port = holder.getsockname()[1]
            holder.close()
        assert (await session.edit(group(channel(port=port)), "running")).ok
        await session.aclose()
        await device.aclose()
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("0.0.0.0", port))
            holder.listen()
            again = await start(device.settings.device.name)
            session = await connect(again)
            assert (await session.get_config()).leaf("tcp-port") == str(port)
            found = await session.get(f'<m-lag xmlns="{DML}"/>')
            assert found.leaf("sync-channel", "down-reason") == "port-in-use"
            assert str(port) in (found.leaf("sync-channel", "detail") or "")
        # It tries again by itself once the port is free.
        await again.engine.wait_for(lambda state: state.channel.down_reason != "port-in-use", 30)

    async def test_damaged_file(self, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        await session.aclose()
        await device.aclose()
        state = Path(device.settings.state)
        damage(state)
        session = await connect(await start())
        assert (await session.get_config()).data[:] == []
        assert (state / "state.db.damaged-1").exists()
        assert "set aside" in caplog.text
        assert (await session.edit(vpn("blue"), "running")).ok

    async def test_another_model_than_it_was_made_with(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(group(channel()), "running")
        await session.aclose()
        await device.aclose()
        with pytest.raises(SettingsError, match="stored configuration cannot be used") as caught:
            await start(model="CE6885-LL:low-latency")
        assert "ipv6" in str(caught.value)
        assert "model" in caught.value.hint
        assert (await start()).engine.config is not None

    async def test_the_key_is_lost(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(group(password="secret-12"), "running")
        await session.aclose()
        await device.aclose()
        (Path(device.settings.state) / "sealing.key").unlink()
        with pytest.raises(SettingsError, match="password") as caught:
            await start()
        assert "secret" not in str(caught.value)

    async def test_host_key_stays(self, start: Start) -> None:
        device = await start()
        path = Path(device.settings.state) / "ssh_host_ed25519_key"
        before = path.read_bytes()
        await restart(start, device)
        assert path.read_bytes() == before
        assert path.stat().st_mode & 0o777 == 0o600


class TestStartup:
    async def test_running_begins_as_startup(self, start: Start, connect: Connect) -> None:
        device = await start(startup=True)
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        assert (await session.rpc(COPY.format("startup", "running"))).ok
        await session.edit(vpn("blue"), "running")
        await session.aclose()
        session = await connect(await restart(start, device, startup=True))
        assert (await session.get_config()).leafs("name") == ["red"]
        assert (await session.get_config("startup")).leafs("name") == ["red"]

    async def test_deleted(self, start: Start, connect: Connect) -> None:
        device = await start(startup=True)
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        await session.rpc(COPY.format("startup", "running"))
        assert (await session.rpc("<delete-config><target><startup/></target></delete-config>")).ok
        assert (await session.get_config()).leafs("name") == ["red"]
        await session.aclose()
        session = await connect(await restart(start, device, startup=True))
        assert (await session.get_config()).data[:] == []

    async def test_running_is_not_kept(self, start: Start, connect: Connect) -> None:
        """Nor does it come back when the device is started without a startup datastore."""
        device = await start(startup=True)
        session = await connect(device)
        await session.edit(vpn("red"), "running")
        await session.aclose()
        session = await connect(await restart(start, device))
        assert (await session.get_config()).data[:] == []


class TestCannotStart:
    async def test_no_user(self, start: Start) -> None:
        with pytest.raises(SettingsError, match="no user") as caught:
            await start(users=())
        assert "--user" in caught.value.hint

    async def test_model(self, start: Start) -> None:
        with pytest.raises(SettingsError, match="no device model CE9999") as caught:
            await start(model="CE9999")
        assert "CE6866" in caught.value.hint

    async def test_folder_that_cannot_be(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match="state folder") as caught:
            await start(state=str(tmp_path / "file" / "state"))
        assert "--state" in caught.value.hint

    async def test_folder_is_a_file(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match="state folder"):
            await start(state=str(tmp_path / "file"))

    async def test_two_agents_on_one_folder(self, start: Start) -> None:
        device = await start()
        with pytest.raises(SettingsError, match="state"):
            await start()
        assert device.port

    async def test_port_is_taken(self, start: Start) -> None:
        device = await start("one")
        with pytest.raises(SettingsError, match=str(device.port)):
            await start("two", listen=ListenSettings(port=device.port))

    async def test_listen_address(self, start: Start) -> None:
        with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
            await start(listen=ListenSettings(host="192.0.2.1", port=0))
        with pytest.raises(SettingsError):
            await start(listen=ListenSettings(host="no such host.invalid", port=0))

    async def test_bad_module(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "broken.yang").write_text("module broken { namespace urn:b; prefix b; leaf x }")
        with pytest.raises(SchemaError, match="broken"):
            await start(yang_dirs=(str(tmp_path),), modules=("broken",))

    async def test_nothing_is_left(self, start: Start) -> None:
        """The ``start`` fixture looks for tasks; the port and the folder can be had again."""
        first = await start("one")
        with pytest.raises(SettingsError):
            await start("two", listen=ListenSettings(port=first.port))
        assert (await start("two")).port


class TestEnd:
    async def test_twice(self, start: Start) -> None:
        device = await start()
        await device.aclose()
        await device.aclose()

    async def test_what_comes_after_a_failure_is_ended_too(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        device = await start()
        close = device.engine.aclose

        async def broken() -> None:
            await close()
            raise RuntimeError("oops")

        monkeypatch.setattr(device.engine, "aclose", broken)
        with pytest.raises(RuntimeError, match="oops"):
            await device.aclose()
        assert (await start()).port  # the state file is free

    async def test_two_devices_in_one_process_share_their_schema(self, start: Start) -> None:
        one, two = await start("one"), await start("two")
        assert one.agent.library is two.agent.library
        assert one.agent.stores is not two.agent.stores

    async def test_log_of_an_ordinary_life(
        self, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            device = await start()
            session = await connect(device)
            await session.edit(group(channel()), "running")
            await session.rpc("<close-session/>")
            await device.aclose()
            assert caplog.text == ""


class TestDamage:
    """Whatever has become of the state file: the agent starts, with what was stored or without, and says which."""

    async def stored(self, start: Start, connect: Connect, count: int = 20) -> tuple[Device, list[str]]:
        device = await start()
        session = await connect(device)
        for number in range(count):
            assert (await session.edit(vpn(f"v{number:02}"), "running")).ok
        await session.aclose()
        await device.aclose()
        return device, [f"v{number:02}" for number in range(count)]

    @pytest.mark.parametrize("seed", range(12))
    async def test_anywhere(self, start: Start, connect: Connect, seed: int, caplog: pytest.LogCaptureFixture) -> None:
        device, names = await self.stored(start, connect)
        path = Path(device.settings.state) / "state.db"
        random = Random(seed)
        data = bytearray(path.read_bytes())
        for _ in range(random.choice((1, 5, 50))):
            # Behind the header, whose version number says that the file is a newer agent's.
            at = random.randrange(100, len(data))
            data[at] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        again = await start()
        found = (await (await connect(again)).get_config()).leafs("name")
        aside = list(path.parent.glob("state.db.damaged-*"))
        assert found == ([] if aside else names)
        assert ("set aside" in caplog.text) == bool(aside)

    async def test_what_is_no_xml(self, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
        device, _ = await self.stored(start, connect, 1)
        path = Path(device.settings.state) / "state.db"
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE edit SET config = CAST('<a>' AS BLOB), crc = NULL")
        connection.close()
        session = await connect(await start())
        assert (await session.get_config()).data[:] == []
        assert "set aside" in caplog.text
        assert (await session.edit(vpn("new"), "running")).ok
