# SPDX-License-Identifier: EUPL-1.2
"""Corrections: every published number of each, what they need, and when they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from lamppost.batch import ReadingBatch
from lamppost.errors import ConfigError
from lamppost.flags import FAIL, GOOD, INPUT_UNUSABLE, MISSING, SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from processors.correction._method import BEYOND_METHOD, HUMIDITY_UNUSABLE
from processors.correction.barkjohn_2022 import Barkjohn2022, Barkjohn2022Settings
from processors.derivation import DerivationStage, Derived
from processors.quality.stage import Judgement
from tests.processor_cases import START_NS, build

BARKJOHN_2021 = pytest.mark.vector("corrections", "Barkjohn et al. 2021, AMT 14:4617")
BARKJOHN_2020 = pytest.mark.vector("corrections", "form of 2020 in two pieces (one source)")
FIRE_AND_SMOKE = pytest.mark.vector(
    "corrections", "MazamaScience/AirSensor2 pat_applyCorrection.R; SJVAir epa.py"
)
BARKJOHN_2022 = pytest.mark.vector(
    "corrections", "Barkjohn et al. 2022, extended to smoke (quadratic not confirmed)"
)
LINEAR = pytest.mark.vector("corrections", "LRAPA; AQandU")
DENSITY = pytest.mark.vector("corrections", "Di Antonio et al. 2018; Crilley et al. 2018")
VOLUME = pytest.mark.vector("corrections", "TriagalenCheteriagalnik/sensors.community.downloader")
HUMIDITY = pytest.mark.vector("traps", "DHT22 of citizen networks, saturated at 99.9 %")

SECOND = 1_000_000_000
Row = tuple[str, float, float, int]
"""Quantity (and channel after a blank), seconds, value, flag."""


class Case:
    """One sensor and one correction."""

    def __init__(
        self,
        method: str,
        settings: Mapping[str, Any] | None = None,
        stations: Mapping[str, Station] | None = None,
        sensor: str = "aq-1",
    ) -> None:
        """Build the correction."""
        self.series = SeriesTable()
        self.sensor = sensor
        derivation = build("derivation", method, settings or {}, self.series, stations or {})
        self.stage = DerivationStage([derivation], self.series)

    def feed(self, *rows: Row) -> Derived:
        """Take rows in as one batch."""
        keys = []
        for name, *_ in rows:
            quantity, _, channel = name.partition(" ")
            keys.append(SeriesKey(self.sensor, quantity, f"channel={channel}" if channel else ""))
        time = np.array([START_NS + round(row[1] * SECOND) for row in rows], np.int64)
        flag = np.array([row[3] for row in rows], np.uint8)
        batch = ReadingBatch(
            series=np.array([self.series.code(key) for key in keys], np.int32),
            time=time,
            received=time,
            value=np.array([row[2] for row in rows]),
            flag=flag,
            reasons=np.where(flag == GOOD, 0, 1 << 9).astype(np.uint32),
        )
        return self.stage.derive(Judgement(batch, ReadingBatch.empty(), batch.flag))

    def value(self, *rows: Row) -> float:
        """Return the one corrected value rows lead to."""
        (value,) = self.feed(*rows).last.value
        return float(value)


def corrected(method: str, x: float, humidity: float, **settings: Any) -> float:
    """Return what a method makes of one reading and its humidity."""
    inputs = {"pm2_5": x, "pm2_5_cf1": x}
    return Case(method, settings).value(
        *((quantity, 0, value, GOOD) for quantity, value in inputs.items()),
        ("humidity", 0, humidity, GOOD),
    )


@BARKJOHN_2021
@pytest.mark.parametrize(
    ("x", "humidity", "expected"), [(10, 50, 6.68), (100, 80, 51.254), (0, 100, 0)]
)
def test_barkjohn_2021(x: float, humidity: float, expected: float) -> None:
    """AMT 14:4617; below 0 it is 0."""
    assert corrected("barkjohn_2021", x, humidity) == pytest.approx(expected, abs=0.0005)


@FIRE_AND_SMOKE
@pytest.mark.parametrize(
    ("x", "humidity", "expected"),
    [
        (0, 100, 0),
        (15, 45, 9.731),
        (30, 50, 17.16),
        (50, 50, 40.74),
        (100, 60, 79.178),
        (235, 50, 200.0425),
        (300, 30, 289.526),
    ],
)
def test_fire_and_smoke(x: float, humidity: float, expected: float) -> None:
    """AirSensor2 pat_applyCorrection.R, form of October 2021."""
    assert corrected("fire_and_smoke", x, humidity) == pytest.approx(expected, abs=0.0005)


# Continuity at a humidity of 50 %, and the linear part of 2021.
@BARKJOHN_2022
@pytest.mark.parametrize(
    ("x", "humidity", "expected"),
    [(570, 50, 300.63), (611, 50, 400.12), (10, 50, 6.68), (100, 80, 51.254)],
)
def test_barkjohn_2022(x: float, humidity: float, expected: float) -> None:
    """Extended to smoke."""
    assert corrected("barkjohn_2022", x, humidity) == pytest.approx(expected, abs=0.005)


def test_barkjohn_2022_has_no_jumps() -> None:
    """Neither break point tears the curve by more than a blend that starts at 0.008 does."""
    for edge in (570, 611):
        below, above = (corrected("barkjohn_2022", edge + d, 50) for d in (-0.01, 0.01))
        assert abs(above - below) < 0.6


def test_barkjohn_2022_bends_where_the_policy_says() -> None:
    """Break points and blend stand in one source, so they are the policy's."""
    told = Barkjohn2022.describe(Barkjohn2022Settings())
    assert "3.44 from 611 µg/m³ on, and weighs 0.0244 x - 13.9 from 570 on" in told
    given = Barkjohn2022Settings(bend=(100, 200), blend=(0, 1))
    component = Barkjohn2022(given, SeriesTable(), {})
    x, humidity = np.array([99.0, 100.0]), np.full(2, 50.0)

    found = component.correct(x, humidity, np.zeros(2, np.int64))

    assert found.tolist() == pytest.approx([53.316, 46.85])


