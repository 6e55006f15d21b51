# SPDX-License-Identifier: EUPL-1.2
"""Every statistic and every resolution is published, and folders of earlier layouts live on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import DAY, MONTH, STATISTICS, YEAR, AggregateBatch
from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.log import Entry
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, format_instant
from lamppost.zones import CityCalendar, first_instant, load_zone
from sinks.open_data import fields
from sinks.open_data.schema import LAYOUT
from sinks.open_data.sink import WINDOWS, OpenDataSettings, OpenDataSink
from tests.outbox_entries import (
    NAN,
    START_NS,
    aggregates_entry,
    rules_entry,
    series_entry,
    stations_entry,
)

FORMER = Path(__file__).parents[2] / "data" / "open-data-layout-1.zip"
BERLIN = "Europe/Berlin"
KEYS = [SeriesKey("b", "pm2_5"), SeriesKey("a", "no2", "channel=1"), SeriesKey("a", "no2")]
NAMES = [
    series_entry(1, KEYS),
    stations_entry(2, {"sensor": "b", "latitude": 51.5, "longitude": -0.12}),
    rules_entry(3, {"title": "Air"}, zone=BERLIN, method="1"),
]
# What a column of an aggregate is called in the files, where it is not its own name.
PUBLISHED_AS = {
    "series": ("station", "quantity", "qualifiers"),
    "start": ("window_start", "window_start_local"),
    "length": ("window_end", "window_end_local"),
    "calendar": ("window",),
    "flag": ("quality",),
}
HOUR_CSV = "aggregates/window=1h/year=2026/month=11/day=21/aggregates.csv"


def publish(folder: Path, *entries: Entry, windows: tuple[str, ...] = WINDOWS) -> None:
    """Write names and entries in one go with a new sink."""
    sink = OpenDataSink(OpenDataSettings(dir=folder, windows=windows))
    everything = [*NAMES, *entries]
    sink.write(everything, everything[-1].seq)


def go_on(folder: Path, *entries: Entry) -> None:
    """Write entries with a sink that was told the names before."""
    sink = OpenDataSink(OpenDataSettings(dir=folder))
    sink.prime(NAMES)
    sink.write(entries, entries[-1].seq)


def rows_of(folder: Path, path: str = HOUR_CSV) -> list[dict[str, str]]:
    """Read a CSV file as anyone would."""
    text = (folder / path).read_bytes().decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def window_of(calendar: int, day: date) -> dict[str, Any]:
    """Return start, length and calendar of a window of the city."""
    begin = first_instant(day, load_zone(BERLIN))
    start, length = CityCalendar(BERLIN).spans(calendar, np.array([begin]))
    return {"start": start, "length": length, "calendar": calendar}


@pytest.fixture(name="former")
def _former(tmp_path: Path) -> Path:
    """A folder as it was published before there were layouts."""
    with zipfile.ZipFile(FORMER) as archive:
        archive.extractall(tmp_path / "former")
    return tmp_path / "former"


def test_no_column_of_an_aggregate_stays_unpublished() -> None:
    """A statistic somebody adds is a column of the files, or this says that it is not."""
    published = {column.name for column in fields.AGGREGATES.fields}
    wanted = {name for own in AggregateBatch.dtypes() for name in PUBLISHED_AS.get(own, (own,))}
    assert wanted <= published


def test_every_statistic_stands_in_its_column(tmp_path: Path) -> None:
    """In CSV and in Parquet, exactly; one that does not apply is empty there and null here."""
    given = {name: [place + 0.1, NAN] for place, name in enumerate(STATISTICS)}
    publish(tmp_path, aggregates_entry(4, series=[0, 1], **given))

    without, exact = rows_of(tmp_path)
    parquet = pq.read_table(tmp_path / HOUR_CSV.replace(".csv", ".parquet"), partitioning=None)
    for place, name in enumerate(STATISTICS):
        assert float(exact[name]) == place + 0.1
        assert without[name] == ""
        assert parquet[name].to_pylist() == [None, place + 0.1]
    assert exact["method"] == "1"


@pytest.mark.parametrize(
    ("calendar", "day", "hours", "begins", "ends"),
    [
        (DAY, date(2026, 3, 29), 23, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        (DAY, date(2026, 10, 25), 25, "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        (MONTH, date(2026, 3, 1), 743, "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        (YEAR, date(2026, 1, 1), 8760, "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
    ],
)
def test_windows_of_the_calendar_lie_on_the_date_of_the_city(
    tmp_path: Path, calendar: int, day: date, hours: int, begins: str, ends: str
) -> None:
    """Their instants are told in UTC and in local time; UTC has another date at their beginning."""
    publish(tmp_path, aggregates_entry(4, **window_of(calendar, day)))

    (path,) = tmp_path.rglob("aggregates.csv")
    (row,) = rows_of(tmp_path, path.relative_to(tmp_path).as_posix())
    name = {DAY: "day", MONTH: "month", YEAR: "year"}[calendar]
    folder = f"aggregates/window={name}/year={day:%Y}"
    folder += f"/month={day:%m}" if name == "day" else ""
    assert path.parent == tmp_path / folder
    assert (row["window"], row["window_start_local"], row["window_end_local"]) == (
        name,
        begins,
        ends,
    )
    start, end = (datetime.fromisoformat(row[name]) for name in ("window_start", "window_end"))
    assert start == datetime.fromisoformat(begins)
    assert (end - start).total_seconds() == hours * 3600
    assert row["window_start"].endswith("Z")


def test_windows_of_utc_lie_on_the_date_of_utc(tmp_path: Path) -> None:
    """Whatever the city's clocks show."""
    starts = [START_NS, START_NS + 23 * HOUR_NS, START_NS + 16 * HOUR_NS]
    publish(tmp_path, aggregates_entry(4, start=starts, length=[HOUR_NS, HOUR_NS, 8 * HOUR_NS]))

    assert len(rows_of(tmp_path)) == 2
    assert len(rows_of(tmp_path, HOUR_CSV.replace("1h", "8h"))) == 1


