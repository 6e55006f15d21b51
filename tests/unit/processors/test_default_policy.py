# SPDX-License-Identifier: EUPL-1.2
"""The default policy: valid, commented, and kind to real extremes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.component import Kind, find
from lamppost.flags import FAIL, SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import MINUTE_NS
from processors.quality.stage import QualityStage
from tests.processor_cases import START_NS, build, readings, table
from tests.processor_conformance import POLICY, components
from tests.strategies import KEYS

SECTIONS: list[tuple[Kind, str]] = [
    *(("check", name) for name in POLICY.quality),
    *(("detector", name) for name in POLICY.detection),
    *(("aggregator", name) for name in POLICY.windows),
    *(("index", name) for name in POLICY.indices),
]


@pytest.mark.parametrize(("kind", "name"), SECTIONS)
def test_every_component_it_names_exists_and_takes_its_settings(kind: Kind, name: str) -> None:
    """A fresh installation starts."""
    sections = {
        "check": POLICY.quality,
        "detector": POLICY.detection,
        "aggregator": POLICY.windows,
        "index": POLICY.indices,
    }

    assert build(kind, name, sections[kind][name], SeriesTable(KEYS)).name == name


@pytest.mark.parametrize("rule_id", POLICY.alerts)
def test_every_alert_rule_is_valid_and_has_a_title(rule_id: str) -> None:
    """Operations staff read the title first."""
    components("alert")
    rule = POLICY.alerts[rule_id]

    assert rule.title
    assert find("alert", rule.use, rule_id).parse(rule.settings, rule_id)


def test_wildfire_smoke_is_never_failed() -> None:
    """Hours of PM2.5 beyond the index stay in the data, at most suspect."""
    series = table("pm2_5")
    checks = [build("check", name, raw, series) for name, raw in POLICY.quality.items()]
    smoke = (
        300 + 900 * np.sin(np.linspace(0, 3.1, 600)) + np.random.default_rng(1).normal(0, 5, 600)
    )

    found = QualityStage(checks, series).judge(readings(smoke.tolist()), np.ones(600, bool))

    assert smoke.max() > 1100
    assert (found.readings.flag != FAIL).all()
    assert (found.readings.flag == 1).mean() > 0.5


@pytest.mark.parametrize(
    ("quantity", "extreme"),
    [
        ("pm10", 15_400.0),  # an hour of desert dust in a city (Sydney, September 2009)
        ("so2", 21_000.0),  # ten minutes below a volcano (Iceland, October 2014)
        ("flow", 4 * 4_440.0),  # four lanes at the limit of chatter (IRIS)
    ],
)
def test_the_highest_that_was_ever_measured_is_no_impossible_value(
    quantity: str, extreme: float
) -> None:
    """Suspect it may be; failed, it would be kept out of the means of the very day it is about."""
    series = table(quantity)
    checks = [build("check", "gross_range", POLICY.quality["gross_range"], series)]

    found = QualityStage(checks, series).judge(readings([extreme]), np.ones(1, bool))

    assert found.readings.flag.tolist() == [SUSPECT]


def test_clean_air_told_in_whole_numbers_is_at_most_suspect() -> None:
    """Means of ten minutes of 3 µg/m³ are the same for most of a night; no instrument is stuck."""
    series, random = table("pm2_5"), np.random.default_rng(2)
    checks = [build("check", name, raw, series) for name, raw in POLICY.quality.items()]
    level, days = [0.0], 60
    for step in random.normal(0, 0.18, days * 144 - 1):
        level.append(0.993 * level[-1] + step)
    clean = np.round(np.maximum(4 + np.array(level) + random.normal(0, 0.1, len(level)), 0))

    time = START_NS + np.arange(len(clean)) * 10 * MINUTE_NS
    arrived = replace(readings(clean.tolist()), time=time, received=time)
    found = QualityStage(checks, series).judge(arrived, np.ones(len(clean), bool))

    assert (found.readings.flag == SUSPECT).any()
    assert (found.readings.flag != FAIL).all()


def judge_city(series: SeriesTable, columns: dict[int, np.ndarray], **around: Station) -> list[set]:
    """Return the flags each series ends with when all checks of the policy are on."""
    checks = [
        build(
            "check", name, raw, series, *([around] if name in {"neighbours", "zone_offset"} else [])
        )
        for name, raw in POLICY.quality.items()
    ]
    quality, ends = QualityStage(checks, series), [set() for _ in columns]
    codes = np.array(sorted(columns), np.int32)
    for minute in range(len(columns[0])):
        time = np.full(len(codes), START_NS + minute * MINUTE_NS)
        value = np.array([columns[code][minute] for code in codes.tolist()])
        known = np.zeros(len(codes), np.uint8), np.zeros(len(codes), np.uint32)
        batch = ReadingBatch(codes, time, time, value, known[0] + 9, known[1])
        judgement = quality.judge(batch, np.ones(len(codes), bool))
        for part in (judgement.readings, judgement.amended):
            for code, flag in zip(part.series.tolist(), part.flag.tolist(), strict=True):
                ends[code].add(flag)
    return ends


def test_smoke_over_a_city_is_at_most_suspect_with_every_check_on() -> None:
    """Some stations in the plume, some not yet, none ever failed or dropped."""
    stations = {
        f"aq-{number}": Station(
            sensor=f"aq-{number}", kind="air_quality", latitude=48 + number / 100, longitude=8
        )
        for number in range(6)
    }
    series = SeriesTable(SeriesKey(sensor, "pm2_5") for sensor in stations)
    random = np.random.default_rng(4)
    rise = [np.clip((np.arange(400) - 60 * station) / 90, 0, 1) for station in range(6)]
    smoke = {code: 12 + 1100 * rise[code] + random.normal(0, 2, 400) for code in range(6)}

    ends = judge_city(series, smoke, **stations)

    assert set().union(*ends) == {1, 3}


def test_an_empty_road_at_night_is_at_most_suspect_with_every_check_on() -> None:
    """Hours without a vehicle: counts, flow and occupancy of 0 are measurements."""
    quantities = ("flow", "vehicle_count", "occupancy")
    series = SeriesTable(SeriesKey("tr-1", quantity) for quantity in quantities)

    ends = judge_city(series, {code: np.zeros(600) for code in range(3)})

    assert set().union(*ends) <= {1, 2, 3}
    assert all(1 in flags for flags in ends)
