# SPDX-License-Identifier: EUPL-1.2
"""F19: the proof that the suite can see loss: each step is broken on purpose, and it turns red.

Method: one function of the real code is replaced in a child process (see `mutants/launch.py`), the
child is killed where it hurts, and the checker looks at what is left. Pass: the broken step is
found, and the same trial with the step whole is clean.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lamppost.log import FRAME
from lamppost_app.cursors import Cursors
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from tests.chaos.conftest import KeyedDatabase
from tests.chaos.evidence import Evidence, opened
from tests.chaos.inboxes import BEGIN_S, fill, run_engine
from tests.chaos.invariants import examine
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.integration.scripted_broker import ScriptedBroker
from tests.services import Mosquitto

LAUNCH = Path(__file__).parent / "mutants" / "launch.py"
MESSAGES = 6_000


def broken_by(name: str) -> tuple[str, ...]:
    """Return the command that runs the command line with a step broken."""
    return (sys.executable, str(LAUNCH), name)


def whole(control: str) -> object:
    """Return the case of a step that is slow and not broken; it is made in the full form."""
    return pytest.param(control, set(), marks=pytest.mark.chaos_full)


def judged(chaos: Chaos, mutant: str, evidence: Evidence, expected: set[str]) -> None:
    """Hold what the checker finds against what it must find."""
    findings = examine(evidence)
    told = "; ".join(f"{invariant} {what[:80]}" for invariant, what in findings.violations)
    if expected:
        chaos.report(
            fault="F19", did=f"mutant {mutant}", found_by=", ".join(sorted(findings.broken))
        )
        assert findings.broken >= expected, f"the checker does not see {mutant}: {told}"
    else:
        chaos.report(fault="F19", did=f"control {mutant}", found_by="nothing, rightly")
        assert not findings.violations, told


@pytest.mark.parametrize(
    ("mutant", "expected"), [whole("slow_disk"), ("acknowledge_first", {"I1"})]
)
def test_an_acknowledgement_before_the_commit_is_seen(
    chaos: Chaos,
    installation: Installation,
    proxy: RecordingProxy,
    mutant: str,
    expected: set[str],
) -> None:
    """Killed between the two, the intake has acknowledged what is nowhere."""
    city = City.ending_now(20, 100_000)
    publisher = Publisher(proxy.broker_port, map(city, range(100_000)), rate=500.0).start()
    for _ in range(2):
        before = len(proxy.acknowledged)
        installation.start_role("intake", launcher=broken_by(mutant))
        installation.wait_until(lambda before=before: len(proxy.acknowledged) > before)
        installation.kill("intake")
    publisher.stop()
    installation.let_a_day_pass()
    run_engine(installation.folder / "data")

    evidence = Evidence(installation.folder / "data", acknowledged=proxy.acknowledged)
    judged(chaos, mutant, evidence, expected)


@pytest.mark.parametrize(
    ("mutant", "expected"),
    [whole("slow_results"), ("position_first", {"I1", "I4"}), ("state_dropped", {"I4"})],
)
def test_results_lost_or_wrong_after_a_crash_of_the_engine_are_seen(
    chaos: Chaos, tmp_path: Path, broker: Mosquitto, mutant: str, expected: set[str]
) -> None:
    """Killed after its first commit, the engine goes on as if it had said what it has not."""
    settings = "[engine]\nsnapshot_s = 0.001\n"
    installation = Installation(tmp_path, broker, settings=settings)
    data = tmp_path / "data"
    messages = [City(20, BEGIN_S)(number) for number in range(MESSAGES)]
    last = fill(data, messages, size=30)
    with killing(installation), contextlib.closing(SqliteLog(data / "outbox.db")) as outbox:
        for target in (0, 64, last - 1):
            installation.start_role("engine", launcher=broken_by(mutant))
            installation.wait_until(lambda target=target: outbox.position(ENGINE) > target)
            if target < last - 1:
                installation.kill("engine")
        time.sleep(1.0)
        assert installation.stop() == 0, installation.output()

    evidence = Evidence(data, acknowledged=[payload for _, payload in messages])
    judged(chaos, mutant, evidence, expected)


@pytest.mark.parametrize(("mutant", "expected"), [whole("slow_sink"), ("cursor_first", {"I1"})])
def test_a_position_before_the_write_is_seen(
    chaos: Chaos,
    tmp_path: Path,
    broker: Mosquitto,
    database: KeyedDatabase,
    mutant: str,
    expected: set[str],
) -> None:
    """Killed between the two, the sink never gets what it is said to have."""
    installation = Installation(tmp_path, broker, database)
    data = tmp_path / "data"
    messages = [City(20, BEGIN_S)(number) for number in range(MESSAGES)]
    fill(data, messages, size=30)
    run_engine(data)
    with opened(data / "outbox.db") as outbox:
        last = outbox.last()
    with killing(installation), contextlib.closing(Cursors(data / "cursors.db")) as cursors:
        for target in (0, last - 1):
            installation.start_role("deliver", launcher=broken_by(mutant))
            installation.wait_until(lambda target=target: cursors.position("influxdb") > target)
            if target < last - 1:
                installation.kill("deliver")
        time.sleep(1.0)

    judged(chaos, mutant, Evidence(data, database=database), expected)


@pytest.mark.parametrize(
    ("mutant", "expected"), [whole("stalled_disk"), ("any_connection", {"I1"})]
)
def test_an_acknowledgement_over_a_later_connection_is_seen(
    chaos: Chaos, tmp_path: Path, mutant: str, expected: set[str]
) -> None:
    """The broker has lost the session and uses its numbers again: for other messages."""
    city = City(20, int(time.time()) - 3_600)
    with contextlib.closing(ScriptedBroker(speaks_5=True)) as broker:
        installation = Installation(tmp_path, broker, broker_port=broker.port)
        with killing(installation):
            installation.start_role("intake", launcher=broken_by(mutant))
            first = broker.accept()
            first.welcome(session_present=False)
            first.publish_all(city(number) for number in range(5))
            time.sleep(0.5)
            first.socket.close()
            second = broker.accept()
            second.welcome(session_present=False)
            second.publish_all(city(number) for number in range(5, 10))
            with contextlib.closing(installation.inbox) as inbox:
                installation.wait_until(partial(_has_a_frame, inbox))
            answers = [one.mid for one in second.within(1.0) if one.kind == 4]
            installation.kill("intake")
    installation.let_a_day_pass()
    run_engine(tmp_path / "data")

    acknowledged = [city(4 + mid)[1] for mid in answers]
    judged(chaos, mutant, Evidence(tmp_path / "data", acknowledged=acknowledged), expected)


def _has_a_frame(inbox: SqliteLog) -> bool:
    return bool(inbox.sizes(FRAME))


@contextlib.contextmanager
def killing(installation: Installation) -> Iterator[None]:
    """Leave nothing running."""
    try:
        yield
    finally:
        installation.kill_tree()
