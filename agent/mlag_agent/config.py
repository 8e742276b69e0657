"""Settings: a TOML file and command-line options into one frozen structure.

Every setting has a default but the users: there is no default password, and without a user nobody can come in.
``docs/settings.md`` lists them.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import asyncssh
import msgspec

from mlag_agent.access.audit import AuditFile, AuditLog
from mlag_agent.access.cert_to_name import Fingerprint, MapType, NameRule
from mlag_agent.access.logins import FIRST_DELAY
from mlag_agent.access.users import MANAGEMENT, User, hash_password, parse_authorized_keys
from mlag_agent.errors import SettingsError
from mlag_agent.mlag import HostFabric, LoopbackFabric, PeerLinkAddresses
from mlag_agent.models import DEFAULT_MODEL
from mlag_agent.notify.outbox import QUEUE_BYTES, QUEUE_LENGTH
from mlag_agent.remote.sftp import Sftp
from mlag_agent.remote.urls import UrlLimits, Urls
from mlag_agent.schema.cache import user_cache_folder
from mlag_agent.schema.nodes import ALL_FEATURES, ModuleRequest

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_TLS_PORT",
    "AccessSettings",
    "AuditSettings",
    "CallHomeSettings",
    "CertToNameSettings",
    "DeviceSettings",
    "FabricSettings",
    "LimitSettings",
    "ListenSettings",
    "MetricsSettings",
    "NotificationSettings",
    "Settings",
    "TableSettings",
    "TlsSettings",
    "UrlSettings",
    "UserSettings",
    "cache_folder",
    "checked",
    "load_settings",
    "make_audit",
    "make_ca_keys",
    "make_fabric",
    "make_modules",
    "make_name_rules",
    "make_urls",
    "make_users",
    "read_authorized_keys",
    "user_with_password",
]

# Unprivileged, and named in the README; 830 needs root or a capability.
DEFAULT_PORT = 8300

DEFAULT_TLS_PORT = 6513
"""RFC 7589 section 8."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""RFC 7950 section 14, identifier."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
SecondsOrNone = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
"""0 switches the limit off."""


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Base of all: keys in the file are spelt with hyphens, unknown ones are errors."""


class DeviceSettings(_Frozen, frozen=True):
    """What the device is.  ``model`` decides on YANG features."""

    name: Name = "device"
    model: str = DEFAULT_MODEL
    weak_passwords: str | None = None
    """File of passwords, one a line, that the DFS group may not have."""
    switch_guard: SecondsOrNone = 300.0
    """Seconds between on and off of enhanced Layer 3 forwarding or route convergence, as on the device."""


class ListenSettings(_Frozen, frozen=True):
    """Where NETCONF over SSH is served, if it is; port 0 takes a free one.

    ``host-keys``: the kinds that clients can choose from; each is made at the first start that needs it.
    """

    host: str = "127.0.0.1"
    port: Port = DEFAULT_PORT
    ssh: bool = True
    host_keys: Annotated[tuple[Literal["ed25519", "rsa", "ecdsa"], ...], msgspec.Meta(min_length=1)] = ("ed25519",)


class CertToNameSettings(_Frozen, frozen=True):
    """One entry of RFC 7407's list ``cert-to-name``: which certificates it is for, and how they give a user's name."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    fingerprint: str
    map_type: MapType
    name: Name | None = None


class TlsSettings(_Frozen, frozen=True):
    """NETCONF over TLS (RFC 7589): PEM files, and where it is served; port 0 takes a free one.

    ``listen = false``: the certificates are for call home only.
    """

    certificate: str
    key: str
    client_ca: str
    crl: str | None = None
    host: str = "127.0.0.1"
    port: Port = DEFAULT_TLS_PORT
    listen: bool = True
    cert_to_name: tuple[CertToNameSettings, ...] = ()


class CallHomeSettings(_Frozen, frozen=True):
    """A management station that the agent connects to (RFC 8071); the first of ``hosts`` that can be had is used.

    ``port`` 0 is the registered one of the transport.  Times in seconds, with the ranges of DOMAIN.md 5.2.
    """

    name: Name
    hosts: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=40)]
    transport: Literal["ssh", "tls"] = "ssh"
    port: Port = 0
    source_address: str | None = None
    reconnect_interval: Annotated[float, msgspec.Meta(ge=5, le=300)] = 5
    keepalive_interval: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60
    keepalive_count: Annotated[int, msgspec.Meta(ge=1, le=30)] = 3


