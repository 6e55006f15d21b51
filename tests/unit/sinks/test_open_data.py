# SPDX-License-Identifier: EUPL-1.2
"""The open-data folder is current, whole, self-describing and the same for the same data."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.batch import STATISTICS
from lamppost.errors import ConfigError, NotConnected
from lamppost.flags import MISSING, SUSPECT
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from sinks.open_data import fields, partitions
from sinks.open_data.sink import OpenDataSettings, OpenDataSink
from sinks.open_data.text import csv_bytes, parquet_bytes, text_cell
from tests.outbox_entries import (
    NAN,
    POLICY,
    START_NS,
    aggregates_entry,
    indices_entry,
    rules_entry,
    series_entry,
    stations_entry,
)

KEYS = [SeriesKey("b", "pm2_5"), SeriesKey("a", "no2", "channel=1"), SeriesKey("a", "no2")]
NAMES = [
    series_entry(1, KEYS),
    stations_entry(
        2,
        {"sensor": "b", "latitude": 51.5, "longitude": -0.12, "owner": "Parks", "name": "=1+1"},
        {"sensor": "a", "latitude": 51.6, "longitude": -0.13, "period_s": 60.0},
    ),
    rules_entry(3, {"publisher": "Exampleton", "licence": "CC0-1.0", "title": "Air"}),
]
HOUR_CSV = "aggregates/window=1h/year=2026/month=11/day=21/aggregates.csv"


def sink_in(folder: Path, windows: tuple[str, ...] = ("15min", "1h")) -> OpenDataSink:
    """Return a sink that publishes into a folder."""
    return OpenDataSink(OpenDataSettings(dir=folder, windows=windows))


def publish(folder: Path, *entries: Entry, windows: tuple[str, ...] = ("15min", "1h")) -> None:
    """Write names and entries in one go with a new sink."""
    everything = [*NAMES, *entries]
    sink_in(folder, windows).write(everything, everything[-1].seq)


def rows_of(folder: Path, path: str = HOUR_CSV) -> list[dict[str, str]]:
    """Read a CSV file as anyone would."""
    text = (folder / path).read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_hour_is_published_with_everything_one_needs_to_judge_it(tmp_path: Path) -> None:
    """Value, unit, window, coverage, quality, revision and rule version stand in the row."""
    publish(tmp_path, aggregates_entry(4, sd=[NAN]))
    assert rows_of(tmp_path) == [
        {
            "station": "b",
            "quantity": "pm2_5",
            "qualifiers": "",
            "unit": "ug/m3",
            "window_start": "2026-11-21T00:00:00Z",
            "window_end": "2026-11-21T01:00:00Z",
            "count": "60",
            "expected": "60",
            "coverage": "1",
            "mean": "12.25",
            "min": "10",
            "max": "14.5",
            "sd": "",
            "total": "735",
            "suspect": "0",
            "excluded": "0",
            "quality": "good",
            "revision": "0",
            "policy": POLICY,
            "window": "1h",
            "window_start_local": "2026-11-21T00:00:00+00:00",
            "window_end_local": "2026-11-21T01:00:00+00:00",
            **dict.fromkeys(STATISTICS, ""),
            "method": "",
            "validity": "1",
            "verification": "3",
        }
    ]


def test_a_window_has_the_codes_of_european_reporting(tmp_path: Path) -> None:
    """Covered too thinly it is not valid; without a reading there is nothing to report."""
    hours = [START_NS, START_NS + HOUR_NS]
    publish(tmp_path, aggregates_entry(4, start=hours, flag=[SUSPECT, MISSING]))

    told = [(row["validity"], row["verification"]) for row in rows_of(tmp_path)]

    assert told == [("-1", "3"), ("", "3")]


def test_the_newest_revision_wins_in_any_order(tmp_path: Path) -> None:
    """An older revision that arrives again changes nothing."""
    publish(tmp_path, aggregates_entry(4, mean=[1.0]), aggregates_entry(5, mean=[2.0], revision=1))
    sink = sink_in(tmp_path)
    sink.prime(NAMES)
    sink.write([aggregates_entry(6, mean=[1.0])], 6)
    assert [(row["mean"], row["revision"]) for row in rows_of(tmp_path)] == [("2", "1")]


def test_rows_are_sorted_by_station_quantity_qualifiers_and_start(tmp_path: Path) -> None:
    """The order does not depend on the order of arrival."""
    starts = [START_NS + HOUR_NS, START_NS, START_NS, START_NS]
    publish(tmp_path, aggregates_entry(4, series=[0, 0, 1, 2], start=starts))
    found = [(row["station"], row["qualifiers"], row["window_start"]) for row in rows_of(tmp_path)]
    assert found == sorted(found)
    assert len(found) == 4


def test_days_and_lengths_get_files_of_their_own(tmp_path: Path) -> None:
    """Folders are zero-padded texts; what nobody asked for is not published."""
    entry = aggregates_entry(
        4,
        start=[START_NS, START_NS + 15 * DAY_NS, START_NS, START_NS],
        length=[HOUR_NS, HOUR_NS, 15 * MINUTE_NS, MINUTE_NS],
    )
    publish(tmp_path, entry)
    days = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")}
    assert days == {
        "aggregates/window=1h/year=2026/month=11/day=21",
        "aggregates/window=1h/year=2026/month=12/day=06",
        "aggregates/window=15min/year=2026/month=11/day=21",
    }


def test_minutes_are_published_when_asked_for(tmp_path: Path) -> None:
    """The windows are a setting."""
    publish(tmp_path, aggregates_entry(4, length=[MINUTE_NS]), windows=("1min",))
    assert rows_of(tmp_path, HOUR_CSV.replace("1h", "1min"))


def test_days_of_the_city_are_published_apart_from_those_of_utc(tmp_path: Path) -> None:
    """A day of 24 hours does not land among the windows of 24 hours."""
    entry = aggregates_entry(4, length=[DAY_NS, DAY_NS], calendar=[0, 1], mean=[1.0, 2.0])
    publish(tmp_path, entry, windows=("24h", "day"))

    for window, mean in (("24h", "1"), ("day", "2")):
        (row,) = rows_of(tmp_path, f"aggregates/window={window}/year=2026/month=11/aggregates.csv")
        assert row["mean"] == mean


def test_an_index_at_midnight_belongs_to_the_day_before(tmp_path: Path) -> None:
    """The period it is about ended with that day."""
    publish(tmp_path, indices_entry(4, end=[START_NS], value=[NAN], category=[0]))
    (row,) = rows_of(tmp_path, "indices/year=2026/month=11/day=20/indices.csv")
    assert (row["index"], row["value"], row["category"]) == ("us_aqi", "", "")
    assert row["beyond"] == "false"


def test_stations_have_one_index_of_their_worst_pollutant(tmp_path: Path) -> None:
    """A correction of a pollutant changes it; who is responsible is named."""
    folder = "station_indices/year=2026/month=11/day=20/station_indices.csv"
    publish(tmp_path, indices_entry(4, end=[START_NS], value=[87.0], category=[2]))
    (before,) = rows_of(tmp_path, folder)
    publish(
        tmp_path,
        indices_entry(4, end=[START_NS], value=[87.0], category=[2]),
        indices_entry(5, end=[START_NS], value=[NAN], category=[0], revision=[1]),
    )
    (after,) = rows_of(tmp_path, folder)

    assert (before["value"], before["category"], before["responsible"]) == ("87", "2", "pm2_5")
    assert (after["value"], after["category"], after["responsible"]) == ("", "", "")
    assert (after["index"], after["revision"]) == ("us_aqi", "1")


def test_stations_are_listed_and_a_formula_is_only_text(tmp_path: Path) -> None:
    """A name that a spreadsheet would run has an apostrophe; a negative number has none."""
    publish(tmp_path)
    first, second = rows_of(tmp_path, "stations.csv")
    assert (first["station"], first["period_s"]) == ("a", "60")
    assert (second["station"], second["name"]) == ("b", "'=1+1")
    assert second["longitude"] == "-0.12"


def test_every_file_is_listed_with_size_and_hash(tmp_path: Path) -> None:
    """The descriptor and the disk agree, and nothing is left out."""
    publish(tmp_path, aggregates_entry(4), indices_entry(5))
    package = json.loads((tmp_path / "datapackage.json").read_bytes())
    listed = {resource["path"]: resource for resource in package["resources"]}
    data = {path for path in files_of(tmp_path) if path.endswith((".csv", ".parquet"))}
    assert set(listed) == data
    for path, resource in listed.items():
        content = (tmp_path / path).read_bytes()
        assert resource["type"] == ("table" if path.endswith(".csv") else "file")
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert len({resource["name"] for resource in listed.values()}) == len(listed)


def test_the_descriptor_says_who_publishes_what_under_which_licence(tmp_path: Path) -> None:
    """The policy's publication section reaches the consumer."""
    publish(tmp_path, aggregates_entry(4))
    package = json.loads((tmp_path / "datapackage.json").read_bytes())
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert package["title"] == "Air"
    assert package["licenses"][0]["name"] == "CC0-1.0"
    assert package["contributors"] == [{"title": "Exampleton", "roles": ["publisher"]}]
    assert package["sources"] == [{"title": "Parks"}]
    assert package["created"] == "2026-11-21T01:00:00Z"
    assert package["version"].startswith("2026.11.21+")
    assert "CC0-1.0" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_every_exported_column_has_an_entry_in_the_dictionary(tmp_path: Path) -> None:
    """CSV header, Parquet schema, Table Schema and both documents name the same columns."""
    publish(tmp_path, aggregates_entry(4), indices_entry(5))
    dictionary = json.loads((tmp_path / "data-dictionary.json").read_bytes())
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    package = json.loads((tmp_path / "datapackage.json").read_bytes())
    for resource in package["resources"]:
        table = dictionary[Path(resource["path"]).stem]
        described = [column["name"] for column in table["fields"]]
        schema = json.loads((tmp_path / resource["schema"]).read_bytes())
        assert [column["name"] for column in schema["fields"]] == described
        assert _header(tmp_path / resource["path"]) == described
        for column in table["fields"]:
            assert column["description"]
            assert f"| `{column['name']}` | {column['type']} |" in readme


