# SPDX-License-Identifier: EUPL-1.2
"""F7: the machine's clock jumps a day, and devices tell odd times.

Method: real roles under libfaketime, whose offset is changed while messages flow; messages around
daylight-saving changes and a leap second. Pass: no window is lost, no role turns in circles, time
in the inbox never jumps, and a time that cannot be believed is flagged or quarantined with its
reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from lamppost import log
from lamppost.flags import SUSPECT, TIME_IMPLAUSIBLE
from lamppost.times import DAY_NS, SECOND_NS, parse_instant
from tests.chaos.evidence import Evidence, Said, every_entry, opened
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import Mosquitto, binary

ROLES = ("intake", "engine", "portal")
JUMPS = ("+1d", "-1d", "+0")
KEEP = "[store]\nreadings_days = 36500\naggregates_days = { 1min = 0, 15min = 0 }\n"
# Half of a processor in a role that has nothing to do means that it turns in circles.
IDLE_SHARE = 0.5


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """What the roles' clocks are set by."""
    binary("faketime")
    path = tmp_path / "clock"
    path.write_text("+0\n")
    return path


@pytest.fixture
def roles(
    tmp_path: Path, clock: Path, broker: Mosquitto, proxy: RecordingProxy
) -> Iterator[Installation]:
    """Intake, engine and portal under a clock that can be set."""
    library = next(iter(sorted(Path("/usr/lib").glob("**/libfaketimeMT.so.1"))))
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    folder = tmp_path / "installation"
    folder.mkdir()
    made = Installation(folder, broker, broker_port=proxy.port, settings=KEEP)
    for role in ROLES:
        made.start_role(role, environment=environment)
    made.wait_until(lambda: "mqtt_connected" in made.output())
    yield made
    made.kill_tree()


def live(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield messages of four devices whose clocks are right, as time passes."""
    stamp = 0.0
    for number in range(count):
        name, value = f"s{number % 4}", number % 401 + 50
        # Messages that leave together are still of different instants.
        stamp = max(time.time(), stamp + 0.001)
        text = f'{{"sensor":"{name}","time":{stamp:.3f},"values":{{"voc_index":{value}}}}}'
        yield f"v1/{name}/readings", text.encode()


@pytest.mark.timeout(600)
def test_a_jumping_clock_loses_no_window(
    chaos: Chaos, roles: Installation, proxy: RecordingProxy, broker: Mosquitto, clock: Path
) -> None:
    """A day ahead, a day back, and right again; devices go on as if nothing were."""
    span_s, rate = chaos.pick(3.0, 60.0), 50.0
    count = round(rate * span_s * (len(JUMPS) + 1))
    publisher = Publisher(broker.port, live(count), rate=rate).start()
    for jump in JUMPS:
        time.sleep(span_s)
        clock.write_text(f"{jump}\n")
    published = publisher.finish()
    shares = idle_shares(roles, chaos.pick(3.0, 20.0))
    evidence = settle(roles, proxy, published, sinks=("store",))

    data = evidence.data
    figures = check(evidence)
    gaps = [after - before for before, after in pairwise(tick_instants(data))]
    reasons = Said(data / "outbox.db").readings["reasons"].to_pylist()
    assert "clock_jumped" in roles.output()
    assert figures["readings"] == count
    assert not any(mask & TIME_IMPLAUSIBLE.mask for mask in reasons)
    assert min(gaps) > 0
    assert max(gaps) < 60 * SECOND_NS
    assert max(shares.values()) < IDLE_SHARE, shares
    chaos.report(
        fault="F7",
        did=f"clock set to {', '.join(JUMPS)} of the truth in {count:,} messages",
        readings_flagged=0,
        longest_gap_between_ticks_s=max(gaps) / 1e9,
        idle_share_of_a_processor=max(shares.values()),
    )


def idle_shares(roles: Installation, seconds: float) -> dict[str, float]:
    """Return the share of a processor each role takes with nothing to do."""
    before, begun_at = roles.cpu_s(), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun_at
    return {role: (cpu_s - before[role]) / passed for role, cpu_s in roles.cpu_s().items()}


def tick_instants(data: Path) -> list[int]:
    """Return the instants of the ticks in the order they were entered, but for that of the end."""
    end = time.time_ns() + 3 * DAY_NS // 2
    with opened(data / "inbox.db") as inbox:
        ticks = [entry.at for entry in every_entry(inbox) if entry.kind == log.TICK]
    return [at for at in ticks if at < end]


# Sensor, time as sent, and whether it can be believed.
ODD_TIMES = (
    ("autumn", "2026-10-25T02:30:00+02:00", True),
    ("autumn", "2026-10-25T02:30:00+01:00", True),
    ("autumn", "2026-10-25T03:00:00+01:00", True),
    ("spring", "2026-03-29T01:59:59+01:00", True),
    ("spring", "2026-03-29T03:00:00+02:00", True),
    ("leap", "2016-12-31T23:59:59Z", True),
    ("leap", "2017-01-01T00:00:00Z", True),
    ("inserted", "2016-12-31T23:59:60Z", False),
    ("battery", "1970-01-01T00:00:07Z", False),
    ("ahead", "2031-01-01T00:00:00Z", False),
    ("minutes", "+600", False),
    ("a-moment", "+20", True),
)


@pytest.mark.timeout(600)
def test_odd_times_are_kept_apart_or_flagged(
    chaos: Chaos, roles: Installation, proxy: RecordingProxy, broker: Mosquitto
) -> None:
    """An hour that comes twice is two hours; what cannot be is marked, and costs itself only."""
    messages, believed = [], {}
    for number, (sensor, stamp, credible) in enumerate(ODD_TIMES):
        shown = f"{int(time.time()) + int(stamp)}" if stamp.startswith("+") else f'"{stamp}"'
        text = f'{{"sensor":"{sensor}","time":{shown},"values":{{"voc_index":{number + 60}}}}}'
        messages.append((f"v1/{sensor}/readings", text.encode()))
        believed[number + 60] = credible
    # The newest of "late" first, so that the other lies beyond the correction horizon.
    for stamp in ("2026-11-20T12:00:00Z", "2026-10-12T12:00:00Z"):
        text = f'{{"sensor":"late","time":"{stamp}","values":{{"voc_index":50}}}}'
        messages.append(("v1/late/readings", text.encode()))
    publisher = Publisher(broker.port, messages).start()
    settle(roles, proxy, publisher.finish(), sinks=("store",))

    figures = check(Evidence(roles.folder / "data", acknowledged=proxy.acknowledged))
    said = Said(roles.folder / "data" / "outbox.db")
    names = list(said.names)
    flagged = 0
    for row in said.readings.to_pylist():
        if row["value"] in believed:
            implausible = bool(row["reasons"] & TIME_IMPLAUSIBLE.mask)
            assert implausible != believed[row["value"]], (names[row["series"]], row)
            assert (row["flag"] == SUSPECT) or not implausible
            flagged += implausible
    stamps = {stamp for sensor, stamp, _ in ODD_TIMES if sensor in {"autumn", "spring", "leap"}}
    times = set(said.readings["time"].to_pylist())
    assert {parse_instant(stamp) for stamp in stamps} <= times
    assert figures["too_old"] == 1
    assert said.quarantine["code"].to_pylist() == ["beyond_horizon"]
    chaos.report(
        fault="F7",
        did=f"{len(messages)} messages around daylight saving, a leap second and wrong clocks",
        kept=figures["readings"],
        flagged=flagged,
        quarantined=figures["quarantined"],
    )
