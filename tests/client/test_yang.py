"""assert_yang_valid: what it accepts, what it finds, and that it asks the server alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from mlag_client import EntrySelector, PeerLinkSource
from mlag_client.documents import rpc_with_leaves
from mlag_client.testing import RunningAgent, RunningPair, YangModules, agent, assert_yang_valid

CONFIG = """<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id><peer-link-source><ipv6>
    <local-address>2001:db8:1::1</local-address><peer-address>2001:db8:1::2</peer-address>
    <vpn-instance>Blue</vpn-instance><tcp-port>2048</tcp-port>
  </ipv6></peer-link-source></dfs-group></dfs-groups></m-lag>
  <network-instances xmlns="urn:ietf:params:xml:ns:yang:ietf-network-instance"><network-instance>
    <name>Blue</name>
  </network-instance></network-instances>
</config>"""

LEARN = rpc_with_leaves(
    "learn-entries", [("start-address", "10.0.0.1"), ("count", 3), ("interface", "Vlanif10"), ("vlan", 10)]
)


@pytest.fixture
def modules(mlag_agent: RunningAgent) -> YangModules:
    return YangModules.fetch(mlag_agent)


def test_everything_that_the_agent_returns(mlag_pair: RunningPair, source: PeerLinkSource) -> None:
    client = mlag_pair.first.client()
    client.add_vpn_instance("Blue")
    client.set_peer_link(source, password="Secret-12")
    client.learn("10.0.0.1", 5, interface="Vlanif10", vlan=10)
    manager = client.manager
    assert_yang_valid(manager.get(), manager, content="all", complete=True)
    assert_yang_valid(manager.get_config("running"), client, content="config")
    assert_yang_valid(manager.get_config("candidate").data_ele, client)
    assert_yang_valid(manager.get_config("running").data_xml, mlag_pair.first)
    tables = '<simulator xmlns="urn:mlag-agent:yang:mlag-simulator"/>'
    assert_yang_valid(manager.get(filter=("subtree", tables)), client)
    assert_yang_valid(manager.rpc(LEARN), client, rpc="mlag-simulator:learn-entries")
    assert_yang_valid(LEARN, client)
    listed = manager.rpc(rpc_with_leaves("list-entries", [("limit", 2)]))
    assert_yang_valid(listed, client, rpc="mlag-simulator:list-entries")
    assert client.entries(EntrySelector(count=None)).total == 5
    assert_yang_valid(manager.discard_changes(), client)


def test_a_configuration_of_ones_own(modules: YangModules) -> None:
    assert_yang_valid(CONFIG, modules)
    assert_yang_valid(CONFIG.encode(), modules, content="config")
    assert_yang_valid(etree.fromstring(CONFIG), modules)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("2048", "22", "/ipv6/tcp-port: tcp-port-well-known: TCP ports 1 to 1024"),
        ("2048", "70000", "/ipv6/tcp-port: "),
        ("2048", "many", "/ipv6/tcp-port: "),
        ("db8:1::1<", "db8:1::2<", "/ipv6: peer-address-equals-local-address"),
        ("2001:db8:1::1<", "fe80::1<", "/ipv6/local-address: address-link-local"),
        ("2001:db8:1::1<", "10.1.1.1<", "/ipv6/local-address: "),
        ("<name>Blue", "<name>Red", "/ipv6/vpn-instance: instance-required"),
        ("<tcp-port>2048</tcp-port>", "", "/ipv6: missing-data: expected 'tcp-port'"),
        ("<id>1</id>", "<id>2</id>", "dfs-group-id: The DFS group identifier can only be 1."),
        ("<id>1</id>", "<id>1</id><extra/>", "extra: no such node in the server's modules"),
        ("urn:mlag-agent:yang:dfs-m-lag", "urn:none", "no module has namespace urn:none"),
        ("<id>1</id>", '<id xmlns="">1</id>', "<id> has no namespace"),
    ],
)
def test_what_is_wrong_is_found_with_its_path(modules: YangModules, old: str, new: str, found: str) -> None:
    assert old in CONFIG
    with pytest.raises(AssertionError, match="not valid by the server's YANG modules") as caught:
        assert_yang_valid(CONFIG.replace(old, new), modules)
    assert found in str(caught.value)


def test_state_in_a_configuration_is_found(modules: YangModules) -> None:
    with_state = CONFIG.replace("</id>", "</id><state><peer-link><oper-status>up</oper-status></peer-link></state>")
    assert_yang_valid(with_state, modules)
    with pytest.raises(AssertionError, match="member-not-allowed: state"):
        assert_yang_valid(with_state, modules, content="config")


def test_complete_demands_what_is_mandatory_at_the_top(modules: YangModules) -> None:
    assert_yang_valid(CONFIG, modules, content="all")
    with pytest.raises(AssertionError, match=r"missing-data: .*'ietf-yang-library:yang-library'"):
        assert_yang_valid(CONFIG, modules, content="all", complete=True)


def test_rpcs(modules: YangModules, mlag_agent: RunningAgent) -> None:
    with pytest.raises(AssertionError, match="interface"):
        assert_yang_valid(rpc_with_leaves("learn-entries", [("start-address", "10.0.0.1"), ("vlan", 1)]), modules)
    with pytest.raises(AssertionError, match="input: missing-data: expected one of"):
        assert_yang_valid(rpc_with_leaves("learn-entries", []), modules)
    assert_yang_valid(rpc_with_leaves("age-entries", []), modules)
    reply = mlag_agent.client().manager.rpc(LEARN)
    for old, new in (("<learned", "<lost"), ("</learned", "</lost")):
        reply = reply if isinstance(reply, str) else reply.xml
        reply = reply.replace(old, new)
    with pytest.raises(AssertionError, match="no such node"):
        assert_yang_valid(reply, modules, rpc="mlag-simulator:learn-entries")
    with pytest.raises(AssertionError, match="name the rpc"):
        assert_yang_valid(reply, modules)
    with pytest.raises(AssertionError, match="have no rpc mlag-simulator:forget"):
        assert_yang_valid(reply, modules, rpc="mlag-simulator:forget")


def test_an_error_is_not_valid_data(modules: YangModules) -> None:
    reply = (
        '<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><rpc-error>'
        "<error-message>no</error-message></rpc-error></rpc-reply>"
    )
    with pytest.raises(AssertionError, match="the reply is an error: no"):
        assert_yang_valid(reply, modules)


def test_what_is_no_xml_is_a_mistake_of_the_test(modules: YangModules) -> None:
    with pytest.raises(TypeError, match="neither XML nor a reply: int"):
        assert_yang_valid(7, modules)


def test_features_are_the_servers(source: PeerLinkSource) -> None:
    """A model without IPv6 serves the module without the feature: the same configuration is not valid there."""
    with agent(model="CE6885-LL:low-latency") as running:
        modules = YangModules.fetch(running)
        with pytest.raises(AssertionError, match="ipv6: no such node"):
            assert_yang_valid(CONFIG, modules)


def test_modules_that_only_the_server_has(tmp_path: Path) -> None:
    """Fetched with get-schema: nothing on this side knows the module."""
    (tmp_path / "plant.yang").write_text(
        'module plant { namespace "urn:plant"; prefix p; yang-version 1.1;\n'
        "  identity colour; identity red { base colour; }\n"
        "  container pot { leaf size { type uint8 { range 1..9; } } leaf colour { type identityref { base colour; } }\n"
        "    leaf-list seed { type string; max-elements 2; } }\n"
        "  notification bloom { leaf size { type uint8 { range 1..9; } } }\n}\n",
        encoding="utf-8",
    )
    with agent(modules=["plant"], yang_dirs=[tmp_path]) as running:
        client = running.client()
        modules = YangModules.fetch(client)
        assert "identity red" in modules.texts["plant"]
        assert YangModules.fetch(client) is modules, "fetched and compiled once"
        pot = '<pot xmlns="urn:plant">{}</pot>'
        assert_yang_valid(pot.format("<size>9</size>"), client)
        assert_yang_valid(pot.format('<colour xmlns:x="urn:plant">x:red</colour>'), client)
        for wrong in (
            "<size>10</size>",
            "<seed>a</seed><seed>b</seed><seed>c</seed>",
            '<colour xmlns:x="urn:plant">x:blue</colour>',
            "<colour>y:red</colour>",
        ):
            with pytest.raises(AssertionError, match=r"pot|prefix"):
                assert_yang_valid(pot.format(wrong), client)
        event = (
            '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
            '<eventTime>2026-11-23T12:00:00Z</eventTime><bloom xmlns="urn:plant"><size>{}</size></bloom></notification>'
        )
        assert_yang_valid(event.format(9), client)
        with pytest.raises(AssertionError, match="plant:size: invalid-type"):
            assert_yang_valid(event.format(10), client)