def _header(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return pq.read_schema(path).names
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def test_numbers_in_the_dictionary_have_a_unit() -> None:
    """A number without a unit is not information."""
    for table in fields.TABLES:
        for column in table.fields:
            bare = column.type == "number" and not column.unit
            assert not bare, f"{table.name}.{column.name}"


def test_the_same_data_give_the_same_bytes_however_they_arrive(tmp_path: Path) -> None:
    """One write, many writes, and a restart in between end in identical folders."""
    entries = [
        aggregates_entry(4, series=[0, 1, 2]),
        aggregates_entry(5, start=[START_NS + HOUR_NS], mean=[3.0]),
        aggregates_entry(6, mean=[9.0], revision=1),
        indices_entry(7),
    ]
    publish(tmp_path / "one", *entries)
    for entry in [*NAMES, *entries]:
        sink = sink_in(tmp_path / "many")
        sink.prime([name for name in NAMES if name.seq < entry.seq])
        sink.write([entry], entry.seq)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "many")


def test_the_position_is_stored_with_the_data(tmp_path: Path) -> None:
    """A new folder begins at 0; a written one knows how far it is."""
    assert sink_in(tmp_path).cursor() == 0
    publish(tmp_path, aggregates_entry(4))
    assert sink_in(tmp_path).cursor() == 4
    (tmp_path / ".cursor.json").write_text("not json", encoding="utf-8")
    assert sink_in(tmp_path).cursor() == 0


