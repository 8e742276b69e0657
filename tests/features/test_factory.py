"""RFC 8808: the factory default as a datastore, as what a new device begins with, and as what a reset brings back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fake_timers import FakeTimers
from mlag_agent.app import Device
from mlag_agent.errors import SettingsError
from netconf_client import Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

RESET = '<factory-reset xmlns="urn:ietf:params:xml:ns:yang:ietf-factory-default"/>'
SOURCE = (
    '<datastore xmlns="urn:mlag-agent:yang:mlag-agent-factory" '
    'xmlns:fd="urn:ietf:params:xml:ns:yang:ietf-factory-default">fd:factory-default</datastore>'
)
LOCK = "<lock><target><{}/></target></lock>"


async def names(session: Client, source: str = "running") -> list[str]:
    return (await session.get_config(source)).leafs("name")


@pytest.fixture
def factory_file(tmp_path: Path) -> str:
    path = tmp_path / "factory.xml"
    path.write_text(f"<config>{vpn('factory')}</config>")
    return str(path)


def files(device: Device) -> list[Path]:
    """The state file and its log."""
    return list(Path(device.settings.state).glob("state.db*"))


class TestContent:
    async def test_a_new_device_begins_with_it(self, start: Start, connect: Connect, factory_file: str) -> None:
        session = await connect(await start(factory_default=factory_file))
        assert await names(session) == ["factory"]

    async def test_one_that_was_configured_does_not(self, start: Start, connect: Connect, factory_file: str) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("mine"), "running")
        await session.aclose()
        await device.aclose()
        session = await connect(await start(factory_default=factory_file))
        assert await names(session) == ["mine"]

    async def test_startup_begins_with_it(self, start: Start, connect: Connect, factory_file: str) -> None:
        session = await connect(await start(factory_default=factory_file, startup=True))
        assert await names(session) == await names(session, "startup") == ["factory"]

    async def test_a_damaged_state_file_brings_it_back(self, start: Start, connect: Connect, factory_file: str) -> None:
        device = await start(factory_default=factory_file)
        await device.aclose()
        (Path(device.settings.state) / "state.db").write_bytes(b"no database" * 1000)
        session = await connect(await start(factory_default=factory_file))
        assert await names(session) == ["factory"]

    @pytest.mark.parametrize(
        "text",
        [
            "<data xmlns='urn:ietf:params:xml:ns:netconf:base:1.0'>{}</data>",
            "<?xml version='1.0'?><!-- factory -->\n<config>{}</config>",
            "<instance-data-set xmlns='urn:ietf:params:xml:ns:yang:ietf-yang-instance-data'><name>x</name>"
            "<content-data>{}</content-data></instance-data-set>",
        ],
    )
    async def test_forms(self, start: Start, connect: Connect, tmp_path: Path, text: str) -> None:
        path = tmp_path / "f.xml"
        path.write_text(text.format(vpn("factory")))
        assert await names(await connect(await start(factory_default=str(path)))) == ["factory"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("<config>", "cannot read"),
            ("<rpc/>", "begins with <rpc>"),
            ("<config><x xmlns='urn:x'/></config>", "no valid configuration"),
            (f"<config>{group('<ipv6><tcp-port>2048</tcp-port></ipv6>')}</config>", "local-address"),
            ("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><config>&e;</config>", "document type"),
        ],
    )
    async def test_what_is_none(self, start: Start, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / "f.xml"
        path.write_text(text)
        with pytest.raises(SettingsError, match=words):
            await start(factory_default=str(path))

    async def test_no_file(self, start: Start, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot read"):
            await start(factory_default=str(tmp_path / "none.xml"))


class TestDatastore:
    @pytest.fixture
    async def session(self, start: Start, connect: Connect, factory_file: str) -> Client:
        session = await connect(await start(factory_default=factory_file, startup=True))
        await session.edit(vpn("mine"), "running")
        return session

    @pytest.mark.parametrize("target", ["running", "candidate", "startup"])
    async def test_copied(self, session: Client, target: str) -> None:
        await session.rpc("<copy-config><target><startup/></target><source><running/></source></copy-config>")
        copy = f"<copy-config><target><{target}/></target><source>{SOURCE}</source></copy-config>"
        assert (await session.rpc(copy)).ok
        assert await names(session, target) == ["factory"]

    async def test_other_datastores_by_their_identity(self, session: Client) -> None:
        source = SOURCE.replace("fd:factory-default", "ds:running").replace(
            "xmlns:fd", "xmlns:ds='urn:ietf:params:xml:ns:yang:ietf-datastores' xmlns:fd"
        )
        copy = "<copy-config><target><{}/></target><source>{}</source></copy-config>"
        assert (await session.rpc(copy.format("startup", source))).ok
        assert await names(session, "startup") == ["factory", "mine"]
        assert "both running" in (await session.rpc(copy.format("running", source))).error.message
        error = (await session.rpc(copy.format("startup", source.replace("ds:running", "ds:intended")))).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": "datastore"})
        assert "factory-default" in error.message


@pytest.mark.parametrize(("candidate", "startup"), [("shared", False), ("private", True), ("none", False)])
class TestReset:
    async def test_every_datastore(
        self, start: Start, connect: Connect, factory_file: str, candidate: str, startup: bool
    ) -> None:
        options = {"factory_default": factory_file, "candidate": candidate, "startup": startup}
        device = await start(**options)
        one, two = await connect(device), await connect(device)
        await one.edit(vpn("mine"), "running")
        datastores = ["running"]
        if startup:
            await one.rpc("<copy-config><target><startup/></target><source><running/></source></copy-config>")
            datastores.append("startup")
        if candidate != "none":
            await two.edit(vpn("other"))
            datastores.append("candidate")
        assert (await one.rpc(RESET)).ok
        for session in (one, two):
            for datastore in datastores:
                assert await names(session, datastore) == ["factory"]
        for session in (one, two):
            await session.aclose()
        await device.aclose()
        assert await names(await connect(await start(**options))) == ["factory"]

    async def test_not_under_the_lock_of_another(
        self, start: Start, connect: Connect, candidate: str, startup: bool
    ) -> None:
        device = await start(candidate=candidate, startup=startup)
        one, two = await connect(device), await connect(device)
        await one.edit(vpn("mine"), "running")
        for name in ("running", *(["startup"] if startup else []), *(["candidate"] if candidate == "shared" else [])):
            assert (await two.rpc(LOCK.format(name))).ok
            error = (await one.rpc(RESET)).error
            assert (error.tag, error.info) == ("in-use", {"session-id": str(two.session_id)})
            await two.rpc(LOCK.format(name).replace("lock", "unlock"))
        assert await names(one) == ["mine"]
        await one.rpc(LOCK.format("running"))
        assert (await one.rpc(RESET)).ok


class TestResetAndConfirmedCommit:
    async def test_nothing_is_pending_afterwards(self, start: Start, connect: Connect, factory_file: str) -> None:
        timers = FakeTimers()
        device = await start(factory_default=factory_file, call_later=timers.call_later)
        session = await connect(device)
        await session.edit(vpn("mine"), "running")
        await session.edit(vpn("new"))
        assert (await session.rpc("<commit><confirmed/></commit>")).ok
        assert (await session.rpc(RESET)).ok
        assert timers.delays == []
        assert device.agent.commits.pending is None
        await session.aclose()
        await device.aclose()
        assert await names(await connect(await start())) == ["factory"]

    async def test_the_engine_is_reset_as_well(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(group(channel()), "running")
        assert device.engine.config is not None
        assert (await session.rpc(RESET)).ok
        assert device.engine.config is None

    async def test_others_are_told(self, start: Start, connect: Connect) -> None:
        device = await start()
        told = asyncio.Event()
        device.agent.on_factory_reset.append(told.set)
        assert (await (await connect(device)).rpc(RESET)).ok
        assert told.is_set()

    async def test_logs(self, start: Start, connect: Connect) -> None:
        """Events and operations are forgotten; the audit log stays and says who has done that."""
        device = await start()
        session = await connect(device)
        await session.edit(vpn("a-name-to-look-for"), "running")
        log = device.agent.notifier.log
        assert log is not None
        assert log.read(0)
        assert (await session.rpc(RESET)).ok
        assert not log.read(0)
        assert [operation.operation for operation in device.log] == ["ietf-factory-default:factory-reset"]
        audit = Path(device.settings.state) / "audit.jsonl"
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        assert any("edit-config" in line.get("operation", "") for line in lines)
        assert "factory-reset" in lines[-1]["operation"]
        assert lines[-1]["user"] == "anna"

    async def test_nothing_of_the_old_configuration_is_in_the_file(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(vpn("a-name-to-look-for"), "running")
        await session.rpc(RESET)
        assert all(b"a-name-to-look-for" not in file.read_bytes() for file in files(device))
