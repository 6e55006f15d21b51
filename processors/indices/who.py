# SPDX-License-Identifier: EUPL-1.2
"""The guidelines of the World Health Organization of 2021, as levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from lamppost.component import register
from lamppost.indices import Category, Scale

from ._bands import Bands
from ._hourly_index import QUARTER, HourlyIndex, RunningSettings
from ._sub_indices import SubIndex

SCALE: Final = Scale(
    "WHO 2021 levels",
    "2021",
    "WHO global air quality guidelines, 2021",
    (
        Category("Meets the guideline", "#1A9850"),
        Category("Meets interim target 4", "#91CF60"),
        Category("Meets interim target 3", "#D9EF8B"),
        Category("Meets interim target 2", "#FEE08B"),
        Category("Meets interim target 1", "#FC8D59"),
        Category("Above every target", "#D73027"),
    ),
)

_LEVELS: Final = {"guideline": 1, "4": 2, "3": 3, "2": 4, "1": 5}
_ABOVE: Final = 6

# Guideline and interim targets in µg/m³, by averaging period. CO is published in mg/m3.
GUIDELINES: Final[Mapping[str, Mapping[str, Mapping[str, float]]]] = {
    "pm2_5": {
        "24h": {"guideline": 15, "4": 25, "3": 37.5, "2": 50, "1": 75},
        "year": {"guideline": 5, "4": 10, "3": 15, "2": 25, "1": 35},
    },
    "pm10": {
        "24h": {"guideline": 45, "4": 50, "3": 75, "2": 100, "1": 150},
        "year": {"guideline": 15, "4": 20, "3": 30, "2": 50, "1": 70},
    },
    "o3": {
        "8h": {"guideline": 100, "2": 120, "1": 160},
        "peak_season": {"guideline": 60, "2": 70, "1": 100},
    },
    "no2": {
        "24h": {"guideline": 25, "2": 50, "1": 120},
        "1h": {"guideline": 200},
        "year": {"guideline": 10, "3": 20, "2": 30, "1": 40},
    },
    "so2": {"24h": {"guideline": 40, "2": 50, "1": 125}, "10min": {"guideline": 500}},
    "co": {
        "24h": {"guideline": 4_000, "1": 7_000},
        "8h": {"guideline": 10_000},
        "1h": {"guideline": 35_000},
        QUARTER: {"guideline": 100_000},
    },
}


def _bands(quantity: str, targets: Mapping[str, float]) -> Bands:
    levels = (*(_LEVELS[target] for target in targets), _ABOVE)
    return Bands(quantity, tuple(targets.values()), levels)


@register("index")
class Who(HourlyIndex):
    """Which WHO 2021 guideline or interim target the air meets, of all six pollutants.

    Formula: level 1 up to the guideline, 2 to 5 up to interim targets 4 to 1, 6 above; a mean equal
    to a limit meets it. Averaging: running means of 24 hours (PM2.5, PM10, NO2, SO2, CO) and 8
    hours (O3, CO), the newest hour (NO2, CO) and its highest quarter (CO). Of several the worst
    counts; where a pollutant has no interim target (NO2 of an hour), above the guideline is 6.

    Source: WHO global air quality guidelines 2021, as airclim.org lists them. The 10 minutes of
    SO2, the years and the peak season of O3 are in the table, for ``lamppost index who``, but not
    made here.

    Known failures: guidelines of a day may be exceeded on 3 to 4 days a year (99th percentile), and
    the years are stricter by far: level 1 today is no compliance. Levels of different pollutants
    are targets, not equal risks. The colours are Lamppost's own choice.
    """

    name: ClassVar[str] = "who"
    number: ClassVar[int] = 6
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        quantity: tuple(
            SubIndex(period, _bands(quantity, targets)) for period, targets in periods.items()
        )
        for quantity, periods in GUIDELINES.items()
    }
    Settings: ClassVar[type[RunningSettings]] = RunningSettings
