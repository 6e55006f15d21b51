# SPDX-License-Identifier: EUPL-1.2
"""Each event is one line, whatever is in its facts."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost import events

from .strategies import LAW


@pytest.mark.parametrize(
    ("say", "level"),
    [(events.info, "INFO"), (events.warning, "WARNING"), (events.error, "ERROR")],
)
def test_an_event_is_logged_at_its_level(
    say: object, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Name first, then the facts in the order given."""
    caplog.set_level(logging.INFO, logger="lamppost")

    say("sink_waiting", sink="influxdb", retry_s=0.5)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (level, "sink_waiting sink=influxdb retry_s=0.5")
    ]


def test_an_event_without_facts_is_its_name() -> None:
    """No blank at the end."""
    assert events._line("inbox_back", {}) == "inbox_back"


@pytest.mark.parametrize(
    ("value", "text"),
    [("two words", 'a="two words"'), ("", 'a=""'), ("one\ntwo", 'a="one two"'), (None, "a=None")],
)
def test_a_value_with_blanks_stands_in_quotes(value: object, text: str) -> None:
    """A line can be cut at blanks outside quotes."""
    assert events._line("e", {"a": value}) == f"e {text}"


@LAW
@given(st.text())
def test_no_value_starts_a_line_of_its_own(value: str) -> None:
    """A device cannot forge an event by its name."""
    line = events._line("e", {"sensor": value})

    assert line.splitlines() == [line]
    assert line.isprintable()


def test_configured_events_go_to_standard_error_with_the_role() -> None:
    """Standard output is for results."""
    script = (
        "from lamppost import events\n"
        "events.configure('WARNING', 'engine')\n"
        "events.info('hidden')\n"
        "events.warning('seen', a=1)\n"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.endswith("WARNING engine seen a=1")


def test_a_line_goes_to_what_standard_error_is_at_that_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stream of the beginning may be closed: a command's output in a test, for one."""
    root = logging.getLogger()
    former, level = root.handlers[:], root.level
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    root.handlers.clear()
    try:
        events.configure("INFO")
        first.close()
        monkeypatch.setattr(sys, "stderr", second)

        events.info("still_here", who="ada")
    finally:
        root.handlers[:] = former
        root.setLevel(level)

    assert second.getvalue().endswith("INFO still_here who=ada\n")
