# SPDX-License-Identifier: EUPL-1.2
"""Archives into a running installation: published, repeated, corrected, killed and gone on with."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.frames import arrow_batch
from lamppost.series import SERIES_SCHEMA, SeriesKey
from lamppost.times import HOUR_NS, MINUTE_NS, format_instant
from lamppost_app.sqlite_log import SqliteLog
from tests.installation import COMMAND, Installation
from tests.services import Mosquitto

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

EXCERPT = Path(__file__).parents[1] / "data" / "uci_air_quality_14_days.csv"
# The whole recording, where it lies beside the project.
WHOLE = Path(__file__).parents[3] / "shared" / "data" / "uci_airquality" / "AirQualityUCI.csv"
MINUTES = 180
STATIONS = 40


@pytest.fixture(scope="module", name="city")
def _city(tmp_path_factory: pytest.TempPathFactory, mosquitto: Mosquitto) -> Iterator[Installation]:
    # With the engine at its heels an import takes a while, and can be killed in the midst of it.
    bounds = "[imports]\nahead_mb = 0.05\n"
    running = Installation(tmp_path_factory.mktemp("import"), mosquitto, settings=bounds)
    running.start()
    yield running
    assert running.stop() == 0, running.output()


def archive(folder: Path, name: str, *, raised_by: float = 0.0, minutes: int = MINUTES) -> Path:
    """Write whole hours of some stations, up to three hours ago."""
    begin = time.time_ns() // HOUR_NS * HOUR_NS - 3 * HOUR_NS - minutes * MINUTE_NS
    path = folder / f"{name}.csv"
    lines = ["station,time,quantity,value"]
    for minute in range(minutes):
        at = format_instant(begin + minute * MINUTE_NS)
        lines += [
            f"{name}-{station},{at},pm2_5,{100 + minute % 60 + raised_by}"
            for station in range(STATIONS)
        ]
    path.write_text("\n".join(lines))
    return path


def command(city: Installation, *given: str | Path) -> list[str]:
    """Return the command line of an import."""
    config = city.folder / "lamppost.toml"
    return [*COMMAND, "import", "--config", str(config), *map(str, given)]


def bring(city: Installation, *given: str | Path, expected: int = 0) -> dict[str, int]:
    """Import files, and return what the summary says became of the rows."""
    done = subprocess.run(
        command(city, "--wait", *given), check=False, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == expected, done.stderr + done.stdout
    found = re.findall(r"([\d,]+) (accepted|duplicate|quarantined)", done.stdout)
    return {name: int(number.replace(",", "")) for number, name in found}


@contextlib.contextmanager
def outbox_of(city: Installation) -> Iterator[SqliteLog]:
    """Open the outbox."""
    with contextlib.closing(SqliteLog(city.folder / "data" / "outbox.db")) as outbox:
        yield outbox


def hours_of(city: Installation, prefix: str) -> dict[tuple[SeriesKey, int], tuple[int, float]]:
    """Return revision and mean of the hours of some stations, the newest of each."""
    keys: list[SeriesKey] = []
    found = {}
    with outbox_of(city) as outbox:
        for entry in outbox.scan(log.SERIES):
            batch = arrow_batch(entry.body)
            assert batch.schema.names == SERIES_SCHEMA.names
            rows = zip(*(batch.column(place).to_pylist() for place in (1, 2, 3)), strict=True)
            keys += [SeriesKey(*row) for row in rows]
        for entry in outbox.scan(log.AGGREGATES):
            batch = AggregateBatch.from_arrow(arrow_batch(entry.body))
            whole = batch.take(batch.length == HOUR_NS)
            columns = (whole.series, whole.start, whole.revision, whole.mean)
            for code, start, revision, mean in zip(*map(list, columns), strict=True):
                if keys[code].sensor.startswith(prefix):
                    found[keys[code], int(start)] = (int(revision), float(mean))
    return found


def test_an_archive_is_published_once_however_often_it_comes(
    city: Installation, tmp_path: Path
) -> None:
    """And a corrected one corrects what was published, in every hour and in the store."""
    rows = MINUTES * STATIONS
    path = archive(tmp_path, "once")

    first = bring(city, path)
    published = hours_of(city, "once-")
    again = bring(city, path)
    unchanged = hours_of(city, "once-")
    corrected = bring(city, archive(tmp_path, "once", raised_by=7.0))

    assert first == {"accepted": rows, "duplicate": 0, "quarantined": 0}
    assert len(published) == STATIONS * MINUTES // 60
    assert {mean for _, mean in published.values()} == {129.5}
    assert again == {"accepted": 0, "duplicate": rows, "quarantined": 0}
    assert unchanged == published
    assert corrected == {"accepted": rows, "duplicate": 0, "quarantined": 0}
    revised = hours_of(city, "once-")
    assert {mean for _, mean in revised.values()} == {136.5}
    assert all(revised[hour][0] > published[hour][0] for hour in published)
    city.wait_until_delivered("store")
    (_, start) = next(iter(revised))
    window = f"from={format_instant(start)}&to={format_instant(start + HOUR_NS)}"
    page = city.get(f"/api/v1/aggregates?station=once-0&quantity=pm2_5&window=1h&{window}")
    assert [item["mean"] for item in page["items"]] == [136.5]


def test_an_import_killed_again_and_again_loses_and_doubles_nothing(
    city: Installation, tmp_path: Path
) -> None:
    """Each run goes on where the last was killed, wherever that was."""
    path = archive(tmp_path, "killed", minutes=3000)
    size, kills = path.stat().st_size, 0
    given = command(city, path)
    # Parts are a megabyte; this is as many kills as there are parts, each behind another one.
    while kills < size >> 20:
        before = _imported(city)
        with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            while process.poll() is None and _imported(city) == before:
                time.sleep(0.005)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        kills += 1
        if process.returncode == 0:
            break

    done = bring(city, path) if process.returncode else {}

    assert kills > 1
    with outbox_of(city) as outbox:
        city.wait_until(lambda: _counted(outbox, "killed-") >= 3000 * STATIONS)
        assert _counted(outbox, "killed-") == 3000 * STATIONS
    assert done.get("duplicate", 0) == 0
    assert {mean for _, mean in hours_of(city, "killed-").values()} == {129.5}


def test_bad_rows_stop_nothing_and_lie_in_quarantine(city: Installation, tmp_path: Path) -> None:
    """With file and line; the exit code says that there are some."""
    path = archive(tmp_path, "bad")
    lines = path.read_text().splitlines()
    lines[10] = "bad-1,yesterday,pm2_5,1"
    lines[20] = lines[20].replace("pm2_5", "happiness")
    path.write_text("\n".join(lines))

    counts = bring(city, path, expected=3)

    assert counts == {"accepted": MINUTES * STATIONS - 2, "duplicate": 0, "quarantined": 2}
    listed = subprocess.run(
        [*COMMAND, "quarantine", "list", "--route", "import/archive", "--json",
         "--config", str(city.folder / "lamppost.toml")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "line 11" in listed
    assert "happiness" in listed
    assert "bad.csv" in listed


def test_a_recording_in_the_local_time_of_its_city(city: Installation) -> None:
    """Years of hours of a real instrument, refused until its zone is said."""
    path = WHOLE if WHOLE.is_file() else EXCERPT
    about: Sequence[str] = (
        "--sensor", "uci", "--column", "NO2_GT=no2", "--column", "T=temperature",
        "--column", "NOx_GT=nox:ppb", "--time-format", "%d/%m/%Y %H:%M:%S",
    )  # fmt: skip
    with path.open(encoding="utf-8") as text:
        rows = sum(1 for _ in csv.DictReader(text))

    refused = subprocess.run(
        command(city, *about, path), check=False, capture_output=True, text=True
    )
    # The whole recording has two rows in hours that clocks in Rome skip; the excerpt has none.
    some_refused = 3 if path == WHOLE else 0
    counts = bring(city, *about, "--zone", "Europe/Rome", path, expected=some_refused)

    assert refused.returncode == 2
    assert "--zone" in refused.stderr
    assert counts["accepted"] + counts["duplicate"] + 3 * counts["quarantined"] == 3 * rows
    assert counts["accepted"] > 0.99 * 3 * rows


def test_nobody_was_alerted_and_the_books_balance(city: Installation) -> None:
    """After all of the above, whichever of it has run."""
    path = archive(Path(city.folder), "last")
    bring(city, path)
    city.wait_until_delivered("store")

    with outbox_of(city) as outbox:
        assert [entry.body for entry in outbox.scan(log.ALERTS)] == []
    for row in city.get("/api/v1/ledger")["items"]:
        outcomes = ("accepted", "duplicate", "quarantined", "refused")
        assert row["received"] == sum(row[outcome] for outcome in outcomes)
    # Readings of other decades are counted by the store like those of today.
    config = str(city.folder / "lamppost.toml")
    compared = subprocess.run(
        [*COMMAND, "ledger", "--config", config], check=False, capture_output=True, text=True
    )
    assert compared.returncode == 0, compared.stdout


def _imported(city: Installation) -> int:
    """Return how far the imports under way have come."""
    with contextlib.closing(city.inbox) as inbox:
        found = inbox.positions()
    return sum(place for name, place in found.items() if name.startswith("import:"))


def _counted(outbox: SqliteLog, prefix: str) -> int:
    """Return how many readings of some stations the engine has accepted, by the ledger."""
    rows = {
        (row["source"], row["sensor"], row["hour"]): row
        for entry in outbox.scan(log.LEDGER)
        for row in json.loads(entry.body)
        if row["sensor"].startswith(prefix)
    }
    return sum(row["accepted"] for row in rows.values())
