# SPDX-License-Identifier: EUPL-1.2
"""A dry run says what the engine would have said, the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost import log
from lamppost.errors import ConfigError
from lamppost.frames import Deliveries
from lamppost.log import Entry
from lamppost.policy import Policy, load_policy, parse_policy
from lamppost.times import DAY_NS, MINUTE_NS
from lamppost_app.dry_run import DryRun, inbox_of, newest
from sensor_sim.recordings import Recording, open_recording

ROOT = Path(__file__).parents[3]
POLICY = load_policy(ROOT / "policy")
BARE = parse_policy(
    {
        "routes": [{"match": "v1/+/readings", "format": "native_json"}],
        "windows": {"event_time": {"lengths": ["1h"], "allowed_lateness_s": 0}},
    }
)


def make_recording(folder: Path, *rows: str) -> Recording:
    """Return a recording of fine dust with a row for each text."""
    path = folder / "dust.csv"
    path.write_text("when,dust\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return open_recording(path, time_column="when", columns={"dust": "pm2_5"})


def replay(recording: Recording, policy: Policy) -> DryRun:
    """Run the engine on a recording."""
    run = DryRun()
    for entry in inbox_of(recording, "aq-1", policy):
        run.take(entry)
    return run


def minutes(count: int) -> list[str]:
    """Return a row a minute, its value its number."""
    return [f"2026-01-31T{row // 60:02d}:{row % 60:02d}:00Z,{row}" for row in range(count)]


def test_the_inbox_is_what_a_live_device_would_have_made(tmp_path: Path) -> None:
    """The policy first, then every reading at its own time, ticks in between and far beyond."""
    entries = list(inbox_of(make_recording(tmp_path, *minutes(180)), "aq-1", BARE))

    frames = [Deliveries.from_bytes(one.body) for one in entries if one.kind == log.FRAME]
    last = frames[-1].received_at[-1]
    assert [one.seq for one in entries] == list(range(1, len(entries) + 1))
    assert entries[0].kind == log.POLICY
    assert sum(len(frame) for frame in frames) == 180
    assert [one.at for one in entries] == sorted(one.at for one in entries)
    assert entries[-1] == Entry(len(entries), log.TICK, last + DAY_NS, b"")


def test_a_recording_out_of_order_is_heard_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A late row is received when the row before it was."""
    recording = make_recording(
        tmp_path, "2026-01-31T10:00:00Z,1", "2026-01-31T12:00:00Z,2", "2026-01-31T11:00:00Z,3"
    )

    entries = list(inbox_of(recording, "aq-1", BARE))

    received = [
        at
        for one in entries
        if one.kind == log.FRAME
        for at in Deliveries.from_bytes(one.body).received_at
    ]
    assert received == [received[0], received[0] + 120 * MINUTE_NS, received[0] + 120 * MINUTE_NS]


def test_a_recording_without_rows_is_refused(tmp_path: Path) -> None:
    """There is nothing to say about it."""
    with pytest.raises(ConfigError, match=r"dust\.csv"):
        list(inbox_of(make_recording(tmp_path), "aq-1", BARE))


def test_readings_and_aggregates_are_written_with_their_names(tmp_path: Path) -> None:
    """Numbers worked out by hand: three hours of 0 to 59, 60 to 119 and 120 to 179."""
    run = replay(make_recording(tmp_path, *minutes(180)), BARE)

    run.write(tmp_path / "out")

    readings = pq.read_table(tmp_path / "out" / "readings.parquet").to_pylist()
    hours = pq.read_table(tmp_path / "out" / "aggregates.parquet").to_pylist()
    assert [row["value"] for row in readings] == [float(row) for row in range(180)]
    assert {(row["sensor_id"], row["quantity"]) for row in readings + hours} == {("aq-1", "pm2_5")}
    assert [row["window"] for row in hours] == ["1h"] * 3
    assert [row["mean"] for row in hours] == [29.5, 89.5, 149.5]
    assert [row["count"] for row in hours] == [60, 60, 60]
    assert [row["start"].isoformat() for row in hours] == [
        f"2026-01-31T{hour:02d}:00:00+00:00" for hour in range(3)
    ]


def test_the_ledger_balances(tmp_path: Path) -> None:
    """Duplicates and what is too old are counted, not lost."""
    rows = [*minutes(600), "2026-01-31T09:59:00Z,599", "2025-12-31T00:00:00Z,7"]
    run = replay(make_recording(tmp_path, *rows), BARE)

    run.write(tmp_path / "out")

    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text(encoding="utf-8"))
    total = ledger["total"]
    assert total["received"] == 602
    assert (total["accepted"], total["duplicate"], total["quarantined"]) == (600, 1, 1)
    assert [row["code"] for row in run.quarantined] == ["beyond_horizon"]
    for name, count in total.items():
        assert count == sum(row[name] for row in ledger["rows"])
    assert "602 received, 600 accepted, 1 duplicate, 1 quarantined, 0 refused" in run.summary()


def test_two_dry_runs_write_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the policy finds in real air, it finds again."""
    recording = open_recording(ROOT / "tests/data/uci_air_quality_14_days.csv")
    files = ("readings.parquet", "aggregates.parquet", "alerts.ndjson", "ledger.json")

    for folder in ("one", "two"):
        replay(recording, POLICY).write(tmp_path / folder)

    for name in files:
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes()
        assert first or name == "alerts.ndjson"


def test_a_policy_that_reads_nothing_still_writes_every_file(tmp_path: Path) -> None:
    """Everything is in quarantine, and the tables are there without rows."""
    nothing = parse_policy({"windows": {"event_time": {}}})

    run = replay(make_recording(tmp_path, *minutes(3)), nothing)
    run.write(tmp_path / "out")

    for name in ("readings", "aggregates"):
        assert pq.read_table(tmp_path / "out" / f"{name}.parquet").num_rows == 0
    assert [row["code"] for row in run.quarantined] == ["no_format"] * 3
    assert run.ledger()["total"]["quarantined"] == 3


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_the_newest_row_of_each_key_is_kept(keys: list[tuple[int, int]]) -> None:
    """Sorted by key; rows come oldest first."""
    columns = [np.array([key[place] for key in keys], np.int64) for place in range(2)]

    kept = newest(*columns)

    last = {key: row for row, key in enumerate(keys)}
    assert kept.tolist() == [last[key] for key in sorted(last)]
