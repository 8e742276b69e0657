"""The notation of the command pages as a matcher."""

from __future__ import annotations

import pytest

from mlag_client.commands.pattern import CommandSyntaxError, Pattern, quoted, split_line

CHANNEL = Pattern("peer-link source ip <local:ipv4> [vpn-instance <vpn:name>] peer <peer:ipv4> tcp-port <port:1-65535>")
EXCLUDE = Pattern("port vlan exclude <vlans:vlan>+")


def bindings(pattern: Pattern, line: str) -> dict[str, str] | None:
    match, _ = pattern.match(split_line(line))
    return None if match is None else match.bindings


def complaint(pattern: Pattern, line: str) -> tuple[int, str]:
    match, attempt = pattern.match(split_line(line))
    assert match is None
    return attempt.position, attempt.complaint


class TestMatch:
    def test_parameters(self) -> None:
        line = "peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 2048"
        assert bindings(CHANNEL, line) == {"local": "10.0.0.1", "peer": "10.0.0.2", "port": "2048"}

    def test_optional_part(self) -> None:
        line = "peer-link source ip 10.0.0.1 vpn-instance red peer 10.0.0.2 tcp-port 2048"
        found = bindings(CHANNEL, line)
        assert found is not None
        assert found["vpn"] == "red"

    def test_an_optional_part_is_no_parameter(self) -> None:
        """A VPN instance may be called like the keyword that follows."""
        line = "peer-link source ip 10.0.0.1 vpn-instance peer peer 10.0.0.2 tcp-port 2048"
        found = bindings(CHANNEL, line)
        assert found is not None
        assert found["vpn"] == "peer"

    def test_keywords_may_be_shortened(self) -> None:
        match, _ = CHANNEL.match(split_line("peer so ip 10.0.0.1 pe 10.0.0.2 tcp 2048"))
        assert match is not None
        assert match.shortened == 4

    def test_values_are_canonical(self) -> None:
        pattern = Pattern("x <a:ipv6> <b:mask> <c:1-100>")
        assert bindings(pattern, "x 2001:DB8:0:0::1 255.255.255.0 007") == {"a": "2001:db8::1", "b": "24", "c": "7"}

    def test_nothing_may_follow(self) -> None:
        line = "peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 2048 now"
        match, attempt = CHANNEL.match(split_line(line))
        assert match is None
        assert (attempt.position, list(attempt.expected)) == (8, ["<cr>"])

    @pytest.mark.parametrize(
        ("line", "position", "words"),
        [
            ("peer-link source ip 10.0.0 peer 10.0.0.2 tcp-port 2048", 3, "local '10.0.0' must be an IPv4 address"),
            (
                "peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 65536", 7,
                "port '65536' must be an integer from 1 to 65535",
            ),
            (
                f"peer-link source ip 10.0.0.1 vpn-instance {'n' * 32} peer 10.0.0.2 tcp-port 1", 5,
                f"vpn '{'n' * 32}' must have 1 to 31 characters",
            ),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_named(self, line: str, position: int, words: str) -> None:
        assert complaint(CHANNEL, line) == (position, words)

    @pytest.mark.parametrize("text", ["٣", "1e2", "-1", "+1", "1.0", ""])
    def test_only_decimal_digits_are_an_integer(self, text: str) -> None:
        match, _ = Pattern("x <n:1-100>").match(["x", text])
        assert match is None

    @pytest.mark.parametrize("text", ["fe80::1%eth0", "10.0.0.1", "2001:db8::/64"])
    def test_no_ipv6_address(self, text: str) -> None:
        assert bindings(Pattern("x <n:ipv6>"), f"x {text}") is None


class TestRepeated:
    @pytest.mark.parametrize(
        ("line", "vlans"),
        [("5", "5"), ("5 to 7", "5 6 7"), ("9 5 to 7", "5 6 7 9"), ("5 to 5", "5"), ("1 to 3 2 to 4", "1 2 3 4")],
    )
    def test_vlans(self, line: str, vlans: str) -> None:
        assert bindings(EXCLUDE, f"port vlan exclude {line}") == {"vlans": vlans}

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("7 to 5", "ends below where it begins: 7 to 5"),
            ("5 to", "must be an integer from 1 to 4094"),
            ("4095", "must be an integer from 1 to 4094"),
            (" ".join(str(n) for n in range(1, 22, 2)), "has 11 ranges; at most 10 go into one command"),
        ],
    )
    def test_wrong_vlans(self, line: str, words: str) -> None:
        assert complaint(EXCLUDE, f"port vlan exclude {line}")[1].endswith(words)

    def test_words(self) -> None:
        pattern = Pattern("module vlan service-type <items:=vlan-configuration|port-vlan-relation>+")
        found = bindings(pattern, "module vlan service-type port vlan-configuration port-vlan-relation")
        assert found == {"items": "port-vlan-relation vlan-configuration"}


class TestExpected:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("", ["peer-link"]),
            ("peer-link source ip", ["X.X.X.X"]),
            ("peer-link source ip 10.0.0.1", ["vpn-instance", "peer"]),
            ("peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port", ["INTEGER<1-65535>"]),
            ("peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 5", ["<cr>"]),
            ("peer-link source ipv6", []),
        ],
    )
    def test_next_words(self, line: str, expected: list[str]) -> None:
        assert [expectation.text for expectation in CHANNEL.expected(split_line(line))] == expected


class TestFormat:
    def test_optional_parts_need_their_parameters(self) -> None:
        values = {"local": "10.0.0.1", "peer": "10.0.0.2", "port": "2048"}
        assert CHANNEL.format(values) == "peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 2048"
        assert "vpn-instance red peer" in CHANNEL.format({**values, "vpn": "red"})

    def test_a_mandatory_one_must_be_there(self) -> None:
        with pytest.raises(KeyError):
            CHANNEL.format({"local": "10.0.0.1"})

    def test_spaces_are_quoted(self) -> None:
        assert Pattern("vpn <name:name>").format({"name": "two words"}) == 'vpn "two words"'


class TestWords:
    def test_quotes(self) -> None:
        assert split_line('a "b c"  d ""') == ["a", "b c", "d", ""]
        assert quoted("") == '""'

    @pytest.mark.parametrize("line", ['a "b', 'a"', "x" * 4097])
    def test_what_is_no_line(self, line: str) -> None:
        with pytest.raises(CommandSyntaxError):
            split_line(line)

    @pytest.mark.parametrize("text", ["a [b", "a b]]", "<", "a <x>"])
    def test_what_is_no_pattern(self, text: str) -> None:
        with pytest.raises((ValueError, IndexError)):
            Pattern(text)
