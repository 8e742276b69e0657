"""Rules of dfs-m-lag that YANG cannot say (DOMAIN 7.4): arithmetic on addresses, a dictionary, and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from mlag_agent.access.sealing import Sealer
from mlag_agent.data.tree import Container
from mlag_agent.datastore.subscriber import ChangeSet
from mlag_agent.errors import ApplyRefused, ErrorTag, RpcError, SettingsError
from mlag_agent.features.ports import interface_rows, m_lag_addresses

__all__ = ["GUARD_SECONDS", "CheckSubscriber", "address_errors", "load_weak_passwords"]

GUARD_SECONDS: Final = 300.0
"""Between on and off of enhanced Layer 3 forwarding or route convergence (command pages; DOMAIN 2.2)."""

MAX_DICTIONARY: Final = 16 * 1024 * 1024
"""Bytes of a dictionary of weak passwords: the largest public lists of passwords of 8 to 16 characters have fewer."""

_GROUP: Final = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']"
_GLOBAL: Final = "/dfs-m-lag:m-lag/global"
_INTERFACE: Final = "/ietf-interfaces:interfaces/interface"
_M_LAG: Final = "dfs-m-lag-interfaces:m-lag"
_GUARDED: Final = ("layer3-enhanced-enable", "route-convergence-enhanced-enable")


def load_weak_passwords(file: Path) -> frozenset[str]:
    """One password a line.  Raises SettingsError."""
    try:
        size = file.stat().st_size
        if size > MAX_DICTIONARY:
            raise SettingsError(f"the dictionary of weak passwords {file} has {size} bytes, at most {MAX_DICTIONARY}")
        # utf-8-sig: editors that begin a file with a byte order mark; a line ends where it does in a text file only.
        return frozenset(file.read_text(encoding="utf-8-sig").split("\n")) - {""}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the dictionary of weak passwords {file}: {error}") from error


class CheckSubscriber:
    """Refuses in ``prepare`` what the rules forbid; there is nothing to apply.

    ``guard``: seconds between two switches, 0: none; ``now`` gives seconds of a monotonic clock, that of the event loop
    unless given.  A configuration that comes back (start, rollback, factory reset) is not checked: it was in force
    before.
    """

    name: str = "rules of the DFS group"
    paths: tuple[str, ...] = (
        "/dfs-m-lag:m-lag/dfs-groups/dfs-group/authentication",
        _GLOBAL,
        f"{_INTERFACE}/{_M_LAG}",
        f"{_INTERFACE}/ietf-ip:ipv4/address",
        f"{_INTERFACE}/ietf-ip:ipv6/address",
    )

    def __init__(
        self,
        sealer: Sealer,
        weak_passwords: frozenset[str] = frozenset(),
        guard: float = GUARD_SECONDS,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._guard = guard
        self._sealer = sealer
        self._weak = weak_passwords
        self._now = now
        self._switched: dict[str, float] = {}

    def _time(self) -> float:
        return asyncio.get_running_loop().time() if self._now is None else self._now()

    async def prepare(self, change: ChangeSet) -> None:
        """Raises ApplyRefused with every rule that is broken."""
        errors = () if change.restoring else tuple(self._errors(change))
        if errors:
            raise ApplyRefused(*errors)

    async def commit(self, plan: None) -> None:
        """Nothing is applied."""

    async def abort(self, plan: None) -> None:
        """Nothing was taken."""

    def applied(self, change: ChangeSet) -> None:
        """The transaction is through (``Transactor.published``): the time of each switch is noted.

        Not that of the start, which comes from nothing: the guard is over after a restart (decision 064).
        """
        starting = change.restoring and not change.old.children
        if change.touches(_GLOBAL) and not starting:
            for leaf in _switches(change):
                self._switched[leaf] = self._time()

    def _errors(self, change: ChangeSet) -> Iterator[RpcError]:
        if self._weak and change.touches("/dfs-m-lag:m-lag/dfs-groups/dfs-group/authentication"):
            yield from self._weak_password(change.new)
        if change.touches(_GLOBAL):
            yield from self._too_soon(change)
        if any(change.touches(path) for path in self.paths[2:]):
            yield from address_errors(change.new)

    def _weak_password(self, root: Container) -> Iterator[RpcError]:
        m_lag = root.named("m-lag")
        groups = m_lag.container("dfs-groups") if isinstance(m_lag, Container) else None
        for group in groups.entries("dfs-group") if groups is not None else ():
            authentication = group.container("authentication")
            sealed = None if authentication is None else authentication.leaf("password")
            if sealed is not None and self._sealer.opened(sealed) in self._weak:
                yield RpcError(
                    ErrorTag.INVALID_VALUE,
                    "password (value not shown): it is in the dictionary of weak passwords",
                    app_tag="weak-password",
                    path=f"{_GROUP}/authentication/password",
                )

    def _too_soon(self, change: ChangeSet) -> Iterator[RpcError]:
        for leaf in _switches(change):
            last = self._switched.get(leaf)
            left = 0.0 if last is None else last + self._guard - self._time()
            if left > 0:
                yield RpcError(
                    ErrorTag.OPERATION_FAILED,
                    f"{leaf} was switched {self._guard - left:.0f} s ago; it can be switched again in {left:.0f} s,"
                    f" {self._guard:.0f} s after the last time",
                    app_tag="switched-too-soon",
                    path=f"{_GLOBAL}/{leaf}",
                )


def _switches(change: ChangeSet) -> Iterator[str]:
    for leaf in _GUARDED:
        if _effective(change.old, leaf) != _effective(change.new, leaf):
            yield leaf


def _effective(root: Container, leaf: str) -> str | None:
    """The value that counts: the default of the device's model unless configured; None: the model has no such leaf."""
    node = next(top for top in root.schema.children.values() if top.name == "m-lag").child("global")
    assert node is not None
    schema = node.child(leaf)
    if schema is None:
        return None
    m_lag = root.named("m-lag")
    overall = m_lag.container("global") if isinstance(m_lag, Container) else None
    value = None if overall is None else overall.leaf(leaf)
    return value if value is not None else next(iter(schema.defaults), None)


