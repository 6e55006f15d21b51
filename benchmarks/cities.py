# SPDX-License-Identifier: EUPL-1.2
"""What a reading costs in the engine, by what a city measures and how much of it is judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost.policy import Policy
from lamppost.stations import Station
from lamppost.times import MINUTE_NS, format_instant
from sensor_sim.load import FIRST_AT_NS

from .engine_rate import take, through_windows
from .frames import FRAME_MESSAGES, default_policy, frames_of
from .rows import Row
from .timing import Plan, Share, overall

GROUP: Final = "cities"
_BUDGET_US: Final = 2.0
_SERIES: Final = 10_000
_STATIONS_A_ROAD: Final = 10
_ROUNDS: Final = 10
_BEYOND_CHECKS: Final = ("derivations", "corrections", "detection")
_HOW: Final = (
    f"{_SERIES:,} series, each once a minute, frames of {FRAME_MESSAGES:,} messages, every station"
    " in the registry; checks alone are arrival and checks, checks also derived series and"
    " detectors, windows all there are, and the engine also indices, alerts, the ledger and the"
    " encoding of results; CPU of one process for each reading that was sent, or for each that was"
    f" sent or derived: after {_ROUNDS} rounds all of an hour, in brackets the best and the worst"
    " quarter of it."
)

Readings = Mapping[str, "np.ndarray[Any, np.dtype[np.floating[Any]]]"]


@dataclass(frozen=True)
class City:
    """What is measured, where, and under which policy.

    Attributes:
        name: in the table.
        quantities: what each sensor sends in a message.
        policy: what is judged and worked out.
        traffic: whether its stations stand along roads.
    """

    name: str
    quantities: tuple[str, ...]
    policy: Policy = field(default_factory=default_policy)
    traffic: bool = False

    @property
    def sensors(self) -> int:
        """How many there are."""
        return _SERIES // len(self.quantities)


def measure(plan: Plan) -> list[Row]:
    """Measure cities that differ in what they measure and in what is switched on."""
    return [row for city in cities() for row in _measured(city, plan)]


def _measured(city: City, plan: Plan) -> list[Row]:
    warm = frames_of(_ROUNDS, city.sensors) + 2
    count = warm + plan.pick(frames_of(60, city.sensors), 4)
    stations = {station.sensor: station for station in stations_of(city)}
    through = through_windows(_frame_entries(city, count), city.policy, warm, stations)
    whole = take(_entries(city, stations.values(), count), city.policy, warm)
    bare = city.policy.model_copy(update={key: {} for key in _BEYOND_CHECKS})
    alone = through_windows(_frame_entries(city, count), bare, warm, stations)
    return [
        *_rows(f"{city.name}: checks alone", city, alone.judging, alone.published, _BUDGET_US),
        *_rows(f"{city.name}: checks", city, through.judging, through.published, _BUDGET_US),
        *_rows(
            f"{city.name}: checks and windows",
            city,
            through.judging_with_ticks,
            through.published,
            _BUDGET_US,
        ),
        *_rows(f"{city.name}: engine", city, whole.judging_with_ticks, whole.published, None),
    ]


def _rows(
    what: str, city: City, seconds: Sequence[float], published: Sequence[int], budget: float | None
) -> list[Row]:
    """Return what a reading of a city costs.

    Where series are derived, also what each of the readings costs that went out in the end.
    """
    sent = [FRAME_MESSAGES * len(city.quantities)] * len(published)
    counted: list[tuple[str, Sequence[int]]] = [("", sent)]
    if sum(published) > 1.1 * sum(sent):
        counted.append((", each sent or derived", published))
    return [
        _row(f"{what}{which}", overall([1e6 * one for one in seconds], readings), budget)
        for which, readings in counted
    ]


def cities() -> list[City]:
    """Return the cities, each with the policy it is measured under."""
    air, traffic = ("pm2_5", "temperature"), ("flow", "occupancy", "speed")
    particles = ("pm2_5_cf1", "humidity")
    return [
        City("air, default policy", air),
        City("air, every check on", air, every_check(air)),
        City("traffic, default policy", traffic, traffic=True),
        City("traffic, every check on", traffic, every_check(traffic), traffic=True),
        City("every PM sensor corrected", particles),
    ]


def every_check(quantities: tuple[str, ...]) -> Policy:
    """Return the default policy with the checks it leaves off switched on for some quantities."""
    policy = default_policy()
    spans = {name: policy.quality["gross_range"]["quantities"][name] for name in quantities
             if name in policy.quality["gross_range"]["quantities"]}  # fmt: skip
    seasons = [[12, 12], [1, 2], [3, 5], [6, 8], [9, 11]]
    added = {
        "climatology": {
            "quantities": {
                name: [
                    {"period": "month", "span": span, "suspect_span": limits["fail_span"]}
                    for span in seasons
                ]
                for name, limits in spans.items()
            }
        },
        "percentile_range": {
            "quantities": {name: {"span": limits["fail_span"]} for name, limits in spans.items()}
        },
        "attenuated_signal": {
            "quantities": {name: {"window_s": 43_200, "suspect": 0.1} for name in quantities}
        },
        "gap": {"default": {"suspect_s": 7_200}},
        "detector_health": {
            **policy.quality["detector_health"],
            "occupancy_spike": {"limit_s": 60, "clear_s": 3_600},
        },
    }
    return policy.model_copy(update={"quality": {**policy.quality, **added}})


def _row(what: str, cost: Share, budget: float | None) -> Row:
    return Row(
        group=GROUP,
        what=what,
        measured=cost.whole,
        low=cost.low,
        high=cost.high,
        unit="µs CPU/reading",
        better="less",
        how=_HOW,
        budget=budget,
    )


def _entries(city: City, stations: Iterable[Station], count: int) -> Iterator[Entry]:
    """Yield the inbox of a city: its policy, its stations, and frames of messages."""
    yield Entry(1, log.POLICY, FIRST_AT_NS, city.policy.canonical().encode())
    told = [station.model_dump() for station in stations]
    yield Entry(2, log.REGISTRATION, FIRST_AT_NS, json.dumps(told).encode())
    yield from _frame_entries(city, count)


def _frame_entries(city: City, count: int) -> Iterator[Entry]:
    for number, frame in enumerate(_frames(city, count), start=3):
        yield Entry(number, log.FRAME, frame.received_at[-1], frame.to_bytes())


def stations_of(city: City) -> list[Station]:
    """Return stations on a grid of 20 by 20 km, or along roads 400 m apart."""
    side = int(np.ceil(np.sqrt(city.sensors)))
    made = []
    for number in range(city.sensors):
        row, place = divmod(number, side)
        north, east = 48 + 0.18 * row / side, 8 + 0.27 * place / side
        station = Station(
            sensor=_sensor(number), kind="air_quality", period_s=60, latitude=north, longitude=east
        )
        made.append(_on_a_road(number, station) if city.traffic else station)
    return made


def _on_a_road(number: int, station: Station) -> Station:
    road, place = divmod(number, _STATIONS_A_ROAD)
    return station.model_copy(
        update={
            "kind": "traffic",
            "detector": "double_loop" if road % 4 else "radar",
            "lanes": 2,
            "road_class": "street_1" if road % 4 else "freeway",
            "free_flow_speed_km_h": 60.0 if road % 4 else 110.0,
            "detector_length_m": 1.8,
            "corridor": f"road {road}",
            "position_km": 0.4 * place,
        }
    )


def _sensor(number: int) -> str:
    return f"city-{number:06d}"


def _frames(city: City, count: int) -> Iterator[Deliveries]:
    """Yield frames in which the sensors report in turn, once a minute."""
    random = np.random.default_rng(11)
    for first in range(0, count * FRAME_MESSAGES, FRAME_MESSAGES):
        numbers = np.arange(first, first + FRAME_MESSAGES)
        readings = _readings(city, random, len(numbers))
        frame = Deliveries()
        for row, number in enumerate(numbers.tolist()):
            turn, sensor = divmod(number, city.sensors)
            at = FIRST_AT_NS + turn * MINUTE_NS
            values = {name: float(readings[name][row]) for name in city.quantities}
            told = {"sensor": _sensor(sensor), "time": format_instant(at), "values": values}
            topic = f"v1/{_sensor(sensor)}/readings"
            frame.add(topic, json.dumps(told).encode(), at, source="mqtt")
        yield frame


def _readings(city: City, random: np.random.Generator, count: int) -> Readings:
    """Return readings that are plausible together."""
    if not city.traffic:
        return {name: np.round(random.normal(*_LEVELS[name], count), 1) for name in city.quantities}
    flow = 60.0 * random.poisson(15, count)
    speed = np.round(random.normal(52, 4, count), 1)
    occupancy = np.round(flow * 6.0 / (10 * speed) / 2, 1)
    return {"flow": flow, "occupancy": occupancy, "speed": speed}


_LEVELS: Final = {
    "pm2_5": (12.0, 1.0),
    "pm2_5_cf1": (14.0, 1.0),
    "temperature": (9.0, 0.5),
    "humidity": (64.0, 1.5),
}
