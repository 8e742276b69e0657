"""RFC 6242 section 4: both framings, every way to cut the bytes, every limit."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.errors import WireError
from mlag_agent.wire.framing import (
    CHUNK_SIZE,
    END_OF_MESSAGE,
    MAX_MESSAGE_SIZE,
    FrameDecoder,
    Framing,
    FramingError,
    MessageTooBig,
    UnframableMessage,
    encode,
)


def decode(framing: Framing, *pieces: bytes, limit: int = MAX_MESSAGE_SIZE) -> list[bytes]:
    decoder = FrameDecoder(framing=framing, max_message_size=limit)
    found = []
    for piece in pieces:
        decoder.feed(piece)
        while (message := decoder.next_message()) is not None:
            found.append(message)
    return found


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


FRAMINGS = pytest.mark.parametrize("framing", list(Framing))
MESSAGES = st.lists(st.text(min_size=1, max_size=40).map(lambda text: b"<" + text.strip().encode() + b">"), max_size=4)


@FRAMINGS
def test_a_message_cut_in_two_at_every_byte(framing: Framing) -> None:
    messages = [b"<hello/>", "<rpc>ü]]></rpc>".encode(), b"<x/>"]
    stream = b"".join(encode(message, framing) for message in messages)
    for cut in range(len(stream) + 1):
        assert decode(framing, stream[:cut], stream[cut:]) == messages


@FRAMINGS
@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400)))
def test_round_trip_however_the_bytes_arrive(framing: Framing, messages: list[bytes], cuts: list[int]) -> None:
    if framing is Framing.END_OF_MESSAGE:
        messages = [message for message in messages if END_OF_MESSAGE not in message]
    stream = b"".join(encode(message, framing) for message in messages)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    assert decode(framing, *(stream[a:b] for a, b in pairwise(edges))) == messages


def test_the_framing_changes_between_two_messages_of_one_piece() -> None:
    decoder = FrameDecoder()
    decoder.feed(b"<hello/>]]>]]>\n\n#6\n<rpc/>\n##\n\n#3\n<r>\n##\n")
    assert decoder.next_message() == b"<hello/>"
    decoder.framing = Framing.CHUNKED
    assert decoder.next_message() == b"<rpc/>"
    assert decoder.next_message() == b"<r>"
    assert decoder.next_message() is None
    assert not decoder.inside_message


def test_several_chunks_make_one_message() -> None:
    # The example of RFC 6242 section 4.2, its first message cut in three chunks.
    stream = b'\n#4\n<rpc\n#18\n message-id="102"\n\n#7\n ></rpc\n#1\n>\n##\n'
    whole = b'<rpc message-id="102"\n ></rpc>'
    assert decode(Framing.CHUNKED, stream) == [whole]
    assert decode(Framing.CHUNKED, *one_by_one(stream)) == [whole]


@pytest.mark.parametrize("stray", [b"\n", b"\r\n", b" \t\n", b"\n\n\n\n", b"  \r\n \n"])
def test_white_space_between_frames_is_skipped(stray: bytes) -> None:
    chunked = stray + b"\n#2\nab\n##\n" + stray + b"\n#2\ncd\n##\n" + stray
    assert decode(Framing.CHUNKED, chunked) == [b"ab", b"cd"]
    assert decode(Framing.CHUNKED, *one_by_one(chunked)) == [b"ab", b"cd"]
    marked = stray + b"ab]]>]]>" + stray + b"cd]]>]]>" + stray
    assert decode(Framing.END_OF_MESSAGE, marked) == [b"ab", b"cd"]
    assert decode(Framing.END_OF_MESSAGE, *one_by_one(marked)) == [b"ab", b"cd"]


def test_white_space_inside_a_message_stays() -> None:
    assert decode(Framing.CHUNKED, b"\n#2\n\n \n#2\n\n\n\n##\n") == [b"\n \n\n"]
    assert decode(Framing.END_OF_MESSAGE, b"\n a \n]]>]]>") == [b"a \n"]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\n#0\n", "without leading zeros"),
        (b"\n#01\n", "without leading zeros"),
        (b"\n#4294967296\n", "larger than 4294967295"),
        (b"\n#9999999999\n", "larger than 4294967295"),
        (b"\n#12345678901", "at most 10 digits"),
        (b"\n#x\n", "expected a chunk size"),
        (b"\n#-1\n", "expected a chunk size"),
        (b"\n#1 \n", "expected a chunk size"),
        (b"\n#1\r\n", "expected a chunk size"),
        (b"\n#\n", "expected a chunk size"),
        (b"\n###\n", "expected a chunk size"),
        (b"\n##\n", "without a chunk"),
        (b"#1\na", "line feed before"),
        (b"<rpc/>]]>]]>", "line feed before"),
        (b"\n#1\nab", "line feed before"),
        (b"\n#1\na\n\n#1\nb", "expected '#'"),
        (b"\n<rpc/>", "expected .#. after"),
    ],
)
def test_bad_chunks_are_framing_errors(stream: bytes, why: str) -> None:
    with pytest.raises(FramingError, match=why):
        decode(Framing.CHUNKED, stream)
    with pytest.raises(FramingError):
        decode(Framing.CHUNKED, *one_by_one(stream))
    assert issubclass(FramingError, WireError)


def test_a_bad_header_is_noticed_before_it_is_complete() -> None:
    with pytest.raises(FramingError):
        decode(Framing.CHUNKED, b"\n#a")


def test_the_largest_chunk_size_is_good_framing() -> None:
    decoder = FrameDecoder(framing=Framing.CHUNKED, max_message_size=2**40)
    decoder.feed(b"\n#4294967295\nabc")
    assert decoder.next_message() is None
    assert decoder.inside_message


@FRAMINGS
def test_a_message_at_the_limit_passes_and_one_byte_more_does_not(framing: Framing) -> None:
    assert decode(framing, encode(b"x" * 100, framing), limit=100) == [b"x" * 100]
    with pytest.raises(MessageTooBig) as caught:
        decode(framing, encode(b"x" * 101, framing), limit=100)
    assert caught.value.limit == 100
    assert isinstance(caught.value, WireError)


def test_too_big_is_said_before_the_data_is_there() -> None:
    with pytest.raises(MessageTooBig):
        decode(Framing.CHUNKED, b"\n#101\n", limit=100)
    with pytest.raises(MessageTooBig):
        decode(Framing.CHUNKED, b"\n#60\n" + b"x" * 60, b"\n#41\n", limit=100)
    with pytest.raises(MessageTooBig):  # the mark may still be cut: 5 bytes of it are not counted for long
        decode(Framing.END_OF_MESSAGE, b"x" * 110, limit=100)


def test_white_space_without_end_is_not_kept() -> None:
    for framing in Framing:
        decoder = FrameDecoder(framing=framing, max_message_size=100)
        for _ in range(1000):
            decoder.feed(b" \n" * 500)
            assert decoder.next_message() is None
        assert len(decoder._buffer) <= 8


@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("piece", [1, 7, 4096, 10**9])
def test_time_is_linear_in_the_bytes(framing: Framing, piece: int) -> None:
    # A decoder that looked at all it has at every feed would need minutes for this.
    size = 300_000 if piece < 4096 else 8_000_000
    payload = b"]]>]]" * (size // 5)
    stream = b"\n#%d\n%b\n##\n" % (len(payload), payload) if framing is Framing.CHUNKED else payload + END_OF_MESSAGE
    if framing is Framing.END_OF_MESSAGE:
        payload = payload.split(END_OF_MESSAGE)[0]
        stream = b"x" * size + END_OF_MESSAGE
        payload = b"x" * size
    begin = time.perf_counter()
    assert decode(framing, *(stream[i : i + piece] for i in range(0, len(stream), piece))) == [payload]
    assert time.perf_counter() - begin < 10


def test_many_small_messages_in_one_piece_are_linear() -> None:
    stream = b"\n#6\n<rpc/>\n##\n" * 100_000
    begin = time.perf_counter()
    assert len(decode(Framing.CHUNKED, stream)) == 100_000
    assert time.perf_counter() - begin < 10


def test_chunks_end_where_a_character_ends() -> None:
    message = ("€" * 100_000).encode() + b"x" + ("😀" * 50_000).encode() + b"y" + ("ü" * 70_000).encode()
    framed = encode(message, Framing.CHUNKED)
    assert decode(Framing.CHUNKED, framed) == [message]
    sizes = []
    position = 0
    while framed[position : position + 4] != b"\n##\n":
        end = framed.index(b"\n", position + 1)
        size = int(framed[position + 2 : end])
        framed[end + 1 : end + 1 + size].decode()  # ncclient does this to each chunk
        sizes.append(size)
        position = end + 1 + size
    assert all(CHUNK_SIZE - 4 < size <= CHUNK_SIZE for size in sizes[:-1])


def test_bytes_that_are_not_utf8_are_cut_anyhow() -> None:
    message = b"\x80" * (3 * CHUNK_SIZE)
    assert decode(Framing.CHUNKED, encode(message, Framing.CHUNKED)) == [message]


def test_our_own_messages_that_cannot_be_framed_are_refused() -> None:
    with pytest.raises(UnframableMessage):
        encode(b"a]]>]]>b", Framing.END_OF_MESSAGE)
    assert decode(Framing.CHUNKED, encode(b"a]]>]]>b", Framing.CHUNKED)) == [b"a]]>]]>b"]
    for framing in Framing:
        with pytest.raises(UnframableMessage):
            encode(b"", framing)


def test_the_mark_inside_a_message_of_the_peer_splits_it() -> None:
    # RFC 6242 section 4.3 has no escape: that is what base:1.1 is for.
    assert decode(Framing.END_OF_MESSAGE, b"<a>]]>]]></a>]]>]]>") == [b"<a>", b"</a>"]
