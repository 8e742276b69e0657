"""From settings to features, schema and agent: what is served, put together.  ``app`` gives it life and an end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlag_agent.access.audit import AuditLog
from mlag_agent.access.sealing import Sealer
from mlag_agent.access.users import Users
from mlag_agent.config import (
    Settings,
    cache_folder,
    make_modules,
    make_urls,
)
from mlag_agent.data.defaults import Mode
from mlag_agent.data.tree import empty
from mlag_agent.datastore.confirmed import CallLater, ConfirmedCommits
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.datastore.persist import Journal
from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.subscriber import Subscriber
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.errors import SettingsError
from mlag_agent.features import (
    agent_state,
    compare,
    factory,
    interfaces,
    mlag,
    mlag_checks,
    monitoring,
    nacm,
    netconf,
    netconf_events,
    nmda,
    partial_lock,
    simulator,
    subscriptions,
    with_defaults,
    yang_library,
)
from mlag_agent.features.base import Agent, Feature, Sessions
from mlag_agent.foreign.service import Foreign
from mlag_agent.mlag import Engine
from mlag_agent.models import DeviceModel
from mlag_agent.notify.clock import Clock
from mlag_agent.notify.log import ReplayLog
from mlag_agent.notify.notifier import Notifier
from mlag_agent.schema.cache import SchemaCache
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import Kind, ModuleRequest
from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1

__all__ = ["all_features", "load_library", "make_agent", "open_replay_log"]


@lru_cache(maxsize=8)
def _library(requests: tuple[ModuleRequest, ...], folders: tuple[Path, ...], cache: Path | None) -> SchemaLibrary:
    """Two devices of one model in one process share their schema: it never changes."""
    return SchemaLibrary.load(requests, folders, None if cache is None else SchemaCache(cache))


def load_library(settings: Settings, features: Sequence[Feature]) -> SchemaLibrary:
    """The schema of all modules that the features ask for; raises SchemaError."""
    return _library(
        tuple(request for feature in features for request in feature.modules),
        tuple(map(Path, settings.yang_dirs)),
        cache_folder(settings),
    )


def all_features(
    settings: Settings, engine: Engine, model: DeviceModel, foreign: Feature, more: Sequence[Feature]
) -> tuple[Feature, ...]:
    """The agent's own, those of the caller, and the modules of the settings; raises SettingsError."""
    features = (
        *_netconf_features(settings),
        with_defaults.feature(Mode(settings.with_defaults)),
        monitoring.FEATURE,
        yang_library.FEATURE,
        nmda.feature(),
        compare.FEATURE,
        factory.FEATURE,
        *subscriptions.features(),
        partial_lock.FEATURE,
        netconf_events.FEATURE,
        interfaces.feature(engine),
        mlag.feature(engine, model),
        simulator.feature(engine),
        agent_state.feature(settings.device.name, model),
        nacm.feature(),
        foreign,
        *more,
    )
    return (*features, _extra_modules(settings, features))


