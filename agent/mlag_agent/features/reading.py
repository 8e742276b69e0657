"""What every read operation does with a tree on its way out: the filter parameter, then the encoding.

``get`` and ``get-config`` (RFC 6241 sections 7.1 and 7.7) share it; access control and with-defaults belong here, so
that no read operation can forget them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeAlias, TypeVar, cast

from lxml import etree

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.defaults import DefaultsTree, Mode
from mlag_agent.data.depth import cut
from mlag_agent.data.edit_node import NETCONF_NS
from mlag_agent.data.encode import encode_children
from mlag_agent.data.filter import SubtreeFilter
from mlag_agent.data.instance import InstanceTree
from mlag_agent.data.lexical import matching_text
from mlag_agent.data.tree import Container
from mlag_agent.data.xpath import Budget, Scope, TooCostlyError, XPathError, XPathFilter
from mlag_agent.errors import ErrorTag, ErrorType, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent, Data, RpcInput, SessionInfo

__all__ = [
    "SUPPORTED",
    "Filter",
    "apply_filter",
    "read_filter",
    "read_mode",
    "read_reply",
    "read_subtree",
    "read_tree",
    "with_defaults",
    "within_budget",
    "xpath_filter",
]

Filter: TypeAlias = "SubtreeFilter | XPathFilter"
Some = TypeVar("Some")

SUPPORTED: Mapping[Mode, tuple[Mode, ...]] = {
    Mode.EXPLICIT: (Mode.REPORT_ALL, Mode.REPORT_ALL_TAGGED, Mode.TRIM),
    Mode.TRIM: (Mode.EXPLICIT, Mode.REPORT_ALL, Mode.REPORT_ALL_TAGGED),
    # No data is default data then (RFC 6243 section 2.1.1), so that nothing would ever be tagged.
    Mode.REPORT_ALL: (Mode.EXPLICIT, Mode.TRIM),
}
"""Basic mode to the modes that are supported besides."""

QUICK_STEPS = 20_000
"""Nodes that an XPath expression may look at on the event loop: some 20 ms. What real clients send needs a hundred."""

MOST_STEPS = 4_000_000
"""Nodes that it may look at in all, in a thread beside the loop: each leaf of 50,000 entries, several times."""

MOST_SECONDS = 20.0
"""A second bound, for what one node can cost: regular expressions."""


async def read_reply(
    agent: Agent,
    session: SessionInfo,
    root: Container,
    wanted: Filter | None,
    mode: Mode | None = None,
    *,
    config_only: bool = False,
) -> Data:
    """What ``wanted`` selects of a root (None: everything), as the reply holds it.

    What the session may not read is taken out first: a filter must not be able to test it (RFC 8341 section 3.2.4).
    Filters see the data as the with-defaults mode shows it (None: the basic mode).  ``config_only``: there is no state,
    nor are there its defaults.
    """
    found = await read_tree(agent, session, root, wanted, mode or agent.basic_mode, config_only=config_only)
    return Data(encode_children(found, agent.library.tree.namespaces))


async def read_tree(
    agent: Agent,
    session: SessionInfo,
    root: Container,
    wanted: Filter | None,
    mode: Mode,
    *,
    basic: Mode | None = None,
    config_only: bool = False,
    depth: int | None = None,
) -> Container:
    """As ``read_reply``, for those who go on with the data.

    ``basic``: what counts as default data (None: the server's basic mode); ``depth``: how many levels of each selected
    node are given (without a filter: of each top-level node), None: all.
    """
    if agent.access.active:
        root = agent.access.readable(session, root)

    def tree() -> InstanceTree:
        if mode is Mode.EXPLICIT:
            return InstanceTree(root)
        return DefaultsTree(root, agent.defaults, mode, basic=basic or agent.basic_mode, config_only=config_only)

    if isinstance(wanted, XPathFilter):
        return await _evaluate(agent, tree, wanted, depth)
    if mode is not Mode.EXPLICIT:
        root = cast("DefaultsTree", tree()).materialised(EVERYTHING if wanted is None else wanted.selection)
    if wanted is not None:
        return wanted.apply(root, depth)
    if depth is None:
        return root
    return Container(root.schema, {node: cut(child, depth) for node, child in root.children.items()})


def with_defaults(agent: Agent, root: Container, mode: Mode) -> Container:
    """A configuration as a mode of RFC 6243 shows it: what copy-config writes to a URL."""
    if mode is Mode.EXPLICIT:
        return root
    return DefaultsTree(root, agent.defaults, mode, basic=agent.basic_mode, config_only=True).materialised(EVERYTHING)


def read_mode(agent: Agent, rpc: RpcInput) -> Mode:
    """The parameter with-defaults, or the basic mode (RFC 6243 section 4.5.1).

    Raises RpcFailure (invalid-value) for a mode that is not announced.
    """
    given = rpc.leaf("with-defaults")
    if given is None:
        return agent.basic_mode
    mode = Mode(given)
    if mode is not agent.basic_mode and mode not in SUPPORTED[agent.basic_mode]:
        known = ", ".join((agent.basic_mode, *SUPPORTED[agent.basic_mode]))
        words = f"with-defaults {given} is not supported with the basic mode {agent.basic_mode}; supported are {known}"
        info = (InfoElement("bad-element", "with-defaults"),)
        raise RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, type=ErrorType.PROTOCOL, info=info))
    return mode


async def apply_filter(agent: Agent, root: Container, wanted: Filter) -> Container:
    """What a filter selects of a root: a root again.

    Raises RpcFailure for an expression that gives no node-set, and for one that costs too much.
    """
    if isinstance(wanted, SubtreeFilter):
        return wanted.apply(root)
    return await _evaluate(agent, lambda: InstanceTree(root), wanted)


async def _evaluate(
    agent: Agent, tree: Callable[[], InstanceTree], wanted: XPathFilter, depth: int | None = None
) -> Container:
    """With a tree of its own each time."""
    return await within_budget(agent, lambda budget: wanted.apply(tree(), budget, depth), wanted.parameter)


async def within_budget(agent: Agent, evaluate: Callable[[Budget], Some], parameter: str | None = None) -> Some:
    """What an XPath expression gives: on the loop if that is soon done, else in a thread.

    ``parameter``: the element that holds it; None: it is the attribute select of a filter.  Raises RpcFailure for an
    XPathError, and for an expression that costs too much.
    """
    try:
        return evaluate(Budget(QUICK_STEPS))
    except TooCostlyError:
        return await _in_thread(agent, evaluate, parameter)
    except XPathError as error:
        raise RpcFailure(_bad_expression(str(error), parameter)) from error


async def _in_thread(agent: Agent, evaluate: Callable[[Budget], Some], parameter: str | None) -> Some:
    """Other sessions go on meanwhile: the tree is frozen.  One at a time, so that the loop competes with one thread."""
    async with agent.evaluating:
        end = monotonic() + MOST_SECONDS
        budget = Budget(MOST_STEPS, lambda: monotonic() > end)
        try:
            return await asyncio.to_thread(evaluate, budget)
        except asyncio.CancelledError:
            budget.left = 0  # the session is gone: the thread ends at its next step
            raise
        except XPathError as error:
            raise RpcFailure(_bad_expression(str(error), parameter)) from error
        except TooCostlyError:
            words = (
                f"the expression looks at more than {MOST_STEPS} nodes, or for longer than {MOST_SECONDS:g} s; "
                "give the keys of list entries, full paths instead of //, or a subtree filter"
            )
            raise RpcFailure(RpcError(ErrorTag.RESOURCE_DENIED, words, type=ErrorType.PROTOCOL)) from None


# --- the filter parameter -------------------------------------------------------------------------------------


def read_filter(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Filter | None:
    """The filter parameter; None when there is none and all is wanted."""
    element = rpc.element("filter")
    if element is None:
        return None
    kind = element.get("type", element.get(f"{{{NETCONF_NS}}}type", "subtree"))
    if kind == "xpath":
        text = element.get("select", element.get(f"{{{NETCONF_NS}}}select"))
        if text is None:
            words = 'a filter of type "xpath" needs the attribute select'
            raise RpcFailure(_filter_error(ErrorTag.MISSING_ATTRIBUTE, words, "select"))
        return xpath_filter(agent, session, text, element)
    if kind != "subtree":
        words = f'filter type "{kind}" must be subtree or xpath'
        raise RpcFailure(_filter_error(ErrorTag.BAD_ATTRIBUTE, words, "type"))
    return read_subtree(agent, session, element)


def read_subtree(agent: Agent, session: SessionInfo, element: etree._Element) -> SubtreeFilter:
    """The subtree filter that the children of an element are."""
    _check_filter_namespaces(agent, session, element)
    return SubtreeFilter.compile(element, agent.library.tree, matching_text)


def xpath_filter(
    agent: Agent, session: SessionInfo, text: str, element: etree._Element, parameter: str | None = None
) -> XPathFilter:
    """An XPath filter with the namespaces in scope on the element that it came in (RFC 6241 section 8.9.1).

    Names without a prefix match any module, since clients send them so (INTEROP 2.2), and nothing in strict mode:
    there they are refused.  ``parameter`` is the element that holds the expression; None: it is in ``select``.  Raises
    RpcFailure.
    """
    prefixes = {prefix: namespace for prefix, namespace in element.nsmap.items() if prefix is not None}
    try:
        made = XPathFilter(text, Scope(prefixes, None, agent.library.tree.namespaces), agent.expressions, parameter)
    except XPathError as error:
        raise RpcFailure(_bad_expression(str(error), parameter)) from error
    if made.unprefixed:
        if agent.strict:
            names = ", ".join(sorted(made.unprefixed))
            words = f"names without a prefix are of no namespace in XPath, and match nothing: {names}"
            known = [node for node in agent.library.tree.data.children.values() if node.name in made.unprefixed]
            declare = " or ".join(f'xmlns:{node.module.prefix}="{node.namespace}"' for node in known)
            raise RpcFailure(_bad_expression(words + (f"; declare {declare}" if declare else ""), parameter))
        session.on_leniency("xpath-name-without-prefix")
    return made


def _bad_expression(words: str, parameter: str | None = None) -> RpcError:
    if parameter is not None:
        info = (InfoElement("bad-element", parameter),)
        return RpcError(ErrorTag.INVALID_VALUE, f"XPath: {words}", type=ErrorType.PROTOCOL, info=info)
    return _filter_error(ErrorTag.INVALID_VALUE, f"XPath: {words}", "select")


def _filter_error(tag: ErrorTag, words: str, attribute: str) -> RpcError:
    info = (InfoElement("bad-attribute", attribute), InfoElement("bad-element", "filter"))
    return RpcError(tag, words, type=ErrorType.PROTOCOL, info=info)


def _check_filter_namespaces(agent: Agent, session: SessionInfo, element: etree._Element) -> None:
    """No data is in the NETCONF namespace: filter nodes in it have lost theirs to the default of the ``<rpc>``.

    Nodes in no namespace at all are the wildcard of RFC 6241 section 6.2.1, which strict mode takes as well.
    """
    lost = next(element.iterdescendants(f"{{{NETCONF_NS}}}*"), None)
    if lost is None:
        return
    if not agent.strict:
        session.on_leniency("filter-node-in-netconf-namespace")
        return
    name = etree.QName(lost).localname
    known = sorted({node.namespace for node in agent.library.tree.data.children.values() if node.name == name})
    expected = " or ".join(f'xmlns="{namespace}"' for namespace in known) or "the namespace of its module"
    words = f"the filter node {name} is in the namespace of NETCONF's own messages; expected {expected}"
    info = (InfoElement("bad-element", name), InfoElement("bad-namespace", NETCONF_NS))
    raise RpcFailure(RpcError(ErrorTag.UNKNOWN_NAMESPACE, words, type=ErrorType.PROTOCOL, info=info))
