# SPDX-License-Identifier: EUPL-1.2
"""The weather has days and seasons and stays within what a city knows."""

from __future__ import annotations

import numpy as np

from sensor_sim.calendar_time import DAY_NS, HOUR_NS, hour_of_day
from sensor_sim.weather import weather_at

YEAR = np.arange(365 * 24, dtype=np.int64) * HOUR_NS + 20_454 * DAY_NS


def test_a_year_of_weather_is_plausible() -> None:
    """Every quantity stays within the range of a temperate city."""
    weather = weather_at(1, YEAR)

    assert -20 < weather.temperature.min() < weather.temperature.max() < 42
    assert weather.humidity.min() >= 15
    assert weather.humidity.max() < 97
    assert weather.wind_speed.min() > 0
    assert weather.wind_speed.max() < 25
    assert 960 < weather.pressure.min() < weather.pressure.max() < 1070
    assert 4 < np.median(weather.pm_background) < 14


def test_afternoons_are_warmer_than_early_mornings() -> None:
    """The mean daily course has its peak in the afternoon."""
    weather = weather_at(1, YEAR)
    hour = hour_of_day(YEAR)

    afternoon = weather.temperature[(hour >= 14) & (hour < 16)].mean()
    morning = weather.temperature[(hour >= 3) & (hour < 5)].mean()

    assert afternoon - morning > 3


def test_the_sun_is_down_at_midnight_and_higher_in_june_than_in_december() -> None:
    """Sunshine follows hour and season."""
    weather = weather_at(1, YEAR)
    hour = hour_of_day(YEAR)
    day = (YEAR // DAY_NS) % 365

    assert weather.sunshine[hour < 2].max() == 0
    assert weather.sunshine[day == day[172 * 24]].max() > weather.sunshine[day == day[-240]].max()


def test_another_seed_has_another_weather() -> None:
    """Two seeds share the climate and not the days."""
    first, second = weather_at(1, YEAR).temperature, weather_at(2, YEAR).temperature

    assert not np.array_equal(first, second)
    assert abs(first.mean() - second.mean()) < 3
