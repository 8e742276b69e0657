"""Whatever a peer sends, the core answers with events; any exception out of it is a bug."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mlag_agent.errors import WireError
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from mlag_agent.wire.framing import Framing, encode
from mlag_agent.wire.messages import BASE_NAMESPACE
from mlag_agent.wire.session import Limits, PeerMisused, RpcReceived, Session, SessionEnded, State
from mlag_agent.wire.xml import parse_message, recover_root

RPC = f'<rpc xmlns="{BASE_NAMESPACE}" message-id="1"><get/></rpc>'.encode()

SCRAPS = st.sampled_from(
    [
        b"<rpc", b"</rpc>", b"<get/>", b" message-id='1'", f' xmlns="{BASE_NAMESPACE}"'.encode(), b' xmlns:a="urn:a"',
        b" a:b='c'", b">", b"<hello>", b"</hello>", b"<capabilities>", b"<!DOCTYPE a [", b"<!ENTITY a 'b'>", b"]>",
        b"&a;", b"&#0;", b"&#xD800;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml version='1.0'", b" encoding='x'",
        b"?>", b"\xff", b"\0", "ü€😀".encode(), b"\n", b" ", b"\n#", b"\n##\n", b"7", b"0", b"]]>]]>", RPC,
        b"\xef\xbb\xbf", b"<a>" * 150, b"</a>" * 150, b'xml:lang="e"', b'xml:id="a"', b"xmlns=''",
    ]
)  # fmt: skip
XML_LIKE = st.lists(SCRAPS | st.binary(max_size=8), max_size=30).map(b"".join)
MESSAGE = XML_LIKE | st.binary(max_size=60) | st.builds(lambda a, b, c: RPC[:a] + b + RPC[c:],
                                                        st.integers(0, 90), XML_LIKE, st.integers(0, 90))  # fmt: skip


def drive(session: Session, stream: bytes, cut: int) -> None:
    """Feed ``stream`` in pieces of ``cut`` bytes and use what comes as a pump would."""
    ended = 0
    for position in range(0, len(stream), cut):
        for event in session.receive_data(stream[position : position + cut]):
            assert not ended
            if isinstance(event, PeerMisused):
                parse_message(event.reply)
                session.send(event.reply)
            elif isinstance(event, RpcReceived):
                reply = messages.reply(event.attributes, messages.OK)
                assert parse_message(reply).get("message-id") == event.message_id
                session.send(reply)
            elif isinstance(event, SessionEnded):
                ended += 1
    ended += len(session.receive_eof())
    assert ended == 1
    assert session.state is State.DRAINING
    session.data_to_send()
    session.close()


@settings(max_examples=400, deadline=None)
@given(stream=XML_LIKE | st.binary(max_size=300), cut=st.integers(1, 50))
def test_any_bytes_from_the_start(stream: bytes, cut: int) -> None:
    drive(Session(session_id=1, capabilities=[BASE_1_0, BASE_1_1]), stream, cut)


@settings(max_examples=400, deadline=None)
@given(
    sent=st.lists(MESSAGE, max_size=6),
    garbage=st.binary(max_size=20),
    base=st.sampled_from([BASE_1_0, BASE_1_1]),
    cut=st.integers(1, 100),
    strict=st.booleans(),
)
def test_any_messages_after_the_hello(sent: list[bytes], garbage: bytes, base: str, cut: int, strict: bool) -> None:
    session = Session(session_id=1, capabilities=[base], strict=strict, limits=Limits(message_size=2000))
    stream = [messages.hello([base]) + b"]]>]]>"]
    for message in sent:
        if base == BASE_1_0:
            stream.append(message + b"]]>]]>")
        else:
            stream.append(encode(message or b"x", Framing.CHUNKED))
    drive(session, b"".join([*stream, garbage]), cut)


@settings(max_examples=600, deadline=None)
@given(MESSAGE)
def test_the_parser_raises_nothing_else(message: bytes) -> None:
    recover_root(message)
    try:
        root = parse_message(message)
    except WireError:
        return
    messages.reply(messages.RpcAttributes.of(root), messages.OK)
