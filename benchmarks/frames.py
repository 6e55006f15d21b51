# SPDX-License-Identifier: EUPL-1.2
"""Frames of ready-made messages, as the intake stores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count as count_from
from itertools import islice
from pathlib import Path
from typing import Final

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost.policy import GrowthRule, Policy, load_policy
from lamppost.series import SeriesTable
from lamppost.times import SECOND_NS
from lamppost_app.admission import Admission
from lamppost_app.decoding import Decoder
from lamppost_app.pipeline import Pipeline
from sensor_sim.load import FIRST_AT_NS, load_messages
from sensor_sim.messages import Message

FRAME_MESSAGES: Final = 4096
READINGS_PER_MESSAGE: Final = 2
_AT_ONCE: Final = 65_536


def default_policy() -> Policy:
    """Return the policy that comes with Lamppost, for a city whose sensors are all let in."""
    policy = load_policy(Path(__file__).parent.parent / "policy")
    growth = GrowthRule(new_sensors_per_h=1_000_000, unregistered_sensors=1_000_000)
    return policy.model_copy(update={"growth": growth})


def decoder_of(policy: Policy) -> Decoder:
    """Return a decoder under a policy, which knows no series yet."""
    series = SeriesTable()
    return Decoder(policy, Pipeline(policy, series, {}).formats, Admission(series, ()))


def frames_of(rounds: int, sensors: int) -> int:
    """Return how many frames hold so many rounds of messages."""
    return -(-rounds * sensors // FRAME_MESSAGES)


def frames(count: int, sensors: int, *, step_s: int) -> list[Deliveries]:
    """Return frames in which the sensors report in turn, every ``step_s`` seconds."""
    return list(stream(count, sensors, step_s=step_s))


def stream(count: int, sensors: int, *, step_s: int) -> Iterator[Deliveries]:
    """Yield such frames, made as they are asked for: hours of a large city fill no memory."""
    messages = _messages(sensors, step_s)
    for _ in range(count):
        frame = Deliveries()
        for message in islice(messages, FRAME_MESSAGES):
            frame.add(message.topic, message.payload, message.due_at_ns, source="mqtt")
        yield frame


def _messages(sensors: int, step_s: int) -> Iterator[Message]:
    """Yield messages without end, some rounds at a time."""
    rounds = max(1, _AT_ONCE // sensors)
    for turn in count_from(0, rounds):
        yield from load_messages(
            rounds * sensors,
            sensors,
            7 + turn,
            first_at_ns=FIRST_AT_NS + turn * step_s * SECOND_NS,
            step_s=step_s,
        )


def frame_entries(made: Iterable[Deliveries]) -> Iterator[Entry]:
    """Yield frames as entries of an inbox."""
    for number, frame in enumerate(made, start=2):
        yield Entry(number, log.FRAME, frame.received_at[-1], frame.to_bytes())


def policy_entry() -> Entry:
    """Return the entry that puts the default policy in force."""
    return Entry(1, log.POLICY, FIRST_AT_NS, default_policy().canonical().encode())
