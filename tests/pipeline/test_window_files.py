# SPDX-License-Identifier: EUPL-1.2
"""Windows whose memory lies in files: killed anywhere, they say what they would have said."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lamppost import log
from lamppost.batch import AggregateBatch
from lamppost.errors import StorageFailed
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.cli import app
from lamppost_app.engine_role import EngineRole
from lamppost_app.run_files import RunFiles
from lamppost_app.sqlite_log import ENGINE, SqliteLog

BEGIN = 1_795_000_000 * SECOND_NS // DAY_NS * DAY_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    windows={
        "event_time": {
            "memory_mb": 0.002,
            "lengths": ["1min", "15min", "1h", "4h"],
            "hopping": [{"length": "3h", "every": "1h"}],
            "calendar": ["day", "month"],
        }
    },
    quality={"gross_range": {}},
)
SEED = int(os.environ.get("LAMPPOST_SEED", random.SystemRandom().randrange(2**32)))
KILLS = int(os.environ.get("LAMPPOST_KILLS", "5"))


class Killed(BaseException):
    """The process is gone."""


def frame(at: int, readings: list[tuple[str, int, float]]) -> Record:
    """Return a frame received at an instant."""
    deliveries = Deliveries()
    for sensor, instant, value in readings:
        body = {"sensor": sensor, "time": format_instant(instant), "values": {"no2": value}}
        route = f"v1/{sensor}/readings"
        deliveries.add(route, json.dumps(body).encode(), at, source="mqtt")
    return Record(log.FRAME, at, deliveries.to_bytes())


def late_records(frames: int, seed: int) -> list[Record]:
    """Return an inbox of some days; one reading in four is late, corrected or sent twice."""
    chance = random.Random(seed)
    records = [Record(log.POLICY, BEGIN, POLICY.canonical().encode())]
    sent: list[tuple[str, int, float]] = []
    for number in range(frames):
        at = BEGIN + number * 20 * MINUTE_NS
        fresh = [(f"s{place}", at - place * SECOND_NS, float(number % 50)) for place in range(4)]
        for _ in range(2 if sent else 0):
            sensor, instant, value = chance.choice(sent)
            late = [instant, instant - chance.randrange(1, 90) * MINUTE_NS]
            fresh.append((sensor, chance.choice(late), chance.choice([value, value + 1])))
        sent += fresh[:4]
        records += [frame(at, fresh), Record(log.TICK, at + MINUTE_NS, b"")]
    return [*records, Record(log.TICK, records[-1].at + 6 * HOUR_NS, b"")]


def outbox_of(path: Path) -> list[Entry]:
    """Return everything that was said."""
    with closing(SqliteLog(path)) as outbox:
        return outbox.read(0, 1_000_000)


@contextmanager
def role_in(folder: Path, outbox: str, files: RunFiles | None) -> Iterator[EngineRole]:
    """Open the logs of a folder and run the engine between them, a snapshot at every step."""
    with (
        closing(SqliteLog(folder / "inbox.db")) as inbox,
        closing(SqliteLog(folder / outbox)) as results,
    ):
        yield EngineRole(inbox, results, snapshot_s=0 if files else 1e9, files=files)


def run_steadily(folder: Path) -> list[Entry]:
    """Return what an engine says that is never interrupted and has no files."""
    with role_in(folder, "steady.db", None) as role:
        while role.step():
            pass
    return outbox_of(folder / "steady.db")


def fill(folder: Path, frames: int) -> int:
    """Fill an inbox; return its last number."""
    with closing(SqliteLog(folder / "inbox.db")) as inbox:
        return inbox.append(late_records(frames, SEED))


@pytest.mark.timeout(600)
def test_ending_anywhere_while_files_are_written_changes_nothing(tmp_path: Path) -> None:
    """Before and after each sync and rename of a file, each time from what the disk holds."""
    fill(tmp_path, 160)
    steady = run_steadily(tmp_path)
    files, chance = tmp_path / "windows", random.Random(SEED)
    ended = 0
    for attempt in range(1000):
        fatal = 1 + 15 * attempt + chance.randrange(15)
        with pytest.MonkeyPatch.context() as patch:
            calls = iter(range(1, 1_000_000))
            for name in ("fsync", "rename"):
                patch.setattr(os, name, _fatal(getattr(os, name), calls, fatal))
            try:
                with role_in(tmp_path, "outbox.db", RunFiles(files)) as role:
                    while role.step():
                        pass
                break
            except Killed:
                ended += 1

    assert ended > 2
    assert outbox_of(tmp_path / "outbox.db") == steady, f"repeat with LAMPPOST_SEED={SEED}"
    revisions = [
        AggregateBatch.from_arrow(arrow_batch(entry.body)).revision.max()
        for entry in steady
        if entry.kind == log.AGGREGATES
    ]
    assert max(revisions) > 2


def _fatal(call: object, calls: Iterator[int], fatal: int) -> object:
    def called(*given: object) -> object:
        if next(calls) == fatal:
            raise Killed
        return call(*given)  # type: ignore[operator] # os.fsync or os.rename

    return called


def start_engine(folder: Path) -> subprocess.Popen[bytes]:
    """Start the engine as the supervisor would."""
    command = [sys.executable, "-m", "lamppost_app", "run", "--role", "engine"]
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            [*command, "--config", str(folder / "lamppost.toml")], stderr=output
        )


@pytest.mark.timeout(300)
def test_a_killed_engine_with_files_leaves_the_same_outbox(tmp_path: Path) -> None:
    """SIGKILL at random moments, a snapshot every few milliseconds."""
    chance = random.Random(SEED)
    (tmp_path / "lamppost.toml").write_text('[data]\ndir = "."\n[engine]\nsnapshot_s = 0.005\n')
    last = fill(tmp_path, 400)
    steady = run_steadily(tmp_path)

    with closing(SqliteLog(tmp_path / "outbox.db")) as outbox:
        for target in [*sorted(chance.sample(range(2, last), KILLS)), last]:
            engine = start_engine(tmp_path)
            until = time.monotonic() + 120
            while outbox.position(ENGINE) < target:
                assert engine.poll() is None, (tmp_path / "output.log").read_text()
                assert time.monotonic() < until, "the engine does not get on"
                time.sleep(0.005)
            time.sleep(chance.random() * 0.05)
            engine.send_signal(signal.SIGKILL)
            engine.wait()

    assert outbox_of(tmp_path / "outbox.db") == steady, f"repeat with LAMPPOST_SEED={SEED}"
    assert list((tmp_path / "windows").glob("*.npy"))


def test_files_no_snapshot_names_do_not_stay(tmp_path: Path) -> None:
    """What two snapshots name is there, and nothing else; a start clears what a crash left."""
    fill(tmp_path, 200)
    folder = tmp_path / "windows"
    folder.mkdir()
    orphan = RunFiles(folder).put(np.zeros(3, [("time", "i8")]))
    (folder / "half.part").write_bytes(b"")

    with role_in(tmp_path, "outbox.db", RunFiles(folder)) as role:
        assert not list(folder.iterdir())
        while role.step():
            pass
        role.keep_snapshot()
        named = role.engine.shelved()

    there = {path.stem for path in folder.iterdir()}
    assert orphan not in there
    assert named <= there
    assert len(there) < 3 * len(named) + 10


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_lost_file_is_named_at_the_start(tmp_path: Path, damage: str) -> None:
    """The engine does not go on as if those readings had never been."""
    fill(tmp_path, 100)
    folder = tmp_path / "windows"
    with role_in(tmp_path, "outbox.db", RunFiles(folder)) as role:
        while role.step():
            pass
        lost = folder / f"{min(role.engine.shelved())}.npy"
    if damage == "missing":
        lost.unlink()
    else:
        lost.write_bytes(lost.read_bytes()[:-1])

    with (
        pytest.raises(StorageFailed, match=lost.stem),
        role_in(tmp_path, "outbox.db", RunFiles(folder)),
    ):
        pass

    (tmp_path / "lamppost.toml").write_text('[data]\ndir = "."\n[mqtt]\nenabled = false\n')
    config = ("--config", str(tmp_path / "lamppost.toml"))
    sick = CliRunner().invoke(app, ["doctor", *config])
    assert f"WRONG  windows: windows/{lost.name}" in sick.output.replace(f"{tmp_path}/", "")
    repaired = CliRunner().invoke(app, ["repair", *config])
    assert lost.stem in repaired.output
    assert "right  windows" in CliRunner().invoke(app, ["doctor", *config]).output
    with closing(SqliteLog(tmp_path / "inbox.db")) as inbox:
        at = BEGIN + 100 * 20 * MINUTE_NS
        old, new = ("s0", BEGIN + HOUR_NS + 1, 5.0), ("s0", at, 6.0)
        inbox.append([frame(at, [old, new])])
    with role_in(tmp_path, "outbox.db", RunFiles(folder)) as role:
        while role.step():
            pass
    said = outbox_of(tmp_path / "outbox.db")[-2:]
    assert [entry.kind for entry in said] == [log.READINGS, log.QUARANTINE]
    assert arrow_batch(said[1].body)["code"].to_pylist() == ["beyond_horizon"]
