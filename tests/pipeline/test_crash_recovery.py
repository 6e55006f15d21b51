# SPDX-License-Identifier: EUPL-1.2
"""SIGKILL at random points: the results are those of an uninterrupted run, byte for byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lamppost import log
from lamppost.balance import BalanceCommand
from lamppost.flooding import EXCESSES, Excess, throttled_bytes
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.quarantine import DropCommand, MessageId, Replay, replay_bytes
from lamppost_app.engine_role import EngineRole
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.pipeline.city_inbox import city_records

KILLS = int(os.environ.get("LAMPPOST_KILLS", "6"))
MINUTES = 60


def decisions(at: int) -> list[Record]:
    """Return a message nobody can read, and what operators and sinks had to say afterwards."""
    unread = Deliveries()
    unread.add("nowhere/at/all", b"\x00\xff", at, source="mqtt")
    again = replay_bytes(unread, Replay(messages=(MessageId(7, 0),), by="ada"))
    dropped = DropCommand(
        command="drop_quarantined", messages=(MessageId(7, 0),), by="ada", reason="noise"
    )
    short = BalanceCommand(sink="store", balanced=False, sensor="a", accepted=5, stored=4, rows=1)
    excess = Excess(source="mqtt", device="loud", messages=9, kept=1, refused=5, per_s=1.0, burst=3)
    return [
        Record(log.THROTTLED, at, throttled_bytes(unread, ["loud"])),
        Record(log.EXCESS, at, EXCESSES.dump_json([excess])),
        Record(log.FRAME, at, unread.to_bytes()),
        Record(log.REPLAY, at, again),
        Record(log.COMMAND, at, dropped.model_dump_json().encode()),
        Record(log.COMMAND, at, short.model_dump_json().encode()),
    ]


def eventful_records(minutes: int) -> list[Record]:
    """Return a city's inbox with such decisions in its middle."""
    records = city_records(minutes)
    middle = len(records) // 2
    return [*records[:middle], *decisions(records[middle - 1].at), *records[middle:]]


def results(path: Path) -> list[Entry]:
    """Return the whole outbox."""
    return SqliteLog(path).read(0, 1_000_000)


def run_uninterrupted(inbox: Path, outbox: Path) -> None:
    """Run the engine over the whole inbox in one go, without any snapshot."""
    role = EngineRole(SqliteLog(inbox), SqliteLog(outbox), snapshot_s=1e9)
    while role.step():
        pass


def start_engine(folder: Path) -> subprocess.Popen[bytes]:
    """Start the engine as the supervisor would."""
    command = [sys.executable, "-m", "lamppost_app", "run", "--role", "engine"]
    with (folder / "output.log").open("wb") as output:
        return subprocess.Popen(
            [*command, "--config", str(folder / "lamppost.toml")], stderr=output
        )


def wait_for(folder: Path, position: int, engine: subprocess.Popen[bytes]) -> None:
    """Wait until the engine has committed the results of an entry."""
    outbox = SqliteLog(folder / "outbox.db")
    until = time.monotonic() + 120
    while outbox.position(ENGINE) < position:
        assert engine.poll() is None, "the engine ended by itself"
        assert time.monotonic() < until, "the engine does not get on"
        time.sleep(0.01)


@pytest.mark.timeout(300)
def test_killed_engine_leaves_the_results_of_an_uninterrupted_one(tmp_path: Path) -> None:
    """However often it is killed, the outbox is byte for byte the same."""
    seed = int(os.environ.get("LAMPPOST_SEED", random.SystemRandom().randrange(2**32)))
    chance = random.Random(seed)
    (tmp_path / "lamppost.toml").write_text('[data]\ndir = "."\n[engine]\nsnapshot_s = 0.1\n')
    inbox = SqliteLog(tmp_path / "inbox.db")
    last = inbox.append(eventful_records(MINUTES))
    run_uninterrupted(tmp_path / "inbox.db", tmp_path / "steady.db")

    for target in sorted(chance.sample(range(2, last), KILLS)):
        engine = start_engine(tmp_path)
        wait_for(tmp_path, target, engine)
        time.sleep(chance.random() * 0.05)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    engine = start_engine(tmp_path)
    wait_for(tmp_path, last, engine)
    while "engine_ready" not in (tmp_path / "output.log").read_text():
        time.sleep(0.01)
    engine.terminate()

    assert engine.wait(30) == 0
    same = results(tmp_path / "outbox.db") == results(tmp_path / "steady.db")
    assert same, f"repeat with LAMPPOST_SEED={seed}"


def test_two_runs_over_one_inbox_are_byte_identical(tmp_path: Path) -> None:
    """The engine is a pure function of its inbox: grouping of commits does not show."""
    inbox = SqliteLog(tmp_path / "inbox.db")
    inbox.append(eventful_records(30))

    for name in ("first.db", "second.db"):
        run_uninterrupted(tmp_path / "inbox.db", tmp_path / name)

    first = results(tmp_path / "first.db")
    assert first == results(tmp_path / "second.db")
    assert {entry.kind for entry in first} >= {
        "readings",
        "aggregates",
        "alerts",
        "ledger",
        "quarantine",
        "quarantine_states",
        "clocks",
    }


def test_an_entry_the_engine_fails_on_costs_only_itself(tmp_path: Path) -> None:
    """The process ends, the next sets the entry aside, and the rest is as if it never was."""
    records = city_records(5)
    poisoned = [*records[:9], Record(log.FRAME, records[9].at, b"no frame"), *records[9:]]
    SqliteLog(tmp_path / "good.db").append(records)
    SqliteLog(tmp_path / "bad.db").append(poisoned)
    run_uninterrupted(tmp_path / "good.db", tmp_path / "good-results.db")

    with pytest.raises(pa.ArrowInvalid):
        run_uninterrupted(tmp_path / "bad.db", tmp_path / "bad-results.db")
    run_uninterrupted(tmp_path / "bad.db", tmp_path / "bad-results.db")

    good, bad = (results(tmp_path / f"{name}-results.db") for name in ("good", "bad"))
    codes = [
        code
        for entry in bad
        if entry.kind == log.QUARANTINE
        for code in arrow_batch(entry.body)["code"].to_pylist()
    ]
    assert codes.count("engine_error") == 1
    readings = [entry.body for entry in bad if entry.kind == log.READINGS]
    assert readings == [entry.body for entry in good if entry.kind == log.READINGS]
