# SPDX-License-Identifier: EUPL-1.2
"""Level of service of urban streets, by speed, after the Highway Capacity Manual."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from lamppost.batch import FloatArray
from lamppost.component import Settings, register
from lamppost.series import SeriesKey
from lamppost.stations import Station
from lamppost.wording import digits, percent

from ._derivations import KM_PER_MILE, RoadDerivation
from ._together import Road

StreetClass = Literal["street_1", "street_2", "street_3", "street_4"]
Bounds = tuple[float, float, float, float, float]

SPEEDS_MPH: Final[dict[StreetClass, Bounds]] = {
    "street_1": (42.0, 34.0, 27.0, 21.0, 16.0),
    "street_2": (35.0, 28.0, 22.0, 17.0, 13.0),
    "street_3": (30.0, 24.0, 18.0, 14.0, 10.0),
    "street_4": (25.0, 19.0, 13.0, 9.0, 7.0),
}
"""Speeds above which the level is A to E, by class of street."""

_BOUNDS: Final = 5
# Rounding of a conversion must not lift a speed over a bound it equals.
_ROUNDING: Final = 1e-9


class LevelOfServiceStreetSettings(Settings):
    """Which edition of the manual is followed."""

    manual: Literal["hcm_2000", "hcm_2010"] = Field(
        default="hcm_2000",
        description="Bounds by class of street, or as shares of the free-flow speed.",
    )
    speeds_mph: dict[StreetClass, Bounds] = Field(
        default=SPEEDS_MPH,
        min_length=1,
        description="With hcm_2000: speeds above which it is A to E, by class of street, mph. One "
        "source; streets of a class that is left out have no level.",
    )
    shares: Bounds = Field(
        default=(0.85, 0.67, 0.50, 0.40, 0.30),
        description="With hcm_2010: shares of the free-flow speed above which it is A to E.",
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """Yield what cannot be meant."""
        given = {f"speeds_mph.{name}": speeds for name, speeds in self.speeds_mph.items()}
        for name, bounds in {**given, "shares": self.shares}.items():
            if any(b >= a for a, b in itertools.pairwise((*bounds, 0.0))):
                yield name, "must fall from A to E and stay above 0"


def level(speed: FloatArray, bounds: FloatArray) -> FloatArray:
    """Return 1 to 6 for A to F; NaN where nothing moves.

    Args:
        speed: of traffic, shape (n,).
        bounds: above which the level is A to E, shape (5, n), in the same unit.
    """
    below = (speed <= bounds + _ROUNDING).sum(axis=0)
    return np.where(speed > 0, 1.0 + below, np.nan)


@register("derivation")
class LevelOfServiceStreet(RoadDerivation[LevelOfServiceStreetSettings]):
    """Works out the level of service of urban streets, 1 for A to 6 for F, from speed.

    By the class of the street (``road_class`` street_1 to street_4), in mph: class I above 42 A,
    34 B, 27 C, 21 D, 16 E; class II 35, 28, 22, 17, 13; class III 30, 24, 18, 14, 10; class IV 25,
    19, 13, 9, 7; else F. With ``hcm_2010`` above 85, 67, 50, 40 and 30 % of the free-flow speed.

    Source: Highway Capacity Manual 2000, urban streets (one source, therefore settings). The shares
    of the edition of 2010 are widely quoted, but were not confirmed.

    Known failures: the manual means the speed over a whole way, stops at signals included; a
    detector between signals sees faster traffic, one before a signal slower. At a speed of 0 there
    is no level, not F, as the road may be empty. A mean of levels means nothing: look at quantiles.
    """

    name: ClassVar[str] = "level_of_service_street"
    Settings: ClassVar[type[LevelOfServiceStreetSettings]] = LevelOfServiceStreetSettings
    inputs: ClassVar[Mapping[str, int]] = {"speed": 0}
    quantity: ClassVar[str] = "level_of_service"

    @classmethod
    def describe(cls, settings: LevelOfServiceStreetSettings) -> str:
        """Say above which speeds the levels are."""
        by_class = "; ".join(
            f"{name} {', '.join(map(digits, speeds))} mph"
            for name, speeds in settings.speeds_mph.items()
        )
        shares = f"{', '.join(percent(share) for share in settings.shares)} of the free-flow speed"
        bounds, year = (by_class, 2000) if settings.manual == "hcm_2000" else (shares, 2010)
        return (
            "Works out the level of service of urban streets, 1 for A to 6 for F, by speed (above"
            f" {bounds}; Highway Capacity Manual {year})."
        )

    def facts(self, key: SeriesKey, station: Station | None) -> tuple[float, ...] | None:
        """Return the bounds in km/h."""
        del key
        if station is None or station.road_class not in {*SPEEDS_MPH}:
            return None
        if self.settings.manual == "hcm_2000":
            by_class = {str(name): speeds for name, speeds in self.settings.speeds_mph.items()}
            bounds = by_class.get(station.road_class)
            return None if bounds is None else tuple(mph * KM_PER_MILE for mph in bounds)
        free_flow = station.free_flow_speed_km_h
        return None if free_flow is None else tuple(s * free_flow for s in self.settings.shares)

    def value(self, road: Road) -> FloatArray:
        """Count the bounds that are not exceeded."""
        return level(road.values[0], road.facts[:_BOUNDS])
