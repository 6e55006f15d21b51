# SPDX-License-Identifier: EUPL-1.2
"""What is not verified about the US table is the city's choice, and stands with each value."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from lamppost.series import SeriesKey, SeriesTable
from processors.indices import daqi, eaqi, nowcast, us_aqi
from processors.indices._breakpoints import Breakpoints
from tests.processor_cases import build, hours, table

# Where the former tables of the gases had their knee: 400 of the index (PMC9133359, table 2).
KNEES = [
    (us_aqi.O3_1H, "0.504", "0.505"),
    (us_aqi.CO_8H, "40.4", "40.5"),
    (us_aqi.SO2_24H, "804", "805"),
    (us_aqi.NO2_1H, "1649", "1650"),
]


@pytest.mark.parametrize(("name", "hours_needed"), [("us_aqi", 24), ("nowcast", 12)])
@pytest.mark.parametrize(
    ("raw", "expected", "version"),
    [
        ({}, [301, 389, 500, 718], "2024-05"),
        (
            {"pm10_hazardous": "two_bands"},
            [301, 400, 500, 696],
            "2024-05, hazardous in two bands",
        ),
        ({"above_500": "capped"}, [301, 389, 500, 500], "2024-05, capped at 500"),
        (
            {"pm10_hazardous": "two_bands", "above_500": "capped"},
            [301, 400, 500, 500],
            "2024-05, hazardous in two bands, capped at 500",
        ),
    ],
)
def test_the_hazardous_band_and_what_lies_above_are_settings(
    name: str, hours_needed: int, raw: dict[str, str], expected: list[int], version: str
) -> None:
    """PM10 of 425, 504, 604 and 800: one band says 389 of 504, two said 400; above is marked."""
    series = SeriesTable(SeriesKey(f"aq-{number}", "pm10") for number in range(4))
    index = build("index", name, raw, series)
    found = [
        index.update(hours([level] * hours_needed, series=code)).take(slice(-1, None))
        for code, level in enumerate([425.0, 504.0, 604.0, 800.0])
    ]

    assert [float(batch.value[0]) for batch in found] == expected
    assert [int(batch.beyond[0]) for batch in found] == [0, 0, 0, 1]
    assert {int(batch.category[0]) for batch in found} == {6}
    assert {index.named_tables[int(batch.table[0]) - 1].version for batch in found} == {version}


def test_other_tables_of_the_same_policy_keep_their_version() -> None:
    """A choice about PM10 changes nothing about PM2.5."""
    index = build("index", "us_aqi", {"pm10_hazardous": "two_bands"}, table("pm2_5"))

    assert index.named_tables[0] == ("24h", "2024-05")


@pytest.mark.parametrize(("merged", "knee", "after"), KNEES)
def test_one_hazardous_band_or_two_of_a_gas_agree_to_the_unit(
    merged: Breakpoints, knee: str, after: str
) -> None:
    """PMC9133359, table 2, before 2024, against that of 2024; PM10 of 504 is 11 units apart."""
    low, high = merged.bands[-1]
    split = replace(
        merged,
        bands=(*merged.bands[:-1], (low, knee), (after, high)),
        index=(*merged.index[:-1], (301, 400), (401, 500)),
    )
    first, last = (int(Decimal(edge) / Decimal(merged.step)) for edge in (low, high))
    given = (np.arange(first, last + 1) + 0.5) * float(merged.step) * merged.per_unit

    assert np.abs(split.values(given).value - merged.values(given).value).max() <= 1


def test_the_colours_are_those_of_the_authors() -> None:
    """EPA-454/B-24-002 and the EEA, as AirMonitor and open-meteo have them."""
    us = [category.colour for category in us_aqi.SCALE.categories]
    european = [category.colour for category in eaqi.SCALE.categories]

    assert us == ["#00E400", "#FFFF00", "#FF7E00", "#FF0000", "#8F3F97", "#7E0023"]
    assert european == ["#50F0E6", "#50CCAA", "#F0E641", "#FF5050", "#960032", "#7D2181"]
    assert nowcast.SCALE.categories == us_aqi.SCALE.categories


def test_the_bands_of_daqi_have_their_names() -> None:
    """Low 1-3, moderate 4-6, high 7-9, very high 10 (UK-AIR)."""
    bands = daqi.Daqi.pollutants["no2"][0].table
    names = [category.name for category in daqi.SCALE.categories]
    edges = [0, 67, 134, 200, 267, 334, 400, 467, 534, 600, 601]

    middles = np.array([(low + high) / 2 for low, high in pairwise(edges[:-1])] + [700.0])

    told = bands.values(middles)
    assert told.value.tolist() == list(range(1, 11))
    assert [names[n - 1] for n in told.category.tolist()] == [
        *["Low"] * 3,
        *["Moderate"] * 3,
        *["High"] * 3,
        "Very high",
    ]
