"""The state file: what was acknowledged is there after anything, and trouble with the file is named."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.datastore import persist
from mlag_agent.datastore.persist import Journal
from mlag_agent.errors import RpcFailure, SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


def commit(journal: Journal, edit: bytes, whole: bytes = b"") -> None:
    with journal.writing("running", edit, lambda: whole):
        pass


def test_reopened(path: Path) -> None:
    journal = Journal.open(path)
    assert journal.load("running") is None
    for edit in (b"<a/>", b"<b/>"):
        commit(journal, edit)
    journal.replace("startup", b"<s/>")
    journal.close()
    journal = Journal.open(path)
    assert journal.load("running") == persist.Stored(b"", (b"<a/>", b"<b/>"))
    assert journal.load("startup") == persist.Stored(b"<s/>", ())
    journal.close()


def test_the_block_raises(path: Path) -> None:
    journal = Journal.open(path)
    with pytest.raises(RuntimeError), journal.writing("running", b"<a/>", bytes):
        raise RuntimeError
    assert journal.load("running") is None
    commit(journal, b"<b/>")
    assert journal.load("running") == persist.Stored(b"", (b"<b/>",))
    journal.close()


def test_snapshot_fails_and_leaves_no_transaction_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "SNAPSHOT_FLOOR_BYTES", 1)
    journal = Journal.open(path)

    def broken() -> bytes:
        raise RuntimeError("encode")

    with pytest.raises(RuntimeError), journal.writing("running", b"<a/>", broken):
        pass
    commit(journal, b"<b/>", b"<whole/>")
    assert journal.load("running") == persist.Stored(b"<whole/>", ())
    journal.close()


def test_snapshot_threshold(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "SNAPSHOT_FLOOR_BYTES", 100)
    journal = Journal.open(path)
    journal.load("running")
    for n in range(10):
        commit(journal, b"x" * 10)
        stored = journal.load("running")
        assert stored is not None
        assert len(stored.edits) == n + 1
    commit(journal, b"x" * 10, b"w" * 300)
    assert journal.load("running") == persist.Stored(b"w" * 300, ())
    for _ in range(30):  # 300 bytes of edits weigh no more than the snapshot
        commit(journal, b"x" * 10)
    stored = journal.load("running")
    assert stored is not None
    assert len(stored.edits) == 30
    commit(journal, b"x", b"new")
    assert journal.load("running") == persist.Stored(b"new", ())
    journal.close()


def test_files_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal.open(path)
        commit(journal, b"<a/>")
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["state.db", "state.db-wal"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        journal.close()
    finally:
        os.umask(before)


def test_second_agent(path: Path) -> None:
    journal = Journal.open(path)
    start = time.monotonic()
    with pytest.raises(SettingsError, match="another agent uses") as caught:
        Journal.open(path)
    assert time.monotonic() - start < 2
    assert "state folder of its own" in caught.value.hint
    commit(journal, b"<a/>")
    journal.close()
    Journal.open(path).close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look like a file" * 100, b"SQLite format 3\0junk"]
)
def test_damaged(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.with_name("state.db.damaged-1").write_bytes(b"earlier")
    journal = Journal.open(path)
    assert journal.load("running") is None
    commit(journal, b"<a/>")
    journal.close()
    assert path.with_name("state.db.damaged-2").read_bytes() == content
    assert path.with_name("state.db.damaged-1").read_bytes() == b"earlier"
    assert "is damaged" in caplog.text
    assert "damaged-2" in caplog.text


def test_damaged_in_the_middle(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal.open(path)
    for n in range(200):
        commit(journal, str(n).encode() * 500)
    journal.close()
    data = bytearray(path.read_bytes())
    data[8192:40000] = random.Random(1).randbytes(40000 - 8192)
    path.write_bytes(data)
    journal = Journal.open(path)
    assert journal.load("running") is None
    assert "is damaged" in caplog.text
    journal.close()


def test_newer_version(path: Path) -> None:
    Journal.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(SettingsError, match="version 99"):
        Journal.open(path)


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="cannot open the state file"):
        Journal.open(tmp_path / "file" / "state.db")
    with pytest.raises(SettingsError, match="cannot open the state file"):
        Journal.open(tmp_path)


def test_replace_fails(path: Path) -> None:
    journal = Journal.open(path)
    journal.replace("startup", b"<s/>")
    journal._connection.execute("PRAGMA query_only=1")
    with pytest.raises(RpcFailure, match="cannot be stored"):
        journal.replace("startup", b"<t/>")
    journal._connection.execute("PRAGMA query_only=0")
    assert journal.load("startup") == persist.Stored(b"<s/>", ())
    journal.close()


CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mlag_agent.datastore import persist
persist.SNAPSHOT_FLOOR_BYTES = 2000
journal = persist.Journal.open(Path(sys.argv[1]))
stored = journal.load("running")
number = int((stored.edits[-1] if stored.edits else stored.snapshot) or b"0") if stored else 0
print("start", number, flush=True)
while True:
    number += 1
    text = b"%09d" % number
    with journal.writing("running", text, lambda: text):
        pass
    print(number, flush=True)
"""


