"""``SchemaEngine.check_operation``: what has passed is remembered, and only that."""

from __future__ import annotations

import pytest

from mlag_agent.errors import RpcFailure
from mlag_agent.schema.engine import PASSED_OPERATION_LENGTH, PASSED_OPERATIONS, SchemaEngine
from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest

LEARN = (
    '<learn-entries xmlns="urn:mlag-agent:yang:mlag-simulator"><start-address>10.0.0.1</start-address>'
    "<interface>{interface}</interface><vlan>{vlan}</vlan></learn-entries>"
)


@pytest.fixture(scope="module")
def library() -> SchemaLibrary:
    return SchemaLibrary.load([ModuleRequest("mlag-simulator")])


@pytest.fixture
def engine(library: SchemaLibrary) -> SchemaEngine:
    library.operations._passed.clear()
    return library.operations


def check(engine: SchemaEngine, document: str) -> None:
    engine.check_operation(document, lambda path, message="": None)


def test_what_passed_is_not_checked_again(engine: SchemaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    document = LEARN.format(interface="eth1", vlan=10)
    check(engine, document)

    def never(*_: object) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr(engine, "check_payload", never)
    check(engine, document)
    with pytest.raises(AssertionError):
        check(engine, LEARN.format(interface="eth1", vlan=11))


def test_what_failed_fails_again(engine: SchemaEngine) -> None:
    for _ in range(2):
        with pytest.raises(RpcFailure):
            check(engine, LEARN.format(interface="eth1", vlan=4095))


def test_the_memory_is_bounded_and_keeps_no_long_documents(engine: SchemaEngine) -> None:
    for number in range(PASSED_OPERATIONS + 10):
        check(engine, LEARN.format(interface=f"eth{number}", vlan=10))
        assert len(engine._passed) <= PASSED_OPERATIONS
    engine._passed.clear()
    check(engine, LEARN.format(interface="eth1", vlan=10) + f"<!--{'x' * PASSED_OPERATION_LENGTH}-->")
    assert not engine._passed
