# SPDX-License-Identifier: EUPL-1.2
"""Open data of our own come back as what they were, and what is none to import says so."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ingest.files import Archive, FileWishes, archives
from ingest.formats.native_json import SensorName
from lamppost.decoded import Measurement
from lamppost.errors import ConfigError
from lamppost.periods import parse_period
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesKey, qualifiers_text
from lamppost.times import DAY_NS
from lamppost.zones import CityCalendar
from sinks.open_data.fields import AGGREGATES, TABLES, Table
from sinks.open_data.sink import WINDOWS, OpenDataSettings, OpenDataSink
from tests.outbox_entries import (
    START_NS,
    aggregates_entry,
    indices_entry,
    rules_entry,
    series_entry,
    stations_entry,
)

FORMER = Path(__file__).parents[2] / "data" / "open-data-layout-1.zip"
CITY = CityCalendar("Europe/Berlin")
Told = tuple[Measurement, int, str]
NAME_OF = TypeAdapter(SensorName)


def is_name(text: str) -> bool:
    """Tell whether a sensor may be called so."""
    try:
        NAME_OF.validate_python(text)
    except ValidationError:
        return False
    return True


# What spreadsheets, CSV and we ourselves find special, and what is not ASCII.
SPECIAL = st.text(st.sampled_from("'=+-@\"a,; \u00e9\u00a0/"), min_size=1, max_size=6)
QUALIFIER = st.text(st.sampled_from("'+-@\"a, \u00e9\u00a0"), min_size=1, max_size=4)
KEYS = st.builds(
    SeriesKey,
    SPECIAL.filter(is_name),
    st.sampled_from(["pm2_5", "no2", "speed", "raw"]),
    st.dictionaries(QUALIFIER, QUALIFIER, max_size=2).map(qualifiers_text),
)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(WINDOWS),
        st.integers(-400, 400),
        st.floats(allow_nan=True, allow_infinity=False, width=64),
    ),
    min_size=1,
    max_size=16,
)


def window_of(name: str, days: int) -> tuple[int, int, int]:
    """Return start, length and calendar of the window of a resolution so many days from a day."""
    period = parse_period(name, CITY)
    found = period.windows(np.array([START_NS + days * DAY_NS]))
    return int(found.start[0]), int(found.length[0]), period.calendar


def release(
    folder: Path, keys: Sequence[SeriesKey], rows: Sequence[tuple[int, str, int, float]]
) -> dict[str, list[tuple[SeriesKey, int, float]]]:
    """Publish windows, and return what was published of each resolution."""
    windows = {
        (code % len(keys), name, *window_of(name, days)): mean for code, name, days, mean in rows
    }
    places = list(windows)
    entry = aggregates_entry(
        4,
        series=[place[0] for place in places],
        start=[place[2] for place in places],
        length=[place[3] for place in places],
        calendar=[place[4] for place in places],
        mean=list(windows.values()),
    )
    station = {"sensor": "s", "latitude": 52.5, "longitude": 13.4}
    said = [series_entry(1, keys), stations_entry(2, station), rules_entry(3, zone=CITY.name)]
    sink = OpenDataSink(OpenDataSettings(dir=folder))
    sink.write([*said, entry, indices_entry(5)], 5)
    found: dict[str, list[tuple[SeriesKey, int, float]]] = {name: [] for name in WINDOWS}
    for (code, name, start, _, _), mean in windows.items():
        found[name].append((keys[code], start, mean))
    return found


def readings(found: Sequence[Archive]) -> Counter[Told]:
    """Return every reading of files."""
    return Counter(
        (said.meanings[number], time, repr(value))
        for archive in found
        for part in archive.parts()
        if (said := part.said) is not None
        for number, time, value in zip(
            said.meaning.tolist(), said.time.tolist(), said.value.tolist(), strict=True
        )
    )


def packed(folder: Path) -> Path:
    """Return a folder as a zip archive."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def without_parquet(folder: Path) -> Path:
    """Leave only text in a folder."""
    for path in folder.rglob("*.parquet"):
        path.unlink()
    return folder


