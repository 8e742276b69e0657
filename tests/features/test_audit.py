"""The audit log over real sockets, and where secrets must not be."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from conftest import HASH, Connect, MakeSettings, Start
from mlag_agent.app import Device
from mlag_agent.config import AuditSettings, UserSettings
from netconf_client import DML, PASSWORD, Client, channel, group


def audited(device: Device) -> list[dict[str, Any]]:
    file = Path(device.settings.state) / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def operations(device: Device) -> list[dict[str, Any]]:
    return [line for line in audited(device) if line["event"] == "operation"]


async def test_one_line_for_each_operation(device: Device, session: Client) -> None:
    await session.get_config()
    await session.edit(group(channel(), password="correct+horse"))
    await session.commit()
    await session.rpc("<copy-config><target><candidate/></target><source><startup/></source></copy-config>")
    await session.rpc('<frobnicate xmlns="urn:x"/>')
    found = operations(device)
    assert [(line["operation"], line.get("datastore"), line["result"]) for line in found] == [
        ("ietf-netconf:get-config", "running", "ok"),
        ("ietf-netconf:edit-config", "candidate", "ok"),
        ("ietf-netconf:commit", "running", "ok"),
        ("ietf-netconf:copy-config", "candidate", "error"),
        (":frobnicate", None, "error"),
    ]
    assert all(line["user"] == "anna" and line["source"] == "127.0.0.1" for line in found)
    assert {line["session"] for line in found} == {session.session_id}
    assert found[1]["changes"] == found[2]["changes"] == ["create /dfs-m-lag:m-lag"]
    assert found[4]["errors"][0]["tag"] == "unknown-namespace"


async def test_refused_attempts_are_there_with_what_they_tried(
    start: Start, connect: Connect, make_settings: MakeSettings
) -> None:
    users = (UserSettings(name="anna", password_hash=HASH), UserSettings(name="gast", password_hash=HASH, level=2))
    device = await start(settings=make_settings("other", users=users))
    guest = await connect(device, username="gast")
    nacm = '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><enable-nacm>false</enable-nacm></nacm>'
    await guest.edit(nacm)
    await guest.rpc("<kill-session><session-id>99</session-id></kill-session>")
    edit, kill = operations(device)
    assert (edit["user"], edit["result"], edit["errors"][0]["tag"]) == ("gast", "error", "access-denied")
    assert kill["errors"][0]["path"] == "/ietf-netconf:rpc/ietf-netconf:kill-session"


async def test_sessions_and_logins(start: Start, make_settings: MakeSettings, connect: Connect) -> None:
    device = await start(settings=make_settings("other"))
    client = await connect(device)
    await client.rpc("<close-session/>")
    await client.ended()
    await device.aclose()
    found = audited(device)
    assert [line["event"] for line in found] == ["session-start", "operation", "session-end"]
    assert found[0]["transport"] == "netconf-ssh"
    file = Path(device.settings.state) / "audit.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_off(start: Start, make_settings: MakeSettings, connect: Connect) -> None:
    device = await start(settings=make_settings("other", audit=AuditSettings(file="off")))
    client = await connect(device)
    assert (await client.get_config()).errors == []
    assert not (Path(device.settings.state) / "audit.jsonl").exists()


SECRET = "Xq7!vErySecr"
"""A password for the group that is right in form (8 to 16 characters), and stands nowhere else."""


def password(value: str, around: str = "{}") -> str:
    return group().replace("<id>1</id>", "<id>1</id>" + around.format(f"<password>{value}</password>"))


AUTHENTICATION = "<authentication>{}</authentication>"

POSITIONS = {
    "good": password(SECRET, AUTHENTICATION),
    "too long": password(SECRET * 3, AUTHENTICATION),
    "no cipher text": password((SECRET * 11)[:128], AUTHENTICATION),
    "not allowed characters": password(SECRET + "é", AUTHENTICATION),
    "twice": password(SECRET, "<authentication>{0}{0}</authentication>"),
    "wrong place": password(SECRET),
    "in an unknown element": password(SECRET, "<authentification>{}</authentification>"),
    "in an unknown namespace": password(SECRET, '<authentication xmlns="urn:x">{}</authentication>'),
    "in an unknown module": f'<users xmlns="urn:x"><password>{SECRET}</password></users>',
    "with an element inside": password(f"<b>{SECRET}</b>", AUTHENTICATION),
    "text beside elements": password("x", "<authentication>" + SECRET + "{}</authentication>"),
    "in an attribute": password("x", f'<authentication secret="{SECRET}">{{}}</authentication>'),
    "delete": password(SECRET, AUTHENTICATION).replace(
        "<password>", '<password xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="delete">'
    ),
    "bad operation": password(SECRET, AUTHENTICATION).replace(
        "<password>", '<password xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="shred">'
    ),
}


def state_files(device: Device) -> dict[str, str]:
    return {file.name: file.read_bytes().decode("latin-1") for file in Path(device.settings.state).iterdir()}


@pytest.fixture
async def loud(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that ``-vv`` would log."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("target", ["candidate", "running"])
@pytest.mark.parametrize("position", POSITIONS)
async def test_a_secret_is_nowhere_in_clear(
    device: Device, session: Client, loud: pytest.LogCaptureFixture, position: str, target: str
) -> None:
    """Not in a reply, the log, the audit log, nor any file of the state folder."""
    client = session
    replies = [
        await client.edit(POSITIONS[position], target=target),
        await client.rpc("<validate><source><candidate/></source></validate>"),
        await client.commit(),
        await client.get_config(),
        await client.get_config("candidate"),
        await client.get(f'<m-lag xmlns="{DML}"/>'),
        await client.edit(POSITIONS[position], target=target, options="<error-option>continue-on-error</error-option>"),
        await client.rpc(f"<validate><source><config>{POSITIONS[position]}</config></source></validate>"),
    ]
    if position == "good":
        assert len(replies[3].leaf("password") or "") == 128
    await device.aclose()
    places = {"replies": "".join(reply.text for reply in replies), "log": loud.text}
    places |= state_files(device)
    assert "audit.jsonl" in places
    assert [name for name, text in places.items() if SECRET in text] == []


@pytest.mark.parametrize(
    "message",
    [
        f"<rpc><edit-config><password>{SECRET}</passwort></edit-config></rpc>",
        f"<rpc message-id='1'><password>{SECRET}&unknown;</password></rpc>",
        f"<rpc message-id='1' x={SECRET}/>",
        f"<rpc message-id='1'><{SECRET}/></rpc>",
        f"<!DOCTYPE rpc [<!ENTITY x '{SECRET}'>]><rpc message-id='1'>&x;</rpc>",
        f"<rpc message-id='1'><a>{SECRET}</a>",
        f"<notrpc><password>{SECRET}</password></notrpc>",
        f"{SECRET}",
        f"<rpc xmlns='urn:ietf:params:xml:ns:netconf:base:1.0' message-id='1'>{SECRET}<get/></rpc>",
    ],
)
async def test_a_secret_in_what_is_no_message(
    start: Start, make_settings: MakeSettings, connect: Connect, loud: pytest.LogCaptureFixture, message: str
) -> None:
    device = await start(settings=make_settings("other"))
    client = await connect(device)
    client.send_message(message)
    try:
        reply = await client.receive_bytes()
    except EOFError:
        reply = b""
    await device.aclose()
    assert SECRET not in reply.decode()
    assert SECRET not in loud.text
    assert SECRET not in (Path(device.settings.state) / "audit.jsonl").read_text()


async def test_a_users_password_is_nowhere_in_clear(
    start: Start, make_settings: MakeSettings, connect: Connect, loud: pytest.LogCaptureFixture
) -> None:
    device = await start(settings=make_settings("other"))
    client = await connect(device)
    replies = [await client.get(), await client.get_config()]
    await device.aclose()
    texts = [reply.text for reply in replies] + [loud.text]
    texts += state_files(device).values()
    assert not any(PASSWORD in text or HASH in text for text in texts)
