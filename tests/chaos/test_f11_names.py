# SPDX-License-Identifier: EUPL-1.2
"""F11, by names: a device that calls itself by another name in every message.

Method: a real engine on an inbox that names ever new sensors, in readings and in messages that
cannot be used. Pass: its memory is flat once the bounds of the policy are reached, everything is in
the ledger, and a sensor that was known before goes on.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from lamppost import log
from lamppost.frames import Deliveries
from lamppost.log import Record
from lamppost.policy import load_policy
from lamppost.times import SECOND_NS
from tests.chaos.evidence import Said, opened
from tests.chaos.test_f10_giant import resident
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import Mosquitto

PER_FRAME = 1_000
ALLOWED = 2_000
WARM = 24_000
MOST_GROWTH = 24 << 20


def frame(start: int, at: int) -> Record:
    """Return messages of sensors nobody knows, every other one of no use, and of one known."""
    deliveries = Deliveries()
    for number in range(start, start + PER_FRAME):
        quantity = "voc_index" if number % 2 else "nonsense"
        name = f"invented-{number}" if number % PER_FRAME else "known"
        message = {"sensor": name, "values": {quantity if number % PER_FRAME else "voc_index": 1}}
        route = f"v1/invented-{number}/readings"
        deliveries.add(route, json.dumps(message).encode(), at + number, source="mqtt")
    return Record(log.FRAME, at, deliveries.to_bytes())


@pytest.mark.timeout(900)
def test_invented_names_do_not_fill_the_memory(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto
) -> None:
    """Past the bounds, what is turned away leaves nothing behind but its quarantine record."""
    names = chaos.pick(40_000, 200_000)
    installation = Installation(tmp_path, broker)
    routes = tmp_path / "policy" / "routes.yaml"
    content = yaml.safe_load(routes.read_text())
    content["growth"] = {"new_sensors_per_h": ALLOWED, "unregistered_sensors": ALLOWED}
    routes.write_text(yaml.safe_dump(content))
    begin = time.time_ns()
    policy = load_policy(tmp_path / "policy").canonical().encode()
    installation.append(Record(log.POLICY, begin, policy))
    process = installation.start_role("engine")
    sizes = []
    with opened(tmp_path / "data" / "outbox.db") as outbox:
        for start in range(0, names, PER_FRAME):
            at = begin + start * SECOND_NS // PER_FRAME
            installation.append(frame(start, at), Record(log.TICK, at, b""))
            with opened(tmp_path / "data" / "inbox.db") as inbox:
                wanted = inbox.last()
            installation.wait_until(lambda wanted=wanted: outbox.position("engine") >= wanted, 120)
            sizes.append(resident(process.pid, "VmRSS"))
    installation.let_a_day_pass()
    installation.wait_until_delivered()
    assert installation.stop() == 0, installation.output()

    said = Said(tmp_path / "data" / "outbox.db")
    total = {
        name: sum(row[name] for row in said.ledger.values())
        for name in ("received", "accepted", "quarantined")
    }
    frames = names // PER_FRAME
    assert len(said.names) == ALLOWED
    assert total["received"] == names == total["accepted"] + total["quarantined"]
    assert total["accepted"] == ALLOWED - 1 + frames
    warm, rest = sizes[: WARM // PER_FRAME], sizes[WARM // PER_FRAME :]
    grown = max(rest) - max(warm)
    chaos.report(
        fault="F11",
        did=f"{names:,} invented names, {ALLOWED:,} allowed",
        memory_growth_MiB=grown / 2**20,
        limit_MiB=MOST_GROWTH >> 20,
        rows_of_the_ledger=len(said.ledger),
    )
    assert grown < MOST_GROWTH