class MetricsSettings(_Frozen, frozen=True):
    """Where Prometheus and health checks may ask; there is no authentication.  Port 0 takes a free one."""

    port: Port
    host: str = "127.0.0.1"


class LimitSettings(_Frozen, frozen=True):
    """What clients may take of this agent; times in seconds, sizes in bytes.

    The reasons stand with the constants in ``server.transports.admission`` and ``wire``.
    """

    max_sessions: Count = 512
    max_sessions_per_user: Count = 256
    max_connections: Count = 512
    max_unauthenticated: Count = 256
    max_auth_attempts: Count = 6
    login_timeout: Seconds = 30.0
    hello_timeout: Seconds = 60.0
    idle_timeout: Seconds = 60.0
    unread_timeout: SecondsOrNone = 600.0
    keepalive_interval: SecondsOrNone = 0.0
    stop_timeout: SecondsOrNone = 10.0
    message_size: Annotated[int, msgspec.Meta(ge=16 * 1024, le=1024**3)] = 30 * 1024 * 1024
    hello_size: Annotated[int, msgspec.Meta(ge=16 * 1024, le=16 * 1024**2)] = 1024 * 1024
    depth: Annotated[int, msgspec.Meta(ge=32, le=250)] = 128


class UserSettings(_Frozen, frozen=True):
    """A user: an argon2 hash (``mlag-agent hash-password``), a file of authorized keys, or both."""

    name: Name
    password_hash: str | None = None
    authorized_keys: str | None = None
    level: Annotated[int, msgspec.Meta(ge=0, le=3)] = MANAGEMENT
    """The device's: 0 visit, 1 monitoring, 2 configuration, 3 management (DOMAIN 5.3)."""
    principals: tuple[Name, ...] = ()
    """Names of which a certificate must have one; his own unless given."""
    groups: tuple[Name, ...] = ()
    """More groups of ietf-netconf-acm that the user is in."""


class UrlSettings(_Frozen, frozen=True):
    """The :url capability (RFC 6241 section 8.8), off without schemes."""

    schemes: tuple[Literal["file", "https", "sftp"], ...] = ()
    folder: str | None = None
    """All that file URLs can name is below it."""
    hosts: tuple[Name, ...] = ()
    """Hosts that URLs may name; empty: any."""
    ca_file: str | None = None
    """Certificates of the authorities that https servers are checked with, instead of the system's."""
    known_hosts: str | None = None
    """Host keys of sftp servers, in OpenSSH's format."""
    key_file: str | None = None
    """Private key to log in to sftp servers with."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] = 16 * 1024 * 1024
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0
    """Seconds, for the whole of reading or writing."""


class AuditSettings(_Frozen, frozen=True):
    """The audit log: one line of JSON for each operation, session and failed login."""

    file: str = "auto"
    """``auto``: ``audit.jsonl`` in the state folder; ``off``: none."""
    reads: bool = True
    """Whether reads that succeed have a line."""
    max_size: Annotated[int, msgspec.Meta(ge=4096)] = 10 * 1024 * 1024
    """Bytes, after which a new file is begun."""
    keep: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5
    """Old files that are kept."""


class AccessSettings(_Frozen, frozen=True):
    """Access control (RFC 8341).  ``nacm = false`` turns it off, whatever is configured."""

    nacm: bool = True
    user_ca_keys: str | None = None
    """File of public keys of authorities whose OpenSSH certificates let users in."""
    login_delay: Annotated[float, msgspec.Meta(ge=0, le=10)] = FIRST_DELAY
    """Seconds after the first failed login of a source, doubled with each further one; 0: none."""
    recovery_users: tuple[Name, ...] = ()
    """Users to whom no rule applies (RFC 8341 section 3.3.3)."""


class FabricSettings(_Frozen, frozen=True):
    """Where the addresses of the sync channel live (ARCHITECTURE section 7).

    ``loopback``: a ``rendezvous`` folder shared by the agents of this machine, and the name of the ``pair``.
    ``host``: this machine's own addresses; the peer-link has an address pair and port of its own.
    """

    kind: Literal["loopback", "host"] = "loopback"
    rendezvous: str | None = None
    pair: str = "pair"
    peer_link_local: str | None = None
    peer_link_peer: str | None = None
    peer_link_port: Port = 0


class TableSettings(_Frozen, frozen=True):
    """Sizes of the simulated device's tables, in entries."""

    arp: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 16384
    nd: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 16384


