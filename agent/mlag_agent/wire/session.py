"""The server's side of one NETCONF session as a state machine without I/O (RFC 6241 sections 3, 4 and 8.1).

Bytes of the peer go in by :meth:`Session.receive_data` and come out as events; messages go in by
:meth:`Session.send` and come out as bytes of :meth:`Session.data_to_send`.  The core opens nothing, waits for nothing
and reads no clock: time limits are the transport's.

::

                  RpcReceived, PeerMisused
                         ┌────┐
    AWAITING_HELLO ──> OPEN ──┘ ──> DRAINING ──> CLOSED
           └──────────────────────────┘  │          ^
           (SessionEnded: the peer ended it or broke it; what it asked before can still be answered)
                                         └──────────┘  close(), from every state

What the peer does wrong becomes an event.  What we do wrong raises :exc:`SessionMisuse` (or :exc:`ValueError` of the
encoders).  Any other exception out of this module is a bug, and ``tests/wire/test_fuzz.py`` looks for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from lxml import etree

from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1, Capability, common_base
from mlag_agent.wire.framing import MAX_MESSAGE_SIZE, FrameDecoder, Framing, FramingError, MessageTooBig, encode
from mlag_agent.wire.messages import BASE_NAMESPACE, BadHello, RpcAttributes
from mlag_agent.wire.xml import MAX_DEPTH, MalformedMessage, parse_message, recover_root, split_name

__all__ = [
    "TRANSITIONS",
    "Event",
    "HelloReceived",
    "Leniency",
    "Limits",
    "PeerMisused",
    "RpcReceived",
    "Session",
    "SessionEnded",
    "SessionMisuse",
    "State",
    "Trigger",
]

MAX_HELLO_SIZE = 1024 * 1024
"""Bytes of a client's hello: real ones have below 10 KiB, and the sender has not shown yet that it speaks NETCONF."""

MAX_MESSAGE_ID = 4095
"""Characters of a message-id: maxLength of messageIdType in RFC 6241 appendix B."""


class SessionMisuse(RuntimeError):  # noqa: N818 - named like the rest of the tree in errors.py
    """**We** used the session wrongly, for instance sent a reply before the hellos; a bug of the caller."""


class State(Enum):
    """Where a session stands."""

    AWAITING_HELLO = "awaiting-hello"
    OPEN = "open"
    DRAINING = "draining"
    """Nothing more is read; replies to what was read before may still be sent."""
    CLOSED = "closed"


class Trigger(Enum):
    """What moves a session from state to state."""

    HELLO = "a usable hello"
    RPC = "a usable rpc"
    MISUSE = "a message that gets an error reply"
    BROKEN = "input after which the session cannot go on"
    EOF = "the end of the peer's bytes"
    CLOSE = "close() called by us"


TRANSITIONS: Mapping[State, Mapping[Trigger, State]] = MappingProxyType(
    {
        State.AWAITING_HELLO: MappingProxyType(
            {
                Trigger.HELLO: State.OPEN,
                Trigger.BROKEN: State.DRAINING,
                Trigger.EOF: State.DRAINING,
                Trigger.CLOSE: State.CLOSED,
            }
        ),
        State.OPEN: MappingProxyType(
            {
                Trigger.RPC: State.OPEN,
                Trigger.MISUSE: State.OPEN,
                Trigger.BROKEN: State.DRAINING,
                Trigger.EOF: State.DRAINING,
                Trigger.CLOSE: State.CLOSED,
            }
        ),
        State.DRAINING: MappingProxyType({Trigger.EOF: State.DRAINING, Trigger.CLOSE: State.CLOSED}),
        State.CLOSED: MappingProxyType({Trigger.EOF: State.CLOSED, Trigger.CLOSE: State.CLOSED}),
    }
)
"""The one table of states; a trigger that a state does not list is a bug of this module."""


