# SPDX-License-Identifier: EUPL-1.2
"""The store is whole after a kill at any instant, and answers while it is written and copied."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.log import Entry
from lamppost.times import HOUR_NS, MINUTE_NS
from sinks.store import Store, StoreSettings
from sinks.store_file import settle
from tests.unit.portal.seeded_city import aggregates, columns_body
from tests.unit.sinks.store_cases import NOW, many_readings

ROWS = 500
SERIES = 20
# Each write deletes, updates, inserts and checkpoints; weeks are laid together on the way.
PROGRAM = """
import sys
from pathlib import Path
from sinks.store import Store, StoreSettings
from tests.unit.sinks.test_store_faults import churn
store = Store(StoreSettings(path=Path(sys.argv[1]), readings_days=2))
for seq in range(store.cursor() + 1, 10_000):
    store.write(churn(seq), seq)
    print(seq, flush=True)
    if seq % 3 == 0:
        store._writer.execute("CHECKPOINT")
"""


def churn(number: int) -> list[Entry]:
    """Return what is said of twelve hours: readings, the hours, and the two days before anew."""
    at = NOW + number * 12 * HOUR_NS
    readings = many_readings(number, ROWS, at=at, value=float(number))
    starts = at + HOUR_NS * np.arange(-48, 0)
    hours = [aggregates(series, starts, HOUR_NS, float(number)) for series in range(SERIES)]
    batch = AggregateBatch.concat(hours)
    return [
        Entry(number, log.READINGS, at, readings.body),
        Entry(number, log.AGGREGATES, at, columns_body(batch.to_arrow())),
    ]


def judged_of(store: Store) -> list[object]:
    """Return what must follow from the cursor alone."""
    sums = "SELECT count(*) AS rows, sum(entry) AS entries, min(entry) AS first FROM {}"
    return [store.reader.row(sums.format(name)) for name in ("aggregates", "aggregates_history")]


def test_a_kill_in_the_middle_of_anything_leaves_the_store_whole(tmp_path: Path) -> None:
    """What was said to be stored is there, and the whole is what an undisturbed store holds."""
    path, chance = tmp_path / "store.duckdb", random.Random(11)
    said = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 9)):
                said = int(process.stdout.readline())
            threading.Event().wait(chance.random() / 5)
            process.kill()
        store = Store(StoreSettings(path=path, readings_days=2))
        damages, cursor = store.examine(), store.cursor()
        held = judged_of(store)
        store.close()
        assert damages == []
        assert cursor >= said

    undisturbed = Store(StoreSettings(path=tmp_path / "other.duckdb", readings_days=2))
    for seq in range(1, cursor + 1):
        undisturbed.write(churn(seq), seq)
    wanted = judged_of(undisturbed)
    undisturbed.close()
    assert held == wanted


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Store]:
    """A store that is written to all the time."""
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    store.write([many_readings(1, 100_000)], 1)
    stop = threading.Event()

    def write() -> None:
        seq = 1
        while not stop.is_set():
            seq += 1
            store.write([many_readings(seq, 40_000, series=seq)], seq)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield store
    finally:
        stop.set()
        writing.join()
        store.close()


def test_readers_are_answered_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """They wait for no writer: what they see is the last commit."""
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    store.write([many_readings(1, 1000)], 1)
    writing = threading.Thread(target=store.write, args=([many_readings(2, 600_000)], 2))
    answers: list[int] = []

    writing.start()
    while writing.is_alive():
        answers.append(store.reader.number("SELECT count(*) FROM readings"))
    writing.join()
    answers.append(store.reader.number("SELECT count(*) FROM readings"))
    store.close()

    assert answers.count(1000) > 1
    assert set(answers) == {1000, 600_000}


def test_a_copy_made_while_writing_is_one_instant_of_the_store(busy: Store, tmp_path: Path) -> None:
    """It holds exactly what its cursor says, whole, and writing goes on meanwhile."""
    for number in range(3):
        before = busy.cursor()
        target = tmp_path / f"copy-{number}.duckdb"
        told: list[tuple[int, int]] = []

        cursor = busy.copy(target, lambda done, total, told=told: told.append((done, total)))

        settled, damages = settle(target)
        copy = Store(StoreSettings(path=target))
        rows = copy.reader.number("SELECT count(*) FROM readings")
        copy.close()
        assert (settled, damages) == (cursor, [])
        assert rows == 100_000 + 40_000 * (cursor - 1)
        assert told[-1][0] == told[-1][1]
        while busy.cursor() <= max(before, cursor):
            threading.Event().wait(0.01)


def test_readers_are_answered_while_the_store_is_copied(busy: Store, tmp_path: Path) -> None:
    """A copy stops neither readers nor the writer."""
    answers: list[int] = []

    def read(_done: int, _total: int) -> None:
        answers.append(busy.reader.number("SELECT count(*) FROM readings"))

    busy.copy(tmp_path / "copy.duckdb", read)

    assert answers


def test_a_month_of_churn_keeps_the_file_within_twice_its_content(tmp_path: Path) -> None:
    """Readings leave, windows are revised and laid together; the file is used again."""
    path = tmp_path / "store.duckdb"
    store = Store(StoreSettings(path=path, readings_days=3, aggregates_days={"1min": 3}))
    sizes: list[int] = []
    for number in range(60):
        at = NOW + (number + 1) * 12 * HOUR_NS
        hours = replace(_windows(at, HOUR_NS, 48), revision=np.full(48 * SERIES, number))
        bodies = [(log.AGGREGATES, columns_body(batch.to_arrow()))
                  for batch in (hours, _windows(at, MINUTE_NS, 720))]  # fmt: skip
        bodies.append((log.READINGS, many_readings(number, 20_000, at=at).body))
        entries = [Entry(number + 1, kind, at, body) for kind, body in bodies]
        store.write(entries, number + 1)
        sizes.append(path.stat().st_size)
    store.close()

    assert path.stat().st_size <= 2 * _content_bytes(path, tmp_path)
    assert max(sizes[40:]) <= 1.5 * max(sizes[20:40])


def _windows(until: int, length: int, count: int) -> AggregateBatch:
    chance = np.random.default_rng(until % 1_000_003)
    starts = until - length * np.arange(count, 0, -1)
    return AggregateBatch.concat(
        [aggregates(series, starts, length, chance.normal()) for series in range(SERIES)]
    )


def _content_bytes(path: Path, folder: Path) -> int:
    """Return what a new file with the same rows takes."""
    fresh = folder / "fresh.duckdb"
    with duckdb.connect() as both:
        both.execute(f"ATTACH '{path}' AS old (READ_ONLY)")
        both.execute(f"ATTACH '{fresh}' AS new")
        both.execute("COPY FROM DATABASE old TO new")
    return fresh.stat().st_size
