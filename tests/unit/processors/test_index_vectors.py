# SPDX-License-Identifier: EUPL-1.2
"""Every published value of every index, and how many there are."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from lamppost.component import find
from lamppost.quantities import QUANTITIES
from lamppost.units import conversion
from processors.indices import _ozone, us_aqi
from processors.indices._hourly_index import HourlyIndex
from processors.indices._rating import Table
from processors.indices.nowcast import weighted
from tests.processor_conformance import components
from tests.unit.processors.index_vectors import (
    DAQI,
    EEA,
    MARKED,
    NAN,
    NOWCAST,
    NOWCAST_INDEX,
    NOWCASTS,
    OZONE_ESTIMATE_PPB,
    OZONE_HOURS,
    OZONE_SOURCE,
    US,
    US_AQI,
    VECTORS,
    Vector,
)


def table_of(vector: Vector) -> Table:
    """Return the table a vector is about."""
    components("index")
    name, _, value = vector.index.partition("/")
    found = find("index", name, "test")
    cls: type[HourlyIndex] = found.cls
    chosen = cls.tables(found.parse({"value": value} if value else {}, "test"))  # type: ignore[arg-type]
    (table,) = (sub.table for sub in chosen[vector.quantity] if sub.period == vector.period)
    return table


def canonical(vector: Vector) -> np.ndarray:
    """Return the concentration in the canonical unit."""
    way = conversion(vector.quantity, vector.unit)
    assert way is not None
    return np.array([vector.given * way.scale])


@pytest.mark.parametrize("vector", MARKED)
def test_an_index_says_what_its_source_says(vector: Vector) -> None:
    """To the unit; a value that is not there is none, and no category."""
    found = table_of(vector).values(canonical(vector))

    np.testing.assert_allclose(found.value, [vector.value], rtol=0, atol=1e-9)
    assert (found.category[0] == 0) == math.isnan(vector.value)


def test_the_vectors_are_all_there() -> None:
    """As many as the sources give: a table that loses a band would lose its test too."""
    counted = Counter(vector.index for vector in VECTORS)

    assert len(US_AQI) == 43
    assert counted == {
        "us_aqi": 43 + 78,
        "eaqi": 7 + 50,
        "eaqi/points": 9,
        "eaqi_2017": 50,
        "daqi": 5 + 90,
        "who": 86,
    }
    assert len(NOWCASTS) == 7
    assert len({str(vector) for vector in VECTORS}) == 381


@pytest.mark.vector("NowCast", NOWCAST)
@pytest.mark.parametrize(("hours", "weight", "mean"), NOWCASTS)
def test_nowcasts_of_particles(hours: list[float], weight: float, mean: float) -> None:
    """AirMonitor and sensortoolkit; hours newest first, twelve of record not asked for."""
    newest_first = np.array([hours + [NAN] * (12 - len(hours))])

    found = weighted(newest_first, 0.5).concentration

    present = newest_first[np.isfinite(newest_first)]
    if present.max() > 0:
        assert max(0.5, present.min() / present.max()) == pytest.approx(weight)
    np.testing.assert_allclose(found, [mean], atol=5e-6)


@pytest.mark.vector("NowCast", NOWCAST)
def test_a_nowcast_is_truncated_and_rated() -> None:
    """28.40980 is taken as 28.4."""
    found = us_aqi.PM2_5.values(weighted(np.array([NOWCASTS[0][0]]), 0.5).concentration)

    assert (found.concentration[0], found.value[0]) == (28.4, NOWCAST_INDEX)


@pytest.mark.vector("NowCast", "MazamaScience/AirMonitor R/monitor_nowcast.R, pmAsian")
def test_the_nowcast_of_asia_takes_three_hours() -> None:
    """AirMonitor's variant pmAsian: three hours, weights down to 0.1."""
    found = weighted(np.array([[100.0, 10.0, 10.0]]), 0.1).concentration

    assert found[0] == pytest.approx((100 + 1 + 0.1) / 1.11)


def newest_first(*, count: int = 2) -> np.ndarray:
    """Return the hours of the EPA's example, newest first, with none before them."""
    return np.array([*OZONE_HOURS[::-1], *[NAN] * count])


