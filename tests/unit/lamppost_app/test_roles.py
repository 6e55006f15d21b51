# SPDX-License-Identifier: EUPL-1.2
"""One process for each role and folder; a predecessor that is just leaving is waited for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lamppost.errors import ConfigError
from lamppost_app.roles import sole


def test_a_second_of_a_role_is_refused(tmp_path: Path) -> None:
    """At once, where nobody is expected to leave; other roles are free."""
    refusal = pytest.raises(ConfigError, match="another Lamppost runs the role engine here")
    with sole("engine", tmp_path), sole("intake", tmp_path), refusal, sole("engine", tmp_path):
        pass


def test_a_role_waits_for_its_predecessor_to_leave(tmp_path: Path) -> None:
    """As after the supervisor was killed: its roles need a moment to notice."""
    held, leave = threading.Event(), threading.Event()

    def predecessor() -> None:
        with sole("engine", tmp_path):
            held.set()
            leave.wait(60)

    leaving = threading.Thread(target=predecessor)
    leaving.start()
    held.wait(60)
    threading.Timer(0.2, leave.set).start()
    with sole("engine", tmp_path, patience_s=60):
        assert leave.is_set()
    leaving.join()
