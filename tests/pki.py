"""Certificates for tests, made with ``cryptography``: authorities, servers, clients, revocations."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlag_agent.access.cert_to_name import MapType
from mlag_agent.config import CertToNameSettings, TlsSettings

__all__ = ["DAY", "LOOPBACK", "Authority", "Credential", "Pki", "client_context", "fingerprint"]

DAY = timedelta(days=1)
LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))


def fingerprint(certificate: x509.Certificate, number: int = 4) -> str:
    """As RFC 7407 writes it; 4 is SHA-256."""
    algorithm = {1: hashes.MD5, 2: hashes.SHA1, 3: hashes.SHA224, 4: hashes.SHA256, 5: hashes.SHA384, 6: hashes.SHA512}
    octets = bytes([number]) + certificate.fingerprint(algorithm[number]())
    return ":".join(f"{octet:02X}" for octet in octets)


@dataclass(frozen=True)
class Credential:
    """A certificate and its key; ``chain`` are the certificates to send along."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        encoding = serialization.Encoding.PEM
        return b"".join(certificate.public_bytes(encoding) for certificate in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The files of the certificate and of the key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return certificate, key


class Authority(Credential):
    """A CA."""

    @classmethod
    def make(cls, name: str, parent: Authority | None = None) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if parent is None else parent.certificate.subject
        builder = (
            _builder(subject, issuer, key, datetime.now(UTC) - DAY, datetime.now(UTC) + 365 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        certificate = builder.sign(key if parent is None else parent.key, hashes.SHA256())
        chain = () if parent is None else (parent.certificate, *parent.chain)
        return cls(certificate, key, chain)

    def issue(
        self,
        *names: x509.GeneralName,
        common_name: str | Sequence[str] = (),
        usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
        valid: tuple[timedelta, timedelta] = (-DAY, 30 * DAY),
        claimed: Authority | None = None,
    ) -> Credential:
        """A certificate for a client, or for a server by its usage; it says that ``claimed`` has signed it."""
        key = ec.generate_private_key(ec.SECP256R1())
        common = (common_name,) if isinstance(common_name, str) else common_name
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common])
        now = datetime.now(UTC)
        builder = _builder(subject, self.certificate.subject, key, now + valid[0], now + valid[1])
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((claimed or self).key.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not common)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        intermediate = (self.certificate, *self.chain[:-1]) if self.chain else ()
        return Credential(builder.sign(self.key, hashes.SHA256()), key, intermediate)

    def issue_server(self, *names: x509.GeneralName) -> Credential:
        return self.issue(*names, common_name="server", usage=ExtendedKeyUsageOID.SERVER_AUTH)

    def revocations(self, *revoked: Credential, until: timedelta = DAY) -> bytes:
        """A CRL in PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject, last_update=now - 2 * DAY, next_update=now + until
        )
        for credential in revoked:
            entry = x509.RevokedCertificateBuilder(
                serial_number=credential.certificate.serial_number, revocation_date=now - DAY
            )
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def client_context(
    authority: Authority, files: tuple[Path, Path] | None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Of a client that trusts ``authority`` and shows the certificate in ``files``."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if files is not None:
        context.load_cert_chain(*files)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


class Pki:
    """One authority for both sides, and a client called anna."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Authority.make("root")
        self.server = self.root.issue_server(LOOPBACK, x509.DNSName("localhost"))
        self.anna = self.root.issue(x509.RFC822Name("anna@example.com"), common_name="anna")
        self.server_files = self.server.write(folder, "server")
        self.root_file = self.root.write(folder, "root")[0]

    def settings(self, **options: Any) -> TlsSettings:
        entries = options.pop("cert_to_name", (self.rule(),))
        merged = {"client_ca": str(self.root_file), "port": 0, "cert_to_name": entries} | options
        return TlsSettings(str(self.server_files[0]), str(self.server_files[1]), **merged)

    def rule(self, id_: int = 1, of: Credential | None = None, how: str = "common-name", **name: str) -> Any:
        return CertToNameSettings(id_, fingerprint((of or self.root).certificate), MapType(how), **name)

    def context(self, client: Credential | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        files = None if client is None else client.write(self.folder, "client")
        return client_context(self.root, files, version)
