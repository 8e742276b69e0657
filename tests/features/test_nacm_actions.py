"""Actions and access control (RFC 8341 sections 3.1.3 and 3.4.5): read on the way, exec on the action."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import HASH, Connect, Start
from mlag_agent.app import Device
from mlag_agent.config import UserSettings
from netconf_client import Client

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
FOLDER = Path(__file__).parent.parent / "foreign" / "yang"
SLOT = "/a:system/a:slot"


@pytest.fixture
async def device(start: Start) -> Device:
    users = (UserSettings(name="anna", password_hash=HASH), UserSettings(name="gast", password_hash=HASH, level=2))
    return await start(yang_dirs=(str(FOLDER),), modules=("acme",), users=users)


@pytest.fixture
async def guest(device: Device, connect: Connect) -> Client:
    return await connect(device, username="gast")


def reset(number: int) -> str:
    slot = f'<system xmlns="urn:acme"><slot><number>{number}</number><reset/></slot></system>'
    return f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{slot}</action>'


async def deny(admin: Client, path: str, operations: str) -> None:
    rule = (
        f'<rule><name>r</name><path xmlns:a="urn:acme">{path}</path><access-operations>{operations}</access-operations>'
    )
    rules = f"<rule-list><name>mine</name><group>level-2</group>{rule}<action>deny</action></rule></rule-list>"
    reply = await admin.edit(f'<nacm xmlns="{ACM}">{rules}</nacm>', "running")
    assert reply.ok, reply.text


async def test_permitted(guest: Client) -> None:
    """What comes then is no matter of access: there is no such slot."""
    assert (await guest.rpc(reset(1))).error.tag == "data-missing"


async def test_exec_on_the_action(session: Client, guest: Client) -> None:
    await deny(session, f"{SLOT}[a:number='1']/a:reset", "exec")
    error = (await guest.rpc(reset(1))).error
    assert (error.tag, error.path) == ("access-denied", "/acme:system/slot[number='1']/reset")
    assert error.message == 'access denied to execute acme:reset: rule "r" of rule-list "mine"'
    assert (await guest.rpc(reset(2))).error.tag == "data-missing"


async def test_read_on_all_that_it_stands_in(session: Client, guest: Client) -> None:
    await deny(session, f"{SLOT}[a:number='1']", "read")
    error = (await guest.rpc(reset(1))).error
    assert (error.tag, error.path) == ("access-denied", "/acme:system/slot")
    assert "since slot may not be read" in error.message
    assert (await guest.rpc(reset(2))).error.tag == "data-missing"


async def test_hidden_or_missing_is_the_same(session: Client, guest: Client) -> None:
    await deny(session, SLOT, "read")
    first = await guest.rpc(reset(1))
    slot = '<system xmlns="urn:acme"><slot><number>1</number></slot></system>'
    assert (await session.edit(slot, "running")).ok
    assert (await guest.rpc(reset(1))).errors == first.errors


async def test_the_audit_log_names_the_action(device: Device, guest: Client) -> None:
    await guest.rpc(reset(7))
    await guest.get_config()
    lines = (Path(device.settings.state) / "audit.jsonl").read_text().splitlines()
    found = [json.loads(line)["operation"] for line in lines if '"operation":' in line]
    assert found == ["/acme:system/slot[number='7']/reset", "ietf-netconf:get-config"]
