"""ietf-yang-library: revision 2019-01-04 of RFC 8525, with the tree of RFC 7895 for older clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlag_agent.features.base import Agent, Feature, StateProvider
from mlag_agent.features.parameters import FACTORY_DEFAULT
from mlag_agent.schema.nodes import Module, ModuleRequest

__all__ = ["FEATURE", "capabilities"]

SET_NAME = "all"


def _import_key(module: Module) -> dict[str, Any]:
    return {"name": module.name, "revision": module.revision or None, "namespace": module.namespace}


def _submodules(module: Module) -> list[dict[str, Any]]:
    return [{"name": name, "revision": revision or None} for name, revision, _ in module.submodules]


def _library(agent: Agent) -> Mapping[str, Any]:
    modules = agent.library.tree.modules.values()
    datastores = [f"ietf-datastores:{name}" for name in (*agent.stores.supported, "operational")]
    if FACTORY_DEFAULT in agent.library.tree.derived:
        datastores.append(FACTORY_DEFAULT)
    return {
        "content-id": agent.library.content_id,
        "module-set": [
            {
                "name": SET_NAME,
                "module": [
                    {
                        **_import_key(module),
                        "feature": module.features,
                        "deviation": module.deviations,
                        "submodule": _submodules(module),
                    }
                    for module in modules
                    if module.implemented
                ],
                "import-only-module": [
                    # The revision is a key there: empty where there is none.
                    {**_import_key(module), "revision": module.revision, "submodule": _submodules(module)}
                    for module in (*modules, *agent.library.tree.others)
                    if not module.implemented
                ],
            }
        ],
        "schema": [{"name": SET_NAME, "module-set": [SET_NAME]}],
        "datastore": [{"name": name, "schema": SET_NAME} for name in datastores],
    }


def _modules_state(agent: Agent) -> Mapping[str, Any]:
    """The deprecated tree, which clients of RFC 7895 read."""
    return {
        "module-set-id": agent.library.content_id,
        "module": [
            {
                "name": module.name,
                "revision": module.revision,
                "namespace": module.namespace,
                "feature": module.features,
                "deviation": [
                    {"name": name, "revision": agent.library.tree.modules[name].revision} for name in module.deviations
                ],
                "conformance-type": "implement" if module.implemented else "import",
                "submodule": [{"name": name, "revision": revision} for name, revision, _ in module.submodules],
            }
            for module in (*agent.library.tree.modules.values(), *agent.library.tree.others)
        ],
    }


def capabilities(content_id: str) -> tuple[str, str]:
    """What announces this module, with the same digest of what is served as in the tree.

    Version 1.1 (RFC 8526 section 2) tells clients of RFC 8525 that there are get-data and the operational datastore;
    1.0 (RFC 7895 section 2.2) tells older ones that ``modules-state`` is served.  Those that know both take 1.1.
    """
    base = "urn:ietf:params:netconf:capability:yang-library"
    return (
        f"{base}:1.0?revision=2019-01-04&module-set-id={content_id}",
        f"{base}:1.1?revision=2019-01-04&content-id={content_id}",
    )


FEATURE = Feature(
    name="yang-library",
    modules=(ModuleRequest("ietf-yang-library"), ModuleRequest("ietf-datastores")),
    state=(
        StateProvider("/ietf-yang-library:yang-library", _library, fixed=True),
        StateProvider("/ietf-yang-library:modules-state", _modules_state, fixed=True),
    ),
)
