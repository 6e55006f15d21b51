# SPDX-License-Identifier: EUPL-1.2
"""Short ways to put numbers of one road through derivations."""

from __future__ import annotations

from typing import Any

import numpy as np

from lamppost.batch import JudgedBatch, ReadingBatch
from lamppost.flags import GOOD
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from tests.processor_cases import START_NS, build

FIELD_M = 22 * 0.3048

KM_PER_MILE = 1.609344

STATION = Station(
    sensor="tr-1",
    latitude=48,
    longitude=8,
    period_s=60,
    lanes=2,
    road_class="freeway",
    free_flow_speed_km_h=100,
    detector="single_loop",
    downstream="tr-2",
    downstream_km=2.0,
)

STATIONS = {"tr-1": STATION, "tr-2": Station(sensor="tr-2", latitude=48, longitude=8)}


def of(*numbers: float) -> tuple[np.ndarray, ...]:
    """Return each number as a column."""
    return tuple(np.array([number], np.float64) for number in numbers)


def batch(
    series: SeriesTable, rows: list[tuple[str, float, float]], *, flag: int = GOOD,
    revision: int = 0, received_s: float | None = None,
) -> JudgedBatch:  # fmt: skip
    """Return judged readings of a station: quantity, seconds, value."""
    time = np.array([START_NS + round(s * SECOND_NS) for _, s, _ in rows], np.int64)
    late = 1.0 if received_s is None else received_s
    received = (
        time + SECOND_NS
        if received_s is None
        else np.full(len(rows), START_NS + round(late * SECOND_NS))
    )
    readings = ReadingBatch(
        series=np.array([series.code(_key(name)) for name, _, _ in rows], np.int32),
        time=time,
        received=received,
        value=np.array([value for _, _, value in rows], np.float64),
        flag=np.full(len(rows), flag, np.uint8),
        reasons=np.full(len(rows), 0 if flag == GOOD else 256, np.uint32),
    )
    return JudgedBatch.unscored(readings, revision)


def _key(name: str) -> SeriesKey:
    quantity, _, qualifiers = name.partition("|")
    return SeriesKey("tr-1", quantity, qualifiers)


def one(
    name: str, values: dict[str, float], stations: dict[str, Station] | None = None, **settings: Any
) -> float:
    """Return what is derived from readings of one instant."""
    series = SeriesTable()
    derivation = build("derivation", name, settings, series, stations or STATIONS)
    made = derivation.derive(batch(series, [(q, 0.0, value) for q, value in values.items()]))
    assert len(made) == 1
    return float(made.value[-1])
