"""Agents in processes of their own, forked from one that has everything loaded: a start takes milliseconds."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlag_agent.access.users import hash_password
from mlag_agent.app import Device
from mlag_agent.config import FabricSettings, ListenSettings, Settings, UserSettings
from netconf_client import PASSWORD, USER

from .model import Mode

HASH = hash_password(PASSWORD)


def settings_of(folder: Path, mode: Mode) -> Settings:
    """An agent of that mode, its state below ``folder``."""
    return Settings(
        state=str(folder / "state"),
        listen=ListenSettings(port=0),
        users=(UserSettings(name=USER, password_hash=HASH),),
        fabric=FabricSettings(rendezvous=str(folder / "rendezvous")),
        candidate=mode.candidate,
        startup=mode.startup,
    )


async def warm_up(folder: Path, mode: Mode) -> None:
    """Load modules and keys once, in this process; what is loaded is found again by forked ones."""
    async with Device(settings_of(folder, mode)):
        pass


@dataclass
class Child:
    """An agent's process.  ``port`` is read once the agent accepts sessions."""

    pid: int
    pipe: int

    @classmethod
    def fork(cls, folder: Path, mode: Mode, *, last_statement: int | None = None) -> Child:
        """Start one.  No event loop and no thread runs in this process meanwhile.

        ``last_statement``: kill -9 after so many statements to the state file, once it serves: a moment between two
        of one transaction is too short to be met by chance.
        """
        reading, writing = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            status = 1
            try:
                asyncio.run(_serve(folder, mode, writing, last_statement))
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        return cls(pid, reading)

    def port(self) -> int:
        """Waits for the agent; raises RuntimeError when it ended instead."""
        text = b""
        while not text.endswith(b"\n"):
            found = os.read(self.pipe, 64)
            if not found:
                raise RuntimeError("the agent did not start; its log is above")
            text += found
        return int(text)

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for its end."""
        os.waitpid(self.pid, 0)
        os.close(self.pipe)


class _Dying:
    """A connection to the state file whose process dies behind one of its statements."""

    def __init__(self, real: sqlite3.Connection, statements: int) -> None:
        self._real = real
        self._left = statements

    def execute(self, *arguments: Any) -> Any:
        result = self._real.execute(*arguments)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def _serve(folder: Path, mode: Mode, pipe: int, last_statement: int | None) -> None:
    gc.freeze()
    logging.basicConfig(level=logging.ERROR, format="agent: %(message)s", stream=sys.stderr)
    async with Device(settings_of(folder, mode)) as device:
        if last_statement is not None:
            journal = device.agent.journal
            assert journal is not None
            journal._connection = _Dying(journal._connection, last_statement)  # type: ignore[assignment]
        os.write(pipe, f"{device.port}\n".encode())
        await asyncio.Event().wait()
