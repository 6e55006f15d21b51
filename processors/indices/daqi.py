# SPDX-License-Identifier: EUPL-1.2
"""The Daily Air Quality Index of the United Kingdom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from lamppost.component import register
from lamppost.indices import Category, Scale

from ._bands import Bands
from ._hourly_index import QUARTER, HourlyIndex, RunningSettings
from ._sub_indices import SubIndex

SCALE: Final = Scale(
    "UK DAQI",
    "2013",
    "COMEAP 2011, as implemented by Defra, UK-AIR",
    (
        # The colours of UK-AIR for the middle value of each group: unverified.
        Category("Low", "#31FF00"),
        Category("Moderate", "#FFCF00"),
        Category("High", "#FF0000"),
        Category("Very high", "#CE30FF"),
    ),
)
_CATEGORIES: Final = (1, 1, 1, 2, 2, 2, 3, 3, 3, 4)


def _bands(quantity: str, *bounds: int) -> Bands:
    return Bands(quantity, bounds, categories=_CATEGORIES, rounded=True)


@register("index")
class Daqi(HourlyIndex):
    """UK daily air quality index of PM2.5, PM10, O3, NO2 and SO2, from 1 to 10.

    Formula: the mean, rounded half up to a whole µg/m³, is 1 more than the number of bounds it lies
    above. Averaging: running means of 24 hours (PM2.5, PM10) and of 8 hours (O3: this hour and the
    seven before, at least six of them), the newest hour (NO2), its highest quarter (SO2).
    Categories: 1 to 3 low, 4 to 6 moderate, 7 to 9 high, 10 very high.

    Source: Defra, UK-AIR; 75 % of a period must be covered (LAQM TG(09)).

    Known failures: SO2 needs windows of 15 minutes in the policy and has no value without; rounding
    to even, as numpy does, would put O3 66.5 into band 2 in place of 3. The year of the table and
    the colours are not verified.
    """

    name: ClassVar[str] = "daqi"
    number: ClassVar[int] = 5
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        "pm2_5": (SubIndex("24h", _bands("pm2_5", 11, 23, 35, 41, 47, 53, 58, 64, 70)),),
        "pm10": (SubIndex("24h", _bands("pm10", 16, 33, 50, 58, 66, 75, 83, 91, 100)),),
        "o3": (SubIndex("8h", _bands("o3", 33, 66, 100, 120, 140, 160, 187, 213, 240)),),
        "no2": (SubIndex("1h", _bands("no2", 67, 134, 200, 267, 334, 400, 467, 534, 600)),),
        "so2": (SubIndex(QUARTER, _bands("so2", 88, 177, 266, 354, 443, 532, 710, 887, 1064)),),
    }
    Settings: ClassVar[type[RunningSettings]] = RunningSettings
