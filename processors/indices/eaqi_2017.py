# SPDX-License-Identifier: EUPL-1.2
"""The European air quality index as it was before its revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from lamppost.component import register
from lamppost.indices import Scale

from ._bands import Bands
from ._hourly_index import HourlyIndex, RunningSettings
from ._sub_indices import SubIndex
from .eaqi import CATEGORIES

SCALE: Final = Scale(
    "European AQI (2017)", "2017, with the sixth level added later", "EEA", CATEGORIES
)


@register("index")
class Eaqi2017(HourlyIndex):
    """European air quality index as it was until 2025, in levels 1 to 6, by the hour.

    Formula: the level is 1 more than the number of bounds the mean lies above; a mean equal to a
    bound stays in the better level. Averaging: running means of 24 hours (PM2.5, PM10), the newest
    hour (NO2, O3, SO2).

    Source: EEA, 2017, as open-meteo and aeolus have it.

    Known failures: superseded by ``eaqi``, whose bounds for particles are about half of these; for
    comparing with what was published until then. The EEA gave stations an index only where traffic
    stations measure NO2 and particles, others O3 as well (one source); here every station has one,
    with its pollutants named.
    """

    name: ClassVar[str] = "eaqi_2017"
    number: ClassVar[int] = 4
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        "pm2_5": (SubIndex("24h", Bands("pm2_5", (10, 20, 25, 50, 75))),),
        "pm10": (SubIndex("24h", Bands("pm10", (20, 40, 50, 100, 150))),),
        "no2": (SubIndex("1h", Bands("no2", (40, 90, 120, 230, 340))),),
        "o3": (SubIndex("1h", Bands("o3", (50, 100, 130, 240, 380))),),
        "so2": (SubIndex("1h", Bands("so2", (100, 200, 350, 500, 750))),),
    }
    Settings: ClassVar[type[RunningSettings]] = RunningSettings
    unexplained: ClassVar[Mapping[str, str]] = {
        "valid_hours_of_8": "none of its means is one of 8 hours"
    }