@pytest.mark.vector("NowCast", OZONE_SOURCE)
def test_the_example_of_the_epa_for_ozone() -> None:
    """USEPA/O3-Nowcast ExampleData.csv; an all-component estimate, not checked against R."""
    assert _ozone.forecast(newest_first()) == pytest.approx(OZONE_ESTIMATE_PPB, abs=5e-4)


def test_partial_least_squares_with_all_components_are_least_squares() -> None:
    """The fit by products and the fit by singular values agree where both can be made."""
    random = np.random.default_rng(5)
    inputs, target = random.normal(size=(238, 96)), random.normal(size=238)

    found = _ozone._least_squares(inputs, target)

    np.testing.assert_allclose(found, np.linalg.lstsq(inputs, target, rcond=None)[0], atol=1e-9)


@pytest.mark.vector("NowCast", "USEPA/O3-Nowcast GetNowcast.r")
def test_too_few_hours_take_the_surrogate_of_the_newest() -> None:
    """Method 3, 5 and 7 of GetNowcast.r: 0.85 c + 4.5 of the current hour or up to two before."""
    few = np.full(338, NAN)
    few[:100] = 40.0

    assert _ozone.forecast(few) == pytest.approx(38.5)
    few[0] = NAN
    assert _ozone.forecast(few) == pytest.approx(38.5)
    few[1] = NAN
    assert _ozone.forecast(few) == pytest.approx(38.5)
    few[2] = NAN
    assert math.isnan(_ozone.forecast(few))


@pytest.mark.vector("NowCast", "USEPA/O3-Nowcast GetNowcast.r")
def test_a_long_gap_takes_the_surrogate() -> None:
    """More than seven missing in a row."""
    seven, eight = newest_first(), newest_first()
    seven[100:107], eight[100:108] = NAN, NAN

    assert _ozone.forecast(eight) == pytest.approx(0.85 * 14 + 4.5)
    assert _ozone.forecast(seven) != pytest.approx(0.85 * 14 + 4.5)


@pytest.mark.vector("NowCast", "USEPA/O3-Nowcast GetNowcast.r")
def test_nothing_but_zero_is_zero() -> None:
    """A broken instrument says so by itself (GetNowcast.r, method 1)."""
    assert _ozone.forecast(np.zeros(338)) == 0


@pytest.mark.vector("NowCast", "USEPA/O3-Nowcast GetNowcast.r")
def test_a_missing_hour_takes_the_nowcast_of_the_one_before() -> None:
    """Methods 4 and 6; without any of three hours there is none (8)."""
    whole = newest_first()
    one, two, three = (np.concatenate([[NAN] * n, whole])[:340] for n in (1, 2, 3))

    assert _ozone.forecast(one) == _ozone.forecast(whole)
    assert _ozone.forecast(two) == _ozone.forecast(whole)
    assert math.isnan(_ozone.forecast(three))


def test_equal_hours_have_no_single_fit_and_the_smallest_is_taken() -> None:
    """A stuck instrument leaves the weights open; the estimate is what it always says."""
    assert _ozone.forecast(np.full(338, 31.0)) == pytest.approx(31.0)


@pytest.mark.parametrize(
    ("sub", "steps"), [(us_aqi.O3_8H, 299), (us_aqi.CO_8H, 600), (us_aqi.NO2_1H, 999)]
)
def test_means_of_gases_are_not_truncated_a_step_too_low(
    sub: us_aqi.Breakpoints, steps: int
) -> None:
    """Out of ppm into ug/m3, averaged over eight hours and back: plain floor loses a step."""
    step = float(sub.step)
    given = np.arange(1, steps) * step
    means = np.array([sum([value * sub.per_unit] * 8) / 8 for value in given])

    found = sub.values(means).concentration / sub.per_unit / step

    np.testing.assert_allclose(found, np.arange(1, steps), atol=1e-6)


@pytest.mark.vector("units", "2008/50/EC, Annex VI: gases at 20 °C and 101.3 kPa")
def test_ppb_come_back_as_they_were_sent() -> None:
    """Canonical ug/m3 are at 20 °C (factor 1.9125 for NO2): at 25 °C 100 ppb would read 101."""
    way = conversion("no2", "ppb")
    assert way is not None

    at_20 = us_aqi.NO2_1H.values(np.array([100 * way.scale]))

    assert QUANTITIES["no2"].unit == "ug/m3"
    assert way.scale == pytest.approx(1.9125, rel=1e-4)
    assert at_20.value.tolist() == [100]


