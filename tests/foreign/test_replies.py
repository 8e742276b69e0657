"""Canned replies: from files and given while the agent runs; what matches, and what is refused when it is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mlag_agent.errors import SettingsError
from mlag_agent.foreign.canned import CannedError

MakeAcme = Callable[..., Awaitable[Any]]

NS = 'xmlns="urn:mlag-agent:replies"'
NC = "urn:ietf:params:xml:ns:netconf:base:1.0"


def replies(*content: str) -> str:
    return f"<replies {NS}>{''.join(content)}</replies>"


def to_reboot(body: str, attributes: str = "") -> str:
    return f'<reply to="/acme:reboot" {attributes}>{body}</reply>'


AT = "<output><at>{}</at></output>"


class TestFile:
    @pytest.mark.parametrize(
        "output",
        [
            '<output><lost xmlns="urn:acme">1</lost><at xmlns="urn:acme">x</at></output>',
            "<output><lost>1</lost><at>x</at></output>",
            f'<rpc-reply xmlns="{NC}"><lost xmlns="urn:acme">1</lost><at xmlns="urn:acme">x</at></rpc-reply>',
        ],
    )
    async def test_output(self, acme: MakeAcme, output: str) -> None:
        agent = await acme(replies=replies(to_reboot(output)))
        reply = await agent.reboot()
        assert [(child.tag, child.text) for child in reply.root] == [("{urn:acme}at", "x"), ("{urn:acme}lost", "1")]

    @pytest.mark.parametrize(
        "body", ["<ok/>", "<output/>", f'<rpc-reply xmlns="{NC}" message-id="1"><ok/></rpc-reply>']
    )
    async def test_ok(self, acme: MakeAcme, body: str) -> None:
        agent = await acme(replies=replies(f'<reply to="/acme:ping">{body}</reply>'))
        assert (await agent.ping()).ok
        assert (await agent.reboot()).error.tag == "operation-not-supported"

    @pytest.mark.parametrize("wrap", ["{}", f'<rpc-reply xmlns="{NC}" message-id="1">{{}}</rpc-reply>'])
    async def test_errors(self, acme: MakeAcme, wrap: str) -> None:
        error = (
            "<rpc-error><error-type>protocol</error-type><error-tag>in-use</error-tag><error-app-tag>busy</error-app-tag>"
            "<error-severity>error</error-severity><error-path>/acme:system</error-path>"
            "<error-message>not now</error-message><error-info><session-id>7</session-id></error-info></rpc-error>"
        )
        body = wrap.format(error + "<rpc-error><error-tag>too-big</error-tag></rpc-error>")
        agent = await acme(replies=replies(to_reboot(body)))
        first, second = (await agent.reboot()).errors
        assert (first.type, first.tag, first.app_tag, first.path, first.message, first.info) == (
            "protocol",
            "in-use",
            "busy",
            "/acme:system",
            "not now",
            {"session-id": "7"},
        )
        assert (second.type, second.tag) == ("application", "too-big")

    async def test_the_first_that_matches(self, acme: MakeAcme) -> None:
        agent = await acme(
            replies=replies(
                to_reboot("<when><delay>05</delay><how><step>b</step></how></when>" + AT.format("steps")),
                to_reboot("<when><delay>5</delay></when>" + AT.format("default")),
                to_reboot('<when><reason xmlns="urn:acme">x</reason></when>' + AT.format("reason")),
            )
        )
        how = "<how><step>a</step><step>b</step></how>"
        for content, expected in (
            (f"<reason>r</reason>{how}", "steps"),
            (f"<reason>x</reason><delay>6</delay>{how}", "reason"),
            ("<reason>x</reason>", "default"),  # the default of delay is 5
        ):
            assert (await agent.reboot(content)).leaf("at") == expected
        error = (await agent.reboot("<reason>y</reason><delay>6</delay>")).error
        assert (error.tag, "no canned reply matches" in error.message) == ("operation-not-supported", True)

    async def test_so_many_times_and_later(self, acme: MakeAcme) -> None:
        agent = await acme(
            replies=replies(to_reboot(AT.format("once"), 'times="1" delay="0.01"'), to_reboot(AT.format("then")))
        )
        assert [(await agent.reboot()).leaf("at") for _ in range(3)] == ["once", "then", "then"]
        await agent.device.reset()
        assert (await agent.reboot()).leaf("at") == "once"

    async def test_action_by_its_place(self, acme: MakeAcme) -> None:
        was = "<output><was>{}</was></output>"
        agent = await acme(
            replies=replies(
                f"<reply to=\"/acme:system/slot[number='2']/reset\">{was.format('two')}</reply>",
                f'<reply to="/acme:system/slot/reset"><when><hard>true</hard></when>{was.format("hard")}</reply>',
                f'<reply to="/acme:system/slot/reset">{was.format("any")}</reply>',
            )
        )
        assert (await agent.configure("<slot><number>1</number></slot><slot><number>2</number></slot>")).ok
        assert (await agent.reset(2)).leaf("was") == "two"
        assert (await agent.reset(1)).leaf("was") == "any"
        assert (await agent.reset(1, "<hard>true</hard>")).leaf("was") == "hard"

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("<replies", "replies.xml:1: "),
            ("<nothing/>", "replies.xml:1: the root must be <replies"),
            (f"<replies {NS}>\n<x/></replies>", "replies.xml:2: <replies> holds <reply>"),
            (replies("\n<reply/>"), "replies.xml:2: a <reply> needs to="),
            (replies('\n\n<reply to="/acme:nothing"><ok/></reply>'), "replies.xml:3: no module"),
            (replies('<reply to="/acme:reset"><ok/></reply>'), "there is /acme:system/slot/reset"),
            (replies('<reply to="/acme:rebooting"><ok/></reply>'), "is a notification"),
            (replies("<reply to=\"/acme:system/slot[x='1']/reset\"><output/></reply>"), "[key='value']"),
            (replies(to_reboot("")), "not nothing"),
            (replies(to_reboot("<ok/><output/>")), "not <ok>, <output>"),
            (replies(to_reboot("<ok/>")), "at is required"),
            (replies(to_reboot("<output><at>x</at><colour/></output>")), "no node colour"),
            (replies('<reply to="/acme:system/slot/reset"><output><number>x</number></output></reply>'), "uint8"),
            (replies(to_reboot("<when><delay>900</delay></when>" + AT.format("x"))), "uint8"),
            (replies(to_reboot("<when><colour/></when>" + AT.format("x"))), "no node colour"),
            (replies(to_reboot("<rpc-error/>")), "error-tag None must be one of"),
            (replies(to_reboot("<rpc-error><error-tag>bad</error-tag></rpc-error>")), "error-tag 'bad'"),
            (replies(to_reboot(AT.format("x"), 'delay="-1"')), 'delay="-1" must be seconds'),
            (replies(to_reboot(AT.format("x"), 'times="0"')), 'times="0" must be a number from 1'),
        ],
    )
    async def test_refused_at_start(self, acme: MakeAcme, content: str, words: str) -> None:
        with pytest.raises(SettingsError, match=r"replies\.xml:\d+: ") as caught:
            await acme(replies=content)
        assert words in str(caught.value)

    async def test_no_file(self, acme: MakeAcme) -> None:
        with pytest.raises(SettingsError, match="cannot read /nowhere"):
            await acme(replies=("/nowhere/replies.xml",))


class TestGiven:
    async def test_before_those_of_the_file_and_after_a_hook(self, acme: MakeAcme) -> None:
        hooks = "from mlag_agent.hooks import rpc\n@rpc('acme:ping')\ndef ping(call):\n    pass\n"
        agent = await acme(hooks=hooks, replies=replies(to_reboot(AT.format("file"))))
        assert (await agent.reboot()).leaf("at") == "file"
        assert agent.device.reply("/acme:reboot", AT.format("given")) == 1
        assert (await agent.reboot()).leaf("at") == "given"
        agent.device.reply("/acme:reboot", AT.format("last"))
        assert (await agent.reboot()).leaf("at") == "last"
        agent.device.reply("/acme:ping", "<rpc-error><error-tag>in-use</error-tag></rpc-error>")
        assert (await agent.ping()).ok
        await agent.device.reset()
        assert (await agent.reboot()).leaf("at") == "file"

    async def test_an_operation_of_the_agent_itself(self, acme: MakeAcme) -> None:
        """What a device does that is out of order: a test of an automation needs it to fail on purpose."""
        agent = await acme()
        agent.device.reply(
            "/ietf-netconf:commit",
            f'<reply {NS} times="1"><rpc-error><error-tag>resource-denied</error-tag></rpc-error></reply>',
        )
        assert (await agent.session.commit()).error.tag == "resource-denied"
        assert (await agent.session.commit()).ok

    async def test_constraint_that_only_the_data_decides(self, acme: MakeAcme) -> None:
        """A reply that refers to nothing is not sent: the client hears of it, and so does the log."""
        agent = await acme()
        agent.device.reply("/acme:system/slot/reset", "<output><was>x</was></output>")
        assert (await agent.configure("<slot><number>1</number></slot>")).ok
        assert (await agent.reset()).leaf("was") == "x"
        agent.device.reply("/acme:system/slot/reset", "<output><number>1</number></output>")
        error = (await agent.reset()).error
        assert error.tag == "operation-failed"
        assert "was is required" in error.message

    @pytest.mark.parametrize("xml", ["", "<x", "<x/>", "<ok/>", "<!DOCTYPE x [<!ENTITY y 'z'>]><ok/>"])
    async def test_refused(self, acme: MakeAcme, xml: str) -> None:
        agent = await acme()
        with pytest.raises(CannedError):
            agent.device.reply("/acme:reboot", xml)
        assert (await agent.reboot()).error.tag == "operation-not-supported"

    async def test_bounded(self, acme: MakeAcme, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mlag_agent.foreign.service.MAX_REPLIES", 2)
        agent = await acme()
        agent.device.reply("/acme:ping", "<ok/>")
        agent.device.reply("/acme:ping", "<ok/>")
        with pytest.raises(CannedError, match="no more than 2"):
            agent.device.reply("/acme:ping", "<ok/>")

    async def test_hint_where_nothing_answers(self, acme: MakeAcme) -> None:
        agent = await acme()
        message = (await agent.ping()).error.message
        assert "--hooks" in message
        assert "mlag-agent ctl reply /acme:ping FILE" in message
