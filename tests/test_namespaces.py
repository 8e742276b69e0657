"""Two agents in two network namespaces, joined by a veth pair, configured over NETCONF: real addresses throughout,
of the TCP channel and of the heartbeat over IPv6."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "names-paces-1"
CHANNEL = ("2001:db8:1::1", "2001:db8:1::2")
PEER_LINK = ("192.0.2.1", "192.0.2.2")

# Runs inside of a namespace, where nobody from outside can connect: configures, waits, learns, reads.
SCRIPT = """
import json, sys
from mlag_client import PeerLinkSource, connect

DETECTION = '''<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id><dual-active-detection><ipv6>
    <local-address>{{local}}</local-address><peer-address>{{peer}}</peer-address><udp-port>1500</udp-port>
  </ipv6></dual-active-detection></dfs-group></dfs-groups></m-lag></config>'''
port, local, peer, start = sys.argv[1:5]
with connect("127.0.0.1", int(port), "admin", {password!r}, hostkey_verify=False) as client:
    client.set_peer_link(PeerLinkSource.of(local, peer, 2048), password="Secret-pw1")
    client.manager.edit_config(DETECTION.format(local=local, peer=peer), target="candidate")
    client.manager.commit()
    print("configured", flush=True)
    state = client.wait_until_up(30)
    beats = client.wait_until(lambda group: group.heartbeat and group.heartbeat.ok, "heartbeats").heartbeat.ok
    client.learn(start, 300, interface="Eth-Trunk10", vlan=10)
    for snapshot in client.watch(interval=0.1):
        arp = next(table for table in snapshot.tables if table.type == "arp")
        if arp.from_peer == 300:
            break
    print(json.dumps({{"up": state.channel.up, "from-peer": arp.from_peer, "digest": arp.digest,
                      "role": state.channel.role, "heartbeat": beats}}), flush=True)
    sys.stdin.readline()  # the session and with it the agent's peer stay until both have seen all
"""


def ip(*arguments: str) -> None:
    """One ``ip`` command."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces with the addresses of the test on a veth pair; gone afterwards."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    tag = uuid.uuid4().hex[:8]
    names = (f"mlag-{tag}-a", f"mlag-{tag}-b")
    links = (f"v{tag}a", f"v{tag}b")
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1], "netns", names[1])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
        for name, link, channel, peer_link in zip(names, links, CHANNEL, PEER_LINK, strict=True):
            ip("-n", name, "addr", "add", f"{channel}/64", "dev", link, "nodad")
            ip("-n", name, "addr", "add", f"{peer_link}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def settings(folder: Path, name: str, number: int) -> Path:
    """A settings file for the agent in namespace ``number``."""
    path = folder / f"{name}.toml"
    path.write_text(
        f"""state = "{folder / name}"
[device]
name = "device-{number + 1}"
[listen]
port = 8301
[fabric]
kind = "host"
peer-link-local = "{PEER_LINK[number]}"
peer-link-peer = "{PEER_LINK[1 - number]}"
peer-link-port = 4785
"""
    )
    return path


def start(*command: str) -> subprocess.Popen[str]:
    """A process whose output the test reads."""
    environment = os.environ | {"MLAG_AGENT_PASSWORD": PASSWORD}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd="/")


def line(process: subprocess.Popen[str]) -> str:
    """Its next line of output."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_agents_in_two_namespaces_synchronise(namespaces: tuple[str, str], tmp_path: Path) -> None:
    running: list[subprocess.Popen[str]] = []
    try:
        for number, name in enumerate(namespaces):
            file = settings(tmp_path, name, number)
            inside = ("ip", "netns", "exec", name, sys.executable)
            running.append(start(*inside, "-m", "mlag_agent.cli", "serve", "--settings", str(file), "--user", "admin"))
        for agent in running:
            assert line(agent).startswith("ready: ")
        clients = []
        for number, name in enumerate(namespaces):
            script = SCRIPT.format(password=PASSWORD)
            arguments = ("8301", CHANNEL[number], CHANNEL[1 - number], f"10.{number}.0.1")
            clients.append(start("ip", "netns", "exec", name, sys.executable, "-c", script, *arguments))
        running += clients
        assert [line(client) for client in clients] == ["configured", "configured"]
        seen: list[dict[str, Any]] = [json.loads(line(client)) for client in clients]
        assert [state["up"] for state in seen] == [True, True]
        assert [state["heartbeat"] for state in seen] == [True, True]
        assert [state["from-peer"] for state in seen] == [300, 300]
        assert {state["role"] for state in seen} == {"connects", "listens"}
        for client in clients:
            client.communicate("\n", timeout=20)
            assert client.returncode == 0
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.communicate(timeout=20)