@pytest.mark.vector("US AQI", "PMC9133359, table 2, footnote c")
def test_so2_of_an_hour_says_no_more_than_200() -> None:
    """305 ppb and more need the value of 24 hours (PMC9133359, table 2, footnote c)."""
    per_ppb = us_aqi.SO2_1H.per_unit

    hour = us_aqi.SO2_1H.values(np.array([304, 305, 900]) * per_ppb)
    day = us_aqi.SO2_24H.values(np.array([304, 305, 1004]) * per_ppb)

    assert hour.value.tolist() == [200, 200, 200]
    assert hour.beyond.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(day.value, [NAN, 201, 500])
    assert day.category.tolist() == [0, 5, 6]


@pytest.mark.vector("US AQI", US)
def test_ozone_of_eight_hours_says_no_more_than_300() -> None:
    """Above 0.200 ppm the table of one hour counts."""
    found = us_aqi.O3_8H.values(np.array([0.2009, 0.201, 0.4]) * us_aqi.O3_8H.per_unit)

    assert found.value.tolist() == [300, 300, 300]
    assert found.beyond.tolist() == [0, 1, 1]


@pytest.mark.vector("US AQI", US)
def test_the_hazardous_band_is_one() -> None:
    """PM10 of 504 is 389 in one band; the table before 2024 had a knee there and said 400."""
    assert us_aqi.PM10.values(np.array([504.0])).value.tolist() == [389]


@pytest.mark.vector("traps", "opendata-stuttgart/feinstaub-map-v2: the table of PM2.5 before 2024")
def test_the_table_is_that_of_2024_and_says_so() -> None:
    """12.0 was 50 and is 56; the version stands with each index."""
    found = us_aqi.PM2_5.values(np.array([9.0, 12.0, 225.5, 500.4]))

    assert found.value.tolist()[:3] == [50, 56, 301]
    assert found.beyond.tolist() == [0, 0, 0, 1]
    assert us_aqi.SCALE.version == "2024-05"


@pytest.mark.vector("traps", "opendata-stuttgart/feinstaub-map-v2 rounds first and truncates then")
def test_a_concentration_is_truncated_and_an_index_rounded() -> None:
    """9.09 is 9.0 and 35.49 is 35.4; 35.9 is 101.99 of an index, thus 102."""
    found = us_aqi.PM2_5.values(np.array([9.09, 35.49, 35.9]))

    assert found.concentration.tolist() == [9.0, 35.4, 35.9]
    assert found.value.tolist() == [50, 100, 102]


@pytest.mark.vector("traps", "southlondonscientific/aeolus splits 301 to 500 at 325.4 and 500.4")
def test_the_hazardous_band_of_pm2_5_is_one() -> None:
    """From 225.5 to 325.4."""
    assert us_aqi.PM2_5.values(np.array([225.5, 275.4, 325.4])).value.tolist() == [301, 400, 500]


@pytest.mark.vector("traps", "southlondonscientific/aeolus takes ppb at 25 °C in the EU")
def test_ppb_are_taken_at_20_degrees_in_the_eu() -> None:
    """53 ppb of NO2 are 101.4 µg/m³ and very poor; at 25 °C they would be 99.7 and poor."""
    vector = Vector(EEA, "eaqi", "no2", "1h", 53, "ppb", 5)
    american = conversion("no2", "ppb", "us_25c")
    assert american is not None

    assert table_of(vector).values(canonical(vector)).value.tolist() == [5]
    assert table_of(vector).values(np.array([53 * american.scale])).value.tolist() == [4]


@pytest.mark.vector("traps", "southlondonscientific/aeolus: numpy rounds half to even")
def test_bands_of_daqi_are_of_concentrations_rounded_half_up() -> None:
    """O3 of 66.5 is 67 and in band 3, not 66 and in band 2."""
    (vector,) = (one for one in DAQI if one.given == 66.5)

    assert np.round(66.5) == 66
    assert table_of(vector).values(canonical(vector)).value.tolist() == [3]
