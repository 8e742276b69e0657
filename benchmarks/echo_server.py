"""The floor of all measurements: an asyncssh subsystem ``netconf`` that sends each message back unchanged.

It does nothing but SSH, in asyncssh's quickest way (callbacks, no streams), with the options of the agent's transport
but the ciphers: it has asyncssh's own unless others are given.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncssh

__all__ = ["PASSWORD", "USERNAME", "start_echo"]

USERNAME = "bench"
PASSWORD = "bench"


class _EchoSession(asyncssh.SSHServerSession[bytes]):
    _channel: asyncssh.SSHServerChannel[bytes]

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._channel.write(data)

    def eof_received(self) -> bool:
        self._channel.exit(0)
        return False


class _EchoServer(asyncssh.SSHServer):
    def __init__(self, authorized_keys: tuple[asyncssh.SSHKey, ...]) -> None:
        self._keys = {key.public_data for key in authorized_keys}

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USERNAME, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return bool(self._keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in self._keys

    def session_requested(self) -> _EchoSession:
        return _EchoSession()


async def start_echo(
    port: int = 0, *, authorized_keys: tuple[asyncssh.SSHKey, ...] = (), ciphers: Sequence[str] = ()
) -> tuple[asyncssh.SSHAcceptor, int]:
    """Listen on 127.0.0.1; user and password are :data:`USERNAME` and :data:`PASSWORD`.

    Returns the acceptor, to be closed by the caller, and the port.
    """
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: _EchoServer(authorized_keys),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        encoding=None,
        line_editor=False,
        gss_host=None,
        backlog=512,
        encryption_algs=list(ciphers) or (),
    )
    return acceptor, acceptor.get_port()


async def _main(port: int, keys: tuple[asyncssh.SSHKey, ...], ciphers: Sequence[str]) -> None:
    acceptor, port = await start_echo(port, authorized_keys=keys, ciphers=ciphers)
    print(f"echo on 127.0.0.1 port {port}, user {USERNAME}, password {PASSWORD}", flush=True)
    await acceptor.wait_closed()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--authorized-keys", type=Path, help="a file with one public key")
    parser.add_argument("--cipher", action="append", default=[], help="instead of asyncssh's own choice; repeatable")
    arguments = parser.parse_args()
    path = arguments.authorized_keys
    keys = () if path is None else (asyncssh.import_public_key(path.read_bytes()),)
    asyncio.run(_main(arguments.port, keys, arguments.cipher))


if __name__ == "__main__":
    main()
