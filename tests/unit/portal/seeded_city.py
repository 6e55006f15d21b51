# SPDX-License-Identifier: EUPL-1.2
"""A small city as outbox entries: four stations, judged readings, aggregates, alerts, a ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from lamppost import log
from lamppost.alerts import AlertEvent
from lamppost.batch import AggregateBatch, IndexBatch, JudgedBatch
from lamppost.clock_skew import ClockBatch
from lamppost.details import Detail
from lamppost.fits import Fit
from lamppost.flags import CORRECTION, FAIL, GOOD, KERNEL_REASONS, SUSPECT
from lamppost.frames import arrow_bytes
from lamppost.indices import TABLES_KEY, IndexTable, named_tables
from lamppost.log import Entry
from lamppost.quantities import QUANTITIES
from lamppost.quarantine import QUARANTINE_SCHEMA
from lamppost.series import SeriesKey, SeriesTable
from lamppost.stations import Station
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from processors.indices.us_aqi import UsAqi

POLICY = "0123456789ab"
TOLD = {
    "quality.made_up": {
        "sentence": "Everything may be corrected.",
        "quantities": {"pm2_5": "PM2.5 may be corrected by 5 µg/m³."},
    }
}
STATIONS = (
    Station(sensor="aq-001", name="Market square", kind="air_quality", latitude=52.3702,
            longitude=4.8952, period_s=60, owner="City", licence="CC-BY-4.0", area="Centre"),
    Station(sensor="aq-002", name="Harbour & quay <east>", kind="air_quality", latitude=52.3781,
            longitude=4.9009, period_s=60, owner="Citizens", licence="ODbL-1.0", area="Harbour"),
    Station(sensor="tr-001", name="Ring road km 3", kind="traffic", latitude=52.3559,
            longitude=4.8797, period_s=60, owner="City", licence="CC-BY-4.0", area="South"),
    Station(sensor="aq-003", name="School street", kind="air_quality", latitude=52.3611,
            longitude=4.9104, period_s=60, owner="Citizens", licence="ODbL-1.0", area="South"),
)  # fmt: skip
SERIES = (
    SeriesKey("aq-001", "pm2_5"),
    SeriesKey("aq-001", "no2"),
    SeriesKey("aq-002", "pm2_5"),
    SeriesKey("tr-001", "vehicle_count", "lane=1"),
    SeriesKey("aq-003", "pm2_5"),
)
LEVELS = (12.0, 40.0, 18.0, 30.0, 9.0)
MINUTES = 120


@dataclass
class Outbox:
    """Numbers records as a log does."""

    now: int
    entries: list[Entry] = field(default_factory=list)

    def add(self, kind: str, body: bytes) -> Entry:
        """Append one record."""
        entry = Entry(len(self.entries) + 1, kind, self.now, body)
        self.entries.append(entry)
        return entry


def columns_body(batch: pa.RecordBatch, policy: str = POLICY) -> bytes:
    """Return the body of a columnar entry with the policy's version."""
    return arrow_bytes(batch.replace_schema_metadata({"policy": policy}))


def judged(
    series: int, times: np.ndarray, value: np.ndarray, revision: int = 0, level: float = 12.0
) -> JudgedBatch:
    """Return judged readings of one series; values far above the band are suspect."""
    high = level * 1.5
    flag = np.where(value > level * 4, FAIL, np.where(value > high, SUSPECT, GOOD))
    return JudgedBatch(
        series=np.full(len(times), series, np.int32),
        time=times,
        received=times + SECOND_NS,
        value=value,
        flag=flag.astype(np.uint8),
        reasons=np.where(flag == GOOD, 0, 1 << 4).astype(np.uint32),
        score=(value - level) / 2,
        expected=np.full(len(times), level),
        band_low=np.full(len(times), level * 0.5),
        band_high=np.full(len(times), high),
        revision=np.full(len(times), revision, np.int32),
    )


