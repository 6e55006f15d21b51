# SPDX-License-Identifier: EUPL-1.2
"""Local fit: lines a few wrong hours do not bend, clocks, validity, and when none is used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from lamppost.batch import AMENDED, CORRECTED, JudgedBatch, ReadingBatch
from lamppost.errors import ConfigError
from lamppost.fits import Fit
from lamppost.flags import SUSPECT
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from processors.correction._robust import best_lag, theil_sen
from tests.processor_cases import START_NS, build
from tests.processor_conformance import law

BEGIN = START_NS // DAY_NS * DAY_NS
PAIR = {"sensor": "kit", "reference": "station", "quantity": "pm2_5"}
SETTINGS = {"pairs": [PAIR], "window_days": 5, "min_hours": 48, "valid_days": 3}


def levels(days: int, seed: int = 1) -> np.ndarray:
    """Return what the reference shows hour by hour."""
    steps = np.random.default_rng(seed).normal(0, 2, 24 * days)
    return np.abs(20 + np.cumsum(steps) % 40)


class Site:
    """A sensor and a reference side by side."""

    def __init__(self, **settings: Any) -> None:
        """Build the derivation."""
        self.series = SeriesTable([SeriesKey("kit", "pm2_5"), SeriesKey("station", "pm2_5")])
        self.fit = build("derivation", "local_fit", SETTINGS | settings, self.series, {})

    def feed(
        self, sensor: np.ndarray, reference: np.ndarray, *, first_hour: int = 0, cut: int = 0
    ) -> tuple[JudgedBatch, list[Fit]]:
        """Take hours of both in, one reading an hour, perhaps in pieces."""
        hours = BEGIN + (first_hour + np.arange(len(sensor))) * HOUR_NS + 5 * MINUTE_NS
        value = np.stack([sensor, reference], axis=1).ravel()
        time = np.repeat(hours, 2)
        count = len(value)
        batch = JudgedBatch.unscored(
            ReadingBatch(
                series=np.tile(np.array([0, 1], np.int32), len(sensor)),
                time=time,
                received=time,
                value=value,
                flag=np.ones(count, np.uint8),
                reasons=np.zeros(count, np.uint32),
            )
        )
        size = cut or count
        parts = [self.fit.derive(batch.take(slice(at, at + size))) for at in range(0, count, size)]
        return JudgedBatch.concat([part for part in parts if len(part)]), self.fit.fits()


def test_a_line_is_found_though_a_quarter_of_the_points_is_wrong() -> None:
    """The median of all slopes does not care for them."""
    random = np.random.default_rng(3)
    x = random.uniform(5, 60, 200)
    y = 0.5 * x + 3 + random.normal(0, 0.3, 200)
    y[:50] += random.uniform(50, 500, 50)

    line = theil_sen(x, y)

    assert line.slope == pytest.approx(0.5, abs=0.05)
    assert line.offset == pytest.approx(3, abs=1.5)


def test_a_line_needs_points() -> None:
    """Of two, of none, or of one value again and again there is none."""
    assert np.isnan(theil_sen(np.array([1.0, 2]), np.array([1.0, 2])).slope)
    assert np.isnan(theil_sen(np.full(9, 4.0), np.arange(9.0)).slope)
    assert theil_sen(np.array([1.0, np.nan, 3, 4]), np.arange(4.0)).n == 3


@pytest.mark.parametrize("late", [-5, 0, 2])
def test_the_lag_of_a_clock_is_found(late: int) -> None:
    """Correlation peaks at the whole-hour offset."""
    level = levels(10)

    lag, gain = best_lag(np.roll(level, late), level, 12)

    assert lag == late
    assert (gain > 0.1) == (late != 0)


def test_from_the_first_line_on_readings_are_corrected() -> None:
    """Every day a new line; the reading that opens the day after is the first it is used for."""
    level = levels(7)
    site = Site()

    corrected, fits = site.feed((level - 3) / 0.5, level)

    used = [fit for fit in fits if fit.outcome == "in_force"]
    assert [fit.outcome for fit in fits[:3]] == ["too_few", "too_few", "in_force"]
    assert used[0].n == 48
    assert used[0].slope == pytest.approx(0.5)
    assert used[0].offset == pytest.approx(3)
    assert used[0].r2 == pytest.approx(1)
    assert used[0].end == BEGIN + 2 * DAY_NS
    assert corrected.time[0] == used[0].start == BEGIN + 2 * DAY_NS + HOUR_NS + 5 * MINUTE_NS
    np.testing.assert_allclose(corrected.value, level[49:], atol=1e-9)
    assert site.series[int(corrected.series[0])].qualifiers == "corrected=local_fit"


def test_a_line_states_what_its_hours_scatter_by() -> None:
    """The uncertainty of a corrected value is that of the fit."""
    level = levels(6)
    noisy = level + np.random.default_rng(5).normal(0, 1.5, len(level))

    corrected, fits = Site().feed(noisy, level)

    assert fits[-1].rmse == pytest.approx(1.5, rel=0.3)
    assert corrected.uncertainty[-1] == fits[-1].rmse


def test_a_poor_line_is_published_and_not_used() -> None:
    """Two instruments that see different air."""
    corrected, fits = Site(max_lag_h=0).feed(levels(6, seed=1), levels(6, seed=9))

    assert {fit.outcome for fit in fits[2:]} == {"poor"}
    assert len(corrected) == 0


# A clock error spoils every fit made from it.
def test_clocks_that_differ_are_named_and_nothing_is_fitted() -> None:
    """Local time taken for UTC is two hours off."""
    level = levels(6)

    corrected, fits = Site().feed(np.roll(level, 2), level)

    assert (fits[-1].outcome, fits[-1].lag_h) == ("clock", 2)
    assert len(corrected) == 0


def test_a_line_ends_when_no_newer_one_is_believed() -> None:
    """After the days of its validity nothing is corrected, rather than wrongly."""
    level = levels(4)
    site = Site(valid_days=2)
    _, fits = site.feed(level * 2, level)
    last = [fit for fit in fits if fit.outcome == "in_force"][-1]

    alone = np.full(24 * 6, np.nan)
    corrected, later = site.feed(np.full(24 * 6, 30.0), alone, first_hour=96)

    assert corrected.time[-1] < later[-1].end
    assert (corrected.time < max(last.until, *(fit.until for fit in later))).all()
    assert later[-1].outcome == "too_few"


def test_values_far_beyond_the_hours_of_the_fit_are_suspect() -> None:
    """A line found in clean air says little about smoke."""
    level = levels(4)
    site = Site()
    site.feed(level, level)

    corrected, _ = site.feed(np.array([25.0, 900.0]), np.array([25.0, 25.0]), first_hour=98)

    assert corrected.flag.tolist() == [1, SUSPECT]


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_lines_do_not_depend_on_the_cut(cut: int) -> None:
    """One batch and one reading at a time find the same lines and the same values."""
    level = levels(6)
    noisy = level * 1.7 + np.random.default_rng(2).normal(0, 2, len(level))

    whole, fits = Site().feed(noisy, level)
    pieces, again = Site().feed(noisy, level, cut=cut)

    assert again == fits
    np.testing.assert_array_equal(pieces.value, whole.value)
    np.testing.assert_array_equal(pieces.time, whole.time)


@law(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 40))
def test_late_and_corrected_readings_do_not_make_the_cut_matter(seed: int, cut: int) -> None:
    """Hours late, out of order, sent again, judged anew: the same lines, the same values."""
    random = np.random.default_rng(seed)
    size = 300
    time = BEGIN + np.arange(size) * HOUR_NS // 2 - random.choice([0, 0, 0, 3, 30], size) * HOUR_NS
    level = 20 + 10 * np.sin(np.arange(size) / 9)
    code = random.integers(0, 2, size).astype(np.int32)
    flag = random.choice([1, 1, 1, 1, 3, 4], size).astype(np.uint8)
    batch = JudgedBatch.unscored(
        ReadingBatch(
            series=code,
            time=time,
            received=time,
            value=level * np.where(code == 0, 1.6, 1.0) + random.normal(0, 1, size),
            flag=flag,
            reasons=(flag > 1).astype(np.uint32),
        )
    )
    again = random.choice([0, 0, 0, AMENDED, CORRECTED], size).astype(np.int32)
    batch = replace(batch, revision=again)

    def said(step: int) -> tuple[list[Fit], dict[tuple[int, int], float]]:
        site = Site(window_days=3, min_hours=10, min_r2=0.0, grace_s=600)
        values: dict[tuple[int, int], float] = {}
        for start in range(0, size, step):
            made = site.fit.derive(batch.take(slice(start, start + step)))
            keys = zip(made.series.tolist(), made.time.tolist(), strict=True)
            values.update(zip(keys, made.value.tolist(), strict=True))
        return site.fit.fits(), values

    whole = said(size)
    assert whole[0]
    assert said(cut) == whole


def test_a_restored_fit_goes_on() -> None:
    """Hours and lines survive a restart."""
    level = levels(6)
    whole = Site()
    first = Site()
    first.feed(level[:60], level[:60])
    again = Site()
    again.fit.restore(first.fit.snapshot())

    rest, fits = again.feed(level[60:], level[60:], first_hour=60)
    expected, all_fits = whole.feed(level, level)

    assert fits == all_fits[-len(fits) :]
    np.testing.assert_array_equal(rest.value, expected.value[-len(rest) :])


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([PAIR, PAIR | {"reference": "other"}], "has two references"),
        ([PAIR | {"reference": "kit"}], "its own reference"),
        ([PAIR | {"quantity": "dust"}], "is not a quantity"),
    ],
)
def test_a_pair_that_makes_no_sense_is_an_error_at_start(
    pairs: list[dict[str, str]], problem: str
) -> None:
    """The message names what is wrong."""
    with pytest.raises(ConfigError, match=problem):
        Site(pairs=pairs)
