# SPDX-License-Identifier: EUPL-1.2
"""The command line, run in a folder without settings of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lamppost_app.cli import main

WINDOWS = "windows: {event_time: {}}\n"
ROUTES = "routes: [{match: v1/+/readings, format: native_json}]\n"


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands in a folder without settings of its own."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        """Take the folder and what catches the output."""
        self.folder = folder
        self._capture = capture

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run one command as the installed program would."""
        self._capture.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["lamppost", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, *self._capture.readouterr())

    def write(self, name: str, content: str) -> Path:
        """Write a file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def policy(self, content: str) -> Path:
        """Write a policy of one file and return its folder."""
        return self.write("policy/p.yaml", content).parent


@pytest.fixture
def lamppost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """The command line, in an empty folder and with no variables set."""
    for name in [name for name in os.environ if name.startswith("LAMPPOST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def assert_refused(ran: Ran, *parts: str) -> None:
    """Assert exit code 2 and one line on standard error with all its parts."""
    assert ran.code == 2
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("lamppost: ")
    for part in parts:
        assert part in line