class NotificationSettings(_Frozen, frozen=True):
    """Bounds on events: what may wait for one session, and what is kept for replay (length 0: no replay)."""

    queue_length: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = QUEUE_LENGTH
    queue_bytes: Annotated[int, msgspec.Meta(ge=1024, le=2**32)] = QUEUE_BYTES
    replay_length: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 10_000
    replay_bytes: Annotated[int, msgspec.Meta(ge=1024, le=2**32)] = 16 * 1024 * 1024


class Settings(_Frozen, frozen=True):
    """Everything that ``serve`` takes."""

    state: str = "mlag-agent-state"
    device: DeviceSettings = DeviceSettings()
    listen: ListenSettings = ListenSettings()
    tls: TlsSettings | None = None
    call_home: tuple[CallHomeSettings, ...] = ()
    limits: LimitSettings = LimitSettings()
    metrics: MetricsSettings | None = None
    users: tuple[UserSettings, ...] = ()
    access: AccessSettings = AccessSettings()
    audit: AuditSettings = AuditSettings()
    fabric: FabricSettings = FabricSettings()
    tables: TableSettings = TableSettings()
    notifications: NotificationSettings = NotificationSettings()
    strict: bool = False
    candidate: Literal["shared", "private", "none"] = "shared"
    writable_running: bool = True
    startup: bool = False
    with_defaults: Literal["explicit", "trim", "report-all"] = "explicit"
    """The basic mode of RFC 6243."""
    url: UrlSettings = UrlSettings()
    factory_default: str | None = None
    """A file with the configuration that a device without any begins with."""
    yang_dirs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """More modules to serve, each as ``name``, ``name:feature1,feature2`` or ``name:*`` for all of its features."""
    hooks: tuple[str, ...] = ()
    """Python files with behaviour for modules (``mlag_agent.hooks``)."""
    replies: tuple[str, ...] = ()
    """XML files with canned replies."""
    hook_timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    """Seconds in which a function of a hook has to answer."""
    control: bool = True
    """Whether ``mlag-agent ctl`` is answered, on a socket in the state folder."""
    log_length: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000
    """Operations that the record for ``ctl log`` keeps."""
    schema_cache: str = "auto"
    """What loading modules has given, from start to start: a folder, ``auto`` for the user's cache folder, ``off``."""


def load_settings(path: Path) -> Settings:
    """Read a settings file; raises SettingsError with the place of the first thing wrong."""
    try:
        text = path.read_bytes().decode()
        return msgspec.convert(tomllib.loads(text), Settings)
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}", "docs/settings.md lists all settings") from error


def checked(settings: Settings) -> Settings:
    """Settings put together by a program or from options, checked as those of a file are; raises SettingsError."""
    try:
        return msgspec.convert(msgspec.to_builtins(settings), Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error), "docs/settings.md lists all settings") from error


def cache_folder(settings: Settings) -> Path | None:
    """Where loaded schemas are kept; None: nowhere."""
    if settings.schema_cache == "off":
        return None
    return user_cache_folder() if settings.schema_cache == "auto" else Path(settings.schema_cache)


def make_urls(settings: Settings) -> Urls | None:
    """What serves URLs; None without the capability.  Raises SettingsError."""
    url = settings.url
    if not url.schemes:
        return None
    folder = known_hosts = https = None
    if "file" in url.schemes:
        if url.folder is None or not Path(url.folder).is_dir():
            raise SettingsError(f"url.folder is {url.folder!r} and no folder", "file URLs need one to be kept within")
        folder = Path(url.folder)
    if "sftp" in url.schemes:
        if url.known_hosts is None or not Path(url.known_hosts).is_file():
            words = f"url.known-hosts is {url.known_hosts!r} and no file"
            raise SettingsError(words, "sftp URLs need the host keys of the servers")
        known_hosts = Path(url.known_hosts)
    if "https" in url.schemes:
        # Few want it, and httpx brings a terminal library along: 40 ms of the start and 6 MB.
        from mlag_agent.remote.https import Https  # noqa: PLC0415

        try:
            https = Https(None if url.ca_file is None else Path(url.ca_file), url.max_bytes, url.timeout)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"url.ca-file {url.ca_file} cannot be used: {error}") from error
    key_file = None if url.key_file is None else Path(url.key_file)
    sftp = None if known_hosts is None else Sftp(known_hosts, key_file, url.max_bytes)
    return Urls(UrlLimits(url.max_bytes, url.timeout, url.hosts), folder=folder, https=https, sftp=sftp)


