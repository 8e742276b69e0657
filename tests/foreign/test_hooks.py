"""Hook files: what they answer, what becomes of what goes wrong in them, and what is refused at start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.errors import SettingsError
from mlag_agent.foreign import hook_file
from mlag_agent.hooks import RpcFailure, collected, fail, rpc

MakeAcme = Callable[..., Awaitable[Any]]

HEAD = "from mlag_agent.hooks import action, fail, rpc, state, subscriber\n"


def on_reboot(body: str, head: str = "def reboot(call):") -> str:
    return f"{HEAD}@rpc('acme:reboot')\n{head}\n    {body}\n"


class TestRpc:
    @pytest.mark.parametrize("head", ["def reboot(call):", "async def reboot(call):"])
    async def test_output_from_values(self, acme: MakeAcme, head: str) -> None:
        agent = await acme(on_reboot("return {'lost': [1, 'b'], 'at': call.input['reason'] + call.username}", head))
        reply = await agent.reboot()
        assert reply.errors == []
        assert [(child.tag, child.text) for child in reply.root] == [
            ("{urn:acme}at", "ranna"),
            ("{urn:acme}lost", "1"),
            ("{urn:acme}lost", "b"),
        ]

    @pytest.mark.parametrize("xml", ["<at>x</at>", "<at xmlns='urn:acme'>x</at>", "<lost>l</lost><at>x</at>"])
    async def test_output_as_xml(self, acme: MakeAcme, xml: str) -> None:
        agent = await acme(on_reboot(f'return "{xml}"'))
        assert (await agent.reboot()).leaf("at") == "x"

    async def test_input_with_defaults_and_types(self, acme: MakeAcme) -> None:
        agent = await acme(on_reboot("return {'at': repr(call.input)}"))
        assert (await agent.configure("<slot><number>3</number></slot>")).ok
        content = "<reason>r</reason><how><cold>true</cold><step>a</step></how><slot>03</slot>"
        assert (await agent.reboot(content)).leaf("at") == repr(
            {"delay": 5, "reason": "r", "how": {"cold": True, "step": ["a"]}, "slot": 3}
        )

    async def test_wrong_input_does_not_reach_it(self, acme: MakeAcme) -> None:
        agent = await acme(on_reboot("raise AssertionError"))
        assert (await agent.reboot("")).error.tag == "missing-element"
        assert (await agent.reboot("<reason>r</reason><slot>9</slot>")).error.app_tag == "instance-required"

    async def test_ok(self, acme: MakeAcme) -> None:
        agent = await acme(f"{HEAD}@rpc('acme:ping')\ndef ping(call):\n    pass\n")
        assert (await agent.ping()).ok

    async def test_running_configuration(self, acme: MakeAcme) -> None:
        agent = await acme(on_reboot("return {'at': repr(call.device.config('/acme:system/slot'))}"))
        assert (await agent.reboot()).leaf("at") == "None"
        assert (await agent.configure("<slot><number>2</number></slot><slot><number>1</number></slot>")).ok
        assert (await agent.reboot()).leaf("at") == "[{'number': 1}, {'number': 2}]"

    async def test_it_takes_over_an_operation_of_the_agent(self, acme: MakeAcme) -> None:
        hooks = f"{HEAD}@rpc('ietf-netconf:commit')\ndef commit(call):\n    fail('not today', tag='resource-denied')\n"
        agent = await acme(hooks)
        assert (await agent.session.commit()).error.tag == "resource-denied"
        assert (await agent.session.rpc("<discard-changes/>")).ok

    async def test_passed_on(self, acme: MakeAcme) -> None:
        hooks = f"{HEAD}@rpc('ietf-netconf:commit')\ndef commit(call):\n    return NotImplemented\n"
        agent = await acme(hooks)
        assert (await agent.session.commit()).ok


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("body", "tag", "words"),
        [
            ("raise ValueError('the disk is full')", "operation-failed", "the disk is full"),
            ("1/0", "operation-failed", "division by zero"),
            ("fail('later', tag='in-use', app_tag='busy', path='/acme:system/name')", "in-use", "later"),
            ("return {'nothing': 1}", "operation-failed", "has no child nothing"),
            ("return {}", "operation-failed", "at is required"),
            ("return None", "operation-failed", "at is required"),
            ("return {'at': 'x', 'lost': 7}", "operation-failed", "TypeError"),
            ("return '<at>x'", "operation-failed", "XMLSyntaxError"),
            ("return '<at>x</at><at>y</at>'", "operation-failed", "occurs twice"),
            ("return 7", "operation-failed", "not int"),
            ("raise SystemExit(3)", "operation-failed", "SystemExit"),
        ],
    )
    async def test_answered(self, acme: MakeAcme, body: str, tag: str, words: str) -> None:
        agent = await acme(on_reboot(body))
        error = (await agent.reboot()).error
        assert error.tag == tag
        assert words in error.message
        assert (await agent.session.rpc("<discard-changes/>")).ok

    async def test_app_tag_and_path_of_a_failure(self, acme: MakeAcme) -> None:
        agent = await acme(on_reboot("fail('later', tag='in-use', app_tag='busy', path='/acme:system/name')"))
        error = (await agent.reboot()).error
        assert (error.app_tag, error.path, error.namespaces["acme"]) == ("busy", "/acme:system/name", "urn:acme")

    @pytest.mark.parametrize("head", ["def reboot(call):", "async def reboot(call):"])
    async def test_deadline(self, acme: MakeAcme, head: str) -> None:
        """A thread cannot be ended: the client has its answer all the same, and the session goes on."""
        wait = (
            "import asyncio; await asyncio.Event().wait()"
            if "async" in head
            else "import threading; threading.Event().wait()"
        )
        agent = await acme(on_reboot(wait, head), hook_timeout=0.2)
        error = (await agent.reboot()).error
        assert error.tag == "operation-failed"
        assert "did not answer within 0.2 s" in error.message
        assert (await agent.session.rpc("<discard-changes/>")).ok

    async def test_others_go_on_meanwhile(self, acme: MakeAcme, connect: Any) -> None:
        agent = await acme(
            "import threading\n" + HEAD + "release = threading.Event()\n"
            "@rpc('acme:reboot')\ndef reboot(call):\n    release.wait(20)\n    return {'at': 'now'}\n"
            "@rpc('acme:ping')\ndef ping(call):\n    release.set()\n"
        )
        other = await connect(agent.device)
        agent.session.send('<reboot xmlns="urn:acme"><reason>r</reason></reboot>')
        assert (await other.rpc('<ping xmlns="urn:acme"/>')).ok
        assert (await agent.session.receive()).leaf("at") == "now"

    async def test_threads_are_bounded(self, acme: MakeAcme, monkeypatch: pytest.MonkeyPatch, connect: Any) -> None:
        monkeypatch.setattr(hook_file, "MAX_THREADS", 1)
        agent = await acme(
            on_reboot("import threading; threading.Event().wait(3)", "def reboot(call):"), hook_timeout=0.1
        )
        assert (await agent.reboot()).error.tag == "operation-failed"
        assert (await agent.reboot()).error.tag == "resource-denied"


class TestAction:
    HOOK = (
        f"{HEAD}@action('/acme:system/slot/reset')\nasync def reset(call):\n"
        "    return {'was': f\"{call.path} {call.keys} {call.input}\", 'number': call.keys['slot']['number']}\n"
    )

    async def test_knows_its_place(self, acme: MakeAcme) -> None:
        agent = await acme(self.HOOK)
        assert (await agent.reset(4)).error.tag == "data-missing"
        assert (await agent.configure("<slot><number>4</number></slot>")).ok
        reply = await agent.reset(4)
        assert reply.leaf("number") == "4"
        assert reply.leaf("was") == "/acme:system/slot[number='4'] {'slot': {'number': 4}} {'hard': False}"


class TestState:
    async def test_merged_with_the_configuration(self, acme: MakeAcme) -> None:
        agent = await acme(
            f"{HEAD}@state('/acme:system')\ndef system(device):\n"
            "    return {'state': {'uptime': 7, 'tag': ['b', 'a'], 'event': [{'what': 'x'}, {'what': 'x'}]},\n"
            "            'slot': [{'number': s['number'], 'temperature': 40}"
            " for s in device.config('/acme:system/slot') or ()]}\n"
        )
        assert (await agent.configure("<name>n</name><slot><number>1</number><enabled>false</enabled></slot>")).ok
        text = await agent.get()
        assert (
            "<name>n</name><slot><number>1</number><enabled>false</enabled><temperature>40</temperature></slot>"
            "<state><uptime>7</uptime><tag>b</tag><tag>a</tag><event><what>x</what></event><event><what>x</what></event>"
            "</state>" in text
        )
        assert "40" not in (await agent.session.get_config()).text

    async def test_only_when_it_is_asked_for(self, acme: MakeAcme) -> None:
        agent = await acme(f"{HEAD}@state('/acme:system/state')\ndef system(device):\n    raise RuntimeError('busy')\n")
        assert (await agent.session.get('<system xmlns="urn:acme"><name/></system>')).data is not None
        error = (await agent.session.get('<system xmlns="urn:acme"><state/></system>')).error
        assert (error.tag, "busy" in error.message) == ("operation-failed", True)

    async def test_wrong_values_are_not_sent(self, acme: MakeAcme) -> None:
        agent = await acme(
            f"{HEAD}@state('/acme:system/state')\ndef system(device):\n    return {{'uptime': 'long'}}\n"
        )
        error = (await agent.session.get('<system xmlns="urn:acme"/>')).error
        assert error.tag == "operation-failed"
        assert "uptime" in error.message


SUBSCRIBER = f"""{HEAD}
calls = []

