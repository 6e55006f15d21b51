# SPDX-License-Identifier: EUPL-1.2
"""How numbers, instants and flags are printed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from lamppost.flags import FLAG_NAMES
from lamppost.times import MINUTE_NS, SECOND_NS, format_instant

from .texts import text

NOTHING = "–"
_DAY_S = 86_400


def printed_number(value: float | None) -> str:
    """Return a number with three significant digits, never fewer before the point.

    >>> printed_number(12.345), printed_number(1234.5), printed_number(None)
    ('12.3', '1,234', '–')
    """
    if value is None or value != value:  # noqa: PLR0124 - the plain test for NaN
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def printed_instant(time_ns: int | None) -> str:
    """Return an instant with its zone.

    >>> printed_instant(0)
    '1970-01-01 00:00:00 UTC'
    """
    if time_ns is None:
        return NOTHING
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def printed_duration(duration_ns: int) -> str:
    """Return a length of time in its largest fitting unit.

    >>> printed_duration(90 * SECOND_NS), printed_duration(7200 * SECOND_NS)
    ('90 s', '2 h')
    """
    seconds = round(duration_ns / SECOND_NS)
    if abs(seconds) < 120:
        return f"{seconds} s"
    if abs(seconds) < 7200:
        return f"{round(seconds / 60)} min"
    if abs(seconds) < 2 * _DAY_S:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / _DAY_S)} d"


def printed_age(time_ns: int | None, now: int) -> str:
    """Return how long ago an instant was."""
    if time_ns is None:
        return text("time.never")
    if time_ns > now + MINUTE_NS:
        return text("time.ahead", duration=printed_duration(time_ns - now))
    return text("time.ago", duration=printed_duration(max(0, now - time_ns)))


def instant_markup(time_ns: int | None, now: int) -> Markup:
    """Return an instant with zone and age, readable by machines too."""
    if time_ns is None:
        return Markup('<span class="none">{}</span>').format(NOTHING)
    return Markup(
        '<time datetime="{}">{}</time> <span class="age" data-time="{}">{}</span>'
    ).format(
        format_instant(time_ns),
        printed_instant(time_ns),
        time_ns // 1_000_000,
        printed_age(time_ns, now),
    )


def printed_flag(flag: int) -> str:
    """Return a flag in words."""
    return text(f"flag.{FLAG_NAMES.get(flag, 'not_evaluated')}")


def printed_bytes(size: int) -> str:
    """Return a size.

    >>> printed_bytes(2048)
    '2.0 KiB'
    """
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{size} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def printed_setting(value: object) -> str:
    """Return what a policy sets, as a person would write it down.

    >>> printed_setting({"speed": 12, "flow": [1, 2]}), printed_setting(["no2", "o3"])
    ('speed: 12; flow: 1, 2', 'no2, o3')
    """
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {printed_setting(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(printed_setting, value))
    return str(value)


def clean(value: str) -> str:
    r"""Take out control and direction characters, which could make a name lie to an operator.

    >>> clean("a\u202eb\x07c")
    'abc'
    """
    return "".join(
        char for char in value if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf"}
    )
