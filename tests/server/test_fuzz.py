"""Well-formed nonsense and many clients at once: no internal error, no session lost, nothing held afterwards."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from mlag_agent.app import Device
from netconf_client import LIMIT, NC, Client, channel, group
from nonsense import YANG, Writer

Connect = Callable[..., Awaitable[Client]]
SEEDS = 4 * max(1, int(os.environ.get("MLAG_FUZZ_FACTOR", "1")))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nonsense(device: Device, session: Client, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    writer = Writer(random.Random(seed))
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
