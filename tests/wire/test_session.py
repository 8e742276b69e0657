"""The session core: hellos, rpcs, leniency, misuse by the peer and by us (RFC 6241 sections 3, 4 and 8.1)."""

import pytest
from lxml import etree

from mlag_agent.errors import ErrorTag
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1, CANDIDATE
from mlag_agent.wire.framing import FrameDecoder, Framing, UnframableMessage, encode
from mlag_agent.wire.messages import BASE_NAMESPACE
from mlag_agent.wire.session import (
    TRANSITIONS,
    Event,
    HelloReceived,
    Leniency,
    Limits,
    PeerMisused,
    RpcReceived,
    Session,
    SessionEnded,
    SessionMisuse,
    State,
)

NC = f"{{{BASE_NAMESPACE}}}"
MARK = b"]]>]]>"
BOTH = [BASE_1_0, BASE_1_1]
GET = f'<rpc xmlns="{BASE_NAMESPACE}" message-id="1"><get/></rpc>'.encode()


def server(**options: object) -> Session:
    return Session(session_id=4, capabilities=[*BOTH, CANDIDATE], **options)  # type: ignore[arg-type]


def opened(base: str = BASE_1_1, **options: object) -> Session:
    session = server(**options)
    session.data_to_send()
    (event,) = session.receive_data(messages.hello([base]) + MARK)
    assert isinstance(event, HelloReceived)
    return session


def ask(session: Session, *requests: bytes) -> list[Event]:
    return session.receive_data(b"".join(encode(request, session.framing) for request in requests))


def ended(events: list[Event]) -> SessionEnded:
    (event,) = events
    assert isinstance(event, SessionEnded)
    return event


def misused(events: list[Event]) -> tuple[PeerMisused, etree._Element]:
    """The event and the ``<rpc-error>`` of its reply."""
    (event,) = events
    assert isinstance(event, PeerMisused)
    reply = etree.fromstring(event.reply)
    assert reply.tag == f"{NC}rpc-reply"
    (error,) = reply
    assert error.findtext(f"{NC}error-tag") == event.error.tag
    assert error.findtext(f"{NC}error-type") == "rpc"
    return event, error


