"""Reply data of the operations, checked by yangson against the modules that the agent itself hands out.

The agent checks with libyang; this is another implementation of YANG, so that a wrong use of the first one shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ncclient import manager
from ncclient.xml_ import to_ele

from mlag_agent.app import Device
from mlag_client.testing import assert_yang_valid
from netconf_client import PASSWORD, USER, channel, group, vpn

SIM = "urn:mlag-agent:yang:mlag-simulator"
INTERFACES = (
    '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>10GE1/0/1</name>'
    '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type></interface>'
    "<interface><name>10GE1/0/2</name><enabled>false</enabled>"
    '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type></interface></interfaces>'
)


@pytest.fixture(scope="module", params=["CE6866", "CE6885-LL:low-latency"])
def session(request: pytest.FixtureRequest, agent_thread: Callable[..., Device]) -> Iterator[Any]:
    """A session of ncclient with an agent that has something of everything configured."""
    device = agent_thread("device", model=request.param, startup=True)
    with manager.connect(
        host="127.0.0.1", port=device.port, username=USER, password=PASSWORD, hostkey_verify=False,
        allow_agent=False, look_for_keys=False,
    ) as ours:  # fmt: skip
        source = channel("10.1.1.1", "10.1.1.2", family="ipv4", vpn_instance="red")
        config = INTERFACES + vpn("red") + group(source, password="secret-12")
        ours.edit_config(target="candidate", config=f"<config>{config}</config>")
        ours.commit()
        ours.copy_config(source="running", target="startup")
        ours.dispatch(to_ele(learn()))
        ours.lock("candidate")
        yield ours


def learn() -> str:
    return (
        f'<learn-entries xmlns="{SIM}"><start-address>10.1.1.1</start-address><count>20</count>'
        "<interface>Eth-Trunk10</interface><vlan>10</vlan></learn-entries>"
    )


def test_get(session: Any) -> None:
    assert_yang_valid(session.get(), session, content="all", complete=True)


@pytest.mark.parametrize("name", ["running", "candidate", "startup"])
def test_get_config(session: Any, name: str) -> None:
    assert_yang_valid(session.get_config(source=name), session, content="config", complete=True)


@pytest.mark.parametrize(
    "select",
    [
        '<network-instances xmlns="urn:ietf:params:xml:ns:yang:ietf-network-instance"/>',
        '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"/>',
        f'<simulator xmlns="{SIM}"/>',
        '<yang-library xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"/>',
        '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"/>',
    ],
)
def test_get_config_and_state_of_one_tree(session: Any, select: str) -> None:
    reply = session.get(filter=("subtree", select))
    assert len(reply.data) == 1
    assert_yang_valid(reply, session)


@pytest.mark.parametrize("name", ["learn-entries", "age-entries", "flush-entries", "list-entries"])
def test_output_of_rpcs(session: Any, name: str) -> None:
    request = learn() if name == "learn-entries" else f'<{name} xmlns="{SIM}"/>'
    assert_yang_valid(to_ele(request), session)
    assert_yang_valid(session.dispatch(to_ele(request)), session, rpc=f"mlag-simulator:{name}")


def test_it_would_tell(session: Any) -> None:
    """A second opinion that agrees to everything is none."""
    with pytest.raises(AssertionError):
        assert_yang_valid(group(channel("10.1.1.1", "10.1.1.1", family="ipv4")), session)
