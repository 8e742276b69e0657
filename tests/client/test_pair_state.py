"""Roles, heartbeat and member interfaces as values, on a real pair: up, one port down, split brain and its end."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from mlag_client import DfsClient, Fault, GroupState, Link, NotInTime
from mlag_client.commands.translate import translate
from mlag_client.testing import RunningPair

LINES = """
interface Eth-Trunk0
 peer-link 1
 quit
dfs-group 1
 priority {priority}
 authentication-mode hmac-sha256 password Secret-12
 dual-active detection source ip 192.0.2.{own} peer 192.0.2.{other}
 dual-active detection delay 0
 m-lag up-delay 600
 quit
interface Eth-Trunk10
 dfs-group 1 m-lag 10
"""


@pytest.fixture
def paired(fast_pair: RunningPair) -> tuple[DfsClient, DfsClient]:
    clients = (fast_pair.first.client(), fast_pair.second.client())
    for number, client in enumerate(clients, 1):
        lines = LINES.format(priority=200 - 50 * number, own=number, other=3 - number).splitlines()
        client.session.edit(translate(lines).config())
        client.session.commit()
    for client in clients:
        client.wait_until(whole, "the whole pair", 20, 0.05)
    return clients


def whole(state: GroupState) -> bool:
    member = state.member(10)
    return (
        state.paired
        and state.heartbeat is not None
        and state.heartbeat.ok
        and set(state.heartbeat.roles) == {"local", "peer"}
        and member is not None
        and member.active
        and member.other_active
    )


def test_a_whole_pair(paired: tuple[DfsClient, DfsClient]) -> None:
    first, second = (client.state() for client in paired)
    assert (first.role, second.role) == ("master", "backup")
    mine, other = first.nodes
    assert mine == first.local
    assert (mine.priority, mine.name, mine.causation) == (150, "device-1", "none")
    assert (other.priority, other.name, other.is_local, other.role) == (100, "device-2", False, "backup")
    assert other.dual_active_address == ip_address("192.0.2.2")
    assert second.local is not None
    # What a device says of itself is what its partner says of it, but for the number, the star and the causation.
    words = replace(second.local, node_id=2, is_local=False, causation=other.causation, detail=other.detail)
    assert words == other
    assert first.heartbeat is not None
    assert first.heartbeat.roles == {"local": "master", "peer": "backup"}
    assert first.heartbeat.received > 0
    member = first.member(10)
    assert member is not None
    assert (member.interface, member.up, member.error_down) == ("Eth-Trunk10", True, False)
    theirs = next(m for m in first.members if m.node_id == other.node_id)
    assert {member.role, theirs.role} == {"master", "backup"}
    assert theirs.interface is None
    assert first.member(11) is None


def test_a_port_that_is_pulled_out(paired: tuple[DfsClient, DfsClient]) -> None:
    first, second = paired
    second.set_port_state("Eth-Trunk10", up=False)
    state = first.wait_until(lambda s: not (m := s.member(10)) or not m.other_active, "the other one down", 20, 0.05)
    member, theirs = state.member(10), second.state().member(10)
    assert member is not None
    assert theirs is not None
    assert (member.up, member.active, theirs.up, theirs.error_down) == (True, True, False, False)
    second.set_port_state("Eth-Trunk10", up=True)
    first.wait_until(whole, "both up again", 20, 0.05)


def test_split_brain_and_recovery(paired: tuple[DfsClient, DfsClient]) -> None:
    first, second = paired
    first.set_fault(Link.PEER_LINK, Fault.CUT)
    state = second.wait_until(lambda s: any(m.error_down for m in s.members), "error-down", 20, 0.05)
    assert not state.paired
    assert state.heartbeat is not None
    assert state.heartbeat.ok
    member = first.state().member(10)
    assert member is not None
    assert member.up
    first.set_fault(Link.PEER_LINK, Fault.NONE)
    state = second.wait_until(
        lambda s: (m := s.member(10)) is not None and m.recovery_countdown is not None, "the up-delay", 20, 0.05
    )
    member = state.member(10)
    assert member is not None
    assert 0 < (member.recovery_countdown or 0) <= 600


def test_what_does_not_come_is_named(clients: tuple[DfsClient, DfsClient]) -> None:
    first, _ = clients
    with pytest.raises(NotInTime, match=r"waited 0\.2 s in vain for a Master; DFS group 1 is not configured"):
        first.wait_until(lambda state: state.role == "master", "a Master", 0.2, 0.05)
