"""Access control of one agent: the rules in force, the rights of its users, what a refusal says, and the counters."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final, Protocol

from mlag_agent.access.changes import Denied, denied
from mlag_agent.access.rights import NOWHERE, WRITING, Decision, Place, Rights, Uniform
from mlag_agent.access.rules import Access, RuleSet
from mlag_agent.data.edit_node import EditNode, Operation
from mlag_agent.data.path import InstancePathError, child_path, steps
from mlag_agent.data.tree import Container
from mlag_agent.errors import ErrorTag, ErrorType, RpcError, RpcFailure
from mlag_agent.schema.nodes import Kind, SchemaNode, SchemaTree

__all__ = ["AccessControl", "Subject"]

MAX_REFUSALS: Final = 20
"""Refused nodes that one reply lists; more tell nobody anything new."""

MAX_USERS: Final = 1024
"""Users who are remembered with their rights: more than have sessions at once."""

MAX_RIGHTS: Final = 128
"""Different rights that are kept worked out, each some hundred kilobytes with a large schema."""


class Subject(Hashable, Protocol):
    """A session, as far as access control needs to know it."""

    @property
    def username(self) -> str:
        """The authenticated user."""


class AccessControl:
    """Decides by the rules in force (RFC 8341).

    A request is judged from its beginning to its end by the rules that were in force when it began (section 3.4):
    ``check_exec`` takes note of them, ``done`` forgets them.  Between requests the rules of the moment count.
    """

    def __init__(
        self,
        tree: SchemaTree,
        rules: RuleSet,
        *,
        enforced: bool = True,
        recovery: frozenset[str] = frozenset(),
        groups_of: Callable[[str], frozenset[str]] = lambda user: frozenset(),
    ) -> None:
        """``recovery``: users to whom no rule applies (section 3.3.3).

        ``groups_of``: the groups that a user has from outside of ``/nacm`` (section 3.4.2).
        """
        self._tree = tree
        self._rules = rules
        self._enforced = enforced
        self._recovery = recovery
        self._groups_of = groups_of
        self._users: dict[str, Rights] = {}
        self._rights: dict[tuple[frozenset[str], str], Rights] = {}
        self._begun: dict[Subject, Rights | None] = {}  # by session whose request is under way
        self.excluded: Callable[[Container, Container], Callable[[SchemaNode, Place], bool]] | None = None
        """Gives, for the datastore before and after, what tells which nodes had to go (RFC 7950 section 8.3.2)."""
        self.denied_operations = 0
        self.denied_data_writes = 0
        self.denied_notifications = 0

    @property
    def active(self) -> bool:
        """False: the setting says that nothing is checked, whatever ``/nacm`` says, and nobody need ask."""
        return self._enforced

    @property
    def rules(self) -> RuleSet:
        """The rules in force."""
        return self._rules

    @rules.setter
    def rules(self, rules: RuleSet) -> None:
        self._rules = rules
        self._users.clear()
        self._rights.clear()

    def users_changed(self) -> None:
        """Users may be in other groups than before: open sessions have their new rights with the next request."""
        self._users.clear()

    def rights(self, user: str) -> Rights | None:
        """A user's rights by the rules of the moment; None when none applies to him."""
        if not (self._enforced and self._rules.enabled) or user in self._recovery:
            return None
        found = self._users.get(user)
        if found is None:
            if len(self._users) >= MAX_USERS:
                self._users.clear()
            found = self._users[user] = self._worked_out(user)
        return None if found.unrestricted else found

    def _worked_out(self, user: str) -> Rights:
        """Users in the same groups share what is worked out, unless the rules ask for the user's name."""
        groups = self._rules.groups_of(user, self._groups_of(user))
        key = (groups, user if self._rules.depend_on_user else "")
        found = self._rights.get(key)
        if found is None:
            if len(self._rights) >= MAX_RIGHTS:
                self._rights.clear()
            found = self._rights[key] = Rights(self._rules, user, groups)
        return found

    def _of(self, session: Subject) -> Rights | None:
        return self._begun[session] if session in self._begun else self.rights(session.username)

    def done(self, session: Subject) -> None:
        """The request of the session has been answered."""
        self._begun.pop(session, None)

    # --- operations -----------------------------------------------------------------------------------------

    def check_exec(self, session: Subject, node: SchemaNode) -> None:
        """Whether a request may execute an rpc; raises RpcFailure (access-denied)."""
        rights = self._begun[session] = self.rights(session.username)
        if rights is None:
            return
        decision = rights.operation(node)
        if not decision.permit:
            self._refuse_operation(f"{node.module.name}:{node.name}", decision, f"/ietf-netconf:rpc{node.path}")

    def check_action(self, session: Subject, node: SchemaNode, place: Place) -> None:
        """Whether a request may execute an action; ``place``: the keys of the entries that it stands in, by list.

        All that it stands in must be readable, and the action executable (section 3.1.3).  Raises RpcFailure.
        """
        rights = self._begun[session] = self.rights(session.username)
        if rights is None:
            return
        for above in _line(node)[:-1]:
            decision = rights.decide(Access.READ, above, place)
            if not decision.permit:
                words = f"{node.module.name}:{node.name}, since {above.name} may not be read"
                self._refuse_operation(words, decision, self._shown_path(rights, node, place))
        decision = rights.decide(Access.EXEC, node, place)
        if not decision.permit:
            self._refuse_operation(f"{node.module.name}:{node.name}", decision, _path(node, place))

    def _refuse_operation(self, what: str, decision: Decision, path: str) -> None:
        self.denied_operations += 1
        words = f"access denied to execute {what}: {decision.why}"
        raise RpcFailure(RpcError(ErrorTag.ACCESS_DENIED, words, type=ErrorType.PROTOCOL, path=path))

    # --- data ---------------------------------------------------------------------------------------------------

    def readable(self, session: Subject, root: Container) -> Container:
        """The part of a tree that the session may read."""
        rights = self._of(session)
        return root if rights is None else rights.readable(root)

    def check_change(self, session: Subject, before: Container, after: Container) -> None:
        """Whether the session may make ``after`` of ``before``.

        What goes since a condition of its is false now needs no right, as data of another case of a choice needs none.
        Raises RpcFailure with an access-denied for each branch that may not change, and the rule that says so.
        """
        rights = self._of(session)
        if rights is None:
            return
        found = denied(rights, before, after)
        first = next(found, None)
        if first is None:
            return
        refused: Iterator[Denied] = chain((first,), found)
        if self.excluded is not None:
            had_to_go = self.excluded(before, after)
            refused = (
                each for each in refused if each.access is not Access.DELETE or not had_to_go(each.node, each.place)
            )
        refusals = list(islice(refused, MAX_REFUSALS))
        if refusals:
            self._refuse_changes(rights, refusals)

    def check_named(self, session: Subject, nodes: Iterable[EditNode]) -> None:
        """Whether the session may name the nodes of a payload at all; raises RpcFailure (access-denied).

        What a user may neither read nor write must not be told by whether an edit is refused, succeeds because the
        value is there already, or fails because the node is not: he is refused before any of that is known.
        """
        rights = self._of(session)
        if rights is None:
            return
        refusals = list(islice(_unspeakable(rights, nodes, {}), MAX_REFUSALS))
        if refusals:
            self._refuse_changes(rights, refusals)

    def _refuse_changes(self, rights: Rights, refusals: Sequence[Denied]) -> None:
        self.denied_data_writes += 1
        errors: dict[tuple[str, str], RpcError] = {}  # by place and reason: of what is hidden one error tells enough
        for refusal in refusals:
            path = self._shown_path(rights, refusal.node, refusal.place)
            words = f"access denied to {refusal.access} {refusal.node.path}: {refusal.decision.why}"
            error = RpcError(ErrorTag.ACCESS_DENIED, words, path=path)
            errors.setdefault((path, refusal.decision.why), error)
        raise RpcFailure(*errors.values())

    @staticmethod
    def _shown_path(rights: Rights, node: SchemaNode, place: Place) -> str:
        """The path of an instance, cut after the first step that may not be read, which is given without keys."""
        path = "/"
        for step in _line(node):
            seen = rights.decide(Access.READ, step, place).permit
            path = child_path(path, step.parent, step, place.get(step, ()) if seen else ())
            if not seen:
                break
        return path

    # --- events -------------------------------------------------------------------------------------------------

    def may_notify(self, session: Subject, node: SchemaNode, place: Place = NOWHERE) -> bool:
        """Whether the session may hear of an event (section 3.4.6); ``place`` for one in a data node."""
        rights = self.rights(session.username)
        if rights is None:
            return True
        line = _line(node)
        permitted = rights.reads(line, place) if len(line) > 1 else rights.notification(node).permit
        if not permitted:
            self.denied_notifications += 1
        return permitted

    # --- what errors may say ----------------------------------------------------------------------------------

    def shown(self, session: Subject, errors: Sequence[RpcError]) -> Sequence[RpcError]:
        """Errors without what the session may not read (sections 3.2.5 and 3.4.3)."""
        rights = self._of(session)
        return errors if rights is None else tuple(dict.fromkeys(self._shown(rights, error) for error in errors))

    def _shown(self, rights: Rights, error: RpcError) -> RpcError:
        if error.tag not in _TELLING or (error.tag is ErrorTag.BAD_ATTRIBUTE and error.app_tag != "missing-instance"):
            return error
        found = self._instance(error.path)
        if found is None:
            return error
        node, place = found
        if rights.reads(_line(node), place):
            return self._without_neighbours(rights, error, node, place)
        if error.tag is not ErrorTag.OPERATION_FAILED and rights.may_write_somewhere(node):
            return error  # of an edit that he may make: what comes of it is for him to know
        words = "the configuration violates a constraint in a part that you may not read"
        path = self._shown_path(rights, node, place)
        return RpcError(ErrorTag.OPERATION_FAILED, words, type=error.type, path=path)

    def _without_neighbours(self, rights: Rights, error: RpcError, node: SchemaNode, place: Place) -> RpcError:
        """What a message about a readable node says of others: a container's leafs, the other entry that is alike."""
        if error.info and any(self._hidden(rights, element.text) for element in error.info):
            words = f"{node.name}: not unique, together with data that you may not read"
            return replace(error, message=words, info=())
        children = [child for child in node.children.values() if child.type is not None]
        if node.type is None and not all(rights.decide(Access.READ, child, place).permit for child in children):
            return replace(error, message=_SUMMARY.sub(f"{node.name}: ", error.message))
        return error

    def _hidden(self, rights: Rights, path: str) -> bool:
        found = self._instance(path)
        return found is not None and not rights.reads(_line(found[0]), found[1])

    def _instance(self, path: str | None) -> tuple[SchemaNode, Place] | None:
        """The data node at an error's path, and where it is; None when it is no data node's."""
        if path is None:
            return None
        try:
            found = steps(path, self._tree)
        except InstancePathError:
            return None
        if not found:
            return None
        place = {
            node: tuple(keys[name] for name in (node.keys or (".",)))
            for node, keys in found
            if keys and set(node.keys or (".",)) <= set(keys)
        }
        return found[-1][0], place


