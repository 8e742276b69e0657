"""Replies as they could come from another or a newer agent."""

from __future__ import annotations

import pytest
from lxml import etree

from mlag_client import DownReason, UnexpectedReply
from mlag_client.documents import read_source, read_state

GROUP = '<data><m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id>{}</dfs-group></dfs-groups></m-lag></data>'  # noqa: E501
CHANNEL = (
    "<state><peer-link><oper-status>up</oper-status></peer-link>"
    "<sync-channel><oper-status>{}</oper-status>{}</sync-channel></state>"
)


def data(inner: str) -> etree._Element:
    return etree.fromstring(GROUP.format(inner))


def test_counters_that_are_absent_have_not_counted() -> None:
    state = read_state(data(CHANNEL.format("up", "")), 1)
    assert state is not None
    assert state.channel.up
    assert state.channel.established == 0
    assert state.channel.last_change is None
    assert state.peer is None


@pytest.mark.parametrize(("word", "known"), [("port-mismatch", True), ("a-reason-of-next-year", False)])
def test_a_reason_that_is_not_known_is_passed_on(word: str, known: bool) -> None:
    state = read_state(data(CHANNEL.format("down", f"<down-reason>{word}</down-reason>")), 1)
    assert state is not None
    assert state.channel.down_reason == word
    assert isinstance(state.channel.down_reason, DownReason) is known


def test_another_group_is_not_read() -> None:
    assert read_state(data(CHANNEL.format("up", "")), 2) is None
    assert read_source(etree.fromstring("<data/>"), 1) is None


@pytest.mark.parametrize(
    "inner",
    [
        "<state/>",
        CHANNEL.format("up", "<tcp-port>many</tcp-port>"),
        CHANNEL.format("up", "<local-address>here</local-address>"),
        CHANNEL.format("up", "<entry-path>elsewhere</entry-path>"),
        CHANNEL.format("up", "<last-change>yesterday</last-change>"),
        CHANNEL.format("up", "<entry-statistics><type>mac</type></entry-statistics>"),
    ],
)
def test_what_the_module_does_not_allow_is_an_error_that_says_so(inner: str) -> None:
    with pytest.raises(UnexpectedReply, match="the reply"):
        read_state(data(inner), 1)


def test_a_source_without_its_port_is_an_error() -> None:
    inner = "<peer-link-source><ipv4><local-address>10.1.1.1</local-address><peer-address>10.1.1.2</peer-address></ipv4></peer-link-source>"  # noqa: E501
    with pytest.raises(UnexpectedReply, match="no tcp-port in ipv4"):
        read_source(data(inner), 1)
