# SPDX-License-Identifier: EUPL-1.2
"""Units as devices spell them, and the way from each to the canonical unit of a quantity.

An unknown unit is never guessed: it has no conversion, and the reading goes to quarantine.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from .quantities import QUANTITIES


class Conversion(NamedTuple):
    """A linear way from one unit to another: ``value * scale + offset``."""

    scale: float
    offset: float = 0.0


IDENTITY: Final = Conversion(1.0)

_SPELLINGS: Final[dict[str, tuple[str, ...]]] = {
    "ug/m3": ("µg/m³", "μg/m³", "ug/m³", "µg/m3", "μg/m3", "ug m-3", "µg⋅m⁻³", "ug.m-3", "GQ"),
    "mg/m3": ("mg/m³", "GP"),
    "ng/m3": ("ng/m³", "ng m-3", "ng.m-3", "ng⋅m⁻³"),
    "ppb": ("[ppb]",),
    "ppm": ("[ppm]",),
    "Cel": ("°C", "C", "celsius", "degC", "CEL"),
    "[degF]": ("°F", "F", "degF", "fahrenheit", "FAH"),
    "K": ("kelvin", "KEL"),
    "%": ("%RH", "P1", "percent"),
    "1": ("", "count", "veh"),
    "hPa": ("mbar", "A97"),
    "Pa": ("PAL",),
    "kPa": ("KPA",),
    "[in_i'Hg]": ("inHg",),
    "mm[Hg]": ("mmHg",),
    "dB(A)": ("dBA", "db (A)", "dB (A)", "db(A)"),
    "lx": ("lux", "LUX"),
    "m/s": ("MTS",),
    "km/h": ("kmh", "KMH", "kph"),
    "[mi_i]/h": ("mph", "HM"),
    "[kn_i]": ("kn", "kt", "KNT"),
    "deg": ("°", "degrees", "DD"),
    "veh/h": ("vehicles/hour", "veh/hour", "1/h"),
    "veh/km": ("vehicles/km",),
    "veh/[mi_i]": ("veh/mi", "vehicles/mile"),
    "veh.h": ("veh h", "vehicle-hours"),
    "s": ("sec", "SEC"),
    "m": ("MTR",),
    "[ft_i]": ("ft", "feet", "FOT"),
    "mm": ("MMT",),
}

_UCUM: Final[dict[str, str]] = {
    spelling.casefold(): unit
    for unit, spellings in _SPELLINGS.items()
    for spelling in (unit, *spellings)
}

Conditions = Literal["eu_20c", "us_25c"]
"""At which temperature a volume of gas is taken, at 101.325 kPa; named wherever it matters."""

# l/mol at 101.325 kPa. 293.15 K are the EU's reference conditions (2008/50/EC, Annex VI), 298.15 K
# those of the US. One ppb of a gas is its molar mass over that volume, in µg/m³.
_MOLAR_VOLUME: Final[dict[Conditions, float]] = {"eu_20c": 24.0551, "us_25c": 24.4654}
CONDITIONS: Final[dict[Conditions, str]] = {
    "eu_20c": "20 °C and 101.325 kPa (EU)",
    "us_25c": "25 °C and 101.325 kPa (US)",
}
"""The conditions as people write them."""

_MOLAR_MASS: Final = {"no2": 46.0055, "o3": 47.9982, "so2": 64.0638, "co": 28.0101, "no": 30.0061}
# NOx is expressed as NO2 mass by law.
_MOLAR_MASS_REPORTED: Final = {**_MOLAR_MASS, "nox": 46.0055, "benzene": 78.1118}

_LINEAR: Final[dict[tuple[str, str], Conversion]] = {
    ("mg/m3", "ug/m3"): Conversion(1000.0),
    ("ug/m3", "ng/m3"): Conversion(1000.0),
    ("ng/m3", "ug/m3"): Conversion(0.001),
    ("[degF]", "Cel"): Conversion(1 / 1.8, -32 / 1.8),
    ("K", "Cel"): Conversion(1.0, -273.15),
    ("1", "%"): Conversion(100.0),
    ("Pa", "hPa"): Conversion(0.01),
    ("kPa", "hPa"): Conversion(10.0),
    ("[in_i'Hg]", "hPa"): Conversion(33.8639),
    ("mm[Hg]", "hPa"): Conversion(1.33322),
    ("[mi_i]/h", "m/s"): Conversion(0.44704),
    ("km/h", "m/s"): Conversion(1 / 3.6),
    ("[kn_i]", "m/s"): Conversion(0.51444),
    ("[mi_i]/h", "km/h"): Conversion(1.609344),
    ("[kn_i]", "km/h"): Conversion(1.852),
    ("m/s", "km/h"): Conversion(3.6),
    ("veh/[mi_i]", "veh/km"): Conversion(1 / 1.609344),
    ("[ft_i]", "m"): Conversion(0.3048),
    ("ppb", "ppm"): Conversion(0.001),
}


def canonical_unit(spelling: str) -> str | None:
    """Return the UCUM form of a unit as a device spells it, or None when it is unknown.

    >>> canonical_unit("µg/m³")
    'ug/m3'
    """
    return _UCUM.get(spelling.strip().casefold())


def conversion(
    quantity: str, spelling: str | None, conditions: Conditions = "eu_20c"
) -> Conversion | None:
    """Return the way from a device's unit to the quantity's canonical unit.

    Args:
        quantity: canonical quantity name.
        spelling: the unit as sent; None means the canonical unit.
        conditions: at which a volume of gas becomes a mass.

    Returns:
        The conversion, or None when the unit is unknown or does not measure that quantity.

    >>> round(conversion("no2", "ppb").scale, 4)
    1.9125
    >>> round(conversion("no2", "ppb", "us_25c").scale, 4)
    1.8804
    """
    target = QUANTITIES[quantity].unit
    if spelling is None or quantity == "raw":
        return IDENTITY
    unit = canonical_unit(spelling)
    if unit is None:
        return None
    if unit == target:
        return IDENTITY
    mass = _MOLAR_MASS_REPORTED.get(quantity)
    if mass is not None and unit in {"ppb", "ppm"}:
        return Conversion(mass / _MOLAR_VOLUME[conditions] * (1000.0 if unit == "ppm" else 1.0))
    return _LINEAR.get((unit, target))


def is_gas(quantity: str) -> bool:
    """Return whether a mass of the quantity per volume depends on the temperature of the air.

    >>> is_gas("no2"), is_gas("pm2_5")
    (True, False)
    """
    return quantity in _MOLAR_MASS_REPORTED


def to_conditions(quantity: str, given: Conditions, wanted: Conditions = "eu_20c") -> float:
    """Return what a mass of gas per volume is multiplied with to bring it to other conditions.

    1 for everything that is no gas: particles are weighed in the air as it is.

    >>> round(1.8804 * to_conditions("no2", "us_25c"), 4)
    1.9125
    """
    if not is_gas(quantity):
        return 1.0
    return _MOLAR_VOLUME[given] / _MOLAR_VOLUME[wanted]
