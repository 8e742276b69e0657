"""``candidate = "private"``: each session has its own, and no commit undoes another session's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fake_timers import FakeTimers
from mlag_agent.app import Device
from netconf_client import LIMIT, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
Pair = tuple[Client, Client]

NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
LOCK = "<lock><target><{}/></target></lock>"
UNLOCK = "<unlock><target><{}/></target></unlock>"
PORT = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']/peer-link-source/ipv6/tcp-port"


def update(mode: str | None = None) -> str:
    inner = f"<resolution-mode>{mode}</resolution-mode>" if mode else ""
    return f'<update xmlns="urn:mlag-agent:yang:mlag-agent-candidate">{inner}</update>'


def port(number: int) -> str:
    return group(channel(port=number))


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
async def device(start: Start, timers: FakeTimers) -> Device:
    return await start(candidate="private", call_later=timers.call_later)


@pytest.fixture
async def pair(device: Device, connect: Connect) -> Pair:
    """Two sessions with one agent."""
    return await connect(device), await connect(device)


async def names(session: Client, source: str = "running") -> list[str]:
    """The configured VPN instances."""
    return (await session.get_config(source)).leafs("name")


async def over(device: Device, client: Client) -> None:
    for session in device.registry:
        if session.session_id == client.session_id:
            await asyncio.wait_for(session.wait_over(), LIMIT)


class TestOwn:
    async def test_no_other_session_sees_it(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        assert await names(one, "candidate") == ["red"]
        assert await names(two, "candidate") == []
        assert (await two.commit()).ok
        assert await names(two) == []

    async def test_a_commit_takes_its_own_changes_alone(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        await two.edit(vpn("blue"))
        assert (await one.commit()).ok
        assert await names(one) == ["red"]
        assert await names(two, "candidate") == ["blue"]
        assert (await two.commit()).ok
        assert await names(one) == ["blue", "red"]
        assert await names(two, "candidate") == await names(one, "candidate") == ["blue", "red"]

    async def test_until_it_is_edited_it_follows_running(self, pair: Pair) -> None:
        one, two = pair
        assert await names(two, "candidate") == []
        await one.edit(vpn("red"), "running")
        assert await names(two, "candidate") == ["red"]

    async def test_it_ends_with_its_session(self, device: Device, pair: Pair, connect: Connect) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        one.abort()
        await over(device, one)
        assert device.agent.stores._candidate._branches == {}  # type: ignore[union-attr]
        assert await names(two, "candidate") == []

    async def test_discard(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        await two.edit(vpn("blue"))
        assert (await one.rpc("<discard-changes/>")).ok
        assert await names(one, "candidate") == []
        assert await names(two, "candidate") == ["blue"]

    async def test_copy_config(self, pair: Pair) -> None:
        one, two = pair
        await two.edit(vpn("blue"), "running")
        copy = f"<copy-config><target><candidate/></target><source><config>{vpn('red')}</config></source></copy-config>"
        assert (await one.rpc(copy)).ok
        assert await names(two, "candidate") == ["blue"]
        assert (await one.commit()).ok
        assert await names(two) == ["red"]

    async def test_constraints_are_those_of_the_merged_configuration(self, pair: Pair) -> None:
        """Each is valid alone; together the VPN instance that one uses is gone."""
        one, two = pair
        await one.edit(vpn("red"), "running")
        await one.edit(group(channel(vpn_instance="red")))
        await two.edit(
            f'<network-instances xmlns="urn:ietf:params:xml:ns:yang:ietf-network-instance"><network-instance {NC} '
            'nc:operation="delete"><name>red</name></network-instance></network-instances>'
        )
        assert (await two.commit()).ok
        error = (await one.commit()).error
        assert (error.tag, error.app_tag) == ("data-missing", "instance-required")
        assert await names(one) == []
        assert await names(one, "candidate") == ["red"]


class TestConflict:
    @pytest.fixture
    async def overtaken(self, pair: Pair) -> Pair:
        """The first session's port was changed by the second one meanwhile, which also made a VPN instance."""
        one, two = pair
        assert (await one.edit(port(2048), "running")).ok
        assert (await one.edit(port(3000) + vpn("mine"))).ok
        assert (await two.edit(port(4000) + vpn("theirs"))).ok
        assert (await two.commit()).ok
        return pair

    async def test_refused_with_the_path_and_both_values(self, overtaken: Pair) -> None:
        one, two = overtaken
        error = (await one.commit()).error
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", "candidate-conflict", PORT)
        assert '"3000"' in error.message
        assert '"4000"' in error.message
        assert (await two.get_config("running")).leaf("tcp-port") == "4000"
        assert (await one.get_config("candidate")).leaf("tcp-port") == "3000"
        assert "mine" not in await names(two)

    async def test_discard_is_a_way_out(self, overtaken: Pair) -> None:
        one, _ = overtaken
        await one.commit()
        assert (await one.rpc("<discard-changes/>")).ok
        assert (await one.get_config("candidate")).leaf("tcp-port") == "4000"
        assert (await one.edit(port(5000))).ok
        assert (await one.commit()).ok
        assert await names(one) == ["theirs"]

    async def test_update_refuses_by_default(self, overtaken: Pair) -> None:
        one, _ = overtaken
        for operation in (update(), update("revert-on-conflict")):
            assert (await one.rpc(operation)).error.path == PORT
        assert (await one.get_config("candidate")).leaf("tcp-port") == "3000"

    @pytest.mark.parametrize(("mode", "number"), [("ignore", "3000"), ("overwrite", "4000")])
    async def test_update(self, overtaken: Pair, mode: str, number: str) -> None:
        one, two = overtaken
        assert (await one.rpc(update(mode))).ok
        candidate = await one.get_config("candidate")
        assert (candidate.leaf("tcp-port"), candidate.leafs("name")) == (number, ["mine", "theirs"])
        assert (await two.get_config("running")).leaf("tcp-port") == "4000"
        assert (await one.commit()).ok
        running = await two.get_config("running")
        assert (running.leaf("tcp-port"), running.leafs("name")) == (number, ["mine", "theirs"])

    async def test_the_same_change_is_none(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(port(3000))
        await two.edit(port(3000))
        assert (await two.commit()).ok
        assert (await one.commit()).ok

    async def test_running_edited_directly_counts(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(port(3000))
        await two.edit(port(4000), "running")
        assert (await one.commit()).error.app_tag == "candidate-conflict"


class TestLocks:
    async def test_each_has_its_own(self, pair: Pair) -> None:
        one, two = pair
        assert (await one.rpc(LOCK.format("candidate"))).ok
        assert (await two.rpc(LOCK.format("candidate"))).ok
        assert (await one.rpc(LOCK.format("candidate"))).error.info == {"session-id": str(one.session_id)}
        assert (await two.edit(vpn("red"))).ok
        assert (await one.rpc(UNLOCK.format("candidate"))).ok
        assert (await two.rpc("<commit/>")).ok
        state = await one.get(
            '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><datastores/></netconf-state>'
        )
        assert state.leafs("locked-by-session") == []

    async def test_unlock_discards(self, pair: Pair) -> None:
        one, _ = pair
        await one.rpc(LOCK.format("candidate"))
        await one.edit(vpn("red"))
        assert (await one.rpc(UNLOCK.format("candidate"))).ok
        assert await names(one, "candidate") == []

    async def test_one_with_changes_is_not_locked(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        assert (await one.rpc(LOCK.format("candidate"))).error.tag == "lock-denied"
        assert (await two.rpc(LOCK.format("candidate"))).ok

    async def test_a_lock_of_running_keeps_commits_off(self, pair: Pair) -> None:
        one, two = pair
        await two.edit(vpn("red"))
        assert (await one.rpc(LOCK.format("running"))).ok
        assert (await two.commit()).error.tag == "in-use"
        assert await names(two, "candidate") == ["red"]
        await one.rpc(UNLOCK.format("running"))
        assert (await two.commit()).ok


class TestConfirmed:
    async def test_time_out(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        """Its own candidate goes with the rollback (DOMAIN 5.5); another session's is its own affair."""
        one, two = pair
        await two.edit(vpn("blue"))
        await one.edit(vpn("red"))
        assert (await one.rpc("<commit><confirmed/></commit>")).ok
        await one.edit(vpn("green"))
        timers.fire()
        await asyncio.gather(*device.agent.commits._tasks)
        assert await names(one) == await names(one, "candidate") == []
        assert await names(two, "candidate") == ["blue"]
        assert (await two.commit()).ok
        assert await names(one) == ["blue"]

    async def test_what_was_made_on_top_of_it_and_rolled_back_is_a_conflict(
        self, device: Device, pair: Pair, timers: FakeTimers
    ) -> None:
        one, two = pair
        await one.edit(port(3000))
        assert (await one.rpc("<commit><confirmed/></commit>")).ok
        assert (await two.edit(port(4000))).ok
        timers.fire()
        await asyncio.gather(*device.agent.commits._tasks)
        assert (await two.commit()).error.app_tag == "candidate-conflict"
        assert (await two.get_config("running")).leaf("tcp-port") is None

    async def test_a_conflict_arms_nothing(self, device: Device, pair: Pair, timers: FakeTimers) -> None:
        one, two = pair
        await one.edit(port(3000))
        await two.edit(port(4000), "running")
        assert (await one.rpc("<commit><confirmed/></commit>")).error.app_tag == "candidate-conflict"
        assert device.agent.commits.pending is None
        assert timers.delays == []

    async def test_confirmed_by_another_session_with_its_own_changes(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        await two.edit(vpn("blue"))
        assert (await one.rpc("<commit><confirmed/><persist>p</persist></commit>")).ok
        assert (await two.rpc("<commit><persist-id>p</persist-id></commit>")).ok
        assert await names(one) == ["blue", "red"]


async def test_update_of_a_shared_candidate_is_not_there(start: Start, connect: Connect) -> None:
    client = await connect(await start())
    assert (await client.rpc(update())).error.tag == "unknown-namespace"