def test_killed_in_the_middle_of_commits(path: Path) -> None:
    """kill -9: the last commit that was acknowledged, or the one that was being made."""
    acknowledged = 0
    for round_number in range(5):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        first = int(child.stdout.readline().split()[1])
        assert first in (acknowledged, acknowledged + 1)
        time.sleep(0.05 + 0.03 * round_number)
        child.send_signal(signal.SIGKILL)
        lines = re.findall(r"^(\d+)\n", child.stdout.read(), re.MULTILINE)
        child.stdout.close()
        child.wait()
        acknowledged = int(lines[-1]) if lines else first
    assert acknowledged > 100
    journal = Journal.open(path)
    stored: Any = journal.load("running")
    numbers = [int(text) for text in (stored.snapshot, *stored.edits) if text]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] in (acknowledged, acknowledged + 1)
    journal.close()


def test_pending_belongs_to_the_transaction(path: Path) -> None:
    journal = Journal.open(path)
    pending = persist.StoredPending(b"<a/>", "token", datetime(2026, 1, 1, tzinfo=UTC))

    def interrupted() -> None:
        with journal.writing("running", b"<b/>", bytes):
            journal.arm(pending)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert journal.pending() is None
    with journal.writing("running", b"<b/>", bytes):
        journal.arm(pending)
    journal.close()
    journal = Journal.open(path)
    assert journal.pending() == pending
    later = datetime(2026, 1, 2, tzinfo=UTC)
    journal.extend(None, later)
    assert journal.pending() == persist.StoredPending(b"<a/>", None, later)
    journal.replace("running", b"<a/>", disarm=True)
    assert journal.pending() is None
    journal.close()


def test_a_file_of_version_1(path: Path) -> None:
    """Made before there were confirmed commits: it gets the table, and keeps what it holds."""
    journal = Journal.open(path)
    commit(journal, b"<a/>")
    journal._connection.execute("DROP TABLE pending")
    for table in ("snapshot", "edit"):
        journal._connection.execute(f"ALTER TABLE {table} DROP COLUMN crc")
    journal._connection.execute("PRAGMA user_version=1")
    journal.close()
    for _ in range(2):
        journal = Journal.open(path)
        assert journal.pending() is None
        assert journal.load("running") == persist.Stored(b"", (b"<a/>",))
        journal.close()


@pytest.mark.parametrize("table", ["snapshot", "edit", "pending"])
def test_a_bit_that_has_flipped(path: Path, table: str) -> None:
    """SQLite has no checksums of what is in its pages: a changed value would go unnoticed."""
    journal = Journal.open(path)
    journal.replace("running", b"<a>1</a>")
    commit(journal, b"<a>2</a>")
    journal.arm(persist.StoredPending(b"<a>3</a>", None, datetime(2026, 1, 1, tzinfo=UTC)))
    journal._connection.execute(f"UPDATE {table} SET config = CAST('<a>9</a>' AS BLOB)")
    with pytest.raises(persist.DamagedError, match="checksum"):
        (journal.pending() if table == "pending" else journal.load("running"))
    journal.close()


def test_a_date_that_is_none(path: Path) -> None:
    journal = Journal.open(path)
    journal.arm(persist.StoredPending(b"<a/>", None, datetime(2026, 1, 1, tzinfo=UTC)))
    journal._connection.execute("UPDATE pending SET deadline = 'yesterday'")
    with pytest.raises(persist.DamagedError):
        journal.pending()
    journal.close()


def test_reset_leaves_nothing_in_the_file(path: Path) -> None:
    journal = Journal.open(path)
    for number in range(50):
        commit(journal, b"<secret>%d</secret>" % number * 100)
    journal.replace("startup", b"<secret/>")
    journal.arm(persist.StoredPending(b"<secret/>", None, datetime(2026, 1, 1, tzinfo=UTC)))
    journal.reset("running", b"<plain/>")
    assert all(b"<secret>" not in file.read_bytes() for file in path.parent.iterdir())
    assert journal.load("running") == persist.Stored(b"<plain/>", ())
    assert journal.load("startup") is None
    assert journal.pending() is None
    journal.close()
