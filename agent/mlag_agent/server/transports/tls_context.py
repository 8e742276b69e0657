"""The TLS settings of the server: protocol versions, cipher suites, its certificate, and whom it trusts.

RFC 9918 section 4: TLS 1.3 is preferred and TLS 1.2 offered, the latter with the suites of RFC 9325 section 4.2 only.
Section 3: no early data; Python's ``ssl`` has no way to accept it, and :func:`server_context` gives out no tickets
that it could come with.
"""

from __future__ import annotations

import logging
import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlag_agent.errors import SettingsError

__all__ = ["TlsFiles", "read_certificates", "server_context", "verified_chain", "warn_if_expired"]

log = logging.getLogger(__name__)

TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and authenticated encryption: RFC 9325 section 4.2, and ChaCha20 for devices without AES in hardware.
The suites of TLS 1.3 are OpenSSL's own, with those that RFC 8446 section 9.1 requires."""

MAX_FILE = 4 * 1024 * 1024
"""Bytes of a file of certificates or revocations."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate (and what leads to its CA) and key, the CAs of the clients, and their revocations."""

    certificate: Path
    key: Path
    client_ca: Path
    crl: Path | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For a server that takes no client without a valid certificate; for one connection.

    OpenSSL keeps the sessions of TLS 1.2 with the context and would resume them, and Python cannot tell it not to: a
    certificate that was revoked, or mapped to another user, meanwhile would come in again.  A new context for each
    connection (0.8 ms) has nothing to resume, and sees files that were renewed.

    Raises :exc:`~mlag_agent.errors.SettingsError` for files that are missing, damaged, readable by others (the key) or
    that do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS_1_2_CIPHERS)
    context.num_tickets = 0  # the same for TLS 1.3
    context.options |= (
        ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.verify_mode = ssl.CERT_REQUIRED
    # What is in the file of client CAs is trusted as it stands, an intermediate CA or one single client included.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _check_key(files.key)
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the TLS certificate {files.certificate} with key {files.key} cannot be used: {_reason(error)}",
            "both are PEM files, the key is the certificate's own and not encrypted",
        ) from None
    authorities = "".join(
        ssl.DER_cert_to_PEM_cert(certificate) for certificate in read_certificates(files.client_ca, "client CA")
    )
    context.load_verify_locations(cadata=authorities)
    if files.crl is not None:
        _load_revocations(context, files.crl)
    return context


def read_certificates(path: Path, what: str) -> Sequence[bytes]:
    """The certificates of a PEM file, in DER; raises :exc:`~mlag_agent.errors.SettingsError` also if there is none."""
    try:
        found = x509.load_pem_x509_certificates(_read(path, what))
    except ValueError as error:
        raise SettingsError(f"the {what} {path} holds no certificate that can be read: {error}") from None
    return [certificate.public_bytes(Encoding.DER) for certificate in found]


def verified_chain(connection: ssl.SSLObject) -> Sequence[bytes]:
    """The peer's certificate and those that lead from it to the CA that is trusted, in DER."""
    # Public since Python 3.13; before, the same is only to be had from the object below.
    public: Any = getattr(connection, "get_verified_chain", None)
    if public is not None:
        return list(public())
    inner: Any = connection._sslobj  # type: ignore[attr-defined]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner.get_verified_chain()]


def _load_revocations(context: ssl.SSLContext, path: Path) -> None:
    content = _read(path, "revocation list")
    if b"-----BEGIN X509 CRL-----" not in content:
        raise SettingsError(f"{path} holds no revocation list in PEM", "openssl crl -inform DER converts one")
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"the revocation list {path} cannot be read: {_reason(error)}") from None
    # Of each CA in a client's chain there must be one that has not expired: else nobody comes in by that CA.
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _check_key(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"the TLS key {path} cannot be read: {error.strerror}") from None
    if mode & stat.S_IRWXO:
        raise SettingsError(
            f"the TLS key {path} may be read by others (mode {stat.S_IMODE(mode):04o})", f"run: chmod o= {path}"
        )


def warn_if_expired(path: Path) -> None:
    """Say so in the log if our certificate is not valid now."""
    certificate = x509.load_pem_x509_certificates(_read(path, "TLS certificate"))[0]
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        log.warning(
            "the TLS certificate %s is valid from %s to %s: clients will refuse it",
            path,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE:
                raise SettingsError(f"the {what} {path} is larger than {MAX_FILE} bytes")
            return file.read(MAX_FILE)
    except OSError as error:
        raise SettingsError(f"the {what} {path} cannot be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
