# SPDX-License-Identifier: EUPL-1.2
"""Rows of files on their way into the inbox: whole, once, and not too far ahead."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingest.files import FileWishes, Wishes, archives
from ingest.formats.archive_columns import ArchiveColumns
from lamppost import log
from lamppost.clock import ManualClock
from lamppost.decoded import Decoded
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost.times import SECOND_NS, format_instant
from lamppost_app import importing
from lamppost_app.import_preview import preview
from lamppost_app.importing import EngineLag, Import, Progress, check_ready
from lamppost_app.settings import DataSettings, ImportSettings, Settings
from lamppost_app.sqlite_log import ENGINE, SqliteLog

NOW = 1_795_000_000 * SECOND_NS
ROWS = 100_000
WISHES = FileWishes(Wishes(sensor="st-{id}"))
POLICY = load_policy(Path(__file__).parents[3] / "policy")


class Killed(BaseException):
    """Stands for the end of a process at some place."""


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return Settings(data=DataSettings(dir=tmp_path / "data"))


@pytest.fixture(name="inbox")
def _inbox(settings: Settings) -> Iterator[SqliteLog]:
    inbox = SqliteLog(settings.inbox_path)
    inbox.append([Record(log.POLICY, NOW, POLICY.canonical().encode())])
    yield inbox
    inbox.close()


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return a folder with two files, one of them of several parts, and a bad row in each."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name, first, rows in (("a.csv", 0, ROWS), ("b.csv", ROWS, 1000)):
        lines = ["station,time,pm10"]
        lines += [
            f"{number % 7},{format_instant(NOW - (2 * ROWS - number) * SECOND_NS)},{number}"
            for number in range(first, first + rows)
        ]
        lines[500] = "3,tomorrow,1"
        (folder / name).write_text("\n".join(lines))
    return folder


def job_of(
    folder: Path, inbox: SqliteLog, settings: Settings, wishes: FileWishes = WISHES
) -> tuple[Import, EngineLag]:
    """Return an import of a folder."""
    lag = EngineLag(settings, inbox)
    return Import(inbox, lag, archives([str(folder)], wishes), ManualClock(NOW)), lag


class DyingLog(SqliteLog):
    """A log in the midst of whose use the process ends: before a commit, or right behind it."""

    def __init__(self, path: Path, *, commits: int, behind: bool) -> None:
        """Take how many commits there are before the last."""
        super().__init__(path)
        self._left, self._behind = commits, behind

    def append_from(
        self, records: Sequence[Record], *, source: str, position: int, expected: int
    ) -> int:
        """Store records, or end."""
        self._left -= 1
        if self._left < 0 and not self._behind:
            raise Killed
        last = super().append_from(records, source=source, position=position, expected=expected)
        if self._left < 0:
            raise Killed
        return last


def run(folder: Path, inbox: SqliteLog, settings: Settings) -> Progress:
    """Import a folder."""
    job, lag = job_of(folder, inbox, settings)
    try:
        return job.run(lambda _: None)[0]
    finally:
        lag.close()


def run_and_die(folder: Path, settings: Settings, commits: int, *, behind: bool) -> bool:
    """Import a folder until the process ends; return whether it did."""
    dying = DyingLog(settings.inbox_path, commits=commits, behind=behind)
    try:
        run(folder, dying, settings)
    except Killed:
        return True
    finally:
        dying.close()
    return False


def values_in(inbox: SqliteLog) -> tuple[list[float], list[str]]:
    """Return every reading in the inbox by its value, and every row that is none."""
    found: list[float] = []
    refused: list[str] = []
    for entry in inbox.scan(log.FRAME):
        frame = Deliveries.from_bytes(entry.body)
        assert set(frame.sources) == {"import"}
        out = Decoded()
        ArchiveColumns().decode(frame, range(len(frame)), out)
        found += out.columns().value.tolist()
        refused += [
            f"{json.loads(frame.headers[one.delivery])['file']}: {one.detail}"
            for one in out.refused
        ]
    return found, refused


def expected() -> list[float]:
    """Return the values of the files' good rows, in order."""
    return [float(n) for n in range(ROWS + 1000) if n not in {499, ROWS + 499}]


