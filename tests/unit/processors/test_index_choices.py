# SPDX-License-Identifier: EUPL-1.2
"""What is not verified about the US table is the city's choice, and stands with each value."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from lamppost.series import SeriesKey, SeriesTable
from processors.indices import daqi, eaqi, nowcast, us_aqi
from processors.indices._breakpoints import Breakpoints
from tests.processor_cases import build, hours, table
from tests.processor_conformance import components

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


@pytest.mark.vector("US AQI", "PMC9133359, table 2: the table before 2024")
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


@pytest.mark.vector("US AQI", "MazamaScience/AirMonitor; EPA-454/B-24-002")
@pytest.mark.vector("European index", "ETC HE Report 2024/17; open-meteo")
def test_the_colours_are_those_of_the_authors() -> None:
    """EPA-454/B-24-002 and the EEA, as AirMonitor and open-meteo have them."""
    us = [category.colour for category in us_aqi.SCALE.categories]
    european = [category.colour for category in eaqi.SCALE.categories]

    assert us == ["#00E400", "#FFFF00", "#FF7E00", "#FF0000", "#8F3F97", "#7E0023"]
    assert european == ["#50F0E6", "#50CCAA", "#F0E641", "#FF5050", "#960032", "#7D2181"]
    assert nowcast.SCALE.categories == us_aqi.SCALE.categories


@pytest.mark.vector("UK DAQI", "UK-AIR: low, moderate, high, very high")
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


# SHA-256 of what stands in the tables of a version, cut short. A table that changes gets another
# version, and a line here; values that name the former one keep their meaning.
CONTENTS = {
    "daqi 2013": "ba48ed80a7aa",
    "eaqi 2024 revision": "d111d38bc289",
    "eaqi_2017 2017, with the sixth level added later": "2f92cef0a016",
    "nowcast 2024-05": "366bb577311b",
    "us_aqi 2024-05": "1bb9607e5741",
    "who 2021": "099b600e14c0",
}


def test_a_table_changes_only_together_with_its_version() -> None:
    """What a stored value names must be what made it."""
    found = {}
    for name, component in components("index").items():
        tables = repr(sorted(component.cls.pollutants.items())).encode()
        version = f"{name} {component.cls.scale.version}"
        found[version] = hashlib.sha256(tables).hexdigest()[:12]

    assert found == CONTENTS


def test_the_nowcast_says_how_many_hours_it_needs_and_what_stands_in_for_ozone() -> None:
    """Two of the three newest; 252 of 336, else 0.85 times the newest and 4.5 ppb (O3-Nowcast)."""
    told = nowcast.Nowcast.describe(nowcast.NowcastSettings())

    assert "with 2 of the 3 newest" in told
    assert "with less than 252 of 336 h by 0.85 times the newest hour and 4.5 ppb" in told
