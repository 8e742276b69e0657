"""Partial locks (RFC 5717): what is granted, what is refused, and every way in which running can change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fake_timers import FakeTimers
from mlag_agent.app import Device
from mlag_client.testing import RunningAgent, assert_yang_valid
from netconf_client import LIMIT, NI, Client, Reply, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
Pair = tuple[Client, Client]

PL = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
RED = "/n:network-instances/n:network-instance[n:name='red']"
RED_PATH = "/ietf-network-instance:network-instances/network-instance[name='red']"
LOCK = "<lock><target><running/></target></lock>"
UNLOCK = "<unlock><target><running/></target></unlock>"


def lock(*select: str) -> str:
    inner = "".join(f"<select xmlns:n='{NI}'>{text}</select>" for text in select)
    return f'<partial-lock xmlns="{PL}">{inner}</partial-lock>'


def unlock(lock_id: str | int | None) -> str:
    return f'<partial-unlock xmlns="{PL}"><lock-id>{lock_id}</lock-id></partial-unlock>'


def described(name: str, text: str) -> str:
    return vpn(name, f"<description>{text}</description>")


def both(*containers: str) -> str:
    """The content of several in one."""
    inner = "".join(text.partition(">")[2].removesuffix("</network-instances>") for text in containers)
    return f'<network-instances xmlns="{NI}">{inner}</network-instances>'


def removed(name: str) -> str:
    return (
        f'<network-instances xmlns="{NI}"><network-instance {NC} nc:operation="remove"><name>{name}</name>'
        "</network-instance></network-instances>"
    )


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
async def device(start: Start, timers: FakeTimers) -> Device:
    """Two VPN instances are configured."""
    device = await start(call_later=timers.call_later, startup=True)
    session = await Client.connect(device.port)
    assert (await session.edit(both(described("red", "1"), described("blue", "1")), "running")).ok
    await session.aclose()
    return device


@pytest.fixture
async def pair(device: Device, connect: Connect) -> Pair:
    """Two sessions with one agent."""
    return await connect(device), await connect(device)


def granted(reply: Reply) -> str:
    assert not reply.errors, reply.text
    return reply.leafs("lock-id")[0]


async def state(session: Client) -> Reply:
    return await session.get(
        '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><datastores/></netconf-state>'
    )


class TestGranted:
    async def test_the_nodes_are_named(self, pair: Pair) -> None:
        one, _ = pair
        reply = await one.rpc(lock(RED))
        head = "/ietf-network-instance:network-instances/ietf-network-instance:network-instance"
        assert reply.leafs("locked-node") == [f"{head}[ietf-network-instance:name='red']"]
        node = next(reply.root.iter(f"{{{PL}}}locked-node"))
        assert node.nsmap["ietf-network-instance"] == NI
        assert granted(reply) == "1"

    async def test_any_expression(self, pair: Pair) -> None:
        one, _ = pair
        for expression, count in (
            ("//n:network-instance", 2),
            ("//n:description[. = '1']", 2),
            ("/n:network-instances | //n:description", 1),  # what stands below another node is locked with it
            ("/", 1),
            ("//n:description/text()", 2),
        ):
            reply = await one.rpc(lock(expression))
            assert len(reply.leafs("locked-node")) == count, expression
            assert (await one.rpc(unlock(granted(reply)))).ok

    async def test_several_expressions(self, pair: Pair) -> None:
        one, _ = pair
        reply = await one.rpc(lock(RED, "//n:none", RED.replace("red", "blue")))
        assert len(reply.leafs("locked-node")) == 2

    async def test_names_without_a_prefix_match_any_module(self, pair: Pair) -> None:
        one, _ = pair
        assert len((await one.rpc(lock("//network-instance"))).leafs("locked-node")) == 2

    async def test_it_shows(self, pair: Pair) -> None:
        one, two = pair
        number = granted(await one.rpc(lock(RED)))
        found = await state(two)
        assert found.leafs("lock-id") == [number]
        assert found.leafs("locked-by-session") == [str(one.session_id)]
        assert found.leafs("select") == [RED]
        assert len(found.leafs("locked-node")) == 1
        await one.rpc(unlock(number))
        assert (await state(two)).leafs("lock-id") == []

    async def test_twice_by_one_session(self, pair: Pair) -> None:
        """RFC 5717 section 2.4.1.1: what another of its locks still holds stays locked."""
        one, two = pair
        first, second = granted(await one.rpc(lock(RED))), granted(await one.rpc(lock("/n:network-instances")))
        assert first != second
        assert (await one.rpc(unlock(second))).ok
        assert (await two.edit(described("red", "2"), "running")).error.tag == "in-use"
        assert (await two.edit(described("blue", "2"), "running")).ok

    async def test_reply_is_valid(self, mlag_agent: RunningAgent) -> None:
        with mlag_agent.client() as client:
            client.manager.edit_config(target="running", config=f"<config>{vpn('red')}</config>")
            client.manager.dispatch(_element(lock(RED)))
            assert_yang_valid(client.manager.get(), client)


def _element(text: str) -> object:
    from lxml import etree  # noqa: PLC0415  # ncclient takes elements for what it has no method for

    return etree.fromstring(text)


class TestRefused:
    async def test_what_is_locked_by_another(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(lock(RED))
        for expression in (RED, f"{RED}/n:description", "/n:network-instances", "/"):
            error = (await two.rpc(lock(expression))).error
            assert (error.tag, error.info) == ("lock-denied", {"session-id": str(one.session_id)}), expression
        assert granted(await two.rpc(lock(RED.replace("red", "blue"))))

    async def test_all_or_nothing(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(lock(RED))
        assert (await two.rpc(lock(RED.replace("red", "blue"), RED))).error.tag == "lock-denied"
        assert (await one.edit(described("blue", "2"), "running")).ok

    async def test_no_matches(self, pair: Pair) -> None:
        one, _ = pair
        error = (await one.rpc(lock(RED.replace("red", "none")))).error
        assert (error.tag, error.app_tag) == ("operation-failed", "no-matches")

    @pytest.mark.parametrize("expression", ["1 + 1", "'red'", "count(//n:description)"])
    async def test_no_node_set(self, pair: Pair, expression: str) -> None:
        error = (await pair[0].rpc(lock(expression))).error
        assert (error.tag, error.app_tag, error.info) == ("invalid-value", "not-a-node-set", {"bad-element": "select"})

    @pytest.mark.parametrize("expression", ["//", "/n:a[", "/x:network-instances", "nothing()", ""])
    async def test_no_expression(self, pair: Pair, expression: str) -> None:
        error = (await pair[0].rpc(lock(expression))).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": "select"})

    async def test_nothing_selected(self, pair: Pair) -> None:
        assert (await pair[0].rpc(lock())).errors

    async def test_too_many_expressions(self, pair: Pair) -> None:
        assert (await pair[0].rpc(lock(*[f"/n:a{n}" for n in range(101)]))).error.tag == "resource-denied"

    async def test_unlock_of_what_is_not_held(self, pair: Pair) -> None:
        one, two = pair
        number = granted(await one.rpc(lock(RED)))
        for session, lock_id in ((two, number), (one, 77)):
            error = (await session.rpc(unlock(lock_id))).error
            assert (error.tag, error.info) == ("invalid-value", {"bad-element": "lock-id"})

    async def test_under_a_global_lock(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(LOCK)
        for session in pair:
            error = (await session.rpc(lock(RED))).error
            assert (error.tag, error.info) == ("lock-denied", {"session-id": str(one.session_id)})
        await one.rpc(UNLOCK)
        assert granted(await two.rpc(lock(RED)))

    async def test_a_global_lock_over_a_part(self, pair: Pair) -> None:
        one, _ = pair
        number = granted(await one.rpc(lock(RED)))
        for session in pair:
            error = (await session.rpc(LOCK)).error
            assert (error.tag, error.info) == ("lock-denied", {"session-id": str(one.session_id)})
        await one.rpc(unlock(number))
        assert (await one.rpc(LOCK)).ok

    async def test_while_a_confirmed_commit_is_pending(self, pair: Pair) -> None:
        one, _ = pair
        await one.edit(vpn("green"))
        await one.rpc("<commit><confirmed/></commit>")
        for session in pair:
            error = (await session.rpc(lock(RED))).error
            assert (error.tag, error.app_tag) == ("in-use", "outstanding-confirmed-commit")
        await one.commit()
        assert granted(await one.rpc(lock(RED)))


def copied(content: str) -> str:
    return f"<copy-config><target><running/></target><source><config>{content}</config></source></copy-config>"


class TestEnforced:
    """Whatever would change a locked node, from above, from below or itself; everything else goes through."""

    @pytest.fixture
    async def locked(self, pair: Pair) -> Pair:
        """The first session has locked ``red``."""
        assert granted(await pair[0].rpc(lock(RED)))
        return pair

    def check(self, reply: Reply, holder: Client) -> None:
        error = reply.error
        assert (error.tag, error.app_tag) == ("in-use", "locked")
        assert error.info == {"session-id": str(holder.session_id)}
        assert error.path == RED_PATH
        assert "partial lock 1" in error.message

    @pytest.mark.parametrize(
        "edit",
        [
            described("red", "2"),
            vpn("red", "<enabled>false</enabled>"),
            removed("red"),
            f'<network-instances xmlns="{NI}" {NC} nc:operation="delete"/>',
            f'<network-instances xmlns="{NI}" {NC} nc:operation="replace"><network-instance><name>blue</name>'
            "</network-instance></network-instances>",
        ],
    )
    async def test_edit_config_and_commit(self, locked: Pair, edit: str) -> None:
        one, two = locked
        before = (await one.get_config()).text.partition(">")[2]
        self.check(await two.edit(edit, "running"), one)
        assert (await two.edit(edit)).ok  # the candidate is not locked
        self.check(await two.commit(), one)
        assert (await one.get_config()).text.partition(">")[2] == before
        # Its owner may; the candidate is everybody's.
        assert (await one.commit()).ok

    async def test_copy_config(self, locked: Pair) -> None:
        one, two = locked
        self.check(await two.rpc(copied(vpn("red"))), one)
        self.check(await two.rpc(copied("")), one)
        copy = "<copy-config><target><running/></target><source><startup/></source></copy-config>"
        self.check(await two.rpc(copy), one)
        assert (await two.rpc(copied(both(described("red", "1"), vpn("green"))))).ok
        assert (await two.get_config()).leafs("name") == ["green", "red"]

    async def test_what_is_not_locked(self, locked: Pair) -> None:
        _, two = locked
        assert (await two.edit(both(described("blue", "2"), vpn("green")), "running")).ok
        assert (await two.edit(group(channel()))).ok
        assert (await two.commit()).ok

    async def test_an_edit_that_changes_nothing_of_it(self, locked: Pair) -> None:
        _, two = locked
        assert (await two.edit(both(described("red", "1"), vpn("green")), "running")).ok

    async def test_cancel_commit(self, pair: Pair) -> None:
        """The lock was granted before; the cancel would take back what its owner has changed since."""
        one, two = pair
        await one.rpc(lock(RED))
        await two.edit(vpn("green"))
        assert (await two.rpc("<commit><confirmed/></commit>")).ok
        assert (await one.edit(described("red", "2"), "running")).ok
        self.check(await two.rpc("<cancel-commit/>"), one)
        assert (await one.get_config()).leafs("description") == ["1", "2"]

    async def test_the_rollback_of_a_confirmed_commit_is_not_kept_off(
        self, device: Device, pair: Pair, timers: FakeTimers
    ) -> None:
        """It is a MUST of RFC 6241 section 8.4.1, as under a global lock (docs/decisions/010)."""
        one, two = pair
        await one.rpc(lock(RED))
        await two.edit(vpn("green"))
        await two.rpc("<commit><confirmed/></commit>")
        await one.edit(described("red", "2"), "running")
        timers.fire()
        await asyncio.gather(*device.agent.commits._tasks)
        assert (await one.get_config()).leafs("description") == ["1", "1"]

    async def test_factory_reset(self, locked: Pair) -> None:
        one, two = locked
        reset = '<factory-reset xmlns="urn:ietf:params:xml:ns:yang:ietf-factory-default"/>'
        self.check(await two.rpc(reset), one)
        assert (await one.rpc(reset)).ok

    async def test_a_transaction_that_waited_sees_the_lock(self, device: Device, connect: Connect) -> None:
        one, two, three = [await connect(device) for _ in range(3)]
        async with device.agent.transactor.quiet():
            two.send(lock(RED))
            await three.get_config("running")
            one.send(f"<edit-config><target><running/></target><config>{removed('red')}</config></edit-config>")
            await three.get_config("running")
        assert granted(await two.receive())
        self.check(await one.receive(), two)

    async def test_what_its_owner_deletes_anybody_may_make_again(self, locked: Pair) -> None:
        """RFC 5717 section 2.4.1.1: it is not covered by the lock any more, not even when it is there again."""
        one, two = locked
        assert (await one.edit(removed("red"), "running")).ok
        assert (await state(two)).leafs("locked-node") == []
        assert (await two.edit(described("red", "new"), "running")).ok
        assert (await two.edit(described("red", "newer"), "running")).ok

    async def test_what_the_expression_would_find_later_is_not_locked(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(lock("//n:network-instance"))
        assert (await two.edit(vpn("green"), "running")).ok
        assert (await two.edit(removed("green"), "running")).ok
        assert (await two.edit(removed("red"), "running")).error.app_tag == "locked"

    async def test_a_leaf(self, pair: Pair) -> None:
        one, two = pair
        await one.rpc(lock(f"{RED}/n:description"))
        assert (await two.edit(described("red", "2"), "running")).error.path == f"{RED_PATH}/description"
        assert (await two.edit(vpn("red", "<enabled>false</enabled>"), "running")).ok


class TestReleased:
    async def test_by_partial_unlock(self, pair: Pair) -> None:
        one, two = pair
        assert (await one.rpc(unlock(granted(await one.rpc(lock(RED)))))).ok
        assert (await two.edit(described("red", "2"), "running")).ok

    @pytest.mark.parametrize("way", ["close", "abort", "kill"])
    async def test_by_the_end_of_the_session(self, device: Device, pair: Pair, way: str) -> None:
        one, two = pair
        await one.rpc(lock(RED))
        if way == "close":
            await one.rpc("<close-session/>")
        elif way == "abort":
            one.abort()
        else:
            assert (await two.rpc(f"<kill-session><session-id>{one.session_id}</session-id></kill-session>")).ok
        for session in device.registry:
            if session.session_id == one.session_id:
                await asyncio.wait_for(session.wait_over(), LIMIT)
        assert (await two.edit(described("red", "2"), "running")).ok

    async def test_numbers_are_not_used_twice(self, pair: Pair) -> None:
        one, _ = pair
        first = granted(await one.rpc(lock(RED)))
        await one.rpc(unlock(first))
        assert granted(await one.rpc(lock(RED))) != first
