"""The SSH host key on disk: made at the first start, and checked before it is trusted."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from mlag_agent.errors import SettingsError

__all__ = ["load_or_create_host_key", "load_or_create_host_keys"]

MAX_KEY_FILE = 64 * 1024
"""Bytes; an RSA key of 16384 bits has 13 KiB."""

RSA_BITS = 3072
"""As ssh-keygen's default; as strong as AES-128 (NIST SP 800-57)."""

RSA_SIGNATURES = (b"rsa-sha2-512", b"rsa-sha2-256")
"""asyncssh would sign with SHA-1 too, if a client asks for it."""

_KINDS = {"ed25519": "ssh-ed25519", "rsa": "ssh-rsa", "ecdsa": "ecdsa-sha2-nistp256"}

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def load_or_create_host_keys(folder: Path, kinds: Sequence[str]) -> Sequence[asyncssh.SSHKey]:
    """The keys of ``kinds`` (ed25519, rsa, ecdsa) in ``folder``, named as OpenSSH names its own."""
    keys = [load_or_create_host_key(folder / f"ssh_host_{kind}_key", _KINDS[kind]) for kind in dict.fromkeys(kinds)]
    for key in keys:
        if key.get_algorithm() == "ssh-rsa":
            key.sig_algorithms = RSA_SIGNATURES
    return keys


def load_or_create_host_key(path: Path, algorithm: str = "ssh-ed25519") -> asyncssh.SSHKey:
    """The private key in ``path``, made with mode 0600 if there is no such file.

    The file appears whole or not at all, and of two processes that make it at the same time one wins and both use its
    key.  Raises :exc:`~mlag_agent.errors.SettingsError` if the file cannot be read or written, is damaged, or may be
    read by others.
    """
    if not os.path.lexists(path):
        _create(path, algorithm)
    return _load(path)


def _load(path: Path) -> asyncssh.SSHKey:
    try:
        # O_NONBLOCK: opening a named pipe must not hang the start; it is refused below.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unusable(path, f"cannot be opened: {error.strerror}", "check the file and its owner") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _unusable(path, "is not a regular file", "name another file in the settings")
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            raise _unusable(path, f"may be read by others (mode {mode:04o})", f"run: chmod 600 {path}")
        content = os.read(descriptor, MAX_KEY_FILE)
    finally:
        os.close(descriptor)
    try:
        return asyncssh.import_private_key(content)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        hint = "move the file away and a new key is made; clients will notice that the key has changed"
        raise _unusable(path, f"holds no usable private key: {error}", hint) from None


def _create(path: Path, algorithm: str) -> None:
    size = {"key_size": RSA_BITS} if algorithm == "ssh-rsa" else {}
    content = asyncssh.generate_private_key(algorithm, comment="mlag-agent", **size).export_private_key()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _publish(partial, path)
        finally:
            partial.unlink()
    except OSError as error:
        reason = f"cannot be made: {error.strerror}"
        raise _unusable(path, reason, "check that its folder exists and can be written") from None


def _publish(partial: Path, path: Path) -> None:
    """Give the finished file its name, unless another process has been quicker; a link never replaces a file."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: Path, reason: str, hint: str) -> SettingsError:
    return SettingsError(f"the SSH host key {path} {reason}", hint)
