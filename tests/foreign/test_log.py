"""The record of operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mlag_agent.errors import ErrorTag, RpcError
from mlag_agent.foreign.log import MAX_ERRORS, Operation, OperationLog

MakeAcme = Callable[..., Awaitable[Any]]


def add(log: OperationLog, name: str = "a:b", errors: int = 0) -> None:
    log.add(7, "anna", name, "running", [RpcError(ErrorTag.IN_USE, str(n), path="/a:c") for n in range(errors)], ("x",))


def test_bounded() -> None:
    log = OperationLog(3, clock=datetime(2026, 1, 2, 3, 4, 5, 6789, UTC).timestamp)
    for number in range(5):
        add(log, f"a:{number}", errors=2 * MAX_ERRORS)
    assert [entry.operation for entry in log] == ["a:2", "a:3", "a:4"]
    assert [entry.number for entry in log] == [3, 4, 5]
    entry = next(iter(log))
    assert len(entry.errors) == MAX_ERRORS
    assert not entry.ok
    row = entry.as_json()
    assert (row["time"], row["result"], row["leniencies"]) == ("2026-01-02T03:04:05.006Z", "in-use", ["x"])
    log.clear()
    add(log)
    assert [entry.number for entry in log] == [1]


def test_followed() -> None:
    log = OperationLog(3)
    add(log)
    seen: list[Operation] = []
    end = log.follow(seen.append)
    add(log, "a:seen")
    end()
    end()
    add(log, "a:not-seen")
    assert [entry.operation for entry in seen] == ["a:seen"]


async def test_what_it_says(acme: MakeAcme, connect: Any) -> None:
    agent = await acme()
    other = await connect(agent.device)
    await agent.configure("<name>secret</name>")
    await other.rpc("<nonsense/>")
    await other.rpc("<edit-config><target><candidate/></target><config><system/></config></edit-config>")
    first, second, third = agent.device.log
    assert (first.operation, first.datastore, first.ok, first.leniencies) == (
        "ietf-netconf:edit-config", "running", True, (),
    )  # fmt: skip
    assert (second.session_id, second.operation) == (other.session_id, "ietf-netconf:nonsense")
    assert second.errors[0].tag is ErrorTag.OPERATION_NOT_SUPPORTED
    assert third.leniencies == ("element-without-namespace",)
    assert "secret" not in repr(agent.device.log)


async def test_length_is_a_setting(acme: MakeAcme) -> None:
    agent = await acme(log_length=2)
    for _ in range(4):
        await agent.ping()
    assert [entry.number for entry in agent.device.log] == [3, 4]


@pytest.mark.parametrize("name", ["x" * 500, "é"])
async def test_names_that_a_client_makes_up(acme: MakeAcme, name: str) -> None:
    agent = await acme()
    await agent.session.rpc(f'<{name} xmlns="urn:nobody"/>')
    assert len(agent.device.log[0].operation) <= 65
