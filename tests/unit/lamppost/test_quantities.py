# SPDX-License-Identifier: EUPL-1.2
"""The vocabulary names every quantity once."""

from __future__ import annotations

import re

import pytest

from lamppost.quantities import _ALL, QUANTITIES, Quantity


def test_no_quantity_is_listed_twice() -> None:
    """A second line would silently replace the first."""
    assert len(QUANTITIES) == len(_ALL)


@pytest.mark.parametrize("quantity", _ALL, ids=lambda quantity: quantity.name)
def test_a_quantity_has_a_plain_name_a_unit_and_a_label(quantity: Quantity) -> None:
    """Names become columns, files and topics; only ``raw`` has no unit."""
    assert QUANTITIES[quantity.name] is quantity
    assert re.fullmatch(r"[a-z][a-z0-9_]*", quantity.name)
    assert bool(quantity.unit) == (quantity.name != "raw")
    assert quantity.label.strip()


def test_labels_tell_quantities_apart() -> None:
    """People see the label only."""
    labels = [quantity.label for quantity in _ALL]

    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("pm2_5", "ug/m3"),
        ("no2", "ug/m3"),
        ("co2", "ppm"),
        ("temperature", "Cel"),
        ("humidity", "%"),
        ("pressure", "hPa"),
        ("noise_laeq", "dB(A)"),
        ("illuminance", "lx"),
        ("wind_speed", "m/s"),
        ("vehicle_count", "1"),
        ("flow", "veh/h"),
        ("speed", "km/h"),
        ("occupancy", "%"),
        ("travel_time", "s"),
    ],
)
def test_the_published_units_stay(name: str, unit: str) -> None:
    """Devices leave the unit out and mean these."""
    assert QUANTITIES[name].unit == unit


def test_only_counts_and_amounts_add_up() -> None:
    """A sum of temperatures means nothing."""
    additive = {quantity.name for quantity in _ALL if quantity.additive}

    assert additive == {"vehicle_count", "rainfall", "delay"}
