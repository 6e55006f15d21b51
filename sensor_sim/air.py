# SPDX-License-Identifier: EUPL-1.2
"""The air at the kerb: what traffic, weather and smoke make of the regional background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import Floats
from .weather import Weather


@dataclass(frozen=True)
class Air:
    """True concentrations in µg/m³."""

    pm2_5: Floats
    pm10: Floats
    no2: Floats
    o3: Floats


def air_at(weather: Weather, *, traffic: Floats, exposure: Floats, smoke: Floats) -> Air:
    """Return the air at places with a road exposure of 0 to 1 and `smoke` µg/m³ of PM2.5."""
    stillness = 1.8 / (0.7 + 0.5 * weather.wind_speed)
    exhaust = exposure * traffic * stillness
    pm2_5 = weather.pm_background + 4.5 * exhaust + smoke
    dry = np.clip(1.2 - weather.humidity / 100.0, 0.2, 1.0)
    pm10 = 1.25 * pm2_5 + 2.0 + 9.0 * exposure * traffic * dry
    no2 = 7.0 + 38.0 * exhaust + 0.08 * smoke
    return Air(pm2_5=pm2_5, pm10=pm10, no2=no2, o3=_ozone(weather, no2))


def _ozone(weather: Weather, no2: Floats) -> Floats:
    warmth = np.clip(0.5 + weather.temperature / 30.0, 0.3, 1.6)
    ozone = 38.0 + 75.0 * weather.sunshine * warmth + 3.0 * weather.wind_speed - 0.7 * no2
    # Titration by NO never removes all ozone; softplus keeps the course smooth near zero.
    return 4.0 * np.logaddexp(0.0, (ozone - 3.0) / 4.0) + 1.0
