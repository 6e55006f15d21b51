# SPDX-License-Identifier: EUPL-1.2
"""F11: one device floods while a thousand others send as ever.

Method: a real broker, a real intake and engine; a thousand devices publish at a steady rate, at
first alone, then beside one that sends as fast as the machine can. Pass: of the others nothing is
lost and the p99 of their latency, to the inbox and to the outbox, stays below twice what it was
alone; the flooding device is throttled, named, and all it sent is in the ledger.
"""

from __future__ import annotations

import bisect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from lamppost import log
from lamppost.batch import JudgedBatch
from lamppost.flooding import FLOODING_RULE_ID
from lamppost.frames import Deliveries, arrow_batch
from lamppost.log import Entry
from lamppost.series import SeriesTable
from lamppost.times import SECOND_NS
from tests.chaos.evidence import Evidence, Said, every_entry, opened
from tests.chaos.flooder import DEVICE
from tests.chaos.invariants import check
from tests.chaos.publisher import Publisher
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import Mosquitto

DEVICES = 1_000
LIMITS = """
[limits]
messages_per_s = 50
burst_messages = 2_000
kept_messages_per_h = 1_000
"""


@dataclass
class Watch:
    """When each entry of a log was first seen, from a thread that looks every millisecond."""

    path: Path
    numbers: list[int] = field(default_factory=list)
    instants: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()

    def seen_at(self, number: int) -> float:
        """Return when an entry was first seen, Unix seconds."""
        return self.instants[bisect.bisect_left(self.numbers, number)]

    def _look(self) -> None:
        with opened(self.path) as watched:
            while not self._stop.wait(0.001):
                last = watched.last()
                if not self.numbers or last > self.numbers[-1]:
                    self.instants.append(time.time())
                    self.numbers.append(last)


