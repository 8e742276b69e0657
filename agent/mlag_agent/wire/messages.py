"""Messages as bytes: the server's hello, ``<rpc-reply>``, ``<rpc-error>`` and ``<notification>``; and the peer's hello.

Replies are assembled by concatenation, because the datastore hands out bytes that it has serialised before.  They
carry no XML declaration (ncclient's junos handler fails on one), have the NETCONF base namespace as default namespace,
and every ``>`` of their text is escaped, so that ``]]>]]>`` cannot occur in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from mlag_agent.errors import InfoElement, RpcError, WireError
from mlag_agent.wire.capabilities import Capability
from mlag_agent.wire.xml import split_name

__all__ = [
    "BASE_NAMESPACE",
    "NOTIFICATION_NAMESPACE",
    "OK",
    "BadHello",
    "Hello",
    "RpcAttributes",
    "UnknownPrefix",
    "data",
    "error_reply",
    "errors",
    "escape_attribute",
    "escape_text",
    "hello",
    "notification",
    "parse_hello",
    "reply",
]

BASE_NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION_NAMESPACE = "urn:ietf:params:xml:ns:netconf:notification:1.0"
XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"

OK = b"<ok/>"
"""The body of a reply without data."""

MAX_SESSION_ID = 4_294_967_295  # sessionIdType of RFC 6241 appendix B is an unsignedInt of at least 1

# What XML 1.0 section 2.2 does not allow; a lone surrogate could not even be encoded as UTF-8.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PREFIX = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):(?!:)[A-Za-z_*]")


class BadHello(WireError):  # noqa: N818 - named like the rest of the tree in errors.py
    """The peer's ``<hello>`` cannot be used (RFC 6241 section 8.1)."""


class UnknownPrefix(ValueError):  # noqa: N818 - named like the rest of the tree in errors.py
    """An error-path of **ours** has a module name as prefix that the mapping of namespaces does not know."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a ``<hello>`` says: the capabilities in their order, and the session-id if there is one."""

    capabilities: tuple[Capability, ...]
    session_id: str | None


@dataclass(frozen=True, slots=True)
class RpcAttributes:
    """What a reply must repeat of its ``<rpc>``: RFC 6241 section 4.1 asks for all attributes, and ``xmlns`` ones too.

    ``attributes`` has lxml's names (``{namespace}name`` or ``name``), ``namespaces`` maps prefix to namespace.
    """

    attributes: tuple[tuple[str, str], ...] = ()
    namespaces: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, rpc: etree._Element) -> RpcAttributes:
        """The attributes of an ``<rpc>`` that is the root of its message."""
        # The default namespace of a reply is NETCONF's, because its body counts on it: another one is not repeated.
        namespaces = tuple((prefix, uri) for prefix, uri in rpc.nsmap.items() if prefix is not None)
        return cls(tuple((str(name), str(value)) for name, value in rpc.attrib.items()), namespaces)

    @property
    def message_id(self) -> str | None:
        """The value of ``message-id``, which has no namespace."""
        return next((value for name, value in self.attributes if name == "message-id"), None)

    @property
    def qualified_message_id(self) -> str | None:
        """The value of a ``message-id`` that was put into the NETCONF namespace, which RFC 6241 does not do."""
        wanted = f"{{{BASE_NAMESPACE}}}message-id"
        return next((value for name, value in self.attributes if name == wanted), None)


