# SPDX-License-Identifier: EUPL-1.2
"""The index of a whole station: the worst of its pollutants, at any hour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamppost import log
from lamppost.batch import IndexBatch
from lamppost.frames import arrow_bytes
from lamppost.indices import combine, is_corrected
from lamppost.series import SeriesKey, SeriesTable
from lamppost.times import HOUR_NS
from lamppost_app.portal import queries_indices
from lamppost_app.portal.queries_data import DataFilter
from sinks.store import Store, StoreSettings
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import Outbox, columns_body

HOUR = 490_000
KEYS = (
    SeriesKey("a", "pm2_5", "channel=1"),
    SeriesKey("a", "pm2_5", "channel=2"),
    SeriesKey("a", "pm2_5", "channel=1;corrected=barkjohn_2021"),
    SeriesKey("a", "no2"),
    SeriesKey("b", "no2"),
    SeriesKey("b", "o3"),
)


def values(seed: int, hours: int = 12) -> IndexBatch:
    """Return values of two indices of every series; some are missing, many are equal."""
    random = np.random.default_rng(seed)
    series, index, hour = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(KEYS)), [1, 3], np.arange(hours))
    )
    value = random.choice([1.0, 2.0, 3.0, 4.0, np.nan], len(series))
    there = random.random(len(series)) < 0.8
    whole = IndexBatch(
        series=series.astype(np.int32),
        index=index.astype(np.uint8),
        end=(HOUR + hour) * HOUR_NS,
        revision=np.zeros(len(series), np.int32),
        concentration=value,
        value=value,
        category=np.nan_to_num(value).astype(np.uint8),
        coverage=np.ones(len(series)),
        beyond=np.zeros(len(series), np.uint8),
    )
    return whole.take(there)


def stored(batch: IndexBatch, folder: Path) -> Store:
    """Return a store that holds some index values."""
    sink = Store(StoreSettings(path=folder / "store.duckdb"))
    outbox = Outbox(HOUR * HOUR_NS)
    outbox.add(log.SERIES, arrow_bytes(SeriesTable(KEYS).to_arrow()))
    outbox.add(log.INDICES, columns_body(batch.to_arrow()))
    sink.write(outbox.entries, len(outbox.entries))
    return sink


@pytest.mark.parametrize("seed", range(6))
def test_the_store_puts_stations_together_as_the_rule_says(seed: int, tmp_path: Path) -> None:
    """One rule, said in SQL and in numpy."""
    batch = values(seed)
    sink = stored(batch, tmp_path)
    try:
        page = queries_indices.station_page(
            sink.reader,
            DataFilter(),
            number=None,
            between=(0, 2**62),
            after=(-1, "", -1),
            limit=10_000,
        )
    finally:
        sink.close()
    sensors = [KEYS[code].sensor for code in batch.series]
    names = sorted({KEYS[code].quantity for code in batch.series})
    keys = list(zip((batch.end // HOUR_NS).tolist(), sensors, batch.index.tolist(), strict=True))
    distinct = sorted(set(keys))
    rule = combine(
        np.array([distinct.index(key) for key in keys]),
        np.array([names.index(KEYS[code].quantity) for code in batch.series]),
        batch.value,
        corrected=np.array([is_corrected(KEYS[code].qualifiers) for code in batch.series]),
    )
    expected = []
    for group, (hour, sensor, index) in enumerate(distinct):
        worst = rule.worst[group]
        responsible = rule.responsible & (rule.group == group)
        named = sorted({KEYS[code].quantity for code in batch.series[responsible]})
        value = None if worst < 0 else float(batch.value[worst])
        expected.append((hour, sensor, index, value, ";".join(named)))

    found = [
        (row["end"] // HOUR_NS, row["station"], row["index"], row["value"], row["responsible"])
        for row in page.to_pylist()
    ]

    assert found == expected


def test_a_corrected_series_stands_for_the_raw_ones(tmp_path: Path) -> None:
    """Where it has a value; the channels count again where it has none."""
    batch = IndexBatch(
        series=np.array([0, 1, 2, 0, 1, 2], np.int32),
        index=np.full(6, 1),
        end=(HOUR + np.array([1, 1, 1, 2, 2, 2])) * HOUR_NS,
        revision=np.zeros(6, np.int32),
        concentration=np.ones(6),
        value=np.array([90.0, 80.0, 40.0, 90.0, 80.0, np.nan]),
        category=np.ones(6, np.uint8),
        coverage=np.ones(6),
        beyond=np.zeros(6, np.uint8),
    )
    sink = stored(batch, tmp_path)
    try:
        earlier = queries_indices.station_values(sink.reader, "a", (HOUR + 1) * HOUR_NS)
        later = queries_indices.station_values(sink.reader, "a", (HOUR + 2) * HOUR_NS)
    finally:
        sink.close()

    assert earlier[1]["value"] == 40
    assert later[1]["value"] == 90


def test_the_map_shows_an_index_in_its_own_colours(portal: Portal) -> None:
    """Value, category and who is responsible; the legend names every category."""
    page = portal.get("/map?quantity=index:us_aqi").text
    markers = portal.get("/map/markers?quantity=index:us_aqi").json()

    assert "Market square: 107 Unhealthy for sensitive groups, PM2.5, " in page
    assert 'fill="#FF7E00"' in page
    assert "Hazardous" in page
    (market,) = (marker for marker in markers if marker["sensor"] == "aq-001")
    assert market["colour"] == "#FF7E00"
    assert market["value"] == "107 Unhealthy for sensitive groups, PM2.5"


def test_a_card_says_which_average_and_table_made_the_value(portal: Portal) -> None:
    """So do the answers, with what people are told to do."""
    page = portal.get("/stations/aq-001").text
    (pollutant,) = portal.get("/api/v1/indices?station=aq-001&index=us_aqi").json()["items"]
    answer = portal.get("/api/v1/indices/stations?station=aq-001&index=us_aqi").json()
    (whole,) = answer["items"]

    assert "averaged over 24h, table 2024-05" in page
    for row in (pollutant, whole):
        assert (row["averaging"], row["table_version"]) == ("24h", "2024-05")
    assert whole["responsible"] == ["pm2_5"]
    assert whole["advice"]
    assert whole["advice"] in page


def test_no_advice_is_given_on_air_of_long_ago(make_portal: MakePortal) -> None:
    """After three hours a value says nothing about now, and the page says so."""
    portal = make_portal(now=NOW + 5 * HOUR_NS)
    answer = portal.get("/api/v1/indices/stations?station=aq-001&index=us_aqi").json()

    page = portal.get("/stations/aq-001").text

    assert "Nothing newer is known: this says nothing about the air now." in page
    assert answer["items"][0]["advice"] not in page


def test_a_station_without_a_value_says_so_in_the_list(portal: Portal) -> None:
    """An empty cell could as well mean that nobody looked."""
    page = portal.get("/stations").text

    assert "No value: too few valid hours" in page


def test_the_metadata_of_a_csv_answer_about_stations_can_be_followed(portal: Portal) -> None:
    """Every column of the answer is described where the answer says."""
    answer = portal.get("/api/v1/indices/stations?format=csv")
    about = answer.links["describedby"]["url"]

    described = portal.get(about).json()["tableSchema"]["columns"]

    assert answer.text.splitlines()[0].split(",") == [column["name"] for column in described]