@subscriber('/acme:system/slot', '/acme:system/limit')
class Slots:
    def prepare(self, change):
        new = change.new('/acme:system') or {{}}
        limit = new.get('limit')
        if limit is not None and len(new.get('slot', [])) > limit:
            fail('too many slots', app_tag='slots', path='/acme:system/limit')
        old = change.old('/acme:system') or {{}}
        return (len(old.get('slot', [])), len(new.get('slot', [])), list(change.changed))

    async def commit(self, plan):
        calls.append(plan)

@rpc('acme:reboot')
def reboot(call):
    return {{'at': repr(calls)}}
"""


class TestSubscriber:
    async def test_two_phases(self, acme: MakeAcme) -> None:
        agent = await acme(SUBSCRIBER)
        assert (await agent.configure("<limit>1</limit><slot><number>1</number></slot>")).ok
        error = (await agent.configure("<slot><number>2</number></slot>")).error
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", "slots", "/acme:system/limit")
        assert (await agent.configure("<name>n</name>")).ok  # nothing of it
        called = (await agent.reboot()).leaf("at") or ""
        assert called.startswith("[(0, 1, [")
        assert called.count("(") == 1

    async def test_commit_that_fails_is_taken_back(self, acme: MakeAcme) -> None:
        agent = await acme(
            f"{HEAD}calls = []\n@subscriber('/acme:system')\nclass S:\n"
            "    def commit(self, plan):\n        raise RuntimeError('cable pulled')\n"
            "    def abort(self, plan):\n        calls.append('abort')\n"
            "@rpc('acme:reboot')\ndef reboot(call):\n    return {'at': repr(calls)}\n"
        )
        error = (await agent.configure("<name>n</name>")).error
        assert "cable pulled" in error.message
        assert "n</name>" not in (await agent.session.get_config()).text
        assert (await agent.reboot()).leaf("at") == "['abort']"


class TestEvents:
    @pytest.mark.parametrize("head", ["def reboot(call):", "async def reboot(call):"])
    async def test_published_from_a_hook(self, acme: MakeAcme, connect: Any, head: str) -> None:
        agent = await acme(
            on_reboot(
                "call.device.publish('acme:rebooting', {'by': call.username}); "
                "call.device.publish('/acme:system/slot/alarm', {'severity': 'major'},"
                " at=\"/acme:system/slot[number='9']\"); return {'at': 'x'}",
                head,
            )
        )
        listener = await connect(agent.device)
        assert (await listener.rpc('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>')).ok
        assert (await agent.reboot()).leaf("at") == "x"
        first, second = [(await listener.notification()).text for _ in range(2)]
        assert '<rebooting xmlns="urn:acme"><by>anna</by></rebooting>' in first
        assert (
            '<system xmlns="urn:acme"><slot><number>9</number><alarm><severity>major</severity></alarm></slot></system>'
            in second
        )

    @pytest.mark.parametrize(
        "call",
        [
            "call.device.publish('acme:rebooting')",
            "call.device.publish('acme:rebooting', {'by': 'x', 'what': 1})",
            "call.device.publish('acme:nothing')",
            "call.device.publish('/acme:system/slot/alarm', {'severity': 'major'})",
            "call.device.publish('/acme:system/slot/alarm', {'severity': 1}, at=\"/acme:system/slot[number='9']\")",
        ],
    )
    async def test_wrong_ones_fail_in_the_hook(self, acme: MakeAcme, call: str) -> None:
        agent = await acme(on_reboot(f"{call}; return {{'at': 'x'}}"))
        assert (await agent.reboot()).errors

    async def test_operational_data_from_a_hook(self, acme: MakeAcme) -> None:
        xml = '<system xmlns="urn:acme"><state><uptime>77</uptime></state></system>'
        agent = await acme(on_reboot(f"call.device.operational('{xml}'); return {{'at': 'x'}}"))
        assert (await agent.reboot()).leaf("at") == "x"
        assert "<uptime>77</uptime>" in await agent.get()


class TestRefusedAtStart:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "registers nothing"),
            ("x = 1\ny = z\n", "line 2: NameError"),
            ("def f(:\n", "line 1: SyntaxError"),
            (f"{HEAD}@rpc('acme:nothing')\ndef f(call): ...\n", "/acme:nothing"),
            (f"{HEAD}@rpc('other:reboot')\ndef f(call): ...\n", "/other:reboot"),
            (f"{HEAD}@action('/acme:system/reset')\ndef f(call): ...\n", "/acme:system/reset"),
            (f"{HEAD}@action('/acme:reboot')\ndef f(call): ...\n", "/acme:reboot"),
            (f"{HEAD}@state('/acme:system/slot')\ndef f(device): ...\n", "no list"),
            (f"{HEAD}@subscriber('/acme:nothing')\nclass C: ...\n", "/acme:nothing"),
            (f"{HEAD}@subscriber('/acme:system')\nclass C:\n  def __init__(self, x): ...\n", "TypeError"),
            (f"{HEAD}@rpc('acme:ping')\ndef f(call): ...\n@rpc('acme:ping')\ndef g(call): ...\n", "has a hook already"),
            ("raise SystemExit\n", "line 1: SystemExit"),
        ],
    )
    async def test_with_the_place(self, acme: MakeAcme, text: str, words: str) -> None:
        with pytest.raises(SettingsError, match=r"hooks\.py") as caught:
            await acme(text or "# nothing\n")
        assert words in str(caught.value)

    def test_no_file(self) -> None:
        with pytest.raises(SettingsError, match="no hook file"):
            hook_file.load_hooks([Path("/nowhere/hooks.py")])


class TestApi:
    def test_outside_of_an_agent(self) -> None:
        """A hook file can be imported by its own tests: the decorators leave functions as they are."""

        @rpc("x:y")
        def function(call: object) -> int:
            return 7

        assert function(None) == 7
        with collected() as hooks:
            rpc("x:y")(function)
        assert [(hook.kind, hook.target, hook.function) for hook in hooks] == [("rpc", "/x:y", function)]

    def test_fail(self) -> None:
        with pytest.raises(RpcFailure) as caught:
            fail("no", tag="in-use", app_tag="busy")
        assert (caught.value.errors[0].tag, caught.value.errors[0].app_tag) == ("in-use", "busy")

    async def test_nothing_is_left(self) -> None:
        caller = hook_file.Caller(5)
        assert await caller.call("x", lambda: threading.current_thread().name) == "mlag-agent hook"
        assert await caller.call("x", asyncio.sleep, 0, "later") == "later"