# --- addresses ------------------------------------------------------------------------------------------------------


def address_errors(root: Container) -> Iterator[RpcError]:
    """What is wrong with the M-LAG addresses of VLANIF and VBDIF interfaces (command pages 'm-lag ip address', ...)."""
    used: dict[str, str] = {}
    for row in interface_rows(root):
        m_lag = row.named("m-lag")
        if not isinstance(m_lag, Container):
            continue
        at = f"{_INTERFACE}[name='{row.leaf('name')}']/{_M_LAG}"
        own = tuple(_own_ipv4(row))
        for leaf, address in m_lag_addresses(m_lag):
            where = f"{at}/{leaf}"
            other = used.setdefault(address, where)
            if other != where:
                yield _refused("m-lag-address-in-use", where, f"{address} is an M-LAG address already, at {other}")
            if leaf == "ipv4/address":
                yield from _ipv4_errors(address, own, where)
            elif address in _own_ipv6(row):
                yield _refused("m-lag-address-own", where, f"{address} is the interface's own address")


def _own_ipv4(row: Container) -> Iterator[IPv4Interface]:
    ipv4 = row.named("ipv4")
    for entry in ipv4.entries("address") if isinstance(ipv4, Container) else ():
        length = entry.leaf("prefix-length")
        if length is not None:
            yield IPv4Interface(f"{entry.leaf('ip')}/{length}")


def _own_ipv6(row: Container) -> frozenset[str]:
    ipv6 = row.named("ipv6")
    entries = ipv6.entries("address") if isinstance(ipv6, Container) else ()
    return frozenset(str(IPv6Address(entry.leaf("ip") or "::")) for entry in entries)


def _ipv4_errors(address: str, own: tuple[IPv4Interface, ...], where: str) -> Iterator[RpcError]:
    value = ip_address(address)
    if any(value == interface.ip for interface in own):
        yield _refused("m-lag-address-own", where, f"{address} is the interface's own address")
        return
    around = [interface.network for interface in own if value in interface.network]
    if own and not around:
        subnets = ", ".join(str(interface.network) for interface in own)
        yield _refused(
            "m-lag-address-subnet", where, f"{address} is in no subnet of the interface, which has {subnets}"
        )
    for network in around:
        # In a subnet of 31 or 32 bits every address is one of a host (RFC 3021).
        if network.prefixlen < 31 and value in (network.network_address, network.broadcast_address):
            kind = "network" if value == network.network_address else "broadcast"
            yield _refused("m-lag-address-subnet", where, f"{address} is the {kind} address of {network}")


def _refused(app_tag: str, path: str, words: str) -> RpcError:
    return RpcError(ErrorTag.INVALID_VALUE, words, app_tag=app_tag, path=path)
