"""The hardened parser: what is refused, how it is said, and that refusing is cheap."""

import time

import pytest
from lxml import etree

from mlag_agent.errors import WireError
from mlag_agent.wire.xml import MAX_DEPTH, MalformedMessage, parse_message, recover_root, split_name

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rpc message-id="1">&c;</rpc>"""


def test_a_plain_message() -> None:
    root = parse_message(b'<rpc xmlns="urn:x" message-id="1"><get/></rpc>')
    assert split_name(root) == ("urn:x", "rpc")
    assert split_name(parse_message(b"<rpc/>")) == (None, "rpc")


@pytest.mark.parametrize(
    "message",
    [
        b'\n<?xml version="1.0"?><rpc/>',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?><rpc/>',
        b" \r\n\t<rpc/>\n\n",
        b"<?xml version='1.0' encoding='utf-8'?>\n<rpc/>",
        b"<!-- before --><?pi data?><rpc/><!-- after -->",
        b"<?xml version='1.0' encoding='us-ascii'?><rpc/>",
    ],
)
def test_what_may_stand_around_the_root(message: bytes) -> None:
    assert parse_message(message).tag == "rpc"


def test_comments_and_processing_instructions_are_dropped() -> None:
    root = parse_message(b"<rpc><!-- a --><get/><?pi?><!-- b --></rpc>")
    assert [child.tag for child in root] == ["get"]


def test_text_outside_ascii_arrives_whole() -> None:
    assert parse_message("<a>ü€😀</a>".encode()).text == "ü€😀"


@pytest.mark.parametrize(
    "message",
    [
        LAUGHS,
        b"<!DOCTYPE rpc><rpc/>",
        b'<!DOCTYPE rpc SYSTEM "file:///etc/passwd"><rpc/>',
        b'<?xml version="1.0"?><!-- x -->\n<?pi?><!DOCTYPE rpc [<!ENTITY e SYSTEM "file:///etc/passwd">]><rpc>&e;</rpc>',
        b'<!DOCTYPE rpc PUBLIC "-//X" "http://192.0.2.1/x.dtd"><rpc/>',
        b'<!DOCTYPE rpc [<!ATTLIST rpc a CDATA "b">]><rpc/>',
    ],
)
def test_every_document_type_declaration_is_refused(message: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(MalformedMessage, match="document type declaration"):
        parse_message(message)
    assert time.perf_counter() - begin < 1
    assert recover_root(message) is None


def test_doctype_in_text_is_only_text() -> None:
    assert parse_message(b"<a><![CDATA[<!DOCTYPE x>]]></a>").text == "<!DOCTYPE x>"
    assert parse_message(b"<!-- <!DOCTYPE x> --><a/>").tag == "a"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"<rpc>", "rpc"),
        (b"<rpc></rp>", "mismatch"),
        (b"<a/><b/>", "Extra content"),
        (b"<a>&nbsp;</a>", "nbsp"),
        (b"<a>\0</a>", "NUL"),
        (b"<a>\xff</a>", "not UTF-8"),
        (b"<a>\xed\xa0\x80</a>", "not UTF-8"),
        (b"<a>&#0;</a>", "malformed message"),
        (b"<a>\x01</a>", "malformed message"),
        (b"<x:a/>", "prefix"),
        (b'<a b="1" b="2"/>', "malformed message"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "encoding 'ISO-8859-1' is not accepted"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "encoding"),
        ("<a/>".encode("utf-16"), "malformed message"),
        (b"text", "malformed message"),
        (b"<!-- never closed", "malformed message"),
        (b"<?pi never closed", "malformed message"),
        (b"<a><!DOCTYPE b></a>", "malformed message"),
    ],
)
def test_malformed(message: bytes, why: str) -> None:
    with pytest.raises(MalformedMessage, match=why):
        parse_message(message)


def test_an_error_says_where_it_is() -> None:
    with pytest.raises(MalformedMessage, match=r"at line 2, column \d+") as caught:
        parse_message(b"<a>\n<b></a>")
    assert caught.value.line == 2
    assert caught.value.column > 0
    assert isinstance(caught.value, WireError)
    with pytest.raises(MalformedMessage) as caught:
        parse_message(b"<a>\nab\xff</a>")
    assert (caught.value.line, caught.value.column) == (2, 3)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(MalformedMessage):
        parse_message(b"<a>" * depth + b"</a>" * depth)


def test_the_deepest_allowed_nesting() -> None:
    root = parse_message(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH)
    assert sum(1 for _ in root.iter()) == MAX_DEPTH
    with pytest.raises(MalformedMessage, match="more than 3 elements"):
        parse_message(b"<a><a><a><a/></a></a></a>", max_depth=3)


def test_a_text_of_some_megabytes() -> None:
    assert len(parse_message(b"<a>" + b"x" * 5_000_000 + b"</a>").text or "") == 5_000_000
    with pytest.raises(MalformedMessage):
        parse_message(b"<a>" + b"x" * 11_000_000 + b"</a>")


@pytest.mark.parametrize(
    "message",
    [
        b'<rpc xmlns="urn:x" message-id="7"><get></rpc>',
        b'\n<?xml version="1.0"?><rpc xmlns="urn:x" message-id="7">&nope;</rpc>',
        b'<rpc xmlns="urn:x" message-id="7">' + b"<a>" * 300,
        b'<rpc xmlns="urn:x" message-id="7"><x:y/></rpc>',
    ],
)
def test_the_start_tag_of_a_broken_message_is_found(message: bytes) -> None:
    root = recover_root(message)
    assert root is not None
    assert split_name(root) == ("urn:x", "rpc")
    assert root.get("message-id") == "7"


@pytest.mark.parametrize("message", [b"", b"text", b"<rpc", b"<rpc message-id=1>", b"\xff<rpc>", b"<a>\0</a>", b"</a>"])
def test_nothing_is_found_where_there_is_no_start_tag(message: bytes) -> None:
    assert recover_root(message) is None


def test_the_parser_is_not_changed_by_errors() -> None:
    for _ in range(3):
        with pytest.raises(MalformedMessage):
            parse_message(b"<a>")
        assert etree.tostring(parse_message(b"<a><b/></a>")) == b"<a><b/></a>"
