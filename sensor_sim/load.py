# SPDX-License-Identifier: EUPL-1.2
"""Ready-made messages for load tests: encoded beforehand, every (sensor, time) pair once."""

from __future__ import annotations

import numpy as np

from .calendar_time import SECOND_NS
from .dialects import iso_texts
from .messages import Message, topic_of
from .noise import Floats, key_of, normal

FIRST_AT_NS = 1_767_225_600 * SECOND_NS


def load_sensor(number: int) -> str:
    """Return the name of a load-test sensor."""
    return f"load-{number:06d}"


def load_messages(
    count: int, sensors: int, seed: int, *, first_at_ns: int = FIRST_AT_NS, step_s: int = 1
) -> list[Message]:
    """Return messages that visit the sensors in turn, one step of time further in each round.

    Args:
        count: number of messages.
        sensors: number of different sensors.
        seed: the same seed gives the same bytes.
        first_at_ns: time of the first round, a whole second.
        step_s: seconds between two readings of one sensor.
    """
    rounds = -(-count // sensors)
    due_ns = first_at_ns + np.arange(rounds, dtype=np.int64) * step_s * SECOND_NS
    times = iso_texts(due_ns)
    names = [load_sensor(number) for number in range(sensors)]
    topics = [topic_of(name) for name in names]
    heads = [f'{{"sensor":"{name}","time":"' for name in names]
    values = zip(
        _values(seed, "dust", count, 12.0), _values(seed, "warmth", count, 9.0), strict=True
    )
    messages = []
    for number, (dust, warmth) in enumerate(values):
        turn, sensor = divmod(number, sensors)
        tail = f'{times[turn]}","values":{{"pm2_5":{dust},"temperature":{warmth}}}}}'
        payload = (heads[sensor] + tail).encode()
        messages.append(Message(topics[sensor], payload, int(due_ns[turn])))
    return messages


def _values(seed: int, purpose: str, count: int, mean: float) -> list[float]:
    key = np.array([key_of(seed, "load", purpose)], dtype=np.uint64)
    deviates: Floats = normal(key, np.arange(count, dtype=np.int64))
    rounded: list[float] = np.round(mean + deviates, 2).tolist()
    return rounded
