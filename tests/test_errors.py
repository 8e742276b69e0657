"""The error catalogue: docs/errors.md, row by row, over real sessions.

Each row of RFC 6241 appendix A, RFC 7950 sections 8.3 and 15, and of the built-in types is provoked, and its
``<rpc-error>``s are compared.  The tables of docs/errors.md are written from the rows:
``UPDATE=1 pytest tests/test_errors.py`` does it, without it they must agree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import HASH, Connect, Start
from mlag_agent.app import Device
from mlag_agent.config import UserSettings
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ErrorTag
from mlag_agent.features.base import OK, Agent, Feature, Reply, RpcInput, SessionInfo
from netconf_client import NC, USER, Client, Error

DOCUMENT = Path(__file__).parent.parent / "docs" / "errors.md"
YANG = Path(__file__).parent / "yang"
NS = "urn:test:catalogue"
YANG_1 = "urn:ietf:params:xml:ns:yang:1"
TYPES, DATA, RUN = "/catalogue:types/", "/catalogue:data", "/catalogue:run"


@dataclass(frozen=True)
class Expected:
    """One error; ``*`` in the message stands for what differs from run to run."""

    tag: str
    message: str
    path: str | None = None
    app_tag: str | None = None
    type: str = "application"
    info: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """``steps``: operations of sessions a and b, of which only the last fails; a bare string is an operation of a."""

    when: str
    steps: Sequence[str | tuple[str, str]]
    errors: Sequence[Expected]


def data(text: str) -> str:
    return f'<data xmlns="{NS}" xmlns:yang="{YANG_1}" xmlns:nc="{NC}">{text}</data>'


def types(text: str) -> str:
    return f'<types xmlns="{NS}" xmlns:c="{NS}">{text}</types>'


def edit(config: str, target: str = "candidate", more: str = "") -> str:
    return f"<edit-config><target><{target}/></target>{more}<config>{config}</config></edit-config>"


def run(text: str, attributes: str = "") -> str:
    return f'<run xmlns="{NS}"{attributes}>{text}</run>'


VALIDATE = "<validate><source><candidate/></source></validate>"
LOCK = "<lock><target><running/></target></lock>"


def value(leaf: str, given: str, allowed: str, app_tag: str | None = None) -> Row:
    """A value that the type of ``/catalogue:types/LEAF`` does not allow."""
    shown = f'{leaf} "{given}"'
    error = Expected("invalid-value", f"{shown}: {allowed}", TYPES + leaf, app_tag)
    return Row(f"`{leaf}` is {given!r}", [edit(types(f"<{leaf}>{given}</{leaf}>"))], [error])


def raw(text: str) -> tuple[str, str]:
    """A whole message of session a, as it stands."""
    return "raw", text


ENTRY = "<entry><id>{}</id>{}</entry>"
TWICE = "".join(ENTRY.format(number, "<one>x</one><sub><two>y</two></sub>") for number in (1, 2))
POINTS = "<points xmlns:c='urn:test:catalogue'>/c:data/c:entry[c:id='9']</points>"
COSTLY = "//*[count(preceding::*[count(following::*[count(preceding::*) > 1]) > 1]) > 1]"
KNOWN = "any, entry, high, limited, low, ordered, pair, points, present, refers, shown, steps, that, this"
PATH_WORDS = (
    "must be an instance-identifier: the absolute path of a node, with a prefix at each name and keys in predicates"
)
COLOURS = "must be an identity derived from colour: catalogue:red"
PATTERNS = "must be string matching [a-z]+ and not matching ab.*"

SECTIONS: dict[str, Sequence[Row]] = {
    "RFC 6241 appendix A": [
        Row(
            "in-use: another session has locked the datastore",
            [("b", LOCK), edit(data("<low>1</low>"), "running")],
            [Expected("in-use", "running is locked by session *", type="protocol", info={"session-id": "*"})],
        ),
        Row(
            "invalid-value: no session has that number",
            ["<kill-session><session-id>4711</session-id></kill-session>"],
            [Expected("invalid-value", "there is no session 4711", type="protocol")],
        ),
        Row(
            "invalid-value: a parameter's type",
            [edit(data("<low>1</low>"), more="<default-operation>destroy</default-operation>")],
            [
                Expected(
                    "invalid-value",
                    'default-operation "destroy": must be one of merge, replace, none',
                    "/ietf-netconf:edit-config/default-operation",
                    type="protocol",
                )
            ],
        ),
        Row(
            "missing-attribute: an rpc without a message-id",
            [raw(f'<rpc xmlns="{NC}"><commit/></rpc>')],
            [
                Expected(
                    "missing-attribute",
                    "<rpc> has no message-id attribute",
                    type="rpc",
                    info={"bad-attribute": "message-id", "bad-element": "rpc"},
                )
            ],
        ),
        Row(
            "missing-attribute: an xpath filter without its expression",
            ["<get-config><source><running/></source><filter type='xpath'/></get-config>"],
            [
                Expected(
                    "missing-attribute",
                    'a filter of type "xpath" needs the attribute select',
                    type="protocol",
                    info={"bad-attribute": "select", "bad-element": "filter"},
                )
            ],
        ),
        Row(
            "bad-attribute: no such operation",
            [edit(data("<low nc:operation='destroy'>1</low>"))],
            [
                Expected(
                    "bad-attribute",
                    'DATA/low: operation "destroy" must be one of merge, replace, create, delete, remove',
                    DATA,
                    info={"bad-attribute": "operation", "bad-element": "low"},
                )
            ],
        ),
        Row(
            "unknown-attribute",
            [edit(data("<low paint='x'>1</low>"))],
            [
                Expected(
                    "unknown-attribute",
                    "DATA/low: unknown attribute paint",
                    DATA,
                    info={"bad-attribute": "paint", "bad-element": "low"},
                )
            ],
        ),
        Row(
            "missing-element: a parameter of an operation",
            [run("")],
            [
                Expected(
                    "missing-element",
                    "/catalogue:run: count is required and missing",
                    f"{RUN}/count",
                    type="protocol",
                    info={"bad-element": "count"},
                )
            ],
        ),
        Row(
            "missing-element: an rpc without an operation",
            [""],
            [Expected("missing-element", "<rpc> holds no operation", type="rpc", info={"bad-element": "rpcOperation"})],
        ),
        Row(
            "bad-element: a parameter that occurs twice",
            [run("<count>1</count><count>2</count>")],
            [
                Expected(
                    "bad-element",
                    "count occurs twice in run",
                    f"{RUN}/count",
                    type="protocol",
                    info={"bad-element": "count"},
                )
            ],
        ),
        Row(
            "unknown-element: a parameter that the operation has not",
            [run("<count>1</count><colour>red</colour>")],
            [
                Expected(
                    "unknown-element",
                    'run has no node colour in namespace "urn:test:catalogue"; known there: count, entry, other, row',
                    RUN,
                    type="protocol",
                    info={"bad-element": "colour"},
                )
            ],
        ),
        Row(
            "unknown-namespace: of an operation",
            ['<fly xmlns="urn:nowhere"/>'],
            [
                Expected(
                    "unknown-namespace",
                    '<fly>: no module has the namespace "urn:nowhere"; operations are in *',
                    type="protocol",
                    info={"bad-element": "fly", "bad-namespace": "urn:nowhere"},
                )
            ],
        ),
        Row(
            "unknown-namespace: of a node",
            [edit('<x xmlns="urn:nowhere"/>')],
            [
                Expected(
                    "unknown-namespace",
                    'x: no module has the namespace "urn:nowhere"; this server knows *',
                    info={"bad-element": "x", "bad-namespace": "urn:nowhere"},
                )
            ],
        ),
        Row(
            "access-denied: the rules do not allow the operation",
            [("guest", edit(data("<low>1</low>"), "running"))],
            [
                Expected(
                    "access-denied",
                    'access denied to execute ietf-netconf:edit-config: rule "nothing-else" of rule-list "level-1"',
                    "/ietf-netconf:rpc/ietf-netconf:edit-config",
                    type="protocol",
                )
            ],
        ),
        Row(
            "lock-denied",
            [("b", LOCK), LOCK],
            [
                Expected(
                    "lock-denied", "the lock of running is held by session *", type="protocol", info={"session-id": "*"}
                )
            ],
        ),
        Row(
            "resource-denied: an expression that looks at too much",
            [f"<get><filter type='xpath' select='{COSTLY}'/></get>"],
            [Expected("resource-denied", "the expression looks at more than *", type="protocol")],
        ),
        Row(
            "rollback-failed: a change was refused late, and could not be taken back",
            ["break", edit(data("<low>1</low>"), "running")],
            [Expected("rollback-failed", "the change could not be applied (no such card), nor taken back by broken")],
        ),
        Row(
            "data-exists",
            [edit(data("<low>1</low>")), edit(data("<low nc:operation='create'>1</low>"))],
            [Expected("data-exists", "DATA/low exists already and cannot be created", f"{DATA}/low")],
        ),
        Row(
            "data-missing",
            [edit(data("<low nc:operation='delete'/>"))],
            [Expected("data-missing", "DATA/low does not exist", f"{DATA}/low")],
        ),
        Row(
            "operation-not-supported: an operation that the module has not",
            [f'<fly xmlns="{NS}"/>'],
            [
                Expected(
                    "operation-not-supported",
                    "module catalogue has no operation fly here; it has: run, unheard",
                    type="protocol",
                    info={"bad-element": "fly"},
                )
            ],
        ),
        Row(
            "operation-not-supported: one without code behind it",
            [f'<unheard xmlns="{NS}"/>'],
            [
                Expected(
                    "operation-not-supported",
                    "/catalogue:unheard has no code behind it on this server*",
                    type="protocol",
                )
            ],
        ),
        Row(
            "operation-not-supported: a datastore that is not there",
            ["<get-config><source><startup/></source></get-config>"],
            [
                Expected(
                    "operation-not-supported",
                    "this server has no startup datastore; running is durable",
                    "/ietf-netconf:get-config/source",
                    type="protocol",
                    info={"bad-element": "startup"},
                )
            ],
        ),
        Row(
            "operation-failed: nothing is locked",
            ["<unlock><target><candidate/></target></unlock>"],
            [Expected("operation-failed", "candidate is not locked", type="protocol")],
        ),
        Row(
            "malformed-message",
            [raw(f'<rpc xmlns="{NC}" message-id="1"><get-config></rpc>')],
            [Expected("malformed-message", "*", type="rpc")],
        ),
    ],
    "RFC 7950 section 8.3.1: payload": [
        Row(
            "a value that its type does not allow, and two more at once",
            [edit(types("<uint8>300</uint8><boolean>yes</boolean>") + data("<nothing/>"))],
            [
                Expected(
                    "unknown-element",
                    f'DATA has no node nothing in namespace "urn:test:catalogue"; known there: {KNOWN}',
                    DATA,
                    info={"bad-element": "nothing"},
                ),
                Expected("invalid-value", 'uint8 "300": must be uint8 0..255', f"{TYPES}uint8"),
                Expected("invalid-value", 'boolean "yes": must be true or false', f"{TYPES}boolean"),
            ],
        ),
        Row(
            "a list entry without a key",
            [edit(data("<pair><a>x</a></pair>"))],
            [
                Expected(
                    "missing-element",
                    "an entry of DATA/pair needs its key b",
                    f"{DATA}/pair",
                    info={"bad-element": "b"},
                )
            ],
        ),
        Row(
            "nodes of two cases of a choice",
            [edit(data("<this>1</this><that>2</that>"))],
            [
                Expected(
                    "bad-element",
                    "that and this are of different cases of the choice either; only one of them can be there",
                    DATA,
                    info={"bad-element": "that"},
                )
            ],
        ),
        Row(
            "a node of a feature that is off",
            [edit(data("<hidden>x</hidden>"))],
            [
                Expected(
                    "unknown-element",
                    f'DATA has no node hidden in namespace "urn:test:catalogue"; known there: {KNOWN}',
                    DATA,
                    info={"bad-element": "hidden"},
                )
            ],
        ),
        Row(
            "a node whose when does not hold (when the datastore is validated: decision 008)",
            [edit(data("<shown>x</shown>")), VALIDATE],
            [
                Expected(
                    "unknown-element",
                    'shown "x": When condition "../low = 1" not satisfied.',
                    f"{DATA}/shown",
                    info={"bad-element": "shown"},
                )
            ],
        ),
        Row(
            "a node that is state",
            [edit(data("<state>x</state>"))],
            [
                Expected(
                    "unknown-element",
                    "DATA/state is state (config false) and cannot be configured",
                    DATA,
                    info={"bad-element": "state"},
                )
            ],
        ),
        Row(
            "a leaf that occurs twice",
            [edit(data("<low>1</low><low>2</low>"))],
            [Expected("bad-element", "low occurs twice in DATA", f"{DATA}/low", info={"bad-element": "low"})],
        ),
        Row(
            "text in a container",
            [edit(data("text"))],
            [Expected("bad-element", "DATA is a container and holds no text", DATA, info={"bad-element": "data"})],
        ),
        Row(
            "elements in a leaf",
            [edit(data("<low><x/></low>"))],
            [
                Expected(
                    "bad-element",
                    "DATA/low is a leaf and holds no elements",
                    f"{DATA}/low",
                    info={"bad-element": "low"},
                )
            ],
        ),
        Row(
            "the input of an operation: a value",
            [run("<count>11</count>")],
            [Expected("invalid-value", 'count "11": must be uint8 1..10', f"{RUN}/count", type="protocol")],
        ),
        Row(
            "the input of an operation: a must",
            [run("<count>1</count><other>x</other>")],
            [Expected("operation-failed", 'other "x": needs a count above five', f"{RUN}/other", "few", "protocol")],
        ),
        Row(
            "the input of an operation: a leafref into the datastore",
            [run("<count>1</count><entry>9</entry>")],
            [
                Expected(
                    "data-missing",
                    'entry "9": no such /c:data/c:entry/c:id is configured',
                    f"{RUN}/entry",
                    "instance-required",
                    "protocol",
                )
            ],
        ),
    ],
    "RFC 7950 section 8.3.2: edit-config": [
        Row(
            "delete of what is not there",
            [edit(data("<pair nc:operation='delete'><a>x</a><b>1</b></pair>"))],
            [Expected("data-missing", "DATA/pair[a='x'][b='1'] does not exist", f"{DATA}/pair[a='x'][b='1']")],
        ),
        Row(
            "create of what is there",
            [
                edit(data("<pair><a>x</a><b>1</b></pair>")),
                edit(data("<pair nc:operation='create'><a>x</a><b>1</b></pair>")),
            ],
            [
                Expected(
                    "data-exists",
                    "DATA/pair[a='x'][b='1'] exists already and cannot be created",
                    f"{DATA}/pair[a='x'][b='1']",
                )
            ],
        ),
        Row(
            "default-operation none, and the entry is not there",
            [edit(data("<pair><a>x</a><b>1</b><v>1</v></pair>"), more="<default-operation>none</default-operation>")],
            [Expected("data-missing", "DATA/pair[a='x'][b='1'] does not exist", f"{DATA}/pair[a='x'][b='1']")],
        ),
        Row(
            "a key that is to be deleted",
            [edit(data("<pair><a nc:operation='delete'>x</a><b>1</b></pair>"))],
            [
                Expected(
                    "bad-attribute",
                    "DATA/pair: a key cannot be deleted on its own; give the operation to the entry",
                    f"{DATA}/pair[a='x'][b='1']",
                    info={"bad-attribute": "operation", "bad-element": "a"},
                )
            ],
        ),
        Row(
            "insert that is none of the four",
            [edit(data("<ordered yang:insert='middle'>1</ordered>"))],
            [
                Expected(
                    "bad-attribute",
                    "DATA/ordered: insert must be first, last, before or after, on a list or leaf-list that is "
                    "ordered by the user",
                    DATA,
                    info={"bad-attribute": "insert", "bad-element": "ordered"},
                )
            ],
        ),
        Row(
            "insert without the place",
            [edit(data("<ordered yang:insert='after'>1</ordered>"))],
            [
                Expected(
                    "missing-attribute",
                    'DATA/ordered: insert="after" needs the attribute value',
                    DATA,
                    info={"bad-attribute": "value", "bad-element": "ordered"},
                )
            ],
        ),
    ],
    "RFC 7950 sections 8.3.3 and 15: validation": [
        Row(
            "15.1: unique",
            [edit(data(TWICE)), VALIDATE],
            [
                Expected(
                    "operation-failed",
                    'entry: Unique data leaf(s) "one sub/two" not satisfied in "DATA/entry[id=\'1\']" and '
                    "\"DATA/entry[id='2']\".",
                    f"{DATA}/entry[id='2']",
                    "data-not-unique",
                    info={"non-unique": f"{DATA}/entry[id='2']/sub/two"},
                )
            ],
        ),
        Row(
            "15.2: max-elements",
            [edit(data("".join(ENTRY.format(number, "") for number in range(1, 5)))), VALIDATE],
            [Expected("operation-failed", "entry: at most 3 may be there", f"{DATA}/entry", "too-many-elements")],
        ),
        Row(
            "15.3: min-elements; 15.6: mandatory choice; a mandatory leaf: all at once",
            [edit(data("<present/>")), VALIDATE],
            [
                Expected(
                    "data-missing",
                    "DATA/present: a case of the choice way is required",
                    f"{DATA}/present",
                    "missing-choice",
                    info={"missing-choice": "way"},
                ),
                Expected("data-missing", "DATA/present: needed is required and missing", f"{DATA}/present/needed"),
                Expected(
                    "operation-failed",
                    "at-least: at least 2 must be there",
                    f"{DATA}/present/at-least",
                    "too-few-elements",
                ),
            ],
        ),
        Row(
            "15.4: must",
            [edit(data("<low>5</low><high>1</high>")), VALIDATE],
            [
                Expected(
                    "operation-failed",
                    'high "1": Must condition ". >= ../low" not satisfied.',
                    f"{DATA}/high",
                    "must-violation",
                )
            ],
        ),
        Row(
            "15.4: must with words and an app-tag of its own",
            [edit(data("<limited>9</limited>")), VALIDATE],
            [Expected("operation-failed", 'limited "9": at most four', f"{DATA}/limited", "over-the-limit")],
        ),
        Row(
            "15.5: leafref",
            [edit(data("<refers>9</refers>")), VALIDATE],
            [
                Expected(
                    "data-missing",
                    'refers "9": no such ../entry/id is configured',
                    f"{DATA}/refers",
                    "instance-required",
                )
            ],
        ),
        Row(
            "15.5: instance-identifier",
            [edit(data(POINTS)), VALIDATE],
            [
                Expected(
                    "data-missing",
                    "points \"/catalogue:data/catalogue:entry[catalogue:id='9']\": no such node is configured",
                    f"{DATA}/points",
                    "instance-required",
                )
            ],
        ),
        Row(
            "15.7: insert beside an entry that is not there",
            [edit(data("<steps yang:insert='before' yang:key=\"[name='q']\"><name>a</name></steps>"))],
            [
                Expected(
                    "bad-attribute",
                    "DATA/steps: insert=\"before\" names 'q', which is not there",
                    f"{DATA}/steps[name='a']",
                    "missing-instance",
                    info={"bad-attribute": "key", "bad-element": "steps"},
                )
            ],
        ),
        Row(
            "15.7: insert beside a value that is not there",
            [edit(data("<ordered yang:insert='after' yang:value='q'>a</ordered>"))],
            [
                Expected(
                    "bad-attribute",
                    "DATA/ordered: insert=\"after\" names 'q', which is not there",
                    f"{DATA}/ordered[.='a']",
                    "missing-instance",
                    info={"bad-attribute": "value", "bad-element": "ordered"},
                )
            ],
        ),
        Row(
            "8.3.3: a commit that would leave running invalid",
            [edit(data("<refers>9</refers>")), "<commit/>"],
            [
                Expected(
                    "data-missing",
                    'refers "9": no such ../entry/id is configured',
                    f"{DATA}/refers",
                    "instance-required",
                )
            ],
        ),
    ],
    "The built-in types": [
        value("int8", "128", "must be int8 -128..127"),
        value("int8", "1.5", "must be int8 -128..127"),
        value("int64", "0", "must be int64 -9..-1 | 5 | 10..99"),
        value("uint8", "-1", "must be uint8 0..255"),
        value("uint8", "", "must be uint8 0..255"),
        value("port", "0", "must be uint16 1..65535"),
        value("tagged", "9", "must be a slot of the chassis", "no-such-slot"),
        value("decimal", "1.501", "must be decimal64 0..1.50"),
        value("string", "a", "must be string of length 2..4"),
        value("pattern", "ABC", PATTERNS),
        value("pattern", "abx", PATTERNS),
        value("own-words", "abc", "capital letters only", "not-capitals"),
        value("boolean", "yes", "must be true or false"),
        value("enumeration", "sideways", "must be one of up, down"),
        value("enumeration", "gone", "must be one of up, down"),
        value("bits", "read execute", "must be any of read, write"),
        value("binary", "AAAA", "must be binary of length 2"),
        value("empty", "x", "must be no value"),
        value("identity", "catalogue:square", COLOURS),
        value("instance", "nonsense", PATH_WORDS),
        value("reference", "abc", "must be uint8 0..255"),
        value("union", "abc", "must be uint8 0..255 or one of none"),
    ],
}

# Tags of RFC 6241 appendix A that no row has, and why.
NOT_SENT = {
    "too-big": "a message that is larger than the limit ends the session: what follows in its framing cannot be read",
    "partial-operation": "deprecated by RFC 6241 itself",
}


# --- the sessions ---------------------------------------------------------------------------------------------


async def _run(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    return OK


class Broken:
    """A subscriber that fails in each phase after prepare."""

    name = "broken"
    paths: tuple[str, ...] = ("/catalogue:data",)

    async def prepare(self, change: ChangeSet) -> None:
        return None

    async def commit(self, plan: None) -> None:
        raise RuntimeError("no such card")

    async def abort(self, plan: None) -> None:
        raise RuntimeError("nor another")


@pytest.fixture
async def sessions(start: Start, connect: Connect) -> Sessions:
    users = (UserSettings(name=USER, password_hash=HASH), UserSettings(name="guest", password_hash=HASH, level=1))
    feature = Feature(name="catalogue", modules=(), rpcs={"catalogue:run": _run})
    device = await start(users=users, yang_dirs=(str(YANG),), modules=("catalogue",), features=(feature,))
    return Sessions(device, connect)


class Sessions:
    def __init__(self, device: Device, connect: Connect) -> None:
        self._device = device
        self._connect = connect
        self._open: dict[str, Client] = {}

    async def do(self, step: str | tuple[str, str]) -> Sequence[Error]:
        who, operation = step if isinstance(step, tuple) else ("a", step)
        if operation == "break":
            self._device.agent.transactor._subscribers += (Broken(),)
            return ()
        name = "a" if who == "raw" else who
        if name not in self._open:
            self._open[name] = await self._connect(self._device, username="guest" if name == "guest" else USER)
        client = self._open[name]
        if who == "raw":
            client.send_message(operation)
            return (await client.receive()).errors
        return (await client.rpc(operation)).errors


def rows() -> list[tuple[str, Row]]:
    return [(section, row) for section, found in SECTIONS.items() for row in found]


def matches(found: str | None, expected: str | None) -> bool:
    """Whether a text is as expected; ``*`` stands for anything, DATA for the path of the container."""
    if found is None or expected is None:
        return found is expected
    pattern = ".*".join(map(re.escape, expected.replace("DATA", DATA).split("*")))
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def agrees(found: Error, expected: Expected) -> bool:
    return (
        found.tag == expected.tag
        and found.app_tag == expected.app_tag
        and found.type == expected.type
        and matches(found.message, expected.message)
        and matches(found.path, expected.path)
        and set(found.info) == set(expected.info)
        and all(matches(found.info[name], text) for name, text in expected.info.items())
    )


@pytest.mark.parametrize("row", [row for _, row in rows()], ids=[f"{section}: {row.when}" for section, row in rows()])
async def test_row(row: Row, sessions: Sessions) -> None:
    *before, last = row.steps
    for step in before:
        assert await sessions.do(step) == ([] if step != "break" else ())
    found = list(await sessions.do(last))
    assert len(found) == len(row.errors), found
    for one, expected in zip(found, row.errors, strict=True):
        assert agrees(one, expected), (one, expected)


# --- the document ---------------------------------------------------------------------------------------------


HEAD = ("| When | tag, app-tag | path | info | message |", "| --- | --- | --- | --- | --- |")


def tables() -> str:
    lines: list[str] = []
    for section, found in SECTIONS.items():
        lines += [
            "",
            f"## {section}",
            "",
            "| When | tag, app-tag | path | info | message |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in found:
            for number, error in enumerate(row.errors):
                tags = error.tag + (f", {error.app_tag}" if error.app_tag else "")
                info = ", ".join(f"{name} {text}" for name, text in error.info.items())
                cells = (row.when if not number else "", f"`{tags}` ({error.type})", error.path, info, error.message)
                texts = (str(cell or "").replace("DATA", DATA).replace("|", "\\|").replace("*", "…") for cell in cells)
                lines.append("| " + " | ".join(texts) + " |")
    lines += ["", "## Not sent", ""]
    lines += [f"- `{tag}`: {reason}." for tag, reason in NOT_SENT.items()]
    return "\n".join(lines) + "\n"


MARK = "<!-- from here on: tests/test_errors.py -->\n"


def test_document() -> None:
    text = DOCUMENT.read_text()
    head = text.partition(MARK)[0]
    if os.environ.get("UPDATE"):
        DOCUMENT.write_text(head + MARK + tables())
    assert DOCUMENT.read_text() == head + MARK + tables(), "run UPDATE=1 pytest tests/test_errors.py"


def test_every_tag_has_a_row() -> None:
    sent = {error.tag for _, row in rows() for error in row.errors}
    assert {tag.value for tag in ErrorTag} - sent == set(NOT_SENT) - {"partial-operation"}