def test_a_method_names_the_numbers_in_force() -> None:
    """In its version and its formula, so that a corrected value can be traced."""
    usual = Barkjohn2022(Barkjohn2022Settings(), SeriesTable(), {}).about()
    given = Barkjohn2022Settings(quadratic=(5e-4, 0.4, 3.5))
    other = Barkjohn2022(given, SeriesTable(), {}).about()

    assert re.fullmatch(r"barkjohn_2022/extended\+[0-9a-f]{8}", str(usual["version"]))
    assert usual["version"] != other["version"]
    assert "0.000421 x^2 + 0.392 x + 3.44 from 611" in str(usual["formula"])
    assert "0.0005 x^2 + 0.4 x + 3.5 from 611" in str(other["formula"])
    assert other["numbers"] == given.numbers()


def test_where_a_method_applies_is_no_part_of_its_version() -> None:
    """The same numbers are the same method, whichever sensors it corrects."""
    everywhere, somewhere = (
        Barkjohn2022(Barkjohn2022Settings(**one), SeriesTable(), {}).about()["version"]
        for one in ({}, {"sensors": ("pa-*",), "except_sensors": ("pa-1",), "areas": ("hill",)})
    )

    assert everywhere == somewhere


def test_the_form_of_2020_goes_by_the_numbers_of_the_policy() -> None:
    """All of them stand in one source."""
    given = {"linear": (1, -0.1, 2), "quadratic": (0.01, 0.5, 3), "bend": 100}

    assert corrected("barkjohn_2020", 100, 50, **given) == pytest.approx(97)
    assert corrected("barkjohn_2020", 101, 50, **given) == pytest.approx(155.51)


# Its formulas worked out.
@BARKJOHN_2020
@pytest.mark.parametrize(
    ("x", "humidity", "expected"),
    [(10, 50, 6.65), (343, 50, 179.81), (400, 50, 0.46 * 400 + 3.93e-4 * 160_000 + 2.97)],
)
def test_barkjohn_2020(x: float, humidity: float, expected: float) -> None:
    """In two pieces."""
    assert corrected("barkjohn_2020", x, humidity) == pytest.approx(expected, abs=0.0005)


# 0.5 x - 0.66 and 0.778 x + 2.65 worked out.
@LINEAR
@pytest.mark.parametrize(
    ("method", "x", "expected"),
    [("lrapa", 10, 4.34), ("lrapa", 1, 0), ("aqandu", 10, 10.43), ("aqandu", 0, 2.65)],
)
def test_the_linear_ones(method: str, x: float, expected: float) -> None:
    """They need no humidity."""
    assert Case(method).value(("pm2_5_cf1", 0, x, GOOD)) == pytest.approx(expected)


@DENSITY
@pytest.mark.parametrize(
    ("humidity", "growth"),
    [(30, 1.1039), (70, 1.5657), (80, 1.9697), (95, 5.6061), (99, 25.0)],
)
def test_kappa_with_density(humidity: float, growth: float) -> None:
    """Di Antonio, Crilley."""
    value = corrected("kappa_koehler_density", 100, humidity)

    assert 100 / value == pytest.approx(growth, abs=0.05 if growth == 25 else 0.00005)


@VOLUME
@pytest.mark.parametrize(
    ("humidity", "growth"), [(75, 1.81), (80, 2.08), (95, 6.13), (70, 1), (40, 1)]
)
def test_kappa_without_density(humidity: float, growth: float) -> None:
    """sensors.community.downloader; below 70 % values stay as they are."""
    value = corrected("kappa_koehler_volume", 100, humidity)

    assert 100 / value == pytest.approx(growth, abs=0.005)


