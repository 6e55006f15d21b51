# SPDX-License-Identifier: EUPL-1.2
"""Real extremes pass the whole default policy: at most suspect, and never dropped.

Two recordings of 14 days come with the tests. Whole ones are taken too where the environment names
a folder of them (``LAMPPOST_RECORDINGS``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.flags import FAIL, MISSING, NOT_EVALUATED
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS
from lamppost.units import conversion
from lamppost_app.pipeline import Pipeline
from sensor_sim.recordings import RecordingError, open_recording
from tests.processor_cases import START_NS
from tests.processor_conformance import POLICY

SMOKE = pytest.mark.vector("traps", "hourly PM2.5 above 325.4 and 1000 µg/m³ in wildfire smoke")

_OWN = Path(__file__).parents[2] / "data"
_FOLDER = os.environ.get("LAMPPOST_RECORDINGS")
_WHOLE = sorted(Path(_FOLDER).rglob("*.csv")) if _FOLDER else []
RECORDINGS = [*sorted(_OWN.glob("*_14_days.csv")), *_WHOLE]

# What no air and no road can be, in canonical units: marks of missing values, and 0 K.
IMPOSSIBLE = {
    "temperature": -100.0,
    "humidity": 0.0,
    "flow": 0.0,
    "speed": 0.0,
    "vehicle_count": 0.0,
    "travel_time": 0.0,
}


def judged(
    series: SeriesTable,
    columns: Mapping[int, np.ndarray],
    time: np.ndarray,
    stations: Mapping[str, Station] | None = None,
) -> dict[int, np.ndarray]:
    """Return the flags each series ends with under the whole policy; the cut does not matter."""
    quality = Pipeline(POLICY, series, stations or {})._quality
    codes = np.array(list(columns), np.int32)
    value = np.array([columns[code] for code in codes.tolist()]).T
    known = ~np.isnan(value)
    count = int(known.sum())
    at = np.broadcast_to(time[:, None], value.shape)[known]
    batch = ReadingBatch(
        series=np.broadcast_to(codes, value.shape)[known],
        time=at,
        received=at,
        value=value[known],
        flag=np.full(count, NOT_EVALUATED, np.uint8),
        reasons=np.zeros(count, np.uint32),
    )
    judgement = quality.judge(batch, np.ones(count, np.bool_))
    np.testing.assert_array_equal(judgement.readings.value, batch.value)
    flags = np.full(value.shape, MISSING, np.uint8)
    flags[known] = judgement.readings.flag
    return {code: flags[:, place] for place, code in enumerate(codes.tolist())}


def cells() -> Iterator[Path]:
    """Yield the recordings whose layout is known."""
    for path in RECORDINGS:
        try:
            open_recording(path).readings()
        except RecordingError:
            continue
        yield path


@pytest.mark.parametrize("path", list(cells()), ids=lambda path: path.stem)
def test_a_real_recording_loses_nothing_but_what_is_impossible(path: Path) -> None:
    """Whatever fails is a mark for a missing value, or an instrument that was stuck or broken."""
    recording = open_recording(path).readings()
    later = np.append(True, np.diff(np.maximum.accumulate(recording.time_ns)) > 0)
    series = SeriesTable(SeriesKey("x-1", quantity) for quantity in recording.columns)
    columns = {}
    for code, (quantity, raw) in enumerate(recording.columns.items()):
        way = conversion(quantity, recording.units[quantity])
        assert way is not None
        columns[code] = raw[later] * way.scale + way.offset

    found = judged(series, columns, recording.time_ns[later])

    for code, flags in found.items():
        value, quantity = columns[code], series[code].quantity
        known = ~np.isnan(value)
        assert (flags[known] != MISSING).all()
        lowest = IMPOSSIBLE.get(quantity, -50.0)
        failed = known & (flags == FAIL) & (value >= lowest) & ~stuck(quantity, value)
        assert not failed.any(), (quantity, value[failed][:5])
        assert (flags[known & (value < lowest)] == FAIL).all()


def stuck(quantity: str, value: np.ndarray) -> np.ndarray:
    """Return where a thermometer has shown the same for half a day, as one of the i94 does."""
    if quantity != "temperature":
        return np.zeros(len(value), np.bool_)
    moved = np.append(True, np.diff(value) != 0)
    since = np.maximum.accumulate(np.where(moved, np.arange(len(value)), 0))
    return np.arange(len(value)) - since >= 10


def air(count: int) -> dict[str, Station]:
    """Return stations a kilometre apart."""
    return {
        f"aq-{number}": Station(
            sensor=f"aq-{number}", kind="air_quality", latitude=48 + number / 100, longitude=8
        )
        for number in range(count)
    }


@SMOKE
def test_days_of_wildfire_smoke_stay() -> None:
    """Hourly particles far beyond the index, here or there first."""
    stations, hours = air(5), np.arange(96)
    series = SeriesTable(
        SeriesKey(sensor, quantity) for sensor in stations for quantity in ("pm2_5", "pm10")
    )
    random = np.random.default_rng(5)
    columns = {}
    for code, key in enumerate(series):
        delay = 3 * int(key.sensor[-1])
        plume = 1_400 * np.exp(-(((hours - 40 - delay) / 14) ** 2))
        columns[code] = np.round((9 + plume) * (1.3 if key.quantity == "pm10" else 1), 1)
        columns[code] += np.round(random.normal(0, 1, len(hours)), 1)

    found = judged(series, columns, START_NS + hours * HOUR_NS, stations)

    assert max(column.max() for column in columns.values()) > 1_700
    for flags in found.values():
        assert set(flags.tolist()) <= {1, 3}
        assert (flags == 1).sum() > 40


def test_a_road_that_sleeps_all_night_stays() -> None:
    """Nobody for hours: counts, flow and occupancy of 0 are measurements; a speed there is none."""
    quantities = ("flow", "vehicle_count", "occupancy", "speed")
    series = SeriesTable(SeriesKey("tr-1", quantity) for quantity in quantities)
    minutes = np.arange(20 * 60)
    awake = (minutes < 300) | (minutes > 900)
    random = np.random.default_rng(6)
    count = np.where(awake, random.poisson(6, len(minutes)) + 1.0, 0.0)
    speed = np.where(awake, np.round(48 + random.normal(0, 4, len(minutes)), 1), np.nan)
    occupancy = np.where(awake, np.round(count * 60 * 6 / (10 * np.nan_to_num(speed, nan=1)), 1), 0)
    columns = {0: count * 60, 1: count, 2: occupancy, 3: speed}

    found = judged(series, columns, START_NS + minutes * MINUTE_NS)

    for code in (0, 1, 2):
        asleep = found[code][~awake]
        assert set(asleep.tolist()) <= {1, 3}
        assert (asleep == 1).mean() > 0.75
        assert FAIL not in found[code]


def test_a_heat_wave_and_a_frost_stay() -> None:
    """Records of a century are beyond what is usual, and were measured all the same."""
    series = SeriesTable([SeriesKey("aq-1", "temperature"), SeriesKey("aq-2", "temperature")])
    hours = np.arange(240)
    day = np.cos(2 * np.pi * (hours - 15) / 24)
    random = np.random.default_rng(7)
    columns = {
        code: np.round(mean + 8 * day + random.normal(0, 0.5, len(hours)), 1)
        for code, mean in enumerate((41.0, -32.0))
    }

    found = judged(series, columns, START_NS + hours * HOUR_NS)

    assert columns[0].max() > 49
    assert columns[1].min() < -40
    assert all(set(flags.tolist()) <= {1, 3} for flags in found.values())


def test_clean_air_may_read_a_little_below_nothing() -> None:
    """Reference monitors report such hours; without them the mean of clean air is too high."""
    series = SeriesTable([SeriesKey("x-1", quantity) for quantity in ("pm1", "pm2_5", "pm10")])
    below = np.array([2.0, -1.0, 3.0, -2.0, -1.0, 1.0])
    time = START_NS + np.arange(len(below)) * HOUR_NS

    flags = judged(series, dict.fromkeys(range(3), below), time)

    assert not any((found == FAIL).any() for found in flags.values())
