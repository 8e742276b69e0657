"""Who hears of what (RFC 8341 section 3.4.6), in live events, in a replay and in pushed data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.access.users import hash_password
from mlag_agent.app import Device
from mlag_agent.config import UserSettings
from mlag_agent.features.events import publish
from netconf_client import DML, PASSWORD, Client, channel, group

Start = Callable[..., Awaitable[Device]]
Connect = Callable[..., Awaitable[Client]]

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
HASH = hash_password(PASSWORD)
USERS = tuple(UserSettings(name=name, password_hash=HASH, level=level) for name, level in (("anna", 3), ("gast", 1)))


def deny(rule: str) -> str:
    return (
        f'<nacm xmlns="{ACM}"><rule-list><name>mine</name><group>*</group><rule><name>r</name>{rule}'
        "<action>deny</action></rule></rule-list></nacm>"
    )


NOTIFICATION = deny(
    "<module-name>ietf-netconf-notifications</module-name>"
    "<notification-name>netconf-session-start</notification-name><access-operations>read</access-operations>"
)


@pytest.fixture
async def device(start: Start) -> Device:
    return await start(users=USERS)


@pytest.fixture
async def guest(device: Device, connect: Connect) -> Client:
    return await connect(device, username="gast")


def happen(device: Device, name: str = "netconf-session-start") -> None:
    values = {"username": "x", "session-id": 0}
    if name == "netconf-session-end":
        values["termination-reason"] = "closed"
    publish(device.agent, f"ietf-netconf-notifications:{name}", values)


async def test_who_may_read_may_subscribe(device: Device, guest: Client) -> None:
    assert (await guest.subscribe()).ok
    happen(device)
    assert (await guest.notification()).name == "netconf-session-start"


@pytest.mark.parametrize("replay", [False, True])
async def test_denied_event_is_not_sent(device: Device, session: Client, guest: Client, replay: bool) -> None:
    """The rule is for everybody, whatever the level's own rules say; anna has none in her way as a recovery user."""
    assert (await session.edit(NOTIFICATION, "running")).ok
    if replay:
        happen(device)
        happen(device, "netconf-session-end")
    start = "<startTime>2020-01-01T00:00:00Z</startTime>" if replay else ""
    assert (await guest.subscribe(start)).ok
    happen(device)
    happen(device, "netconf-session-end")
    names = set()
    while "netconf-session-end" not in names:
        names.add((await guest.notification()).name)
    await guest.get_config()
    assert "netconf-session-start" not in names | {event.name for event in guest.events}


async def test_rules_hold_from_when_they_change(device: Device, session: Client, guest: Client) -> None:
    await guest.subscribe()
    happen(device)
    assert (await guest.notification()).name == "netconf-session-start"
    assert (await session.edit(NOTIFICATION, "running")).ok
    happen(device)
    assert (await guest.notification()).name == "netconf-config-change"
    await guest.get_config()
    assert not guest.events


async def test_pushed_data_is_what_the_session_may_read(device: Device, session: Client, guest: Client) -> None:
    hidden = deny(
        f'<path xmlns:d="{DML}">/d:m-lag/d:dfs-groups/d:dfs-group/d:peer-link-source</path>'
        "<access-operations>read</access-operations>"
    )
    assert (await session.edit(hidden, "running")).ok
    reply = await guest.rpc(
        f'<establish-subscription xmlns="{SN}"><datastore xmlns="{YP}" xmlns:ds="{DS}">ds:running</datastore>'
        f'<on-change xmlns="{YP}"/></establish-subscription>'
    )
    assert not reply.errors, reply.text
    assert "tcp-port" not in (await guest.notification()).text
    assert (await session.edit(group(channel()), "running")).ok
    changed = await guest.notification()
    assert changed.name == "push-change-update"
    assert "dfs-group" in changed.text
    assert "tcp-port" not in changed.text
    assert (await session.edit(group(channel(port=3000)), "running")).ok
    await guest.get_config()
    assert not guest.events


async def test_kill_subscription_is_for_those_who_may(device: Device, session: Client, guest: Client) -> None:
    reply = await session.rpc(f'<establish-subscription xmlns="{SN}"><stream>NETCONF</stream></establish-subscription>')
    number = reply.root.findtext(f"{{{SN}}}id")
    kill = f'<kill-subscription xmlns="{SN}"><id>{number}</id></kill-subscription>'
    assert (await guest.rpc(kill)).error.tag == "access-denied"
    assert (await session.rpc(kill)).ok
