"""Which datastores there are is a setting: capabilities, features, operations and refusals follow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from mlag_agent.app import Device
from mlag_agent.errors import SettingsError
from netconf_client import Client, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

CAPABILITY = "urn:ietf:params:netconf:capability:"
ALL = [
    mode for mode in product(("shared", "private", "none"), (True, False), (True, False)) if mode[:2] != ("none", False)
]


def wanted(candidate: str, writable: bool, startup: bool) -> set[str]:
    """The capabilities that depend on the setting."""
    found = {"writable-running:1.0"} if writable else set()
    if candidate != "none":
        found |= {"candidate:1.0", "confirmed-commit:1.0", "confirmed-commit:1.1"}
    return found | ({"startup:1.0"} if startup else set())


DEPENDENT = wanted("shared", writable=True, startup=True)


@pytest.mark.parametrize(("candidate", "writable", "startup"), ALL)
async def test_everything_that_tells_of_a_mode_agrees(
    start: Start, connect: Connect, candidate: str, writable: bool, startup: bool
) -> None:
    device = await start(candidate=candidate, writable_running=writable, startup=startup)
    client = await connect(device)
    told = {c.removeprefix(CAPABILITY) for c in client.capabilities} & DEPENDENT
    assert told == wanted(candidate, writable, startup)
    features = {name.partition(":")[0] for name in told}
    module = next(c for c in client.capabilities if "module=ietf-netconf&" in c)
    enabled = set(module.partition("features=")[2].partition("&")[0].split(","))
    assert enabled & {name.partition(":")[0] for name in DEPENDENT} == features
    state = await client.get(
        '<netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><datastores/></netconf-state>'
    )
    datastores = {"running"} | ({"candidate"} if candidate != "none" else set()) | ({"startup"} if startup else set())
    assert set(state.leafs("name")) == datastores
    library = await client.get(
        '<yang-library xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library"><datastore><name/></datastore>'
        "</yang-library>"
    )
    conventional = {name.partition(":")[2] for name in library.leafs("name")} & {"running", "candidate", "startup"}
    assert conventional == datastores
    for name in ("running", "candidate", "startup"):
        reply = await client.get_config(name)
        if name in datastores:
            assert reply.data is not None
        else:
            assert (reply.error.tag, reply.error.type) == ("operation-not-supported", "protocol")


def test_something_must_be_editable(make_settings: Callable[..., object]) -> None:
    from mlag_agent.features.netconf import Modes  # noqa: PLC0415  # this test alone needs it

    with pytest.raises(SettingsError, match="nothing could be configured"):
        Modes("none", writable_running=False)


class TestWithoutCandidate:
    @pytest.fixture
    async def client(self, start: Start, connect: Connect) -> Client:
        return await connect(await start(candidate="none"))

    @pytest.mark.parametrize(
        "operation",
        [
            "<commit/>",
            "<cancel-commit/>",
            "<discard-changes/>",
            "<lock><target><candidate/></target></lock>",
            "<unlock><target><candidate/></target></unlock>",
            "<validate><source><candidate/></source></validate>",
            f"<edit-config><target><candidate/></target><config>{vpn('red')}</config></edit-config>",
            "<copy-config><target><candidate/></target><source><running/></source></copy-config>",
            "<copy-config><target><running/></target><source><candidate/></source></copy-config>",
        ],
    )
    async def test_refused_with_what_to_do(self, client: Client, operation: str) -> None:
        error = (await client.rpc(operation)).error
        assert (error.tag, error.type) == ("operation-not-supported", "protocol")
        assert "no candidate" in error.message
        assert "running" in error.message

    async def test_running(self, client: Client) -> None:
        assert (await client.edit(vpn("red"), "running")).ok
        assert (await client.get_config("running")).leafs("name") == ["red"]


class TestRunningThatCannotBeWritten:
    @pytest.mark.parametrize(
        "operation",
        [
            f"<edit-config><target><running/></target><config>{vpn('red')}</config></edit-config>",
            "<copy-config><target><running/></target><source><candidate/></source></copy-config>",
        ],
    )
    async def test_refused(self, start: Start, connect: Connect, operation: str) -> None:
        client = await connect(await start(writable_running=False))
        error = (await client.rpc(operation)).error
        assert error.tag == "operation-not-supported"
        assert "edit the candidate and commit" in error.message
        assert (await client.edit(vpn("red"))).ok
        assert (await client.commit()).ok
        assert (await client.get_config("running")).leafs("name") == ["red"]

    async def test_it_can_be_locked_all_the_same(self, start: Start, connect: Connect) -> None:
        client = await connect(await start(writable_running=False))
        assert (await client.rpc("<lock><target><running/></target></lock>")).ok


async def test_without_startup_a_copy_to_it_says_why(start: Start, connect: Connect) -> None:
    client = await connect(await start())
    for operation in (
        "<copy-config><target><startup/></target><source><running/></source></copy-config>",
        "<delete-config><target><startup/></target></delete-config>",
    ):
        error = (await client.rpc(operation)).error
        assert error.tag == "operation-not-supported"
        assert "running is durable" in error.message


# --- Ansible's sequences (INTEROP 2.2) in each mode ---------------------------------------------------------------

STOP = "<error-option>stop-on-error</error-option>"


@pytest.mark.parametrize(("candidate", "writable", "startup"), ALL)
async def test_netconf_config(start: Start, connect: Connect, candidate: str, writable: bool, startup: bool) -> None:
    """lock, get-config, edit-config, get-config, commit, save, unlock: as ansible.netcommon's netconf_config sends."""
    client = await connect(await start(candidate=candidate, writable_running=writable, startup=startup))
    target = "running" if candidate == "none" else "candidate"
    steps = [f"<lock><target><{target}/></target></lock>"]
    edit = f"<edit-config><target><{target}/></target>{STOP}<config>{vpn('red')}</config></edit-config>"
    steps += [edit] if target == "running" else [edit, "<commit/>"]
    if startup:
        steps.append(f"<copy-config><target><startup/></target><source><{target}/></source></copy-config>")
    steps.append(f"<unlock><target><{target}/></target></unlock>")
    before = await client.get_config(target)
    for step in steps:
        assert (await client.rpc(step)).ok, step
    after = await client.get_config("running")
    assert before.data[:] == []
    assert after.leafs("name") == ["red"]
    if startup:
        assert (await client.get_config("startup")).leafs("name") == ["red"]


