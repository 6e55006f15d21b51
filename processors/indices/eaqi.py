# SPDX-License-Identifier: EUPL-1.2
"""The European air quality index as revised in 2024."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, Literal

from pydantic import Field

from lamppost.component import register
from lamppost.indices import Category, Scale

from ._bands import Bands
from ._hourly_index import HourlyIndex, HourlySettings
from ._sub_indices import SubIndex

CATEGORIES: Final = (
    Category("Good", "#50F0E6"),
    Category("Fair", "#50CCAA"),
    Category("Moderate", "#F0E641"),
    Category("Poor", "#FF5050"),
    Category("Very poor", "#960032"),
    Category("Extremely poor", "#7D2181"),
)
SCALE: Final = Scale(
    "European AQI", "2024 revision", "ETC HE Report 2024/17, table 5.2; EEA", CATEGORIES
)

TABLES: Final = {
    "pm2_5": Bands("pm2_5", (5, 15, 50, 90, 140)),
    "pm10": Bands("pm10", (15, 45, 120, 195, 270)),
    "no2": Bands("no2", (10, 25, 60, 100, 150)),
    "o3": Bands("o3", (60, 100, 120, 160, 180)),
    "so2": Bands("so2", (20, 40, 125, 190, 275)),
}
_VALUES: Final = {"level": "levels 1 to 6", "points": "points, 20 a level"}
POINTS: Final = 20.0
"""Of each band, in the continuous form of Open-Meteo."""


class EaqiSettings(HourlySettings):
    """What makes an hour count, and how the index is told."""

    value: Literal["level", "points"] = Field(
        default="level",
        description="level: 1 to 6, as the EEA tells it; points: 20 for each level and between "
        "them, as Open-Meteo does.",
    )

    def told(self) -> str:
        """Return in words how the index is told."""
        return f", values are {_VALUES[self.value]}"


@register("index")
class Eaqi(HourlyIndex):
    """European air quality index of PM2.5, PM10, NO2, O3 and SO2 in levels 1 to 6, by the hour.

    Formula: the level is 1 more than the number of bounds the mean of the newest hour lies above; a
    mean equal to a bound stays in the better level. In points (``value``): 20 (level - 1), plus 20
    times the part of the level's width that is passed; above the last bound the last width goes on.

    Source: ETC HE Report 2024/17, table 5.2, in use by the EEA since 3 July 2025 (the date from one
    source), as open-meteo and aeolus have it. Directive (EU) 2024/2881, Article 22, asks cities for
    an hourly index of these pollutants built on it.

    Known failures: the EEA shows an hour three hours later and fills gaps from the CAMS model; here
    a gap is a gap. Which pollutants a station must measure is not confirmed for this version, so
    every station has an index, with its pollutants named. An hour near a road is level 4 sooner
    than its day is.
    """

    name: ClassVar[str] = "eaqi"
    number: ClassVar[int] = 3
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        name: (SubIndex("1h", table),) for name, table in TABLES.items()
    }
    Settings: ClassVar[type[HourlySettings]] = EaqiSettings

    @classmethod
    def tables(cls, settings: HourlySettings) -> Mapping[str, tuple[SubIndex, ...]]:
        """Return the tables, in points where that is asked for."""
        if not isinstance(settings, EaqiSettings) or settings.value == "level":
            return cls.pollutants
        return {
            name: (SubIndex("1h", replace(table, continuous=POINTS), "in points"),)
            for name, table in TABLES.items()
        }