def test_the_folder_says_its_layout_and_time_zone(tmp_path: Path) -> None:
    """In the descriptor, in every Parquet file, and in words."""
    publish(tmp_path, aggregates_entry(4))

    package = json.loads((tmp_path / "datapackage.json").read_bytes())
    (parquet,) = tmp_path.rglob("aggregates.parquet")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (package["layout"], package["timeZone"]) == (LAYOUT, BERLIN)
    assert pq.read_schema(parquet).metadata[b"layout"] == str(LAYOUT).encode()
    assert f"This folder has layout {LAYOUT}" in text
    assert BERLIN in text


def test_columns_of_a_later_layout_stand_behind_the_others() -> None:
    """Who reads by place reads on."""
    for table in fields.TABLES:
        since = [column.since for column in table.fields]
        assert since == sorted(since)
        assert max(since) <= LAYOUT
        for layout in range(1, LAYOUT + 1):
            assert table.layout_of([column.name for column in table.of(layout)]) is not None
        assert table.layout_of(["someone", "elses"]) is None


def test_a_former_folder_is_gone_on_with_and_keeps_what_does_not_change(former: Path) -> None:
    """Its position counts no more, so that what the outbox still holds gets the new columns."""
    before = {path: path.read_bytes() for path in former.rglob("*.*") if path.is_file()}
    sink = OpenDataSink(OpenDataSettings(dir=former))
    assert sink.cursor() == 0

    go_on(former, aggregates_entry(8, series=[0], start=START_NS, q50=[12.0], revision=1))

    old, new = rows_of(former, HOUR_CSV.replace("day=21", "day=20")), rows_of(former)
    assert "q50" not in old[0]
    assert [(row["station"], row["qualifiers"], row["mean"], row["q50"]) for row in new] == [
        ("a", "", "", ""),
        ("a", "channel=1", "20", ""),
        ("b", "", "12.25", "12"),
    ]
    assert {row["window"] for row in new} == {"1h"}
    assert new[0]["window_start_local"] == "2026-11-21T01:00:00+01:00"
    changed = {
        path.relative_to(former).parts[0]
        for path, data in before.items()
        if path.read_bytes() != data and path.suffix in {".csv", ".parquet"}
    }
    assert changed == {"aggregates", "stations.csv"}
    assert (
        before[former / HOUR_CSV.replace("day=21", "day=20")]
        == (former / HOUR_CSV.replace("day=21", "day=20")).read_bytes()
    )


def test_each_file_of_a_mixed_folder_names_the_schema_of_its_own_columns(former: Path) -> None:
    """Sizes and hashes are right, and no header differs from what the schema says."""
    go_on(former, aggregates_entry(8, series=[0], start=START_NS, revision=1))

    package = json.loads((former / "datapackage.json").read_bytes())
    schemas = {}
    for resource in package["resources"]:
        data = (former / resource["path"]).read_bytes()
        assert resource["bytes"] == len(data)
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        schema = json.loads((former / resource["schema"]).read_bytes())
        names = [column["name"] for column in schema["fields"]]
        if resource["format"] == "csv":
            assert data.decode().split("\r\n", 1)[0].split(",") == names
        else:
            assert pq.read_schema(former / resource["path"]).names == names
        assert set(schema["primaryKey"]) <= set(names)
        schemas[resource["path"]] = resource["schema"]
    assert schemas[HOUR_CSV] == "schemas/aggregates.json"
    assert schemas[HOUR_CSV.replace("day=21", "day=20")] == "schemas/aggregates-1.json"


def test_every_csv_is_described_for_the_web(former: Path) -> None:
    """CSV on the Web: each file with the columns it has, whatever its layout."""
    go_on(former, aggregates_entry(8, series=[0], start=START_NS, revision=1))

    group = json.loads((former / "csv-metadata.json").read_bytes())
    files = {path.relative_to(former).as_posix() for path in former.rglob("*.csv")}
    assert {table["url"] for table in group["tables"]} == files
    assert group["dc:license"]["@id"].startswith("https://")
    for table in group["tables"]:
        schema = json.loads((former / table["tableSchema"]).read_bytes())
        header = (former / table["url"]).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [column["name"] for column in schema["columns"]] == header
        assert set(schema["primaryKey"]) <= set(header)
        for column in schema["columns"]:
            assert column["dc:description"]
            # An empty text is an answer; an empty number or instant is none.
            assert (column.get("null") == []) == (column["datatype"]["base"] == "string")


