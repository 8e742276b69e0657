"""``mlag-agent ctl`` against a running agent: what each command does, and how each failure reads."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.app import Device
from mlag_agent.control import server as control_server
from mlag_agent.control.place import MAX_ADDRESS
from mlag_agent.control.protocol import SOCKET_NAME, Answer, ProtocolError, Request, decode, encode
from mlag_agent.errors import SettingsError
from netconf_client import LIMIT, Client

FOLDER = Path(__file__).parent.parent / "foreign" / "yang"
EVENTS = "urn:ietf:params:xml:ns:netconf:notification:1.0"

Ctl = Callable[..., Awaitable[tuple[int, str, str]]]


async def run_ctl(state: Path | str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, output and error output of ``mlag-agent ctl``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mlag_agent.cli", "ctl", "--state", str(state), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(stdin.encode()), LIMIT)
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


@pytest.fixture
async def device(start: Any) -> Device:
    made: Device = await start(yang_dirs=(str(FOLDER),), modules=("acme",))
    return made


@pytest.fixture
def ctl(device: Device) -> Ctl:
    async def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        return await run_ctl(device.settings.state, *arguments, stdin=stdin)

    return run


class TestCommands:
    async def test_notify(self, ctl: Ctl, session: Client, tmp_path: Path) -> None:
        assert (await session.rpc(f'<create-subscription xmlns="{EVENTS}"/>')).ok
        file = tmp_path / "event.xml"
        file.write_text('<?xml version="1.0"?>\n<rebooting xmlns="urn:acme"><by>me</by></rebooting>\n')
        assert await ctl("notify", str(file)) == (0, "sent: /acme:rebooting\n", "")
        assert '<rebooting xmlns="urn:acme"><by>me</by></rebooting>' in (await session.notification()).text

    async def test_reply(self, ctl: Ctl, session: Client) -> None:
        code, out, _ = await ctl("reply", "/acme:ping", "-", stdin="<ok/>")
        assert (code, out) == (0, "/acme:ping has 1 more reply\n")
        assert (await session.rpc('<ping xmlns="urn:acme"/>')).ok

    async def test_operational(self, ctl: Ctl, session: Client) -> None:
        xml = '<system xmlns="urn:acme"><state><uptime>7</uptime></state></system>'
        assert await ctl("operational", "-", stdin=xml) == (0, "replaced: /acme:system\n", "")
        assert (await session.get('<system xmlns="urn:acme"/>')).leaf("uptime") == "7"

    async def test_log(self, ctl: Ctl, session: Client) -> None:
        await session.rpc('<ping xmlns="urn:acme"/>')
        await session.rpc("<lock><target><candidate/></target></lock>")
        await session.rpc("<get-config><source><running/></source><filter><m-lag/></filter></get-config>")
        await session.rpc(
            '<action xmlns="urn:ietf:params:xml:ns:yang:1"><system xmlns="urn:acme"><slot><number>1</number><reset/>'
            "</slot></system></action>"
        )
        code, out, _ = await ctl("log", "--json")
        assert code == 0
        rows = [json.loads(line) for line in out.splitlines()]
        assert [(row["operation"], row["datastore"], row["result"]) for row in rows] == [
            ("acme:ping", None, "operation-not-supported"),
            ("ietf-netconf:lock", "candidate", "ok"),
            ("ietf-netconf:get-config", "running", "ok"),
            ("/acme:system/slot[number='1']/reset", None, "data-missing"),
        ]
        assert [row["number"] for row in rows] == [1, 2, 3, 4]
        assert {row["user"] for row in rows} == {"anna"}
        assert {row["session"] for row in rows} == {session.session_id}
        assert rows[2]["leniencies"] == ["filter-node-in-netconf-namespace"]
        assert rows[3]["errors"][0]["path"] == "/acme:system/slot[number='1']"
        code, text, _ = await ctl("log")
        assert "ietf-netconf:lock candidate: ok" in text
        assert "leniencies: filter-node-in-netconf-namespace" in text

    async def test_log_followed(self, device: Device, session: Client) -> None:
        await session.rpc("<discard-changes/>")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mlag_agent.cli", "ctl", "--state", device.settings.state, "log", "-f", "--json",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT):
                assert json.loads(await process.stdout.readline())["operation"] == "ietf-netconf:discard-changes"
                await session.rpc('<ping xmlns="urn:acme"/>')
                assert json.loads(await process.stdout.readline())["operation"] == "acme:ping"
                await device.aclose()  # ends what follows
                assert await process.stdout.readline() == b""
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def test_reset(self, ctl: Ctl, device: Device, session: Client) -> None:
        await ctl("reply", "/acme:ping", "-", stdin="<ok/>")
        assert (await session.edit('<system xmlns="urn:acme"><name>n</name></system>', "running")).ok
        assert (await ctl("reset"))[:2] == (0, "reset\n")
        assert device.log == ()
        assert (await session.rpc('<ping xmlns="urn:acme"/>')).error.tag == "operation-not-supported"
        assert (await session.get_config()).leaf("name") == "n"
        assert (await ctl("reset", "--config"))[0] == 0
        assert (await session.get_config()).leaf("name") is None


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "stdin", "words"),
        [
            (("notify", "-"), "<x", "the document:1: "),
            (("notify", "-"), '<rebooting xmlns="urn:acme"/>', "by is required"),
            (("notify", "/nowhere"), "", "cannot read /nowhere: No such file"),
            (("reply", "/acme:nothing", "-"), "<ok/>", "no module that is served has an rpc or action /acme:nothing"),
            (("reply", "/acme:reboot", "-"), "<ok/>", "at is required"),
            (("operational", "-"), '<system xmlns="urn:acme"><colour/></system>', "no node colour"),
        ],
    )
    async def test_in_one_line(self, ctl: Ctl, arguments: tuple[str, ...], stdin: str, words: str) -> None:
        code, out, errors = await ctl(*arguments, stdin=stdin)
        assert (code, out) == (4, "")
        assert words in errors.splitlines()[0]
        assert "Traceback" not in errors

    async def test_no_agent(self, tmp_path: Path) -> None:
        code, _, errors = await run_ctl(tmp_path, "log")
        assert code == 4
        assert "there is none" in errors
        assert "--state" in errors

    async def test_an_agent_that_has_gone(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(tmp_path / SOCKET_NAME))
        code, _, errors = await run_ctl(tmp_path, "log")
        assert code == 4
        assert "nobody answers" in errors


class TestSocket:
    async def test_mode(self, device: Device) -> None:
        path = Path(device.settings.state) / SOCKET_NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await device.aclose()
        assert not path.exists()

    async def test_a_path_that_is_too_long_for_an_address(self, start: Any, tmp_path: Path) -> None:
        state = tmp_path / ("x" * 60) / ("y" * 60)
        state.parent.mkdir()
        assert len(os.fsencode(state)) > MAX_ADDRESS
        await start("long", yang_dirs=(str(FOLDER),), modules=("acme",), state=str(state))
        code, out, errors = await run_ctl(state, "reply", "/acme:ping", "-", stdin="<ok/>")
        assert (code, errors) == (0, "")
        assert "1 more" in out

    async def test_left_by_an_agent_that_was_killed(self, start: Any, tmp_path: Path) -> None:
        state = tmp_path / "device"
        state.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(state / SOCKET_NAME))
        await start()
        assert (await run_ctl(state, "reset"))[0] == 0

    async def test_one_agent_for_each_state_folder(self, device: Device) -> None:
        with pytest.raises(SettingsError, match="another agent uses the state file"):
            await Device(device.settings).start()
        assert (await run_ctl(device.settings.state, "reset"))[0] == 0

    async def test_none(self, start: Any) -> None:
        device = await start(control=False)
        assert not (Path(device.settings.state) / SOCKET_NAME).exists()
        assert (await run_ctl(device.settings.state, "reset"))[0] == 4

    async def test_another_user(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(control_server, "peer_uid", lambda connection: 12345)
        code, _, errors = await run_ctl(device.settings.state, "log")
        assert code == 4
        assert "only the user of the agent" in errors

    async def talk(self, device: Device, *lines: bytes) -> list[bytes]:
        reader, writer = await asyncio.open_unix_connection(str(Path(device.settings.state) / SOCKET_NAME))
        writer.writelines(lines)
        found = []
        async with asyncio.timeout(LIMIT):
            while line := await reader.readline():
                found.append(line)
                if len(found) == len(lines):
                    break
        writer.close()
        await writer.wait_closed()
        return found

    @pytest.mark.parametrize(
        "line",
        [
            b"hello\n",
            b"{}\n",
            b'{"do": "explode"}\n',
            b'{"do": "log", "v": 2}\n',
            b'{"do": "log", "more": 1}\n',
            b"\xff\n",
        ],
    )
    async def test_what_is_no_request(self, device: Device, line: bytes) -> None:
        (answer,) = await self.talk(device, line)
        decoded = decode(answer, request=False)
        assert isinstance(decoded, Answer)
        assert decoded.ok is False
        assert decoded.error
        assert (await run_ctl(device.settings.state, "reset"))[0] == 0

    async def test_several_requests(self, device: Device) -> None:
        first, second = await self.talk(device, encode(Request("reset")), encode(Request("log")))
        assert json.loads(first)["ok"]
        assert json.loads(second)["result"] == []

    async def test_too_long(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(control_server, "MAX_MESSAGE", 2048)
        await device.aclose()
        await device.start()
        (answer,) = await self.talk(device, b'{"do": "notify", "content": "' + b"x" * 4096)
        assert "may have 2048 bytes" in json.loads(answer)["error"]

    async def test_bounded_connections(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(control_server, "MAX_CLIENTS", 1)
        reader, writer = await asyncio.open_unix_connection(str(Path(device.settings.state) / SOCKET_NAME))
        writer.write(encode(Request("log")))
        assert json.loads(await reader.readline())["ok"]
        code, _, errors = await run_ctl(device.settings.state, "log")
        assert (code, "no more than 1" in errors) == (4, True)
        writer.close()
        await writer.wait_closed()

    async def test_it_goes_with_the_agent(self, device: Device) -> None:
        reader, writer = await asyncio.open_unix_connection(str(Path(device.settings.state) / SOCKET_NAME))
        writer.write(encode(Request("log", follow=True)))
        assert json.loads(await reader.readline())["ok"]
        await device.aclose()
        async with asyncio.timeout(LIMIT):
            assert await reader.read() == b""
        writer.close()


def test_protocol_round_trip() -> None:
    request = Request("reply", path="/a:b", content="<ok/>\n\u2028")
    assert encode(request).count(b"\n") == 1
    assert decode(encode(request), request=True) == request
    with pytest.raises(ProtocolError, match="version 7"):
        decode(b'{"v": 7}', request=False)
