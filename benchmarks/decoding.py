# SPDX-License-Identifier: EUPL-1.2
"""What it costs to make readings of native JSON messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from ingest.formats.native_json import Message
from lamppost.frames import Deliveries
from lamppost.times import SECOND_NS, format_instant
from sensor_sim.load import FIRST_AT_NS, load_sensor

from .frames import FRAME_MESSAGES, decoder_of, default_policy
from .rows import Peer, Row
from .timing import Plan, Spread, in_turns

GROUP: Final = "decode"
_BUDGET_US: Final = 2.0
_MOST_OVER_FLOOR: Final = 2.0
_QUANTITIES: Final = ("pm2_5", "temperature", "humidity", "pressure")
_MESSAGES: Final = TypeAdapter(list[Message])
_HOW: Final = (
    f"Frames of {FRAME_MESSAGES:,} messages with one time each, from the inbox to arrays of"
    " readings: route, format, units, series codes, time; CPU of one process, names known."
)


def measure(plan: Plan) -> list[Row]:
    """Measure messages with one, two and four quantities, and with a time of their own each."""
    rows = [_row(plan, quantities) for quantities in (1, 2, 4)]
    return [*rows, _row(plan, 1, own_times=True)]


def _row(plan: Plan, quantities: int, *, own_times: bool = False) -> Row:
    made = [_frame(number, quantities, own_times=own_times) for number in range(plan.pick(16, 3))]
    taken = in_turns(
        {
            "decode": _decode(made),
            "floor": lambda: [_MESSAGES.validate_json(_joined(frame)) for frame in made],
            "loop": lambda: [_plain_loop(frame) for frame in made],
        },
        plan.pick(15, 5),
    )
    per_message = {name: _microseconds(spread, len(made)) for name, spread in taken.items()}
    decode, floor = per_message["decode"], per_message["floor"]
    noun = "quantity" if quantities == 1 else "quantities"
    other = ", every time different" if own_times else ""
    loop = f"json.loads and a plain loop: {per_message['loop'].median:.2f} µs."
    return Row(
        group=GROUP,
        what=f"decode native JSON, {quantities} {noun}{other}",
        measured=decode.median,
        low=decode.low,
        high=decode.high,
        unit="µs CPU/message",
        better="less",
        how=f"{_HOW} {loop}",
        budget=_BUDGET_US if quantities == 1 else None,
        peer=Peer(
            "pydantic validation of the list alone",
            floor.median,
            decode.over(floor),
            _MOST_OVER_FLOOR,
        ),
    )


def _microseconds(spread: Spread, made: int) -> Spread:
    return spread.scaled(1e6 / (made * FRAME_MESSAGES))


def _decode(made: Sequence[Deliveries]) -> Callable[[], object]:
    decoder = decoder_of(default_policy())
    return lambda: [decoder.decode(frame) for frame in made]


def _joined(frame: Deliveries) -> bytes:
    return b"[" + b",\n".join(frame.payloads) + b"]"


def _plain_loop(frame: Deliveries) -> list[tuple[str, str, str, float]]:
    readings = []
    for payload in frame.payloads:
        message = json.loads(payload)
        for quantity, value in message["values"].items():
            readings.append((message["sensor"], quantity, message["time"], value))
    return readings


def _frame(number: int, quantities: int, *, own_times: bool) -> Deliveries:
    values = np.random.default_rng(number).normal(20.0, 3.0, (FRAME_MESSAGES, quantities)).round(2)
    frame = Deliveries()
    for row, numbers in enumerate(values.tolist()):
        sensor = load_sensor(row)
        at = FIRST_AT_NS + number * 60 * SECOND_NS + (row * 1_000_000 if own_times else 0)
        named = dict(zip(_QUANTITIES, numbers, strict=False))
        message = {"sensor": sensor, "time": format_instant(at), "values": named}
        payload = json.dumps(message, separators=(",", ":")).encode()
        frame.add(f"v1/{sensor}/readings", payload, at, source="mqtt")
    return frame