def test_the_two_kappas_agree_when_the_density_is_taken_out() -> None:
    """One is 1.65 times the other for the same result."""
    with_density = corrected("kappa_koehler_density", 50, 85, kappa={"pm2_5": 0.27 * 1.65})

    assert with_density == pytest.approx(corrected("kappa_koehler_volume", 50, 85))


@VOLUME
@pytest.mark.parametrize(
    ("method", "humidity"), [("kappa_koehler_volume", 98.0), ("kappa_koehler_density", 99.5)]
)
def test_air_too_humid_for_the_formula_gives_no_result(method: str, humidity: float) -> None:
    """Where growth has no bounds the result would be chance."""
    rows = (("pm2_5", 0, 50.0, GOOD), ("humidity", 0, humidity, GOOD))

    last = Case(method).feed(*rows).last

    assert last.flag.tolist() == [MISSING]
    assert last.reasons[0] & HUMIDITY_UNUSABLE.mask


def test_both_channels_are_averaged_before_the_formula() -> None:
    """The formula takes the mean of A and B; the result belongs to neither."""
    case = Case("barkjohn_2021")

    derived = case.feed(
        ("pm2_5_cf1 a", 0, 8.0, GOOD),
        ("pm2_5_cf1 b", 0, 12.0, GOOD),
        ("humidity", 0, 50.0, GOOD),
    )

    assert derived.last.value.tolist() == [pytest.approx(6.68)]
    key = case.series[int(derived.last.series[0])]
    assert key == SeriesKey("aq-1", "pm2_5", "channel=ab;corrected=barkjohn_2021")


@pytest.mark.parametrize("bad", [FAIL, MISSING])
def test_a_lost_channel_leaves_nothing_to_average(bad: int) -> None:
    """The formula is made for the mean of two."""
    value = np.nan if bad == MISSING else 900.0

    last = (
        Case("barkjohn_2021")
        .feed(
            ("pm2_5_cf1 a", 0, 8.0, GOOD),
            ("pm2_5_cf1 b", 0, value, bad),
            ("humidity", 0, 50.0, GOOD),
        )
        .last
    )

    assert last.flag.tolist() == [MISSING]
    assert last.reasons[0] & INPUT_UNUSABLE.mask


@HUMIDITY
@pytest.mark.parametrize("flag", [SUSPECT, FAIL, MISSING])
def test_a_humidity_in_doubt_does_not_correct(flag: int) -> None:
    """Stuck, saturated, failed or absent: missing with the reason, rather than wrong."""
    humidity = np.nan if flag == MISSING else 99.9

    last = (
        Case("barkjohn_2021")
        .feed(("pm2_5_cf1", 0, 20.0, GOOD), ("humidity", 0, humidity, flag))
        .last
    )

    assert last.flag.tolist() == [MISSING]
    assert np.isnan(last.value).all()
    assert last.reasons[0] & HUMIDITY_UNUSABLE.mask
    assert last.reasons[0] & 1 << 9


def test_a_healthy_humidity_near_saturation_corrects() -> None:
    """Fog is not a fault."""
    assert corrected("barkjohn_2021", 100, 99) == pytest.approx(52.4 - 8.5338 + 5.75)


def test_a_humidity_that_comes_later_is_waited_for() -> None:
    """Devices send particles and humidity in messages of their own."""
    case = Case("barkjohn_2021")

    assert len(case.feed(("pm2_5_cf1", 0, 10.0, GOOD)).last) == 0
    assert case.value(("humidity", 40, 50.0, GOOD)) == pytest.approx(6.68)


def test_the_humidity_nearest_in_time_corrects() -> None:
    """Of those before and after; of two as near, the earlier."""
    before, after = ("humidity", 0, 80.0, GOOD), ("humidity", 100, 50.0, GOOD)
    for seconds, humidity in ((30, 80), (50, 80), (70, 50)):
        value = Case("barkjohn_2021").value(before, ("pm2_5_cf1", seconds, 10.0, GOOD), after)

        assert value == pytest.approx(0.524 * 10 - 0.0862 * humidity + 5.75)


def test_a_humidity_too_far_away_leads_to_a_missing_value() -> None:
    """Nothing is waited for longer than the tolerance, by the device's own time."""
    case = Case("barkjohn_2021", {"tolerance_s": 120})
    case.feed(("humidity", 0, 50.0, GOOD))

    assert len(case.feed(("pm2_5_cf1", 200, 10.0, GOOD)).last) == 0
    last = case.feed(("pm2_5_cf1", 321, 10.0, GOOD)).last

    assert last.time.tolist() == [START_NS + 200 * SECOND]
    assert last.flag.tolist() == [MISSING]
    assert last.reasons[0] & HUMIDITY_UNUSABLE.mask


