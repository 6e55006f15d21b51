# SPDX-License-Identifier: EUPL-1.2
"""How the instruments of each quantity measure, and how they look when they go wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import Floats


@dataclass(frozen=True)
class Instrument:
    """One quantity's resolution, noise and limits, and the size of its faults.

    Attributes:
        decimals: decimals the device sends.
        noise: standard deviation that does not depend on the value.
        noise_share: standard deviation as a share of the value.
        lowest: smallest value the device can send.
        highest: largest value the device can send.
        sentinel: number the device sends instead of a measurement.
        jump: size of a sudden offset.
        drift_per_h: growth of a slow offset in an hour.
        spike: size of a single spike.
    """

    decimals: int
    noise: float
    noise_share: float
    lowest: float
    highest: float
    sentinel: float
    jump: float
    drift_per_h: float
    spike: float


_INF = float("inf")

INSTRUMENTS = {
    "pm2_5": Instrument(1, 0.3, 0.04, 0.0, 2_000.0, 999.9, 45.0, 9.0, 160.0),
    "pm10": Instrument(1, 0.5, 0.05, 0.0, 4_000.0, 1_999.9, 60.0, 12.0, 260.0),
    "no2": Instrument(1, 1.0, 0.03, 0.0, 2_000.0, -200.0, 70.0, 12.0, 220.0),
    "o3": Instrument(1, 1.0, 0.03, 0.0, 1_000.0, -200.0, 80.0, 12.0, 180.0),
    "temperature": Instrument(2, 0.10, 0.0, -_INF, _INF, -200.0, 12.0, 1.5, 25.0),
    "humidity": Instrument(1, 0.5, 0.0, 1.0, 100.0, 999.9, 25.0, 4.0, 40.0),
    "pressure": Instrument(1, 0.1, 0.0, 300.0, 1_100.0, -200.0, 20.0, 3.0, 60.0),
    "wind_speed": Instrument(1, 0.2, 0.06, 0.0, 75.0, 999.9, 8.0, 1.0, 30.0),
    "wind_direction": Instrument(0, 6.0, 0.0, -_INF, _INF, 999.9, 60.0, 10.0, 180.0),
    "vehicle_count": Instrument(0, 0.0, 0.0, 0.0, 255.0, 255.0, 20.0, 4.0, 60.0),
    "flow": Instrument(0, 0.0, 0.0, 0.0, 15_300.0, 15_300.0, 900.0, 150.0, 4_000.0),
    "speed": Instrument(1, 0.0, 0.0, 0.0, 255.0, 255.0, 35.0, 6.0, 120.0),
    "occupancy": Instrument(1, 0.0, 0.0, 0.0, 100.0, 255.0, 30.0, 5.0, 70.0),
}


def printed(quantity: str, values: Floats) -> Floats:
    """Return the values as the device's display has them: limited, folded and rounded."""
    instrument = INSTRUMENTS[quantity]
    limited = np.clip(values, instrument.lowest, instrument.highest)
    rounded = np.round(limited, instrument.decimals)
    return np.mod(rounded, 360.0) if quantity == "wind_direction" else rounded
