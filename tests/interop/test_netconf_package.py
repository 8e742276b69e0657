"""The PyPI package ``netconf`` as a client of the agent (docs/decisions/001: why it is not the server)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree
from netconf.client import NetconfSSHSession
from netconf.error import RPCError

from mlag_client.testing import RunningAgent, assert_yang_valid

M_LAG = "urn:mlag-agent:yang:dfs-m-lag"

CONFIG = f"""<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><m-lag xmlns="{M_LAG}"><dfs-groups><dfs-group>
<id>1</id><peer-link-source><ipv6><local-address>2001:db8:1::1</local-address>
<peer-address>2001:db8:1::2</peer-address><tcp-port>{{port}}</tcp-port></ipv6></peer-link-source>
</dfs-group></dfs-groups></m-lag></config>"""

FILTER = f'<m-lag xmlns="{M_LAG}"/>'


@pytest.fixture
def session(mlag_agent: RunningAgent) -> Iterator[Any]:
    """A session of the package's client."""
    with NetconfSSHSession(mlag_agent.host, mlag_agent.port, mlag_agent.username, mlag_agent.password) as opened:
        yield opened


def edit(session: Any, config: str, target: str = "candidate") -> None:
    """The package's own edit_config adds a url; an rpc of our own says what is meant."""
    session.send_rpc(f"<edit-config><target><{target}/></target>{config}</edit-config>")


def test_configures_and_reads(session: Any, mlag_agent: RunningAgent) -> None:
    edit(session, CONFIG.format(port=2048))
    session.send_rpc("<commit/>")
    config = session.get_config("running", FILTER)
    assert [node.text for node in config.iter(f"{{{M_LAG}}}tcp-port")] == ["2048"]
    assert_yang_valid(etree.tostring(config).decode(), mlag_agent)
    state = session.get(FILTER)
    assert {node.text for node in state.iter(f"{{{M_LAG}}}oper-status")} == {"down"}


def test_locks(session: Any) -> None:
    session.lock("candidate")
    with pytest.raises(RPCError) as caught:
        session.lock("candidate")
    assert caught.value.get_error_tag() == "lock-denied"
    session.unlock("candidate")


def test_a_refusal_reaches_the_caller(session: Any) -> None:
    with pytest.raises(RPCError) as caught:
        edit(session, CONFIG.format(port=70000))
    assert caught.value.get_error_tag() == "invalid-value"
    assert "70000" in str(caught.value)
