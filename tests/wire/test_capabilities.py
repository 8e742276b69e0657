"""Capability URIs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.wire.capabilities import BASE_1_0, BASE_1_1, WITH_DEFAULTS, Capability, common_base

NEXUS = "urn:ietf:params:xml:ns:netconf:base:1.0"  # what ncclient's nexus handler offers in place of base:1.0


def test_parameters() -> None:
    capability = Capability.parse(f"\n  {WITH_DEFAULTS}?basic-mode=explicit&also-supported=report-all,trim ")
    assert capability.uri == WITH_DEFAULTS
    assert capability.parameter("basic-mode") == "explicit"
    assert capability.parameter("also-supported") == "report-all,trim"
    assert capability.parameter("nothing") is None
    assert str(capability) == f"{WITH_DEFAULTS}?basic-mode=explicit&also-supported=report-all,trim"


def test_build_is_what_clients_search_for() -> None:
    built = Capability.build("urn:example:m", {"module": "m", "revision": "2026-01-01", "features": "a,b"})
    assert str(built) == "urn:example:m?module=m&revision=2026-01-01&features=a,b"


@given(st.text())
def test_any_text_parses(text: str) -> None:
    Capability.parse(text)


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_round_trip(parameters: dict[str, str]) -> None:
    try:
        capability = Capability.build("urn:x", parameters)
        text = str(capability)
    except UnicodeEncodeError:
        return  # a lone surrogate has no percent-encoding
    assert Capability.parse(text) == capability


@pytest.mark.parametrize(
    ("theirs", "base"),
    [
        ([BASE_1_0, BASE_1_1], BASE_1_1),
        ([BASE_1_1], BASE_1_1),
        ([BASE_1_0], BASE_1_0),
        ([NEXUS, BASE_1_1], BASE_1_1),
        ([NEXUS], None),
        ([BASE_1_1 + "?x=y"], None),
        ([], None),
    ],
)
def test_common_base(theirs: list[str], base: str | None) -> None:
    assert common_base([BASE_1_0, BASE_1_1], theirs) == base


def test_an_old_server_stays_old() -> None:
    assert common_base([BASE_1_0], [BASE_1_0, BASE_1_1]) == BASE_1_0
    assert common_base([BASE_1_0], [BASE_1_1]) is None
