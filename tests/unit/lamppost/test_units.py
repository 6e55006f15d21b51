# SPDX-License-Identifier: EUPL-1.2
"""Units: every spelling leads to one unit, every conversion is linear and can be undone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.quantities import QUANTITIES
from lamppost.units import _LINEAR, _SPELLINGS, Conversion, canonical_unit, conversion

from .strategies import LAW

EU = pytest.mark.vector(
    "units", "2008/50/EC, Annex VI (293.15 K, 101.325 kPa); French decree 98-360"
)
US = pytest.mark.vector("units", "EPA: 25 °C and 1 atm, molar volume 24.45 l")

MEASURED = sorted(set(QUANTITIES) - {"raw"})
WAYS = [
    (quantity, spelling, conversion(quantity, spelling))
    for quantity in MEASURED
    for spelling in _SPELLINGS
    if conversion(quantity, spelling) is not None
]
VALUES = st.floats(-1e6, 1e6)


def convert(quantity: str, unit: str, value: float) -> float:
    """Return a value in the quantity's canonical unit."""
    way = conversion(quantity, unit)
    assert way is not None
    return value * way.scale + way.offset


@EU
@pytest.mark.parametrize(
    ("gas", "per_ppb"),
    [("no2", 1.9125), ("o3", 1.9953), ("so2", 2.6632), ("co", 1.1644), ("no", 1.2474)],
)
def test_a_gas_weighs_what_the_eus_reference_conditions_say(gas: str, per_ppb: float) -> None:
    """One ppb in ug/m3 at 293.15 K and 101.325 kPa.

    Source: 2008/50/EC, Annex VI (the conditions, molar volume 24.0551 l), confirmed by the French
    decree 98-360. The last digit moves with the molar mass used,
    hence the tolerance. CO is given there in mg/m3 per ppm, which is the same number.
    """
    assert convert(gas, "ppb", 1.0) == pytest.approx(per_ppb, rel=1e-4)
    assert convert(gas, "ppm", 1.0) == pytest.approx(1000 * per_ppb, rel=1e-4)


@US
@pytest.mark.parametrize(
    ("gas", "per_ppb"),
    [("no2", 1.8804), ("o3", 1.9619), ("so2", 2.6185), ("co", 1.1449), ("no", 1.2265)],
)
def test_a_gas_weighs_less_at_the_conditions_of_the_us(gas: str, per_ppb: float) -> None:
    """One ppb in ug/m3 at 298.15 K and 101.325 kPa; only where the policy asks for it.

    Molar volume 24.4654 l; 24.45 is customary.
    """
    for unit, parts in (("ppb", 1), ("ppm", 1000)):
        way = conversion(gas, unit, "us_25c")
        assert way is not None
        assert way.scale == pytest.approx(parts * per_ppb, rel=1e-4)
    assert conversion(gas, "ug/m3", "us_25c") == (1.0, 0.0)


def test_conditions_change_nothing_but_gases() -> None:
    """Particles, temperatures and lengths weigh the same everywhere."""
    for quantity, unit in (("pm2_5", "mg/m3"), ("temperature", "K"), ("wind_speed", "km/h")):
        assert conversion(quantity, unit, "us_25c") == conversion(quantity, unit)


@EU
@pytest.mark.parametrize(
    ("gas", "unit", "value", "mass"),
    [
        ("no2", "ppb", 100.0, 191.25),
        ("nox", "ppb", 100.0, 191.25),
        ("o3", "ppb", 60.0, 119.72),
        ("o3", "ppm", 0.070, 139.67),
    ],
)
def test_the_published_examples_come_out(gas: str, unit: str, value: float, mass: float) -> None:
    """At 20 °C, as in the EU; NOx is expressed as NO2 mass by law."""
    assert convert(gas, unit, value) == pytest.approx(mass, rel=1e-4)


