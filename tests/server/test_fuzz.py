"""Well-formed nonsense and many clients at once: no internal error, no session lost, nothing held afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from mlag_agent.app import Device
from netconf_client import DML, LIMIT, NC, NI, Client, channel, group

Connect = Callable[..., Awaitable[Client]]
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
    """Requests from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

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


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense(device: Device, session: Client, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    writer = Writer(seed)
    accepted = 0
    for number in range(300):
        operation = writer.operation()
        session.send_message(
            f'<rpc xmlns="{NC}" xmlns:n="{NC}" xmlns:y="{YANG}" message-id="{number}">{operation}</rpc>'
        )
        reply = await session.receive()
        assert reply.root.get("message-id") == str(number), operation
        assert not any("internal error" in error.message for error in reply.errors), operation
        accepted += not reply.errors
        if number % 25 == 0:
            device.agent.transactor.validate(device.agent.stores.running)
    assert accepted > 10
    assert "Traceback" not in caplog.text


async def _turbulent(device: Device, seed: int) -> None:
    """A client that locks, edits, commits, kills others and leaves without a word."""
    choose = random.Random(seed)
    for _ in range(8):
        client = await Client.connect(device.port)
        try:
            for _ in range(choose.randint(1, 10)):
                name = choose.choice(("running", "candidate"))
                config = group(channel("10.1.1.1", "10.1.1.2", choose.randint(3000, 3010), family="ipv4"))
                numbers = [session.session_id for session in device.registry]
                requests = (
                    f"<lock><target><{name}/></target></lock>",
                    f"<unlock><target><{name}/></target></unlock>",
                    f"<edit-config><target><{name}/></target><config>{config}</config></edit-config>",
                    "<commit/>",
                    "<commit><confirmed/></commit>",
                    "<cancel-commit/>",
                    "<discard-changes/>",
                    f"<kill-session><session-id>{choose.choice([0, *numbers])}</session-id></kill-session>",
                )
                client.send(choose.choice(requests))
                if choose.random() < 0.1:
                    break
                await client.receive()
        except (EOFError, OSError, asyncssh.Error):
            continue  # killed by one of the others
        finally:
            client.abort()


async def test_many_clients_at_once(device: Device, connect: Connect) -> None:
    await asyncio.gather(*(_turbulent(device, seed) for seed in range(6)))
    for session in device.registry:
        await asyncio.wait_for(session.wait_over(), LIMIT)
    assert device.agent.stores.locks == {}
    assert device.agent.commits.pending is None
    assert device.agent.transactor.out_of_sync == {}
    after = await connect(device)
    assert (await after.rpc("<discard-changes/>")).ok
    config = device.engine.config
    in_force = None if config is None or config.channel is None else str(config.channel.tcp_port)
    assert (await after.get_config()).leaf("tcp-port") == in_force
    assert (await after.edit(group(channel("10.1.1.1", "10.1.1.2", 4000, family="ipv4")), "running")).ok