def readings(phase: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield messages of a thousand devices, each with the instant it is published."""
    for number in range(count):
        name = f"{phase}{number % DEVICES:04d}"
        yield (
            f"v1/{name}/readings",
            f'{{"sensor":"{name}","time":{time.time():.6f},"values":{{"voc_index":100}}}}'.encode(),
        )


def inbox_latencies(path: Path, watch: Watch) -> dict[str, list[float]]:
    """Return the seconds from publication to commit, by the first letter of the device."""
    found: dict[str, list[float]] = {}
    with opened(path) as inbox:
        for entry in every_entry(inbox):
            frame = entry.kind == log.FRAME
            for payload in Deliveries.from_bytes(entry.body).payloads if frame else ():
                message = json.loads(payload)
                if "time" in message:
                    late = watch.seen_at(entry.seq) - message["time"]
                    found.setdefault(message["sensor"][0], []).append(late)
    return found


def outbox_latencies(path: Path, watch: Watch) -> dict[str, list[float]]:
    """Return the seconds from publication to the judged reading in the outbox."""
    found: dict[str, list[float]] = {}
    names = SeriesTable()
    with opened(path) as outbox:
        for entry in every_entry(outbox):
            if entry.kind == log.SERIES:
                names.extend_from_arrow(arrow_batch(entry.body))
            if entry.kind != log.READINGS:
                continue
            batch = JudgedBatch.from_arrow(arrow_batch(entry.body))
            for code, at in zip(batch.series.tolist(), batch.time.tolist(), strict=True):
                late = watch.seen_at(entry.seq) - at / SECOND_NS
                found.setdefault(names[code].sensor[0], []).append(late)
    return found


@pytest.mark.timeout(900)
def test_a_flood_is_its_senders_trouble_alone(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto
) -> None:
    """A thousand devices lose nothing and hardly wait; the one that floods is named."""
    seconds, rate = chaos.pick(3, 30), chaos.pick(250.0, 500.0)
    count = int(seconds * rate)
    floods = dict(zip("bc", chaos.pick([5_000.0], [20_000.0, 50_000.0]), strict=False))
    sent, rates = 0, {"a": 0.0}
    installation = Installation(tmp_path, broker, settings=LIMITS)
    data = tmp_path / "data"
    installation.start_role("intake")
    installation.wait_until(lambda: "mqtt_connected" in installation.output())
    installation.start_role("engine")
    installation.wait_until(lambda: "engine_ready" in installation.output())
    try:
        warm = Publisher(broker.port, readings("w", DEVICES), rate=4 * rate, client_id="warm")
        published = warm.start().finish()
        with Watch(data / "inbox.db") as inbox, Watch(data / "outbox.db") as outbox:
            alone = Publisher(broker.port, readings("a", count), rate=rate, client_id="a")
            published += alone.start().finish()
            for phase, flood_rate in floods.items():
                flood = start_flood(broker.port, seconds + 1, flood_rate)
                time.sleep(0.5)
                beside = Publisher(broker.port, readings(phase, count), rate=rate, client_id=phase)
                published += beside.start().finish()
                said, _ = flood.communicate(timeout=120)
                sent_in, took_s = (float(word) for word in said.split())
                sent += int(sent_in)
                rates[phase] = sent_in / took_s
            wanted = len(published) + sent
            heard = Heard(data / "inbox.db")
            installation.wait_until(lambda: heard.messages() >= wanted, 120)
            installation.let_a_day_pass()
            installation.wait_until_delivered()
            time.sleep(0.1)
        assert installation.stop() == 0, installation.output()
    finally:
        installation.kill_tree()

    figures = check(Evidence(data, acknowledged=published))
    (fired, resolved) = flood_alerts(data / "outbox.db")
    assert (fired["kind"], resolved["kind"], fired["sensor"]) == ("firing", "resolved", DEVICE)
    assert fired["observed"] > fired["expected"] == 50
    rows = Said(data / "outbox.db").ledger
    of_flood = [row for (_, sensor, _), row in rows.items() if sensor == DEVICE]
    received, refused = (sum(row[name] for row in of_flood) for name in ("received", "refused"))
    assert received == sent
    assert refused > 0.5 * sent
    assert sum(row["refused"] for row in rows.values()) == refused
    to_inbox = inbox_latencies(data / "inbox.db", inbox)
    to_outbox = outbox_latencies(data / "outbox.db", outbox)
    for phase in floods:
        assert len(to_inbox[phase]) == len(to_outbox[phase]) == count
    p99 = {
        f"p99 to the {where} beside {flood:,.0f}/s, ms": 1000 * _p99(found[phase])
        for where, found in (("inbox", to_inbox), ("outbox", to_outbox))
        for phase, flood in rates.items()
    }
    chaos.report(
        fault="F11",
        did=f"one device floods beside {DEVICES:,} at {rate:.0f} messages/s together",
        lost=0,
        flood_refused=refused,
        flood_quarantined=figures["quarantined"],
        **p99,
    )


def _p99(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 99))


def start_flood(port: int, seconds: float, rate: float) -> subprocess.Popen[str]:
    """Let one device flood, from a process of its own."""
    command = [sys.executable, "-m", "tests.chaos.flooder", str(port), str(seconds), str(rate)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class Heard:
    """How many messages an inbox accounts for, stored or refused."""

    def __init__(self, path: Path) -> None:
        """Take the inbox."""
        self._path = path
        self._after = self._messages = 0

    def messages(self) -> int:
        """Count what is new."""
        with opened(self._path) as inbox:
            while entries := inbox.read(self._after, 512):
                self._messages += sum(map(_messages, entries))
                self._after = entries[-1].seq
        return self._messages


def _messages(entry: Entry) -> int:
    if entry.kind in {log.FRAME, log.THROTTLED}:
        return len(Deliveries.from_bytes(entry.body))
    rows = json.loads(entry.body) if entry.kind == log.EXCESS else []
    return sum(row["refused"] for row in rows)


def flood_alerts(path: Path) -> list[dict[str, object]]:
    """Return what was said about devices over their limit."""
    with opened(path) as outbox:
        events = [event for entry in outbox.scan(log.ALERTS) for event in json.loads(entry.body)]
    return [event for event in events if event["rule"] == FLOODING_RULE_ID]
