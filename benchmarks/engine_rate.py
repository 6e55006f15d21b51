# SPDX-License-Identifier: EUPL-1.2
"""How many readings a second one core takes through the engine, by number of series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from lamppost import log
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy
from lamppost_app.decoding import Decoder
from lamppost_app.engine import Engine

from .frames import (
    FRAME_MESSAGES,
    READINGS_PER_MESSAGE,
    decoder_of,
    default_policy,
    frame_entries,
    frames,
    policy_entry,
)
from .rows import Peer, Point, Row
from .timing import Plan, Spread, cpu_s

GROUP: Final = "engine"
_BUDGET: Final = 500_000.0
_FLATNESS: Final = 0.8 / 1.2
_SIZES: Final = (1_000, 10_000, 100_000)
_STEPS_S: Final = (10, 60)
_READINGS: Final = FRAME_MESSAGES * READINGS_PER_MESSAGE
_HOW: Final = (
    f"Default policy, frames of {FRAME_MESSAGES:,} messages with two quantities, each sensor once a"
    " minute or every ten seconds; judging, alerts and the encoding of results, and with ticks the"
    " windows closed and the ledger published after each frame; CPU of one process, after every"
    " series has reported."
)


@dataclass(slots=True)
class Taken:
    """CPU seconds of each measured frame, and the readings it led to, derived ones included."""

    judging: list[float] = field(default_factory=list)
    judging_with_ticks: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    with_ticks: list[float] = field(default_factory=list)
    published: list[int] = field(default_factory=list)


def measure(plan: Plan) -> list[Row]:
    """Measure small and large cities, and how flat the rate stays between them."""
    kinds = (
        ("judging", "decoded readings", _BUDGET),
        ("judging_with_ticks", "decoded readings and ticks", _BUDGET),
        ("whole", "with decoding", None),
        ("with_ticks", "with decoding and ticks", None),
    )
    rows: list[Row] = []
    for step_s in _STEPS_S:
        taken = {series: _run(series, step_s, plan.pick(24, 6)) for series in _SIZES}
        for kind, words, budget in kinds:
            rates = {
                series: Spread(getattr(found, kind)).rates(_READINGS)
                for series, found in taken.items()
            }
            curve = f"{words}, every {step_s} s"
            rows += [_row(Point(curve, series), budget, rate) for series, rate in rates.items()]
            rows.append(_flatness(curve, [rate.median for rate in rates.values()]))
    return rows


def _row(point: Point, budget: float | None, rate: Spread) -> Row:
    return Row(
        group=GROUP,
        what=f"engine, {point.size:,} series: {point.curve}",
        measured=rate.median,
        low=rate.low,
        high=rate.high,
        unit="readings/s",
        better="more",
        how=_HOW,
        budget=budget,
        point=point,
    )


def _flatness(curve: str, rates: Sequence[float]) -> Row:
    slowest, fastest = min(rates), max(rates)
    return Row(
        group=GROUP,
        what=f"engine, slowest size beside fastest: {curve}",
        measured=slowest,
        low=slowest,
        high=fastest,
        unit="readings/s",
        better="more",
        how="Medians of the sizes; 20 % to both sides of a common rate are 0.8 / 1.2 = 0.667.",
        peer=Peer("the fastest size", fastest, slowest / fastest, _FLATNESS),
    )


def _run(series: int, step_s: int, measured: int) -> Taken:
    sensors = series // READINGS_PER_MESSAGE
    warm = -(-sensors // FRAME_MESSAGES) + 2
    made = frames(warm + measured, sensors, step_s=step_s)
    return take([policy_entry(), *frame_entries(made)], default_policy(), warm)


def take(entries: Iterable[Entry], policy: Policy, warm: int) -> Taken:
    """Let an engine take in entries, and return what its frames cost.

    Args:
        entries: of an inbox; a tick is put behind each frame.
        policy: by which they are decoded.
        warm: how many frames come before the first that is measured.
    """
    engine, taken, frame = Engine(), Taken(), 0
    decode = decoder_of(policy)
    for entry in entries:
        if entry.kind != log.FRAME:
            engine.apply(entry)
            continue
        decoding = cpu_s(partial(_decode_body, decode, entry.body))
        records: list[Record] = []
        whole = cpu_s(partial(_apply, engine, entry, records))
        tick = cpu_s(partial(engine.apply, Entry(0, log.TICK, entry.at, b"")))
        if frame >= warm:
            taken.judging.append(whole - decoding)
            taken.judging_with_ticks.append(whole - decoding + tick)
            taken.whole.append(whole)
            taken.with_ticks.append(whole + tick)
            taken.published.append(_readings_in(records))
        frame += 1
    return taken


def _apply(engine: Engine, entry: Entry, records: list[Record]) -> None:
    records += engine.apply(entry)


def _readings_in(records: Iterable[Record]) -> int:
    bodies = [record.body for record in records if record.kind == log.READINGS]
    return sum(arrow_batch(body).num_rows for body in bodies)


def _decode_body(decoder: Decoder, body: bytes) -> None:
    decoder.decode(Deliveries.from_bytes(body))
