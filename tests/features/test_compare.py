"""compare over real sessions (RFC 9144)."""

from __future__ import annotations

import pytest
from lxml import etree
from tests.features.test_nmda import DF, FOLDER, OR, SOURCE, TB

from conftest import Start
from mlag_agent.app import Device
from netconf_client import Client, Reply

CMP = "urn:ietf:params:xml:ns:yang:ietf-nmda-compare"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"


@pytest.fixture
async def device(start: Start) -> Device:
    return await start(yang_dirs=(FOLDER,), modules=("defaults",), features=(SOURCE,))


async def compare(session: Client, source: str, target: str, content: str = "") -> Reply:
    return await session.rpc(
        f'<compare xmlns="{CMP}" xmlns:ds="{DS}"><source>ds:{source}</source>'
        f"<target>ds:{target}</target>{content}</compare>"
    )


def edits(reply: Reply) -> list[tuple[str, ...]]:
    """Operation, target, value and source value of each edit."""
    assert not reply.errors, reply.text

    def text(edit: etree._Element, name: str) -> str:
        found = edit.find(f"{{{CMP}}}{name}")
        return "" if found is None else "".join(found.itertext())

    return [
        tuple(text(edit, name) for name in ("operation", "target", "value", "source-value"))
        for edit in reply.root.iter(f"{{{CMP}}}edit")
    ]


BOX = f'<box xmlns="{TB}"><name>{{}}</name></box>'
SELECT = f'<subtree-filter><box xmlns="{TB}"/></subtree-filter>'


async def test_candidate_and_running(session: Client) -> None:
    assert (await session.edit(BOX.format("a"), "running")).ok
    changed = f'<box xmlns="{TB}"><name>b</name><row><id>4</id><label>x</label></row></box>'
    assert (await session.edit(changed, "candidate")).ok
    there = await compare(session, "running", "candidate")
    assert edits(there) == [
        ("replace", "/learning:box/name", "b", "a"),
        ("create", "/learning:box/row=4", "4x", ""),
    ]
    value = there.root.find(f".//{{{CMP}}}value")
    assert value is not None
    assert value[0].tag == f"{{{TB}}}name"
    assert edits(await compare(session, "candidate", "running")) == [
        ("delete", "/learning:box/row=4", "", "4x"),
        ("replace", "/learning:box/name", "a", "b"),
    ]


async def test_equal_datastores_have_no_edits(session: Client) -> None:
    reply = await compare(session, "running", "candidate")
    assert edits(reply) == []
    assert reply.leafs("patch-id") == ["compare"]


async def test_a_filter_that_matches_nothing(session: Client) -> None:
    reply = await compare(session, "running", "candidate", SELECT)
    assert [child.tag for child in reply.root] == [f"{{{CMP}}}no-matches"]
    xpath = f'<xpath-filter xmlns:t="{TB}">/t:box/t:name</xpath-filter>'
    assert (await session.edit(BOX.format("a"), "candidate")).ok
    assert edits(await compare(session, "running", "candidate", xpath)) == [("create", "/learning:box", "a", "")]


async def test_operational_without_state_and_defaults(session: Client) -> None:
    assert (await session.edit(BOX.format("a"), "running")).ok
    found = edits(await compare(session, "running", "operational"))
    assert [(operation, target) for operation, target, *_ in found if target.startswith("/learning")] == [
        ("create", "/learning:box/row=1"),
        ("create", "/learning:box/row=9"),
    ]
    assert all("yang-library" not in target and "defaults" not in target for _, target, *_ in found)


async def test_all_has_state_and_defaults(session: Client) -> None:
    found = edits(await compare(session, "running", "operational", "<all/>"))
    targets = {target for _, target, *_ in found}
    assert {"/ietf-yang-library:yang-library", "/defaults:plain"} <= targets
    select = f'<all/><subtree-filter><plain xmlns="{DF}"><p/></plain></subtree-filter>'
    assert edits(await compare(session, "running", "operational", select)) == [("create", "/defaults:plain", "50", "")]


async def test_origins(session: Client) -> None:
    config = f'<box xmlns="{TB}"><row><id>1</id></row></box>'
    assert (await session.edit(config, "running")).ok
    reply = await compare(session, "running", "operational", SELECT + "<report-origin/>")
    found = {
        edit.findtext(f"{{{CMP}}}target"): edit.find(f"{{{CMP}}}value")[0].get(f"{{{OR}}}origin")
        for edit in reply.root.iter(f"{{{CMP}}}edit")
    }
    assert found["/learning:box/row=9"] == "or:learned"
    assert found["/learning:box/row=1/label"] == "or:learned"
    without = await compare(session, "running", "operational", SELECT)
    assert "origin=" not in without.text


@pytest.mark.parametrize("name", ["startup", "dynamic"])
async def test_a_datastore_that_is_not_there(session: Client, name: str) -> None:
    assert (await compare(session, "running", name)).error.tag == "invalid-value"
