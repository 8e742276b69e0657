"""Operational state and events from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from lxml import etree

from mlag_agent.data.build import Along
from mlag_agent.data.encode import encode_children
from mlag_agent.errors import RpcFailure
from mlag_agent.foreign.canned import CannedError

MakeAcme = Callable[..., Awaitable[Any]]

EVENTS = "urn:ietf:params:xml:ns:netconf:notification:1.0"
OR = 'xmlns:or="urn:ietf:params:xml:ns:yang:ietf-origin"'


def system(content: str, attributes: str = "") -> str:
    return f'<system xmlns="urn:acme" {attributes}>{content}</system>'


STATE = (
    "<state><uptime>007</uptime><tag>b</tag><tag>a</tag><event><what>x</what></event><event><what>x</what></event>"
    "<blob><any xmlns='urn:any' k='v'>1</any></blob><fibre>f</fibre></state>"
)


class TestOperational:
    @pytest.mark.parametrize(
        "wrap", ["{}", "<data>{}</data>", "<rpc-reply xmlns='urn:x'><data xmlns='urn:y'>{}</data></rpc-reply>"]
    )
    async def test_in_the_reply_to_get(self, acme: MakeAcme, wrap: str) -> None:
        agent = await acme()
        assert (await agent.configure("<name>n</name><slot><number>1</number></slot>")).ok
        slots = (
            "<slot><number>1</number><temperature>40</temperature></slot>"
            "<slot><number>7</number><enabled>false</enabled><temperature>7</temperature></slot>"
        )
        assert agent.device.operational(wrap.format(system(slots + STATE))) == ["/acme:system"]
        text = await agent.get()
        assert (
            "<name>n</name><slot><number>1</number><temperature>40</temperature></slot>"
            "<slot><number>7</number><enabled>false</enabled><temperature>7</temperature></slot>"
            "<state><uptime>7</uptime><tag>b</tag><tag>a</tag><event><what>x</what></event><event><what>x</what></event>"
            '<blob xmlns="urn:acme"><any xmlns="urn:any" k="v">1</any></blob><fibre>f</fibre></state>' in text
        )
        config = (await agent.session.get_config("running")).text
        assert "temperature" not in config
        assert "<number>7</number>" not in config

    async def test_filters_see_it(self, acme: MakeAcme) -> None:
        agent = await acme()
        agent.device.operational(system("<slot><number>7</number><temperature>8</temperature></slot>" + STATE))
        assert "<temperature>8</temperature>" in await agent.get("<slot><number>7</number></slot>")
        assert "<data/>" in await agent.get("<slot><number>8</number></slot>")
        assert "uptime" not in await agent.get("<slot/>")

    async def test_an_action_of_an_entry_that_is_only_there(self, acme: MakeAcme) -> None:
        """RFC 8342 section 6.2: an action belongs to the operational state."""
        agent = await acme()
        agent.device.reply("/acme:system/slot/reset", "<output><was>x</was></output>")
        assert (await agent.reset(7)).error.tag == "data-missing"
        agent.device.operational(system("<slot><number>7</number></slot>"))
        assert (await agent.reset(7)).leaf("was") == "x"

    async def test_replaces_what_was_there_for_its_top_level_node(self, acme: MakeAcme) -> None:
        agent = await acme()
        agent.device.operational(system(STATE))
        agent.device.operational(system("<state><uptime>8</uptime></state>"))
        assert "<state><uptime>8</uptime></state>" in await agent.get()
        agent.device.operational(system(""))
        assert "<data/>" in await agent.get()

    async def test_reset(self, acme: MakeAcme) -> None:
        agent = await acme()
        agent.device.operational(system(STATE))
        assert (await agent.configure("<name>n</name>")).ok
        await agent.device.reset()
        assert '<system xmlns="urn:acme"><name>n</name></system>' in await agent.get()
        await agent.device.reset(config=True)
        assert "<data/>" in await agent.get()

    async def test_origin(self, acme: MakeAcme) -> None:
        agent = await acme()
        agent.device.operational(system(STATE, f'{OR} or:origin="or:learned"'))
        part = [part for part in agent.device.agent.state_parts() if part.origin == "ietf-origin:learned"]
        assert len(part) == 1
        agent.device.operational(system(STATE), "ietf-origin:dynamic")
        assert "ietf-origin:dynamic" in {part.origin for part in agent.device.agent.state_parts()}
        assert "ietf-origin:learned" not in {part.origin for part in agent.device.agent.state_parts()}

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (system("<colour/>"), "colour"),
            (system("<state><uptime>x</uptime></state>"), "uint32"),
            (system("<slot><temperature>1</temperature></slot>"), "number"),
            (system("<slot><number>1</number></slot><slot><number>1</number></slot>"), "occurs twice"),
            (system("<state><copper/><fibre>f</fibre></state>"), "choice link"),
            ('<other xmlns="urn:other"/>', "urn:other"),
            (system(f"<state {OR} or:origin='or:learned'/>"), "top-level"),
        ],
    )
    async def test_refused_and_nothing_changed(self, acme: MakeAcme, content: str, words: str) -> None:
        agent = await acme()
        agent.device.operational(system("<state><uptime>8</uptime></state>"))
        with pytest.raises(RpcFailure, match=words):
            agent.device.operational(content)
        assert "<state><uptime>8</uptime></state>" in await agent.get()

    async def test_no_xml(self, acme: MakeAcme) -> None:
        agent = await acme()
        with pytest.raises(CannedError, match=r"the document:2: "):
            agent.device.operational("<x>\n<y></x>")


class TestNotify:
    @pytest.fixture
    async def listening(self, acme: MakeAcme, connect: Any) -> tuple[Any, Any]:
        agent = await acme()
        listener = await connect(agent.device)
        assert (await listener.rpc(f'<create-subscription xmlns="{EVENTS}"/>')).ok
        return agent, listener

    @pytest.mark.parametrize(
        ("given", "sent", "path"),
        [
            (
                '<rebooting xmlns="urn:acme"><by>me</by><slot>9</slot></rebooting>',
                '<rebooting xmlns="urn:acme"><by>me</by><slot>9</slot></rebooting>',
                "/acme:rebooting",
            ),
            (
                "<rebooting><by>me</by></rebooting>",
                '<rebooting xmlns="urn:acme"><by>me</by></rebooting>',
                "/acme:rebooting",
            ),
            (
                system("<slot><number>07</number><alarm><severity>major</severity></alarm></slot>"),
                system("<slot><number>7</number><alarm><severity>major</severity></alarm></slot>").replace(" >", ">"),
                "/acme:system/slot/alarm",
            ),
        ],
    )
    async def test_reaches_subscribers(self, listening: tuple[Any, Any], given: str, sent: str, path: str) -> None:
        agent, listener = listening
        assert agent.device.notify(given) == path
        assert f"</eventTime>{sent}</notification>" in (await listener.notification()).text

    async def test_a_message_as_a_device_has_sent_it(self, listening: tuple[Any, Any]) -> None:
        agent, listener = listening
        agent.device.notify(
            f'<notification xmlns="{EVENTS}"><eventTime>2026-01-02T03:04:05+01:00</eventTime>'
            '<rebooting xmlns="urn:acme"><by>me</by></rebooting></notification>'
        )
        root = etree.fromstring((await listener.notification()).text)
        assert (root.findtext(f"{{{EVENTS}}}eventTime") or "").startswith("2026-01-02T02:04:05")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ('<rebooting xmlns="urn:acme"/>', "by is required"),
            ('<rebooting xmlns="urn:acme"><by>x</by><colour/></rebooting>', "colour"),
            ('<rebooting xmlns="urn:other"><by>x</by></rebooting>', "urn:other"),
            ('<nothing xmlns="urn:acme"/>', "acme:rebooting"),
            (system("<slot><alarm><severity>major</severity></alarm></slot>"), "number"),
            (system("<slot><number>1</number><alarm><severity>blue</severity></alarm></slot>"), "minor, major"),
            (system("<slot><number>1</number></slot>"), "no notification is named"),
            (
                f'<notification xmlns="{EVENTS}"><eventTime>now</eventTime><r xmlns="urn:acme"/></notification>',
                "now",
            ),
            (f'<notification xmlns="{EVENTS}"/>', "one event"),
        ],
    )
    async def test_refused(self, acme: MakeAcme, content: str, words: str) -> None:
        agent = await acme()
        with pytest.raises(RpcFailure, match=words):
            agent.device.notify(content)


async def test_a_filter_by_key_costs_what_it_selects(acme: MakeAcme) -> None:
    """Of what was put in, only the entry that is asked for is looked at."""
    agent = await acme()
    rows = "".join(f"<slot><number>{n}</number><temperature>{n}</temperature></slot>" for n in range(200))
    agent.device.operational(system(rows + STATE))
    tree = agent.device.agent.library.tree
    slot = tree.find("/acme:system/slot")
    (part,) = [p for p in agent.device.agent.state_parts(Along([(slot.parent, ()), (slot, ("7",))])) if p.root.children]
    assert "<number>7</number>" in encode_children(part.root, tree.namespaces).decode()
    assert "<number>8</number>" not in encode_children(part.root, tree.namespaces).decode()
    assert (await agent.session.get('<system xmlns="urn:acme"><slot><number>7</number></slot></system>')).leafs(
        "temperature"
    ) == ["7"]