class TestHello:
    def test_ours_waits_from_the_start(self) -> None:
        session = server()
        decoder = FrameDecoder()
        decoder.feed(session.data_to_send())
        read = messages.parse_hello(etree.fromstring(decoder.next_message() or b""))
        assert read.session_id == "4"
        assert [str(capability) for capability in read.capabilities] == [*BOTH, CANDIDATE]
        assert session.data_to_send() == b""

    @pytest.mark.parametrize(
        ("offered", "base", "framing"),
        [
            (BOTH, BASE_1_1, Framing.CHUNKED),
            ([BASE_1_1], BASE_1_1, Framing.CHUNKED),  # scrapli, netconf-client
            ([BASE_1_0], BASE_1_0, Framing.END_OF_MESSAGE),
            (["urn:ietf:params:xml:ns:netconf:base:1.0", BASE_1_1], BASE_1_1, Framing.CHUNKED),  # ncclient nexus
            (["http://www.huawei.com/netconf/capability/x/1.0", *BOTH], BASE_1_1, Framing.CHUNKED),
        ],
    )
    def test_the_base_version_decides_the_framing(self, offered: list[str], base: str, framing: Framing) -> None:
        session = server()
        (event,) = session.receive_data(messages.hello(offered) + MARK)
        assert isinstance(event, HelloReceived)
        assert event.base == base
        assert [str(capability) for capability in event.capabilities] == offered
        assert session.framing is framing
        assert session.state is State.OPEN
        (rpc,) = ask(session, GET)
        assert isinstance(rpc, RpcReceived)

    def test_an_old_server_keeps_the_old_framing(self) -> None:
        session = Session(session_id=1, capabilities=[BASE_1_0])
        session.receive_data(messages.hello(BOTH) + MARK)
        assert session.framing is Framing.END_OF_MESSAGE

    @pytest.mark.parametrize(
        "text",
        [
            '\n<?xml version="1.0" encoding="utf-8"?>\n{hello}',
            "{hello}\n\n",
            "<!-- client -->{hello}",
            "{hello_with_spaces}",
            "{prefixed}",
        ],
    )
    def test_variants_of_clients(self, text: str) -> None:
        hello = messages.hello(BOTH).decode()
        message = text.format(
            hello=hello,
            hello_with_spaces=hello.replace("<capability>", "<capability>\n   ").replace("</cap", "\n </cap"),
            prefixed=f'<n:hello xmlns:n="{BASE_NAMESPACE}"><n:capabilities><n:capability>{BASE_1_1}</n:capability>'
            "</n:capabilities></n:hello>",
        )
        (event,) = server().receive_data(message.encode() + MARK)
        assert isinstance(event, HelloReceived)
        assert event.base == BASE_1_1
        assert event.leniencies == ()

    def test_hello_and_rpcs_in_one_piece_and_byte_by_byte(self) -> None:
        stream = (
            messages.hello(BOTH) + MARK + b"\n" + encode(GET, Framing.CHUNKED) + b"\n" + encode(GET, Framing.CHUNKED)
        )
        kinds = [HelloReceived, RpcReceived, RpcReceived]
        assert [type(event) for event in server().receive_data(stream)] == kinds
        session = server()
        events = [event for byte in stream for event in session.receive_data(bytes([byte]))]
        assert [type(event) for event in events] == kinds

    @pytest.mark.parametrize(
        ("message", "why"),
        [
            (messages.hello(BOTH, 9), "must not have a <session-id>"),
            (messages.hello([]), "none of our base versions"),
            (messages.hello(["urn:other"]), "none of our base versions"),
            (GET, "the first message must be <hello>"),
            (b'<hello xmlns="urn:other"/>', "namespace urn:other"),
            (b"<hello>", "malformed"),
            (f'<hello xmlns="{BASE_NAMESPACE}"/>'.encode(), "<capabilities>"),
            (b"<!DOCTYPE hello>" + messages.hello(BOTH), "document type declaration"),
            (b"", "empty"),
        ],
    )
    def test_what_ends_the_session(self, message: bytes, why: str) -> None:
        session = server()
        event = ended(session.receive_data(message + MARK + GET + MARK))
        assert why in event.reason
        assert event.by_peer_error
        assert session.state is State.DRAINING
        assert session.receive_data(messages.hello(BOTH) + MARK) == []

    def test_chunked_before_the_hello_is_no_hello(self) -> None:
        assert ended(server().receive_data(encode(GET, Framing.CHUNKED) + MARK))

    def test_a_huge_hello_is_refused_early(self) -> None:
        session = server(limits=Limits(hello_size=1000))
        assert "larger than the limit of 1000" in ended(session.receive_data(b"x" * 2000)).reason

    def test_without_namespace(self) -> None:
        hello = messages.hello(BOTH).replace(f' xmlns="{BASE_NAMESPACE}"'.encode(), b"")
        session = server()
        (event,) = session.receive_data(hello + MARK)
        assert isinstance(event, HelloReceived)
        assert event.leniencies == (Leniency.UNQUALIFIED_HELLO,)
        assert session.leniencies == {Leniency.UNQUALIFIED_HELLO: 1}
        assert BASE_NAMESPACE in ended(server(strict=True).receive_data(hello + MARK)).reason

    def test_a_server_without_base_version_is_our_bug(self) -> None:
        with pytest.raises(ValueError, match="base version"):
            Session(session_id=1, capabilities=[CANDIDATE])


