"""What the bench sends: operations and configurations of the module ``bench-entries``."""

from __future__ import annotations

__all__ = [
    "CLEAR", "COMMIT", "GET", "GET_ALL", "M_LAG", "SMALL_ENTRIES", "WHOLE",
    "edit", "entries", "leaf", "m_lag_leaf", "one",
]  # fmt: skip

SMALL_ENTRIES = 2
"""Entries of the small configuration: about 350 bytes of XML."""

NAMESPACE = "urn:mlag-agent:yang:bench-entries"

GET = b"<get-config><source><running/></source></get-config>"
GET_ALL = b"<get/>"
COMMIT = b"<commit/>"

_HEAD = b'<entries xmlns="%b">' % NAMESPACE.encode()
_M_LAG = b'<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag">'

WHOLE = b'<get-config><source><running/></source><filter type="subtree">' + _HEAD + b"</entries></filter></get-config>"
"""The whole list, by filter."""


def edit(config: bytes, target: bytes = b"candidate") -> bytes:
    """An edit-config that merges."""
    return b"<edit-config><target><%b/></target><config>%b</config></edit-config>" % (target, config)


CLEAR = edit(
    b'<entries xmlns="%b" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"/>'
    % NAMESPACE.encode()
)
"""Takes the whole list away."""

M_LAG = edit(
    _M_LAG + b"<dfs-groups><dfs-group><id>1</id><peer-link-source><ipv6><local-address>2001:db8:1::1</local-address>"
    b"<peer-address>2001:db8:1::2</peer-address><tcp-port>2048</tcp-port></ipv6></peer-link-source></dfs-group>"
    b"</dfs-groups></m-lag>"
)
"""The DFS group of the documentation example: with it a one-leaf commit goes through the engine's two phases."""


def entries(count: int) -> bytes:
    """The list with ``count`` entries, about 155 bytes each."""
    rows = "".join(
        f"<entry><id>{i}</id><name>entry number {i}</name><local>2001:db8:1::{i:x}</local>"
        f"<peer>2001:db8:2::{i:x}</peer><port>{1025 + i % 60000}</port></entry>"
        for i in range(count)
    )
    return _HEAD + rows.encode() + b"</entries>"


def one(number: int) -> bytes:
    """A get-config of one entry by its key."""
    return (
        b'<get-config><source><running/></source><filter type="subtree">'
        + _HEAD + b"<entry><id>%d</id></entry></entries></filter></get-config>" % number
    )  # fmt: skip


def leaf(number: int, port: int) -> bytes:
    """An edit-config of one leaf of one entry."""
    return edit(_HEAD + b"<entry><id>%d</id><port>%d</port></entry></entries>" % (number, port))


def m_lag_leaf(rate: int) -> bytes:
    """An edit-config of one leaf that the engine subscribes to."""
    return edit(_M_LAG + b"<global><arp-backup-rate>%d</arp-backup-rate></global></m-lag>" % rate)
