# SPDX-License-Identifier: EUPL-1.2
"""Published values of the health indices: each with where it is from, and nothing of ours in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest

NAN = float("nan")

US = "40 CFR 58 App. G; EPA-454/B-24-002 table 6; agree: MazamaScience/AirMonitor, open-meteo"
NOWCAST = "MazamaScience/AirMonitor R/monitor_nowcast.R; USEPA/sensortoolkit _nowcast_pm25.py"
EEA = "ETC HE Report 2024/17 table 5.2; agree: open-meteo, aeolus"
EEA_OLD = "EEA 2017; agree: open-meteo, aeolus"
POINTS = "open-meteo/open-meteo AirQuality.swift, continuous form"
UK = "UK-AIR DAQI table; half up, against southlondonscientific/aeolus"
WHO = "WHO global air quality guidelines 2021, airclim.org"


@dataclass(frozen=True)
class Vector:
    """One concentration and what an index says about it.

    Attributes:
        source: where the expectation is from.
        index: name of the index; a slash divides it from a setting, as in ``eaqi/points``.
        quantity: of the pollutant.
        period: averaging period.
        given: concentration.
        unit: of the concentration.
        value: expected; NaN for none.
    """

    source: str
    index: str
    quantity: str
    period: str
    given: float
    unit: str
    value: float

    def __str__(self) -> str:
        """Return the name of the test."""
        return f"{self.index}-{self.quantity}-{self.period}-{self.given:g}{self.unit}"


def _of(
    source: str, index: str, series: str, *pairs: tuple[float, float], unit: str = "ug/m3"
) -> list[Vector]:
    quantity, period = series.split()
    return [Vector(source, index, quantity, period, *pair[:1], unit, pair[1]) for pair in pairs]


US_AQI: Final = [
    *_of(
        US, "us_aqi", "pm2_5 24h",
        (0, 0), (9.0, 50), (9.05, 50), (9.09, 50), (9.1, 51), (12.0, 56), (28.4, 87), (35.4, 100),
        (35.5, 101), (35.9, 102), (55.5, 151), (125.4, 200), (225.5, 301), (275.4, 400),
        (325.4, 500), (400, 649),
    ),
    *_of(
        US, "us_aqi", "pm10 24h",
        (54.9, 50), (55, 51), (154, 100), (254, 150), (424, 300), (425, 301), (604, 500),
    ),
    *_of(US, "us_aqi", "o3 8h", (0.0549, 50), (0.055, 51), (0.071, 101), (0.200, 300), unit="ppm"),
    *_of(
        US, "us_aqi", "o3 1h", (0.125, 101), (0.2045, 200), (0.404, 300), (0.604, 500), unit="ppm"
    ),
    *_of(US, "us_aqi", "co 8h", (4.49, 50), (9.4, 100), (40.4, 400), unit="ppm"),
    *_of(US, "us_aqi", "so2 1h", (35, 50), (36, 51), (304, 200), unit="ppb"),
    *_of(US, "us_aqi", "no2 1h", (53, 50), (100, 100), (101, 101), (2049, 500), unit="ppb"),
    *_of(US, "us_aqi", "pm2_5 24h", (NAN, NAN), (-1, 0)),
]  # fmt: skip

# Lowest and highest concentration of each band, as the table prints them, with its index.
_US_INDEX = [(0, 50), (51, 100), (101, 150), (151, 200), (201, 300), (301, 500)]
_US_BANDS: Final = {
    ("pm2_5 24h", "ug/m3", 0): "0.0-9.0 9.1-35.4 35.5-55.4 55.5-125.4 125.5-225.4 225.5-325.4",
    ("pm10 24h", "ug/m3", 0): "0-54 55-154 155-254 255-354 355-424 425-604",
    ("o3 8h", "ppm", 0): ".000-.054 .055-.070 .071-.085 .086-.105 .106-.200",
    ("o3 1h", "ppm", 2): ".125-.164 .165-.204 .205-.404 .405-.604",
    ("co 8h", "ppm", 0): "0.0-4.4 4.5-9.4 9.5-12.4 12.5-15.4 15.5-30.4 30.5-50.4",
    ("so2 1h", "ppb", 0): "0-35 36-75 76-185 186-304",
    ("so2 24h", "ppb", 4): "305-604 605-1004",
    ("no2 1h", "ppb", 0): "0-53 54-100 101-360 361-649 650-1249 1250-2049",
}
US_BANDS: Final = [
    vector
    for (series, unit, first), text in _US_BANDS.items()
    for band, index in zip(text.split(), _US_INDEX[first:], strict=False)
    for vector in _of(
        US, "us_aqi", series,
        *((float(edge), value) for edge, value in zip(band.split("-"), index, strict=True)),
        unit=unit,
    )
]  # fmt: skip

EAQI: Final = [
    *_of(EEA, "eaqi", "pm2_5 1h", (5, 1), (5.1, 2), (50, 3), (140, 5), (140.1, 6)),
    *_of(EEA, "eaqi", "no2 1h", (25, 2)),
    *_of(EEA, "eaqi", "o3 1h", (181, 6)),
    *_of(POINTS, "eaqi/points", "no2 1h", (5, 10), (42.5, 50), (80, 70), (175, 110), (-1, NAN)),
    *_of(POINTS, "eaqi/points", "pm2_5 1h", (2.5, 10), (32.5, 50), (115, 90)),
    *_of(POINTS, "eaqi/points", "o3 1h", (190, 110)),
]

DAQI: Final = [
    *_of(UK, "daqi", "pm2_5 24h", (11.5, 2), (40, 4), (75, 10)),
    *_of(UK, "daqi", "o3 8h", (120, 4), (66.5, 3)),
]

# Upper bounds of the levels: a concentration at a bound is in that level, one above in the next.
_BOUNDS: Final = {
    ("eaqi", EEA, 0.1): {
        "pm2_5 1h": "5 15 50 90 140", "pm10 1h": "15 45 120 195 270", "no2 1h": "10 25 60 100 150",
        "o3 1h": "60 100 120 160 180", "so2 1h": "20 40 125 190 275",
    },
    ("eaqi_2017", EEA_OLD, 0.1): {
        "pm2_5 24h": "10 20 25 50 75", "pm10 24h": "20 40 50 100 150",
        "no2 1h": "40 90 120 230 340", "o3 1h": "50 100 130 240 380",
        "so2 1h": "100 200 350 500 750",
    },
    ("daqi", UK, 1.0): {
        "pm2_5 24h": "11 23 35 41 47 53 58 64 70", "pm10 24h": "16 33 50 58 66 75 83 91 100",
        "o3 8h": "33 66 100 120 140 160 187 213 240",
        "no2 1h": "67 134 200 267 334 400 467 534 600",
        "so2 15min": "88 177 266 354 443 532 710 887 1064",
    },
}  # fmt: skip
BOUNDS: Final = [
    vector
    for (index, source, step), tables in _BOUNDS.items()
    for series, text in tables.items()
    for level, bound in enumerate(map(float, text.split()), start=1)
    for vector in _of(source, index, series, (bound, level), (bound + step, level + 1))
]

# Guideline, then the interim targets there are, from 4 to 1: (limit, level that meets it).
_TARGETS: Final[dict[str, list[tuple[float, int]]]] = {
    "pm2_5 24h": [(15, 1), (25, 2), (37.5, 3), (50, 4), (75, 5)],
    "pm2_5 year": [(5, 1), (10, 2), (15, 3), (25, 4), (35, 5)],
    "pm10 24h": [(45, 1), (50, 2), (75, 3), (100, 4), (150, 5)],
    "pm10 year": [(15, 1), (20, 2), (30, 3), (50, 4), (70, 5)],
    "o3 8h": [(100, 1), (120, 4), (160, 5)],
    "o3 peak_season": [(60, 1), (70, 4), (100, 5)],
    "no2 year": [(10, 1), (20, 3), (30, 4), (40, 5)],
    "no2 24h": [(25, 1), (50, 4), (120, 5)],
    "no2 1h": [(200, 1)],
    "so2 24h": [(40, 1), (50, 4), (125, 5)],
    "so2 10min": [(500, 1)],
    "co 24h": [(4_000, 1), (7_000, 5)],
    "co 8h": [(10_000, 1)],
    "co 1h": [(35_000, 1)],
    "co 15min": [(100_000, 1)],
}
WHO_TARGETS: Final = [
    vector
    for series, targets in _TARGETS.items()
    for (limit, level), (_, following) in pairwise([*targets, (0.0, 6)])
    for vector in _of(WHO, "who", series, (limit, level), (limit + 0.1, following))
]

VECTORS: Final = [*US_AQI, *US_BANDS, *EAQI, *DAQI, *BOUNDS, *WHO_TARGETS]

_TOPICS: Final = {
    "us_aqi": "US AQI",
    "eaqi": "European index",
    "eaqi_2017": "European index",
    "daqi": "UK DAQI",
    "who": "WHO guidelines",
}
MARKED: Final = [
    pytest.param(
        vector,
        marks=pytest.mark.vector(_TOPICS[vector.index.partition("/")[0]], vector.source),
        id=str(vector),
    )
    for vector in VECTORS
]
"""The same as cases of a test."""

# Hours newest first, weight, NowCast to five places.
NOWCASTS: Final = [
    ([21, NAN, 35, 49.2, 48.6, 53.7, 66.2, 69.2, 64.9, 50, 43, 34.9], 0.5, 28.40980),
    ([50] * 12, 1.0, 50.0),
    ([100] + [10] * 11, 0.5, 55.01099),
    ([30, 20], 2 / 3, 26.0),
    ([NAN, *[20] * 11], 1.0, 20.0),
    ([NAN, NAN, *[20] * 10], 1.0, NAN),
    ([0] * 12, 1.0, 0.0),
]
NOWCAST_INDEX: Final = 87
"""Of PM2.5, from the first of them, truncated to 28.4."""

OZONE_SOURCE: Final = "USEPA/O3-Nowcast ExampleData.csv (stream 2975, 16 to 30 April 2019, ppb)"
OZONE_ESTIMATE_PPB: Final = 19.584
"""With all components; the EPA publishes no expected output."""

_OZONE: Final = """
33 45 48 50 50 49 48 46 45 46 46 43 41 37 36 32 34 30 26 29 27 28 29 30
39 44 47 48 50 50 49 48 48 47 46 43 38 28 32 37 21 21 20 13 16 7 10 23
30 41 47 49 53 56 56 60 61 59 51 35 37 41 29 21 12 8 8 12 11 5 11 21
27 43 48 49 50 50 53 53 55 57 47 36 17 36 22 28 13 3 14 16 14 26 28 27
39 47 49 50 48 47 48 48 49 48 46 43 39 36 33 33 30 29 26 27 20 17 9 23
39 41 45 49 50 53 54 52 51 49 49 47 47 41 35 35 32 21 23 18 17 16 24 24
- 42 43 46 53 52 54 53 53 48 45 41 39 33 39 39 35 31 25 21 18 15 12 25
33 39 50 53 53 52 54 52 53 51 50 48 46 31 14 22 13 19 16 16 13 8 13 30
36 44 55 59 61 62 61 60 58 56 52 46 33 23 10 12 13 15 12 12 9 8 13 25
32 42 53 55 54 55 56 56 56 54 50 33 28 29 18 34 29 22 24 24 20 4 14 24
35 46 54 59 63 62 60 55 54 53 51 49 50 48 46 39 29 19 11 19 27 19 22 36
43 48 55 59 60 57 57 56 54 53 51 44 43 44 39 34 27 24 17 18 20 16 17 25
41 47 53 56 56 53 51 50 49 46 44 40 38 37 29 23 27 29 33 38 27 20 14 29
- - 47 46 45 40 40 38 37 36 36 35 35 38 34 31 25 23 26 21 17 7 6 14
"""
OZONE_HOURS: Final = [NAN if text == "-" else float(text) for text in _OZONE.split()]
"""Oldest first."""
