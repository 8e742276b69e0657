"""Messages: every one is parsed again and compared by meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1
from mlag_agent.wire.messages import BASE_NAMESPACE, BadHello, RpcAttributes, UnknownPrefix
from mlag_agent.wire.xml import parse_message

NC = f"{{{BASE_NAMESPACE}}}"
# Any text that XML can carry; what it cannot is a test of its own.
XML_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))))


def attributes_of(rpc: bytes) -> RpcAttributes:
    return RpcAttributes.of(parse_message(rpc))


class TestHello:
    def test_of_a_server(self) -> None:
        hello = messages.hello([BASE_1_0, "urn:x?a=1&b=2", " urn:spaces "], 7)
        assert b"<capability>urn:ietf:params:netconf:base:1.0</capability>" in hello
        assert b"<capability>urn:spaces</capability>" in hello
        read = messages.parse_hello(parse_message(hello))
        assert [str(capability) for capability in read.capabilities] == [BASE_1_0, "urn:x?a=1&b=2", "urn:spaces"]
        assert read.session_id == "7"

    def test_without_session_id(self) -> None:
        assert messages.parse_hello(parse_message(messages.hello([BASE_1_1]))).session_id is None

    @pytest.mark.parametrize("number", [0, -1, 2**32])
    def test_session_id_out_of_range(self, number: int) -> None:
        with pytest.raises(ValueError, match="session-id"):
            messages.hello([BASE_1_1], number)

    @pytest.mark.parametrize("inside", ["", "<capabilities/><capabilities/>", '<capabilities xmlns="urn:other"/>'])
    def test_unusable(self, inside: str) -> None:
        with pytest.raises(BadHello):
            messages.parse_hello(parse_message(f'<hello xmlns="{BASE_NAMESPACE}">{inside}</hello>'.encode()))


class TestReply:
    def test_the_example_of_rfc_6241_section_4_1(self) -> None:
        rpc = (
            f'<rpc message-id="101" xmlns="{BASE_NAMESPACE}" xmlns:ex="http://example.net/content/1.0" '
            'ex:user-id="fred"><get/></rpc>'
        )
        reply = messages.reply(attributes_of(rpc.encode()), messages.data())
        assert (
            reply
            == (
                f'<rpc-reply xmlns="{BASE_NAMESPACE}" xmlns:ex="http://example.net/content/1.0" message-id="101" '
                'ex:user-id="fred"><data/></rpc-reply>'
            ).encode()
        )

    def test_a_prefixed_rpc_has_its_declarations_repeated(self) -> None:
        rpc = f'<nc:rpc xmlns:nc="{BASE_NAMESPACE}" message-id="x" nc:a="1" xml:lang="de"><nc:get/></nc:rpc>'
        root = etree.fromstring(messages.reply(attributes_of(rpc.encode()), messages.OK))
        assert root.tag == f"{NC}rpc-reply"
        assert dict(root.attrib) == {
            "message-id": "x",
            f"{NC}a": "1",
            "{http://www.w3.org/XML/1998/namespace}lang": "de",
        }
        assert root.nsmap == {None: BASE_NAMESPACE, "nc": BASE_NAMESPACE}
        assert [child.tag for child in root] == [f"{NC}ok"]

    def test_a_foreign_default_namespace_does_not_take_the_body_away(self) -> None:
        rpc = f'<nc:rpc xmlns:nc="{BASE_NAMESPACE}" xmlns="urn:other" message-id="1"><x/></nc:rpc>'
        root = etree.fromstring(messages.reply(attributes_of(rpc.encode()), messages.OK))
        assert root[0].tag == f"{NC}ok"

    def test_two_prefixes_of_one_namespace(self) -> None:
        rpc = '<rpc xmlns:a="urn:x" xmlns:b="urn:x" a:one="1" b:two="2" message-id="1"/>'
        root = etree.fromstring(messages.reply(attributes_of(rpc.encode()), messages.OK))
        assert dict(root.attrib) == {"{urn:x}one": "1", "{urn:x}two": "2", "message-id": "1"}

    @given(XML_TEXT)
    def test_attribute_values_come_back_unmodified(self, value: str) -> None:
        attributes = RpcAttributes((("message-id", "\t\r\n" + value),))
        root = etree.fromstring(messages.reply(attributes, messages.OK))
        assert root.get("message-id") == "\t\r\n" + value

    def test_no_declaration_and_several_parts(self) -> None:
        reply = messages.reply(RpcAttributes((("message-id", "1"),)), b"<data>", b"<a/>", b"<b/>", b"</data>")
        assert reply.startswith(b"<rpc-reply ")
        assert [child.tag for child in etree.fromstring(reply)[0]] == [f"{NC}a", f"{NC}b"]

    def test_data(self) -> None:
        assert messages.data() == b"<data/>"
        assert messages.data(b"", b"") == b"<data/>"
        assert messages.data(b"<a/>", b"<b/>") == b"<data><a/><b/></data>"
        assert messages.data(b"x", namespace="urn:m&n") == b'<data xmlns="urn:m&amp;n">x</data>'
        assert messages.data(namespace="urn:m") == b'<data xmlns="urn:m"/>'


class TestErrors:
    def test_all_fields_in_the_order_of_the_schema(self) -> None:
        error = RpcError(
            ErrorTag.OPERATION_FAILED,
            "a < b & ]]>]]>",
            app_tag="must-violation",
            path="/m-a:top/m-b:list[m-b:key='no-such:prefix']/m-b:leaf",
            info=(InfoElement("bad-element", "leaf"), InfoElement("hint", "<x>", "urn:hint")),
        )
        reply = messages.error_reply(RpcAttributes((("message-id", "1"),)), [error], {"m-a": "urn:a", "m-b": "urn:b"})
        assert b"]]>" not in reply
        (found,) = etree.fromstring(reply)
        assert [child.tag.removeprefix(NC) for child in found] == [
            "error-type",
            "error-tag",
            "error-severity",
            "error-app-tag",
            "error-path",
            "error-message",
            "error-info",
        ]
        texts = {child.tag.removeprefix(NC): child for child in found}
        assert texts["error-type"].text == "application"
        assert texts["error-tag"].text == "operation-failed"
        assert texts["error-severity"].text == "error"
        assert texts["error-app-tag"].text == "must-violation"
        assert texts["error-message"].text == "a < b & ]]>]]>"
        assert texts["error-message"].get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
        path = texts["error-path"]
        assert path.text == "/m-a:top/m-b:list[m-b:key='no-such:prefix']/m-b:leaf"
        assert (path.nsmap["m-a"], path.nsmap["m-b"]) == ("urn:a", "urn:b")
        assert "no-such" not in path.nsmap
        assert [(child.tag, child.text) for child in texts["error-info"]] == [
            (f"{NC}bad-element", "leaf"),
            ("{urn:hint}hint", "<x>"),
        ]

    def test_only_what_is_there(self) -> None:
        body = messages.errors([RpcError(ErrorTag.IN_USE, "busy", type=ErrorType.PROTOCOL)])
        assert body == (
            b"<rpc-error><error-type>protocol</error-type><error-tag>in-use</error-tag>"
            b'<error-severity>error</error-severity><error-message xml:lang="en">busy</error-message></rpc-error>'
        )

    def test_several_stay_in_order(self) -> None:
        body = messages.errors(RpcError(ErrorTag.INVALID_VALUE, str(number)) for number in range(5))
        root = etree.fromstring(messages.reply(RpcAttributes(), body))
        assert [found.findtext(f"{NC}error-message") for found in root] == list("01234")

    def test_a_path_with_an_unknown_module_is_our_bug(self) -> None:
        with pytest.raises(UnknownPrefix, match="m-x"):
            messages.errors([RpcError(ErrorTag.INVALID_VALUE, "", path="/m-x:a")], {"m-a": "urn:a"})

    def test_axes_and_wildcards_in_a_path(self) -> None:
        body = messages.errors([RpcError(ErrorTag.INVALID_VALUE, "", path="/child::m:a/m:*")], {"m": "urn:m"})
        assert body.count(b"xmlns:") == 1

    @given(st.text())
    def test_any_text_makes_a_well_formed_reply(self, text: str) -> None:
        error = RpcError(ErrorTag.INVALID_VALUE, text, app_tag=text, info=(InfoElement("bad-value", text, "urn:x"),))
        root = parse_message(messages.error_reply(RpcAttributes((("message-id", text),)), [error]))
        assert root.tag == f"{NC}rpc-reply"

    def test_illegal_characters_are_replaced(self) -> None:
        body = messages.errors([RpcError(ErrorTag.INVALID_VALUE, "a\0b\x1fc\ud800d\uffffe\tf\rg")])
        root = etree.fromstring(messages.reply(RpcAttributes(), body))
        assert root[0].findtext(f"{NC}error-message") == "a\ufffdb\ufffdc\ufffdd\ufffde\tf\rg"


def test_notification() -> None:
    root = etree.fromstring(messages.notification("2026-01-01T00:00:00Z", b'<up xmlns="urn:m"/>'))
    assert root.tag == "{urn:ietf:params:xml:ns:netconf:notification:1.0}notification"
    assert root[0].text == "2026-01-01T00:00:00Z"
    assert root[1].tag == "{urn:m}up"
