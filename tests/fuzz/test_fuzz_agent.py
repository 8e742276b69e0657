"""A whole agent without sockets, and clients that know NETCONF too well: filters, XPath, edits, NACM's own rules.

Whatever they send: one well-formed reply for each rpc, in order, none with an internal error, and a running datastore
that is valid.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from conftest import TIMERS, settings_in
from mlag_agent.app import Device
from mlag_agent.data.tree import empty
from mlag_agent.wire import messages
from mlag_agent.wire.capabilities import BASE_1_1
from mlag_agent.wire.framing import FrameDecoder, Framing, encode
from netconf_client import DML, NC, NI, USER, channel, group, vpn
from nonsense import YANG, Writer

NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"


class Wire:
    """A connection in memory: what the client sends is there from the start, and then its end."""

    username = USER
    source_host, source_port = "192.0.2.1", 1
    transport = "netconf-ssh"
    close_reason = None
    timed_out = False

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.received = b""

    async def read(self, size: int = 65536) -> bytes:
        data, self.sent = self.sent[:size], self.sent[size:]
        return data

    def write(self, data: bytes) -> None:
        self.received += data

    async def drain(self) -> None: ...

    def established(self) -> None: ...

    def end_input(self, reason: str) -> None: ...

    def close(self) -> None: ...

    def abort(self, reason: str) -> None: ...


async def converse(device: Device, operations: list[str]) -> list[etree._Element]:
    """One session: the operations in order, and their replies."""
    sent = [messages.hello([BASE_1_1]) + b"]]>]]>"]
    for number, operation in enumerate(operations):
        rpc = f'<rpc xmlns="{NC}" xmlns:n="{NC}" xmlns:y="{YANG}" message-id="{number}">{operation}</rpc>'
        sent.append(encode(rpc.encode(), Framing.CHUNKED))
    wire = Wire(b"".join(sent))
    await device.endpoints._sessions._handler(wire)
    decoder = FrameDecoder(max_message_size=2**30)
    decoder.feed(wire.received)
    assert decoder.next_message() is not None  # its hello
    decoder.framing = Framing.CHUNKED
    replies = []
    while (message := decoder.next_message()) is not None:
        replies.append(etree.fromstring(message))
    return replies


def check(device: Device, runner: asyncio.Runner, operations: list[str]) -> None:
    """Whatever they are: answered in order, without an internal error; and running is valid."""
    agent = device.agent

    async def talk() -> list[etree._Element]:
        await agent.transactor.apply(empty(agent.library.tree.data))
        agent.stores.discard(0)
        return await converse(device, [RICH, *operations])

    replies = runner.run(talk())
    ids = [reply.get("message-id") for reply in replies if reply.tag == f"{{{NC}}}rpc-reply"]
    assert ids == [str(number) for number in range(len(operations) + 1)]
    for reply, operation in zip(replies, [RICH, *operations], strict=True):
        for words in reply.iter(f"{{{NC}}}error-message"):
            assert "internal error" not in (words.text or ""), operation
    agent.transactor.validate(agent.stores.running)
    assert agent.transactor.out_of_sync == {}
    assert agent.stores.locks == {}


RICH = (
    f"<edit-config><target><running/></target><config>{vpn('red')}{vpn('blue')}"
    f"{group(channel(vpn_instance='red'), password='secret-12')}</config></edit-config>"
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def device(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    made = Device(settings_in(tmp_path_factory.mktemp("fuzz")), timers=TIMERS)
    runner.run(made.start())
    yield made
    runner.run(made.aclose())


FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SEEDS = st.randoms(use_true_random=False)


@FEW
@given(choices=SEEDS, count=st.integers(1, 8))
def test_well_formed_nonsense(device: Device, runner: asyncio.Runner, choices: random.Random, count: int) -> None:
    writer = Writer(choices)
    check(device, runner, [writer.operation() for _ in range(count)])


NAMES = st.sampled_from(
    ["dml:m-lag", "m-lag", "dfs-group", "ni:network-instance", "name", "id", "tcp-port", "*", "node()", "text()", "x:y",
     "local-address", ".", "..", "comment()", "processing-instruction('a')", "@a", "ni:name"]
)  # fmt: skip
AXES = st.sampled_from(
    ["", "", "", "child::", "parent::", "ancestor-or-self::", "descendant::", "following-sibling::", "preceding::",
     "self::", "attribute::", "namespace::", "following::"]
)  # fmt: skip
LITERALS = st.sampled_from(["'red'", '"1"', "1", "0", "-1", "1.5", "1 div 0", "''", "last()", "position()", "$x"])
CALLS = st.sampled_from(
    ["count({})", "not({})", "string({})", "contains({}, 'r')", "name({})", "sum({})", "boolean({})", "number({})",
     "current()", "deref({})", "re-match({}, '[')", "derived-from({}, 'x')", "bit-is-set({}, 'a')", "enum-value({})",
     "translate({}, 'a', 'b')", "substring({}, 1, -5)", "id({})", "lang({})", "unknown({})", "concat({})"]
)  # fmt: skip
STEPS = st.builds(lambda axis, name: axis + name, AXES, NAMES)
PATHS = st.builds(
    lambda start, steps, between: start + between.join(steps),
    st.sampled_from(["", "/", "//", "./", "../"]),
    st.lists(STEPS, min_size=1, max_size=4),
    st.sampled_from(["/", "//", "/"]),
)
XPATHS = st.recursive(
    PATHS | LITERALS,
    lambda inner: st.one_of(
        st.builds(lambda path, test: f"{path}[{test}]", PATHS, inner),
        st.builds(lambda call, argument: call.format(argument), CALLS, inner),
        st.builds(
            lambda left, operator, right: f"{left} {operator} {right}",
            inner,
            st.sampled_from(["=", "!=", "<", ">", "and", "or", "|", "+", "-", "*", "div", "mod"]),
            inner,
        ),
        st.builds(lambda whole: f"({whole})", inner),
    ),
    max_leaves=8,
)


@FEW
@given(paths=st.lists(XPATHS | st.text("/@.*[]()|'\"=<>!$:-+,ad1 ", max_size=30), min_size=1, max_size=6))
@example(["("])
@example(["/" * 500])
@example(["(" * 500 + "1" + ")" * 500])
@example(["//*[" * 40 + "1" + "]" * 40])
def test_xpath_filters(device: Device, runner: asyncio.Runner, paths: list[str]) -> None:
    operations = []
    for number, path in enumerate(paths):
        operation = "get" if number % 2 else "get-config"
        source = "" if number % 2 else "<source><running/></source>"
        filter_ = f'<filter type="xpath" xmlns:dml="{DML}" xmlns:ni="{NI}" select={quoteattr(path)}/>'
        operations.append(f"<{operation}>{source}{filter_}</{operation}>")
    check(device, runner, operations)


RULE_LEAFS = {
    "name": ["a", "b", ""],
    "module-name": ["*", "dfs-m-lag", "ietf-netconf", "nowhere", ""],
    "rpc-name": ["*", "get", "edit-config", "close-session", "nonsense"],
    "notification-name": ["*", "netconf-config-change"],
    "path": [
        "/",
        "/dml:m-lag",
        "/ni:network-instances/ni:network-instance[ni:name='red']",
        "/nacm:nacm",
        "x",
        "//*",
        "",
    ],
    "access-operations": ["*", "read", "create update", "exec", "delete", "fly", ""],
    "action": ["permit", "deny", "perhaps"],
    "comment": ["x"],
}


@st.composite
def rule_lists(draw: st.DrawFn) -> str:
    """The data of ietf-netconf-acm, now and then wrong."""

    def rule() -> str:
        chosen = draw(st.lists(st.sampled_from(sorted(RULE_LEAFS)), max_size=6, unique=True))
        leafs = "".join(f"<{name}>{draw(st.sampled_from(RULE_LEAFS[name]))}</{name}>" for name in {"name", *chosen})
        return f"<rule>{leafs}</rule>"

    lists = "".join(
        f"<rule-list><name>{draw(st.sampled_from('abc'))}</name><group>{draw(st.sampled_from(['g', '*', '']))}</group>"
        f"{''.join(rule() for _ in range(draw(st.integers(0, 3))))}</rule-list>"
        for _ in range(draw(st.integers(0, 3)))
    )
    switches = "".join(
        f"<{name}>{draw(st.sampled_from(values))}</{name}>"
        for name, values in {
            "enable-nacm": ["true", "true", "false", "x"],
            "read-default": ["permit", "deny"],
            "write-default": ["permit", "deny"],
            "exec-default": ["permit", "deny"],
            "enable-external-groups": ["true", "false"],
        }.items()
        if draw(st.booleans())
    )
    group_ = f"<groups><group><name>g</name><user-name>{USER}</user-name></group></groups>"
    spaces = f'xmlns="{NACM}" xmlns:nacm="{NACM}" xmlns:dml="{DML}" xmlns:ni="{NI}"'
    return f"<nacm {spaces}>{switches}{group_}{lists}</nacm>"


@FEW
@given(rules=rule_lists(), choices=SEEDS)
def test_access_rules(device: Device, runner: asyncio.Runner, rules: str, choices: random.Random) -> None:
    """Rules that deny, permit, or make no sense: what follows is answered all the same."""
    writer = Writer(choices)
    edit = f"<edit-config><target><running/></target><config>{rules}</config></edit-config>"
    read = "<get-config><source><running/></source></get-config>"
    check(device, runner, [edit, read, writer.operation(), "<get/>", writer.operation(), read])
