"""``mlag-client``: every exit code, text for people and JSON for programs."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from command_line import Call, Outcome
from mlag_client.testing import RunningAgent, RunningPair

SET = ("peer-link", "set", "2001:db8:1::1", "2001:DB8:1:0::2", "--tcp-port", "2048")
UNDO = ("peer-link", "undo", *SET[2:])
MIRROR = ("peer-link", "set", "2001:db8:1::2", "2001:db8:1::1", "--tcp-port")


def command(running: RunningAgent, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The installed script, with its environment."""
    script = str(Path(sys.executable).with_name("mlag-client"))
    return (
        [script, "--port", str(running.port), *arguments],
        {**os.environ, "MLAG_CLIENT_PASSWORD": running.password, "TERM": "xterm", "COLUMNS": "140"},
    )


# --- 0: done ------------------------------------------------------------------------------------------------


def test_set_show_undo(call: Call, mlag_agent: RunningAgent) -> None:
    words = "peer-link source ipv6 2001:db8:1::1 peer 2001:db8:1::2 tcp-port 2048\n"
    assert call(mlag_agent, "peer-link", "show") == Outcome(0, "no peer-link source is configured\n", "")
    assert call(mlag_agent, *SET, "--password", "Secret-12") == Outcome(0, f"set: {words}", "")
    assert call(mlag_agent, "peer-link", "show") == Outcome(0, words, "")
    assert call(mlag_agent, *UNDO) == Outcome(0, f"undone: {words}", "")


def test_the_same_as_json(call: Call, mlag_agent: RunningAgent) -> None:
    source = {
        "form": "ipv6", "local": "2001:db8:1::1", "peer": "2001:db8:1::2", "tcp_port": 2048, "vpn_instance": None,
    }  # fmt: skip
    assert call(mlag_agent, "--json", "peer-link", "show").json == {"source": None}
    assert call(mlag_agent, "--json", *SET).json == {"set": source, "password_set": False}
    assert call(mlag_agent, "--json", "peer-link", "show").json == {"source": source}
    assert call(mlag_agent, "--json", *UNDO).json == {"undone": source}


def test_sync_show(call: Call, mlag_agent: RunningAgent) -> None:
    shown = call(mlag_agent, "sync", "show")
    assert shown.code == 0
    assert "DFS group not configured" in shown.out
    call(mlag_agent, *SET)
    shown = call(mlag_agent, "sync", "show")
    assert "down: connecting" in shown.out or "down: peer-unreachable" in shown.out
    assert "ARP" in shown.out
    document = call(mlag_agent, "--json", "sync", "show").json
    assert document["state"]["channel"]["up"] is False
    assert document["state"]["channel"]["statistics"][0]["type"] == "arp"
    assert document["state"]["channel"]["last_change"].endswith("Z")
    assert document["faults"] == {"channel": "none", "peer-link": "none", "heartbeat": "none"}
    assert len(document["tables"][0]["digest"]) == 64


def test_watch_until_up_and_converged(call: Call, fast_pair: RunningPair) -> None:
    first, second = fast_pair
    call(first, *SET)
    call(second, *MIRROR, "2048")
    watched = call(first, "sync", "watch", "--until", "up", "--timeout", "20", "--interval", "0.1")
    assert watched.code == 0
    assert watched.out.splitlines()[-1].startswith("channel up; arp 0 entries")
    learned = call(first, "learn", "10.0.0.1", "30", "--interface", "Vlanif10", "--vlan", "10")
    assert learned == Outcome(0, "30 learned\n", "")
    peer = f"127.0.0.1:{second.port}"
    watched = call(first, "--json", "sync", "watch", "--until", "converged", "--peer", peer, "--timeout", "20")
    assert watched.code == 0
    assert json.loads(watched.out.splitlines()[-1])["state"]["channel"]["statistics"][0]["sent"] == 30
    assert call(second, "sync", "watch", "--until", "converged", "--timeout", "20").code == 0


def test_the_simulated_device(call: Call, mlag_agent: RunningAgent) -> None:
    learn = ("learn", "10.0.0.1", "5", "--interface", "Vlanif10", "--vlan", "10")
    assert call(mlag_agent, "--json", *learn).json == {"learned": 5, "refused": 0}
    assert call(mlag_agent, "age", "--start", "10.0.0.1", "--count", "2") == Outcome(0, "2 removed\n", "")
    listed = call(mlag_agent, "entries", "--limit", "2")
    assert "10.0.0.3" in listed.out
    assert "entries 1 to 2 of 3" in listed.out
    page = call(mlag_agent, "--json", "entries", "--type", "arp").json
    assert (page["total"], page["entries"][0]["address"]) == (3, "10.0.0.3")
    assert call(mlag_agent, "--json", "flush", "--vlan", "10").json == {"removed": 3}
    assert call(mlag_agent, "fault", "peer-link", "delay", "--delay", "50").out == "peer-link: delay\n"
    assert "peer-link" in call(mlag_agent, "--json", "sync", "show").json["faults"]


