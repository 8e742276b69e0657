"""The agent's end of the control socket: mode 0600 in the state folder, for the agent's own user alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import Any

from mlag_agent.control.place import address, peer_uid
from mlag_agent.control.protocol import (
    MAX_MESSAGE,
    SOCKET_NAME,
    VERSION,
    Answer,
    ProtocolError,
    Request,
    decode,
    encode,
)
from mlag_agent.errors import RpcFailure, SettingsError
from mlag_agent.features.base import UNKNOWN
from mlag_agent.features.instance_data import load_instance_data, save_instance_data
from mlag_agent.foreign.canned import CannedError
from mlag_agent.foreign.log import Operation
from mlag_agent.foreign.service import Foreign

__all__ = ["MAX_CLIENTS", "ControlServer"]

_LOG = logging.getLogger(__name__)

MAX_CLIENTS = 16
"""Connections at once: one person and a few tests."""

REFUSAL_SECONDS = 5.0
"""For which a client that is refused is listened to, so that it hears why."""

MAX_FOLLOWED = 1000
"""Operations that wait for a client that follows the log and does not read."""


class ControlServer:
    """Serves ``Foreign`` to local clients."""

    def __init__(self, folder: Path, foreign: Foreign) -> None:
        self._folder = folder
        self._foreign = foreign
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; raises SettingsError when that cannot be.  The state file must be this agent's already."""
        try:
            listening = self._listen()
        except OSError as error:
            raise SettingsError(
                f"cannot make the control socket {self._folder / SOCKET_NAME}: {error.strerror or error}",
                "give another --state FOLDER, or --no-control",
            ) from error
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_MESSAGE)

    def _listen(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            with address(self._folder) as where:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(where)  # left by an agent that was killed: the state file lets no other one run
                # The folder is mode 0700 when it is ours; the mask is for one that somebody else has made.
                mask = os.umask(0o177)
                try:
                    made.bind(where)
                finally:
                    os.umask(mask)
            made.listen(MAX_CLIENTS)
        except BaseException:
            made.close()
            raise
        return made

    async def aclose(self) -> None:
        """End all connections, and the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            (self._folder / SOCKET_NAME).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            refusal = self._refusal(writer)
            if refusal is not None:
                # Closed with what the client says unread, the connection would be reset, and the answer with it.
                with contextlib.suppress(TimeoutError, ValueError):
                    await asyncio.wait_for(reader.readline(), REFUSAL_SECONDS)
                writer.write(encode(Answer(VERSION, ok=False, error=refusal)))
                await writer.drain()
                return
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the agent stops: nothing is half done, since requests are done in one go
        finally:
            self._clients.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _refusal(self, writer: asyncio.StreamWriter) -> str | None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid not in (0, os.geteuid()):
            _LOG.warning("the control socket refuses user %d", uid)
            return "only the user of the agent may control it"
        if len(self._clients) > MAX_CLIENTS:
            return f"no more than {MAX_CLIENTS} connections are taken"
        return None

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # the limit of the reader
                words = f"a message may have {MAX_MESSAGE} bytes"
                writer.write(encode(Answer(VERSION, ok=False, error=words)))
                await writer.drain()
                return
            if not line:
                return
            try:
                request = decode(line, request=True)
            except ProtocolError as error:
                writer.write(encode(Answer(VERSION, ok=False, error=str(error))))
                await writer.drain()
                return
            assert isinstance(request, Request)
            if request.do == "log" and request.follow:
                await self._follow(reader, writer)
                return
            writer.write(encode(await self._answer(request)))
            await writer.drain()

    async def _answer(self, request: Request) -> Answer:
        try:
            return Answer(VERSION, ok=True, result=await self._do(request))
        except CannedError as error:
            return Answer(VERSION, ok=False, error=str(error))
        except RpcFailure as failure:
            words = "; ".join(f"{e.message}" + (f" ({e.path})" if e.path else "") for e in failure.errors)
            return Answer(VERSION, ok=False, error=words, hint=_hint(request))
        except Exception as bug:  # noqa: BLE001  # the client gets an answer, the log the trace
            _LOG.exception("ctl %s failed", request.do)
            return Answer(VERSION, ok=False, error=f"internal error ({type(bug).__name__}); the agent's log has more")

    async def _do(self, request: Request) -> Any:
        foreign = self._foreign
        if request.do == "notify":
            return foreign.notify(request.content)
        if request.do == "reply":
            return foreign.reply(request.path, request.content)
        if request.do == "operational":
            return list(foreign.operational(request.content, request.origin or UNKNOWN))
        if request.do == "save":
            return save_instance_data(foreign.agent, request.datastore or "running", as_json=request.json)
        if request.do == "load":
            return await load_instance_data(foreign.agent, request.content, request.datastore)
        if request.do == "reset":
            await foreign.reset(config=request.config)
            return None
        return [entry.as_json() for entry in foreign.log]

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What is in the log, then what comes, until the client leaves."""
        queue: asyncio.Queue[Operation] = asyncio.Queue(MAX_FOLLOWED)
        lost = 0

        def take(entry: Operation) -> None:
            nonlocal lost
            try:
                queue.put_nowait(entry)
            except asyncio.QueueFull:
                lost += 1

        before = list(self._foreign.log)
        end = self._foreign.log.follow(take)
        gone = asyncio.ensure_future(reader.read(1))  # nothing more is said: the end of the connection
        try:
            writer.write(encode(Answer(VERSION, ok=True)))
            for entry in before:
                writer.write(encode(Answer(VERSION, entry=entry.as_json())))
            while not gone.done():
                await writer.drain()
                coming = asyncio.ensure_future(queue.get())
                try:
                    await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                if coming.done() and not coming.cancelled():
                    writer.write(encode(Answer(VERSION, entry=coming.result().as_json(), lost=lost)))
                    lost = 0
        finally:
            end()
            gone.cancel()


def _hint(request: Request) -> str:
    if request.do == "notify":
        return "the file holds the notification's element, or the path to it from the top-level data node"
    if request.do == "operational":
        return "the file holds top-level data nodes, alone or in <data>"
    return ""
