"""Delays after failed logins: a clock in the test's hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlag_agent.access.logins import (
    FIRST_DELAY,
    FORGET_SECONDS,
    LONGEST_DELAY,
    LONGEST_WAIT,
    USER_DELAY,
    USER_FAILURES,
    LoginDelays,
)

HERE, THERE = "192.0.2.1", "198.51.100.7"


def test_nobody_waits_who_has_not_failed() -> None:
    delays = LoginDelays()
    assert [delays.wait(0.0, HERE, "anna") for _ in range(100)] == [0.0] * 100
    assert len(delays) == 0


def test_delays_double_up_to_a_limit() -> None:
    delays = LoginDelays()
    now, waits = 0.0, []
    for _ in range(10):
        wait = delays.wait(now, HERE, "anna")
        assert wait is not None
        waits.append(wait)
        now += wait
        delays.failed(now, HERE, "anna")
    assert waits[:4] == [0.0, FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert waits[-1] == LONGEST_DELAY
    assert delays.wait(now, THERE, "berta") == 0.0  # somebody else, somewhere else


def test_attempts_at_the_same_time_take_turns() -> None:
    """To open many connections gains nothing: some wait, each after the one before, the rest is refused unseen."""
    delays = LoginDelays()
    for _ in range(4):
        delays.failed(0.0, HERE, "anna")
    waits = [delays.wait(0.0, HERE, "anna") for _ in range(100)]
    turns = [wait for wait in waits if wait is not None]
    assert turns == [2.0 * number for number in range(1, len(turns) + 1)]
    assert len(turns) == LONGEST_WAIT // 2.0
    assert waits[len(turns) :] == [None] * (100 - len(turns))


def test_a_name_is_slowed_down_but_never_locked() -> None:
    delays = LoginDelays()
    for number in range(USER_FAILURES):
        delays.failed(0.0, f"203.0.113.{number}", "anna")
    assert [delays.wait(0.0, THERE, "anna") for _ in range(50)] == [USER_DELAY] * 50
    assert delays.wait(0.0, THERE, "berta") == 0.0
    delays.succeeded("anna")
    assert delays.wait(0.0, THERE, "anna") == 0.0


def test_a_success_does_not_wash_the_source_clean() -> None:
    """Who has a password of his own must not use it to try out others' at speed."""
    delays = LoginDelays()
    for _ in range(5):
        delays.failed(0.0, HERE, "anna")
    delays.succeeded("mallory")
    wait = delays.wait(0.0, HERE, "anna")
    assert wait is not None
    assert wait > 0.0


def test_it_is_forgotten() -> None:
    delays = LoginDelays()
    for _ in range(20):
        delays.failed(0.0, HERE, "anna")
    assert delays.wait(FORGET_SECONDS + 1.0, HERE, "anna") == 0.0


def test_an_ipv6_host_has_a_whole_network() -> None:
    delays = LoginDelays()
    delays.failed(0.0, "2001:db8::1", "anna")
    assert delays.wait(0.0, "2001:db8::ffff:1", "berta") == FIRST_DELAY
    assert delays.wait(0.0, "2001:db8:0:1::1", "berta") == 0.0
    delays.failed(0.0, "::ffff:192.0.2.1", "anna")
    assert delays.wait(0.0, HERE, "berta") == FIRST_DELAY


def test_no_delay_when_the_setting_says_so() -> None:
    delays = LoginDelays(first_delay=0)
    for _ in range(5):
        delays.failed(0.0, HERE, "anna")
    assert delays.wait(0.0, HERE, "anna") == 0.0


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=300))
def test_the_tables_are_bounded(attempts: list[tuple[int, int]]) -> None:
    delays = LoginDelays(max_entries=8)
    for number, (source, user) in enumerate(attempts):
        delays.wait(float(number), str(source), str(user))
        delays.failed(float(number), str(source), str(user))
        assert len(delays) <= 16
    if attempts:
        wait = delays.wait(float(len(attempts) - 1), str(attempts[-1][0]), "x")
        assert wait is None or wait > 0.0  # the last one is remembered