def test_a_crash_before_the_position_was_written_changes_nothing(tmp_path: Path) -> None:
    """The entries since then are merged again."""
    publish(tmp_path, aggregates_entry(4), aggregates_entry(5, mean=[3.0], revision=1))
    before = files_of(tmp_path)
    (tmp_path / ".cursor.json").unlink()
    publish(tmp_path, aggregates_entry(4), aggregates_entry(5, mean=[3.0], revision=1))
    assert files_of(tmp_path) == before


def test_a_crash_before_the_descriptor_was_written_is_repaired(tmp_path: Path) -> None:
    """A file the descriptor does not know of, or knows otherwise, is described anew."""
    publish(tmp_path, aggregates_entry(4))
    before = files_of(tmp_path)
    (tmp_path / "datapackage.json").write_text('{"created": "2026-11-21T01:00:00Z"}')
    publish(tmp_path, aggregates_entry(4))
    assert files_of(tmp_path) == before


def test_parquet_reads_back_what_csv_says(tmp_path: Path) -> None:
    """Both files of a day hold the same rows, and floats are exact."""
    mean = [0.1 + 0.2, -1e-300, 5e22, NAN]
    starts = START_NS + HOUR_NS * np.arange(4)
    publish(tmp_path, aggregates_entry(4, start=starts, mean=mean))
    table = pq.ParquetFile(tmp_path / HOUR_CSV.replace(".csv", ".parquet")).read()
    from_csv = [float(row["mean"] or "nan") for row in rows_of(tmp_path)]
    for exact, parquet, text in zip(mean, table["mean"].to_pylist(), from_csv, strict=True):
        assert text == exact or (math.isnan(text) and math.isnan(exact))
        assert parquet == exact or (parquet is None and math.isnan(exact))


