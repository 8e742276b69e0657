"""Events through ncclient, typed; and ``mlag-client watch``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from command_line import Call
from mlag_client import DfsClient, Event, NoEvent, PeerLinkSource, RpcFailed, SessionLost, UnexpectedReply, connect
from mlag_client.events import NOTIFICATION, parse_event
from mlag_client.testing import RunningAgent, RunningPair

Configured = Callable[..., tuple[DfsClient, DfsClient]]

MESSAGE = (
    '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"><eventTime>2026-11-24T10:00:00.5+01:00'
    '</eventTime><happened xmlns="urn:x"><a>1</a><b><c>two words</c></b><a>2</a><e/></happened></notification>'
)


class TestParse:
    def test_leaves_by_path(self) -> None:
        event = parse_event(MESSAGE)
        assert (event.name, event.namespace) == ("happened", "urn:x")
        assert event.leaves == {"a": "1", "b/c": "two words", "e": ""}
        assert event.time == datetime(2026, 11, 24, 9, 0, 0, 500_000, tzinfo=UTC)
        assert str(event) == "2026-11-24T10:00:00.500000+01:00 happened a=1 b/c='two words' e="
        assert event.matches(a="1")
        assert not event.matches(a="1", other="x")

    @pytest.mark.parametrize(
        "message",
        [
            "<notification/>",
            "no xml",
            MESSAGE.replace("2026-11-24", "yesterday"),
            MESSAGE.replace("notification:1.0", "other"),
            MESSAGE.replace("eventTime", "time"),
        ],
    )
    def test_no_notification(self, message: str) -> None:
        with pytest.raises(UnexpectedReply):
            parse_event(message)


class TestEvents:
    def test_pair_comes_up_and_goes_down(self, clients: tuple[DfsClient, DfsClient], source: PeerLinkSource) -> None:
        first, second = clients
        first.subscribe()
        first.set_peer_link(source)
        second.set_peer_link(source.mirrored())
        up = first.wait_for_event("sync-channel-up", tcp_port="2048")
        assert up.leaves["peer-device"]
        assert first.state().channel.up
        second.undo_peer_link(source.mirrored())
        first.wait_for_event("sync-channel-down", was_up="true")

    def test_reason_of_a_misconfigured_pair(self, clients: tuple[DfsClient, DfsClient], source: PeerLinkSource) -> None:
        first, second = clients
        first.subscribe()
        first.set_peer_link(source)
        second.set_peer_link(PeerLinkSource(source.peer, source.local, 3000, None))
        assert "3000" in first.wait_for_event("sync-channel-down", reason="port-mismatch").leaves["detail"]

    def test_event_that_does_not_come(self, clients: tuple[DfsClient, DfsClient]) -> None:
        clients[0].subscribe()
        with pytest.raises(NoEvent, match=r"no sync-channel-up in 0.2 s; the last event was: none at all"):
            clients[0].wait_for_event("sync-channel-up", 0.2)

    def test_replay_and_its_end(self, fast_pair: RunningPair, clients: tuple[DfsClient, DfsClient]) -> None:
        first = clients[0]
        begin = datetime.now(UTC) - timedelta(hours=1)
        first.add_vpn_instance("red")
        with fast_pair.first.client() as reader:
            reader.subscribe(start=begin, stop=datetime.now(UTC))
            names = [event.name for event in reader.events(timeout=20)]
        assert names[-1] == "replayComplete"
        assert "netconf-config-change" in names
        assert names[0] == "netconf-session-start"

    def test_filter(self, clients: tuple[DfsClient, DfsClient]) -> None:
        wanted = etree.fromstring(
            f'<filter type="subtree" xmlns="{NOTIFICATION}">'
            '<netconf-session-end xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"/></filter>'
        )
        clients[0].subscribe(filter_element=wanted)
        clients[0].add_vpn_instance("red")
        clients[1].close()
        assert [event.name for event in clients[0].events(timeout=0.3)] == []

    def test_refused(self, clients: tuple[DfsClient, DfsClient]) -> None:
        with pytest.raises(RpcFailed, match="no stream links"):
            clients[0].subscribe(stream="links")

    def test_session_that_ends(self, fast_pair: RunningPair, clients: tuple[DfsClient, DfsClient]) -> None:
        reader = fast_pair.first.client()
        reader.subscribe()
        clients[0].manager.kill_session(reader.manager.session_id)
        with pytest.raises(SessionLost):
            for _ in reader.events(timeout=20):
                pass

    @pytest.mark.parametrize("handler", ["default", "huaweiyang"])
    def test_device_handlers_that_can(self, fast_pair: RunningPair, handler: str) -> None:
        """INTEROP section 2.1: with the others of ncclient's, a notification ends the session."""
        agent: RunningAgent = fast_pair.first
        with connect(agent.host, agent.port, agent.username, agent.password, device_name=handler) as client:
            client.subscribe()
            client.add_vpn_instance("red")
            assert client.wait_for_event("netconf-config-change").leaves["changed-by/username"] == agent.username
            assert isinstance(next(client.events(0.1), None), Event | None)


class TestWatch:
    """``mlag-client watch`` in this process."""

    def test_group_events_as_json(
        self, fast_pair: RunningPair, clients: tuple[DfsClient, DfsClient], source: PeerLinkSource, call: Call
    ) -> None:
        clients[0].set_peer_link(source)
        clients[1].set_peer_link(source.mirrored())
        clients[0].wait_until_up(20, 0.05)
        outcome = call(
            fast_pair.first, "--json", "watch", "--since", "2020-01-01T00:00:00Z", "--for", "sync-channel-up",
            "--timeout", "20",
        )  # fmt: skip
        assert outcome.code == 0, outcome.err
        rows = [json.loads(line) for line in outcome.out.splitlines()]
        assert rows[-1]["event"] == "sync-channel-up"
        assert rows[-1]["tcp-port"] == "2048"
        assert {row["namespace"] for row in rows} == {"urn:mlag-agent:yang:dfs-m-lag"}

    def test_all_events_as_text(self, fast_pair: RunningPair, clients: tuple[DfsClient, DfsClient], call: Call) -> None:
        clients[0].add_vpn_instance("red")
        arguments = ("--since", "2020-01-01T00:00:00Z", "--count", "2", "--timeout", "20")
        outcome = call(fast_pair.first, "watch", "--all", *arguments)
        assert outcome.code == 0
        first, second = outcome.out.splitlines()
        assert "netconf-session-start username=" in first
        assert "netconf-config-change changed-by/username=" in second

    def test_over_at_the_stop_time(self, fast_pair: RunningPair, call: Call) -> None:
        outcome = call(fast_pair.first, "watch", "--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z")
        assert (outcome.code, outcome.out) == (0, "")

    def test_event_that_does_not_come(self, fast_pair: RunningPair, call: Call) -> None:
        outcome = call(fast_pair.first, "watch", "--for", "sync-channel-up", "--timeout", "0.2")
        assert outcome.code == 4
        assert "no sync-channel-up came" in outcome.err

    @pytest.mark.parametrize("arguments", [("--until", "2020-01-01T00:00:00Z"), ("--since", "yesterday")])
    def test_wrong_use(self, fast_pair: RunningPair, call: Call, arguments: tuple[str, ...]) -> None:
        assert call(fast_pair.first, "watch", *arguments).code == 2
