# SPDX-License-Identifier: EUPL-1.2
"""The weather over the whole city, and the fine dust that comes in from the region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .calendar_time import hour_of_day, season
from .fleet import CENTRE_LATITUDE
from .noise import Floats, Instants, Keys, key_of, smooth

_LATITUDE = float(np.radians(CENTRE_LATITUDE))
_SOLAR_NOON = 12.5
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Weather:
    """What the air is like at some instants; one number for each instant in each field."""

    temperature: Floats
    humidity: Floats
    pressure: Floats
    wind_speed: Floats
    wind_direction: Floats
    sunshine: Floats
    pm_background: Floats


def weather_at(seed: int, time_ns: Instants) -> Weather:
    """Return the true weather of the city at the given instants."""
    sunshine = _sunshine(time_ns) * (1.0 - 0.6 * _cloud(seed, time_ns))
    temperature = _temperature(seed, time_ns)
    wind_speed = _wind_speed(seed, time_ns, sunshine)
    return Weather(
        temperature=temperature,
        humidity=_humidity(seed, time_ns, temperature),
        pressure=1015.0 + 9.0 * smooth(_key(seed, "pressure"), time_ns, 4.0 * _DAY_S),
        wind_speed=wind_speed,
        wind_direction=np.mod(
            240.0 + 70.0 * smooth(_key(seed, "wind direction"), time_ns, 0.8 * _DAY_S), 360.0
        ),
        sunshine=sunshine,
        pm_background=_pm_background(seed, time_ns, wind_speed),
    )


def _key(seed: int, purpose: str) -> Keys:
    return np.array([key_of(seed, "weather", purpose)], dtype=np.uint64)


def _cloud(seed: int, time_ns: Instants) -> Floats:
    cover: Floats = 0.5 + 0.5 * np.tanh(smooth(_key(seed, "cloud"), time_ns, 0.4 * _DAY_S))
    return cover


def _sunshine(time_ns: Instants) -> Floats:
    """Return the sine of the sun's elevation, zero at night."""
    declination = 0.409 * np.cos(season(time_ns) + 2.0 * np.pi * 23.0 / 365.2425)
    hour_angle = (hour_of_day(time_ns) - _SOLAR_NOON) * np.pi / 12.0
    elevation = np.sin(_LATITUDE) * np.sin(declination)
    elevation = elevation + np.cos(_LATITUDE) * np.cos(declination) * np.cos(hour_angle)
    above: Floats = np.maximum(elevation, 0.0)
    return above


def _temperature(seed: int, time_ns: Instants) -> Floats:
    synoptic = 3.5 * smooth(_key(seed, "temperature"), time_ns, 2.5 * _DAY_S)
    yearly = 10.5 + 9.0 * np.cos(season(time_ns))
    swing = 2.0 + 3.0 * (1.0 - _cloud(seed, time_ns))
    daily = swing * np.cos((hour_of_day(time_ns) - 15.0) * np.pi / 12.0)
    temperature: Floats = yearly + synoptic + daily
    return temperature


def _humidity(seed: int, time_ns: Instants, temperature: Floats) -> Floats:
    """Return relative humidity from an air mass whose dew point changes slowly (Magnus)."""
    moisture = 2.5 * smooth(_key(seed, "dew point"), time_ns, 1.5 * _DAY_S)
    dew_point = 4.5 + 6.5 * np.cos(season(time_ns)) + moisture
    dew_point = np.minimum(dew_point, temperature - 0.9)
    pressure_share = _saturation(dew_point) / _saturation(temperature)
    return np.clip(100.0 * pressure_share, 15.0, 97.0)


def _saturation(temperature: Floats) -> Floats:
    saturation: Floats = np.exp(17.62 * temperature / (243.12 + temperature))
    return saturation


def _wind_speed(seed: int, time_ns: Instants, sunshine: Floats) -> Floats:
    gusty = np.exp(0.45 * smooth(_key(seed, "wind"), time_ns, 0.35 * _DAY_S))
    speed: Floats = 0.4 + (1.6 + 1.4 * sunshine) * gusty
    return speed


def _pm_background(seed: int, time_ns: Instants, wind_speed: Floats) -> Floats:
    regional = np.exp(0.40 * smooth(_key(seed, "dust"), time_ns, 3.0 * _DAY_S))
    hourly = np.exp(0.10 * smooth(_key(seed, "dust hours"), time_ns, 0.1 * _DAY_S))
    evening = 1.0 + 0.20 * np.cos((hour_of_day(time_ns) - 21.0) * np.pi / 12.0)
    background: Floats = 8.0 * regional * hourly * evening * (1.5 / (0.6 + 0.4 * wind_speed)) ** 0.5
    return background
