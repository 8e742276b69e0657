"""State that does not change while the agent runs is made once, and sent as it was the first time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from mlag_agent.app import Device
from mlag_agent.features.base import Agent, StateProvider
from netconf_client import Client

Connect = Callable[..., Awaitable[Client]]

SESSIONS = '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><sessions/></netconf-state>'


def counted(provider: StateProvider, reads: Counter[tuple[str, bool]]) -> StateProvider:
    """The same, noting when it is read."""

    def read(agent: Agent) -> Mapping[str, Any]:
        reads[provider.top, provider.fixed] += 1
        return provider.read(agent)

    return replace(provider, read=read)


async def test_is_read_once(device: Device, connect: Connect) -> None:
    reads: Counter[tuple[str, bool]] = Counter()
    device.agent.features = tuple(
        replace(feature, state=tuple(counted(provider, reads) for provider in feature.state))
        for feature in device.agent.features
    )
    replies = []
    for _ in range(2):
        session = await connect(device)
        await session.rpc(f'<get><filter type="subtree">{SESSIONS}</filter></get>')
        replies.append((await session.rpc("<get/>")).data)
    fixed = {top for top, is_fixed in reads if is_fixed}
    assert fixed == {
        "/ietf-netconf-monitoring:netconf-state",
        "/ietf-yang-library:yang-library",
        "/ietf-yang-library:modules-state",
    }
    assert {reads[top, True] for top in fixed} == {1}
    assert reads["/ietf-netconf-monitoring:netconf-state", False] == 4
    for reply in replies:
        assert len(reply.findall(".//{*}netconf-state/{*}schemas/{*}schema")) > 20
        assert len(reply.findall(".//{*}netconf-state/{*}capabilities/{*}capability")) > 10
    assert [len(reply.findall(".//{*}sessions/{*}session")) for reply in replies] == [1, 2]
