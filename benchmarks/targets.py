"""The figures of the bench, with the bounds of the issue and of PEERS.md.

PEERS.md gives times of one machine, on which an echo took 0.27 ms: bounds given there in ms or s stand here in echoes
of the same run.  Memory is memory, and what is compared with itself (50,000 entries with 10) is a plain ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["FIGURES", "Compared", "Figure", "figure"]

PEERS_ECHO_MS = 0.27
"""What an echo took on the machine of PEERS.md."""


class Compared(Enum):
    """What a figure is divided by."""

    ECHOES = "echoes"  # an echo's median in the same rounds
    ECHO_SERVER = "x echo"  # the same done by the echo server
    SAME_AT_10 = "x at 10"  # the same at 10 entries
    NOTHING = ""  # the figure itself is bounded
    FLOOR = "of the floor"  # a plain socket, without what is measured


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.  ``target`` and ``goal`` bound the ratio, or the value where nothing is compared."""

    key: str
    title: str
    unit: str
    compared: Compared = Compared.NOTHING
    target: float | None = None
    goal: float | None = None
    more_is_better: bool = False

    def met(self, measured: float, bound: float | None) -> bool | None:
        """Whether a bound holds; None where there is none."""
        if bound is None:
            return None
        return measured >= bound if self.more_is_better else measured <= bound


def _ms(milliseconds: float) -> float:
    return round(milliseconds / PEERS_ECHO_MS, 2)


_E = Compared.ECHOES

FIGURES: tuple[Figure, ...] = (
    Figure("echo", "echo", "ms"),
    Figure("echo-gcm", "echo with the agent's cipher, AES-GCM", "ms", _E),
    Figure("set-up", "session set-up", "ms", Compared.ECHO_SERVER, 1.5, 1.2),
    Figure("small", "small get-config", "ms", _E, 1.75, 1.4),
    Figure("get", "get, all configuration and state", "ms", _E),
    Figure("leaf-10", "one-leaf edit + commit at 10 entries", "ms", _E, 4, 3),
    Figure("leaf-10-volatile", "the same, not on disk (with a startup datastore)", "ms", _E, 4, 3),
    Figure("leaf-m-lag", "one-leaf edit + commit that the engine applies", "ms", _E),
    Figure("leaf-10000", "one-leaf edit + commit at 10,000", "ms", _E, _ms(1.5), _ms(0.9)),
    Figure("leaf-50000", "one-leaf edit + commit at 50,000", "ms", _E, _ms(1.5), _ms(0.9)),
    Figure("leaf-flat", "one-leaf edit + commit, 50,000 against 10", "", Compared.SAME_AT_10, 2),
    Figure("leaf-worst", "one-leaf edit + commit at 50,000, 99 of 100 within", "ms", _E),
    Figure("one-10", "get-config of one of 10 by key", "ms", _E),
    Figure("one-10000", "get-config of one of 10,000 by key", "ms", _E, _ms(0.5), _ms(0.35)),
    Figure("one-50000", "get-config of one of 50,000 by key", "ms", _E, _ms(0.5), _ms(0.4)),
    Figure("one-flat", "get-config by key, 50,000 against 10", "", Compared.SAME_AT_10, 1.5),
    Figure("load-10000", "load of 10,000 entries, committed", "s", _E, _ms(400), _ms(250)),
    Figure("load-50000", "load of 50,000 entries, committed", "s", _E, _ms(2000), _ms(1300)),
    Figure("full-10000", "full get-config of 10,000", "ms", _E, _ms(15), _ms(8)),
    Figure("full-50000", "full get-config of 50,000", "ms", _E, _ms(70), _ms(35)),
    Figure("stall", "worst get-config of others while 50,000 are loaded", "ms", _E),
    Figure("sessions-50", "50 sessions, small get-config", "/s", Compared.ECHO_SERVER, 0.5, 0.6, more_is_better=True),
    Figure("memory-0", "resident, empty", "MB", Compared.NOTHING, 60, 50),
    Figure("memory-10000", "resident, 10,000 entries", "MB", Compared.NOTHING, 110, 90),
    Figure("memory-50000", "resident, 50,000 entries", "MB", Compared.NOTHING, 250, 200),
    Figure("start", "start to first hello", "s", Compared.NOTHING, 1),
    Figure("start-first", "the same, nothing cached yet", "s"),
    Figure("start-60", "start to first hello with 60 modules", "s", Compared.NOTHING, 1),
    Figure("start-60-first", "the same, nothing cached yet", "s"),
    Figure("engine-arp", "engine, ARP entries", "/s", Compared.FLOOR, more_is_better=True),
    Figure("engine-nd", "engine, ND entries", "/s", Compared.FLOOR, more_is_better=True),
    Figure("libyang", "libyang alone, 10,000 entries", "ms"),
    Figure("sqlite", "SQLite alone, one durable commit", "ms"),
)

_BY_KEY = {figure.key: figure for figure in FIGURES}


def figure(key: str) -> Figure:
    """The figure of that key; KeyError when there is none."""
    return _BY_KEY[key]