def aggregates(series: int, starts: np.ndarray, length: int, level: float) -> AggregateBatch:
    """Return complete windows of one series."""
    size = len(starts)
    mean = level + np.sin(np.arange(size))
    return AggregateBatch(
        series=np.full(size, series, np.int32),
        start=starts,
        length=np.full(size, length),
        calendar=np.zeros(size, np.uint8),
        revision=np.zeros(size, np.int32),
        count=np.full(size, length // MINUTE_NS),
        expected=np.full(size, length / MINUTE_NS),
        coverage=np.full(size, 0.9),
        mean=mean,
        min=mean - 1,
        max=mean + 1,
        sd=np.full(size, 0.5),
        total=mean * length / MINUTE_NS,
        suspect=np.zeros(size, np.int64),
        excluded=np.zeros(size, np.int64),
        flag=np.full(size, GOOD, np.uint8),
    )


def alert(alert_id: str, at: int, sensor: str = "aq-001", **changes: object) -> AlertEvent:
    """Return a firing event."""
    facts: dict[str, object] = {
        "alert_id": alert_id, "kind": "firing", "at": at, "rule": "pm_high",
        "title": "Particulates far above usual", "severity": "critical", "policy": POLICY,
        "sensor": sensor, "quantity": "pm2_5", "qualifiers": "", "since": at - 10 * MINUTE_NS,
        "observed": 61.4, "expected": 12.0, "band_low": 6.0, "band_high": 18.0, "unit": "ug/m3",
        "sentence": "PM2.5 has been three times the usual level for ten minutes.",
        "clears_when": "PM2.5 stays below 18 ug/m3 for five minutes.",
    }  # fmt: skip
    return AlertEvent.model_validate({**facts, **changes})


def alerts_body(*events: AlertEvent) -> bytes:
    """Return the body of an alerts entry."""
    return json.dumps([event.model_dump() for event in events]).encode()


def rules_body() -> bytes:
    """Return the body of a rules entry."""
    rule = {"use": "threshold", "title": "Particulates far above usual", "severity": "critical",
            "for_s": 600.0, "clear_for_s": 300.0, "settings": {"above": 18.0}}  # fmt: skip
    content = {
        "alerts": {"pm_high": rule},
        "indices": {"us_aqi": {}},
        "advice": {"us_aqi": {"en": ["Go out."] * 2 + ["Take it easy."] * 4}},
        "publication": {"publisher": "Test city", "licence": "CC-BY-4.0", "title": "Test data",
                        "licence_url": "https://creativecommons.org/licenses/by/4.0/"},
    }  # fmt: skip
    reasons = [
        {"bit": r.bit, "name": r.name, "sentence": r.sentence, "citation": r.citation,
         "rules": TOLD if r == CORRECTION else {}}
        for r in KERNEL_REASONS
    ]  # fmt: skip
    quantities = {
        name: {"unit": q.unit, "label": q.label, "kind": q.kind} for name, q in QUANTITIES.items()
    }
    document = {"policy": POLICY, "content": content, "reasons": reasons,
                "indices": {"1": "us_aqi"}, "scales": {"us_aqi": UsAqi.scale.published()},
                "quantities": quantities}  # fmt: skip
    return json.dumps(document).encode()


def city_entries(now: int) -> list[Entry]:
    """Return the outbox of a city that has run for two hours up to ``now``."""
    outbox = Outbox(now)
    outbox.add(log.RULES, rules_body())
    outbox.add(log.STATIONS, json.dumps([s.model_dump() for s in STATIONS]).encode())
    outbox.add(log.SERIES, arrow_bytes(SeriesTable(SERIES).to_arrow()))
    times = now - MINUTE_NS * np.arange(MINUTES, 0, -1)
    random = np.random.default_rng(7)
    batches = []
    for code, level in enumerate(LEVELS):
        wave = np.sin(np.arange(MINUTES) / 9) * level / 5
        value = level + wave + random.normal(0, level / 15, MINUTES)
        kept = np.ones(MINUTES, np.bool_)
        if code == 0:
            value[-12:] += 25
            value[30] = 300.0
            kept[50:62] = False
        if code == 4:
            kept[60:] = False
        batches.append(judged(code, times[kept], value[kept], level=level))
    outbox.add(log.READINGS, columns_body(JudgedBatch.concat(batches).to_arrow()))
    hour = now // HOUR_NS * HOUR_NS
    windows = [
        aggregates(code, hour - length * np.arange(count, 0, -1), length, level)
        for code, level in enumerate(LEVELS)
        for length, count in ((MINUTE_NS, 60), (HOUR_NS, 5))
    ]
    outbox.add(log.AGGREGATES, columns_body(AggregateBatch.concat(windows).to_arrow()))
    outbox.add(log.INDICES, _indices_body(hour))
    outbox.add(log.ALERTS, alerts_body(*_alerts(now)))
    held = outbox.add(log.QUARANTINE, arrow_bytes(_quarantine(now)))
    decided = {"message": held.seq, "row": 1, "state": "replayed", "at": now, "by": "Operator",
               "reason": "unit added"}  # fmt: skip
    outbox.add(log.QUARANTINE_STATES, json.dumps([decided]).encode())
    outbox.add(log.LEDGER, json.dumps(_ledger(hour)).encode())
    outbox.add(log.FITS, json.dumps([fit.model_dump() for fit in _fits(hour)]).encode())
    outbox.add(log.DETAILS, json.dumps([one._asdict() for one in _details(times)]).encode())
    outbox.add(log.CLOCKS, columns_body(_clocks(now).to_arrow()))
    return outbox.entries


def _fits(hour: int) -> list[Fit]:
    """Return a line that is in use, and a newer one that is not."""
    used = Fit(
        sensor="aq-001", quantity="pm2_5", qualifiers="", reference="aq-002", method="1",
        first_hour=hour - 14 * DAY_NS, end=hour, start=hour, until=hour + 14 * DAY_NS, n=300,
        slope=0.52, offset=2.75, r2=0.91, rmse=1.8, largest=61.0, lag_h=0, outcome="in_force",
    )  # fmt: skip
    other = {"start": hour + DAY_NS, "outcome": "clock", "lag_h": 2, "r2": 0.2}
    return [used, used.model_copy(update=other)]


def _details(times: np.ndarray) -> list[Detail]:
    """Return what stands behind the reason of some readings, the newest among them."""
    reason = CORRECTION.bit
    return [Detail(0, int(times[row]), reason, f"It was {row} before.") for row in (-3, -2, -1)]


def _clocks(now: int) -> ClockBatch:
    """Return a right clock, one an hour ahead, and one a little behind; one is not known."""
    return ClockBatch(
        series=np.array([0, 1, 2, 3]),
        skew=np.array([0.3, 0.3, -3599.2, 7.4]) * SECOND_NS,
        spread=np.full(4, SECOND_NS // 10),
        readings=np.full(4, 5),
        until=np.full(4, now // MINUTE_NS * MINUTE_NS),
    )


def _indices_body(hour: int) -> bytes:
    indices = IndexBatch(
        series=np.array([0, 2], np.int32), index=np.array([1, 1]), end=np.array([hour, hour]),
        revision=np.zeros(2, np.int32), concentration=np.array([38.1, 18.0]),
        value=np.array([107.0, np.nan]), category=np.array([3, 0]),
        coverage=np.array([0.95, 0.5]), beyond=np.array([0, 0]), table=np.array([1, 2]),
    )  # fmt: skip
    tables = {1: [IndexTable("", ""), IndexTable("24h", "2024-05"), IndexTable("8h", "2024-05")]}
    told = {"policy": POLICY, TABLES_KEY: named_tables(indices, tables)}
    return arrow_bytes(indices.to_arrow().replace_schema_metadata(told))


def _alerts(now: int) -> list[AlertEvent]:
    silent = {"rule": "silent", "title": "Station silent", "severity": "warning", "quantity": "",
              "observed": 3600.0, "expected": 300.0, "unit": "s", "band_low": None,
              "band_high": None, "sentence": "No reading for 60 minutes; 5 are permitted.",
              "clears_when": "A reading arrives."}  # fmt: skip
    old = {"severity": "info", "title": "Noise at night", "rule": "noise"}
    return [
        alert("alert-1", now - 5 * MINUTE_NS),
        alert("alert-2", now - 50 * MINUTE_NS, "aq-003", **silent),
        alert("alert-3", now - 90 * MINUTE_NS, "tr-001", **old),
        alert("alert-4", now - 80 * MINUTE_NS, "aq-002"),
        alert("alert-3", now - 60 * MINUTE_NS, "tr-001", **{**old, "kind": "resolved"}),
        alert("alert-4", now - 70 * MINUTE_NS, "aq-002", kind="acknowledged", by="Operator",
              comment="Barge with a smoking engine; harbour office informed."),
    ]  # fmt: skip


def _quarantine(now: int) -> pa.RecordBatch:
    row = {"received_at": now, "source": "mqtt", "route": "v1/x/readings", "headers": None,
           "payload": b"\x00not json", "sensor": "x", "code": "malformed",
           "detail": "not JSON"}  # fmt: skip
    secret = b'{"sensor":"aq-001","at":[52.370216,4.895168],"mac":"aa:bb:cc:dd:ee:ff","x":"<b>"}'
    own = {**row, "route": "v1/aq-001/readings", "payload": secret, "sensor": "aq-001",
           "code": "unknown_unit", "detail": "'ppx' does not measure no2"}  # fmt: skip
    return pa.RecordBatch.from_pylist([row, own], schema=QUARANTINE_SCHEMA)


def _ledger(hour: int) -> list[dict[str, object]]:
    counters = {"received": 120, "accepted": 115, "duplicate": 2, "quarantined": 3, "refused": 0}
    return [{"source": "mqtt", "sensor": s.sensor, "hour": hour, **counters} for s in STATIONS]
