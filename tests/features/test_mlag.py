"""dfs-m-lag on a whole agent: the password's secrecy, refusals in prepare, live state that is valid YANG."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import oopt_gnpy_libyang as ly
import pytest
from lxml import etree

from mlag_agent.app import Device
from mlag_agent.mlag import Plan
from netconf_client import DML, NC, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
SECRET = "Tr0ub4dor-3xyz"
INTERFACES = "urn:ietf:params:xml:ns:yang:ietf-interfaces"


def state_bytes(device: Device) -> bytes:
    """Every byte that the agent keeps."""
    return b"".join(path.read_bytes() for path in Path(device.settings.state).rglob("*") if path.is_file())


def state_modes(device: Device) -> dict[str, int]:
    """File name to permissions."""
    return {path.name: path.stat().st_mode & 0o777 for path in Path(device.settings.state).iterdir()}


class TestPassword:
    async def test_nowhere_in_clear(self, device: Device, session: Client, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            replies = [
                await session.edit(group(password=SECRET)),
                await session.get_config("candidate"),
                await session.commit(),
                await session.get_config("running"),
                await session.get(),
                # Together with what is wrong, in the same container and everywhere around.
                await session.edit(group(channel(port=80), password=SECRET), "running"),
                await session.edit(group(channel("x"), password=SECRET)),
                await session.edit(group(password=SECRET + "/too-long-for-it")),
                await session.edit(group(password=SECRET).replace("<password>", "<password><x/>")),
                await session.edit(
                    group(password=SECRET).replace("<password>", f'<password xmlns:nc="{NC}" nc:operation="create">')
                ),
                await session.edit(
                    group(password=SECRET).replace("<password>", f'<password xmlns:nc="{NC}" nc:operation="bad">')
                ),
                await session.edit(group(password=SECRET) + group(password=SECRET)),
                await session.rpc(
                    f"<validate><source><config>{group(channel(port=1), password=SECRET)}</config></source></validate>"
                ),
            ]
            await session.get_config(
                "running", group(password=SECRET)
            )  # a filter that asks whether this is the password
        for reply in replies:
            assert SECRET not in reply.text
        assert SECRET not in caplog.text
        assert SECRET.encode() not in state_bytes(device)
        assert device.engine.config is not None
        assert device.engine.config.password == SECRET
        assert SECRET not in repr(device.engine.config)

    async def test_twice_the_same_changes_nothing(self, device: Device, session: Client) -> None:
        await session.edit(group(password=SECRET), "running")
        before = (await session.get_config()).leaf("password")
        published = []
        device.agent.transactor.published.append(published.append)
        await session.edit(group(password=SECRET), "running")
        assert (await session.get_config()).leaf("password") == before
        assert published == []

    async def test_cipher_text_of_another_device(self, start: Start, connect: Connect) -> None:
        one, two = await connect(await start("one")), await connect(await start("two"))
        await one.edit(group(password=SECRET), "running")
        theirs = (await one.get_config()).leaf("password")
        error = (await two.edit(group(password=theirs), "running")).error
        assert (error.tag, error.app_tag) == ("invalid-value", "password-cipher-text")
        assert str(theirs) not in error.message
        assert (await one.edit(group(password=theirs), "running")).ok

    async def test_restart_keeps_it(self, start: Start, connect: Connect) -> None:
        device = await start()
        session = await connect(device)
        await session.edit(group(password=SECRET), "running")
        kept = (await session.get_config()).leaf("password")
        await session.aclose()
        await device.aclose()
        again = await start()
        assert again.engine.config is not None
        assert again.engine.config.password == SECRET
        assert (await (await connect(again)).get_config()).leaf("password") == kept

    async def test_key_file_is_private(self, device: Device) -> None:
        modes = state_modes(device)
        assert {"state.db", "sealing.key", "ssh_host_ed25519_key"} <= set(modes)
        assert {name for name, mode in modes.items() if mode & 0o077} == set()


class TestPrepare:
    async def test_a_bug_in_the_engine(
        self, device: Device, session: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*args: object, **options: object) -> Plan:
            raise ZeroDivisionError("oops")

        monkeypatch.setattr(device.engine, "prepare", broken)
        await session.edit(group(channel()))
        assert (await session.commit()).error.tag == "operation-failed"
        assert "ZeroDivisionError" in caplog.text
        assert (await session.get_config()).data[:] == []
        monkeypatch.undo()
        assert (await session.commit()).ok

    async def test_a_commit_of_the_engine_that_fails_is_taken_back(
        self, device: Device, session: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await session.edit(group(channel(port=3000)), "running")
        before = device.engine.config

        def broken(plan: Plan) -> None:
            raise RuntimeError("oops")

        monkeypatch.setattr(device.engine, "commit", broken)
        assert (await session.edit(group(channel(port=4000)), "running")).error.tag == "operation-failed"
        assert (await session.get_config()).leaf("tcp-port") == "3000"
        assert device.engine.config is before
        monkeypatch.undo()
        assert (await session.edit(group(channel(port=4000)), "running")).ok

    async def test_the_file_cannot_be_written(
        self, device: Device, session: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk: nothing is applied, and the engine is as it was."""
        await session.edit(group(channel(port=3000)), "running")
        before = device.engine.config
        journal = device.agent.journal
        assert journal is not None

        class Full:
            in_transaction = False

            def execute(self, *args: object) -> None:
                raise sqlite3.OperationalError("database or disk is full")

            def close(self) -> None:
                connection.close()

        connection = journal._connection
        monkeypatch.setattr(journal, "_connection", Full())
        error = (await session.edit(group(channel(port=4000)), "running")).error
        assert error.tag == "operation-failed"
        assert "full" in error.message
        assert device.engine.config is before
        monkeypatch.undo()
        assert (await session.edit(group(channel(port=4000)), "running")).ok

    async def test_refusal_of_one_change_names_its_leaf(self, device: Device, session: Client) -> None:
        own = device.port
        for family, addresses in (("ipv4", ("10.1.1.1", "10.1.1.2")), ("ipv6", ("2001:db8::1", "2001:db8::2"))):
            reply = await session.edit(group(channel(*addresses, own, family=family)), "running")
            assert reply.error.path == (
                f"/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']/peer-link-source/{family}/tcp-port"
            )
            assert f"TCP port {own}" in reply.error.message
        assert device.engine.config is None

    async def test_a_plan_of_the_engine_is_finished(self, device: Device, session: Client) -> None:
        """What a change replaces is not kept for the time of grace: the port can be had by others at once."""
        await session.edit(group(channel(port=3000)), "running")
        await session.edit(group(channel(port=4000)), "running")
        assert not device.engine._applier.unfinished


