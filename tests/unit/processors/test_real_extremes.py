# SPDX-License-Identifier: EUPL-1.2
"""Real extremes pass the whole policy: at most suspect, and never dropped.

As it comes, with everything switched on, and with stricter numbers for what is off by default. Two
recordings of 14 days come with the tests. Whole ones are taken too where the environment names a
folder of them (``LAMPPOST_RECORDINGS``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

import processors
from lamppost.batch import ReadingBatch
from lamppost.component import discover, registered
from lamppost.flags import FAIL, MISSING, NOT_EVALUATED
from lamppost.policy import Policy
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS
from lamppost.units import conversion
from lamppost_app.pipeline import Pipeline
from processors.quality.stage import QualityStage
from sensor_sim.recordings import RecordingError, open_recording
from tests.processor_cases import START_NS
from tests.processor_conformance import EVERYTHING, POLICY

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


# The checks that are off by default, sooner than the policy with everything on, and for more.
_STRICTER: Final[dict[str, Any]] = {
    "climatology": {
        "quantities": {
            "temperature": [
                {"period": "month", "span": [1, 12], "suspect_span": [-20, 42]},
                {"period": "hour", "span": [0, 5], "suspect_span": [-25, 30]},
            ],
            "pm2_5": [{"period": "month", "span": [1, 12], "suspect_span": [0, 250]}],
        }
    },
    "percentile_range": {
        "quantities": {
            "pressure": {"span": [850, 1085], "pad": 30},
            "temperature": {"span": [-50, 60], "pad": 15},
            "pm2_5": {"span": [0, 2000], "pad": 100},
            "flow": {"span": [0, 12000], "pad": 500},
        },
        "min_readings": 100,
    },
    "attenuated_signal": {
        "quantities": {
            "temperature": {"window_s": 43200, "suspect": 0.1},
            "pressure": {"window_s": 43200, "suspect": 0.1},
            "pm2_5": {"window_s": 14400, "suspect": 0.5, "activity": "sd"},
            "vehicle_count": {"window_s": 7200, "suspect": 1},
        }
    },
    "gap": {"default": {"suspect_s": 7200}},
}
POLICIES = {
    "default": POLICY,
    "everything": EVERYTHING,
    "stricter": EVERYTHING.model_copy(update={"quality": {**EVERYTHING.quality, **_STRICTER}}),
}
under_all = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@dataclass(frozen=True)
class Extreme:
    """What the stations of a city measured in hours that were like no others.

    Attributes:
        columns: values at each instant, by series.
        time: the instants.
        stations: where it was.
    """

    columns: dict[SeriesKey, np.ndarray]
    time: np.ndarray
    stations: dict[str, Station]

    def judged(self, policy: Policy) -> dict[SeriesKey, np.ndarray]:
        """Return the flags each series ends with."""
        series = SeriesTable(self.columns)
        values = dict(enumerate(self.columns.values()))
        found = judged(series, values, self.time, self.stations, policy)
        return {series[code]: flags for code, flags in found.items()}


def judged(
    series: SeriesTable,
    columns: Mapping[int, np.ndarray],
    time: np.ndarray,
    stations: Mapping[str, Station] | None = None,
    policy: Policy = POLICY,
) -> dict[int, np.ndarray]:
    """Return the flags each series ends with under a whole policy; the cut does not matter."""
    return staged(Pipeline(policy, series, stations or {})._quality, columns, time)


def staged(
    quality: QualityStage, columns: Mapping[int, np.ndarray], time: np.ndarray
) -> dict[int, np.ndarray]:
    """Return the flags each series ends with, amendments included."""
    codes = np.array(list(columns), np.int32)
    value = np.array([columns[code] for code in codes.tolist()]).T
    known = ~np.isnan(value)
    count = int(known.sum())
    at = np.broadcast_to(time[:, None], value.shape)[known]
    arrived = ReadingBatch(
        series=np.broadcast_to(codes, value.shape)[known],
        time=at,
        received=at,
        value=value[known],
        flag=np.full(count, NOT_EVALUATED, np.uint8),
        reasons=np.zeros(count, np.uint32),
    )
    batch = quality.without_codes(arrived).readings
    judgement = quality.judge(batch, np.ones(count, np.bool_))
    np.testing.assert_array_equal(judgement.readings.value, batch.value)
    flags = np.full(value.shape, MISSING, np.uint8)
    flags[known] = judgement.readings.flag
    return {code: flags[:, place] for place, code in enumerate(codes.tolist())}


def registered_checks() -> list[str]:
    """Return the names of all checks there are."""
    discover(processors)
    return list(registered("check"))


def cells() -> Iterator[Path]:
    """Yield the recordings whose layout is known."""
    for path in RECORDINGS:
        try:
            open_recording(path).readings()
        except RecordingError:
            continue
        yield path


@under_all
@pytest.mark.parametrize("path", list(cells()), ids=lambda path: path.stem)
def test_a_real_recording_loses_nothing_but_what_is_impossible(path: Path, policy: Policy) -> None:
    """Whatever fails is a mark for a missing value, or an instrument that was stuck or broken."""
    recording = open_recording(path).readings()
    later = np.append(True, np.diff(np.maximum.accumulate(recording.time_ns)) > 0)
    series = SeriesTable(SeriesKey("x-1", quantity) for quantity in recording.columns)
    columns = {}
    for code, (quantity, raw) in enumerate(recording.columns.items()):
        way = conversion(quantity, recording.units[quantity])
        assert way is not None
        columns[code] = raw[later] * way.scale + way.offset

    found = judged(series, columns, recording.time_ns[later], policy=policy)

    for code, flags in found.items():
        value, quantity = columns[code], series[code].quantity
        known = ~np.isnan(value)
        lowest = IMPOSSIBLE.get(quantity, -50.0)
        codes = known & (flags == MISSING)
        assert (value[codes] < lowest).all(), (quantity, value[codes][:5])
        failed = known & (flags == FAIL) & (value >= lowest) & ~stuck(quantity, value)
        assert not failed.any(), (quantity, value[failed][:5])
        assert np.isin(flags[known & (value < lowest)], [FAIL, MISSING]).all()


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


def wildfire() -> Extreme:
    """Return ten days at five stations, with smoke from the third on, here or there first."""
    stations, minutes = air(5), np.arange(0, 10 * 24 * 60, 5)
    day, random = np.cos(2 * np.pi * (minutes / 60 - 15) / 24), np.random.default_rng(5)
    columns: dict[SeriesKey, np.ndarray] = {}
    for number, sensor in enumerate(stations):
        smoke = np.exp(-(((minutes / 60 - 90 - 3 * number) / 30) ** 2))
        levels = {
            "pm2_5": (9 + 1_400 * smoke, 1),
            "pm10": (14 + 1_800 * smoke, 2),
            "pm1": (6 + 900 * smoke, 1),
            "co": (250 + 30_000 * smoke, 20),
            "no2": (25 + 150 * smoke, 2),
            "o3": (60 + 30 * day + 250 * smoke, 2),
            "temperature": (29 + 9 * day + 4 * smoke, 0.2),
            "humidity": (40 - 20 * day - 15 * smoke, 0.5),
            "pressure": (1_004 + day, 0.1),
        }
        for quantity, (level, noise) in levels.items():
            for channel in ("channel=a", "channel=b") if quantity == "pm2_5" else ("",):
                scatter = random.normal(0, noise, len(minutes)) + random.normal(0, 0.02) * level
                value = np.round(level + scatter, 1)
                columns[SeriesKey(sensor, quantity, channel)] = value
    return Extreme(columns, START_NS + minutes * MINUTE_NS, stations)


def sleeping_road() -> Extreme:
    """Return a minor road on which nobody drives for ten hours, and then a jam."""
    minutes, random = np.arange(36 * 60), np.random.default_rng(6)
    awake = (minutes % 1_440 < 300) | (minutes % 1_440 > 900)
    jam = (minutes > 1_700) & (minutes < 1_760)
    count = np.where(awake, random.poisson(6, len(minutes)) + 1.0, 0.0)
    usual = np.where(jam, 6.0, 48.0)
    speed = np.where(awake, np.round(usual + random.normal(0, usual / 12), 1), np.nan)
    occupancy = np.where(awake, np.round(count * 60 * 6 / (10 * np.nan_to_num(speed, nan=1)), 1), 0)
    columns = {"flow": count * 60, "vehicle_count": count, "occupancy": occupancy, "speed": speed}
    stations = {"tr-1": Station(sensor="tr-1", kind="traffic", lanes=1, latitude=48, longitude=8)}
    keys = {SeriesKey("tr-1", quantity): column for quantity, column in columns.items()}
    return Extreme(keys, START_NS + minutes * MINUTE_NS, stations)


def heat_and_frost() -> Extreme:
    """Return records of a century, above and below."""
    hours, random = np.arange(240), np.random.default_rng(7)
    day = np.cos(2 * np.pi * (hours - 15) / 24)
    columns = {
        SeriesKey(sensor, "temperature"): np.round(
            mean + 8 * day + random.normal(0, 0.5, len(hours)), 1
        )
        for sensor, mean in (("aq-1", 41.0), ("aq-2", -32.0))
    }
    return Extreme(columns, START_NS + hours * HOUR_NS, {})


EXTREMES = {"wildfire": wildfire, "sleeping road": sleeping_road, "heat": heat_and_frost}


@SMOKE
@under_all
def test_days_of_wildfire_smoke_stay(policy: Policy) -> None:
    """Particles far beyond the index, and what comes with them."""
    extreme = wildfire()

    found = extreme.judged(policy)

    assert max(column.max() for column in extreme.columns.values()) > 20_000
    for key, flags in found.items():
        assert set(flags.tolist()) <= {1, 3}, key
    clean = [(flags == 1).mean() for key, flags in found.items() if key.quantity == "pm10"]
    assert min(clean) > 0.4


@under_all
def test_a_road_that_sleeps_all_night_stays(policy: Policy) -> None:
    """Nobody for hours: counts, flow and occupancy of 0 are measurements; a speed there is none."""
    extreme = sleeping_road()
    asleep = np.isnan(extreme.columns[SeriesKey("tr-1", "speed")])

    found = extreme.judged(policy)

    for quantity in ("flow", "vehicle_count", "occupancy"):
        flags = found[SeriesKey("tr-1", quantity)]
        assert set(flags.tolist()) <= {1, 3}, quantity
        if policy is POLICY:
            assert (flags[asleep] == 1).mean() > 0.75
    assert set(found[SeriesKey("tr-1", "speed")][~asleep].tolist()) <= {1, 3}


@under_all
def test_a_heat_wave_and_a_frost_stay(policy: Policy) -> None:
    """Records of a century are beyond what is usual, and were measured all the same."""
    extreme = heat_and_frost()

    found = extreme.judged(policy)

    assert max(column.max() for column in extreme.columns.values()) > 49
    assert min(column.min() for column in extreme.columns.values()) < -40
    assert all(set(flags.tolist()) <= {1, 3} for flags in found.values())


@pytest.mark.parametrize("name", registered_checks())
def test_every_check_has_judged_an_extreme(name: str) -> None:
    """None of them is left out of what is shown here, whether the policy has it on or off."""
    policy = EVERYTHING
    judged_by = 0
    for extreme in (make() for make in EXTREMES.values()):
        series = SeriesTable(extreme.columns)
        pipeline = Pipeline(policy, series, extreme.stations)
        check = next(one for one in pipeline._quality._checks if one.name == name)
        values = dict(enumerate(extreme.columns.values()))
        found = staged(QualityStage([check], series), values, extreme.time)
        judged_by += sum(int(np.isin(flags, [1, 3]).sum()) for flags in found.values())

    assert judged_by > 0


def test_clean_air_may_read_a_little_below_nothing() -> None:
    """Reference monitors report such hours; without them the mean of clean air is too high."""
    series = SeriesTable([SeriesKey("x-1", quantity) for quantity in ("pm1", "pm2_5", "pm10")])
    below = np.array([2.0, -1.0, 3.0, -2.0, -1.0, 1.0])
    time = START_NS + np.arange(len(below)) * HOUR_NS

    flags = judged(series, dict.fromkeys(range(3), below), time)

    assert not any((found == FAIL).any() for found in flags.values())