def test_going_on_from_the_beginning_fills_the_former_rows(former: Path) -> None:
    """Entries the outbox still holds say again what the folder has, with more columns."""
    go_on(former, aggregates_entry(4, series=[0, 1], start=START_NS, q50=[12.0, 20.0]))

    assert [row["q50"] for row in rows_of(former)] == ["", "20", "12"]
    assert OpenDataSink(OpenDataSettings(dir=former)).cursor() == 4


def test_more_windows_than_before_are_looked_for_from_the_beginning(tmp_path: Path) -> None:
    """Fewer are not, and the same are not."""
    publish(tmp_path, aggregates_entry(4), windows=("1h", "day"))

    for windows, cursor in [(("1h", "day"), 4), (("day",), 4), (("1h", "month"), 0)]:
        assert OpenDataSink(OpenDataSettings(dir=tmp_path, windows=windows)).cursor() == cursor


def test_entries_of_before_there_were_statistics_are_published(tmp_path: Path) -> None:
    """They lack the columns, calendar among them; nothing of them is invented."""
    entry = aggregates_entry(4, length=[HOUR_NS, DAY_NS])
    names = {"calendar", *STATISTICS}
    body = _without(entry.body, names)

    publish(tmp_path, Entry(4, entry.kind, entry.at, body))

    (row,) = rows_of(tmp_path)
    assert [row[name] for name in STATISTICS] == [""] * len(STATISTICS)
    month = "aggregates/window=24h/year=2026/month=11/aggregates.csv"
    assert rows_of(tmp_path, month)[0]["window"] == "24h"


def _without(body: bytes, names: set[str]) -> bytes:
    batch = arrow_batch(body)
    kept = [name for name in batch.schema.names if name not in names]
    return arrow_bytes(batch.select(kept))


def test_duckdb_reads_all_windows_and_layouts_together(former: Path) -> None:
    """As the README says: names decide, and what is missing is null."""
    go_on(
        former,
        aggregates_entry(8, series=[0], q50=[12.5], mean=[12.75], revision=1),
        aggregates_entry(9, series=[0], **window_of(MONTH, date(2026, 10, 1))),
    )

    with duckdb.connect() as database:
        hours = database.execute(
            'SELECT "window", year, month::INT, day::INT, mean, q50 '
            "FROM read_parquet(?, hive_partitioning = true, union_by_name = true) "
            "WHERE station = 'b' ORDER BY ALL",
            [f"{former}/aggregates/window=1h/**/*.parquet"],
        ).fetchall()
        found, texts = (
            database.execute(
                f'SELECT "window", mean, q50, window_start_local::TEXT FROM {read}(?, '
                "hive_partitioning = false, union_by_name = true) "
                "WHERE station = 'b' ORDER BY ALL",
                [f"{former}/aggregates/**/*.{ending}"],
            ).fetchall()
            for read, ending in (("read_parquet", "parquet"), ("read_csv", "csv"))
        )

    assert hours == [("1h", 2026, 11, 20, 12.25, None), ("1h", 2026, 11, 21, 12.75, 12.5)]
    assert found == [
        ("1h", 12.75, 12.5, "2026-11-21T01:00:00+01:00"),
        ("month", 12.25, None, "2026-10-01T00:00:00+02:00"),
        (None, 12.25, None, None),
        (None, 12.25, None, None),
    ]
    # Out of CSV, DuckDB makes an instant of a time with an offset.
    assert [row[:3] for row in texts] == [row[:3] for row in found]


NUMBER = st.floats(allow_nan=True, allow_infinity=False, width=64)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(*[NUMBER] * len(STATISTICS)), min_size=1, max_size=6))
def test_any_number_of_a_statistic_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[tuple[float, ...]]
) -> None:
    """From CSV and from Parquet; what is no number is empty."""
    folder = tmp_path_factory.mktemp("numbers")
    columns = dict(zip(STATISTICS, zip(*numbers, strict=True), strict=True))
    start = START_NS + 15 * MINUTE_NS * np.arange(len(numbers))
    publish(folder, aggregates_entry(4, start=start, length=15 * MINUTE_NS, **columns))

    path = HOUR_CSV.replace("1h", "15min")
    parquet = pq.read_table(folder / path.replace(".csv", ".parquet"), partitioning=None)
    for place, row in enumerate(rows_of(folder, path)):
        assert row["window_start"] == format_instant(int(start[place]))
        for name in STATISTICS:
            exact = columns[name][place]
            wanted = None if np.isnan(exact) else exact
            assert (float(row[name]) if row[name] else None) == wanted
            assert parquet[name][place].as_py() == wanted
