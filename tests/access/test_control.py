"""Access control as requests meet it: the rules at their beginning, the users' rights, what errors may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlag_agent.access.control import MAX_REFUSALS, AccessControl
from mlag_agent.access.rules import BadPathError, RuleSet, read_path, read_rules
from mlag_agent.data.build import build
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.schema.library import SchemaLibrary

TOP = "/acl-model:top"


@dataclass(eq=False)
class Session:
    username: str = "u"


def rule_set(library: SchemaLibrary, *rules: dict[str, Any], **leafs: Any) -> RuleSet:
    named = [{"name": str(number), **rule} for number, rule in enumerate(rules)]
    lists = [{"name": "l", "group": ["g"], "rule": named}]
    values = {key.replace("_", "-"): value for key, value in leafs.items()}
    return read_rules(build(library.tree.find("/ietf-netconf-acm:nacm"), {**values, "rule-list": lists}), library.tree)


def control(library: SchemaLibrary, *rules: dict[str, Any], **leafs: Any) -> AccessControl:
    return AccessControl(library.tree, rule_set(library, *rules, **leafs), groups_of=lambda user: frozenset({"g"}))


def test_the_rules_at_the_beginning_of_a_request(library: SchemaLibrary) -> None:
    """RFC 8341 section 3.4; afterwards, and for other sessions, the new ones count at once."""
    mine = control(library, {"action": "permit"})
    mine.rules = rule_set(library, {"path": f"{TOP}/acl-model:name", "action": "deny"})
    one, other = Session(), Session()
    reset = next(node for (_, name), node in library.tree.rpcs.items() if name == "reset")
    root = build(library.tree.data, {"top": {"name": "n", "word": ["a"]}})
    mine.check_exec(one, reset)
    mine.rules = rule_set(library, {"path": f"{TOP}/acl-model:word", "action": "deny"})

    def seen(session: Session) -> list[str]:
        (top,) = mine.readable(session, root).children.values()
        return [node.name for node in top.children]  # type: ignore[union-attr]

    assert seen(one) == ["word"]
    assert seen(other) == ["name"]
    mine.done(one)
    assert seen(one) == ["name"]


def test_also_for_one_who_was_unrestricted(library: SchemaLibrary) -> None:
    mine = control(library, {"action": "permit"})
    one = Session()
    reset = next(node for (_, name), node in library.tree.rpcs.items() if name == "reset")
    root = build(library.tree.data, {"top": {"name": "n"}})
    mine.check_exec(one, reset)
    mine.rules = rule_set(library, {"action": "deny"})
    assert mine.readable(one, root) is root
    mine.done(one)
    assert not mine.readable(one, root).children


def test_refusals_are_bounded(library: SchemaLibrary) -> None:
    mine = control(library, {"action": "deny", "access-operations": "create"})
    rows = [{"k": f"{number}", "v": "x"} for number in range(1000)]
    after = build(library.tree.data, {"top": {"row": rows[:500], "queue": rows}})
    before = build(library.tree.data, {"top": {"word": ["a"]}})
    with pytest.raises(RpcFailure) as caught:
        mine.check_change(Session(), before, after)
    assert 0 < len(caught.value.errors) <= MAX_REFUSALS
    assert mine.denied_data_writes == 1


def test_what_an_error_may_say(library: SchemaLibrary) -> None:
    mine = control(library, {"path": f"{TOP}/acl-model:row[acl-model:k='b']", "action": "deny"}, write_default="permit")
    session = Session()

    def shown(**error: Any) -> RpcError:
        tag = error.pop("tag", ErrorTag.OPERATION_FAILED)
        (found,) = mine.shown(session, [RpcError(tag, error.pop("message", "words"), **error)])
        return found

    open_, hidden = f"{TOP}/row[k='a']", f"{TOP}/row[k='b']"
    assert shown(path=f"{open_}/v").message == "words"
    assert shown(path=f"{hidden}/v").path == f"{TOP}/row"
    assert "words" not in shown(path=f"{hidden}/v").message
    beside = shown(path=open_, message="as in b", info=(InfoElement("non-unique", f"{hidden}/v"),))
    assert (beside.info, "as in b" in beside.message) == ((), False)
    # What is wrong with the client's own values is told as it is; a parameter's path is no data.
    assert shown(path=f"{hidden}/v", tag=ErrorTag.INVALID_VALUE).message == "words"
    assert shown(path="/ietf-netconf:edit-config/target").message == "words"
    assert shown(path=None).message == "words"
    # A container's leafs are in a message about it; the secret ones are not, nor are hidden ones.
    assert shown(path=TOP, message="top (name n, word x): bad").message == "top: bad"


CHARACTERS = st.sampled_from([*"/:[]='\".$ *", "acl-model", "top", "row", "k", "$USER", "a", "\x00", "é"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500, deadline=None)
@given(st.lists(CHARACTERS, max_size=20).map("".join))
def test_any_text_as_a_path(library: SchemaLibrary, text: str) -> None:
    """It is a path or it is not; nothing else happens."""
    try:
        node, steps = read_path(text, library.tree)
    except BadPathError:
        return
    assert text in {"/", ""} or node is not None
    assert len(steps) <= text.count("[")


def test_users_share_rights_unless_rules_ask_for_the_name(library: SchemaLibrary) -> None:
    mine = control(library, {"action": "deny"})
    assert mine.rights("u") is mine.rights("v")
    mine.rules = rule_set(library, {"path": f"{TOP}/acl-model:row[acl-model:k=$USER]", "action": "deny"})
    assert mine.rights("u") is mine.rights("u")
    assert mine.rights("u") is not mine.rights("v")
