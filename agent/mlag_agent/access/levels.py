"""The user levels of the device as ready-made rule-lists (DOMAIN 5.3: visit, monitoring, configuration, management).

They are rules like any other, for the groups ``level-0`` to ``level-3`` that each user has from his settings, and stand
after the configured ones; nothing of them is in a configuration datastore.  docs/decisions/044-nacm.md says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["LEVELS", "group_of_level", "level_rule_lists"]

LEVELS: Final = (0, 1, 2, 3)

READING: Final = (
    ("ietf-netconf", "get"),
    ("ietf-netconf", "get-config"),
    ("ietf-netconf-nmda", "get-data"),
    ("ietf-netconf-monitoring", "get-schema"),
    ("ietf-nmda-compare", "compare"),
    ("notifications", "create-subscription"),
    ("ietf-subscribed-notifications", "establish-subscription"),
    ("ietf-subscribed-notifications", "modify-subscription"),
    ("ietf-subscribed-notifications", "delete-subscription"),
    ("ietf-yang-push", "resync-subscription"),
    ("mlag-simulator", "list-entries"),
)
"""What shows and changes nothing: the displays of level 1."""

MANAGING: Final = (
    ("ietf-netconf", "kill-session"),
    ("ietf-netconf", "delete-config"),
    ("ietf-subscribed-notifications", "kill-subscription"),
    ("ietf-factory-default", "factory-reset"),
)
"""What level 3 is for: other people's sessions, and all of a configuration at once."""

M_LAG: Final = "/dfs-m-lag:m-lag"


def group_of_level(level: int) -> str:
    """The group that a user of that level is in."""
    return f"level-{level}"


def level_rule_lists(tree: SchemaTree) -> Sequence[Mapping[str, Any]]:
    """The rule-lists, the highest level first, in the form of ``/nacm/rule-list``; ``data.build`` makes data of it.

    A user who has several levels, through groups of ``/nacm``, has all that the highest of them permits.
    """
    rules = {3: _level_3(), 2: _level_2(tree), 1: _level_1(tree), 0: _level_0()}
    return [
        {"name": group_of_level(level), "group": [group_of_level(level)], "rule": found}
        for level, found in rules.items()
    ]


def _level_3() -> list[dict[str, Any]]:
    return [_rule("everything", "permit", comment="all data, operations and notifications")]


def _level_2(tree: SchemaTree) -> list[dict[str, Any]]:
    found = []
    if any(node.path == M_LAG for node in tree.data.children.values()):
        comment = "with the group's password, of which a read gives cipher text"
        found.append(_rule("m-lag", "permit", path=_prefixed(tree.find(M_LAG)), comment=comment))
    found += _hands_off(tree, "create update delete")
    found += [
        _rule(f"no {module}:{name}", "deny", "exec", module=module, rpc=name)
        for module, name in MANAGING
        if not _hidden_operation(tree, module, name)
    ]
    return [*found, _rule("configure", "permit", comment="all else")]


def _level_1(tree: SchemaTree) -> list[dict[str, Any]]:
    return [
        *_hands_off(tree, None),
        _rule("read", "permit", "read", comment="all else that is data or a notification"),
        *(_rule(name, "permit", "exec", module=module, rpc=name) for module, name in READING),
        _rule("nothing-else", "deny"),
    ]


def _level_0() -> list[dict[str, Any]]:
    return [_rule("nothing", "deny", comment="a session may be opened and closed")]


def _protected(node: SchemaNode, *, kept: bool = False) -> Iterator[SchemaNode]:
    """The topmost nodes of each extension of ietf-netconf-acm; ``kept``: one above is default-deny-write."""
    if node.deny_all:
        yield node
        return
    if node.deny_write and not kept:
        yield node
    for child in node.children.values():
        yield from _protected(child, kept=node.deny_write)


def _hands_off(tree: SchemaTree, writing: str | None) -> list[dict[str, Any]]:
    """What a module protects stays so: these rules stand before those that permit all else.

    ``writing``: the operations that default-deny-write denies; None when another rule denies them anyway.
    """
    found = []
    for node in (node for top in tree.data.children.values() for node in _protected(top)):
        if node.deny_all:
            found.append(_rule(f"hide {node.path}", "deny", path=_prefixed(node)))
        elif writing is not None:
            found.append(_rule(f"keep {node.path}", "deny", writing, path=_prefixed(node)))
    for node in tree.rpcs.values():
        if node.deny_all:
            module, name = node.module.name, node.name
            found.append(_rule(f"no {module}:{name}", "deny", "exec", module=module, rpc=name))
    for node in tree.notifications.values():
        if node.deny_all:
            module, name = node.module.name, node.name
            found.append(_rule(f"no event {module}:{name}", "deny", "read", module=module, notification=name))
    return found


def _hidden_operation(tree: SchemaTree, module: str, name: str) -> bool:
    return any(node.deny_all and (node.module.name, node.name) == (module, name) for node in tree.rpcs.values())


def _prefixed(node: SchemaNode) -> str:
    """A path without keys, each step with its module's name, as the type node-instance-identifier has it."""
    steps: list[str] = []
    here: SchemaNode | None = node
    while here is not None and here.kind is not Kind.ROOT:
        steps.append(f"{here.module.name}:{here.name}")
        here = here.parent
    return "/" + "/".join(reversed(steps))


def _rule(
    name: str,
    action: str,
    operations: str = "*",
    *,
    module: str | None = None,
    rpc: str | None = None,
    notification: str | None = None,
    path: str | None = None,
    comment: str | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "module-name": module,
        "rpc-name": rpc,
        "notification-name": notification,
        "path": path,
        "access-operations": operations,
        "action": action,
        "comment": comment,
    }