WAYS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda folder: folder,
    "packed": packed,
    "text": without_parquet,
}


@settings(deadline=None, max_examples=20)
@given(keys=st.lists(KEYS, min_size=1, max_size=4, unique=True), rows=ROWS)
def test_each_resolution_of_a_release_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    keys: list[SeriesKey],
    rows: list[tuple[int, str, int, float]],
) -> None:
    """Series, instant, and mean to the last bit; out of a folder, an archive, and text alone."""
    folder = tmp_path_factory.mktemp("release")
    published = release(folder, keys, rows)

    for way in WAYS.values():
        place = way(folder)
        for name, windows in published.items():
            if not windows:
                with pytest.raises(ConfigError, match=f"no windows of {name} in these files"):
                    archives([str(place)], FileWishes(window=name))
                continue
            expected = Counter(
                (Measurement(*key, QUANTITIES[key.quantity].unit or None), start, repr(mean))
                for key, start, mean in windows
                if not np.isnan(mean)
            )
            found = archives([str(place)], FileWishes(window=name))
            assert readings(found) == expected
            parts = [part.said for archive in found for part in archive.parts()]
            assert sum(part.passed_over + len(part.refused) for part in parts if part) == 0
            empty = sum(part.empty for part in parts if part)
            assert empty == len(windows) - expected.total()


def example(folder: Path) -> Path:
    """Publish one hour, one day of UTC and one of the city."""
    release(
        folder, [SeriesKey("a", "no2")], [(0, "1h", 0, 1.0), (0, "24h", 0, 2.0), (0, "day", 0, 3.0)]
    )
    return folder


def means(place: Path, window: str, tell: Callable[[str], None] = lambda _: None) -> list[float]:
    """Return what an import of a resolution would bring."""
    found = archives([str(place)], FileWishes(window=window), tell)
    return [float(value) for _, _, value in readings(found)]


@pytest.mark.parametrize(
    "table", [found for found in TABLES if found is not AGGREGATES], ids=lambda table: table.name
)
def test_every_other_table_of_a_release_is_passed_over(table: Table, tmp_path: Path) -> None:
    """What is worked out, and stations: a release as it lies there can be imported."""
    folder = example(tmp_path / "open")
    beside = folder / table.name / "year=1970" / f"{table.name}.csv"
    beside.parent.mkdir(parents=True)
    beside.write_text(",".join(field.name for field in table.fields) + "\n", encoding="utf-8")
    told: list[str] = []

    assert means(folder, "day", told.append) == [3.0]
    assert any("cannot be imported" in one or "no readings" in one for one in told)


def test_a_day_of_the_city_is_told_from_one_of_utc(tmp_path: Path) -> None:
    """Also where both begin and end together; each is a reading at its beginning."""
    folder = example(tmp_path / "open")

    assert [means(folder, name) for name in ("", "1h", "24h", "day")] == [
        [1.0],
        [1.0],
        [2.0],
        [3.0],
    ]


def test_corrected_and_derived_series_do_not_come_back_as_measured_ones(tmp_path: Path) -> None:
    """A release holds them beside what they were made from; they are counted, and left out."""
    keys = [
        SeriesKey("a", "pm2_5"),
        SeriesKey("a", "pm2_5", "corrected=lrapa"),
        SeriesKey("a", "flow", "derived=flow_from_count"),
    ]
    release(tmp_path / "open", keys, [(code, "1h", 0, 1.0 + code) for code in range(3)])

    found = archives([str(tmp_path / "open")], FileWishes(window="1h"))
    parts = [part.said for archive in found for part in archive.parts() if part.said is not None]

    assert [meaning.qualifiers for meaning, _, _ in readings(found)] == [""]
    assert sum(part.derived for part in parts) == 2
    assert sum(len(part.refused) for part in parts) == 0


