"""Requests that are well-formed XML and, more or less, NETCONF: what a fuzz test sends to a whole agent."""

from __future__ import annotations

import random

from netconf_client import DML, NC, NI

__all__ = ["YANG", "Writer"]

YANG = "urn:ietf:params:xml:ns:yang:1"
SIM = "urn:mlag-agent:yang:mlag-simulator"

NAMES = [
    "edit-config",
    "get-config",
    "get",
    "copy-config",
    "delete-config",
    "lock",
    "unlock",
    "commit",
    "discard-changes",
    "validate",
    "get-schema",
    "learn-entries",
    "age-entries",
    "list-entries",
    "set-fault",
    "target",
    "source",
    "running",
    "candidate",
    "startup",
    "config",
    "filter",
    "url",
    "default-operation",
    "test-option",
    "error-option",
    "m-lag",
    "dfs-groups",
    "dfs-group",
    "id",
    "peer-link-source",
    "ipv4",
    "ipv6",
    "local-address",
    "peer-address",
    "tcp-port",
    "vpn-instance",
    "authentication",
    "password",
    "network-instances",
    "network-instance",
    "name",
    "vrf-root",
    "identifier",
    "version",
    "format",
    "start-address",
    "count",
    "vlan",
    "link",
    "fault",
    "delay",
    "state",
    "global",
    "offset",
    "limit",
]
SPACES = (NC, DML, NI, SIM, "urn:x", "")
VALUES = (
    "",
    " ",
    "1",
    "x",
    "10.1.1.1",
    "2001:db8::1",
    "2048",
    "none",
    "true",
    "ü",
    "'\"",
    "[a='b']",
    "9" * 30,
    "a:b",
    "..",
)
OPERATIONS = ("merge", "replace", "create", "delete", "remove", "none", "x", "")
LEAFS = dict.fromkeys(("local-address", "peer-address", "tcp-port", "vpn-instance"))
TREES = {
    f'm-lag xmlns="{DML}"': {
        "dfs-groups": {
            "dfs-group*": {
                "id": None,
                "authentication": {"mode": None, "password": None},
                "peer-link-source": {"ipv4": LEAFS, "ipv6": LEAFS},
            }
        },
        "global": {"arp-backup-rate": None},
    },
    f'network-instances xmlns="{NI}"': {"network-instance*": {"name": None, "enabled": None, "vrf-root": {}}},
}


class Writer:
    """Requests from random choices."""

    def __init__(self, choices: random.Random) -> None:
        self.random = choices

    def often(self, chance: float) -> bool:
        return self.random.random() < chance

    def element(self, depth: int) -> str:
        """Any names below each other."""
        choice = self.random.choice
        attributes = f' xmlns="{choice(SPACES)}"' if self.often(0.3) else ""
        attributes += f' operation="{choice(OPERATIONS)}"' if self.often(0.15) else ""
        attributes += f' y:insert="first" y:key="{choice(("[x=", "a", ""))}"' if self.often(0.05) else ""
        name = choice(NAMES)
        if depth == 0 or self.often(0.3):
            return f"<{name}{attributes}>{choice(VALUES)}</{name}>"
        content = "".join(self.element(depth - 1) for _ in range(self.random.randint(0, 3)))
        return f"<{name}{attributes}>{content}</{name}>"

    def node(self, name: str, content: dict[str, object] | None) -> str:
        """A node of the schema with what may be below it, sometimes twice, sometimes wrong."""
        operation = f' n:operation="{self.random.choice(OPERATIONS)}"' if self.often(0.15) else ""
        if content is None:
            inner = "<x/>" if self.often(0.03) else self.random.choice(VALUES)
        else:
            inner = "".join(
                self.node(child.rstrip("*"), below)  # type: ignore[arg-type]
                for child, below in content.items()
                for _ in range(self.random.randint(1, 2) if child.endswith("*") else 1)
                if self.often(0.75)
            )
        return f"<{name}{operation}>{inner}</{name.partition(' ')[0]}>"

    def config(self) -> str:
        return "".join(self.node(name, content) for name, content in TREES.items() if self.often(0.7))  # type: ignore[arg-type]

    def operation(self) -> str:
        target = self.random.choice(("running", "candidate"))
        options = "".join(
            f"<{name}>{self.random.choice(values)}</{name}>"
            for name, values in (
                ("default-operation", ("merge", "replace", "none")),
                ("test-option", ("set", "test-only", "test-then-set")),
                ("error-option", ("continue-on-error", "rollback-on-error")),
            )
            if self.often(0.3)
        )
        some = self.config() if self.often(0.7) else self.element(4)
        kinds = (
            self.element(4),
            f"<edit-config><target><{target}/></target>{options}<config>{some}</config></edit-config>",
            f"<edit-config><target><{target}/></target>{options}<config>{some}</config></edit-config>",
            f"<get-config><source><{target}/></source><filter type='subtree'>{some}</filter></get-config>",
            f"<copy-config><target><{target}/></target><source><config>{some}</config></source></copy-config>",
            f"<validate><source><config>{some}</config></source></validate>",
            "<commit/>",
        )
        return self.random.choice(kinds)
