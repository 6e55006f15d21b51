# SPDX-License-Identifier: EUPL-1.2
"""Durations as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration in its largest fitting units.

    >>> duration(45), duration(600), duration(5400), duration(200000)
    ('45 s', '10 min', '1 h 30 min', '2 d 7 h')
    """
    whole = int(seconds)
    for size, unit, smaller_size, smaller in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"
