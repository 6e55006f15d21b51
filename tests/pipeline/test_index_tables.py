# SPDX-License-Identifier: EUPL-1.2
"""From a reading to a stored index value that still names its table when the rules have changed."""

from __future__ import annotations

import json
from pathlib import Path

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Entry, Record
from lamppost.policy import Policy, Route
from lamppost.times import HOUR_NS, MINUTE_NS, SECOND_NS, format_instant
from lamppost_app.engine import Engine
from sinks.store import Store, StoreSettings

BEGIN = 1_795_000_000 * SECOND_NS // HOUR_NS * HOUR_NS
FORMER = Policy(
    routes=(Route(match="v1/+/readings", format="native_json"),),
    windows={"event_time": {}},
    indices={"us_aqi": {"valid_hours": 1}, "nowcast": {}},
)
LATER = FORMER.model_copy(
    update={"indices": {"us_aqi": {"valid_hours": 1, "above_500": "capped"}, "nowcast": {}}}
)


def hour(number: int, level: float) -> list[Record]:
    """Return the readings of an hour, one in five minutes, and a tick when it is over."""
    deliveries = Deliveries()
    start = BEGIN + number * HOUR_NS
    for minute in range(0, 60, 5):
        at = start + minute * MINUTE_NS
        message = {"sensor": "aq-1", "time": format_instant(at), "values": {"pm2_5": level}}
        deliveries.add("v1/aq-1/readings", json.dumps(message).encode(), at, source="mqtt")
    end = start + HOUR_NS
    tick = Record(log.TICK, end + 5 * MINUTE_NS, b"")
    return [Record(log.FRAME, end, deliveries.to_bytes()), tick]


def test_a_value_names_its_table_after_the_rules_have_changed(tmp_path: Path) -> None:
    """And an hour of silence is told of, by whatever table is in force then."""
    inbox = [
        Record(log.POLICY, BEGIN, FORMER.canonical().encode()),
        *hour(0, 400.0),
        Record(log.POLICY, BEGIN + HOUR_NS + 6 * MINUTE_NS, LATER.canonical().encode()),
        *hour(1, 400.0),
        # Nothing is sent in the hours after that.
        *(Record(log.TICK, BEGIN + n * HOUR_NS + 10 * MINUTE_NS, b"") for n in (3, 4, 5)),
    ]
    engine, outbox = Engine(), []
    for seq, record in enumerate(inbox, start=1):
        outbox += engine.apply(Entry(seq, *record))
    store = Store(StoreSettings(path=tmp_path / "store.duckdb"))
    store.write([Entry(seq, *said) for seq, said in enumerate(outbox, start=1)], len(outbox))

    found = store.reader.rows(
        'SELECT "index", "end", value, averaging, table_version, policy FROM indices'
        ' ORDER BY "index", "end"'
    )
    store.close()

    told = [
        ((row["end"] - BEGIN) // HOUR_NS, row["value"], row["averaging"], row["table_version"])
        for row in found
    ]
    capped = "2024-05, capped at 500"
    assert told[:4] == [
        (1, 649, "24h", "2024-05"),
        (2, 500, "24h", capped),
        (3, 500, "24h", capped),
        (4, 500, "24h", capped),
    ]
    assert [one for one in told if one[2] == "nowcast"] == [
        (1, None, "nowcast", "2024-05"),
        (2, 649, "nowcast", "2024-05"),
        (3, 649, "nowcast", "2024-05"),
        (4, None, "nowcast", "2024-05"),
    ]
    assert [row["policy"] for row in found[:2]] == [FORMER.version, LATER.version]