def escape_text(text: str) -> str:
    """``text`` as the content of an element; characters that XML 1.0 does not allow become U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text).translate(_TEXT_ESCAPES)


def escape_attribute(text: str) -> str:
    """``text`` as the value of an attribute between double quotes; illegal characters become U+FFFD."""
    if text.isalnum():  # as nearly every message-id is
        return text
    return _ILLEGAL.sub("\ufffd", text).translate(_ATTRIBUTE_ESCAPES)


def hello(capabilities: Iterable[str], session_id: int | None = None) -> bytes:
    """The ``<hello>`` of a server, or of a client if there is no ``session_id`` (RFC 6241 section 8.1).

    No white space around the URIs: ncclient would not recognise them.
    """
    if session_id is not None and not 1 <= session_id <= MAX_SESSION_ID:
        raise ValueError(f"a session-id is 1 to {MAX_SESSION_ID}, not {session_id}")
    listed = "".join(f"<capability>{escape_text(uri.strip())}</capability>" for uri in capabilities)
    number = "" if session_id is None else f"<session-id>{session_id}</session-id>"
    return f'<hello xmlns="{BASE_NAMESPACE}"><capabilities>{listed}</capabilities>{number}</hello>'.encode()


def parse_hello(element: etree._Element) -> Hello:
    """Read a ``<hello>``; its children may lack the namespace only if the ``<hello>`` itself does.

    Raises :exc:`BadHello`.
    """
    namespace, _ = split_name(element)
    qualify = f"{{{namespace}}}" if namespace else ""
    groups = element.findall(f"{qualify}capabilities")
    if len(groups) != 1:
        raise BadHello(f"<hello> must hold one <capabilities> element in namespace {namespace!r}, not {len(groups)}")
    texts = (str(child.xpath("string()")) for child in groups[0].findall(f"{qualify}capability"))
    session_id = element.find(f"{qualify}session-id")
    return Hello(
        tuple(Capability.parse(text) for text in texts),
        None if session_id is None else (session_id.text or "").strip(),
    )


def reply(attributes: RpcAttributes, *body: bytes) -> bytes:
    """``<rpc-reply>`` with the attributes of its ``<rpc>`` around the parts of ``body``, which are XML already.

    The parts see the NETCONF base namespace as their default namespace: :data:`OK`, :func:`data`, :func:`errors`.
    """
    return b"".join((_reply_tag(attributes), *body, b"</rpc-reply>"))


def _reply_tag(attributes: RpcAttributes) -> bytes:
    parts = [f'<rpc-reply xmlns="{BASE_NAMESPACE}"']
    prefixes = {uri: prefix for prefix, uri in attributes.namespaces}
    prefixes[XML_NAMESPACE] = "xml"
    parts += (f' xmlns:{prefix}="{escape_attribute(uri)}"' for prefix, uri in attributes.namespaces if prefix != "xml")
    for name, value in attributes.attributes:
        if name.startswith("{"):
            uri, _, local = name[1:].partition("}")
            shown = f"{prefixes[uri]}:{local}"
        else:
            shown = name
        parts.append(f' {shown}="{escape_attribute(value)}"')
    parts.append(">")
    return "".join(parts).encode()


def data(*content: bytes, namespace: str | None = None) -> bytes:
    """``<data>`` around ``content``, there even when empty: ncclient raises TypeError without it.

    ``namespace`` is for operations whose ``<data>`` is not in the base namespace, such as get-schema and get-data.
    """
    declaration = b"" if namespace is None else f' xmlns="{escape_attribute(namespace)}"'.encode()
    if not any(content):
        return b"<data%b/>" % declaration
    return b"".join((b"<data%b>" % declaration, *content, b"</data>"))


def errors(found: Iterable[RpcError], namespaces: Mapping[str, str] | None = None) -> bytes:
    """One ``<rpc-error>`` for each of ``found``, in order (RFC 6241 section 4.3).

    ``namespaces`` maps module name to namespace, for the prefixes in error-paths.  Raises :exc:`UnknownPrefix`.
    """
    known = namespaces or {}
    return "".join(_error(error, known) for error in found).encode()


def error_reply(
    attributes: RpcAttributes, found: Iterable[RpcError], namespaces: Mapping[str, str] | None = None
) -> bytes:
    """``<rpc-reply>`` with :func:`errors` as its body."""
    return reply(attributes, errors(found, namespaces))


def _error(error: RpcError, namespaces: Mapping[str, str]) -> str:
    # The order is that of the sequence rpcErrorType in RFC 6241 appendix B.
    parts = [
        f"<rpc-error><error-type>{error.type}</error-type><error-tag>{error.tag}</error-tag>"
        "<error-severity>error</error-severity>"
    ]
    if error.app_tag is not None:
        parts.append(f"<error-app-tag>{escape_text(error.app_tag)}</error-app-tag>")
    if error.path is not None:
        declared = _declarations(error.path, namespaces)
        parts.append(f"<error-path{declared}>{escape_text(error.path)}</error-path>")
    parts.append(f'<error-message xml:lang="en">{escape_text(error.message)}</error-message>')
    if error.info:
        parts.append(f"<error-info>{''.join(map(_info, error.info))}</error-info>")
    parts.append("</rpc-error>")
    return "".join(parts)


def _declarations(path: str, namespaces: Mapping[str, str]) -> str:
    """Declare each module name that is a prefix in ``path``, outside of its quoted values, once and in order."""
    prefixes = dict.fromkeys(_PREFIX.findall(_QUOTED.sub("''", path)))
    unknown = [prefix for prefix in prefixes if prefix not in namespaces]
    if unknown:
        raise UnknownPrefix(f"no namespace is known for {', '.join(unknown)} in the error-path {path}")
    return "".join(f' xmlns:{prefix}="{escape_attribute(namespaces[prefix])}"' for prefix in prefixes)


def _info(element: InfoElement) -> str:
    declaration = "" if element.namespace is None else f' xmlns="{escape_attribute(element.namespace)}"'
    declaration += "".join(f' xmlns:{prefix}="{escape_attribute(uri)}"' for prefix, uri in element.prefixes)
    content = escape_text(element.text) + "".join(map(_info, element.children))
    return f"<{element.name}{declaration}>{content}</{element.name}>"


def notification(event_time: str, content: bytes) -> bytes:
    """``<notification>`` of RFC 5277 section 4.

    ``event_time`` is a date-and-time, ``content`` one element that declares its namespace.
    """
    opening = f'<notification xmlns="{NOTIFICATION_NAMESPACE}"><eventTime>{escape_text(event_time)}</eventTime>'
    return b"".join((opening.encode(), content, b"</notification>"))
