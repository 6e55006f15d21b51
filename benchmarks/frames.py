# SPDX-License-Identifier: EUPL-1.2
"""Frames of ready-made messages, as the intake stores them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost.policy import GrowthRule, Policy, load_policy
from lamppost.series import SeriesTable
from lamppost_app.admission import Admission
from lamppost_app.decoding import Decoder
from lamppost_app.pipeline import Pipeline
from sensor_sim.load import FIRST_AT_NS, load_messages

FRAME_MESSAGES: Final = 4096
READINGS_PER_MESSAGE: Final = 2


def default_policy() -> Policy:
    """Return the policy that comes with Lamppost, for a city whose sensors are all let in."""
    policy = load_policy(Path(__file__).parent.parent / "policy")
    growth = GrowthRule(new_sensors_per_h=1_000_000, unregistered_sensors=1_000_000)
    return policy.model_copy(update={"growth": growth})


def decoder_of(policy: Policy) -> Decoder:
    """Return a decoder under a policy, which knows no series yet."""
    series = SeriesTable()
    return Decoder(policy, Pipeline(policy, series, {}).formats, Admission(series, ()))


def frames(count: int, sensors: int, *, step_s: int) -> list[Deliveries]:
    """Return frames in which the sensors report in turn, every ``step_s`` seconds."""
    messages = load_messages(count * FRAME_MESSAGES, sensors, 7, step_s=step_s)
    made = []
    for start in range(0, len(messages), FRAME_MESSAGES):
        frame = Deliveries()
        for message in messages[start : start + FRAME_MESSAGES]:
            frame.add(message.topic, message.payload, message.due_at_ns, source="mqtt")
        made.append(frame)
    return made


def frame_entries(made: Sequence[Deliveries]) -> Iterator[Entry]:
    """Yield frames as entries of an inbox."""
    for number, frame in enumerate(made, start=2):
        yield Entry(number, log.FRAME, frame.received_at[-1], frame.to_bytes())


def policy_entry() -> Entry:
    """Return the entry that puts the default policy in force."""
    return Entry(1, log.POLICY, FIRST_AT_NS, default_policy().canonical().encode())