class TestRpc:
    def test_what_the_event_holds(self) -> None:
        (event,) = ask(opened(), GET)
        assert isinstance(event, RpcReceived)
        assert event.message_id == "1"
        assert event.operation.tag == f"{NC}get"
        assert event.rpc.tag == f"{NC}rpc"
        assert event.size == len(GET)
        assert event.leniencies == ()

    def test_pipelined_rpcs_come_in_order(self) -> None:
        requests = [GET.replace(b'"1"', b'"%d"' % number) for number in range(50)]
        events = ask(opened(), *requests)
        assert [event.message_id for event in events if isinstance(event, RpcReceived)] == [str(n) for n in range(50)]

    @pytest.mark.parametrize("base", BOTH)
    def test_a_reply_goes_out_in_the_framing_of_the_session(self, base: str) -> None:
        session = opened(base)
        (event,) = ask(session, GET)
        assert isinstance(event, RpcReceived)
        session.send(messages.reply(event.attributes, messages.OK))
        session.send(messages.notification("2026-01-01T00:00:00Z", b"<x/>"))
        decoder = FrameDecoder(framing=session.framing)
        decoder.feed(session.data_to_send())
        first = etree.fromstring(decoder.next_message() or b"")
        assert first.get("message-id") == "1"
        assert decoder.next_message() is not None
        assert decoder.next_message() is None

    def test_without_namespace(self) -> None:
        request = b'<rpc message-id="5"><get/></rpc>'
        session = opened()
        (event,) = ask(session, request)
        assert isinstance(event, RpcReceived)
        assert event.leniencies == (Leniency.UNQUALIFIED_RPC,)
        assert session.leniencies[Leniency.UNQUALIFIED_RPC] == 1
        assert messages.reply(event.attributes, messages.OK).startswith(f'<rpc-reply xmlns="{BASE_NAMESPACE}"'.encode())
        strict = opened(strict=True)
        found, error = misused(ask(strict, request))
        assert found.error.tag is ErrorTag.UNKNOWN_NAMESPACE
        assert BASE_NAMESPACE in found.error.message
        assert error.findtext(f"{NC}error-info/{NC}bad-element") == "rpc"
        assert strict.leniencies == {}

    def test_a_message_id_in_the_netconf_namespace_is_accepted_and_echoed_as_it_came(self) -> None:
        """The client of the PyPI package netconf sends it so."""
        request = f'<nc:rpc xmlns:nc="{BASE_NAMESPACE}" nc:message-id="0"><nc:get/></nc:rpc>'.encode()
        (event,) = ask(session := opened(), request)
        assert isinstance(event, RpcReceived)
        assert event.message_id == "0"
        assert session.leniencies[Leniency.QUALIFIED_MESSAGE_ID] == 1
        assert b'nc:message-id="0"' in messages.reply(event.attributes, messages.OK)

        _, error = misused(ask(opened(strict=True), request))
        assert error.findtext(f"{NC}error-info/{NC}bad-attribute") == "message-id"

    def test_an_unqualified_operation_is_left_to_the_dispatcher(self) -> None:
        # What Ansible's netconf_rpc sends in its documented examples.
        (event,) = ask(
            opened(strict=True), f'<n:rpc xmlns:n="{BASE_NAMESPACE}" message-id="1"><lock/></n:rpc>'.encode()
        )
        assert isinstance(event, RpcReceived)
        assert event.operation.tag == "lock"


