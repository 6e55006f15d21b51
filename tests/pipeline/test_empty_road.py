# SPDX-License-Identifier: EUPL-1.2
"""A speed of 0 on an empty road is missing the whole way, whatever order its messages come in."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.flags import MISSING, MISSING_VALUE
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route
from lamppost.series import SeriesKey
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from processors.quality.traffic_plausibility import NO_VEHICLE
from sinks.store import Store, StoreSettings

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    quality={
        "gross_range": {"quantities": {"speed": {"fail_span": [0, 254]}}},
        "traffic_plausibility": {},
    },
    detection={"robust_baseline": {"default": {"warm_up": 3, "noise": 1}}},
    windows={"event_time": {}},
)
SPEEDS = {"speed": [50, 0, 70, 60]}
COUNTS = {"vehicle_count": [3, 0, 2, 1]}

pytestmark = pytest.mark.vector(
    "traps", "loop archives in which speed 0 stands for a missing value"
)


class Run:
    """An engine and what it has said."""

    def __init__(self) -> None:
        """Start under the policy."""
        self.engine = Engine()
        self.said: list[Entry] = []
        self.take(Record(log.POLICY, BEGIN, POLICY.canonical().encode()))

    def take(self, record: Record) -> None:
        """Apply an inbox record."""
        for said in self.engine.apply(Entry(1, *record)):
            self.said.append(Entry(len(self.said) + 1, *said))

    def send(self, *messages: dict[str, list[float]]) -> None:
        """Receive messages in one frame, each with readings of the same four minutes."""
        at = BEGIN + 5 * MINUTE_NS
        deliveries = Deliveries()
        for values in messages:
            times = [format_instant(BEGIN + minute * MINUTE_NS) for minute in range(4)]
            message = {"sensor": "tr-1", "time": times, "values": values}
            deliveries.add("v1/tr-1/readings", json.dumps(message).encode(), at, source="mqtt")
        self.take(Record(log.FRAME, at, deliveries.to_bytes()))

    def one_by_one(self, *quantities: dict[str, list[float]]) -> None:
        """Receive every reading in a frame of its own, minute by minute."""
        for minute in range(4):
            for values in quantities:
                deliveries, at = Deliveries(), BEGIN + 5 * MINUTE_NS
                one = {name: numbers[minute] for name, numbers in values.items()}
                time = format_instant(BEGIN + minute * MINUTE_NS)
                message = {"sensor": "tr-1", "time": time, "values": one}
                body = json.dumps(message).encode()
                deliveries.add("v1/tr-1/readings", body, at, source="mqtt")
                self.take(Record(log.FRAME, at, deliveries.to_bytes()))

    def speeds(self) -> JudgedBatch:
        """Return what was said of speeds."""
        code = self.engine.series.find(SeriesKey("tr-1", "speed"))
        found = [entry for entry in self.said if entry.kind == log.READINGS]
        every = JudgedBatch.concat([JudgedBatch.from_arrow(arrow_batch(e.body)) for e in found])
        return every.take(every.series == code)

    def hour(self) -> AggregateBatch:
        """Return the newest revision of the hour of speeds."""
        self.take(Record(log.TICK, BEGIN + 3 * HOUR_NS, b""))
        found = [entry for entry in self.said if entry.kind == log.AGGREGATES]
        every = AggregateBatch.concat(
            [AggregateBatch.from_arrow(arrow_batch(entry.body)) for entry in found]
        )
        code = self.engine.series.find(SeriesKey("tr-1", "speed"))
        return every.take((every.series == code) & (every.length == HOUR_NS))


@pytest.mark.parametrize("first", [SPEEDS, COUNTS], ids=["speeds first", "counts first"])
@pytest.mark.parametrize("way", ["one message", "one at a time"])
def test_the_hour_is_the_mean_of_speeds_of_vehicles(
    first: dict[str, list[float]], way: str, tmp_path: Path
) -> None:
    """No number is published for the minute in which nobody passed, and its reason is."""
    run = Run()
    second = COUNTS if first is SPEEDS else SPEEDS
    sent = ({**first, **second},) if way == "one message" else (first, second)
    (run.send if len(sent) == 1 else run.one_by_one)(*sent)

    hour = run.hour()

    assert (hour.mean[-1], hour.min[-1], hour.count[-1], hour.excluded[-1]) == (60.0, 50.0, 3, 1)
    said = run.speeds()
    missing = said.take(said.flag == MISSING)
    assert missing.time.tolist() == [BEGIN + MINUTE_NS]
    assert missing.reasons.tolist() == [NO_VEHICLE.mask | MISSING_VALUE.mask]
    assert np.isnan(missing.value).all()
    assert stored(run, tmp_path) == [(50.0, 1), (None, MISSING), (70.0, 1), (60.0, 1)]


def test_a_zero_that_is_sent_again_is_a_duplicate_and_no_correction() -> None:
    """The number is still known, although nobody sees it."""
    run = Run()
    run.send(COUNTS, SPEEDS)
    before = len(run.speeds())

    run.send(SPEEDS)

    assert len(run.speeds()) == before


def stored(run: Run, folder: Path) -> list[tuple[float | None, int]]:
    """Return value and flag of each speed as the store has it in the end."""
    path = folder / "store.duckdb"
    store = Store(StoreSettings(path=path))
    store.write(run.said, run.said[-1].seq)
    store.close()
    code = run.engine.series.find(SeriesKey("tr-1", "speed"))
    with duckdb.connect(str(path), read_only=True) as found:
        question = "SELECT value, flag FROM readings WHERE series = ? ORDER BY time"
        return found.execute(question, [code]).fetchall()
