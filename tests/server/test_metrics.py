"""Metrics and health over real sockets, read by the parser of Prometheus' own library."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlag_agent.app import Device
from mlag_agent.config import LimitSettings, MetricsSettings
from mlag_agent.errors import SettingsError
from netconf_client import LIMIT, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
ON = MetricsSettings(port=0)


async def ask(device: Device, request: bytes) -> tuple[str, bytes]:
    """Status line and content."""
    reader, writer = await asyncio.open_connection("127.0.0.1", device.metrics_port)
    writer.write(request)
    async with asyncio.timeout(LIMIT):
        answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    head, _, content = answer.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0].decode(), content


async def scrape(device: Device) -> dict[tuple[str, ...], float]:
    """Sample name and label values -> value."""
    status, content = await ask(device, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == "HTTP/1.0 200 OK"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


async def health(device: Device) -> tuple[str, Any]:
    status, content = await ask(device, b"GET /health HTTP/1.0\r\n\r\n")
    return status, json.loads(content)


class TestMetrics:
    async def test_sessions_and_rpcs(self, start: Start, connect: Connect) -> None:
        device = await start(metrics=ON)
        before = await scrape(device)
        assert before["mlag_agent_sessions", "netconf-ssh"] == 0
        one, _ = await connect(device), await connect(device)
        for _ in range(3):
            await one.get_config()
        await one.rpc("<get-schema xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring'/>")
        await one.rpc("<nonsense xmlns='urn:x'/>")
        await one.rpc("<nonsense2 xmlns='urn:x'/>")
        after = await scrape(device)
        assert after["mlag_agent_sessions", "netconf-ssh"] == 2
        assert after["mlag_agent_connections", "authenticated"] == 2
        assert after["mlag_agent_rpcs_total", "get-config", "ok"] == 3
        assert after["mlag_agent_rpcs_total", "get-schema", "missing-element"] == 1
        assert after["mlag_agent_rpcs_total", "other", "unknown-namespace"] == 2
        assert after["mlag_agent_rpc_seconds_count", "get-config"] == 3
        assert 0 < after["mlag_agent_rpc_seconds_sum", "get-config"] < LIMIT
        assert ("mlag_agent_rpc_seconds_count", "nonsense") not in after

    async def test_commits_and_datastores(self, start: Start, connect: Connect) -> None:
        device = await start(metrics=ON)
        client = await connect(device)
        before = await scrape(device)
        await client.edit(vpn("red"), "running")
        await client.edit(vpn("blue"))
        await client.rpc("<commit><confirmed/></commit>")
        after = await scrape(device)
        assert after["mlag_agent_transactions_total",] - before["mlag_agent_transactions_total",] == 2
        grown = after["mlag_agent_datastore_bytes", "running"] - before["mlag_agent_datastore_bytes", "running"]
        assert grown > len("<network-instance><name>red</name></network-instance>")
        assert (before["mlag_agent_confirmed_commit_pending",], after["mlag_agent_confirmed_commit_pending",]) == (0, 1)

    async def test_the_channel(self, start: Start, connect: Connect) -> None:
        device = await start(metrics=ON)
        assert (await scrape(device))["mlag_agent_sync_channel_down", "unconfigured"] == 1
        client = await connect(device)
        await client.edit(group(channel()), "running")
        found = await scrape(device)
        assert found["mlag_agent_sync_channel_up",] == 0
        assert ("mlag_agent_sync_channel_down", "unconfigured") not in found

    async def test_refusals_and_leniencies(self, start: Start, connect: Connect) -> None:
        device = await start(metrics=ON, limits=LimitSettings(max_sessions=1))
        client = await connect(device)
        with contextlib.suppress(Exception):
            await connect(device)
        await client.rpc('<get-config xmlns=""><source><running/></source></get-config>')
        found = await scrape(device)
        assert found["mlag_agent_refused_total", "max-sessions"] == 1
        assert found["mlag_agent_leniencies_total", "operation-element-without-namespace"] == 1

    async def test_of_the_process(self, start: Start) -> None:
        found = await scrape(await start(metrics=ON))
        assert found["process_resident_memory_bytes",] > 10_000_000
        assert found["process_open_fds",] > 3


class TestHealth:
    async def test_well(self, start: Start, connect: Connect) -> None:
        device = await start(metrics=ON)
        await connect(device)
        status, words = await health(device)
        assert status == "HTTP/1.0 200 OK"
        assert (words["status"], words["sessions"], words["sync-channel"]) == ("ok", 1, "unconfigured")

    async def test_ill(self, start: Start) -> None:
        device = await start(metrics=ON)
        device.agent.transactor.out_of_sync["engine"] = "it would not take it back"
        status, words = await health(device)
        assert status == "HTTP/1.0 503 Service Unavailable"
        assert words["status"] == "degraded"
        assert words["out-of-sync"] == {"engine": "it would not take it back"}


class TestHttp:
    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"GET / HTTP/1.0\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.0\r\n\r\n", "405"),
            (b"HEAD /health HTTP/1.0\r\n\r\n", "200"),
            (b"GET /health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
            (b"\r\n\r\n", "405"),
        ],
    )
    async def test_requests(self, start: Start, request_: bytes, status: str) -> None:
        found, content = await ask(await start(metrics=ON), request_)
        assert found.split()[1] == status
        assert bool(content) == (not request_.startswith(b"HEAD"))

    async def test_too_much(self, start: Start) -> None:
        status, _ = await ask(await start(metrics=ON), b"GET /" + b"x" * 100_000 + b" HTTP/1.0\r\n\r\n")
        assert status == ""

    async def test_scrapes_that_say_nothing(self, start: Start) -> None:
        """They are few, and the end of the agent does not wait for them."""
        device = await start(metrics=ON)
        silent = [await asyncio.open_connection("127.0.0.1", device.metrics_port) for _ in range(30)]
        answers = [asyncio.create_task(reader.read()) for reader, _ in silent]
        done, _ = await asyncio.wait(answers, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        assert done
        await device.aclose()
        await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), LIMIT)
        for _, writer in silent:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_off(start: Start) -> None:
    device = await start()
    with pytest.raises(AssertionError, match="there are no metrics"):
        _ = device.metrics_port


async def test_the_port_is_in_use(start: Start) -> None:
    first = await start(metrics=ON)
    with pytest.raises(SettingsError, match="cannot listen for metrics"):
        await start("second", metrics=MetricsSettings(port=first.metrics_port))
