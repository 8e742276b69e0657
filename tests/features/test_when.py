"""Nodes whose ``when`` an edit makes false go with it (RFC 7950 section 8.3.2), on a session and in each datastore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from lxml import etree
from tests.features.test_edit_data import edit_data
from tests.features.test_yang11 import YANG, top

from mlag_agent.app import Device
from netconf_client import Client

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

FAST, SLOW = "<mode>fast</mode>", "<mode>slow</mode>"
# Of each kind: a leaf, a leaf-list, a container, a list, anydata, in a choice, from a uses and an augment.
ALL = (
    "<leaf-when>x</leaf-when><list-when>a</list-when><list-when>b</list-when><container-when><x>y</x></container-when>"
    "<entry-when><k>a</k></entry-when><any-when><z/></any-when><in-choice>x</in-choice><name>n</name><also>n</also>"
    "<m:augmented>x</m:augmented>"
)
KEPT = "<numbers>9</numbers>"


@pytest.fixture
async def client(start: Start, connect: Connect) -> Client:
    device = await start(yang_dirs=(str(YANG),), modules=("every:on,both", "every-more"), startup=True)
    return await connect(device)


async def names(client: Client, source: str = "running") -> list[str]:
    data = (await client.get_config(source)).data
    return [str(child.tag).partition("}")[2] for container in data for child in container]


@pytest.mark.parametrize("datastore", ["running", "candidate", "startup"])
class TestEditData:
    async def test_all_kinds(self, client: Client, datastore: str) -> None:
        target = f"ds:{datastore}"
        assert (await client.rpc(edit_data(target, top("conditions", f"{FAST}{ALL}{KEPT}")))).ok
        assert len(await names(client, datastore)) == 12
        reply = await client.rpc(edit_data(target, top("conditions", SLOW)))
        assert reply.ok, reply.text
        assert await names(client, datastore) == ["mode", "numbers"]

    async def test_by_a_default(self, client: Client, datastore: str) -> None:
        """Without a value, mode is slow."""
        target = f"ds:{datastore}"
        assert (await client.rpc(edit_data(target, top("conditions", f"{FAST}{ALL}{KEPT}")))).ok
        reply = await client.rpc(edit_data(target, top("conditions", '<mode nc:operation="delete"/>')))
        assert reply.ok, reply.text
        assert await names(client, datastore) == ["numbers"]

    async def test_set_by_the_request_itself(self, client: Client, datastore: str) -> None:
        """RFC 7950 section 8.3.1: an error, as soon as the datastore is validated."""
        target = f"ds:{datastore}"
        assert (await client.rpc(edit_data(target, top("conditions", f"{FAST}<leaf-when>x</leaf-when>{KEPT}")))).ok
        reply = await client.rpc(edit_data(target, top("conditions", f"{SLOW}<leaf-when>other</leaf-when>")))
        if datastore == "candidate":
            assert reply.ok
            reply = await client.rpc("<validate><source><candidate/></source></validate>")
        assert [error.tag for error in reply.errors] == ["unknown-element"]
        assert "leaf-when" in await names(client, datastore)


async def test_commit(client: Client) -> None:
    """What has gone from the candidate goes from running, and comes back with a discard."""
    assert (await client.edit(top("conditions", f"{FAST}{ALL}"))).ok
    assert (await client.commit()).ok
    assert (await client.edit(top("conditions", SLOW))).ok
    assert await names(client, "candidate") == ["mode"]
    await client.rpc("<discard-changes/>")
    assert len(await names(client, "candidate")) == 11
    options = "<test-option>test-then-set</test-option>"
    assert (await client.edit(top("conditions", SLOW), options=options)).ok
    assert (await client.commit()).ok
    assert await names(client) == ["mode"]


async def test_steps(client: Client) -> None:
    """A candidate may hold what its condition does not allow yet."""
    for step in ("<leaf-when>x</leaf-when>", KEPT, FAST):
        assert (await client.edit(top("conditions", step))).ok
    assert (await client.commit()).ok
    assert await names(client) == ["mode", "leaf-when", "numbers"]


async def test_replace(client: Client) -> None:
    """All that a request with default-operation replace names is set by it."""
    assert (await client.edit(top("conditions", f"{FAST}<leaf-when>x</leaf-when>"))).ok
    assert (await client.commit()).ok
    options = "<default-operation>replace</default-operation>"
    assert (await client.edit(top("conditions", f"{SLOW}<leaf-when>x</leaf-when>"), options=options)).ok
    assert (await client.commit()).error.tag == "unknown-element"


async def test_after_a_restart(start: Start, connect: Connect) -> None:
    """The journal has what has gone."""
    settings = {"yang_dirs": (str(YANG),), "modules": ("every:on,both", "every-more")}
    device = await start(**settings)
    client = await connect(device)
    assert (await client.rpc(edit_data("ds:running", top("conditions", f"{FAST}{ALL}")))).ok
    assert (await client.rpc(edit_data("ds:running", top("conditions", SLOW)))).ok
    await device.aclose()
    assert await names(await connect(await start(**settings))) == ["mode"]


async def test_events_tell(client: Client) -> None:
    """Deletions are edits of the netconf-config-change (RFC 6470 section 2.2)."""
    assert (await client.rpc(edit_data("ds:running", top("conditions", f"{FAST}<leaf-when>x</leaf-when>")))).ok
    assert (await client.subscribe()).ok
    assert (await client.rpc(edit_data("ds:running", top("conditions", SLOW)))).ok
    event = await client.notification()
    assert "leaf-when" in etree.tostring(event.event, encoding="unicode")
