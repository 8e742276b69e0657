"""Connecting, and what happens when a session ends."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import asyncssh
import pytest
from ncclient import manager

from mlag_client import (
    ConnectFailed,
    DfsClient,
    HostKeyUnknown,
    LoginRefused,
    PeerLinkSource,
    ReplyTimeout,
    SessionLost,
    connect,
)
from mlag_client.session import is_loopback
from mlag_client.testing import RunningAgent


def test_a_manager_made_elsewhere(mlag_agent: RunningAgent) -> None:
    made = manager.connect(
        host=mlag_agent.host,
        port=mlag_agent.port,
        username=mlag_agent.username,
        password=mlag_agent.password,
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
        device_params={"name": "huaweiyang"},
    )
    with DfsClient(made) as client:
        assert client.manager is made
        assert client.peer_link() is None
        assert "urn:ietf:params:netconf:base:1.1" in client.session.capabilities
    assert not made.connected
    client.close()


def test_a_wrong_password(mlag_agent: RunningAgent) -> None:
    with pytest.raises(LoginRefused, match="does not let admin in") as caught:
        connect(mlag_agent.host, mlag_agent.port, "admin", "wrong")
    assert caught.value.port == mlag_agent.port


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectFailed, match="cannot open") as caught:
        connect("127.0.0.1", port, "admin", "x", timeout=5)
    assert caught.value.hint


def test_a_server_that_is_no_ssh_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectFailed):
            connect("127.0.0.1", server.getsockname()[1], "admin", "x", timeout=5)
        thread.join()


def known_hosts(running: RunningAgent, path: Path, key: asyncssh.SSHKey | None = None) -> Path:
    """A file in OpenSSH's format with the agent's key, or another."""
    key = key or asyncssh.read_private_key(str(Path(running.device.settings.state) / "ssh_host_ed25519_key"))
    public = key.convert_to_public().export_public_key("openssh").decode()
    path.write_text(f"[{running.host}]:{running.port} {public}", encoding="utf-8")
    return path


def test_the_host_key_is_verified_when_asked_for(mlag_agent: RunningAgent, tmp_path: Path) -> None:
    where = (mlag_agent.host, mlag_agent.port, mlag_agent.username, mlag_agent.password)
    good = known_hosts(mlag_agent, tmp_path / "known hosts")
    connect(*where, known_hosts=good).close()
    other = known_hosts(mlag_agent, tmp_path / "other", asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(HostKeyUnknown, match="not known"):
        connect(*where, known_hosts=other)
    # On loopback nobody can stand in between: the default does not ask for the key.
    connect(*where).close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True), ("192.0.2.1", False), ("s", False)],
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_killed_session(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    victim, killer = mlag_agent.client(), mlag_agent.client()
    killer.manager.kill_session(victim.manager.session_id)
    with pytest.raises(SessionLost, match="the session ended"):
        victim.set_peer_link(source)
    victim.close()
    killer.set_peer_link(source)


def test_no_reply_in_time(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    client = mlag_agent.client()
    client.manager.timeout = 0.0005
    with pytest.raises(ReplyTimeout, match="no reply to lock"):
        client.set_peer_link(source)


def test_a_lost_session_leaves_no_lock(mlag_agent: RunningAgent, source: PeerLinkSource) -> None:
    holder, client = mlag_agent.client(), mlag_agent.client()
    holder.manager.lock("candidate")
    holder.manager._session.transport.close()
    for _ in range(100):
        if not mlag_agent.device.registry.in_sessions or len(mlag_agent.device.registry) == 1:
            break
        client.peer_link()
    client.set_peer_link(source)
    assert client.peer_link() == source
