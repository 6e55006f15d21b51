# SPDX-License-Identifier: EUPL-1.2
"""The vocabulary of measured quantities: canonical name, unit, kind and printed name.

Source: the canonical quantities of the device payload reference; units in UCUM spelling.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

Kind = Literal[
    "concentration",
    "climate",
    "sound",
    "light",
    "index",
    "traffic",
    "counter",
    "level",
    "raw",
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that can be measured.

    Attributes:
        name: canonical name, the key everywhere.
        unit: canonical unit, UCUM spelling.
        kind: family it belongs to; a counter only ever rises, starts again from 0 or wraps around.
        label: printed name.
        additive: True where the sum over a window means something (counts).
    """

    name: str
    unit: str
    kind: Kind
    label: str
    additive: bool = False


_PARTICLES: Final = {"pm1": "PM1", "pm2_5": "PM2.5", "pm4": "PM4", "pm10": "PM10"}
_GASES: Final = {
    "no": "NO",
    "no2": "NO₂",
    "nox": "NOx",
    "o3": "O₃",
    "so2": "SO₂",
    "co": "CO",
    "benzene": "Benzene",
}

# Of particles up to 10 um, by a laboratory from filters; limits of laws are about their year.
_ON_FILTERS: Final = {
    "lead": ("ug/m3", "Lead"),
    "arsenic": ("ng/m3", "Arsenic"),
    "cadmium": ("ng/m3", "Cadmium"),
    "nickel": ("ng/m3", "Nickel"),
    "benzo_a_pyrene": ("ng/m3", "Benzo(a)pyrene"),
}

_ALL: Final[tuple[Quantity, ...]] = (
    *(Quantity(name, "ug/m3", "concentration", label) for name, label in _PARTICLES.items()),
    *(
        Quantity(f"{name}_cf1", "ug/m3", "concentration", f"{label} (CF=1)")
        for name, label in _PARTICLES.items()
    ),
    *(
        Quantity(f"{name}_corrected", "ug/m3", "concentration", f"{label} (corrected by vendor)")
        for name, label in _PARTICLES.items()
    ),
    *(Quantity(name, "ug/m3", "concentration", label) for name, label in _GASES.items()),
    *(Quantity(name, unit, "concentration", label) for name, (unit, label) in _ON_FILTERS.items()),
    Quantity("co2", "ppm", "concentration", "CO₂"),
    Quantity("temperature", "Cel", "climate", "Temperature"),
    Quantity("temperature_corrected", "Cel", "climate", "Temperature (corrected by vendor)"),
    Quantity("humidity", "%", "climate", "Relative humidity"),
    Quantity("humidity_corrected", "%", "climate", "Relative humidity (corrected by vendor)"),
    Quantity("pressure", "hPa", "climate", "Station pressure"),
    Quantity("wind_speed", "m/s", "climate", "Wind speed"),
    Quantity("wind_direction", "deg", "climate", "Wind direction"),
    Quantity("soil_temperature", "Cel", "climate", "Soil temperature"),
    Quantity("soil_moisture", "%", "climate", "Soil moisture"),
    Quantity("rainfall", "mm", "climate", "Rainfall", additive=True),
    Quantity("noise_laeq", "dB(A)", "sound", "Noise LAeq"),
    Quantity("noise_lamin", "dB(A)", "sound", "Noise LAmin"),
    Quantity("noise_lamax", "dB(A)", "sound", "Noise LAmax"),
    Quantity("illuminance", "lx", "light", "Illuminance"),
    Quantity("uv_index", "1", "light", "UV index"),
    Quantity("voc_index", "1", "index", "VOC index"),
    Quantity("nox_index", "1", "index", "NOx index"),
    Quantity("vehicle_count", "1", "traffic", "Vehicle count", additive=True),
    Quantity("vehicle_count_total", "1", "counter", "Running vehicle total"),
    Quantity("flow", "veh/h", "traffic", "Traffic flow"),
    Quantity("speed", "km/h", "traffic", "Speed"),
    Quantity("speed_v85", "km/h", "traffic", "85th percentile speed"),
    Quantity("occupancy", "%", "traffic", "Occupancy"),
    Quantity("headway", "s", "traffic", "Headway"),
    Quantity("travel_time", "s", "traffic", "Travel time"),
    # Vehicles on a kilometre of one lane. Windows: every statistic of a plain quantity.
    Quantity("density", "veh/km", "traffic", "Traffic density of a lane"),
    Quantity("vehicle_length", "m", "traffic", "Vehicle length"),
    # 1 to 6 for A to F: smallest, largest and quantiles mean something, a mean is no level.
    Quantity("level_of_service", "1", "traffic", "Level of service (1 for A to 6 for F)"),
    Quantity("travel_time_index", "1", "traffic", "Travel-time index"),
    # Vehicle-hours lost: the sum over a window is what was lost in it.
    Quantity("delay", "veh.h", "traffic", "Vehicle-hours of delay", additive=True),
    Quantity("parking_occupied", "1", "level", "Parking occupied"),
    Quantity("raw", "", "raw", "Number of unknown meaning"),
)

QUANTITIES: Final[dict[str, Quantity]] = {quantity.name: quantity for quantity in _ALL}


def _known(name: object) -> object:
    if name is False:
        raise ValueError('YAML reads a bare no as false; write "no" in quotes')
    if not isinstance(name, str):
        return name
    if name in QUANTITIES:
        return name
    close = difflib.get_close_matches(name, QUANTITIES, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    message = f"{name!r} is not a quantity{hint}"
    raise ValueError(message)


QuantityName = Annotated[str, BeforeValidator(_known)]
"""A canonical quantity name; anything else is a configuration error."""
