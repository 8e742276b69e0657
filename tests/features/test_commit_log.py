"""mlag-agent-commit: what commits are for, in the list of them and in the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from conftest import Connect, Start
from mlag_agent.app import Device
from mlag_agent.datastore.commit_log import MAX_COMMITS
from mlag_client.testing import RunningAgent, assert_yang_valid
from netconf_client import Client, vpn

NS = "urn:mlag-agent:yang:mlag-agent-commit"
FILTER = f'<commits xmlns="{NS}"/>'


def commit(inner: str = "", **remarks: str) -> str:
    """``<commit>`` with a label and a description."""
    found = "".join(f'<{name} xmlns="{NS}">{escape(text)}</{name}>' for name, text in remarks.items())
    return f"<commit>{inner}{found}</commit>"


async def listed(session: Client) -> list[dict[str, str]]:
    data = (await session.rpc(f'<get><filter type="subtree">{FILTER}</filter></get>')).data
    rows = data.iter(f"{{{NS}}}commit")
    return [{etree.QName(leaf).localname: leaf.text or "" for leaf in row} for row in rows]


async def test_who_when_and_what_for(device: Device, session: Client) -> None:
    await session.edit(vpn("red"))
    assert (await session.rpc(commit(label="change 7", description="VPN for <red>"))).ok
    assert (await session.rpc(commit())).ok
    first, second = await listed(session)
    assert first.pop("time") <= second.pop("time")
    who = {"session-id": str(session.session_id), "username": "anna", "kind": "commit"}
    assert first == {"number": "1", **who, "label": "change 7", "description": "VPN for <red>"}
    assert second == {"number": "2", **who}


async def test_kinds_of_commits(session: Client) -> None:
    assert (await session.rpc(commit("<confirmed/>", label="trial"))).ok
    assert (await session.rpc(commit("<confirmed/>"))).ok
    assert (await session.rpc(commit())).ok
    assert (await session.rpc(commit())).ok
    kinds = [(row["kind"], row.get("label")) for row in await listed(session)]
    assert kinds == [("confirmed", "trial"), ("extending", None), ("confirming", None), ("commit", None)]


async def test_what_was_refused_is_in_the_audit_log_alone(device: Device, session: Client) -> None:
    assert not (await session.rpc(commit("<persist-id>x</persist-id>", description="not to be"))).ok
    assert (await session.rpc(commit(description="to be"))).ok
    assert [row["description"] for row in await listed(session)] == ["to be"]
    lines = (Path(device.settings.state) / "audit.jsonl").read_text().splitlines()
    found = [line for line in map(json.loads, lines) if line.get("operation") == "ietf-netconf:commit"]
    assert [(line["result"], line["description"]) for line in found] == [("error", "not to be"), ("ok", "to be")]
    assert all("label" not in line for line in found)


@pytest.mark.parametrize(
    "remarks",
    [
        {"label": ""},
        {"label": "x" * 257},
        {"description": ""},
        {"description": "x" * 61},
        {"description": "two\nlines"},
    ],
)
async def test_limits(session: Client, remarks: dict[str, str]) -> None:
    (error,) = (await session.rpc(commit(**remarks))).errors
    assert error.tag == "invalid-value"
    assert await listed(session) == []


async def test_the_list_is_bounded_and_its_numbers_go_on(session: Client) -> None:
    for number in range(1, MAX_COMMITS + 3):
        assert (await session.rpc(commit(label=str(number)))).ok
    rows = await listed(session)
    assert [int(row["number"]) for row in rows] == list(range(3, MAX_COMMITS + 3))
    assert all(row["number"] == row["label"] for row in rows)


def test_the_list_is_valid(mlag_agent: RunningAgent) -> None:
    manager = mlag_agent.connect()
    manager.commit()
    assert_yang_valid(manager.get(("subtree", FILTER)), mlag_agent)


async def test_without_a_candidate_there_is_no_such_module(start: Start, connect: Connect) -> None:
    device = await start(candidate="none")
    session = await connect(device)
    assert await listed(session) == []
    assert "mlag-agent-commit" not in device.agent.library.tree.namespaces