class Leniency(StrEnum):
    """What was accepted although RFC 6241 does not allow it; ``strict=True`` refuses it."""

    UNQUALIFIED_HELLO = "unqualified-hello"
    UNQUALIFIED_RPC = "unqualified-rpc"
    QUALIFIED_MESSAGE_ID = "qualified-message-id"  # nc:message-id, as the PyPI package netconf writes it


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may send."""

    message_size: int = MAX_MESSAGE_SIZE
    hello_size: int = MAX_HELLO_SIZE
    depth: int = MAX_DEPTH


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """The peer's hello was accepted; ``base`` is the base version that both speak from now on."""

    capabilities: tuple[Capability, ...]
    base: str
    leniencies: tuple[Leniency, ...] = ()


@dataclass(frozen=True, slots=True)
class RpcReceived:
    """A well-formed ``<rpc>`` with a message-id and one operation; it must be answered, in the order of arrival.

    ``operation`` may lack a namespace or be of one that nobody knows: that is for the dispatcher to say.
    ``size`` is in bytes without framing.
    """

    message_id: str
    attributes: RpcAttributes
    rpc: etree._Element
    operation: etree._Element
    size: int
    leniencies: tuple[Leniency, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerMisused:
    """A message that cannot be dispatched, in a session that goes on.

    ``reply`` is the whole ``<rpc-reply>``: :meth:`Session.send` it in turn, after the replies to earlier rpcs.
    """

    error: RpcError
    reply: bytes
    attributes: RpcAttributes


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session takes no more input; ``by_peer_error`` tells a broken session from an ordinary end of input."""

    reason: str
    by_peer_error: bool


Event = HelloReceived | RpcReceived | PeerMisused | SessionEnded


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """The message at hand gets this error as its reply."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(error.message)
        self.error = error


class Session:
    """One session seen from the server; our hello waits in :meth:`data_to_send` from the start (section 8.1)."""

    def __init__(
        self, *, session_id: int, capabilities: Sequence[str], limits: Limits | None = None, strict: bool = False
    ) -> None:
        """``capabilities`` are the URIs of our hello; raises ValueError if none of them is a base version."""
        self.session_id = session_id
        self.capabilities = tuple(capabilities)
        if common_base(self.capabilities, (BASE_1_0, BASE_1_1)) is None:
            raise ValueError("the capabilities of a server include a base version (RFC 6241 section 8.1)")
        self.limits = limits or Limits()
        self.strict = strict
        self.peer_capabilities: tuple[Capability, ...] = ()
        self.leniencies: Counter[Leniency] = Counter()
        """How often each leniency was used in this session."""
        self._state = State.AWAITING_HELLO
        self._decoder = FrameDecoder(max_message_size=self.limits.hello_size)
        self._outgoing: list[bytes] = []
        self._framing = Framing.END_OF_MESSAGE  # of what we send
        hello = messages.hello(self.capabilities, session_id)
        self._outgoing.append(encode(hello, self._framing))

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def framing(self) -> Framing:
        """The framing of what is sent from now on."""
        return self._framing

    # --- output -----------------------------------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """The bytes to send now, in whole messages; they are handed out once."""
        if not self._outgoing:
            return b""
        data = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    def send(self, message: bytes) -> None:
        """Queue an ``<rpc-reply>`` or ``<notification>``.

        Raises :exc:`SessionMisuse` before the hellos and after :meth:`close`.
        """
        if self._state is not State.OPEN and self._state is not State.DRAINING:
            raise SessionMisuse(f"nothing can be sent in state {self._state.value}")
        self._outgoing.append(encode(message, self._framing))

    def close(self) -> None:
        """Our end of the session, after close-session or for any other reason; what is queued can still be fetched."""
        self._move(Trigger.CLOSE)

    # --- input ------------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the peer, cut in any way; the events they complete, in order.

        After ``SessionEnded``, and after :meth:`close`, bytes are ignored: the peer may not know of the end yet.
        """
        events: list[Event] = []
        if not self._reading:
            return events
        self._decoder.feed(data)
        while self._reading:
            try:
                message = self._decoder.next_message()
            except (FramingError, MessageTooBig) as error:
                # RFC 6242 section 4.2: terminate.  After a message too big, skipping would be as costly as reading.
                events.append(self._broken(str(error)))
                break
            if message is None:
                break
            events.append(self._hello(message) if self._state is State.AWAITING_HELLO else self._message(message))
        return events

    def receive_eof(self) -> list[Event]:
        """The peer sends no more bytes; it may still read replies to what it has asked."""
        if not self._reading:
            return []
        inside = self._decoder.inside_message
        before = self._state is State.AWAITING_HELLO
        self._move(Trigger.EOF)
        if inside:
            return [SessionEnded("the peer closed its side inside a message", by_peer_error=True)]
        if before:
            return [SessionEnded("the peer closed its side before its hello", by_peer_error=True)]
        return [SessionEnded("the peer closed its side", by_peer_error=False)]

    @property
    def _reading(self) -> bool:
        # Not "in {...}": hashing an enum calls Python, and this runs for each message.
        return self._state is State.OPEN or self._state is State.AWAITING_HELLO

    def _move(self, trigger: Trigger) -> None:
        self._state = TRANSITIONS[self._state][trigger]

    def _broken(self, reason: str) -> SessionEnded:
        self._move(Trigger.BROKEN)
        return SessionEnded(reason, by_peer_error=True)

    # --- hello ------------------------------------------------------------------------------------------------------

    def _hello(self, message: bytes) -> Event:
        """Everything wrong in a hello ends the session: there is no framing yet in which to answer (section 8.1)."""
        try:
            root = parse_message(message, max_depth=self.limits.depth)
        except MalformedMessage as error:
            return self._broken(f"in the hello: {error}")
        namespace, name = split_name(root)
        if name != "hello" or namespace not in {BASE_NAMESPACE, None}:
            return self._broken(
                f"the first message must be <hello> in namespace {BASE_NAMESPACE}, not <{name}> in {_shown(namespace)}"
            )
        leniencies: tuple[Leniency, ...] = ()
        if namespace is None:
            if self.strict:
                return self._broken(f"<hello> has no namespace; it must be in {BASE_NAMESPACE}")
            leniencies = self._lenient(Leniency.UNQUALIFIED_HELLO)
        try:
            hello = messages.parse_hello(root)
        except BadHello as error:
            return self._broken(str(error))
        if hello.session_id is not None:
            return self._broken("a client's <hello> must not have a <session-id> (RFC 6241 section 8.1)")
        base = common_base(self.capabilities, map(str, hello.capabilities))
        if base is None:
            offered = ", ".join(uri for uri in self.capabilities if uri in {BASE_1_0, BASE_1_1})
            return self._broken(f"the client offers none of our base versions ({offered})")
        self._move(Trigger.HELLO)
        self.peer_capabilities = hello.capabilities
        self._framing = self._decoder.framing = Framing.CHUNKED if base == BASE_1_1 else Framing.END_OF_MESSAGE
        self._decoder.max_message_size = self.limits.message_size
        return HelloReceived(hello.capabilities, base, leniencies)

    def _lenient(self, used: Leniency) -> tuple[Leniency, ...]:
        self.leniencies[used] += 1
        return (used,)

    # --- rpc --------------------------------------------------------------------------------------------------------

    def _message(self, message: bytes) -> Event:
        try:
            root = parse_message(message, max_depth=self.limits.depth)
        except MalformedMessage as error:
            return self._malformed(message, error)
        attributes = RpcAttributes.of(root)
        try:
            leniencies = self._check_root(root)
            if attributes.message_id is None and attributes.qualified_message_id is not None and not self.strict:
                leniencies += self._lenient(Leniency.QUALIFIED_MESSAGE_ID)
            message_id = _message_id(attributes, strict=self.strict)
            operation = _operation(root)
        except _Refused as refused:
            return self._misused(refused.error, attributes)
        self._move(Trigger.RPC)
        return RpcReceived(message_id, attributes, root, operation, len(message), leniencies)

    def _malformed(self, message: bytes, problem: MalformedMessage) -> Event:
        """Answer a message that is not XML, or end the session.

        ``malformed-message`` is new in base:1.1 and must not be sent to older peers (RFC 6241 appendix A); without
        it there is nothing to say, and in end-of-message framing the next mark may be inside of data anyway, so a
        base:1.0 session ends.  In chunked framing the next message is found reliably and the session goes on, as
        netopeer2's does.  The reply repeats the attributes of the ``<rpc>`` if its start tag can be read; if it
        cannot, the reply has no message-id: that is more useful than silence.
        """
        if self._framing is Framing.END_OF_MESSAGE:
            return self._broken(str(problem))
        root = recover_root(message)
        attributes = RpcAttributes() if root is None else RpcAttributes.of(root)
        return self._misused(RpcError(ErrorTag.MALFORMED_MESSAGE, str(problem), type=ErrorType.RPC), attributes)

    def _misused(self, error: RpcError, attributes: RpcAttributes) -> PeerMisused:
        self._move(Trigger.MISUSE)
        return PeerMisused(error, messages.error_reply(attributes, (error,)), attributes)

    def _check_root(self, root: etree._Element) -> tuple[Leniency, ...]:
        namespace, name = split_name(root)
        if name != "rpc":
            raise _refusal(
                ErrorTag.UNKNOWN_ELEMENT,
                f"expected <rpc> in namespace {BASE_NAMESPACE}, got <{name}> in {_shown(namespace)}",
                ("bad-element", name),
            )
        if namespace == BASE_NAMESPACE:
            return ()
        if namespace is None and not self.strict:
            return self._lenient(Leniency.UNQUALIFIED_RPC)
        raise _refusal(
            ErrorTag.UNKNOWN_NAMESPACE,
            f"<rpc> must be in namespace {BASE_NAMESPACE}, not in {_shown(namespace)}",
            ("bad-element", "rpc"),
            ("bad-namespace", namespace or ""),
        )


def _message_id(attributes: RpcAttributes, *, strict: bool) -> str:
    """RFC 6241 section 4.1: mandatory, and at most 4095 characters."""
    message_id = attributes.message_id
    if message_id is None and not strict:
        message_id = attributes.qualified_message_id
    if message_id is None:
        raise _refusal(
            ErrorTag.MISSING_ATTRIBUTE,
            "<rpc> has no message-id attribute",
            ("bad-attribute", "message-id"),
            ("bad-element", "rpc"),
        )
    if len(message_id) > MAX_MESSAGE_ID:
        raise _refusal(
            ErrorTag.BAD_ATTRIBUTE,
            f"the message-id has {len(message_id)} characters, more than {MAX_MESSAGE_ID}",
            ("bad-attribute", "message-id"),
            ("bad-element", "rpc"),
        )
    return message_id


def _operation(rpc: etree._Element) -> etree._Element:
    """The one child of ``<rpc>``; the schema (RFC 6241 appendix B) calls the element it stands for rpcOperation."""
    if len(rpc) == 1:
        return rpc[0]
    if not len(rpc):
        raise _refusal(ErrorTag.MISSING_ELEMENT, "<rpc> holds no operation", ("bad-element", "rpcOperation"))
    _, second = split_name(rpc[1])
    raise _refusal(
        ErrorTag.UNKNOWN_ELEMENT,
        f"<rpc> holds {len(rpc)} operations, one is allowed; the second is <{second}>",
        ("bad-element", second),
    )


def _refusal(tag: ErrorTag, message: str, *info: tuple[str, str]) -> _Refused:
    elements = tuple(InfoElement(name, text) for name, text in info)
    return _Refused(RpcError(tag, message, type=ErrorType.RPC, info=elements))


def _shown(namespace: str | None) -> str:
    return f"namespace {namespace}" if namespace else "no namespace"
