# SPDX-License-Identifier: EUPL-1.2
"""What a disk may hold after a power cut: made from the system calls a real process made.

What was synced is there. Of what was not, any part may be: writes whole, torn or missing, in any
order, and of new and deleted names those up to any moment.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tests.services import binary

_CALLS: Final = "openat,pwrite64,write,fdatasync,fsync,ftruncate,unlink,rename,renameat2"
_HEX: Final = r"((?:\\x[0-9a-f]{2})*)"
_LINES: Final = {
    "write": re.compile(rf'pwrite64\(\d+<{_HEX}>, "{_HEX}", (\d+), (\d+)\) += \d+$'),
    "truncate": re.compile(rf"ftruncate\(\d+<{_HEX}>, (\d+)\) += 0$"),
    "sync": re.compile(rf"(?:fdatasync|fsync)\(\d+<{_HEX}>\) += 0$"),
    "unlink": re.compile(rf'unlink\("{_HEX}"\) += 0$'),
    "open": re.compile(rf'openat\(AT_FDCWD[^,]*, "{_HEX}", [^)]*\) += \d+<'),
    "said": re.compile(rf'write\(1<[^>]*>, "{_HEX}", \d+\) += \d+$'),
}
# Nothing else may change a file of ours, or the model would be wrong.
_UNKNOWN: Final = re.compile(r"(?:rename|renameat2|write)\((?!1<|2<)")
_SECTOR: Final = 512


class Call(NamedTuple):
    """One system call: what it did, to which path, and with what."""

    what: str
    path: str
    data: bytes = b""
    number: int = 0


def record(script: str, folder: Path, *arguments: object) -> list[Call]:
    """Run a script under strace and return the calls it made in a folder, and what it said."""
    trace = folder.with_suffix(".strace")
    given = ["-y", "-xx", "-s", "100000000", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    subprocess.run(
        [binary("strace"), *given, "-o", str(trace), sys.executable, "-c", script]
        + [str(argument) for argument in (folder, *arguments)],
        check=True,
        cwd=Path(__file__).parents[2],
        # Compiled modules are long writes that are none of ours.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    calls = [call for line in trace.read_text().splitlines() for call in _parsed(line)]
    trace.unlink()
    return [call for call in calls if call.what == "said" or call.path.startswith(str(folder))]


def _parsed(line: str) -> Iterator[Call]:
    for what, pattern in _LINES.items():
        found = pattern.match(line)
        if found is None:
            continue
        first = _bytes(found[1])
        if what == "write":
            assert len(_bytes(found[2])) == int(found[3])
            yield Call(what, first.decode(), _bytes(found[2]), int(found[4]))
        elif what == "said":
            yield Call(what, "", first)
        else:
            number = int(found[2]) if what == "truncate" else 0
            yield Call(what, first.decode(), number=number)
        return
    assert not _UNKNOWN.match(line), line


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class _File:
    """A file: what is safe, and the writes that may or may not be."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)

    def sync(self) -> None:
        for call in self.pending:
            _apply(self.safe, call)
        self.pending.clear()

    def after_a_crash(self, chance: random.Random) -> bytes:
        """Return the safe bytes with some of the pending writes."""
        if not self.pending:
            return bytes(self.safe)
        content = bytearray(self.safe)
        whole = chance.choice(("all", "none", "prefix", "subset", "torn"))
        end = chance.randrange(len(self.pending) + 1)
        for place, call in enumerate(self.pending):
            if whole == "all" or (whole in {"prefix", "torn"} and place < end):
                _apply(content, call)
            elif whole == "subset" and chance.random() < 0.5:
                _apply(content, _torn(call, chance) if chance.random() < 0.3 else call)
            elif whole == "torn" and place == end:
                _apply(content, _torn(call, chance))
        return bytes(content)


class SimulatedDisk:
    """A folder as the calls leave it, and what may be found there after a power cut."""

    def __init__(self, folder: Path) -> None:
        """Begin empty."""
        self._folder = str(folder)
        self._there: dict[str, _File] = {}
        self._safe: dict[str, _File] = {}
        self._pending: list[tuple[str, _File | None]] = []

    def apply(self, call: Call) -> None:
        """Do what a call did."""
        name = Path(call.path).name
        if call.what == "sync" and call.path == self._folder:
            self._safe = dict(self._there)
            self._pending.clear()
        elif call.what == "sync":
            self._there[name].sync()
        elif call.what == "open" and call.path != self._folder and name not in self._there:
            self._there[name] = _File()
            self._pending.append((name, self._there[name]))
        elif call.what == "unlink":
            del self._there[name]
            self._pending.append((name, None))
        elif call.what in {"write", "truncate"}:
            self._there[name].pending.append(call)

    def after_a_crash(self, chance: random.Random) -> dict[str, bytes]:
        """Return the content of every file a crash at this moment may leave."""
        names = dict(self._safe)
        for name, file in self._pending[: chance.randrange(len(self._pending) + 1)]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return {name: file.after_a_crash(chance) for name, file in names.items()}


def crashes(
    calls: Sequence[Call], folder: Path, states: int, chance: random.Random
) -> Iterator[tuple[int, list[str], dict[str, bytes]]]:
    """Yield states, spread over all moments: the moment, what was said until then, the files.

    The memory-mapped file of shared memory does not outlive a crash and is left out.
    """
    disk = SimulatedDisk(folder)
    said: list[str] = []
    share, left = divmod(states, len(calls))
    more = set(chance.sample(range(len(calls)), left))
    for moment, call in enumerate(calls):
        if call.what == "said":
            said.append(call.data.decode().strip())
        else:
            disk.apply(call)
        for _ in range(share + (moment in more)):
            files = disk.after_a_crash(chance)
            yield (
                moment,
                said,
                {name: held for name, held in files.items() if not name.endswith("-shm")},
            )


def _apply(content: bytearray, call: Call) -> None:
    if call.what == "truncate":
        del content[call.number :]
        content.extend(bytes(call.number - len(content)))
        return
    end = call.number + len(call.data)
    content.extend(bytes(max(0, end - len(content))))
    content[call.number : end] = call.data


def _torn(call: Call, chance: random.Random) -> Call:
    """Return a write cut off at any byte."""
    if call.what == "truncate" or len(call.data) < 2:
        return call
    cut = chance.randrange(1, len(call.data))
    if len(call.data) > _SECTOR and chance.random() < 0.5:
        start = cut // _SECTOR * _SECTOR
        return call._replace(data=call.data[start:], number=call.number + start)
    return call._replace(data=call.data[:cut])
