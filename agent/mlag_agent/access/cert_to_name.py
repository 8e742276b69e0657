"""From a client's certificate to the name of a NETCONF user (RFC 7407 section 4.1, which RFC 7589 section 7 asks for).

Entries are tried in the order of their ids.  An entry fits when its fingerprint is that of the certificate presented,
or of a trusted CA certificate that is part of the verified chain.  When it fits but gives no name, the search goes on.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

from mlag_agent.errors import SettingsError

__all__ = ["CertToName", "Fingerprint", "MapType", "NameRule"]

MAX_USERNAME = 255
"""Characters: the limit of user names everywhere in the agent."""

# The registry "TLS HashAlgorithm" (RFC 5246 section 7.4.1.4.1).  MD5 (1) and SHA-1 (2) are in it too: two certificates
# with one such fingerprint can be made, and one of them be another user's.
_HASHES: Mapping[int, str] = MappingProxyType({3: "sha224", 4: "sha256", 5: "sha384", 6: "sha512"})
_WEAK = MappingProxyType({1: "MD5", 2: "SHA-1"})
_FINGERPRINT = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){1,254}")
_NOT_A_NAME = re.compile(r"[\x00-\x20\x7f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot carry or a log line not show."""

_HOW = "openssl x509 -in FILE -noout -fingerprint -sha256, with 04: in front"


class MapType(StrEnum):
    """The identities of ietf-x509-cert-to-name."""

    SPECIFIED = "specified"
    SAN_RFC822_NAME = "san-rfc822-name"
    SAN_DNS_NAME = "san-dns-name"
    SAN_IP_ADDRESS = "san-ip-address"
    SAN_ANY = "san-any"
    COMMON_NAME = "common-name"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``tls-fingerprint`` of RFC 7407: the hash's number, then its octets."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """``04:AB:CD...``; raises :exc:`~mlag_agent.errors.SettingsError`."""
        if not _FINGERPRINT.fullmatch(text.lower()):
            raise SettingsError(f"{text!r} is no fingerprint (hexadecimal octets with colons between)", _HOW)
        number, *octets = bytes.fromhex(text.replace(":", ""))
        if number in _WEAK:
            raise SettingsError(f"fingerprint {text}: {_WEAK[number]} is too weak to tell certificates apart", _HOW)
        if number not in _HASHES:
            known = ", ".join(f"{code:02} {name}" for code, name in _HASHES.items())
            raise SettingsError(f"fingerprint {text}: the first octet is not a hash ({known})", _HOW)
        algorithm = _HASHES[number]
        size = hashlib.new(algorithm).digest_size
        if len(octets) != size:
            raise SettingsError(f"fingerprint {text}: {algorithm} has {size} octets, these are {len(octets)}", _HOW)
        return cls(algorithm, bytes(octets))

    def fits(self, certificate: bytes) -> bool:
        """Whether it is that of a certificate, given in DER."""
        return hmac.compare_digest(hashlib.new(self.algorithm, certificate).digest(), self.digest)


@dataclass(frozen=True, slots=True)
class NameRule:
    """One entry of the list ``cert-to-name``; ``name`` is for ``specified`` only, and needed there."""

    id: int
    fingerprint: Fingerprint
    map_type: MapType
    name: str | None = None

    def __post_init__(self) -> None:
        if (self.map_type is MapType.SPECIFIED) != (self.name is not None):
            raise SettingsError(f"cert-to-name {self.id}: a name goes with map-type specified, and with no other")
        if self.name is not None and _usable(self.name) is None:
            raise SettingsError(f"cert-to-name {self.id}: {self.name!r} cannot be the name of a user")


class CertToName:
    """The list in force, and the CA certificates (DER) that this agent trusts."""

    def __init__(self, rules: Iterable[NameRule], trusted: Iterable[bytes]) -> None:
        """Raises :exc:`~mlag_agent.errors.SettingsError` for an id that is there twice."""
        self.rules: Sequence[NameRule] = sorted(rules, key=lambda rule: rule.id)
        for one, next_ in zip(self.rules, self.rules[1:], strict=False):
            if one.id == next_.id:
                raise SettingsError(f"cert-to-name {one.id} is listed twice")
        self._trusted = frozenset(trusted)

    def username(self, chain: Sequence[bytes]) -> str | None:
        """The user that a verified chain (DER, the client's own certificate first) stands for; None if nobody."""
        presented = chain[0]
        # "a locally held copy of a trusted CA certificate": what the client sent along on its own does not count.
        authorities = [certificate for certificate in chain[1:] if certificate in self._trusted]
        parsed: x509.Certificate | None = None
        for rule in self.rules:
            if not any(rule.fingerprint.fits(certificate) for certificate in (presented, *authorities)):
                continue
            if parsed is None:
                parsed = x509.load_der_x509_certificate(presented)
            name = rule.name if rule.map_type is MapType.SPECIFIED else _derived(parsed, rule.map_type)
            if name is not None:
                return name
        return None


def _derived(certificate: x509.Certificate, how: MapType) -> str | None:
    try:
        if how is MapType.COMMON_NAME:
            names = [
                str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            ]
            return _usable(names[0]) if len(names) == 1 else None  # with several, none is "the" common name
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None  # no such name, or one that cannot be read
    for alternative in extension.value:
        read = _READERS[how].get(type(alternative))
        if read is not None and (name := _usable(read(alternative.value))) is not None:
            return name
    return None


def _usable(name: str) -> str | None:
    return name if 0 < len(name) <= MAX_USERNAME and not _NOT_A_NAME.search(name) else None


def _mail(value: object) -> str:
    local, at, host = str(value).rpartition("@")
    return f"{local}{at}{host.lower()}"  # the local part stays as it is


def _dns(value: object) -> str:
    return str(value).lower()


def _address(value: object) -> str:
    if isinstance(value, IPv4Address):
        return str(value)
    return value.packed.hex() if isinstance(value, IPv6Address) else ""  # a network is no address


_Readers = Mapping[type[x509.GeneralName], Callable[[object], str]]
_ANY: _Readers = {x509.RFC822Name: _mail, x509.DNSName: _dns, x509.IPAddress: _address}
_READERS: Mapping[MapType, _Readers] = MappingProxyType(
    {
        MapType.SAN_RFC822_NAME: {x509.RFC822Name: _mail},
        MapType.SAN_DNS_NAME: {x509.DNSName: _dns},
        MapType.SAN_IP_ADDRESS: {x509.IPAddress: _address},
        MapType.SAN_ANY: _ANY,
    }
)
