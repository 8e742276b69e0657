"""The audit log's file: lines, rotation, rights, and what happens when it cannot be written."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.access.audit import MAX_PATHS, AuditFile, AuditLog
from mlag_agent.data.build import build
from mlag_agent.errors import ErrorTag, RpcError, SettingsError
from mlag_agent.schema.library import SchemaLibrary

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass(eq=False)
class Session:
    session_id: int = 7
    username: str = "anna"
    source_host: str = "192.0.2.1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    found = AuditLog(AuditFile(path, max_bytes=1 << 20, keep=2), now=NOON.timestamp)
    yield found
    found.close()


@pytest.fixture
def lines(path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line(log: AuditLog, lines: Callable[[], list[dict[str, Any]]], path: Path) -> None:
    session = Session()
    log.operation(session, "ietf-netconf:get-config", datastore="running", errors=())
    refused = RpcError(ErrorTag.ACCESS_DENIED, "words that may have a value", app_tag="x", path="/a:b")
    log.operation(session, "ietf-netconf:commit", datastore=None, errors=[refused])
    log.operation(session, ":no-such-thing", datastore=None, errors=None)
    common = {
        "time": "2026-11-24T12:00:00.000Z",
        "event": "operation",
        "user": "anna",
        "source": "192.0.2.1",
        "session": 7,
    }
    assert lines() == [
        {**common, "operation": "ietf-netconf:get-config", "datastore": "running", "result": "ok"},
        {
            **common,
            "operation": "ietf-netconf:commit",
            "result": "error",
            "errors": [{"tag": "access-denied", "app-tag": "x", "path": "/a:b"}],
        },
        {**common, "operation": ":no-such-thing", "result": "aborted"},
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reads_may_be_left_out(path: Path, lines: Callable[[], list[dict[str, Any]]]) -> None:
    log = AuditLog(AuditFile(path, max_bytes=1 << 20, keep=2), reads=False)
    log.operation(Session(), "ietf-netconf:get", datastore=None, errors=())
    log.operation(Session(), "ietf-netconf:get", datastore=None, errors=[RpcError(ErrorTag.ACCESS_DENIED, "no")])
    log.operation(Session(), "ietf-netconf:commit", datastore=None, errors=())
    log.close()
    assert [(line["operation"], line["result"]) for line in lines()] == [
        ("ietf-netconf:get", "error"),
        ("ietf-netconf:commit", "ok"),
    ]


def test_changes_are_bounded_and_have_no_values(
    log: AuditLog, lines: Callable[[], list[dict[str, Any]]], library: SchemaLibrary
) -> None:
    session = Session()
    before = build(library.tree.data, {"top": {"name": "old", "secret": "s1"}})
    rows = [{"k": f"{number:04}" + "x" * 1000} for number in range(200)]
    after = build(library.tree.data, {"top": {"name": "new", "secret": "s2", "row": rows}})
    log.replacing(session, "candidate", before, after)
    log.operation(session, "ietf-netconf:edit-config", datastore="candidate", errors=())
    (line,) = lines()
    assert line["changes"][:2] == ["replace /acl-model:top/name", "replace /acl-model:top/secret"]
    assert line["changes"][2].startswith("create /acl-model:top/row[k='0000xxx")
    assert len(line["changes"]) == MAX_PATHS
    assert line["more-changes"] is True
    assert len(json.dumps(line)) < 40_000
    assert "s1" not in json.dumps(line)
    # What belongs to one operation is not told of the next.
    log.operation(session, "ietf-netconf:commit", datastore=None, errors=())
    assert "changes" not in lines()[-1]


def test_rotation(path: Path) -> None:
    file = AuditFile(path, max_bytes=100, keep=2)
    for number in range(10):
        file.write(f"{number} {'x' * 46}\n".encode())  # two to a file
    file.close()
    assert [text[0] for text in path.read_text().splitlines()] == ["8", "9"]
    assert [text[0] for text in path.with_name("audit.jsonl.1").read_text().splitlines()] == ["6", "7"]
    assert [text[0] for text in path.with_name("audit.jsonl.2").read_text().splitlines()] == ["4", "5"]
    assert sorted(os.listdir(path.parent)) == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}


def test_it_goes_on_where_it_was(path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        file = AuditFile(path, max_bytes=100, keep=2)
        file.write(text)
        file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_without_old_files(path: Path) -> None:
    file = AuditFile(path, max_bytes=100, keep=0)
    for number in range(5):
        file.write(f"{number} {'x' * 46}\n".encode())
    file.close()
    assert path.read_text()[0] == "4"
    assert os.listdir(path.parent) == ["audit.jsonl"]


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot write the audit log"):
        AuditFile(tmp_path / "no" / "audit.jsonl", max_bytes=100, keep=0)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="cannot write the audit log"):
        AuditFile(tmp_path / "link", max_bytes=100, keep=0)


def test_a_full_disk_loses_lines_and_says_so(log: AuditLog, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Work goes on; the ordinary log has one error at the beginning and one line at the end."""
    log.login_failed("anna", "192.0.2.1", "password")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
        for _ in range(3):
            log.login_failed("berta", "192.0.2.1", "password")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert log.lost == 3
    log.login_failed("clara", "192.0.2.1", "password")
    assert [json.loads(line)["user"] for line in path.read_text().splitlines()] == ["anna", "clara"]
    errors = [record.message for record in caplog.records if "audit log" in record.message]
    assert len(errors) == 2
    assert "cannot be written" in errors[0]
    assert "3 lines are missing" in errors[1]
