# SPDX-License-Identifier: EUPL-1.2
"""How many readings a second one core takes through checks and windows, by number of series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

from lamppost import log
from lamppost.batch import ReadingBatch
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy
from lamppost.series import SeriesTable
from lamppost.stations import Station
from lamppost_app.admission import Admission
from lamppost_app.decoding import Decoder
from lamppost_app.engine import Engine
from lamppost_app.pipeline import Judged, Pipeline

from .frames import (
    FRAME_MESSAGES,
    READINGS_PER_MESSAGE,
    decoder_of,
    default_policy,
    frame_entries,
    frames_of,
    policy_entry,
    stream,
)
from .rows import Peer, Point, Row
from .timing import Plan, Share, overall, seconds_of

GROUP: Final = "engine"
_BUDGET: Final = 500_000.0
_FLATNESS: Final = 0.8 / 1.2
_SIZES: Final = (1_000, 10_000, 100_000)
_STEPS_S: Final = (10, 60)
_ROUNDS: Final = 10
_LEAST_FRAMES: Final = 48
_MOST_FRAMES: Final = 732
_HOW: Final = (
    f"Default policy, frames of {FRAME_MESSAGES:,} messages with two quantities, each sensor once a"
    f" minute or every ten seconds, a tick after each frame; after {_ROUNDS} rounds an hour of the"
    f" city, at least {_LEAST_FRAMES} and at most {_MOST_FRAMES} frames; all readings over the CPU"
    " time of all, in brackets the slowest and the fastest quarter; one process. Checks include"
    " arrival and detectors, windows are all there are, and the engine is also indices, alerts, the"
    " ledger and the encoding of results."
)
_KINDS: Final = (
    ("checks", "checks", _BUDGET),
    ("checks_and_windows", "checks and windows", _BUDGET),
    ("engine", "engine", None),
    ("decoding_and_engine", "engine and decoding", None),
)


@dataclass(slots=True)
class Taken:
    """CPU seconds of each measured frame, and the readings it led to, derived ones included."""

    judging: list[float] = field(default_factory=list)
    judging_with_ticks: list[float] = field(default_factory=list)
    decoding: list[float] = field(default_factory=list)
    published: list[int] = field(default_factory=list)


def measure(plan: Plan) -> list[Row]:
    """Measure small and large cities, and how flat the rate stays between them."""
    rows: list[Row] = []
    for step_s in _STEPS_S:
        rates = {series: _rates(series, step_s, plan) for series in _SIZES}
        for kind, words, budget in _KINDS:
            curve = f"{words}, every {step_s} s"
            of_kind = {series: found[kind] for series, found in rates.items()}
            rows += [_row(Point(curve, series), budget, rate) for series, rate in of_kind.items()]
            rows.append(_flatness(curve, [rate.whole for rate in of_kind.values()]))
    return rows


def _row(point: Point, budget: float | None, rate: Share) -> Row:
    return Row(
        group=GROUP,
        what=f"{point.size:,} series: {point.curve}",
        measured=rate.whole,
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
        what=f"slowest size beside fastest: {curve}",
        measured=slowest,
        low=slowest,
        high=fastest,
        unit="readings/s",
        better="more",
        how="20 % to both sides of a common rate are 0.8 / 1.2 = 0.667.",
        peer=Peer("the fastest size", fastest, slowest / fastest, _FLATNESS),
    )


def _rates(series: int, step_s: int, plan: Plan) -> dict[str, Share]:
    """Return the rates of a city of a size, by kind."""
    sensors = series // READINGS_PER_MESSAGE
    warm = frames_of(_ROUNDS, sensors) + 2
    hour = frames_of(3600 // step_s, sensors)
    measured = plan.pick(min(max(hour, _LEAST_FRAMES), _MOST_FRAMES), 6)
    frames = partial(stream, warm + measured, sensors, step_s=step_s)
    through = through_windows(frame_entries(frames()), default_policy(), warm, {})
    taken = take(chain([policy_entry()], frame_entries(frames())), default_policy(), warm)
    both = zip(taken.judging_with_ticks, taken.decoding, strict=True)
    seconds = {
        "checks": through.judging,
        "checks_and_windows": through.judging_with_ticks,
        "engine": taken.judging_with_ticks,
        "decoding_and_engine": [judging + decoding for judging, decoding in both],
    }
    readings = [FRAME_MESSAGES * READINGS_PER_MESSAGE] * measured
    return {kind: overall(readings, spent) for kind, spent in seconds.items()}


def through_windows(
    entries: Iterable[Entry], policy: Policy, warm: int, stations: Mapping[str, Station]
) -> Taken:
    """Take readings through checks and windows only, and return what the frames cost.

    Args:
        entries: frames; a tick is put behind each.
        policy: of which alerts and indices are left out.
        warm: how many frames come before the first that is measured.
        stations: the registry.
    """
    bare = policy.model_copy(update={"alerts": {}, "indices": {}})
    series = SeriesTable()
    pipeline = Pipeline(bare, series, stations)
    decoder = Decoder(policy, pipeline.formats, Admission(series, ()))
    taken = Taken()
    for number, entry in enumerate(entries):
        decoded = decoder.decode(Deliveries.from_bytes(entry.body), entry.at)
        judged: list[Judged] = []
        judging = seconds_of(partial(_judge, pipeline, decoded.readings, entry.at, judged))
        tick = seconds_of(partial(pipeline.advance, entry.at))
        if number >= warm:
            taken.judging.append(judging)
            taken.judging_with_ticks.append(judging + tick)
            taken.published.append(len(judged[0].readings))
    return taken


def _judge(pipeline: Pipeline, readings: ReadingBatch, now: int, into: list[Judged]) -> None:
    into.append(pipeline.judge(readings, now))


def take(entries: Iterable[Entry], policy: Policy, warm: int) -> Taken:
    """Let an engine take in entries, and return what its frames cost, decoding apart.

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
        decoding = seconds_of(partial(_decode_body, decode, entry.body))
        records: list[Record] = []
        whole = seconds_of(partial(_apply, engine, entry, records))
        tick = seconds_of(partial(engine.apply, Entry(0, log.TICK, entry.at, b"")))
        if frame >= warm:
            taken.decoding.append(decoding)
            taken.judging.append(whole - decoding)
            taken.judging_with_ticks.append(whole - decoding + tick)
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
