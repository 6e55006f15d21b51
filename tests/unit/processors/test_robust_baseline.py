# SPDX-License-Identifier: EUPL-1.2
"""Robust baseline: what it finds, what it forgives, what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lamppost.component import Evidence, Rows
from lamppost.errors import ConfigError
from lamppost.grouping import Groups
from lamppost.times import DAY_NS, HOUR_NS
from tests.processor_cases import NAN, START_NS, build, instants, rows, table

NOISE = np.random.default_rng(1).normal(0.0, 1.0, 5_000)


def baseline(**changes: Any) -> Any:  # noqa: ANN401 - settings of any type
    """Build the detector for one PM2.5 series."""
    settings = {"half_life_s": 1800, "warm_up": 30, **changes}
    return build("detector", "robust_baseline", {"quantities": {"pm2_5": settings}}, table("pm2_5"))


def after(detector: Any, values: np.ndarray) -> Evidence:  # noqa: ANN401 - the detector
    """Return the evidence on a minute series."""
    return detector.score(rows(values.tolist()))


def test_nothing_is_said_before_the_warm_up() -> None:
    """The first readings have neither score nor band."""
    evidence = after(baseline(), 20 + NOISE[:60])

    assert np.isnan(evidence.score[:30]).all()
    assert np.isnan(evidence.band_low[:30]).all()
    assert np.isfinite(evidence.score[30:]).all()


def test_noise_stays_inside_the_band_and_scores_are_standard_deviations() -> None:
    """On white noise the scores have about unit spread."""
    evidence = after(baseline(), 20 + NOISE)

    spoken = evidence.score[200:]
    assert 0.8 < spoken.std() < 1.2
    assert abs(np.nanmean(evidence.expected) - 20) < 0.2
    np.testing.assert_allclose(
        evidence.band_high - evidence.expected, evidence.expected - evidence.band_low
    )


def test_a_step_is_found_at_once_and_its_sign_is_its_direction() -> None:
    """Scores are signed."""
    values = 20 + NOISE[:300]
    values[250:] += 30
    assert after(baseline(), values).score[250] > 15
    values[250:] -= 60
    assert after(baseline(), values).score[250] < -15


def test_an_event_does_not_become_the_baseline() -> None:
    """After an hour of smoke it is still unusual, and the air after it is not."""
    values = 20 + NOISE[:600]
    values[300:360] += 100

    score = after(baseline(), values).score

    assert (score[300:360] > 5).all()
    assert np.abs(score[365:420]).mean() < 2.5


def test_a_lasting_change_is_learnt_in_the_end() -> None:
    """After relearn_s the new level is the usual one."""
    values = 20 + NOISE[:900]
    values[300:] += 100

    score = after(baseline(relearn_s=7200), values).score

    assert score[410] > 5
    assert np.abs(score[500:]).max() < 5


def test_a_long_silence_starts_anew() -> None:
    """What was usual last week says nothing about today."""
    detector = baseline(relearn_s=3600)
    after(detector, 20 + NOISE[:100])

    evidence = detector.score(rows([90.0] * 10, start=100 + 24 * 60))

    assert np.isnan(evidence.score).all()


def test_failed_and_missing_readings_are_neither_scored_nor_learnt() -> None:
    """A broken hour leaves the expectation where it was."""
    detector = baseline()
    after(detector, 20 + NOISE[:100])

    evidence = detector.score(rows([999.0] * 60, flag=4, start=100))
    missing = detector.score(rows([NAN] * 5, flag=9, start=160))
    later = detector.score(rows([20.0], start=165))

    assert np.isnan(evidence.score).all()
    assert np.isnan(missing.score).all()
    assert abs(later.expected[0] - 20) < 1


def test_the_noise_floor_keeps_a_quiet_series_from_shouting() -> None:
    """A constant series with a floor of 2 scores a change of 4 as 2."""
    values = np.full(101, 10.0)
    values[100] = 14.0

    assert after(baseline(noise=2), values).score[100] == pytest.approx(2.0)


def test_the_noise_floor_grows_with_the_value_and_with_counts() -> None:
    """Variances add: noise squared, share of the value squared, counts times the value."""
    values = np.full(101, 100.0)
    values[100] = 130.0
    floor = np.sqrt(3**2 + (0.1 * 100) ** 2 + 1.0 * 100)

    found = after(baseline(noise=3, noise_share=0.1, noise_counts=1), values).score[100]

    assert found == pytest.approx(30 / floor)


def test_the_band_does_not_reach_below_the_lowest_possible_value() -> None:
    """A concentration is never expected to be negative."""
    evidence = after(baseline(noise=5, lowest=0), np.full(60, 3.0))

    assert (evidence.band_low[30:] == 0).all()


def test_the_hourly_profile_expects_the_rush_hour() -> None:
    """After some days a daily peak is no longer unusual; without a profile it is."""
    time = instants(8 * 24 * 6, 600)
    hour = (time % DAY_NS) / HOUR_NS
    values = 10 + 60 * np.exp(-0.5 * ((hour - 8) / 1.0) ** 2) + NOISE[: len(time)]
    sample = Rows(
        Groups.by_series(np.zeros(len(time), np.int32)), time, values, np.ones(len(time), np.uint8)
    )

    def worst(*, profiled: bool) -> float:
        detector = baseline(half_life_s=7200, hourly_profile=profiled, profile_half_life_days=2)
        evidence = detector.score(sample)
        return float(np.abs(values - evidence.expected)[time > START_NS + 6 * DAY_NS].max())

    assert worst(profiled=True) < 0.6 * worst(profiled=False)


def test_half_life_in_readings_does_not_look_at_time() -> None:
    """An irregular cadence gives the same scores."""
    settings = {"half_life_s": None, "half_life_readings": 30, "relearn_s": 1e9}
    regular = baseline(**settings).score(rows((20 + NOISE[:100]).tolist(), 60))
    slow = baseline(**settings).score(rows((20 + NOISE[:100]).tolist(), 3600))

    np.testing.assert_array_equal(regular.score, slow.score)


def test_a_quantity_without_baseline_is_not_scored() -> None:
    """Only what the policy names costs time."""
    settings = {"quantities": {"no2": {}}}
    detector = build("detector", "robust_baseline", settings, table("pm2_5"))

    assert np.isnan(after(detector, 20 + NOISE[:100]).expected).all()


@pytest.mark.parametrize(
    "half_lives",
    [{"half_life_s": 60, "half_life_readings": 5}, {"half_life_s": None}],
)
def test_exactly_one_half_life_is_asked_for(half_lives: dict[str, Any]) -> None:
    """Two would contradict each other, none says nothing."""
    with pytest.raises(ConfigError, match="half_life"):
        baseline(**half_lives)
