# SPDX-License-Identifier: EUPL-1.2
"""The portal as a process: it feeds its store, answers, and stops when it is told to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamppost.log import Record
from lamppost_app.settings import DataSettings, Settings
from lamppost_app.sqlite_log import SqliteLog
from sinks.store import Store, StoreSettings
from tests.unit.portal.seeded_city import city_entries

PROGRAM = """
import sys
from pathlib import Path
from lamppost import events
from lamppost_app.portal.server import run_portal
from lamppost_app.settings import DataSettings, HttpSettings, Settings
events.configure("INFO", "portal")
run_portal(Settings(data=DataSettings(dir=Path(sys.argv[1])), http=HttpSettings(port=0)))
"""


@dataclass
class Process:
    """A running portal."""

    process: subprocess.Popen[str]
    address: str
    settings: Settings

    def get(self, path: str) -> bytes:
        """Fetch an address."""
        with urllib.request.urlopen(f"{self.address}{path}", timeout=5) as answer:
            return bytes(answer.read())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Process]:
    """Start a portal on a free port, with a city in its outbox."""
    settings = Settings(data=DataSettings(dir=tmp_path))
    outbox = SqliteLog(settings.outbox_path)
    entries = city_entries(time.time_ns())
    outbox.append([Record(entry.kind, entry.at, entry.body) for entry in entries])
    outbox.close()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"portal_listening.* port=(\d+)", line)
            if found:
                break
        yield Process(process, f"http://127.0.0.1:{found[1]}", settings)
        process.kill()


def test_the_outbox_reaches_the_pages_and_sigterm_ends_it_with_a_listener(running: Process) -> None:
    """The store is fed, a live channel is open, and still the process stops promptly and clean."""
    end = time.monotonic() + 10
    while b"Particulates far above usual" not in running.get("/"):
        assert time.monotonic() < end, "the outbox never reached the page"
        time.sleep(0.05)
    with urllib.request.urlopen(f"{running.address}/events", timeout=5) as channel:
        assert channel.readline() == b"retry: 2000\n"
        running.process.send_signal(signal.SIGTERM)
        code = running.process.wait(timeout=8)

    assert code == 0
    store = Store(StoreSettings(path=running.settings.store_path))
    assert store.cursor() == len(city_entries(time.time_ns()))
    store.close()


def test_a_pushed_reading_is_in_the_inbox_when_the_answer_comes(running: Process) -> None:
    """From the socket to the log."""
    body = json.dumps({"sensor": "aq-9", "values": {"pm2_5": 1.5}}).encode()
    request = urllib.request.Request(f"{running.address}/api/v1/readings", body)
    request.add_header("Content-Type", "application/json")

    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 202

    inbox = SqliteLog(running.settings.inbox_path)
    assert inbox.last() == 1
    inbox.close()


def test_the_examples_of_the_documentation_run(running: Process, tmp_path: Path) -> None:
    """Every shell block of docs/api.md, as it stands, against a running portal."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    end = time.monotonic() + 60
    while b'"items":[]' in running.get("/api/v1/indices"):
        assert time.monotonic() < end, "the outbox never reached the interface"
        time.sleep(0.05)

    said = {}
    for block in blocks:
        script = block.replace("http://127.0.0.1:8642", running.address)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}{done.stderr}"
        assert done.stdout, block
        said[block] = done.stdout

    assert len(blocks) >= 7
    pages = next(text for block, text in said.items() if "while" in block)
    assert pages.count("\n") == 5 + 3  # five series on three pages with a header each
    assert "304" in next(text for block, text in said.items() if "If-None-Match" in block)
