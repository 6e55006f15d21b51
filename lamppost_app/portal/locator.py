# SPDX-License-Identifier: EUPL-1.2
"""The map of stations: marker classes, and the layout of the map that needs no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sinks.store_reader import Row

from .charts import is_drawable

WIDTH: Final = 960
HEIGHT: Final = 480
_MARGIN: Final = 40
CLASSES: Final = 6

SHAPES: Final = {
    "ok": "circle",
    "info": "circle",
    "warning": "triangle",
    "critical": "diamond",
    "silent": "hollow",
    "never": "hollow",
}


@dataclass(frozen=True, slots=True)
class Marker:
    """One station on a map.

    Attributes:
        sensor, name, state: of the station.
        latitude, longitude: where it is.
        shape: by state.
        colour_class: 1 (lowest) to 6, 0 without a value.
        value: newest reading of the quantity shown, or value of the index.
        time: of that reading, ns UTC.
        x, y: on the locator map.
        colour: of the category of an index, empty where a quantity is shown.
        category: of the index, in words.
    """

    sensor: str
    name: str
    state: str
    latitude: float
    longitude: float
    shape: str
    colour_class: int
    value: float | None
    time: int | None
    x: float = 0.0
    y: float = 0.0
    colour: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class Graticule:
    """A labelled line of equal latitude or longitude."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Locator:
    """What the map template draws."""

    markers: list[Marker]
    meridians: list[Graticule]
    parallels: list[Graticule]
    width: int = WIDTH
    height: int = HEIGHT


def class_limits(values: Sequence[float]) -> list[float]:
    """Return the five limits between six classes of equal, round width.

    >>> class_limits([3.0, 58.0])
    [10.0, 20.0, 30.0, 40.0, 50.0]
    """
    values = [value for value in values if is_drawable(value)]
    if not values:
        return []
    low, high = min(values), max(values)
    rough = max((high - low) / CLASSES, abs(high) / 1000, 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= rough * 0.999)
    first = math.floor(low / step) * step
    return [round(first + number * step, 9) for number in range(1, CLASSES)]


def colour_class(value: float | None, limits: Sequence[float]) -> int:
    """Return the class of a value, 0 when there is none."""
    if value is None or not limits:
        return 0
    return 1 + sum(value >= limit for limit in limits)


def markers(
    stations: Sequence[Row], latest: Mapping[str, Row], limits: Sequence[float]
) -> list[Marker]:
    """Return a marker for every station that has a place."""
    return [
        Marker(
            sensor=station["sensor"],
            name=station["name"],
            state=station["state"],
            latitude=station["latitude"],
            longitude=station["longitude"],
            shape=SHAPES[station["state"]],
            colour_class=colour_class(reading.get("value"), limits),
            value=reading.get("value"),
            time=reading.get("time"),
            colour=reading.get("colour", ""),
            category=reading.get("category", ""),
        )
        for station in stations
        if station["latitude"] is not None
        for reading in [latest.get(station["sensor"], {})]
    ]


def locate(placed: Sequence[Marker]) -> Locator:
    """Lay the markers out on an equirectangular map with a graticule.

    Stale markers are drawn first, so that they never cover live ones.
    """
    if not placed:
        return Locator([], [], [])
    frame = _Frame(placed)
    drawn = [
        replace(marker, x=frame.x(marker.longitude), y=frame.y(marker.latitude))
        for marker in sorted(placed, key=lambda marker: marker.shape != "hollow")
    ]
    return Locator(drawn, frame.meridians(), frame.parallels())


class _Frame:
    """The part of the world the map shows."""

    def __init__(self, placed: Sequence[Marker]) -> None:
        latitudes = [marker.latitude for marker in placed]
        longitudes = [marker.longitude for marker in placed]
        self._latitude = (min(latitudes) + max(latitudes)) / 2
        self._longitude = (min(longitudes) + max(longitudes)) / 2
        # A degree of longitude shrinks with the cosine of the latitude.
        self._shrink = max(0.05, math.cos(math.radians(self._latitude)))
        height = max(max(latitudes) - min(latitudes), 0.005)
        width = max((max(longitudes) - min(longitudes)) * self._shrink, 0.005)
        self._scale = min((WIDTH - 2 * _MARGIN) / width, (HEIGHT - 2 * _MARGIN) / height)

    def x(self, longitude: float) -> float:
        return round(WIDTH / 2 + (longitude - self._longitude) * self._shrink * self._scale, 1)

    def y(self, latitude: float) -> float:
        return round(HEIGHT / 2 - (latitude - self._latitude) * self._scale, 1)

    def meridians(self) -> list[Graticule]:
        half = WIDTH / 2 / self._scale / self._shrink
        lines = _lines(self._longitude - half, self._longitude + half)
        return [Graticule(self.x(at), _degrees(at, "E", "W")) for at in lines]

    def parallels(self) -> list[Graticule]:
        half = HEIGHT / 2 / self._scale
        lines = _lines(self._latitude - half, self._latitude + half)
        return [Graticule(self.y(at), _degrees(at, "N", "S")) for at in lines]


def _lines(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [round(number * step, 6) for number in range(first, math.floor(high / step) + 1)]


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):g}° {positive if value >= 0 else negative}"