# Errors that tell what is stored, rather than what is wrong with what the client sent.
_TELLING = frozenset({ErrorTag.DATA_EXISTS, ErrorTag.DATA_MISSING, ErrorTag.OPERATION_FAILED, ErrorTag.BAD_ATTRIBUTE})
_SUMMARY = re.compile(r"^[\w.-]+ \(.*?\): ", re.DOTALL)


def _line(node: SchemaNode) -> list[SchemaNode]:
    """The node and all that it stands in, from the top down."""
    found = [node]
    while (parent := found[-1].parent) is not None and parent.kind is not Kind.ROOT:
        found.append(parent)
    return found[::-1]


def _path(node: SchemaNode, place: Place) -> str:
    path = "/"
    for step in _line(node):
        path = child_path(path, step.parent, step, place.get(step, ()))
    return path


def _unspeakable(rights: Rights, nodes: Iterable[EditNode], place: Place, *, seen: bool = True) -> Iterator[Denied]:
    """The nodes at the ends of a payload that may neither be read nor written; ``seen``: what is above may be read."""
    for node in nodes:
        schema = node.schema
        if seen and rights.uniform(Access.READ, schema) is Uniform.PERMIT:
            continue
        if any(rights.uniform(access, schema) is Uniform.PERMIT for access in WRITING):
            continue
        here = place
        if schema.kind is Kind.LIST:
            here = {**place, schema: node.keys}
        elif schema.kind is Kind.LEAF_LIST:
            here = {**place, schema: (node.value or "",)}
        readable = seen and rights.decide(Access.READ, schema, here).permit
        below = [child for child in node.children if child.schema not in schema.key_nodes]
        if below:
            yield from _unspeakable(rights, below, here, seen=readable)
        elif not readable and not any(rights.decide(access, schema, here).permit for access in WRITING):
            asked = _ASKED.get(node.operation or Operation.MERGE, Access.UPDATE)
            yield Denied(asked, schema, here, rights.decide(asked, schema, here))


_ASKED = {Operation.CREATE: Access.CREATE, Operation.DELETE: Access.DELETE, Operation.REMOVE: Access.DELETE}
