"""Secrets in datastores: cipher text that only this device can open (command page 'authentication-mode').

AES-SIV (RFC 5297) is deterministic and authenticated: the same password gives the same cipher text, so that a
second run of an automation changes nothing, and a text that another device made, or that was altered, is known.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mlag_agent.errors import SettingsError

__all__ = ["CIPHER_LENGTH", "SealError", "Sealer"]

CIPHER_LENGTH: Final = 128
"""Characters of cipher text: what the device's own command takes (DOMAIN 1.5)."""

_MARK: Final = "$mlag-1$"
_KEY_BYTES: Final = 64
_TAG_BYTES: Final = 16
_PLAIN_BYTES: Final = (CIPHER_LENGTH - len(_MARK)) // 4 * 3 - _TAG_BYTES  # 74
_MAX_TEXT_BYTES: Final = _PLAIN_BYTES - 1


class SealError(ValueError):
    """The text is no cipher text of this device, or too long to seal."""


class Sealer:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    @classmethod
    def load_or_create(cls, path: Path) -> Sealer:
        """The key in the state folder, made on first start with mode 0600; raises SettingsError."""
        try:
            key = path.read_bytes() if path.exists() else cls._create(path)
        except OSError as error:
            raise SettingsError(
                f"cannot read or make the sealing key {path}: {error.strerror}", "is the state folder writable?"
            ) from error
        if len(key) != _KEY_BYTES:
            raise SettingsError(
                f"the sealing key {path} is damaged: {len(key)} bytes instead of {_KEY_BYTES}",
                "passwords in the stored configuration cannot be opened without it; restore it from a backup",
            )
        return cls(key)

    @staticmethod
    def _create(path: Path) -> bytes:
        key = AESSIV.generate_key(_KEY_BYTES * 8)
        fresh = path.with_name(path.name + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        return key

    def sealed(self, text: str) -> str:
        """Cipher text of 128 characters; a cipher text of this device is given back as it is.

        Raises SealError for 128 characters that are no cipher text of this device.
        """
        if len(text) == CIPHER_LENGTH:
            self.opened(text)
            return text
        plain = text.encode()
        if len(plain) > _MAX_TEXT_BYTES:
            raise SealError(f"a secret has at most {_MAX_TEXT_BYTES} bytes")
        padded = bytes([len(plain)]) + plain.ljust(_MAX_TEXT_BYTES, b"\0")
        return _MARK + base64.b64encode(self._cipher.encrypt(padded, None)).decode()

    def opened(self, sealed: str) -> str:
        """The text in a cipher text; raises SealError."""
        if not sealed.startswith(_MARK):
            raise SealError("cipher text is what this device gave out; give the password in clear instead")
        try:
            padded = self._cipher.decrypt(base64.b64decode(sealed[len(_MARK) :], validate=True), None)
        except (InvalidTag, ValueError) as error:
            raise SealError("the cipher text was not made by this device, or was altered") from error
        return padded[1 : 1 + padded[0]].decode()
