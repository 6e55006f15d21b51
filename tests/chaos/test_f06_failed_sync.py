# SPDX-License-Identifier: EUPL-1.2
"""F6: fsync returns EIO, once, on each file of ours.

Method: a library loaded before libc refuses to sync files of a name. Pass: the process whose file
it was syncs it no second time, acknowledges nothing after it, says what happened and exits
non-zero; the supervisor starts it again, it opens the file anew, and nothing that was acknowledged
is lost.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lamppost import log
from lamppost.frames import Deliveries
from lamppost_app.roles import STORAGE_EXIT
from tests.chaos.conftest import KeyedDatabase
from tests.chaos.evidence import every_entry, opened
from tests.chaos.invariants import check
from tests.chaos.mqtt_proxy import RecordingProxy
from tests.chaos.publisher import City, Publisher
from tests.chaos.settling import settle
from tests.chaos.trial import Chaos
from tests.installation import Installation
from tests.services import binary

FILES = ("inbox.db", "outbox.db", "cursors.db", "store.duckdb")


class FailingSync:
    """The library, and what it is told to refuse."""

    def __init__(self, folder: Path) -> None:
        """Compile it."""
        self._armed = folder / "armed"
        self._log = folder / "armed.log"
        library = folder / "failing_sync.so"
        source = Path(__file__).with_name("failing_sync.c")
        given = ["-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run([binary("gcc"), *given], check=True)
        self.environment = {"LD_PRELOAD": str(library), "FAILING_SYNC": str(self._armed)}

    def refuse(self, name: str) -> None:
        """Let every sync of files of this name fail."""
        self._armed.write_text(name)

    def relent(self) -> None:
        """Let all syncs pass."""
        self._armed.unlink()

    def refused(self) -> list[tuple[int, str]]:
        """Return process and file of every refused sync."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(int(pid), Path(name).name) for pid, name in (line.split(" ") for line in lines)]


@pytest.fixture
def failing_sync(tmp_path_factory: pytest.TempPathFactory) -> FailingSync:
    """A disk that can fail."""
    return FailingSync(tmp_path_factory.mktemp("sync"))


@pytest.mark.timeout(300)
def test_an_intake_whose_inbox_cannot_be_synced_ends_and_acknowledges_nothing(
    chaos: Chaos, installation: Installation, proxy: RecordingProxy, failing_sync: FailingSync
) -> None:
    """The last frame is not acknowledged, the file is not synced again, the exit code says it."""
    city = City.ending_now(100, 1_000_000)
    intake = installation.start_role("intake", environment=failing_sync.environment)
    publisher = Publisher(proxy.broker_port, map(city, range(1_000_000)), rate=1_000.0).start()
    wanted = chaos.random.randrange(500, 1_500)
    installation.wait_until(lambda: len(proxy.acknowledged) > wanted)

    failing_sync.refuse("inbox.db")
    code = intake.wait(60)
    publisher.stop()

    acknowledged = set(proxy.acknowledged)
    (passage,) = proxy.passages
    assert code == STORAGE_EXIT
    assert len(failing_sync.refused()) == 1
    assert "storage_failed" in installation.output()
    assert "the disk refused to sync" in installation.output()
    failing_sync.relent()
    stored = payloads(installation.folder / "data" / "inbox.db")
    assert acknowledged <= stored
    assert passage.under_way
    chaos.report(
        fault="F6",
        did="EIO at a sync of the inbox: intake",
        exit_code=code,
        acknowledged=len(acknowledged),
        acknowledged_and_lost=0,
        received_and_not_acknowledged=len(passage.under_way),
    )


@pytest.mark.timeout(300)
def test_a_checkpoint_that_cannot_be_synced_ends_the_intake(
    installation: Installation, proxy: RecordingProxy, failing_sync: FailingSync
) -> None:
    """SQLite itself would go on as if nothing had happened, and sync the same pages once more."""
    city = City.ending_now(100, 1_000_000)
    intake = installation.start_role("intake", environment=failing_sync.environment)
    publisher = Publisher(proxy.broker_port, map(city, range(1_000_000)), rate=1_000.0).start()
    installation.wait_until(lambda: len(proxy.acknowledged) > 100)

    failing_sync.refuse("/inbox.db$")
    code = intake.wait(60)
    publisher.stop()

    assert code == STORAGE_EXIT
    assert [name for _, name in failing_sync.refused()] == ["inbox.db"]
    assert "the disk refused to sync" in installation.output()
    assert set(proxy.acknowledged) <= payloads(installation.folder / "data" / "inbox.db")


@pytest.mark.chaos_full
@pytest.mark.timeout(900)
def test_every_role_outlives_a_failed_sync_of_its_files(
    chaos: Chaos,
    installation: Installation,
    proxy: RecordingProxy,
    database: KeyedDatabase,
    failing_sync: FailingSync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever syncs it first ends, is started again, and every sink gets everything once."""
    for name, value in failing_sync.environment.items():
        monkeypatch.setenv(name, value)
    files = [*FILES] * chaos.pick(1, 4)
    chaos.random.shuffle(files)
    messages = chaos.pick(2_000, 100_000)
    city = City.ending_now(100, messages)
    installation.start()
    publisher = Publisher(proxy.broker_port, map(city, range(messages)), rate=500.0).start()
    for name in files:
        before = len(failing_sync.refused())
        failing_sync.refuse(name)
        installation.wait_until(lambda before=before: len(failing_sync.refused()) > before)
        failing_sync.relent()
        pid = failing_sync.refused()[-1][0]
        installation.wait_until(lambda pid=pid: pid not in installation.pids().values())
        time.sleep(chaos.random.random())
    published = publisher.finish(600)
    evidence = settle(installation, proxy, published)

    figures = check(replace(evidence, database=database))
    refusals = Counter(pid for pid, _ in failing_sync.refused())
    # Two sinks of one process each have the cursor file open, and may both come to it.
    assert max(refusals.values()) <= 2, failing_sync.refused()
    ends = re.findall(
        r"storage_failed|^lamppost: .* refused to sync", installation.output(), re.MULTILINE
    )
    assert len(ends) == len(refusals), installation.output()
    assert figures["readings"] == messages
    chaos.report(
        fault="F6",
        did=f"EIO at a sync of {', '.join(files)} in {messages:,} messages",
        roles_ended=len(refusals),
        lost=0,
        doubled=0,
    )


def payloads(path: Path) -> set[bytes]:
    """Return what an inbox holds of devices."""
    with opened(path) as inbox:
        frames = [entry.body for entry in every_entry(inbox) if entry.kind == log.FRAME]
    return {payload for body in frames for payload in Deliveries.from_bytes(body).payloads}
