"""The rules of ietf-netconf-acm as plain objects (RFC 8341 section 3.5), made of the ``/nacm`` subtree of a datastore.

Reading them is one thing, deciding by them (``access.rights``) another: rules are read once for each change of
``/nacm``, decisions are made all the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mlag_agent.data.tree import Container, LeafList
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["ALL", "Access", "BadPathError", "Rule", "RuleKind", "RuleList", "RuleSet", "Step", "read_rules"]

ALL = "*"
"""Any module, any name, any group, all operations."""

USER = "$USER"
"""The one variable of a rule's path: the name of the session's user."""

MODULE = "ietf-netconf-acm"


class Access(StrEnum):
    """What is asked for (RFC 8341 section 3.2.2); names as in the type access-operations-type."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    EXEC = "exec"


class RuleKind(StrEnum):
    """The case of a rule's choice rule-type; ANY: none, which matches all requests."""

    ANY = "any"
    OPERATION = "protocol-operation"
    NOTIFICATION = "notification"
    DATA = "data-node"


class BadPathError(ValueError):
    """A path that names no node of the schema, or is no instance-identifier."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path with predicates; ``keys``: the values asked for by key (or the leaf-list's own), or USER."""

    node: SchemaNode
    keys: tuple[tuple[SchemaNode, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule, compared by identity.

    ``module`` and ``target`` are ALL or a name; ``target`` is that of the protocol operation or notification.
    ``node``: where the path of a DATA rule leads, None for ``/``; ``steps``: its steps that have predicates.
    """

    list_name: str
    name: str
    permit: bool
    operations: frozenset[Access]
    kind: RuleKind = RuleKind.ANY
    module: str = ALL
    target: str = ALL
    node: SchemaNode | None = None
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return f'rule "{self.name}" of rule-list "{self.list_name}"'


@dataclass(frozen=True, slots=True)
class RuleList:
    """Rules for the members of some groups, in order.  ``groups`` may hold ALL."""

    name: str
    groups: frozenset[str]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All of ``/nacm``; the defaults are the module's."""

    enabled: bool = True
    read_default: bool = True
    write_default: bool = False
    exec_default: bool = True
    external_groups: bool = True
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    """User to the names of the configured groups that have him."""
    rule_lists: tuple[RuleList, ...] = ()

    def groups_of(self, user: str, external: frozenset[str]) -> frozenset[str]:
        """The groups of a user; ``external``: those that the transport reports (RFC 8341 section 3.4.2)."""
        mine = self.members.get(user, frozenset())
        return mine | external if self.external_groups else mine

    @property
    def depend_on_user(self) -> bool:
        """Whether two users who are in the same groups may have different rights."""
        rules = (rule for rules_of_list in self.rule_lists for rule in rules_of_list.rules)
        return any(wanted == USER for rule in rules for step in rule.steps for _, wanted in step.keys)


def read_rules(
    nacm: Container | None, tree: SchemaTree, ready_made: Container | None = None, *, lenient: bool = False
) -> RuleSet:
    """The rules of the container ``/nacm`` (None: it is not configured), then the rule-lists of the ready-made one.

    A configured rule-list takes the place of a ready-made one of the same name.  Raises BadPathError for a path that
    cannot be used; ``lenient``: such a rule matches nothing.
    """
    configured = {} if nacm is None else {entry.keys: entry for entry in nacm.entries("rule-list")}
    others = {} if ready_made is None else {entry.keys: entry for entry in ready_made.entries("rule-list")}
    lists = tuple(_rule_list(entry, tree, lenient) for entry in configured.values()) + tuple(
        _rule_list(entry, tree, True) for keys, entry in others.items() if keys not in configured
    )
    if nacm is None:
        return RuleSet(rule_lists=lists)
    return RuleSet(
        enabled=nacm.leaf("enable-nacm") == "true",
        read_default=nacm.leaf("read-default") == "permit",
        write_default=nacm.leaf("write-default") == "permit",
        exec_default=nacm.leaf("exec-default") == "permit",
        external_groups=nacm.leaf("enable-external-groups") == "true",
        members=_members(nacm),
        rule_lists=lists,
    )


def _members(nacm: Container) -> dict[str, frozenset[str]]:
    groups = nacm.container("groups")
    found: dict[str, set[str]] = {}
    for group in groups.entries("group") if groups is not None else ():
        for user in _values(group, "user-name"):
            found.setdefault(user, set()).add(group.leaf("name") or "")
    return {user: frozenset(names) for user, names in found.items()}


def _values(holder: Container, name: str) -> Sequence[str]:
    values = holder.named(name)
    return values.values if isinstance(values, LeafList) else ()


def _rule_list(entry: Container, tree: SchemaTree, lenient: bool) -> RuleList:
    name = entry.leaf("name") or ""
    rules = [_rule(rule, name, tree, lenient) for rule in entry.entries("rule")]
    return RuleList(name, frozenset(_values(entry, "group")), tuple(rule for rule in rules if rule is not None))


def _rule(entry: Container, list_name: str, tree: SchemaTree, lenient: bool) -> Rule | None:
    name = entry.leaf("name") or ""
    asked = entry.leaf("access-operations") or ALL
    operations = frozenset(Access) if asked == ALL else frozenset(map(Access, asked.split()))
    kind, target = RuleKind.ANY, ALL
    node: SchemaNode | None = None
    steps: tuple[Step, ...] = ()
    if (rpc := entry.leaf("rpc-name")) is not None:
        kind, target = RuleKind.OPERATION, rpc
    elif (notification := entry.leaf("notification-name")) is not None:
        kind, target = RuleKind.NOTIFICATION, notification
    elif (path := entry.leaf("path")) is not None:
        kind = RuleKind.DATA
        try:
            node, steps = read_path(path, tree)
        except BadPathError as problem:
            if lenient:
                return None
            raise BadPathError(f'rule "{name}" of rule-list "{list_name}": {problem}') from problem
    return Rule(
        list_name,
        name,
        entry.leaf("action") == "permit",
        operations,
        kind,
        entry.leaf("module-name") or ALL,
        target,
        node,
        steps,
    )


# --- paths ----------------------------------------------------------------------------------------------------

_NAME = r"(?:(?P<{0}>[A-Za-z_][\w.-]*):)?(?P<{1}>[A-Za-z_][\w.-]*)"
_STEP = re.compile("/" + _NAME.format("module", "name"))
_PREDICATE = re.compile(
    r"\[\s*(?:(?P<self>\.)|" + _NAME.format("module", "name") + r")\s*=\s*"
    r"(?:'(?P<one>[^']*)'|\"(?P<two>[^\"]*)\"|(?P<user>\$USER))\s*\]"
)


def read_path(path: str, tree: SchemaTree) -> tuple[SchemaNode | None, tuple[Step, ...]]:
    """Where a node-instance-identifier leads, and its steps with predicates; prefixes are module names.

    Raises BadPathError.
    """
    if path == "/":
        return None, ()
    node = tree.data
    steps: list[Step] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise BadPathError(f"the path {path} is no instance-identifier from character {at} on")
        found = _child(node, step["module"], step["name"], tree)
        if found is None:
            raise BadPathError(f"the path {path}: {node.path} has no node {step['name']}")
        node, at = found, step.end()
        keys: list[tuple[SchemaNode, str]] = []
        for predicate in _predicates(path, at):
            keys.append(_condition(predicate, node, path))
            at = predicate.end()
        if keys:
            steps.append(Step(node, tuple(keys)))
    return node, tuple(steps)


def _child(node: SchemaNode, module: str | None, name: str, tree: SchemaTree) -> SchemaNode | None:
    """A data node, or an action or notification that stands in one."""
    if module is not None and module not in tree.modules:
        return None
    namespace = tree.modules[module].namespace if module is not None else node.namespace
    return node.children.get((namespace, name)) or node.operations.get((namespace, name))


def _predicates(path: str, at: int) -> Iterator[re.Match[str]]:
    while (found := _PREDICATE.match(path, at)) is not None:
        yield found
        at = found.end()


def _condition(predicate: re.Match[str], node: SchemaNode, path: str) -> tuple[SchemaNode, str]:
    value = USER if predicate["user"] else predicate["one"] if predicate["one"] is not None else predicate["two"]
    if predicate["self"]:
        if node.kind is not Kind.LEAF_LIST:
            raise BadPathError(f"the path {path}: {node.name} is no leaf-list")
        return node, value
    key = next((key for key in node.key_nodes if key.name == predicate["name"]), None)
    if key is None:
        raise BadPathError(f"the path {path}: {predicate['name']} is no key of {node.name}")
    return key, value
