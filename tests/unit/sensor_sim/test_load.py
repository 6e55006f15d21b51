# SPDX-License-Identifier: EUPL-1.2
"""Load messages are many, unique and repeatable."""

from __future__ import annotations

import json

from sensor_sim.load import load_messages


def test_every_pair_of_sensor_and_time_occurs_once() -> None:
    """The messages visit all sensors in turn."""
    messages = load_messages(1_000, 30, 1)
    bodies = [json.loads(message.payload) for message in messages]

    assert len(messages) == 1_000
    assert len({(body["sensor"], body["time"]) for body in bodies}) == 1_000
    assert len({body["sensor"] for body in bodies}) == 30


def test_topics_and_payloads_name_the_same_sensor() -> None:
    """The route of each message fits its body."""
    for message in load_messages(10, 3, 1):
        assert message.topic == f"v1/{json.loads(message.payload)['sensor']}/readings"


def test_the_seed_decides_the_bytes() -> None:
    """The same seed gives the same messages, another seed others."""
    assert load_messages(50, 5, 1) == load_messages(50, 5, 1)
    assert load_messages(50, 5, 1) != load_messages(50, 5, 2)


def test_the_first_time_and_the_step_can_be_chosen() -> None:
    """Each round of the sensors is one step later."""
    due = [m.due_at_ns for m in load_messages(4, 2, 1, first_at_ns=10**18, step_s=60)]

    assert due == [10**18, 10**18, 10**18 + 60 * 10**9, 10**18 + 60 * 10**9]


def test_no_messages_is_no_error() -> None:
    """Zero messages are an empty list."""
    assert load_messages(0, 5, 1) == []
