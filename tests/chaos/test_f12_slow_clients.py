# SPDX-License-Identifier: EUPL-1.2
"""F12, slow consumers: clients that send or read a byte now and then, or nothing at all.

Method: a real portal process, raw sockets that stall in every phase of a request.
Pass: other clients are served all the while, each stalled connection is cut after the limit, the
number of live pages and of connections is bounded, memory is bounded.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamppost_app.settings import DataSettings, Settings

PROGRAM = """
import json, sys
from pathlib import Path
from lamppost import events
from lamppost_app.portal.server import run_portal
from lamppost_app.settings import DataSettings, HttpSettings, Settings
events.configure("INFO", "portal")
http = HttpSettings(port=0, **json.loads(sys.argv[2]))
run_portal(Settings(data=DataSettings(dir=Path(sys.argv[1])), http=http))
"""
PATIENCE_S = 1.0
BIG_FILE = 30_000_000
LIVE_PAGES = 5
CONNECTIONS = 40
FIRST = b"GET /downloads/files/big.csv HTTP/1.1\r\nHost: x\r\n\r\n"
PUSH = (
    b"POST /api/v1/readings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 90000\r\n\r\n"
)
Behaviour = Callable[[socket.socket], None]


@dataclass
class Portal:
    """A running portal."""

    process: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> bytes:
        """Fetch an address as an ordinary client."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return bytes(answer.read())

    def connect(self, said: bytes = b"") -> socket.socket:
        """Open a connection with small buffers and say something."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(said)
        return connection

    def cut(self) -> dict[str, int]:
        """Return how many connections were cut, by cause."""
        text = self.get("/metrics").decode()
        found = re.findall(r'lamppost_connections_cut_total\{cause="(\w+)"\} (\d+)', text)
        return {cause: int(count) for cause, count in found}

    def memory_bytes(self) -> int:
        """Return the memory the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index] # always there


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    """Start a portal that is impatient, with a large file to download."""
    folder = Settings(data=DataSettings(dir=tmp_path)).open_data_path
    folder.mkdir(parents=True)
    (folder / "big.csv").write_bytes(b"0123456789\n" * (BIG_FILE // 11))
    http = {
        "client_patience_s": PATIENCE_S,
        "max_live_pages": LIVE_PAGES,
        "max_connections": CONNECTIONS,
    }
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), json.dumps(http)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            found = re.search(r"portal_listening.* port=(\d+)", line)
            if found:
                break
        assert found is not None
        yield Portal(process, int(found[1]))
        process.terminate()
        process.wait(30)


def is_cut(connection: socket.socket) -> bool:
    """Read until the end and return whether the server has broken the connection off."""
    connection.settimeout(30)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def trickling(connection: socket.socket, text: bytes) -> None:
    """Send a byte after the other, slowly, for as long as the server lets us."""
    with contextlib.suppress(ConnectionError):
        for place in range(len(text)):
            connection.sendall(text[place : place + 1])
            time.sleep(0.1)


def sipping(connection: socket.socket) -> None:
    """Read a byte now and then, for as long as there are any."""
    with contextlib.suppress(OSError):
        while connection.recv(1):
            time.sleep(0.1)


STALLED: dict[str, tuple[bytes, Behaviour, str]] = {
    "nothing at all": (b"", lambda _: None, "slow_head"),
    "half a head": (b"GET / HTTP/1.1\r\nHost: x\r\n", lambda _: None, "slow_head"),
    "a head byte by byte": (
        b"GET / HTTP/1.1\r\nX-Long: ",
        lambda connection: trickling(connection, b"x" * 600),
        "slow_head",
    ),
    "half a body": (PUSH + b'{"sensor"', lambda _: None, "slow_body"),
    "a body byte by byte": (
        PUSH,
        lambda connection: trickling(connection, b" " * 600),
        "slow_body",
    ),
    "a download nobody reads": (FIRST, lambda _: None, "slow_reader"),
    "a download byte by byte": (FIRST, sipping, "slow_reader"),
}


def test_who_stalls_is_cut_and_nobody_else_notices(portal: Portal) -> None:
    """Each phase of a request at once, while an ordinary client asks on and on."""
    before = portal.memory_bytes()
    connections = [portal.connect(said) for said, _, _ in STALLED.values()]
    threads = [
        threading.Thread(target=behave, args=(connection,))
        for connection, (_, behave, _) in zip(connections, STALLED.values(), strict=True)
    ]
    for thread in threads:
        thread.start()

    wanted = {cause for _, _, cause in STALLED.values()}
    end = time.monotonic() + 60
    answered = 0
    while sum(portal.cut().values()) < len(STALLED):
        portal.get("/healthz")
        answered += 1
        assert time.monotonic() < end, portal.cut()
        time.sleep(0.05)
    grown = portal.memory_bytes() - before
    assert all(is_cut(connection) for connection in connections)
    for thread in threads:
        thread.join()
    for connection in connections:
        connection.close()

    assert set(portal.cut()) == wanted
    assert answered > 0
    assert grown < 50_000_000


def test_live_pages_are_bounded_and_a_stalled_one_holds_nobody_up(portal: Portal) -> None:
    """One page too many is told to come back; a page that does not read delays no other."""
    ask = b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
    pages = [portal.connect(ask) for _ in range(LIVE_PAGES)]
    assert all(page.recv(12) == b"HTTP/1.1 200" for page in pages)

    with pytest.raises(urllib.error.HTTPError) as refused:
        portal.get("/events")
    assert refused.value.code == 503
    assert refused.value.headers["Retry-After"]
    refused.value.close()
    pages.pop().close()
    end = time.monotonic() + 30
    while True:
        page = portal.connect(ask)
        if page.recv(12) == b"HTTP/1.1 200":
            pages.append(page)
            break
        page.close()
        assert time.monotonic() < end
        time.sleep(0.05)
    pages[-1].settimeout(10)
    seen = b""
    while b"heartbeat" not in seen:
        seen += pages[-1].recv(4096)
    for page in pages:
        page.close()


def test_a_crowd_of_idle_connections_keeps_nobody_out(portal: Portal) -> None:
    """The one that has been idle longest makes room."""
    crowd = [portal.connect(b"GET / HT") for _ in range(3 * CONNECTIONS)]
    for _ in range(20):
        assert portal.get("/healthz")

    assert portal.cut().get("made_room", 0) >= 2 * CONNECTIONS
    for connection in crowd:
        assert is_cut(connection)
        connection.close()
