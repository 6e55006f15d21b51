# SPDX-License-Identifier: EUPL-1.2
"""The US index against published vectors, and the life of its running values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from lamppost.batch import AggregateBatch
from lamppost.times import HOUR_NS
from processors.indices._breakpoints import Breakpoints
from processors.indices.us_aqi import O3_8H
from processors.indices.us_aqi import PM2_5 as PM2_5_TABLE
from processors.indices.us_aqi import PM10 as PM10_TABLE
from tests.processor_cases import NAN, START_NS, build, hours, table

SHOWN_AS_INDEX = pytest.mark.vector(
    "traps", "opendata-stuttgart/feinstaub-map-v2 shows a mean of five minutes as an index of 24 h"
)
TRUNCATED = pytest.mark.vector("traps", "IEEE 754 doubles: floor(10 x mean) of n equal tenths")

# Breakpoints of May 2024, agreeing with MazamaScience/AirMonitor and open-meteo.
PM2_5 = [
    (0, 0), (9.0, 50), (9.05, 50), (9.09, 50), (9.1, 51), (12.0, 56), (28.4, 87), (35.4, 100),
    (35.5, 101), (35.9, 102), (55.5, 151), (125.4, 200), (225.5, 301), (275.4, 400), (325.4, 500),
    (400, 649),
]  # fmt: skip
PM10 = [(54.9, 50), (55, 51), (154, 100), (254, 150), (424, 300), (425, 301), (604, 500)]


@pytest.mark.parametrize(("concentration", "index"), PM2_5)
def test_vectors_of_pm2_5(concentration: float, index: int) -> None:
    """Truncated to 0.1, rounded half up, linear above the table."""
    assert PM2_5_TABLE.values(np.array([concentration])).value.tolist() == [index]


@pytest.mark.parametrize(("concentration", "index"), PM10)
def test_vectors_of_pm10(concentration: float, index: int) -> None:
    """Truncated to whole numbers."""
    assert PM10_TABLE.values(np.array([concentration])).value.tolist() == [index]


def test_absent_negative_and_beyond() -> None:
    """No number gives no index, less than nothing is nothing, beyond 500 is said."""
    found = PM2_5_TABLE.values(np.array([NAN, -3.0, 325.4, 325.5]))

    assert np.isnan(found.value[0])
    assert found.value[1] == 0
    assert found.category.tolist() == [0, 1, 6, 6]
    assert found.beyond.tolist() == [0, 0, 0, 1]


def test_categories_follow_the_bands() -> None:
    """Good to hazardous are 1 to 6."""
    found = PM2_5_TABLE.values(np.array([9.0, 9.1, 35.5, 55.5, 125.5, 225.5]))

    assert found.category.tolist() == [1, 2, 3, 4, 5, 6]


@TRUNCATED
@pytest.mark.parametrize(
    ("of", "step", "steps", "count", "lost"),
    [
        pytest.param(PM2_5_TABLE, 0.1, 599, 12, 246, id="PM2.5, 12 hours"),
        pytest.param(PM2_5_TABLE, 0.1, 599, 24, 202, id="PM2.5, 24 hours"),
        pytest.param(O3_8H, 0.001, 299, 8, 66, id="O3 in ppm, 8 hours"),
    ],
)
def test_means_of_equal_decimals_are_not_truncated_a_step_too_low(
    of: Breakpoints, step: float, steps: int, count: int, lost: int
) -> None:
    """0.1 + 0.1 + ... over n falls short in binary, and plain floor loses a step in so many."""
    per_step = round(1 / step)
    given = np.arange(1, steps + 1)
    means = np.array([sum([number / per_step] * count) / count for number in given])

    found = of.values(means * of.per_unit).concentration / of.per_unit

    assert (np.floor(per_step * means) < given).sum() == lost
    np.testing.assert_allclose(found, given / per_step, rtol=1e-12)


def index() -> Any:  # noqa: ANN401 - the index
    """Build the index for a PM2.5, a PM10 and a temperature series."""
    return build("index", "us_aqi", {}, table("pm2_5", "pm10", "temperature"))


@SHOWN_AS_INDEX
def test_eighteen_valid_hours_of_24_give_a_value() -> None:
    """Before that the hour is published without one, with its coverage."""
    found = index().update(hours([35.5] * 20))

    assert np.isnan(found.value[:17]).all()
    assert found.value[17:].tolist() == [101, 101, 101]
    assert found.category[16:18].tolist() == [0, 3]
    assert found.coverage[17] == 18 / 24
    assert found.end[0] == START_NS + HOUR_NS


def test_thin_and_missing_hours_do_not_count() -> None:
    """An hour needs 75 % coverage."""
    thin = index().update(hours([10.0] * 24, coverage=0.74))
    missing = index().update(hours([NAN] * 24))

    assert np.isnan(thin.value).all()
    assert thin.coverage[-1] == 0
    assert np.isnan(missing.value).all()


def test_the_mean_runs_over_24_hours() -> None:
    """What is older has left."""
    found = index().update(hours([100.0] * 24 + [0.0] * 24))

    assert found.concentration[23] == 100
    assert found.concentration[35] == 50
    assert found.concentration[47] == 0


def test_each_pollutant_has_its_own_table_and_others_none() -> None:
    """Temperature has no index."""
    batch = AggregateBatch.concat([hours([55.0] * 24, series=code) for code in (2, 1, 0)])

    found = index().update(batch)

    assert set(found.series.tolist()) == {0, 1}
    assert found.value[(found.series == 0)][-1] == 149
    assert found.value[(found.series == 1)][-1] == 51


def test_a_corrected_hour_publishes_every_value_it_is_part_of_again() -> None:
    """Twenty-four running means, one revision further; others stay."""
    us_aqi = index()
    us_aqi.update(hours([10.0] * 30))

    revised = us_aqi.update(hours([34.0], first=25))

    assert revised.end.tolist() == [START_NS + hour * HOUR_NS for hour in range(26, 31)]
    assert revised.revision.tolist() == [1] * 5
    assert revised.concentration.tolist() == [11.0] * 5


def test_an_unchanged_correction_publishes_nothing() -> None:
    """The same mean leads to the same values."""
    us_aqi = index()
    us_aqi.update(hours([10.0] * 30))

    assert len(us_aqi.update(hours([10.0], first=25))) == 0


def test_an_hour_that_arrives_late_for_the_first_time_is_published() -> None:
    """It fills its gap, of which there was a value without it, and the later values follow."""
    us_aqi = index()
    us_aqi.update(hours([10.0] * 20))
    us_aqi.update(hours([10.0] * 2, first=21))

    found = us_aqi.update(hours([31.0], first=20))

    assert found.revision.tolist() == [1, 1, 1]
    assert found.concentration.tolist() == [11.0, 10.9, 10.9]


def test_hours_beyond_memory_are_ignored() -> None:
    """What is kept is two days more than can be corrected; nothing older changes anything."""
    us_aqi = build("index", "us_aqi", {"corrected_days": 0}, table("pm2_5"))
    us_aqi.update(hours([10.0] * 60))

    assert len(us_aqi.update(hours([900.0], first=5))) == 0


@dataclass
class Windows:
    """Hours as windows hold them: what they are, and what a correction has just replaced."""

    now: AggregateBatch
    before: AggregateBatch = field(default_factory=AggregateBatch.empty)

    def hours(self, *_: object) -> AggregateBatch:
        """Return all hours."""
        return self.now

    def former_hours(self, *_: object) -> AggregateBatch:
        """Return the corrected hours as they were."""
        return self.before

    def correct(self, hour: int, mean: float) -> AggregateBatch:
        """Replace the mean of an hour, and return what goes out."""
        self.before = self.now.take(slice(hour, hour + 1))
        means, revision = self.now.mean.copy(), self.now.revision.copy()
        means[hour] = mean
        revision[hour] += 1
        self.now = replace(self.now, mean=means, revision=revision)
        return self.now.take(slice(hour, hour + 1))


def test_an_hour_of_last_month_corrects_the_values_of_its_day() -> None:
    """As far back as the windows can be corrected; revisions rise with those of the hours."""
    us_aqi, windows = index(), Windows(hours([10.0] * 24 * 30))
    us_aqi.look_back(windows)
    us_aqi.update(windows.now)

    revised = us_aqi.update(windows.correct(30, 34.0))
    again = us_aqi.update(windows.correct(30, 58.0))

    assert revised.end.tolist() == [START_NS + hour * HOUR_NS for hour in range(31, 55)]
    assert revised.concentration.tolist() == [11.0] * 24
    assert (revised.revision > 0).all()
    assert again.concentration.tolist() == [12.0] * 24
    assert (again.revision > revised.revision).all()


@pytest.mark.parametrize("hour", [30, 700])
def test_a_correction_that_changes_no_digit_publishes_nothing(hour: int) -> None:
    """Neither for an hour of today nor for one of last month."""
    us_aqi, windows = index(), Windows(hours([10.0] * 24 * 30))
    us_aqi.look_back(windows)
    us_aqi.update(windows.now)

    unchanged = us_aqi.update(windows.correct(hour, 10.0))
    within_a_step = us_aqi.update(windows.correct(hour, 11.0))

    assert len(unchanged) == 0
    assert len(within_a_step) == 0


def test_a_snapshot_of_the_version_before_goes_on() -> None:
    """It held 48 hours of every series, by series code."""
    whole, upgraded = index(), index()
    whole.update(hours([10.0] * 60, series=1))
    hour = START_NS // HOUR_NS + 59 - np.arange(48)
    former = {
        "mean": np.full((3, 48), np.nan),
        "revision": np.full((3, 48), -1, np.int32),
        "newest": np.array([-(2**40), START_NS // HOUR_NS + 59, -(2**40)]),
    }
    former["mean"][1, hour % 48] = 10.0
    former["revision"][1, hour % 48] = 0
    upgraded.restore(former)

    late = hours([34.0], first=50, series=1)

    ours, theirs = upgraded.update(late), whole.update(late)
    assert ours.end.tolist() == theirs.end.tolist()
    assert ours.concentration.tolist() == theirs.concentration.tolist()
    assert ours.revision.tolist() == theirs.revision.tolist()
