# SPDX-License-Identifier: EUPL-1.2
"""The command line of imports: what is shown, what is refused, and the exit codes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost_app.cli import app
from lamppost_app.commands.import_files import INTERRUPTED, SOME_REFUSED
from lamppost_app.importing import EngineLag, Progress
from lamppost_app.sqlite_log import SqliteLog

POLICY = load_policy(Path(__file__).parents[3] / "policy")
ROWS = "station,time,quantity,value,unit,site\n" + "".join(
    f"aq-1,2026-03-01T00:{minute:02d}:00Z,no2,{minute},ppb,north\n" for minute in range(60)
)
HOURS = (
    "station,quantity,unit,window_start,window_end,mean,window\n"
    "aq-1,no2,ug/m3,2026-03-01T00:00:00Z,2026-03-01T01:00:00Z,8.25,1h\n"
)


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with an installation that has run, and a good and a bad file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamppost.toml").write_text('[data]\ndir = "data"\n')
    with contextlib.closing(SqliteLog(tmp_path / "data" / "inbox.db")) as inbox:
        inbox.append([Record(log.POLICY, 1, POLICY.canonical().encode())])
    (tmp_path / "good.csv").write_text(ROWS)
    (tmp_path / "hours.csv").write_text(HOURS)
    (tmp_path / "bad.csv").write_text(
        ROWS + "aq-2,soon,no2,1,ppb,x\naq-3,2026-03-01T00:00:00Z,joy,1,,x\n"
    )
    return tmp_path


def lamppost(*given: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["import", *given])


def entries(folder: Path) -> list[str]:
    """Return the kinds of the inbox's entries."""
    with contextlib.closing(SqliteLog(folder / "data" / "inbox.db")) as inbox:
        return [entry.kind for entry in inbox.read(0, 100)]


def test_a_dry_run_shows_series_and_bad_rows_and_does_nothing(here: Path) -> None:
    """With spans, units, and what the engine would not take."""
    shown = lamppost("bad.csv", "--dry-run")

    assert shown.exit_code == SOME_REFUSED
    for words in (
        "aq-1", "ppb to µg/m³", "2026-03-01T00:59:00Z", "unknown_quantity", "time_implausible",
        "62 rows: 61 readings of 2 series, 1 refused", "nothing was imported",
        "not imported: site",
    ):  # fmt: skip
        assert words in shown.output, words
    assert entries(here) == [log.POLICY]
    assert lamppost("good.csv", "--dry-run").exit_code == 0


def test_an_import_says_what_it_did_and_where_to_look(here: Path) -> None:
    """The engine need not run."""
    done = lamppost("good.csv")
    refused = lamppost("bad.csv")

    assert done.exit_code == 0
    assert "60 rows read: 60 readings in the inbox, 0 rows refused" in done.output
    assert refused.exit_code == SOME_REFUSED
    assert "lamppost quarantine list --route import/archive" in refused.output
    assert entries(here) == [log.POLICY, log.FRAME, log.TICK, log.FRAME, log.TICK]


def test_stopping_it_says_how_to_go_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same command does."""
    with monkeypatch.context() as interrupted:
        interrupted.setattr(EngineLag, "must_wait", _interrupt)
        stopped = lamppost("good.csv")
    again = lamppost("good.csv")

    assert stopped.exit_code == INTERRUPTED
    assert "the same command goes on" in stopped.output
    assert again.exit_code == 0
    assert entries(here).count(log.FRAME) == 1


def _interrupt(_: EngineLag) -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["nowhere.csv"], "no such file"),
        (["good.csv", "--layout", "cuneiform"], "no layout"),
        (["good.csv", "--layout", "openaq"], "needs a column"),
        (["good.csv", "--column", "a"], "SRC=QUANTITY"),
        (["good.csv", "--column", "a=joy"], "vocabulary"),
        (["good.csv", "--zone", "Mars/Base"], "no time zone"),
        (["good.csv", "--window", "2d"], "--window: '2d' is no resolution of windows"),
        (["good.csv", "--window", "month"], "--window: none of these files is about windows"),
        (["hours.csv", "--window", "month"], "no windows of month in these files (there are: 1h)"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(
    here: Path, given: list[str], problem: str
) -> None:
    """The command line ends with exit code 2 on these."""
    done = lamppost(*given)

    assert isinstance(done.exception, ConfigError)
    assert problem in str(done.exception)
    assert entries(here) == [log.POLICY]


def test_an_installation_must_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong folder is not filled with an inbox nobody reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.csv").write_text(ROWS)

    done = lamppost("good.csv")

    assert "there is no inbox" in str(done.exception)
    assert not (tmp_path / "data").exists()


def test_progress_counts_from_nothing() -> None:
    """Two imports in one process do not share their counts."""
    assert not Progress(1).refused
    assert Progress(1).broken is not Progress(1).broken
