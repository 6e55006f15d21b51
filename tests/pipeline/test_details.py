# SPDX-License-Identifier: EUPL-1.2
"""Codes in place of measurements, and the numbers behind reasons, go the whole way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lamppost import log
from lamppost.batch import AggregateBatch, JudgedBatch
from lamppost.flags import CORRECTION, MISSING_VALUE
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route
from lamppost.stations import Station
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from processors.quality.neighbours import NEIGHBOURS
from processors.quality.sentinel import SENTINEL
from sinks.store import Store, StoreSettings

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
POLICY = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    quality={
        # What looks at the number first must not decide what becomes of it.
        "gross_range": {"quantities": {"pm2_5": {"fail_span": [0, 500]}}},
        "sentinel": {"quantities": {"pm2_5": [999.9, -999]}},
        "spike": {"quantities": {"pm2_5": {"suspect": 100, "fail": 200}}},
        "neighbours": {"quantities": {"pm2_5": {}}},
    },
    detection={"robust_baseline": {"default": {"warm_up": 3, "noise": 1}}},
    windows={"event_time": {}},
)
NOTHING = np.uint32(SENTINEL.mask | MISSING_VALUE.mask)


class Run:
    """An engine beside one that is restarted before every entry, and what they said."""

    def __init__(self) -> None:
        """Start with three stations a kilometre apart."""
        self.engine, self._other = Engine(), Engine()
        self.said: list[Entry] = []
        self._given = 0
        stations = [
            Station(
                sensor=f"aq-{number}", kind="air_quality", latitude=48 + number / 100, longitude=8
            )
            for number in (1, 2, 3)
        ]
        registered = json.dumps([station.model_dump() for station in stations]).encode()
        self.take(Record(log.POLICY, BEGIN, POLICY.canonical().encode()))
        self.take(Record(log.REGISTRATION, BEGIN, registered))

    def take(self, record: Record) -> None:
        """Apply an inbox record; what is said does not depend on restarts."""
        self._given += 1
        entry = Entry(self._given, *record)
        said = self.engine.apply(entry)
        self._other = Engine.from_snapshot(self._other.snapshot())
        assert self._other.apply(entry) == said
        self.said += [Entry(len(self.said) + number, *one) for number, one in enumerate(said, 1)]

    def send(self, sensor: str, minute: int, *values: float) -> None:
        """Receive readings a minute apart."""
        at = BEGIN + (minute + len(values)) * MINUTE_NS
        times = [format_instant(BEGIN + (minute + n) * MINUTE_NS) for n in range(len(values))]
        message = {"sensor": sensor, "time": times, "values": {"pm2_5": values}}
        deliveries = Deliveries()
        deliveries.add("v1/x/readings", json.dumps(message).encode(), at, source="mqtt")
        self.take(Record(log.FRAME, at, deliveries.to_bytes()))

    def readings(self) -> JudgedBatch:
        """Return all readings said so far."""
        entries = [entry for entry in self.said if entry.kind == log.READINGS]
        return JudgedBatch.concat([JudgedBatch.from_arrow(arrow_batch(e.body)) for e in entries])

    def details(self) -> list[dict[str, Any]]:
        """Return all details said so far."""
        bodies = [entry.body for entry in self.said if entry.kind == log.DETAILS]
        return [row for body in bodies for row in json.loads(body)]

    def hour(self) -> AggregateBatch:
        """Return the newest revision of the first hour of the first series."""
        entries = [entry for entry in self.said if entry.kind == log.AGGREGATES]
        found = AggregateBatch.concat(
            [AggregateBatch.from_arrow(arrow_batch(entry.body)) for entry in entries]
        )
        mine = (found.length == HOUR_NS) & (found.start == BEGIN) & (found.series == 0)
        return found.take(np.flatnonzero(mine)[-1:])


def test_a_code_is_missing_with_its_reason_and_enters_nothing() -> None:
    """Domain.md, trap 11: 999.9 and -999 are no measurements; they stay findable."""
    run = Run()
    run.send("aq-1", 0, 10.0, 999.9, 11.0, -999.0, 12.0)
    run.take(Record(log.TICK, BEGIN + 3 * HOUR_NS, b""))

    found, hour = run.readings(), run.hour()

    first = found.take(found.revision == 0)
    np.testing.assert_array_equal(first.value, [10, np.nan, 11, np.nan, 12])
    assert first.flag.tolist()[1::2] == [9, 9]
    assert (first.reasons[1::2] == NOTHING).all()
    assert not np.isin(found.flag, [3, 4]).any()
    assert np.isnan(found.score[np.isnan(found.value)]).all()
    assert (hour.count[0], hour.excluded[0], hour.mean[0], hour.max[0]) == (3, 2, 11.0, 12.0)
    assert [row["detail"] for row in run.details()] == [
        "It came as 999.9 µg/m³.",
        "It came as -999 µg/m³.",
    ]


def test_a_code_sent_again_is_a_duplicate_and_a_value_after_it_a_correction() -> None:
    """What was held of the instant is that nothing was measured."""
    run = Run()
    run.send("aq-1", 0, 10.0, 999.9, 11.0)
    run.send("aq-1", 1, 999.9)
    before = len(run.readings())
    run.send("aq-1", 1, 10.4)
    run.take(Record(log.TICK, BEGIN + 3 * HOUR_NS, b""))

    found = run.readings()

    assert before == 3
    assert len(run.details()) == 1
    assert (found.value[-1], found.flag[-1]) == (10.4, 1)
    assert found.reasons[-1] & CORRECTION.mask
    assert not found.reasons[-1] & NOTHING
    assert (run.hour().count[0], run.hour().excluded[0]) == (3, 0)


def test_a_neighbour_does_not_see_a_code() -> None:
    """Nobody is compared with what was not measured."""
    run = Run()
    run.send("aq-2", 0, 999.9)
    run.send("aq-3", 0, 11.0)
    run.send("aq-1", 0, 60.0)

    (told,) = (row for row in run.details() if row["reason"] == NEIGHBOURS.bit)

    assert told["detail"] == (
        "It is 49 from the median 11 of 1 neighbour (aq-3 11), whose IQR is 0;"
        " for so few the limit is 2.236 times as wide, so that 31.3 is believed."
    )


def test_the_store_keeps_details_with_the_readings_and_as_long(tmp_path: Path) -> None:
    """By series, instant and reason; told twice, they are kept once."""
    run = Run()
    run.send("aq-1", 0, 10.0, 999.9)
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))

    store.write(run.said, run.said[-1].seq)
    store.write(run.said, run.said[-1].seq)
    held = store.reader.rows("SELECT series, time, reason, detail FROM details")
    later = Entry(run.said[-1].seq + 1, log.LEDGER, BEGIN + 30 * 24 * HOUR_NS, b"[]")
    store.write([later], later.seq)

    assert held == [
        {
            "series": 0,
            "time": BEGIN + MINUTE_NS,
            "reason": SENTINEL.bit,
            "detail": "It came as 999.9 µg/m³.",
        }
    ]
    assert store.reader.number("SELECT count(*) FROM details") == 0
    store.close()
