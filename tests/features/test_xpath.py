"""The :xpath capability over real sessions (RFC 6241 section 8.9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from ncclient import manager

from conftest import Connect, Start
from mlag_agent.app import Device
from mlag_agent.data.xpath import Budget
from mlag_agent.features import reading
from netconf_client import DML, NC, NI, PASSWORD, USER, Client, Reply, channel, group, vpn

EXAMPLE = group(channel(), password="secret-1")
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


async def read(
    session: Client, select: str, *, namespaces: str = f'xmlns:d="{DML}" xmlns:ni="{NI}"', operation: str = "get-config"
) -> Reply:
    source = "<source><running/></source>" if operation == "get-config" else ""
    return await session.rpc(
        f'<{operation}>{source}<filter type="xpath" {namespaces} select={quoteattr(select)}/></{operation}>'
    )


class TestSelection:
    async def test_ancestors_and_keys_are_given(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE, "running")).ok
        found = await read(session, "/d:m-lag/d:dfs-groups/d:dfs-group/d:peer-link-source/d:ipv6/d:tcp-port")
        assert found.text.count("<") == found.text.count(">")
        assert [element.tag.rpartition("}")[2] for element in found.data.iter()] == [
            "data", "m-lag", "dfs-groups", "dfs-group", "id", "peer-link-source", "ipv6", "tcp-port",
        ]  # fmt: skip

    async def test_a_union_of_paths(self, session: Client) -> None:
        for config in (EXAMPLE + vpn("red"), vpn("blue")):
            assert (await session.edit(config, "running")).ok
        found = await read(session, "//d:tcp-port | /ni:network-instances/ni:network-instance[ni:name='red']")
        assert (found.leafs("tcp-port"), found.leafs("name")) == (["2048"], ["red"])

    async def test_nothing_selected_is_an_empty_reply(self, session: Client) -> None:
        assert (await read(session, "/d:m-lag/d:dfs-groups")).data[:] == []

    async def test_state_is_selected_by_get_alone(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE, "running")).ok
        path = "/d:m-lag/d:dfs-groups/d:dfs-group[d:id='1']//d:sync-channel/d:tcp-port"
        assert (await read(session, path)).leafs("tcp-port") == []
        assert (await read(session, path, operation="get")).leafs("tcp-port") == ["2048"]

    async def test_another_form_of_an_address_finds_it(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE, "running")).ok
        found = await read(session, "//d:ipv6[d:local-address='2001:DB8:1:0::1']/d:tcp-port")
        assert found.leafs("tcp-port") == ["2048"]


class TestNames:
    async def test_without_prefix_any_module_is_meant(self, device: Device, session: Client) -> None:
        found = await read(session, "/netconf-state/schemas/schema", namespaces="", operation="get")
        assert "dfs-m-lag" in found.leafs("identifier")
        assert device.registry.leniencies["xpath-name-without-prefix"] == 1

    async def test_strict_mode_refuses_them(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(strict=True))
        error = (await read(session, "/netconf-state/schemas/schema", namespaces="", operation="get")).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-attribute": "select", "bad-element": "filter"})
        assert "netconf-state, schema, schemas" in error.message
        assert MONITORING in error.message
        found = await read(session, "/m:netconf-state/m:schemas", namespaces=f'xmlns:m="{MONITORING}"', operation="get")
        assert "dfs-m-lag" in found.leafs("identifier")

    async def test_the_name_of_a_module_is_no_prefix(self, session: Client) -> None:
        error = (await read(session, "/dfs-m-lag:m-lag")).error
        assert error.tag == "invalid-value"
        assert f'xmlns:dfs-m-lag="{DML}"' in error.message

    async def test_attributes_in_the_netconf_namespace(self, session: Client) -> None:
        reply = await session.rpc(
            f'<get xmlns:nc="{NC}"><filter nc:type="xpath" xmlns:m="{MONITORING}"'
            ' nc:select="/m:netconf-state/m:sessions"/></get>'
        )
        assert reply.leafs("username") == [USER]


class TestErrors:
    @pytest.mark.parametrize(
        ("select", "words"),
        [
            ("count(//d:tcp-port)", "gives the number 0.0"),
            ("/d:m-lag[", "character"),
            ("/x:m-lag", "the prefix x is not declared; declared are: d, ni"),
            ("document('file:///etc/passwd')", "there is no function document()"),
        ],
    )
    async def test_no_node_set(self, session: Client, select: str, words: str) -> None:
        error = (await read(session, select)).error
        assert (error.type, error.tag) == ("protocol", "invalid-value")
        assert error.info == {"bad-attribute": "select", "bad-element": "filter"}
        assert words in error.message

    async def test_select_is_needed(self, session: Client) -> None:
        error = (await session.rpc('<get><filter type="xpath"/></get>')).error
        assert (error.tag, error.info["bad-attribute"]) == ("missing-attribute", "select")

    async def test_other_types(self, session: Client) -> None:
        error = (await session.rpc('<get><filter type="regexp"/></get>')).error
        assert (error.tag, error.info["bad-attribute"]) == ("bad-attribute", "type")


class TestCost:
    async def test_a_hostile_expression_does_not_stop_others(
        self, device: Device, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "MOST_STEPS", 400_000)
        one, other = await connect(device), await connect(device)
        names = "".join(f"<network-instance><name>i{number}</name></network-instance>" for number in range(2000))
        assert (await one.edit(f'<network-instances xmlns="{NI}">{names}</network-instances>', "running")).ok
        slow = asyncio.ensure_future(read(one, "//*[following::*[. = current()]]"))
        answered = 0
        while not slow.done():
            assert (await read(other, "/ni:network-instances/ni:network-instance[ni:name='i7']")).leafs("name") == [
                "i7"
            ]
            answered += 1
        assert answered > 1
        error = (await slow).error
        assert error.tag == "resource-denied"
        assert "400000 nodes" in error.message
        assert (await read(one, "//ni:name[.='i7']")).leafs("name") == ["i7"]

    async def test_an_evaluation_ends_with_its_session(
        self, device: Device, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = asyncio.Event()
        budgets: list[Budget] = []

        class Watched(Budget):
            __slots__ = ()

            def __init__(self, steps: int, expired: Callable[[], bool] | None = None) -> None:
                super().__init__(steps, expired)
                if expired is not None:
                    budgets.append(self)
                    started.set()

        monkeypatch.setattr(reading, "Budget", Watched)
        one, other = await connect(device), await connect(device)
        names = "".join(f"<network-instance><name>i{number}</name></network-instance>" for number in range(2000))
        assert (await one.edit(f'<network-instances xmlns="{NI}">{names}</network-instances>', "running")).ok
        one.send("""<get><filter type="xpath" select="//*[following::*[. = 'x']]"/></get>""")
        await started.wait()
        assert (await other.rpc(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")).ok
        assert budgets[0].left <= 0
        assert not device.agent.evaluating.locked()


def test_with_ncclient(agent_thread: Callable[..., Any]) -> None:
    device = agent_thread()
    with manager.connect(
        host="127.0.0.1", port=device.port, username=USER, password=PASSWORD, hostkey_verify=False,
        allow_agent=False, look_for_keys=False,
    ) as session:  # fmt: skip
        assert ":xpath" in session.server_capabilities
        session.edit_config(target="running", config=f'<nc:config xmlns:nc="{NC}">{EXAMPLE}</nc:config>')
        bare = session.get(filter=("xpath", "/netconf-state/capabilities"))
        assert "xpath:1.0" in bare.data_xml
        prefixed = session.get_config("running", filter=("xpath", ({"d": DML}, "//d:tcp-port")))
        assert prefixed.data.findtext(f".//{{{DML}}}tcp-port") == "2048"