@pytest.mark.parametrize(
    ("quantity", "unit", "value", "canonical"),
    [
        ("temperature", "°F", 212.0, 100.0),
        ("temperature", "°F", -40.0, -40.0),
        ("temperature", "K", 273.15, 0.0),
        ("pressure", "Pa", 101_325.0, 1013.25),
        ("pressure", "kPa", 101.325, 1013.25),
        ("pressure", "inHg", 29.92, 1013.2),
        ("pressure", "mmHg", 760.0, 1013.25),
        ("humidity", "1", 0.5, 50.0),
        ("pm2_5", "mg/m³", 0.012, 12.0),
        ("co", "mg/m3", 1.5, 1500.0),
        ("wind_speed", "km/h", 36.0, 10.0),
        ("wind_speed", "kn", 10.0, 5.1444),
        ("wind_speed", "mph", 10.0, 4.4704),
        ("speed", "mph", 30.0, 48.28032),
        ("speed", "m/s", 10.0, 36.0),
        ("co2", "ppb", 420_000.0, 420.0),
    ],
)
def test_a_unit_leads_to_the_canonical_one(
    quantity: str, unit: str, value: float, canonical: float
) -> None:
    """Everyday equivalents, to the precision of the units' own definitions."""
    assert convert(quantity, unit, value) == pytest.approx(canonical, rel=1e-4)


@LAW
@given(st.sampled_from(WAYS), VALUES, VALUES, st.floats(-10, 10))
def test_a_conversion_is_linear(
    way: tuple[str, str, Conversion], first: float, second: float, factor: float
) -> None:
    """Differences convert by the scale alone, so a mean may be converted before or after."""
    quantity, unit, conversion_of = way

    difference = convert(quantity, unit, first + factor * second) - convert(quantity, unit, first)

    size = abs(conversion_of.scale) * (abs(first) + abs(factor * second)) + abs(
        conversion_of.offset
    )
    assert difference == pytest.approx(
        factor * second * conversion_of.scale, abs=1e-9 * max(size, 1.0)
    )


@LAW
@given(st.sampled_from(WAYS), VALUES)
def test_a_conversion_can_be_undone(way: tuple[str, str, Conversion], value: float) -> None:
    """No unit collapses values."""
    quantity, unit, (scale, offset) = way

    converted = convert(quantity, unit, value)

    assert (converted - offset) / scale == pytest.approx(value, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("quantity", MEASURED)
def test_the_canonical_unit_and_no_unit_change_nothing(quantity: str) -> None:
    """Not even by rounding."""
    canonical = QUANTITIES[quantity].unit

    assert conversion(quantity, canonical) == (1.0, 0.0)
    assert conversion(quantity, None) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("pm2_5", "ppb"),
        ("pm2_5", "furlong"),
        ("temperature", "hPa"),
        ("no2", "Cel"),
        ("speed", "veh/h"),
        ("noise_laeq", "%"),
        ("vehicle_count", "veh/h"),
    ],
)
def test_a_unit_that_does_not_measure_a_quantity_has_no_conversion(
    quantity: str, unit: str
) -> None:
    """It is never guessed: mass of particles does not follow from a number of parts."""
    assert conversion(quantity, unit) is None


def test_a_number_of_unknown_meaning_takes_any_unit() -> None:
    """Nothing is claimed about it, so nothing can be wrong."""
    assert conversion("raw", "furlong") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("unit", "spelling"),
    [(unit, spelling) for unit, all_of in _SPELLINGS.items() for spelling in (unit, *all_of)],
)
def test_every_spelling_is_read_in_any_case_and_with_blanks_around(
    unit: str, spelling: str
) -> None:
    """Firmware authors agree on nothing."""
    for written in (spelling, spelling.upper(), spelling.lower(), f" {spelling} "):
        assert canonical_unit(written) == unit


def test_no_spelling_means_two_units() -> None:
    """Else the unit listed last would win without a word."""
    meanings = [
        {spelling.casefold() for spelling in (unit, *spellings)}
        for unit, spellings in _SPELLINGS.items()
    ]

    for first, second in itertools.combinations(meanings, 2):
        assert not first & second


def test_every_canonical_unit_and_every_end_of_a_conversion_is_known() -> None:
    """The tables of quantities, spellings and conversions agree."""
    units = {QUANTITIES[name].unit for name in MEASURED} | set(itertools.chain(*_LINEAR))

    assert {unit: canonical_unit(unit) for unit in units} == {unit: unit for unit in units}
