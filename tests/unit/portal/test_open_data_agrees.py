# SPDX-License-Identifier: EUPL-1.2
"""The open-data files and the programming interface say the same of the same windows."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lamppost import log
from lamppost.batch import DAY, FIXED, MONTH, STATISTICS, YEAR, AggregateBatch
from lamppost.log import Entry
from lamppost.series import SeriesTable
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from lamppost.zones import CityCalendar, first_instant, load_zone
from lamppost_app.portal.api_models import AggregateItem
from sinks.open_data import fields
from sinks.open_data.sink import WINDOWS, OpenDataSettings, OpenDataSink
from tests.unit.portal.conftest import NOW, MakePortal, Portal
from tests.unit.portal.seeded_city import SERIES, arrow_bytes, columns_body, rules_body

ZONE = "Europe/Amsterdam"
FIXED_LENGTHS = {"15min": 15 * MINUTE_NS, "1h": HOUR_NS, "8h": 8 * HOUR_NS, "24h": DAY_NS}
CALENDARS = {
    "day": (DAY, [date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25)]),
    "month": (MONTH, [date(2026, 3, 1), date(2026, 10, 1)]),
    "year": (YEAR, [date(2025, 1, 1), date(2026, 1, 1)]),
}
# What the files call otherwise than the interface does; all other names are the same.
CALLED = {
    "window_start": "start",
    "window_end": "end",
    "window_start_local": "start_local",
    "window_end_local": "end_local",
    "quality": "flag",
}
ONLY_IN_THE_API = {"area"}


def windows_of(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Return starts and lengths of some windows, and their calendar."""
    if name in FIXED_LENGTHS:
        length = FIXED_LENGTHS[name]
        starts = NOW // DAY_NS * DAY_NS - length * np.arange(1, 4)
        return starts, np.full(3, length), FIXED
    calendar, days = CALENDARS[name]
    begins = np.array([first_instant(day, load_zone(ZONE)) for day in days])
    return *CityCalendar(ZONE).spans(calendar, begins), calendar


def batch_of(name: str, rng: np.random.Generator, revision: int = 0) -> AggregateBatch:
    """Return windows of every series with numbers of all sizes, some of them unknown."""
    starts, lengths, calendar = windows_of(name)
    size = len(starts) * len(SERIES)
    columns: dict[str, Any] = {}
    for column, kind in AggregateBatch.dtypes().items():
        if kind == "float64":
            numbers = rng.normal(size=size) * 10.0 ** rng.integers(-6, 9, size)
            columns[column] = np.where(rng.random(size) < 0.3, np.nan, numbers)
        else:
            columns[column] = rng.integers(0, 1000, size)
    columns |= {
        "series": np.repeat(np.arange(len(SERIES)), len(starts)),
        "start": np.tile(starts, len(SERIES)),
        "length": np.tile(lengths, len(SERIES)),
        "calendar": np.full(size, calendar),
        "revision": np.full(size, revision),
        "flag": rng.choice([1, 3, 9], size),
        "sd": np.abs(columns["sd"]),
        "resultant": np.where(rng.random(size) < 0.5, np.nan, rng.random(size)),
        "coverage": rng.random(size),
        "expected": rng.random(size) * 60,
    }
    return AggregateBatch(**columns)


def entries() -> list[Entry]:
    """Return an outbox with every resolution, one of them corrected."""
    rng = np.random.default_rng(20261122)
    rules = json.loads(rules_body())
    rules |= {"policy": "fedcba987654", "method": "1"}
    rules["content"]["time"] = {"zone": ZONE}
    batches = [batch_of(name, rng) for name in WINDOWS]
    batches.append(batch_of("day", rng, revision=1))
    said = [(log.SERIES, arrow_bytes(SeriesTable(SERIES).to_arrow(0)))]
    said.append((log.RULES, json.dumps(rules).encode()))
    said += [(log.AGGREGATES, columns_body(batch.to_arrow(), "fedcba987654")) for batch in batches]
    return [Entry(number, kind, NOW, body) for number, (kind, body) in enumerate(said, start=1)]


@pytest.fixture(name="both", scope="module")
def _both(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Entry], Path]:
    """Return an outbox, and the folder that was published of it."""
    folder, outbox = tmp_path_factory.mktemp("open"), entries()
    OpenDataSink(OpenDataSettings(dir=folder)).write(outbox, outbox[-1].seq)
    return outbox, folder


@pytest.fixture(name="portal")
def _portal(both: tuple[list[Entry], Path], make_portal: MakePortal) -> Portal:
    """A portal whose store was fed from the same outbox."""
    portal = make_portal(seeded=False)
    portal.context.store.write(both[0], both[0][-1].seq)
    return portal


def told(portal: Portal, window: str) -> list[dict[str, Any]]:
    """Return what the interface says of a resolution, in the words and the order of the files."""
    # No question may be longer than so many windows; these are all there are.
    first = "2025-01-01T00:00:00%2B01:00" if window in CALENDARS else "2026-11-01T00:00:00Z"
    path = f"/api/v1/aggregates?window={window}&from={first}&to=2026-12-01T00:00:00Z"
    items = portal.get(path).json()["items"]
    named = [
        {column.name: item[CALLED.get(column.name, column.name)] for column in
         fields.AGGREGATES.fields}
        for item in items
    ]  # fmt: skip
    return sorted(named, key=lambda row: tuple(row[name] for name in fields.AGGREGATES.key))


def published(folder: Path, window: str, ending: str) -> list[dict[str, Any]]:
    """Return what the files say of a resolution, as DuckDB reads them."""
    options = "hive_partitioning = false"
    reader = (
        f"read_csv(?, all_varchar = true, {options})"
        if ending == "csv"
        else f"read_parquet(?, {options})"
    )
    key = ", ".join(f'"{name}"' for name in fields.AGGREGATES.key)
    with duckdb.connect() as database:
        database.execute("SET timezone = 'UTC'")
        found = database.sql(
            f"SELECT * FROM {reader} ORDER BY {key}",
            params=[f"{folder}/aggregates/window={window}/**/*.{ending}"],
        )
        rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
        return rows


def comparable(value: object) -> object:
    """Return a cell as what it means: an instant, a number, a text, or nothing."""
    if isinstance(value, int):
        return float(value)
    if value == "":
        return None
    if not isinstance(value, str):
        return value
    for meaning in (float, datetime.fromisoformat):
        try:
            return meaning(value)
        except ValueError:
            continue
    return value


def test_the_interface_and_the_files_have_the_same_columns() -> None:
    """By other names where the table above says so."""
    of_files = {CALLED.get(column.name, column.name) for column in fields.AGGREGATES.fields}

    assert of_files | ONLY_IN_THE_API == set(AggregateItem.model_fields)
    assert set(STATISTICS) <= of_files


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("window", WINDOWS)
def test_both_say_the_same_of_every_window(
    both: tuple[list[Entry], Path], portal: Portal, window: str, ending: str
) -> None:
    """Number by number, to the last digit; the newest revision; nothing where nothing is known."""
    expected, found = told(portal, window), published(both[1], window, ending)

    assert len(found) == len(SERIES) * len(windows_of(window)[0])
    for said, row in zip(expected, found, strict=True):
        for name, value in said.items():
            assert comparable(row[name]) == comparable(value), name
        assert int(row["revision"]) == (1 if window == "day" else 0)
        for name in ("window_start", "window_end"):
            # Local time is told with the offset of that instant, in the same words by both.
            assert row[f"{name}_local"] == said[f"{name}_local"]
            assert comparable(said[f"{name}_local"]) == comparable(said[name])