def test_a_damaged_file_stops_the_sink_and_says_which(tmp_path: Path) -> None:
    """Rows that cannot be read are not overwritten."""
    publish(tmp_path, aggregates_entry(4))
    damaged = tmp_path / HOUR_CSV.replace(".csv", ".parquet")
    damaged.write_bytes(b"not parquet")
    with pytest.raises(NotConnected, match=r"aggregates\.parquet is not a file of ours"):
        publish(tmp_path, aggregates_entry(5))
    assert sink_in(tmp_path).cursor() == 4


def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match="taken"):
        sink_in(tmp_path / "taken")


def test_a_folder_that_cannot_be_written_waits(tmp_path: Path) -> None:
    """The position stays, so nothing is lost."""
    sink = sink_in(tmp_path)
    (tmp_path / "stations.csv").mkdir()
    with pytest.raises(NotConnected, match="cannot write open data"):
        sink.write(NAMES, 3)
    (tmp_path / "stations.csv").rmdir()
    sink.write(NAMES, 3)
    assert sink.cursor() == 3


CELL = st.text(
    st.one_of(st.sampled_from("\",;'\r\n\t=+-@ "), st.characters(exclude_categories=["Cs"]))
)


@given(st.lists(CELL, min_size=1, max_size=10))
def test_any_text_survives_csv(texts: list[str]) -> None:
    """A standard reader gets every text back, with the apostrophe where a formula would begin."""
    data = csv_bytes(pa.table({"text": pa.array(texts, pa.string()), "n": [1] * len(texts)}))
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    starts = ("=", "+", "-", "@", "\t", "\r")
    guarded = [f"'{text}" if text.lstrip("'").startswith(starts) else text for text in texts]
    assert rows == [["text", "n"], *([text, "1"] for text in guarded)]


def test_a_plain_cell_is_left_alone() -> None:
    """Quotes only where they are needed."""
    assert text_cell("aq-017") == "aq-017"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "é", "ab"]), st.integers(0, 3), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_merging_keeps_the_highest_revision_of_each_key(
    rows: list[tuple[str, int, int]], cut: int
) -> None:
    """As a dictionary would, wherever the rows are cut, sorted by UTF-8 bytes."""
    table = _revisions(rows)
    parts = [part for part in (table.slice(0, cut), table.slice(cut)) if len(part)]
    expected: dict[tuple[bytes, int], tuple[int, int]] = {}
    for number, (station, hour, revision) in enumerate(rows):
        key = (station.encode(), hour)
        if revision >= expected.get(key, (0, 0))[0]:
            expected[key] = (revision, number)
    found = partitions.merged(fields.AGGREGATES, parts)
    assert found["count"].to_pylist() == [expected[key][1] for key in sorted(expected)]


def _revisions(rows: list[tuple[str, int, int]]) -> pa.Table:
    ordinary: dict[str, Any] = {
        "quantity": "no2",
        "qualifiers": "",
        "quality": "good",
        "window": "1h",
    }
    return pa.Table.from_pylist(
        [
            {
                **ordinary,
                "station": station,
                "window_start": hour * 3_600_000_000,
                "revision": revision,
                "count": number,
            }
            for number, (station, hour, revision) in enumerate(rows)
        ],
        schema=fields.AGGREGATES.arrow_schema(),
    )


def test_the_same_rows_give_the_same_parquet() -> None:
    """Checksums of an export can be reproduced."""
    first, second = (parquet_bytes(_revisions([("a", 1, 0), ("b", 2, 1)])) for _ in range(2))
    assert first == second
