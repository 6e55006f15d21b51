# SPDX-License-Identifier: EUPL-1.2
"""Waits between attempts: bounded, growing, and not in step."""

from __future__ import annotations

from lamppost.backoff import Backoff


def test_every_wait_lies_between_first_and_longest() -> None:
    """However often it failed."""
    backoff = Backoff(1.0, 30.0)
    waits = [backoff.next_s() for _ in range(1000)]

    assert all(1.0 <= wait <= 30.0 for wait in waits)
    assert max(waits[:1]) <= 1.5
    assert max(waits) > 20


def test_two_clients_do_not_wait_the_same() -> None:
    """From the first wait on."""
    assert len({Backoff().next_s() for _ in range(20)}) == 20


def test_a_success_begins_anew() -> None:
    """The next wait is short again."""
    backoff = Backoff()
    for _ in range(10):
        backoff.next_s()
    backoff.reset()

    assert backoff.next_s() <= 1.5
