"""RFC 8341 read word by word, for comparison: no plans, no shortcuts, every instance on its own.

An instance is a path: pairs of "module:name" and its keys.  Rules are mappings as ``/nacm/rule-list/rule`` has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlag_agent.data.tree import Container, LeafList, ListNode, Node
from mlag_agent.schema.nodes import Kind, SchemaNode

Instance = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Config:
    """What ``/nacm`` holds, as far as decisions depend on it."""

    lists: Sequence[tuple[Sequence[str], Sequence[Mapping[str, Any]]]]
    read_default: str = "permit"
    write_default: str = "deny"
    exec_default: str = "permit"
    groups: Sequence[str] = ("g",)
    user: str = "u"


def path_matches(path: str, instance: Instance, user: str) -> bool:
    """Section 3.4.5, step 6: the node that the path names, or one below it."""
    if path == "/":
        return True
    asked = []
    for step in re.findall(r"/([\w.:-]+)((?:\[[^\]]*\])*)", path):
        keys = dict(re.findall(r"\[([\w.:-]+)=(?:'([^']*)'|\$USER)\]", step[1]))
        for name in re.findall(r"\[([\w.:-]+)=\$USER\]", step[1]):
            keys[name] = user
        asked.append((step[0], {name.rpartition(":")[2]: value for name, value in keys.items()}))
    if len(asked) > len(instance):
        return False
    return all(
        name == wanted and all(dict(keys).get(key) == value for key, value in conditions.items())
        for (wanted, conditions), (name, keys) in zip(asked, instance, strict=False)
    )


def decide(config: Config, access: str, node: SchemaNode, instance: Instance) -> bool:
    """Section 3.4.5, steps 3 to 13."""
    if config.groups:
        for groups, rules in config.lists:
            if "*" not in groups and not set(groups) & set(config.groups):
                continue
            for rule in rules:
                if rule.get("module-name", "*") not in ("*", node.module.name):
                    continue
                if "rpc-name" in rule or "notification-name" in rule:
                    continue
                if "path" in rule and not path_matches(rule["path"], instance, config.user):
                    continue
                operations = rule.get("access-operations", "*")
                if operations != "*" and access not in operations.split():
                    continue
                return bool(rule["action"] == "permit")
    if access == "read":
        return not protected(node, write=False) and config.read_default == "permit"
    if access == "exec":
        # Step 13, and what the extension itself says of execute access.
        return not protected(node, write=False) and config.exec_default == "permit"
    return not protected(node, write=True) and config.write_default == "permit"


DENY_ALL = {"secret", "b", "hidden"}
DENY_WRITE = {"guarded"}


def protected(node: SchemaNode, *, write: bool) -> bool:
    """Steps 9 and 10, of the node or one above it; by name, not by what the schema builder made of the extensions."""
    here: SchemaNode | None = node
    while here is not None:
        if here.name in DENY_ALL or (write and here.name in DENY_WRITE):
            return True
        here = here.parent
    return False


def step(node: SchemaNode, keys: Sequence[str] = ()) -> tuple[str, tuple[tuple[str, str], ...]]:
    names = node.keys if node.kind is Kind.LIST else (".",) if keys else ()
    return f"{node.module.name}:{node.name}", tuple(zip(names, keys, strict=True))


def visible(config: Config, root: Container) -> set[tuple[Instance, str]]:
    """Every leaf, value and empty presence container that a read gives (section 3.2.4), as paths with values."""
    return set(_visible(config, root, ()))


def _visible(config: Config, holder: Container, at: Instance) -> Iterator[tuple[Instance, str]]:
    for node, value in holder.children.items():
        for here, item in instances(node, value, at):
            if not decide(config, "read", node, here):
                continue
            if isinstance(item, Container):
                keys = [(*here, step(key)) for key in node.key_nodes]
                if not all(decide(config, "read", key, path) for key, path in zip(node.key_nodes, keys, strict=True)):
                    continue
                if node.kind is Kind.CONTAINER and node.presence:
                    yield here, "present"
                yield from _visible(config, item, here)
            else:
                yield here, item


def instances(node: SchemaNode, value: Node, at: Instance) -> Iterator[tuple[Instance, Any]]:
    if isinstance(value, ListNode):
        for entry in value:
            yield (*at, step(node, entry.keys)), entry
    elif isinstance(value, LeafList):
        for item in value.values:
            yield (*at, step(node, (item,))), item
    else:
        yield (*at, step(node)), value


def everything(root: Container) -> dict[Instance, tuple[SchemaNode, Any]]:
    """Each instance of a tree."""
    found: dict[Instance, tuple[SchemaNode, Any]] = {}

    def walk(holder: Container, at: Instance) -> None:
        for node, value in holder.children.items():
            for here, item in instances(node, value, at):
                found[here] = (node, item)
                if isinstance(item, Container):
                    walk(item, here)

    walk(root, ())
    return found


@dataclass
class Needed:
    """The rights that a change needs: access operation and instance."""

    rights: set[tuple[str, Instance]] = field(default_factory=set)


def needed(old: Container, new: Container) -> set[tuple[str, Instance]]:
    """Sections 3.2.5 and 3.2.8: from two trees alone.

    Containers without presence are no nodes of their own; what makes room for another case of a choice is a side
    effect.  Moves within an order of the user are left to tests of their own.
    """
    before, after = everything(old), everything(new)
    found = set()
    for here, (node, item) in after.items():
        if here not in before:
            if not (node.kind is Kind.CONTAINER and not node.presence):
                found.add(("create", here))
        elif isinstance(item, str) and node.kind is not Kind.LEAF_LIST and before[here][1] != item:
            found.add(("update", here))
    for here, (node, _) in before.items():
        if here in after or (node.kind is Kind.CONTAINER and not node.presence):
            continue
        if not _gives_way(here, before, after):
            found.add(("delete", here))
    return found


def _gives_way(here: Instance, before: Mapping[Instance, Any], after: Mapping[Instance, Any]) -> bool:
    """Whether the instance, or the topmost one that goes with it, stands in a case that another one has replaced."""
    for length in range(1, len(here) + 1):
        top = here[:length]
        if top in after:
            continue
        mine = {case.choice: case.name for case in before[top][0].cases}
        beside = [node for path, (node, _) in after.items() if path[:-1] == top[:-1]]
        return any(mine.get(case.choice, case.name) != case.name for node in beside for case in node.cases)
    return False