def make_agent(
    settings: Settings,
    library: SchemaLibrary,
    features: tuple[Feature, ...],
    *,
    engine: Engine,
    sealer: Sealer,
    foreign: Foreign,
    users: Users,
    journal: Journal,
    sessions: Sessions,
    notifier: Notifier,
    audit: AuditLog | None,
    call_later: CallLater | None,
) -> Agent:
    """Datastores, transactor and access control, in the modes of the settings; raises SettingsError."""
    nothing = empty(library.tree.data)
    startup = settings.startup
    stores = Datastores(
        nothing,
        nothing if startup else None,
        candidate=settings.candidate,
        writable_running=settings.writable_running,
    )
    access = nacm.make_access_control(
        library.tree,
        enforced=settings.access.nacm,
        recovery=frozenset(settings.access.recovery_users),
        groups_of=users.groups,
    )
    rules = nacm.RuleSubscriber(access, library.tree)
    weak = settings.device.weak_passwords
    checks = mlag_checks.CheckSubscriber(
        sealer,
        frozenset() if weak is None else mlag_checks.load_weak_passwords(Path(weak)),
        settings.device.switch_guard,
    )
    subscriber = mlag.EngineSubscriber(engine, sealer)
    # With a startup datastore running is what was booted and edited since: it does not outlive the process.
    subscribers: Sequence[Subscriber[Any]] = (rules, checks, subscriber, *foreign.subscribers(library.tree))
    transactor = Transactor(library, stores, subscribers=subscribers, journal=None if startup else journal)
    transactor.published += (rules.applied, checks.applied, subscriber.applied)
    reader = PayloadReader(library, mlag.password_transforms(library.tree, sealer))
    return Agent(
        library=library,
        stores=stores,
        transactor=transactor,
        commits=ConfirmedCommits(transactor, stores, library.tree.namespaces, call_later=call_later),
        reader=reader,
        factory=factory.factory_configuration(settings.factory_default, library, reader, transactor),
        journal=journal,
        sessions=sessions,
        notifier=notifier,
        access=access,
        audit=audit,
        strict=settings.strict,
        urls=make_urls(settings),
        capabilities=_capabilities(library, features),
        features=features,
        basic_mode=Mode(settings.with_defaults),
    )


def open_replay_log(settings: Settings, library: SchemaLibrary, folder: Path, clock: Clock) -> ReplayLog | None:
    """The log of events in the state folder; None when the settings want none."""
    bounds = settings.notifications
    if not bounds.replay_length:
        return None
    by_path = {
        node.path: node
        for top in (*library.tree.notifications.values(), library.tree.data)
        for node in top.everything()
        if node.kind is Kind.NOTIFICATION
    }
    return ReplayLog.open(
        folder / "notifications.db",
        length=bounds.replay_length,
        size=bounds.replay_bytes,
        find=by_path.get,
        clock=clock,
    )


def _netconf_features(settings: Settings) -> Sequence[Feature]:
    """NETCONF itself, with the datastores that the settings ask for; raises SettingsError."""
    modes = netconf.Modes(
        settings.candidate, settings.writable_running, settings.startup, tuple(sorted(set(settings.url.schemes)))
    )
    found = [netconf.feature(modes)]
    if modes.candidate == "private":
        found.append(netconf.private_candidate())
    return found


def _extra_modules(settings: Settings, features: Sequence[Feature]) -> Feature:
    """The modules of the settings but those that the agent serves anyway, whose features are its own to choose."""
    built_in = {request.name for feature in features for request in feature.modules}
    wanted: dict[str, tuple[str, ...]] = {}
    for request in make_modules(settings):
        if request.name not in built_in:
            wanted[request.name] = (*wanted.get(request.name, ()), *request.features)
        elif request.features:
            raise SettingsError(
                f"{request.name} is a module of the agent itself, which decides on its features",
                "leave it out of the modules to serve",
            )
    modules = tuple(ModuleRequest(name, tuple(dict.fromkeys(enabled))) for name, enabled in wanted.items())
    return Feature(name="extra modules", modules=modules, data_only=True)


def _capabilities(library: SchemaLibrary, features: Sequence[Feature]) -> tuple[str, ...]:
    """What ``<hello>`` says: the base, what features add, and the YANG 1 modules (RFC 6020 section 5.6.4).

    YANG 1.1 modules are announced by yang-library alone (RFC 7950 section 5.6.4).
    """
    found = [BASE_1_0, BASE_1_1]
    for feature in features:
        found.extend(feature.capabilities)
    found.extend(yang_library.capabilities(library.content_id))
    for module in library.tree.modules.values():
        if not module.implemented or module.yang_version == "1.1":
            continue
        uri = f"{module.namespace}?module={module.name}"
        if module.revision:
            uri += f"&revision={module.revision}"
        if module.features:
            uri += f"&features={','.join(module.features)}"
        if module.deviations:
            uri += f"&deviations={','.join(module.deviations)}"
        found.append(uri)
    return tuple(found)
