"""ietf-netconf: which of the operations of RFC 6241 sections 7 and 8 this server has, by its settings; get, get-config.

The capabilities are writable-running (8.2), candidate (8.3), confirmed-commit (8.4), rollback-on-error (8.5),
validate (8.6) and startup (8.7).  Capability, YANG feature, operation and refusal come from the same place here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlag_agent.data.build import EVERYTHING
from mlag_agent.data.tree import merge
from mlag_agent.datastore.stores import CandidateMode
from mlag_agent.errors import SettingsError
from mlag_agent.features import commit, editing, locks, sessions
from mlag_agent.features.base import Agent, Feature, Handler, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.features.parameters import datastore
from mlag_agent.features.reading import read_filter, read_mode, read_reply
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["Modes", "feature", "private_candidate"]

BASE = "urn:ietf:params:netconf:capability:"


@dataclass(frozen=True, slots=True)
class Modes:
    """Which datastores there are, and which of them can be edited.  Raises SettingsError when none can."""

    candidate: CandidateMode = "shared"
    writable_running: bool = True
    startup: bool = False
    url_schemes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.candidate == "none" and not self.writable_running:
            raise SettingsError(
                "without a candidate and with a running that cannot be written, nothing could be configured",
                'set candidate = "shared" or writable-running = true',
            )


def feature(modes: Modes) -> Feature:
    """The operations of a server with these datastores."""
    enabled = {"rollback-on-error": ("1.0",), "validate": ("1.0", "1.1"), "xpath": ("1.0",)}
    if modes.writable_running:
        enabled["writable-running"] = ("1.0",)
    if modes.candidate != "none":
        enabled |= {"candidate": ("1.0",), "confirmed-commit": ("1.0", "1.1")}
    if modes.startup:
        enabled["startup"] = ("1.0",)
    if modes.url_schemes:
        enabled["url"] = (f"1.0?scheme={','.join(modes.url_schemes)}",)
    with_commit = modes.candidate != "none"
    return Feature(
        name="netconf",
        modules=(
            ModuleRequest("ietf-netconf", tuple(sorted(enabled))),
            *((ModuleRequest("mlag-agent-commit"),) if with_commit else ()),
        ),
        state=(StateProvider("/mlag-agent-commit:commits", commit.list_of_commits),) if with_commit else (),
        rpcs={f"ietf-netconf:{name}": handler for name, handler in _handlers(modes).items()},
        capabilities=tuple(f"{BASE}{name}:{version}" for name, versions in enabled.items() for version in versions),
        refusals=dict(_refusals(modes)),
    )


def private_candidate() -> Feature:
    """What goes along with a private candidate."""
    return Feature(
        name="private candidate",
        modules=(ModuleRequest("mlag-agent-candidate"),),
        rpcs={"mlag-agent-candidate:update": commit.update},
    )


def _handlers(modes: Modes) -> Mapping[str, Handler]:
    handlers: dict[str, Handler] = {
        "get": _get,
        "get-config": _get_config,
        "edit-config": editing.edit_config,
        "copy-config": editing.copy_config,
        "delete-config": editing.delete_config,
        "lock": locks.lock,
        "unlock": locks.unlock,
        "close-session": sessions.close_session,
        "kill-session": sessions.kill_session,
        "validate": editing.validate,
    }
    if modes.candidate != "none":
        handlers |= {
            "commit": commit.commit,
            "cancel-commit": commit.cancel_commit,
            "discard-changes": editing.discard_changes,
        }
    return handlers


def _refusals(modes: Modes) -> Iterator[tuple[str, str]]:
    """What is not there with these settings, and what to do instead."""
    head = "/ietf-netconf:"
    if modes.candidate == "none":
        for name in ("commit", "cancel-commit", "discard-changes"):
            yield f"{head}{name}", "this server has no candidate; a change of running is in force at once"
        yield from _parameters("candidate", "this server has no candidate; use running", both=True)
    if not modes.writable_running:
        words = "running cannot be edited directly on this server; edit the candidate and commit"
        for name in ("edit-config", "copy-config"):
            yield f"{head}{name}/target/running", words
    if not modes.startup:
        words = "this server has no startup datastore; running is durable"
        yield from _parameters("startup", words, both=False)
        yield f"{head}delete-config/target/startup", words


def _parameters(name: str, words: str, *, both: bool) -> Iterator[tuple[str, str]]:
    targets = ["copy-config", "lock", "unlock", *(["edit-config"] if both else [])]
    places = [f"{operation}/target" for operation in targets]
    places += [f"{operation}/source" for operation in ("get-config", "copy-config", "validate")]
    for place in places:
        yield f"/ietf-netconf:{place}/{name}", words


async def _get(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    wanted = read_filter(agent, session, rpc)
    state = agent.state(EVERYTHING if wanted is None else wanted.selection)
    return await read_reply(agent, session, merge(agent.stores.running, state), wanted, read_mode(agent, rpc))


async def _get_config(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
    root = agent.stores.get(datastore(agent, rpc, "source"), session.session_id)
    wanted = read_filter(agent, session, rpc)
    return await read_reply(agent, session, root, wanted, read_mode(agent, rpc), config_only=True)
