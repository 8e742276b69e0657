"""Names from certificates (RFC 7407 section 4.1)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509

from mlag_agent.access.cert_to_name import CertToName, Fingerprint, MapType, NameRule
from mlag_agent.errors import SettingsError
from pki import Authority, Credential, fingerprint

ROOT = Authority.make("root")
OTHER = Authority.make("other")
MAIL = x509.RFC822Name("FooBar@Example.COM")
DNS = x509.DNSName("Leaf-1.Example.COM")
IPV4 = x509.IPAddress(ip_address("192.0.2.1"))
IPV6 = x509.IPAddress(ip_address("2001:db8::1"))


def rule(id_: int, of: Credential, map_type: str, name: str | None = None) -> NameRule:
    return NameRule(id_, Fingerprint.parse(fingerprint(of.certificate)), MapType(map_type), name)


def username(client: Credential, *rules: NameRule, chain: tuple[Credential, ...] = (ROOT,)) -> str | None:
    """What the agent makes of ``client``, whose chain has been verified up to ROOT; it trusts ROOT alone."""
    return CertToName(rules, [ROOT.der]).username([client.der, *(part.der for part in chain)])


class TestMapTypes:
    @pytest.mark.parametrize(
        ("map_type", "names", "expected"),
        [
            ("san-rfc822-name", (DNS, MAIL), "FooBar@example.com"),
            ("san-dns-name", (MAIL, DNS), "leaf-1.example.com"),
            ("san-ip-address", (DNS, IPV4), "192.0.2.1"),
            ("san-ip-address", (IPV6,), "20010db8000000000000000000000001"),
            ("san-any", (DNS, MAIL), "leaf-1.example.com"),
            ("san-any", (MAIL, DNS), "FooBar@example.com"),
            ("san-any", (IPV6, MAIL), "20010db8000000000000000000000001"),
            ("san-any", (x509.UniformResourceIdentifier("urn:x"), IPV4), "192.0.2.1"),
            ("san-rfc822-name", (DNS, IPV4), None),
            ("san-dns-name", (MAIL,), None),
            ("san-ip-address", (MAIL,), None),
            ("san-any", (x509.UniformResourceIdentifier("urn:x"),), None),
            ("san-any", (), None),
            ("common-name", (), "Ann"),
        ],
    )
    def test_derived(self, map_type: str, names: tuple[x509.GeneralName, ...], expected: str | None) -> None:
        client = ROOT.issue(*names, common_name="Ann")
        assert username(client, rule(1, ROOT, map_type)) == expected

    def test_specified(self) -> None:
        client = ROOT.issue(common_name="whoever")
        assert username(client, rule(1, client, "specified", "admin")) == "admin"

    @pytest.mark.parametrize("common_name", [(), ("Ann", "Bob"), "a b", "x\u0001", "x" * 64])
    def test_common_names_that_give_no_user(self, common_name: str | tuple[str, ...]) -> None:
        client = ROOT.issue(common_name=common_name)
        expected = common_name if common_name == "x" * 64 else None
        assert username(client, rule(1, ROOT, "common-name")) == expected

    def test_common_name_in_utf_8(self) -> None:
        assert username(ROOT.issue(common_name="Zoë"), rule(1, ROOT, "common-name")) == "Zoë"


class TestWhichEntry:
    def test_by_id_not_by_place(self) -> None:
        client = ROOT.issue(common_name="Ann")
        rules = (rule(20, ROOT, "specified", "second"), rule(3, ROOT, "specified", "first"))
        assert username(client, *rules) == "first"

    def test_the_search_goes_on_when_an_entry_gives_no_name(self) -> None:
        client = ROOT.issue(common_name="Ann")
        rules = (rule(1, ROOT, "san-any"), rule(2, OTHER, "specified", "x"), rule(3, ROOT, "common-name"))
        assert username(client, *rules) == "Ann"

    def test_a_fingerprint_of_someone_else(self) -> None:
        client = ROOT.issue(common_name="Ann")
        assert username(client, rule(1, ROOT.issue(), "specified", "admin")) is None
        assert username(client) is None

    def test_an_authority_counts_only_if_it_is_in_the_chain_and_trusted(self) -> None:
        middle = Authority.make("middle", ROOT)
        client = middle.issue(common_name="Ann")
        chain = (middle, ROOT)
        assert username(client, rule(1, ROOT, "common-name"), chain=chain) == "Ann"
        # The client has sent the intermediate CA itself: no "locally held copy".
        assert username(client, rule(1, middle, "common-name"), chain=chain) is None
        assert username(client, rule(1, OTHER, "common-name"), chain=chain) is None

    @pytest.mark.parametrize("number", [3, 4, 5, 6])
    def test_hashes(self, number: int) -> None:
        client = ROOT.issue()
        text = fingerprint(client.certificate, number)
        for spelt in (text, text.lower()):
            found = CertToName([NameRule(1, Fingerprint.parse(spelt), MapType.SPECIFIED, "x")], [])
            assert found.username([client.der]) == "x"


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "is no fingerprint"),
            ("AB:CD", "the first octet is not a hash"),
            ("04", "is no fingerprint"),
            ("04:AB:CD", "sha256 has 32 octets, these are 2"),
            ("4:AB", "is no fingerprint"),
            ("04:AB:XY", "is no fingerprint"),
            ("01" + ":AB" * 16, "MD5 is too weak"),
            ("02" + ":AB" * 20, "SHA-1 is too weak"),
        ],
    )
    def test_bad_fingerprints(self, text: str, words: str) -> None:
        with pytest.raises(SettingsError, match=words) as caught:
            Fingerprint.parse(text)
        assert "openssl x509" in caught.value.hint

    def test_a_name_goes_with_specified(self) -> None:
        with pytest.raises(SettingsError, match="goes with map-type specified"):
            rule(1, ROOT, "specified")
        with pytest.raises(SettingsError, match="goes with map-type specified"):
            rule(1, ROOT, "san-any", "x")
        with pytest.raises(SettingsError, match="cannot be the name"):
            rule(1, ROOT, "specified", "a\nb")

    def test_ids_are_unique(self) -> None:
        with pytest.raises(SettingsError, match="cert-to-name 1 is listed twice"):
            CertToName([rule(1, ROOT, "san-any"), rule(2, ROOT, "san-any"), rule(1, OTHER, "san-any")], [])


def test_a_network_in_a_certificate_is_no_address() -> None:
    certificate = ROOT.issue(x509.IPAddress(ip_network("192.0.2.0/24")), common_name="x")
    assert username(certificate, rule(1, ROOT, "san-ip-address")) is None
