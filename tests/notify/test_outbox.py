"""The queue of one session: its bounds, and who is called when there is room."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.notify.notification import Notification
from mlag_agent.notify.outbox import Outbox
from mlag_agent.schema.nodes import Kind, Module, SchemaNode

SCHEMA = SchemaNode("e", Module("m", "", "urn:m", "m", "1.1", implemented=True, path=""), Kind.NOTIFICATION, None)
TIME = datetime(2026, 1, 1, tzinfo=UTC)


def event(size: int = 1) -> Notification:
    return Notification(SCHEMA, b"x" * size, TIME)


def outbox(length: int = 4, size: int = 100) -> tuple[Outbox, list[str]]:
    woken: list[str] = []
    return Outbox(lambda: woken.append("woken"), length=length, size=size), woken


class TestBounds:
    def test_length(self) -> None:
        box, _ = outbox(length=2)
        assert [box.put(event()) for _ in range(4)] == [True, True, False, False]
        assert len(box) == 2

    def test_size(self) -> None:
        box, _ = outbox(size=100)
        assert [box.put(event(60)), box.put(event(60)), box.put(event(40))] == [True, False, True]
        assert box.size == 100

    def test_event_larger_than_the_bound_goes_alone(self) -> None:
        """Or it could never be sent."""
        box, _ = outbox(size=100)
        assert box.put(event(1000))
        assert not box.put(event())
        box.take()
        assert box.put(event())

    def test_what_must_be_heard_has_room(self) -> None:
        box, _ = outbox(length=1)
        assert box.put(event())
        box.put_anyway(event())
        assert len(box) == 2

    @given(st.lists(st.one_of(st.integers(0, 50), st.none()), max_size=200))
    def test_never_more_than_the_bounds_and_in_order(self, steps: list[int | None]) -> None:
        """A step puts an event of that size, or takes one."""
        box, _ = outbox(length=5, size=60)
        expected: list[Notification] = []
        for step in steps:
            if step is None:
                assert box.take() is (expected.pop(0) if expected else None)
            elif box.put(made := event(step)):
                expected.append(made)
            assert len(box) == len(expected) <= 5
            assert box.size == sum(len(each.content) for each in expected)
            assert box.size <= 60


class TestRoom:
    def test_called_once_when_half_is_taken(self) -> None:
        box, _ = outbox(length=4)
        called: list[int] = []
        while box.put(event()):
            pass
        box.when_room(lambda: called.append(len(box)))
        for _ in range(4):
            box.take()
        assert called == [2]

    def test_size_must_be_half_too(self) -> None:
        box, _ = outbox(length=4, size=100)
        called: list[int] = []
        box.put(event(10))
        box.put(event(80))
        box.when_room(lambda: called.append(len(box)))
        box.take()
        assert called == []
        box.take()
        assert called == [0]

    def test_woken_when_there_is_something_to_take(self) -> None:
        box, woken = outbox()
        box.put(event())
        box.put(event())
        assert len(woken) == 1
        box.take()
        box.take()
        assert box.take() is None
        box.put(event())
        assert len(woken) == 2


class TestClosed:
    def test_takes_and_calls_nothing(self) -> None:
        box, woken = outbox(length=1)
        called: list[str] = []
        box.put(event())
        box.when_room(lambda: called.append("room"))
        box.close()
        box.put_anyway(event())
        box.when_room(lambda: called.append("room"))
        assert not box.put(event())
        assert box.take() is None
        assert (len(box), box.size, called, len(woken)) == (0, 0, [], 1)
