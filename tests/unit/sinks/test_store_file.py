# SPDX-License-Identifier: EUPL-1.2
"""The store's file is brought up to date from every layout, and damage in it is found and named."""

from __future__ import annotations

import random
from pathlib import Path

import duckdb
import pytest

from lamppost import log
from lamppost.batch import STATISTICS
from lamppost.errors import ConfigError, NotConnected
from lamppost.log import Entry
from lamppost.times import HOUR_NS
from sinks.store import Store, StoreSettings
from sinks.store_file import examine, opened
from sinks.store_layout import LAYOUT_VERSION, TABLES
from tests.outbox_entries import clocks_entry
from tests.unit.portal.seeded_city import city_entries, columns_body
from tests.unit.sinks.store_cases import NOW, hourly, many_readings, windows, without

OLD_LAYOUTS = Path(__file__).resolve().parents[2] / "data"
_BLOCKS_BEGIN = 12_288
_BLOCK_BYTES = 262_144


def described(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Return the type of each column, by table and view."""
    rows = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
    ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = kind
    return found


def of_layout(layout: int, path: Path) -> Path:
    """Make a file as an old version of Lamppost would have left it."""
    with duckdb.connect(str(path)) as database:
        database.execute((OLD_LAYOUTS / f"store-layout-{layout}.sql").read_text())
    return path


def flip(path: Path, place: int) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 64]))


@pytest.mark.parametrize("layout", range(1, LAYOUT_VERSION))
def test_a_store_of_an_older_layout_gets_the_tables_of_a_new_one(
    tmp_path: Path, layout: int
) -> None:
    """Whatever the version that wrote it, afterwards it is like a fresh one."""
    fresh = tmp_path / "fresh.duckdb"
    Store(StoreSettings(path=fresh)).close()
    old = of_layout(layout, tmp_path / "old.duckdb")

    Store(StoreSettings(path=old)).close()

    with duckdb.connect(str(fresh)) as new, duckdb.connect(str(old)) as upgraded:
        assert described(upgraded) == described(new)
        assert upgraded.execute("SELECT value FROM meta WHERE key = 'layout'").fetchone() == (
            LAYOUT_VERSION,
        )


@pytest.mark.parametrize("layout", range(1, LAYOUT_VERSION))
def test_a_store_of_an_older_layout_keeps_its_rows_and_takes_new_ones(
    tmp_path: Path, layout: int
) -> None:
    """A revision of an hour that an old version stored replaces it and leaves it in the history."""
    store = Store(StoreSettings(path=of_layout(layout, tmp_path / "old.duckdb")))
    assert store.cursor() == 17

    told = clocks_entry(19, series=[0], skew=[-HOUR_NS])._replace(at=NOW)
    store.write([hourly(18, revision=2, level=3.0), *city_entries(NOW)[3:4], told], 19)

    rows = store.reader.rows(
        "SELECT revision, calendar, published, replaced_by FROM aggregates_revisions"
        " ORDER BY revision"
    )
    assert rows == [
        {"revision": 1, "calendar": 0, "published": None, "replaced_by": 18},
        {"revision": 2, "calendar": 0, "published": NOW, "replaced_by": None},
    ]
    assert store.reader.number("SELECT count(*) FROM latest_aggregates") == 1
    assert store.reader.number("SELECT count(*) FROM readings WHERE value = 12.5") == 1
    assert store.reader.number("SELECT count(*) FROM indices") == 1
    assert store.reader.number("SELECT skew FROM clocks") == -HOUR_NS
    store.close()


def test_an_upgrade_that_fails_leaves_the_old_layout(tmp_path: Path) -> None:
    """All steps are one transaction."""
    path = of_layout(1, tmp_path / "old.duckdb")
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE indices_history (in_the_way INTEGER)")
        before = described(database)

    with pytest.raises(duckdb.CatalogException):
        Store(StoreSettings(path=path))

    with duckdb.connect(str(path)) as database:
        assert described(database) == before


def test_a_store_of_a_newer_layout_is_refused_with_advice(tmp_path: Path) -> None:
    """An unknown version is never touched."""
    path = tmp_path / "store.duckdb"
    Store(StoreSettings(path=path)).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'layout'")

    with pytest.raises(ConfigError, match=r"layout 99.*move it away"):
        Store(StoreSettings(path=path))


def test_a_strange_database_is_refused(tmp_path: Path) -> None:
    """A file that is no store is named, not overwritten."""
    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")

    with pytest.raises(ConfigError, match="not a store"):
        Store(StoreSettings(path=path))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Garbage gives a sentence, not a traceback."""
    path = tmp_path / "garbage.duckdb"
    path.write_text("not a database" * 100)

    with pytest.raises(ConfigError, match=r"cannot open the store.*lamppost repair"):
        Store(StoreSettings(path=path))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The file of a store with some ten blocks of readings."""
    path = tmp_path / "store.duckdb"
    store = Store(StoreSettings(path=path))
    entries = [*city_entries(NOW), many_readings(50, 150_000)]
    store.write(entries, 50)
    store.close()
    return path


def test_a_flipped_bit_is_never_read_as_data(filled: Path, tmp_path: Path) -> None:
    """Wherever it is: refused when opened, named when read through, or where nothing is kept."""
    chance = random.Random(5)
    whole = filled.read_bytes()
    with opened(filled, read_only=True) as connection:
        sums = _sums(connection)
    named = 0
    silent = 0
    for _ in range(12):
        path = tmp_path / "flipped.duckdb"
        path.write_bytes(whole)
        flip(path, chance.randrange(len(whole)))
        try:
            connection = opened(path, read_only=True)
        except ConfigError as error:
            named += "lamppost repair" in str(error)
            continue
        with connection:
            damages = examine(connection)
            named += bool(damages)
            silent += not damages and _sums(connection) == sums
    assert named
    assert named + silent == 12


def _sums(connection: duckdb.DuckDBPyConnection) -> list[object]:
    return [
        connection.execute(f"SELECT count(*), bit_xor(hash(t)) FROM {table.name} AS t").fetchone()
        for table in TABLES
    ]


def test_the_tables_a_damaged_block_belongs_to_are_named(filled: Path) -> None:
    """With where the block is in the file."""
    with duckdb.connect(str(filled), read_only=True) as database:
        (block,) = database.execute(
            "SELECT max(block_id) FROM pragma_storage_info('readings')"
            " WHERE segment_type = 'DOUBLE' AND persistent AND block_id >= 0"
        ).fetchone() or (0,)
    flip(filled, _BLOCKS_BEGIN + block * _BLOCK_BYTES + 1000)

    with opened(filled, read_only=True) as connection:
        (damage,) = examine(connection)

    assert damage.startswith("table readings: Corrupt database file")
    assert str(_BLOCKS_BEGIN + block * _BLOCK_BYTES) in damage


def test_a_write_that_meets_damage_says_what_to_do_and_stores_nothing(filled: Path) -> None:
    """The feed waits with that reason; nothing half is stored."""
    with duckdb.connect(str(filled), read_only=True) as database:
        blocks = database.execute(
            "SELECT DISTINCT block_id FROM pragma_storage_info('readings')"
            " WHERE column_name = 'time' AND segment_type = 'BIGINT' AND block_id >= 0"
        ).fetchall()
    for (block,) in blocks:
        flip(filled, _BLOCKS_BEGIN + block * _BLOCK_BYTES + 1000)
    store = Store(StoreSettings(path=filled))

    with pytest.raises(NotConnected, match=r"damaged: .*Corrupt.*lamppost repair"):
        store.write([many_readings(51, 150_000)], 51)

    assert store.cursor() == 50
    store.close()


def test_entries_of_before_the_columns_were_added_are_stored(tmp_path: Path) -> None:
    """An outbox may still hold aggregates without a calendar."""
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    body = columns_body(without(windows(), "calendar", *STATISTICS))
    old = Entry(1, log.AGGREGATES, NOW, body)

    store.write([old], 1)

    row = store.reader.row("SELECT calendar, q50, count, published FROM aggregates")
    assert row == {"calendar": 0, "q50": None, "count": 60, "published": NOW}
    assert store.reader.number("SELECT resolution FROM latest_aggregates") == 3_600_000_000_000
    store.close()
