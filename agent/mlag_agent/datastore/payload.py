"""From a client's ``<config>`` to checked, canonical edit nodes: the one way into a datastore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

from lxml import etree

from mlag_agent.data.decode import BATCH, Decoder, OnLeniency
from mlag_agent.data.edit import Editor, build_ahead
from mlag_agent.data.edit_defaults import DefaultRules
from mlag_agent.data.edit_node import EditNode
from mlag_agent.data.tree import Container, empty
from mlag_agent.data.values import Transforms, below_ancestors, canonicalise, check_document, value_lookup
from mlag_agent.datastore.turns import Steps, at_once
from mlag_agent.errors import RpcError, RpcFailure
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind

__all__ = ["PayloadReader", "Transforms"]


class PayloadReader:
    """Reads payloads against one module set."""

    def __init__(self, library: SchemaLibrary, transforms: Transforms | None = None) -> None:
        self._library = library
        self._transforms: Transforms = transforms or {}
        self.rules: DefaultRules | None = None
        """What the server's basic mode means for what is read."""

    def read(
        self,
        elements: Iterable[etree._Element],
        *,
        strict: bool = False,
        on_leniency: OnLeniency | None = None,
        problems: list[RpcError] | None = None,
    ) -> Sequence[EditNode]:
        """Children of ``<config>`` as canonical edit nodes.

        Raises RpcFailure with every violation of RFC 7950 section 8.3.1, structure and types alike; with
        ``problems`` (continue-on-error) they are put there instead, and the nodes that violate are left out.
        """
        return at_once(self.steps(elements, strict=strict, on_leniency=on_leniency, problems=problems))

    def steps(
        self,
        elements: Iterable[etree._Element],
        *,
        strict: bool = False,
        on_leniency: OnLeniency | None = None,
        problems: list[RpcError] | None = None,
    ) -> Steps[Sequence[EditNode]]:
        """``read`` that can be interrupted: it depends on the payload alone."""
        library = self._library
        elements = list(elements)
        decoder = Decoder(library.tree, config_only=True, strict=strict, on_leniency=on_leniency)
        nodes: Sequence[EditNode] = yield from decoder.steps(elements, library.tree.data)
        found = list(decoder.errors)
        if found or not (yield from self._checked_in_pieces(decoder, nodes)):
            # All of it at once, which finds every violation.
            document = self._document(elements, nodes, verbatim=decoder.verbatim)
            while wrong := self._wrong_values(document, nodes, every=problems is not None):
                found.extend(wrong)
                if problems is None:
                    raise RpcFailure(*found)
                before = _count(nodes)
                nodes = _without(nodes, {error.path for error in wrong}, "")
                if _count(nodes) == before:
                    raise RpcFailure(*found)
                # libyang does not see every entry with a bad key at once: what is left is checked again.
                document = self._document(elements, nodes, verbatim=False)
        if found and problems is None:
            raise RpcFailure(*found)
        if _is_long(decoder, nodes):
            yield from self._canonical(nodes)
        else:
            canonicalise(nodes, library.engine, self._transforms)
        if problems is not None:
            problems.extend(found)
        return nodes

    def _checked_in_pieces(self, decoder: Decoder, nodes: Sequence[EditNode]) -> Steps[bool]:
        """Whether a long payload is right, looked at piece by piece; False for one that is not long as well."""
        if not _is_long(decoder, nodes):
            return False
        namespaces = self._library.tree.namespaces
        long = decoder.long or ()
        apart = {node for node, _ in long}
        documents = chain(
            (check_document(some, namespaces, apart) for some in _batches(nodes)),
            (
                below_ancestors(body, node, namespaces)
                for node, element in long
                for body in self._bodies(node, element, apart, verbatim=decoder.verbatim)
            ),
        )
        for document in documents:
            if self._wrong_values(document, nodes, every=False):
                return False
            yield
        return True

    def _bodies(
        self, node: EditNode, element: etree._Element, apart: set[EditNode], *, verbatim: bool
    ) -> Iterator[str]:
        if verbatim:
            return map(_text, _batches(element))
        namespaces = self._library.tree.namespaces
        return (check_document(some, namespaces, apart) for some in _batches(node.children))

    def _canonical(self, nodes: Sequence[EditNode]) -> Steps[None]:
        for some in _batches(nodes):
            containers = [node for node in some if node.schema.kind is Kind.CONTAINER]
            others = [node for node in some if node.schema.kind is not Kind.CONTAINER] if containers else some
            canonicalise(others, self._library.engine, self._transforms)
            build_ahead(others)
            for node in containers:
                yield from self._canonical(node.children)
            yield

    def _wrong_values(self, document: str, nodes: Sequence[EditNode], *, every: bool) -> Sequence[RpcError]:
        try:
            self._library.engine.check_payload(document, value_lookup(nodes), every=every)
        except RpcFailure as failure:
            return failure.errors
        return ()

    def _document(self, elements: Sequence[etree._Element], nodes: Sequence[EditNode], *, verbatim: bool) -> str:
        if verbatim:
            # Nothing to take out: libyang reads the client's own text, which costs a tenth of writing it anew.
            return _text(elements)
        return check_document(nodes, self._library.tree.namespaces)

    def tree(
        self, elements: Iterable[etree._Element], *, strict: bool = False, on_leniency: OnLeniency | None = None
    ) -> Container:
        """A whole configuration (copy-config, validate of inline config, stored data)."""
        nodes = self.read(elements, strict=strict, on_leniency=on_leniency)
        editor = Editor(self.rules)
        root = editor.apply(empty(self._library.tree.data), nodes)
        if editor.errors:
            raise RpcFailure(*editor.errors)
        return root


def _is_long(decoder: Decoder, nodes: Sequence[EditNode]) -> bool:
    """Whether it takes so long that others should not wait for all of it."""
    return bool(decoder.long) or len(nodes) > BATCH


Item = TypeVar("Item")


def _batches(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    rows = iter(items)
    while some := list(islice(rows, BATCH)):
        yield some


def _text(elements: Iterable[etree._Element]) -> str:
    return "".join([etree.tostring(element, encoding="unicode", with_tail=False) for element in elements])


def _count(nodes: Sequence[EditNode]) -> int:
    return sum(1 + _count(node.children) for node in nodes)


def _without(nodes: Sequence[EditNode], paths: set[str | None], parent: str) -> list[EditNode]:
    """The nodes but those at ``paths``; an entry goes with its key."""
    kept = []
    for node in nodes:
        path = node.step(parent)
        keys = [child for child in node.children if child.schema in node.schema.key_nodes]
        if path in paths or any(key.step(path) in paths for key in keys):
            continue
        node.keep(_without(node.children, paths, path))
        kept.append(node)
    return kept