@pytest.mark.mlag_agent(table_size=3)
def test_a_full_table_is_said(call: Call, mlag_agent: RunningAgent) -> None:
    learned = call(mlag_agent, "learn", "10.0.0.1", "5", "--interface", "Vlanif10", "--vlan", "10")
    assert learned.out == "3 learned, 2 refused: the table is full\n"


# --- 1 to 6 -------------------------------------------------------------------------------------------------


def test_1_refused_by_the_agent(call: Call, mlag_agent: RunningAgent) -> None:
    wrong = ("peer-link", "set", "fe80::1", "2001:db8:1::2", "--tcp-port", "22")
    refused = call(mlag_agent, *wrong)
    assert (refused.code, refused.out) == (1, "")
    first, second = refused.err.splitlines()
    assert first.startswith('mlag-client: refused: local-address "fe80::1": A link-local address')
    assert second.startswith('  also: tcp-port "22": TCP ports 1 to 1024')
    refused = call(mlag_agent, "--json", *wrong)
    error = refused.json["error"]
    assert (refused.code, error["exit_code"], error["kind"]) == (1, 1, "RpcFailed")
    assert [row["app_tag"] for row in error["errors"]] == ["address-link-local", "tcp-port-well-known"]
    assert refused.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("peer-link", "set", "here", "2001:db8::2", "--tcp-port", "2048"), "neither an IPv4 nor an IPv6 address"),
        (("peer-link", "set", "10.1.1.1", "2001:db8::2", "--tcp-port", "2048"), "different address families"),
        (("peer-link", "set", "10.1.1.1", "10.1.1.2", "--tcp-port", "0"), "1<=x<=65535"),
        (("peer-link", "set", "10.1.1.1", "10.1.1.2"), "--tcp-port"),
        (("sync", "watch", "--timeout", "1"), "--timeout goes with --until"),
        (("sync", "watch", "--until", "up", "--peer", "8302"), "--peer goes with"),
        (("sync", "watch", "--until", "converged", "--peer", "here:"), "does not end in a port"),
        (("fault", "channel", "cut", "--delay", "5"), "--delay goes with"),
        (("--insecure", "--known-hosts", __file__, "peer-link", "show"), "exclude each other"),
        (("walk",), "No such command"),
        ((*SET, "--vpn-instance", "Bl\aue"), "cannot be sent"),
    ],
)
def test_2_wrong_use(call: Call, mlag_agent: RunningAgent, arguments: tuple[str, ...], words: str) -> None:
    used = call(mlag_agent, *arguments)
    assert (used.code, used.out) == (2, "")
    assert words in used.err
    used = call(mlag_agent, "--json", *arguments)
    assert (used.code, used.err) == (2, "")
    assert words in used.json["error"]["message"]


def test_3_no_connection_and_no_login(call: Call, mlag_agent: RunningAgent) -> None:
    refused = call(mlag_agent, "peer-link", "show", password="wrong")
    assert (refused.code, refused.out) == (3, "")
    assert "does not let admin in" in refused.err
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    nobody = call(mlag_agent, "--json", "--port", str(free), "peer-link", "show")
    assert nobody.code == 3
    assert (nobody.json["error"]["kind"], nobody.json["error"]["port"]) == ("ConnectFailed", free)
    unknown = call(mlag_agent, "--known-hosts", "/dev/null", "peer-link", "show")
    assert unknown.code == 3
    assert "--insecure" in unknown.err


def test_4_not_in_time(call: Call, fast_pair: RunningPair) -> None:
    first, second = fast_pair
    call(first, *SET)
    call(second, *MIRROR, "2049")
    waited = call(first, "sync", "watch", "--until", "up", "--timeout", "1.5", "--interval", "0.1")
    assert waited.code == 4
    assert waited.err == (
        "mlag-client: the channel is not up after 1.5 s: port-mismatch"
        " (this device uses tcp-port 2048, the peer 2049)\n"
    )
    waited = call(first, "--json", "sync", "watch", "--until", "up", "--timeout", "0.3", "--interval", "0.1")
    *states, last = map(json.loads, waited.out.splitlines())
    assert all(state["state"]["channel"]["down_reason"] == "port-mismatch" for state in states)
    assert (last["error"]["kind"], last["error"]["reason"]) == ("ChannelNotUp", "port-mismatch")


