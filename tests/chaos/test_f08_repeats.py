# SPDX-License-Identifier: EUPL-1.2
"""F8: every message ten times, half of them two days late, all of it shuffled.

Method: a real broker, real roles, messages drawn in random order. Pass: every invariant holds; with
a horizon of three days the late ones re-open their windows, with one of six hours each lies in
quarantine; a duplicate costs no more than a new reading.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import duplicates
from benchmarks.timing import Plan
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import Mosquitto

REPEATS = 10
SENSORS = 20
LATE_S = 48 * 3600
HORIZONS = {"three days": 72 * 3600, "six hours": 6 * 3600}


@pytest.fixture(params=HORIZONS)
def roles(
    request: pytest.FixtureRequest, tmp_path: Path, broker: Mosquitto, proxy: RecordingProxy
) -> Iterator[Installation]:
    """Intake, engine and portal with one of the horizons."""
    horizon_s = HORIZONS[request.param]
    windows = {"correction_horizon_s": horizon_s}
    made = Installation(tmp_path, broker, broker_port=proxy.port, windows=windows)
    for role in ("intake", "engine", "portal"):
        made.start_role(role)
    made.wait_until(lambda: "mqtt_connected" in made.output())
    yield made
    made.kill_tree()


@pytest.mark.timeout(900)
def test_repeats_late_and_shuffled(
    chaos: Chaos,
    roles: Installation,
    proxy: RecordingProxy,
    broker: Mosquitto,
    request: pytest.FixtureRequest,
) -> None:
    """What is stored is what was measured, whatever order and however often it came."""
    half = chaos.pick(400, 20_000)
    # Whole hours apart, and the late half ends before the other begins.
    begin_s = (int(time.time()) - half // SENSORS - 120) // 3600 * 3600
    now, late = City(SENSORS, begin_s), City(SENSORS, begin_s - LATE_S)
    messages = [city(number) for city in (now, late) for number in range(half)] * REPEATS
    chaos.random.shuffle(messages)
    # The newest of each sensor goes first: from then on the late half is late.
    opening = [now(half - 1 - sensor) for sensor in range(SENSORS)]
    publisher = Publisher(broker.port, [*opening, *messages]).start()
    settle(roles, proxy, publisher.finish(), sinks=("store",))

    figures = check(Evidence(roles.folder / "data", acknowledged=proxy.acknowledged))
    held = request.node.callspec.params["roles"] == "three days"
    assert figures["readings"] == (2 * half if held else half)
    assert figures["too_old"] == (0 if held else half * REPEATS)
    assert figures["quarantined"] == figures["too_old"]
    chaos.report(
        fault="F8",
        did=f"{len(messages):,} messages, each {REPEATS} times, half {LATE_S // 3600} h late,"
        f" horizon {request.node.callspec.params['roles']}",
        readings=figures["readings"],
        duplicates=figures["duplicates"],
        quarantined=figures["quarantined"],
        windows=figures["windows"],
    )


def test_a_duplicate_costs_what_a_new_reading_costs(chaos: Chaos) -> None:
    """CPU of the engine, each frame once as new and once as a repeat."""
    (row,) = duplicates.measure(Plan(quick=not chaos.full))

    assert row.peer is not None
    chaos.report(
        fault="F8",
        did="CPU of a duplicate against a new reading, engine alone",
        duplicate_us=row.measured,
        new_us=row.peer.value,
        ratio=row.peer.ratio,
        limit=1.0,
    )
    assert row.peer.ratio < 3
