"""Locks (RFC 6241 sections 7.5, 7.6 and 8.3.5.2) and the end of the sessions that hold them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.app import Device
from netconf_client import LIMIT, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
LOCK = "<lock><target><{}/></target></lock>"
UNLOCK = "<unlock><target><{}/></target></unlock>"


@pytest.fixture
async def pair(device: Device, connect: Connect) -> tuple[Client, Client]:
    """Two sessions with one agent."""
    return await connect(device), await connect(device)


Pair = tuple[Client, Client]


@pytest.mark.parametrize("name", ["running", "candidate"])
class TestLock:
    async def test_denied_with_the_holder(self, pair: Pair, name: str) -> None:
        one, two = pair
        assert (await one.rpc(LOCK.format(name))).ok
        for client in pair:
            error = (await client.rpc(LOCK.format(name))).error
            assert (error.tag, error.type) == ("lock-denied", "protocol")
            assert error.info == {"session-id": str(one.session_id)}
        assert (await one.rpc(UNLOCK.format(name))).ok
        assert (await two.rpc(LOCK.format(name))).ok

    async def test_unlock_by_others(self, pair: Pair, name: str) -> None:
        one, two = pair
        error = (await two.rpc(UNLOCK.format(name))).error
        assert (error.tag, error.message) == ("operation-failed", f"{name} is not locked")
        await one.rpc(LOCK.format(name))
        error = (await two.rpc(UNLOCK.format(name))).error
        assert f"session {one.session_id}" in error.message

    async def test_in_use_for_the_edits_of_others(self, pair: Pair, name: str) -> None:
        one, two = pair
        await one.rpc(LOCK.format(name))
        copy = f"<copy-config><target><{name}/></target><source><config>{vpn('red')}</config></source></copy-config>"
        for reply in (await two.edit(vpn("red"), name), await two.commit(), await two.rpc(copy)):
            assert (reply.error.tag, reply.error.info) == ("in-use", {"session-id": str(one.session_id)})
        assert (await one.edit(vpn("red"), name)).ok
        assert (await one.commit()).ok

    async def test_reading_goes_on(self, pair: Pair, name: str) -> None:
        one, two = pair
        await one.rpc(LOCK.format(name))
        assert (await two.get_config(name)).data is not None
        assert (await two.rpc(f"<validate><source><{name}/></source></validate>")).ok

    async def test_released_by_close_session(self, pair: Pair, name: str) -> None:
        one, two = pair
        await one.rpc(LOCK.format(name))
        assert (await one.rpc("<close-session/>")).ok
        await one.ended()
        assert (await two.rpc(LOCK.format(name))).ok

    async def test_released_when_the_client_vanishes(self, device: Device, pair: Pair, name: str) -> None:
        one, two = pair
        await one.rpc(LOCK.format(name))
        one.abort()
        await gone(device, one.session_id)
        assert (await two.rpc(LOCK.format(name))).ok

    async def test_released_before_kill_session_is_answered(self, pair: Pair, name: str) -> None:
        one, two = pair
        await one.rpc(LOCK.format(name))
        two.send(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")
        two.send(LOCK.format(name))
        assert (await two.receive()).ok
        assert (await two.receive()).ok


async def gone(device: Device, session_id: int) -> None:
    """Wait until the agent has noticed that a session is over."""
    for session in device.registry:
        if session.session_id == session_id:
            await asyncio.wait_for(session.wait_over(), LIMIT)


class TestCandidate:
    async def test_a_dirty_candidate_is_not_locked(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        error = (await two.rpc(LOCK.format("candidate"))).error
        assert (error.tag, error.info) == ("lock-denied", {"session-id": "0"})
        await two.rpc("<discard-changes/>")
        assert (await two.rpc(LOCK.format("candidate"))).ok

    async def test_an_edit_that_changes_nothing_leaves_it_clean(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"), "running")
        await one.edit(vpn("red"))
        assert (await two.rpc(LOCK.format("candidate"))).ok

    async def test_a_candidate_that_running_has_caught_up_with_is_clean(self, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        await one.edit(vpn("red"), "running")
        assert (await two.rpc(LOCK.format("candidate"))).ok

    async def test_unlock_discards(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(LOCK.format("candidate"))
        await one.edit(vpn("red"))
        assert (await one.rpc(UNLOCK.format("candidate"))).ok
        assert (await two.get_config("candidate")).data[:] == []

    async def test_the_end_of_the_session_discards(self, device: Device, pair: Pair) -> None:
        one, two = pair
        await one.rpc(LOCK.format("candidate"))
        await one.edit(vpn("red"))
        one.abort()
        await gone(device, one.session_id)
        assert (await two.get_config("candidate")).data[:] == []

    async def test_without_a_lock_the_candidate_stays(self, device: Device, pair: Pair) -> None:
        one, two = pair
        await one.edit(vpn("red"))
        await one.rpc("<close-session/>")
        await one.ended()
        await gone(device, one.session_id)
        assert (await two.get_config("candidate")).leafs("name") == ["red"]

    async def test_discard_of_another_session_is_refused(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(LOCK.format("candidate"))
        assert (await two.rpc("<discard-changes/>")).error.tag == "in-use"


class TestTransactions:
    async def test_a_lock_waits_for_the_transaction_under_way(self, device: Device, connect: Connect) -> None:
        """Else running would change under the eyes of the session that holds its lock."""
        one, two, three = [await connect(device) for _ in range(3)]
        async with device.agent.transactor.quiet():
            one.send(f"<edit-config><target><running/></target><config>{vpn('red')}</config></edit-config>")
            await three.get_config("running")
            two.send(LOCK.format("running"))
            two.send("<get-config><source><running/></source></get-config>")
            await three.get_config("running")
        assert (await one.receive()).ok
        assert (await two.receive()).ok
        assert (await two.receive()).leafs("name") == ["red"]

    async def test_a_transaction_that_waited_sees_the_lock(self, device: Device, connect: Connect) -> None:
        one, two, three = [await connect(device) for _ in range(3)]
        async with device.agent.transactor.quiet():
            two.send(LOCK.format("running"))
            await three.get_config("running")
            one.send(f"<edit-config><target><running/></target><config>{group(channel())}</config></edit-config>")
            await three.get_config("running")
        assert (await two.receive()).ok
        assert (await one.receive()).error.tag == "in-use"


class TestStartup:
    async def test_lock(self, start: Start, connect: Connect) -> None:
        device = await start(startup=True)
        one, two = await connect(device), await connect(device)
        assert (await one.rpc(LOCK.format("startup"))).ok
        delete = "<delete-config><target><startup/></target></delete-config>"
        assert (await two.rpc(delete)).error.tag == "in-use"
        assert (await one.rpc(delete)).ok
