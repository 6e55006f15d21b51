# SPDX-License-Identifier: EUPL-1.2
"""F5: the disk is full, and has room again later.

Method: the data folder is a tmpfs that is filled up while messages flow. Pass: nothing more is
acknowledged, the connection to the broker stays, HTTP answers 503 with Retry-After, no role spins;
less than 5 s after there is room acknowledgements go on, and nothing is lost or doubled anywhere.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.chaos.conftest import KeyedDatabase
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.small_disk import SmallDisk
from tests.chaos.trial import Chaos
from tests.installation import Installation

QUIET_S = 3.0
RESUME_S = 5.0


@pytest.fixture
def disk(tmp_path: Path, installation: Installation) -> Iterator[SmallDisk]:
    """The data folder's own disk."""
    mounted = SmallDisk(tmp_path / "data", 64)
    yield mounted
    installation.kill_tree()
    mounted.unmount()


@pytest.mark.timeout(1500)
def test_a_full_disk_stops_acknowledgements_and_loses_nothing(
    chaos: Chaos,
    installation: Installation,
    disk: SmallDisk,
    proxy: RecordingProxy,
    database: KeyedDatabase,
) -> None:
    """All roles wait, each in its way, and catch up by themselves."""
    times, messages = chaos.pick(1, 5), chaos.pick(8_000, 60_000)
    # So slow that something is still to come after the last filling.
    rate = chaos.pick(1_000.0, 250.0)
    city = City.ending_now(100, messages)
    installation.start()
    publisher = Publisher(proxy.broker_port, map(city, range(messages)), rate=rate).start()
    resumed_s, busy_s = [], []
    for number in range(1, times + 1):
        due = messages * number // (times + 2)
        installation.wait_until(lambda due=due: len(proxy.acknowledged) >= due)
        fill_until_quiet(installation, disk, proxy)
        connections, before = len(proxy.passages), len(proxy.acknowledged)
        intake = installation.pids()["intake"]
        begun_s = cpu_s(installation)
        assert pushed(installation.port) == (503, "5")
        time.sleep(chaos.pick(3.0, 20.0))
        busy_s.append(cpu_s(installation) - begun_s)
        assert len(proxy.acknowledged) == before

        disk.empty()
        emptied_at = time.monotonic()
        installation.wait_until(lambda before=before: len(proxy.acknowledged) > before)
        resumed_s.append(time.monotonic() - emptied_at)
        assert len(proxy.passages) == connections
        assert installation.pids()["intake"] == intake
    published = publisher.finish(600)
    evidence = settle(installation, proxy, published)

    figures = check(replace(evidence, database=database))
    assert figures["readings"] == messages
    assert max(resumed_s) < chaos.pick(60.0, RESUME_S)
    chaos.report(
        fault="F5",
        did=f"64 MB disk full {times} time(s) in {messages:,} messages",
        lost=0,
        doubled=0,
        resumed_after_s=max(resumed_s),
        limit_s=RESUME_S,
        roles_restarted=installation.output().count("role_ended"),
        cpu_s_of_all_roles_while_full=max(busy_s),
    )


@pytest.mark.timeout(600)
def test_an_installation_on_a_full_disk_can_be_stopped_and_started(
    chaos: Chaos,
    installation: Installation,
    disk: SmallDisk,
    proxy: RecordingProxy,
    database: KeyedDatabase,
) -> None:
    """No reserve is needed: stopping writes nothing that has to be written."""
    if not chaos.full:
        pytest.skip("takes a minute: full form only")
    messages = 4_000
    city = City.ending_now(100, messages)
    installation.start()
    publisher = Publisher(proxy.broker_port, map(city, range(messages)), rate=1_000.0).start()
    installation.wait_until(lambda: len(proxy.acknowledged) >= messages // 4)
    fill_until_quiet(installation, disk, proxy)

    code = installation.stop()
    stopped = installation.output()
    disk.empty()
    installation.start()
    published = publisher.finish(600)
    evidence = settle(installation, proxy, published)

    assert code == 0
    assert "Traceback" not in stopped
    assert "role_killed" not in stopped
    figures = check(replace(evidence, database=database))
    assert figures["readings"] == messages


def fill_until_quiet(installation: Installation, disk: SmallDisk, proxy: RecordingProxy) -> None:
    """Keep the disk full until nothing has been acknowledged for a while.

    A log goes on for a little in room it has already; what is pushed uses it up.
    """
    state = {"count": -1, "since": time.monotonic()}

    def quiet() -> bool:
        disk.fill()
        if len(proxy.acknowledged) != state["count"]:
            state.update(count=len(proxy.acknowledged), since=time.monotonic())
        return time.monotonic() - state["since"] > QUIET_S and pushed(installation.port)[0] == 503

    installation.wait_until(quiet)
    assert "inbox_refuses" in installation.output(), installation.output()


def pushed(port: int) -> tuple[int, str]:
    """Push something large that is no reading over HTTP; return status and Retry-After."""
    reading = {"note": "x" * 100_000}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/readings",
        json.dumps(reading).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"]


def cpu_s(installation: Installation) -> float:
    """Return the CPU time all roles that run have taken."""
    spent = [psutil.Process(pid).cpu_times() for pid in installation.pids().values()]
    return sum(one.user + one.system for one in spent)
