# SPDX-License-Identifier: EUPL-1.2
"""Short ways to put numbers through rules about pairs of traffic stations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lamppost.batch import JudgedBatch, ReadingBatch
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import SECOND_NS
from tests.processor_cases import NAN, START_NS, build, step

PAIR = {
    "tr-1": Station(sensor="tr-1", name="Mill", latitude=48, longitude=8, downstream="tr-2",
                    downstream_km=0.8),
    "tr-2": Station(sensor="tr-2", name="Harbour", latitude=48.01, longitude=8),
}  # fmt: skip


def chain(count: int, **properties: Any) -> dict[str, Station]:
    """Return stations one kilometre apart along one corridor."""
    return {
        f"tr-{place}": Station(sensor=f"tr-{place}", latitude=48, longitude=8, corridor="Ring",
                               position_km=float(place), **properties)
        for place in range(1, count + 1)
    }  # fmt: skip


def traffic_table(stations: Mapping[str, Station]) -> SeriesTable:
    """Return a table with occupancy and speed of each station, in this order."""
    names = ("occupancy", "speed")
    return SeriesTable(SeriesKey(sensor, name) for sensor in stations for name in names)


def interval(
    number: int,
    occupancies: Sequence[float],
    speeds: Sequence[float] | None = None,
    *,
    length_s: float = 60.0,
) -> JudgedBatch:
    """Return the readings of one interval, one of each station; NaN is no reading."""
    values = np.full((len(occupancies), 2), NAN)
    values[:, 0] = occupancies
    if speeds is not None:
        values[:, 1] = speeds
    value = values.ravel()
    kept = np.flatnonzero(np.isfinite(value))
    time = np.full(len(kept), START_NS + round((number + 0.5) * length_s * SECOND_NS))
    readings = ReadingBatch(
        series=kept.astype(np.int32),
        time=time,
        received=time,
        value=value[kept],
        flag=np.ones(len(kept), np.uint8),
        reasons=np.zeros(len(kept), np.uint32),
    )
    return JudgedBatch.unscored(readings)


def end_of(number: int, length_s: float = 60.0) -> int:
    """Return the end of an interval, ns."""
    return START_NS + round((number + 1) * length_s * SECOND_NS)


def stages(
    rule: str,
    up: Sequence[float],
    down: Sequence[float],
    speed_up: Sequence[float] | None = None,
    **settings: Any,
) -> list[int]:
    """Return the stage of a pair after each interval that has two others before it."""
    table = traffic_table(PAIR)
    alert = build("alert", rule, {"wait_s": 0, **settings}, table, PAIR)
    found = []
    for number, both in enumerate(zip(up, down, strict=True)):
        speeds = None if speed_up is None else (speed_up[number], NAN)
        judged = interval(number, both, speeds)
        alert.evaluate(step(end_of(number), ticked=True, judged=judged))
        found.append(int(alert.state["stage"][0]))
    return found[2:]
