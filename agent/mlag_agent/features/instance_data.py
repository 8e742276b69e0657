"""Instance-data files (RFC 9195): a datastore into a file, and a file into a datastore.  XML or JSON (RFC 7951)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.build import text as value_text
from mlag_agent.data.defaults import DefaultsTree, Mode
from mlag_agent.data.encode import encode_children, escape
from mlag_agent.data.tree import Container
from mlag_agent.datastore.stores import Datastore
from mlag_agent.errors import ErrorTag, InfoElement, RpcError, RpcFailure
from mlag_agent.features.base import Agent
from mlag_agent.features.nmda import operational

__all__ = ["NAMESPACE", "load_instance_data", "save_instance_data"]

NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-yang-instance-data"
DATASTORES_NS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_MEMBER = "ietf-yang-instance-data:instance-data-set"
OPERATIONAL = "operational"

# A file of the administrator's: it may be larger than a message, and has no DTD and no network all the same.
_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
)


# --- saving ---------------------------------------------------------------------------------------------------


def save_instance_data(agent: Agent, datastore: str, *, as_json: bool, now: datetime | None = None) -> str:
    """The text of a file with what a datastore holds; of the operational one with state and defaults in use.

    Secrets are the cipher text that the datastore holds.  Raises RpcFailure for a datastore that is not there.
    """
    root = _root(agent, datastore)
    time = value_text(now or datetime.now(UTC))
    modules = [
        f"{module.name}@{module.revision}" if module.revision else module.name
        for module in agent.library.tree.modules.values()
        if module.implemented
    ]
    content = encode_children(root, agent.library.tree.namespaces).decode()
    if as_json:
        body = {
            "name": datastore,
            "content-schema": {"module": modules},
            "datastore": f"ietf-datastores:{datastore}",
            "timestamp": time,
            "content-data": agent.library.engine.to_json(content),
        }
        return json.dumps({_MEMBER: body}, indent=2, ensure_ascii=False) + "\n"
    listed = "".join(f"<module>{escape(module)}</module>" for module in modules)
    return (
        f'<instance-data-set xmlns="{NAMESPACE}"><name>{datastore}</name>'
        f"<content-schema>{listed}</content-schema>"
        f'<datastore xmlns:ds="{DATASTORES_NS}">ds:{datastore}</datastore><timestamp>{time}</timestamp>'
        f"<content-data>{content}</content-data></instance-data-set>\n"
    )


def _root(agent: Agent, datastore: str) -> Container:
    if datastore == OPERATIONAL:
        root = operational(agent, list(agent.state_parts()))
        return DefaultsTree(root, agent.defaults, Mode.REPORT_ALL, config_only=False).materialised(EVERYTHING)
    return agent.stores.get(_datastore(agent, datastore, operational_too=True), 0)


def _datastore(agent: Agent, name: str, *, operational_too: bool) -> Datastore:
    known = [str(each) for each in agent.stores.supported]
    if name not in known:
        shown = ", ".join([*known, *([OPERATIONAL] if operational_too else [])])
        raise _wrong(f"there is no datastore {name} for this; this agent has {shown}", "datastore")
    return Datastore(name)


# --- loading --------------------------------------------------------------------------------------------------


async def load_instance_data(agent: Agent, text: str, datastore: str) -> str:
    """Replace what a datastore holds by the content of a file; gives the name of the datastore.

    ``datastore`` empty: the one that the file names, or running.  Raises RpcFailure for a file that is none, for
    content that these modules do not allow, and for a locked datastore; then nothing has changed.
    """
    content, named = _content(agent, text)
    target = _datastore(agent, datastore or named or Datastore.RUNNING, operational_too=False)
    agent.stores.check_writable(target, 0)
    root = agent.reader.tree(content)
    agent.transactor.validate(root)
    if target is Datastore.RUNNING:

        def unlocked() -> Container:
            agent.stores.check_writable(target, 0)  # again: another transaction may have been waited for
            return root

        await agent.transactor.apply(unlocked)
    elif target is Datastore.STARTUP:
        agent.store_startup(root)
    else:
        raise _wrong("a candidate belongs to sessions; load running or startup", "datastore")
    return str(target)


def _content(agent: Agent, text: str) -> tuple[etree._Element, str]:
    """The content as XML, and the datastore that the file names, or nothing."""
    if text.lstrip()[:1] == "{":
        return _from_json(agent, text)
    try:
        outermost = etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise _wrong(f"the file is neither XML nor a JSON object: {error}") from error
    if outermost.getroottree().docinfo.internalDTD is not None:
        raise _wrong("the file has a document type declaration, which is not accepted")
    if outermost.tag != f"{{{NAMESPACE}}}instance-data-set":
        raise _wrong(f'the file begins with {outermost.tag}; expected <instance-data-set xmlns="{NAMESPACE}">')
    content = outermost.find(f"{{{NAMESPACE}}}content-data")
    if content is None:
        raise _wrong("the file has no <content-data>")
    modules = [element.text or "" for element in outermost.iterfind(f"{{{NAMESPACE}}}content-schema/{{*}}module")]
    _check_modules(agent, modules)
    return content, (outermost.findtext(f"{{{NAMESPACE}}}datastore") or "").strip().rpartition(":")[2]


def _from_json(agent: Agent, text: str) -> tuple[etree._Element, str]:
    try:
        found: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _wrong(f"the file is no JSON: {error}") from error
    body = found.get(_MEMBER)
    if not isinstance(body, dict) or not isinstance(body.get("content-data"), dict):
        raise _wrong(f'the file has no "{_MEMBER}" with an object "content-data"')
    schema = body.get("content-schema")
    modules = schema.get("module", []) if isinstance(schema, dict) else []
    _check_modules(agent, [str(module) for module in modules] if isinstance(modules, list) else [])
    xml = agent.library.engine.from_json(json.dumps(body["content-data"]))
    content = etree.fromstring(f"<content-data>{xml}</content-data>", _PARSER)
    return content, str(body.get("datastore", "")).rpartition(":")[2]


def _check_modules(agent: Agent, modules: list[str]) -> None:
    """Content of a module that is not served could not be read; another revision may do."""
    served = agent.library.tree.modules
    names = {module.partition("@")[0].strip() for module in modules}
    if modules and not any(name in served for name in names):
        raise _wrong(f"the file is of the modules {', '.join(sorted(names))}, of which this agent serves none")


def _wrong(words: str, element: str = "content-data") -> RpcFailure:
    return RpcFailure(RpcError(ErrorTag.INVALID_VALUE, words, info=(InfoElement("bad-element", element),)))