class TestState:
    async def test_without_a_group_there_is_none(self, session: Client) -> None:
        assert (await session.get(f'<m-lag xmlns="{DML}"/>')).data[:] == []

    async def test_channel(self, session: Client) -> None:
        await session.edit(vpn("red") + group(channel(vpn_instance="red")), "running")
        found = await session.get(f'<m-lag xmlns="{DML}"/>')
        assert found.leaf("sync-channel", "oper-status") == "down"
        assert found.leaf("sync-channel", "vpn-instance") == "red"
        assert found.leaf("sync-channel", "local-address") == "2001:db8:1::1"
        counted = found.root.iter(f"{{{DML}}}entry-statistics")
        assert [row.findtext(f"{{{DML}}}type") for row in counted] == ["arp", "nd"]

    async def test_filter_on_state(self, session: Client) -> None:
        await session.edit(group(channel()), "running")
        select = (
            f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group><state><sync-channel><oper-status/>'
            "</sync-channel></state></dfs-group></dfs-groups></m-lag>"
        )
        found = await session.get(select)
        assert found.leaf("oper-status") == "down"
        assert found.leaf("id") == "1"
        assert found.leaf("tcp-port") is None

    async def test_state_is_not_in_get_config(self, session: Client) -> None:
        await session.edit(group(channel()), "running")
        assert (await session.get_config()).leaf("sync-channel") is None

    @pytest.mark.parametrize("model", ["CE6866", "CE6885-LL:low-latency"])
    @pytest.mark.parametrize("startup", [False, True])
    async def test_all_of_it_is_valid(self, start: Start, connect: Connect, model: str, startup: bool) -> None:
        """Everything that get returns, checked by libyang against the modules, with interfaces configured too."""
        device = await start(model=model, startup=startup)
        session, other = await connect(device), await connect(device)
        await other.rpc("<lock><target><candidate/></target></lock>")
        interfaces = "".join(
            f'<interface><name>{name}</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd'
            f"</type><enabled>{enabled}</enabled></interface>"
            for name, enabled in (("10GE1/0/1", "true"), ("10GE1/0/2", "false"))
        ) + (
            '<interface><name>Vlanif10</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:l3ipvlan</type>'
            '<ipv4 xmlns="urn:ietf:params:xml:ns:yang:ietf-ip"><address><ip>10.1.1.1</ip>'
            "<prefix-length>24</prefix-length></address></ipv4></interface>"
        )
        config = f'<interfaces xmlns="{INTERFACES}">{interfaces}</interfaces>' + vpn("red")
        source = channel("10.1.1.1", "10.1.1.2", family="ipv4", vpn_instance="red")
        assert (await session.edit(config + group(source, password=SECRET), "running")).ok
        reply = await session.get()
        folders = ":".join(map(str, device.agent.library.folders))
        context = ly.Context(folders, ly.ContextOptions.NoYangLibrary | ly.ContextOptions.DisableSearchCwd)
        for module in device.agent.library.tree.modules.values():
            if module.implemented:
                context.load_module(module.name, module.revision or None, list(module.features))
        text = "".join(etree.tostring(child, encoding="unicode") for child in reply.data)
        data = context.parse_data(text, ly.DataFormat.XML, ly.ParseOptions.Strict, ly.ValidationOptions.MultiError)
        rows = json.loads(data.print(ly.DataFormat.JSON, ly.PrintFlags.WithSiblings))
        status = {row["name"]: row["oper-status"] for row in rows["ietf-interfaces:interfaces"]["interface"]}
        assert status == {"10GE1/0/1": "up", "10GE1/0/2": "down", "Vlanif10": "up"}
