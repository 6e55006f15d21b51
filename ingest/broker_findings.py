# SPDX-License-Identifier: EUPL-1.2
"""What a look at a broker can find, how bad it is, and the line that puts it right."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple


class Severity(Enum):
    """How bad a finding is, worst first; the value is what people read."""

    LOSES_DATA = "LOSES DATA"
    LIMITS = "limits throughput"
    UNCHECKED = "not checked"
    NOTE = "note"
    RIGHT = "right"


class Finding(NamedTuple):
    """One thing looked at.

    Attributes:
        subject: what was looked at, in a few words.
        found: what was found there.
        why: why it matters, one sentence; "" where nothing is to be done.
        line: the line to put where ``file`` says; "" where nothing is to be done.
        file: the file the line belongs into.
    """

    subject: str
    severity: Severity
    found: str
    why: str = ""
    line: str = ""
    file: str = "mosquitto.conf"


_ORDER: Final = list(Severity)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings ordered by how bad they are."""
    return sorted(findings, key=lambda one: _ORDER.index(one.severity))


def losses(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that lose data."""
    return [one for one in findings if one.severity is Severity.LOSES_DATA]


def as_table(findings: Iterable[Finding]) -> list[str]:
    """Return lines of text for a terminal: severity, subject, what was found, and what to do."""
    found = worst_first(findings)
    widths = [max((len(text) for text in texts), default=0) for texts in _columns(found)]
    indent = " " * (widths[0] + 2)
    lines = []
    for one in found:
        head = f"{one.severity.value:<{widths[0]}}  {one.subject:<{widths[1]}}  {one.found}"
        more = [one.why] if one.why else []
        more += [f"{one.file}: {one.line}"] if one.line else []
        lines += [head, *(indent + text for text in more)]
    return lines


def _columns(found: Iterable[Finding]) -> tuple[list[str], list[str]]:
    rows = list(found)
    return [one.severity.value for one in rows], [one.subject for one in rows]