def make_modules(settings: Settings) -> tuple[ModuleRequest, ...]:
    """The extra modules of the settings; raises SettingsError for what is no module's name."""
    requests = []
    for text in settings.modules:
        name, _, features = text.partition(":")
        given = tuple(filter(None, features.split(",")))
        if not all(_IDENTIFIER.fullmatch(word) for word in (name, *given) if word != ALL_FEATURES or word is name):
            raise SettingsError(f"module {text!r} is not of the form NAME, NAME:FEATURE,FEATURE or NAME:*")
        requests.append(ModuleRequest(name, given))
    return tuple(requests)


def make_users(settings: Settings) -> tuple[User, ...]:
    """The users of the settings; raises SettingsError, also when nobody could come in, by TLS neither."""
    users = []
    for user in settings.users:
        keys: tuple[asyncssh.SSHKey, ...] = ()
        if user.authorized_keys is not None:
            keys = read_authorized_keys(Path(user.authorized_keys))
        users.append(User(user.name, user.password_hash, keys, user.level, frozenset(user.groups), user.principals))
    if not users and (settings.tls is None or not settings.tls.cert_to_name):
        raise SettingsError(
            "no user is set, so nobody could log in",
            "give --user NAME with --authorized-keys FILE or the password in MLAG_AGENT_PASSWORD,"
            " or [[users]] in the settings file",
        )
    return tuple(users)


def make_name_rules(tls: TlsSettings) -> tuple[NameRule, ...]:
    """The cert-to-name list of the settings; raises SettingsError."""
    return tuple(
        NameRule(entry.id, Fingerprint.parse(entry.fingerprint), entry.map_type, entry.name)
        for entry in tls.cert_to_name
    )


def make_ca_keys(settings: Settings) -> tuple[asyncssh.SSHKey, ...]:
    """The authorities of users' certificates; raises SettingsError."""
    file = settings.access.user_ca_keys
    return () if file is None else read_authorized_keys(Path(file))


def read_authorized_keys(path: Path) -> tuple[asyncssh.SSHKey, ...]:
    """Public keys in OpenSSH's format; raises SettingsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the authorized keys {path}: {error}") from error
    return parse_authorized_keys(text, source=str(path))


def user_with_password(name: str, password: str) -> UserSettings:
    """A user from a password in the clear, which is hashed at once."""
    return UserSettings(name=name, password_hash=hash_password(password))


def make_fabric(settings: Settings) -> LoopbackFabric | HostFabric:
    """The fabric of the settings; raises SettingsError for what does not go together."""
    fabric = settings.fabric
    if fabric.kind == "loopback":
        folder = Path(fabric.rendezvous) if fabric.rendezvous is not None else default_rendezvous()
        return LoopbackFabric(folder, settings.device.name, fabric.pair)
    if fabric.peer_link_local is None and fabric.peer_link_peer is None:
        return HostFabric()
    try:
        addresses = PeerLinkAddresses(
            ip_address(fabric.peer_link_local or ""), ip_address(fabric.peer_link_peer or ""), fabric.peer_link_port
        )
    except ValueError as error:
        raise SettingsError(
            f"the peer-link of the host fabric: {error}", "give peer-link-local, peer-link-peer and peer-link-port"
        ) from error
    return HostFabric(addresses)


def make_audit(settings: Settings) -> AuditLog | None:
    """The audit log of the settings, None for none; raises SettingsError when it cannot be written."""
    audit = settings.audit
    if audit.file == "off":
        return None
    path = Path(settings.state) / "audit.jsonl" if audit.file == "auto" else Path(audit.file)
    return AuditLog(AuditFile(path, max_bytes=audit.max_size, keep=audit.keep), reads=audit.reads)


def default_rendezvous() -> Path:
    """One folder for this user's agents on this machine, so that two of them meet without being told."""
    return Path(tempfile.gettempdir()) / f"mlag-agent-rendezvous-{os.getuid()}"