def test_a_backlog_of_the_past_is_corrected_with_its_own_humidity() -> None:
    """What a device could not send comes after newer readings."""
    case = Case("barkjohn_2021")
    case.feed(("pm2_5_cf1", 9000, 10.0, GOOD), ("humidity", 9000, 80.0, GOOD))

    derived = case.feed(("pm2_5_cf1", 60, 10.0, GOOD), ("humidity", 60, 50.0, GOOD))

    assert derived.last.value.tolist() == [pytest.approx(6.68)]


def test_input_beyond_the_range_of_the_method_makes_the_result_suspect() -> None:
    """Real smoke is corrected all the same, and flagged, never dropped."""
    last = (
        Case("barkjohn_2021").feed(("pm2_5_cf1", 0, 600.0, GOOD), ("humidity", 0, 50.0, GOOD)).last
    )

    assert last.flag.tolist() == [SUSPECT]
    assert last.reasons.tolist() == [int(BEYOND_METHOD.mask)]
    np.testing.assert_allclose(last.value, 0.524 * 600 - 0.0862 * 50 + 5.75)


# Fire & Smoke fed with CF=1 is wrong by a wide margin.
def test_the_channel_is_part_of_the_input() -> None:
    """ATM does not go into a method for CF=1, nor CF=1 into one for ATM."""
    humid = ("humidity", 0, 50.0, GOOD)

    assert len(Case("barkjohn_2021").feed(("pm2_5", 0, 10.0, GOOD), humid).last) == 0
    assert len(Case("fire_and_smoke").feed(("pm2_5_cf1", 0, 10.0, GOOD), humid).last) == 0


def test_fire_and_smoke_asks_for_proof_that_the_channel_is_atm() -> None:
    """PM2.5 of a sensor without channels may be anything, unless the policy vouches for it."""
    rows: Sequence[Row] = (("pm2_5", 0, 15.0, GOOD), ("humidity", 0, 45.0, GOOD))
    later: Sequence[Row] = (("pm2_5", 900, 15.0, GOOD), ("humidity", 900, 45.0, GOOD))

    assert len(Case("fire_and_smoke").feed(*rows, *later).last) == 0
    vouched = Case("fire_and_smoke", {"atm_sensors": ["aq-*"]})
    assert vouched.value(*rows) == pytest.approx(9.731)


def test_the_policy_says_where_a_correction_applies() -> None:
    """By name, but for exceptions, and by area of the station file."""
    rows: Sequence[Row] = (("pm2_5_cf1", 0, 10.0, GOOD),)
    stations = {
        "aq-1": Station(sensor="aq-1", latitude=1, longitude=1, area="harbour"),
        "aq-2": Station(sensor="aq-2", latitude=1, longitude=1, area="hill"),
    }

    def count(sensor: str, **settings: Any) -> int:
        return len(Case("lrapa", settings, stations, sensor).feed(*rows).last)

    assert count("aq-1", sensors=["aq-*"]) == 1
    assert count("aq-1", sensors=["pa-*"]) == 0
    assert count("aq-1", except_sensors=["aq-1"]) == 0
    assert [count(f"aq-{n}", areas=["hill"]) for n in (1, 2, 3)] == [0, 1, 0]


@pytest.mark.parametrize(("pattern", "remembered"), [("aq-*", 2), ("compare-*", 0)])
def test_what_is_not_to_be_corrected_is_not_remembered_either(
    pattern: str, remembered: int
) -> None:
    """A method for a few sensors costs nothing for the readings of all others."""
    case = Case("kappa_koehler_density", {"sensors": [pattern]})

    case.feed(("pm2_5", 0, 10.0, GOOD), ("humidity", 0, 50.0, GOOD))

    (counts,) = (found for name, found in case.stage.snapshot().items() if name.endswith("count"))
    assert counts.sum() == remembered


def test_a_station_that_moves_to_another_area_is_corrected_from_then_on() -> None:
    """The station file is followed while the engine runs."""
    station = Station(sensor="aq-1", latitude=1, longitude=1, area="hill")
    stations = {"aq-1": station}
    case = Case("lrapa", {"areas": ["harbour"]}, stations)
    assert len(case.feed(("pm2_5_cf1", 0, 10.0, GOOD)).last) == 0

    stations["aq-1"] = station.model_copy(update={"area": "harbour"})
    case.stage.stations_changed()

    assert len(case.feed(("pm2_5_cf1", 60, 10.0, GOOD)).last) == 1


def test_kappa_is_for_particles_only() -> None:
    """A wrong quantity is an error at start."""
    with pytest.raises(ConfigError, match="is none of pm1, pm2_5"):
        Case("kappa_koehler_density", {"kappa": {"no2": 0.4}})