@pytest.mark.parametrize("candidate", ["shared", "private"])
async def test_target_running_while_there_is_a_candidate(start: Start, connect: Connect, candidate: str) -> None:
    """It commits at the end all the same: a clean candidate follows running, or that would undo the edit."""
    client = await connect(await start(candidate=candidate))
    await client.get_config("candidate")
    for step in (
        "<lock><target><running/></target></lock>",
        f"<edit-config><target><running/></target>{STOP}<config>{vpn('red')}</config></edit-config>",
        "<commit/>",
        "<unlock><target><running/></target></unlock>",
    ):
        assert (await client.rpc(step)).ok, step
    assert (await client.get_config("running")).leafs("name") == ["red"]


@pytest.mark.parametrize("candidate", ["shared", "private"])
async def test_check_mode_and_commit_false_leave_nothing(start: Start, connect: Connect, candidate: str) -> None:
    client = await connect(await start(candidate=candidate))
    for last in ("<discard-changes/>", "<unlock><target><candidate/></target></unlock>"):
        assert (await client.rpc("<lock><target><candidate/></target></lock>")).ok
        assert (await client.edit(vpn("red"))).ok
        assert (await client.rpc(last)).ok
        assert (await client.get_config("candidate")).data[:] == []
        await client.rpc("<unlock><target><candidate/></target></unlock>")
