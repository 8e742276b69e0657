"""The other end of the control socket: what ``mlag-agent ctl`` calls.  It blocks."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mlag_agent.control.place import address
from mlag_agent.control.protocol import MAX_MESSAGE, Answer, ProtocolError, Request, decode, encode
from mlag_agent.errors import AgentError

__all__ = ["ControlClient", "ControlError"]


class ControlError(AgentError):
    """The agent cannot be reached, or says no; ``hint``: what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


_WORDS = {
    errno.ENOENT: ("there is none", "is an agent running with this --state? has it control = false?"),
    errno.ECONNREFUSED: ("nobody answers", "the agent that made it has gone; start one with this --state"),
    errno.EACCES: ("it belongs to another user", "run this as the user of the agent"),
}


class ControlClient:
    """A connection; requests and answers in turn."""

    def __init__(self, state: Path, timeout: float = 60.0) -> None:
        """Raises ControlError when the agent cannot be reached."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            with address(state) as where:
                self._socket.connect(where)
        except OSError as error:
            self._socket.close()
            words, hint = _WORDS.get(error.errno or 0, (error.strerror or str(error), ""))
            raise ControlError(f"no agent can be reached at its control socket in {state}: {words}", hint) from error
        self._file = self._socket.makefile("rb")

    def request(self, request: Request) -> Answer:
        """Ask, and wait for the answer; raises ControlError when it says no."""
        try:
            self._socket.sendall(encode(request))
        except OSError as error:
            raise ControlError(f"the agent does not take the request: {error.strerror or error}") from error
        answer = self._read()
        if answer is None:
            raise ControlError("the agent has closed the connection")
        if not answer.ok:
            raise ControlError(answer.error, answer.hint)
        return answer

    def entries(self) -> Iterator[Answer]:
        """What comes after a request to follow, until the agent ends."""
        self._socket.settimeout(None)
        while (answer := self._read()) is not None:
            yield answer

    def _read(self) -> Answer | None:
        try:
            line = self._file.readline(MAX_MESSAGE + 1)
            if not line:
                return None
            answer = decode(line, request=False)
        except (OSError, ProtocolError) as error:
            raise ControlError(f"the agent does not answer: {error}") from error
        assert isinstance(answer, Answer)
        return answer

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