def test_every_row_comes_in_once_and_in_order(
    folder: Path, inbox: SqliteLog, settings: Settings
) -> None:
    """The bad ones with their file and line."""
    progress = run(folder, inbox, settings)

    found, refused = values_in(inbox)
    assert found == expected()
    problem = "line 501: not a time that is known here: 3,tomorrow,1"
    assert refused == [f"a.csv: {problem}", f"b.csv: {problem}"]
    assert (progress.rows, progress.readings) == (ROWS + 1000, ROWS + 998)
    assert progress.bytes_read == progress.bytes_total
    assert inbox.read(inbox.last() - 1, 1)[0].kind == log.TICK


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("commits", [0, 1, 2])
def test_a_killed_import_goes_on_where_it_was(
    folder: Path,
    inbox: SqliteLog,
    settings: Settings,
    commits: int,
    behind: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Again and again, without losing or doubling a row."""
    kills = 0
    while run_and_die(folder, settings, max(commits, 1 - behind), behind=behind):
        kills += 1

    assert kills
    assert values_in(inbox)[0] == expected()


def test_it_can_be_begun_anew(folder: Path, inbox: SqliteLog, settings: Settings) -> None:
    """What is there will be a duplicate."""
    assert run_and_die(folder, settings, 2, behind=False)
    before = len(values_in(inbox)[0])
    job, lag = job_of(folder, inbox, settings)

    assert job.resumed
    job.restart()
    job.run(lambda _: None)
    lag.close()

    assert len(values_in(inbox)[0]) == before + len(expected())


def test_a_changed_file_is_another_import(
    folder: Path, inbox: SqliteLog, settings: Settings
) -> None:
    """Its rows need not be those that were read; nor with other options."""
    assert run_and_die(folder, settings, 2, behind=False)
    with (folder / "b.csv").open("a") as text:
        text.write(f"\n1,{format_instant(NOW)},1")

    for wishes in (WISHES, FileWishes(Wishes(sensor="x"))):
        job, lag = job_of(folder, inbox, settings, wishes)
        lag.close()
        assert not job.resumed


def test_of_two_imports_of_the_same_files_one_ends(
    folder: Path, inbox: SqliteLog, settings: Settings
) -> None:
    """Before it has doubled anything."""
    first, lag = job_of(folder, inbox, settings)
    told = 0

    def begin_another(_: Progress) -> None:
        nonlocal told
        told += 1
        if told == 1:
            run(folder, inbox, settings)

    with pytest.raises(ConfigError, match="second one"):
        first.run(begin_another)
    lag.close()

    found, _ = values_in(inbox)
    assert sorted(set(found)) == expected()


def test_imports_of_other_files_do_not_disturb_each_other(
    folder: Path, inbox: SqliteLog, settings: Settings
) -> None:
    """Each keeps its own place."""
    jobs = [job_of(folder / name, inbox, settings) for name in ("a.csv", "b.csv")]
    threads = [threading.Thread(target=job.run, args=(lambda _: None,)) for job, _ in jobs]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, lag in jobs:
        lag.close()

    assert sorted(values_in(inbox)[0]) == expected()
    assert not [name for name in inbox.positions() if name.startswith("import:")]


def test_it_does_not_run_far_ahead_of_the_engine(
    folder: Path, inbox: SqliteLog, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of one that reads nor, beyond a larger bound, of one that is away."""
    monkeypatch.setattr(importing, "_ASLEEP_S", 0.1)
    bounds = ImportSettings(ahead_mb=0.2, waiting_mb=0.6)
    held = settings.model_copy(update={"imports": bounds})
    outbox = SqliteLog(held.outbox_path)
    job, lag = job_of(folder, inbox, held)
    most = waits = 0

    def tell(progress: Progress) -> None:
        nonlocal most, waits
        most = max(most, inbox.size_after(outbox.position(ENGINE)))
        if progress.waiting:
            waits += 1
            outbox.set_position(ENGINE, inbox.last())

    job.run(tell)
    lag.close()
    outbox.close()

    assert waits
    assert most < 3_000_000
    assert values_in(inbox)[0] == expected()


def test_an_installation_that_never_ran_is_not_filled(settings: Settings) -> None:
    """Without rules the engine could only put everything into quarantine."""
    empty = SqliteLog(settings.inbox_path)

    with pytest.raises(ConfigError, match="never run"):
        check_ready(empty)
    empty.close()


def test_a_preview_counts_series_and_names_bad_rows(folder: Path) -> None:
    """Without an installation."""
    read: list[int] = []

    found = preview(archives([str(folder)], WISHES), read.append)

    assert {meaning.sensor for meaning in found.series} == {f"st-{n}" for n in range(7)}
    spans: Sequence[int] = [span.readings for span in found.series.values()]
    assert sum(spans) == ROWS + 998
    assert [(name, row[0]) for name, row in found.refused] == [("a.csv", 501), ("b.csv", 501)]
    assert sum(read) == sum(path.stat().st_size for path in folder.iterdir())
