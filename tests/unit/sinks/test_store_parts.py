# SPDX-License-Identifier: EUPL-1.2
"""What is written is seen whole or not at all, however much it is and whoever reads meanwhile."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.log import Entry
from lamppost.times import HOUR_NS
from sinks import store_order
from sinks.store import Store, StoreSettings
from sinks.store_parts import MOST_ROWS, ROW_GROUP, parts
from sinks.store_writes import ARROW_KINDS
from tests.unit.portal.seeded_city import aggregates, columns_body
from tests.unit.sinks.store_cases import NOW, many_readings

FIRST = 1000


def listed(seq: int, rows: int) -> Entry:
    """Return an entry whose body is a list of things."""
    return Entry(seq, log.LEDGER, NOW, json.dumps([{"row": row} for row in range(rows)]).encode())


@given(
    sizes=st.lists(st.integers(0, 90_000) | st.just(2 * MOST_ROWS), min_size=1, max_size=12),
    skipped=st.integers(0, 3),
)
def test_a_write_is_cut_between_entries_and_no_part_is_too_large(
    sizes: list[int], skipped: int
) -> None:
    """Nothing is lost, moved or doubled; each part leaves the cursor at its last entry."""
    entries = [Entry(seq, log.LEDGER, NOW, b"{" * size) for seq, size in enumerate(sizes, start=5)]
    cursor = entries[-1].seq + skipped

    cut = list(parts(entries, cursor, ARROW_KINDS))

    assert [entry for part, _ in cut for entry in part] == entries
    assert cut[-1][1] == cursor
    assert all(upto == part[-1].seq for part, upto in cut[:-1])
    for part, _ in cut:
        assert len(part) == 1 or sum(len(entry.body) for entry in part) <= MOST_ROWS
    assert MOST_ROWS < ROW_GROUP


def test_rows_of_both_forms_of_entries_are_counted() -> None:
    """Columns by their length, lists by their items; nothing at all still moves the cursor."""
    half = [many_readings(1, MOST_ROWS // 2), listed(2, MOST_ROWS // 2), listed(3, 1)]

    cut = [[entry.seq for entry in part] for part, _ in parts(half, 3, ARROW_KINDS)]

    assert cut == [[1, 2], [3]]
    assert list(parts([], 7, ARROW_KINDS)) == [([], 7)]


@pytest.mark.parametrize("entries", [1, 8], ids=["one entry", "many entries"])
def test_a_large_write_is_never_seen_in_part(tmp_path: Path, entries: int) -> None:
    """Whoever asks without pause sees, at each position, exactly what belongs to it."""
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    store.write([many_readings(1, FIRST)], 1)
    rows = 240_000 // entries
    given = [many_readings(seq, rows, series=seq) for seq in range(2, 2 + 4 * entries)]
    writing = threading.Thread(
        target=lambda: [
            store.write(given[first : first + entries], given[first + entries - 1].seq)
            for first in range(0, len(given), entries)
        ]
    )
    wrong: list[tuple[int, int]] = []
    seen: set[int] = set()

    writing.start()
    while writing.is_alive():
        with store.reader.snapshot(60) as position:
            seen.add(position)
            for _ in range(3):
                count = store.reader.number("SELECT count(*) FROM readings")
                if count != FIRST + rows * (position - 1):
                    wrong.append((position, count))
    writing.join()
    held = store.reader.number("SELECT count(*) FROM readings")
    store.close()

    assert wrong == []
    assert held == FIRST + rows * len(given)
    assert len(seen) > 1


def test_no_transaction_hands_duckdb_a_row_group_to_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are copied go through the write-ahead log; moved ones go past it into the file."""
    path = tmp_path / "store.duckdb"
    store = Store(StoreSettings(path=path))
    store._writer.execute("SET checkpoint_threshold = '1 TB'")
    store.write([many_readings(1, FIRST)], 1)
    for seq, limit in ((2, MOST_ROWS), (3, 10 * ROW_GROUP)):
        monkeypatch.setattr("sinks.store_parts.MOST_ROWS", limit)
        before = _log_bytes(path)
        store.write([many_readings(seq, 2 * ROW_GROUP, series=seq)], seq)
        monkeypatch.undo()
        per_row = (_log_bytes(path) - before) / (2 * ROW_GROUP)

        assert (per_row > 8) == (limit == MOST_ROWS)  # a value alone is eight bytes
    store.close()


def _log_bytes(path: Path) -> int:
    return path.with_name(f"{path.name}.wal").stat().st_size


def test_a_week_is_laid_together_some_series_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time so many rows at the most; a restart goes on where it was, and nothing is lost."""
    monkeypatch.setattr(store_order, "MOST_ROWS", 400)
    settings = StoreSettings(path=tmp_path / "store.duckdb")
    store = Store(settings)
    week = NOW // store_order.WEEK_NS * store_order.WEEK_NS
    hours = week + HOUR_NS * np.arange(168)
    batch = AggregateBatch.concat([aggregates(each, hours, HOUR_NS, 1.0) for each in range(7)])
    body = columns_body(batch.to_arrow().sort_by([("start", "ascending"), ("series", "ascending")]))
    store.write([Entry(1, log.AGGREGATES, int(hours[-1]) + HOUR_NS, body)], 1)
    at = week + 9 * 24 * HOUR_NS
    laid: list[int] = []

    for step in range(4):
        store.close()
        store = Store(settings)
        store.write([many_readings(200 + step, 1, at=at)], 200 + step)
        order = [row["series"] for row in store.reader.rows("SELECT series FROM aggregates")]
        assert sorted(order) == sorted(list(range(7)) * 168)
        laid.append(sum(one != other for one, other in pairwise(order)))
    left = store.reader.number("SELECT count(*) FROM unsorted")
    notes = store.reader.number("SELECT count(*) FROM meta WHERE starts_with(key, 'laying_')")
    store.close()

    assert laid[0] > laid[1] > laid[2] == laid[3] == 6
    assert (left, notes) == (0, 0)