def test_what_is_passed_over_is_told(tmp_path: Path) -> None:
    """Text beside Parquet, other windows, and tables that are no readings."""
    told: list[str] = []
    means(example(tmp_path / "open"), "day", told.append)

    assert told == [
        "passed over: health indices cannot be imported: they are worked out (files: 4)",
        "passed over: a list of stations holds no readings (files: 1)",
        "passed over: CSV beside Parquet that holds the same rows (files: 3)",
        "passed over: other windows, 1h, 24h (files: 2)",
    ]


def test_windows_there_are_none_of_are_refused_with_those_there_are(tmp_path: Path) -> None:
    """Whether a folder or a column tells them."""
    folder = example(tmp_path / "open")
    (file,) = (folder / "aggregates" / "window=day").rglob("aggregates.csv")
    alone = tmp_path / "days.csv"
    alone.write_bytes(file.read_bytes())

    with pytest.raises(ConfigError, match=r"no windows of month.*there are: 1h, 24h, day"):
        means(folder, "month")
    with pytest.raises(ConfigError, match=r"no windows of 1h.*there are: day"):
        means(alone, "")
    assert means(alone, "day") == [3.0]


@pytest.mark.parametrize(
    ("file", "problem"),
    [("stations.csv", "list of stations"), ("indices.csv", "health indices")],
)
def test_tables_that_are_no_readings_are_refused_by_name(
    tmp_path: Path, file: str, problem: str
) -> None:
    """With what to import instead."""
    (path,) = example(tmp_path / "open").rglob(file)

    with pytest.raises(ConfigError, match=problem):
        archives([str(path)], FileWishes())


def test_a_window_is_not_asked_of_files_without_windows(tmp_path: Path) -> None:
    """It would say nothing there."""
    path = tmp_path / "tidy.csv"
    path.write_text("station,time,quantity,value\na,2026-03-01T00:00:00Z,no2,1\n")

    with pytest.raises(ConfigError, match="each row is a reading"):
        means(path, "1h")
    assert means(path, "") == [1.0]


def test_a_release_of_before_there_were_layouts_is_read(tmp_path: Path) -> None:
    """By length, or by the folder its files lie in."""
    assert sorted(means(FORMER, "1h")) == [12.25, 12.25, 20.0]
    assert means(FORMER, "15min") == [12.25]
    with zipfile.ZipFile(FORMER) as archive:
        names = [name for name in archive.namelist() if "window=1h" in name and "day=20" in name]
        for name in names:
            (tmp_path / Path(name).name).write_bytes(archive.read(name))
    assert means(tmp_path / "aggregates.csv", "1h") == [12.25]
    assert means(tmp_path / "aggregates.parquet", "1h") == [12.25]
    with pytest.raises(ConfigError, match=r"a day of the calendar.*--window 24h"):
        means(tmp_path / "aggregates.csv", "day")


ANSWER: dict[str, Any] = {
    "station": ["'=a", "'=a"],
    "quantity": ["no2", "no2"],
    "qualifiers": ["", ""],
    "area": ["", ""],
    "unit": ["ug/m3", "ug/m3"],
    "window": ["day", "day"],
    "start": ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
    "end": ["2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"],
    "mean": [1.5, None],
}


def test_answers_of_the_programming_interface_are_read(tmp_path: Path) -> None:
    """As CSV, where an apostrophe stands before a formula, and as Parquet, where none does."""
    table = pa.table(ANSWER)
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (tmp_path / "a.csv").write_text("\r\n".join([",".join(ANSWER), *lines]))
    start = [np.datetime64(text.removesuffix("Z"), "ns") for text in ANSWER["start"]]
    instants = pa.array(np.array(start)).cast(pa.timestamp("ns", "UTC"))
    place = table.column_names.index("start")
    pq.write_table(table.set_column(place, "start", instants), tmp_path / "b.parquet")

    for name, station in (("a.csv", "=a"), ("b.parquet", "'=a")):
        (reading,) = readings(archives([str(tmp_path / name)], FileWishes(window="day")))
        assert reading[0] == Measurement(station, "no2", "", "ug/m3")
        assert reading[1] == int(np.array(start[0]).astype(np.int64))
