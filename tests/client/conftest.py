"""What the client's tests share: engine timers that make a pair's reasons show at once, and the usual parameters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from command_line import Call, Outcome
from mlag_agent.mlag import EngineTimers
from mlag_client import DfsClient, PeerLinkSource, cli
from mlag_client.testing import RunningAgent, RunningPair, pair

FAST = EngineTimers(
    hello_interval=0.05,
    hello_hold=0.5,
    keepalive=0.1,
    session_hold=0.8,
    open_timeout=0.8,
    connect_timeout=0.5,
    retry_first=0.02,
    retry_cap=0.2,
    address_check=0.1,
    plan_grace=0.3,
    close_timeout=0.3,
)

SOURCE = PeerLinkSource.of("2001:db8:1::1", "2001:db8:1::2", 2048)
SOURCE4 = PeerLinkSource.of("10.1.1.1", "10.1.1.2", 2048)
SECRET = "Secret-12"


@pytest.fixture
def fast_pair() -> Iterator[RunningPair]:
    with pair(timers=FAST) as running:
        yield running


@pytest.fixture
def source() -> PeerLinkSource:
    return SOURCE


@pytest.fixture
def clients(fast_pair: RunningPair) -> tuple[DfsClient, DfsClient]:
    return fast_pair.first.client(), fast_pair.second.client()


@pytest.fixture
def configured(clients: tuple[DfsClient, DfsClient]) -> Callable[..., tuple[DfsClient, DfsClient]]:
    """Configures both devices with mirrored parameters and waits until the channel is up."""

    def configure(source: PeerLinkSource = SOURCE, password: str | None = None) -> tuple[DfsClient, DfsClient]:
        clients[0].set_peer_link(source, password=password)
        clients[1].set_peer_link(source.mirrored(), password=password)
        for client in clients:
            client.wait_until_up(20, 0.05)
        return clients

    return configure


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the entry point in this process, as the installed script does."""

    def run(running: RunningAgent, *arguments: str, password: str | None = None) -> Outcome:
        monkeypatch.setenv("MLAG_CLIENT_PASSWORD", running.password if password is None else password)
        monkeypatch.setattr(sys, "argv", ["mlag-client", "--port", str(running.port), *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), printed.out, printed.err)

    return run