def test_4_not_converged_in_time(call: Call, fast_pair: RunningPair) -> None:
    first, second = fast_pair
    call(first, *SET)
    call(second, *MIRROR, "2048")
    assert call(first, "sync", "watch", "--until", "up", "--timeout", "20").code == 0
    call(first, "fault", "channel", "drop")
    call(second, "learn", "10.0.0.1", "--interface", "Vlanif10", "--vlan", "10")
    call(first, "learn", "10.0.0.2", "--interface", "Vlanif10", "--vlan", "10")
    waited = call(first, "--json", "sync", "watch", "--until", "converged", "--peer", str(second.port),
                  "--timeout", "0.2", "--interval", "0.1")  # fmt: skip
    assert waited.code == 4
    assert json.loads(waited.out.splitlines()[-1])["error"]["kind"] in {"NotConverged", "ChannelNotUp"}


def test_5_configured_otherwise(call: Call, mlag_agent: RunningAgent) -> None:
    nothing = call(mlag_agent, *UNDO)
    assert (nothing.code, nothing.out) == (5, "")
    assert "has no peer-link source" in nothing.err
    call(mlag_agent, *SET)
    other = call(mlag_agent, *UNDO[:-1], "2049")
    assert other.code == 5
    assert "tcp-port is 2048, not 2049" in other.err
    assert "configured is: peer-link source ipv6" in other.err
    error = call(mlag_agent, "--json", *UNDO, "--vpn-instance", "Blue").json["error"]
    assert error["differences"] == [{"parameter": "vpn-instance", "configured": None, "given": "Blue"}]
    assert call(mlag_agent, "peer-link", "show").out.endswith("tcp-port 2048\n")


def test_6_the_session_ends(call: Call, mlag_agent: RunningAgent) -> None:
    """The watch is killed from another session as soon as it is there."""
    killer = mlag_agent.client()

    def kill() -> None:
        registry = mlag_agent.device.registry
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            numbers = [str(session.session_id) for session in registry]
            others = [number for number in numbers if number != killer.manager.session_id]
            if others:
                killer.manager.kill_session(others[0])
                return
            killer.peer_link()

    thread = threading.Thread(target=kill)
    thread.start()
    watched = call(mlag_agent, "--json", "sync", "watch")
    thread.join()
    assert watched.code == 6
    assert json.loads(watched.out.splitlines()[-1])["error"]["kind"] == "SessionLost"


# --- the real script ----------------------------------------------------------------------------------------


def test_the_script_and_ctrl_c(mlag_agent: RunningAgent) -> None:
    arguments, environment = command(mlag_agent, *SET)
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for extra, code in (((), 0), (("--until", "up"), 130)):
        arguments, environment = command(mlag_agent, "sync", "watch", *extra)
        with subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith("channel down:")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == code
            assert process.stderr.read().strip() == "", "no traceback"


def test_on_a_terminal_it_asks_for_the_password_and_draws(mlag_agent: RunningAgent) -> None:
    arguments, environment = command(mlag_agent, "sync", "watch", "--until", "up", "--timeout", "0.5")
    del environment["MLAG_CLIENT_PASSWORD"]
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        arguments, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        read_until(controller, b"Password of admin on 127.0.0.1")
        os.write(controller, mlag_agent.password.encode() + b"\n")
        screen = read_until(controller, None)
        assert process.wait(20) == 4
    os.close(controller)
    assert mlag_agent.password.encode() not in screen, "the password is not echoed"
    assert b"DFS group not configured" in screen
    assert b"unconfigured" in screen


def read_until(descriptor: int, wanted: bytes | None) -> bytes:
    """What comes until ``wanted``, or until the end."""
    seen = b""
    while wanted is None or wanted not in seen:
        assert select.select([descriptor], [], [], 20)[0], seen
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # the terminal's other end is closed: Linux says EIO
            piece = b""
        if not piece:
            assert wanted is None, seen
            break
        seen += piece
    return seen


def test_the_exit_codes_are_in_the_help(call: Call, mlag_agent: RunningAgent) -> None:
    shown = call(mlag_agent, "--help")
    assert shown.code == 0
    assert "Exit codes: 0 done, 1 refused by the agent" in shown.out