class TestMisuseByThePeer:
    def test_without_message_id_as_in_rfc_6241_section_4_3(self) -> None:
        session = opened()
        event, error = misused(ask(session, GET.replace(b' message-id="1"', b"")))
        assert event.error.tag is ErrorTag.MISSING_ATTRIBUTE
        assert error.findtext(f"{NC}error-info/{NC}bad-attribute") == "message-id"
        assert error.findtext(f"{NC}error-info/{NC}bad-element") == "rpc"
        assert "message-id" not in etree.fromstring(event.reply).attrib
        assert isinstance(ask(session, GET)[0], RpcReceived)

    @pytest.mark.parametrize(
        ("inside", "tag", "bad"),
        [
            ("", ErrorTag.MISSING_ELEMENT, "rpcOperation"),
            (" text ", ErrorTag.MISSING_ELEMENT, "rpcOperation"),
            ("<get/><lock/>", ErrorTag.UNKNOWN_ELEMENT, "lock"),
        ],
    )
    def test_not_one_operation(self, inside: str, tag: ErrorTag, bad: str) -> None:
        session = opened()
        event, error = misused(ask(session, GET.replace(b"<get/>", inside.encode())))
        assert event.error.tag is tag
        assert error.findtext(f"{NC}error-info/{NC}bad-element") == bad
        assert etree.fromstring(event.reply).get("message-id") == "1"
        assert session.state is State.OPEN

    @pytest.mark.parametrize("name", ["hello", "rpc-reply", "notification"])
    def test_another_top_level_element(self, name: str) -> None:
        session = opened()
        event, error = misused(ask(session, f'<{name} xmlns="{BASE_NAMESPACE}" message-id="3"/>'.encode()))
        assert event.error.tag is ErrorTag.UNKNOWN_ELEMENT
        assert error.findtext(f"{NC}error-info/{NC}bad-element") == name
        assert session.state is State.OPEN

    def test_rpc_of_another_namespace(self) -> None:
        event, error = misused(ask(opened(), b'<rpc xmlns="urn:wrong" message-id="3"><get/></rpc>'))
        assert event.error.tag is ErrorTag.UNKNOWN_NAMESPACE
        assert error.findtext(f"{NC}error-info/{NC}bad-namespace") == "urn:wrong"
        assert BASE_NAMESPACE in event.error.message

    def test_a_message_id_without_end(self) -> None:
        event, _ = misused(ask(opened(), GET.replace(b'"1"', b'"%b"' % (b"9" * 5000))))
        assert event.error.tag is ErrorTag.BAD_ATTRIBUTE
        assert isinstance(ask(opened(), GET.replace(b'"1"', b'"%b"' % (b"9" * 4095)))[0], RpcReceived)

    @pytest.mark.parametrize(
        ("broken", "message_id"),
        [
            (GET.replace(b"</rpc>", b""), "1"),
            (GET.replace(b"<get/>", b"&x;"), "1"),
            (GET.replace(b"<get/>", b"<a>" * 200 + b"</a>" * 200), "1"),
            (b"not xml", None),
            (GET.replace(b"<get/>", b"\xff"), None),
            (b"<!DOCTYPE rpc>" + GET, None),
        ],
    )
    def test_malformed_xml_in_good_chunks_is_answered(self, broken: bytes, message_id: str | None) -> None:
        session = opened()
        event, _ = misused(ask(session, broken))
        assert event.error.tag is ErrorTag.MALFORMED_MESSAGE
        assert etree.fromstring(event.reply).get("message-id") == message_id
        assert isinstance(ask(session, GET)[0], RpcReceived)

    def test_malformed_xml_ends_a_session_of_base_1_0(self) -> None:
        # RFC 6241 appendix A: malformed-message must not be sent to a peer of base:1.0.
        session = opened(BASE_1_0)
        event = ended(ask(session, GET.replace(b"</rpc>", b"")))
        assert "malformed" in event.reason

    def test_bad_framing_ends_the_session_but_not_the_replies_before(self) -> None:
        session = opened()
        first, last = session.receive_data(encode(GET, Framing.CHUNKED) + b"\n#0\n")
        assert isinstance(first, RpcReceived)
        assert isinstance(last, SessionEnded)
        assert last.by_peer_error
        assert "RFC 6242" in last.reason
        session.send(messages.reply(first.attributes, messages.OK))
        assert session.data_to_send()
        assert session.receive_data(encode(GET, Framing.CHUNKED)) == []
        assert session.receive_eof() == []

    def test_too_big(self) -> None:
        session = opened(limits=Limits(message_size=100))
        assert "larger than the limit of 100 bytes" in ended(session.receive_data(b"\n#101\n")).reason

    @pytest.mark.parametrize(
        ("sent", "why", "by_error"),
        [
            (b"", "closed its side", False),
            (b"\n", "closed its side", False),
            (b"\n#5\nab", "inside a message", True),
            (b"\n#", "inside a message", True),
        ],
    )
    def test_end_of_input(self, sent: bytes, why: str, by_error: bool) -> None:
        session = opened()
        session.receive_data(sent)
        event = ended(session.receive_eof())
        assert why in event.reason
        assert event.by_peer_error is by_error
        assert session.receive_eof() == []

    def test_end_of_input_before_the_hello(self) -> None:
        assert "before its hello" in ended(server().receive_eof()).reason


class TestMisuseByUs:
    def test_sending_too_early_and_too_late(self) -> None:
        session = server()
        with pytest.raises(SessionMisuse, match="awaiting-hello"):
            session.send(b"<rpc-reply/>")
        session = opened()
        session.send(b"<rpc-reply/>")
        session.close()
        assert session.data_to_send()
        with pytest.raises(SessionMisuse, match="closed"):
            session.send(b"<rpc-reply/>")

    def test_what_cannot_be_framed(self) -> None:
        with pytest.raises(UnframableMessage):
            opened(BASE_1_0).send(b"<a>]]>]]></a>")

    def test_closing_twice_and_input_after_it(self) -> None:
        session = opened()
        session.close()
        session.close()
        assert session.state is State.CLOSED
        assert session.receive_data(b"\n#0\n") == []
        assert session.receive_eof() == []


def test_the_table_reaches_every_state_and_never_leaves_closed() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {target for row in TRANSITIONS.values() for target in row.values()} == set(State) - {State.AWAITING_HELLO}
    assert set(TRANSITIONS[State.CLOSED].values()) == {State.CLOSED}
