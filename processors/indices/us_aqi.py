# SPDX-License-Identifier: EUPL-1.2
"""The air quality index of the United States, of all six pollutants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, Literal

from pydantic import Field

from lamppost.component import Settings, register
from lamppost.indices import Category, Scale

from ._breakpoints import Breakpoints
from ._hourly_index import HourlyIndex, HourlySettings, RunningSettings
from ._sub_indices import SubIndex

SCALE: Final = Scale(
    "US AQI",
    "2024-05",
    "40 CFR 58 Appendix G; EPA-454/B-24-002 (May 2024), table 6",
    (
        Category("Good", "#00E400"),
        Category("Moderate", "#FFFF00"),
        Category("Unhealthy for sensitive groups", "#FF7E00"),
        Category("Unhealthy", "#FF0000"),
        Category("Very unhealthy", "#8F3F97"),
        Category("Hazardous", "#7E0023"),
    ),
)

_INDEX: Final = ((0, 50), (51, 100), (101, 150), (151, 200), (201, 300), (301, 500))

PM2_5: Final = Breakpoints(
    "pm2_5",
    "ug/m3",
    "0.1",
    (
        ("0.0", "9.0"),
        ("9.1", "35.4"),
        ("35.5", "55.4"),
        ("55.5", "125.4"),
        ("125.5", "225.4"),
        ("225.5", "325.4"),
    ),
    _INDEX,
)
PM10: Final = Breakpoints(
    "pm10",
    "ug/m3",
    "1",
    (("0", "54"), ("55", "154"), ("155", "254"), ("255", "354"), ("355", "424"), ("425", "604")),
    _INDEX,
)
PM10_TWO_BANDS: Final = replace(
    PM10,
    bands=(*PM10.bands[:5], ("425", "504"), ("505", "604")),
    index=(*_INDEX[:5], (301, 400), (401, 500)),
    categories=(1, 2, 3, 4, 5, 6, 6),
)
O3_8H: Final = Breakpoints(
    "o3",
    "ppm",
    "0.001",
    (
        ("0.000", "0.054"),
        ("0.055", "0.070"),
        ("0.071", "0.085"),
        ("0.086", "0.105"),
        ("0.106", "0.200"),
    ),
    _INDEX[:5],
    capped=True,
)
O3_1H: Final = Breakpoints(
    "o3",
    "ppm",
    "0.001",
    (("0.125", "0.164"), ("0.165", "0.204"), ("0.205", "0.404"), ("0.405", "0.604")),
    _INDEX[2:],
    category=3,
)
CO_8H: Final = Breakpoints(
    "co",
    "ppm",
    "0.1",
    (
        ("0.0", "4.4"),
        ("4.5", "9.4"),
        ("9.5", "12.4"),
        ("12.5", "15.4"),
        ("15.5", "30.4"),
        ("30.5", "50.4"),
    ),
    _INDEX,
)
SO2_1H: Final = Breakpoints(
    "so2",
    "ppb",
    "1",
    (("0", "35"), ("36", "75"), ("76", "185"), ("186", "304")),
    _INDEX[:4],
    capped=True,
)
SO2_24H: Final = Breakpoints(
    "so2", "ppb", "1", (("305", "604"), ("605", "1004")), _INDEX[4:], category=5
)
NO2_1H: Final = Breakpoints(
    "no2",
    "ppb",
    "1",
    (
        ("0", "53"),
        ("54", "100"),
        ("101", "360"),
        ("361", "649"),
        ("650", "1249"),
        ("1250", "2049"),
    ),
    _INDEX,
)


_PM10_HAZARDOUS: Final = {
    "one_band": "pm10 from 425 to 604 µg/m³ is one band of 301 to 500",
    "two_bands": "pm10 from 425 to 604 µg/m³ is two bands that meet at 504 µg/m³ and 400",
}
_ABOVE_500: Final = {"extended": "the last band goes on", "capped": "it stays at 500"}


class UsTableSettings(Settings):
    """What is not verified about the table of May 2024, and is for a city to decide."""

    pm10_hazardous: Literal["one_band", "two_bands"] = Field(
        default="one_band",
        description="How 425 to 604 µg/m³ of PM10 become 301 to 500: in one band, or in two that "
        "meet at 504 and 400, as until 2024. Which one the table of 2024 has is not verified.",
    )
    above_500: Literal["extended", "capped"] = Field(
        default="extended",
        description="What the index is above its table: extended, the last band goes on (practice "
        "of AirMonitor and of the US embassies; no text of the EPA was read); or capped at 500. "
        "Either way the value is marked as beyond the table.",
    )

    def told(self) -> str:
        """Return in words what a city has decided for."""
        return f", {_PM10_HAZARDOUS[self.pm10_hazardous]}, above 500 {_ABOVE_500[self.above_500]}"

    def chosen(self, sub: SubIndex) -> SubIndex:
        """Return a sub-index with the table a city has decided for."""
        table, variants = sub.table, []
        if table is PM10 and self.pm10_hazardous == "two_bands":
            table = PM10_TWO_BANDS
            variants.append("hazardous in two bands")
        if isinstance(table, Breakpoints) and table.reaches_500 and self.above_500 == "capped":
            table = replace(table, capped=True)
            variants.append("capped at 500")
        return replace(sub, table=table, variant=", ".join(variants))


class UsAqiSettings(UsTableSettings, RunningSettings):
    """What makes a running mean valid, and which table counts."""


@register("index")
class UsAqi(HourlyIndex):
    """US EPA air quality index of PM2.5, PM10, O3, CO, SO2 and NO2, for the hours up to now.

    Formula: the mean of the averaging period, truncated to the step of its table, between the
    breakpoints (C_low, I_low) and (C_high, I_high) around it:
    (I_high - I_low) / (C_high - C_low) * (C - C_low) + I_low, rounded half up.
    Averaging: running means of 24 hours (PM2.5, PM10, and SO2 from 305 ppb), 8 hours (O3, CO), the
    newest hour (NO2, SO2, and O3 from 0.125 ppm). Of several the highest counts; SO2 of an hour
    never says more than 200, O3 of 8 hours never more than 300. Above 500 the last band goes on, or
    the index stays there, and ``beyond`` is 1. Gases are converted to ppb or ppm at the conditions
    their µg/m³ are given at (20 °C, 101.325 kPa), which gives back the mixing ratio that was
    measured.

    Source: table of May 2024 (40 CFR 58 Appendix G; EPA-454/B-24-002, table 6), as
    MazamaScience/AirMonitor and open-meteo have it. Not verified, and therefore settings: how the
    table of PM10 splits 301 to 500 (``pm10_hazardous``), and what the EPA says above 500
    (``above_500``).

    Known failures: EPA's own index of a day takes the day's highest hour or 8 hours, which can lie
    above the value of each later hour here; a mean of 24 hours follows smoke hours late
    (``nowcast`` is made for that); PM2.5 of uncorrected low-cost sensors in damp air reads high.
    """

    name: ClassVar[str] = "us_aqi"
    number: ClassVar[int] = 1
    scale: ClassVar[Scale] = SCALE
    pollutants: ClassVar[Mapping[str, tuple[SubIndex, ...]]] = {
        "pm2_5": (SubIndex("24h", PM2_5),),
        "pm10": (SubIndex("24h", PM10),),
        "o3": (SubIndex("8h", O3_8H), SubIndex("1h", O3_1H)),
        "co": (SubIndex("8h", CO_8H),),
        "so2": (SubIndex("1h", SO2_1H), SubIndex("24h", SO2_24H)),
        "no2": (SubIndex("1h", NO2_1H),),
    }
    Settings: ClassVar[type[HourlySettings]] = UsAqiSettings

    @classmethod
    def tables(cls, settings: HourlySettings) -> Mapping[str, tuple[SubIndex, ...]]:
        """Return the tables a city has decided for."""
        if not isinstance(settings, UsAqiSettings):
            return cls.pollutants
        return {
            name: tuple(settings.chosen(sub) for sub in subs)
            for name, subs in cls.pollutants.items()
        }
