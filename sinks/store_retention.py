# SPDX-License-Identifier: EUPL-1.2
"""How long the embedded store keeps what, by resolution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from lamppost.batch import DAY, MONTH, YEAR
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS

FOR_EVER: Final = 0.0


RESOLUTIONS: Final[Mapping[str, int]] = {
    "1min": MINUTE_NS,
    "15min": 15 * MINUTE_NS,
    "1h": HOUR_NS,
    "8h": 8 * HOUR_NS,
    "24h": DAY_NS,
    "day": -DAY,
    "month": -MONTH,
    "year": -YEAR,
}
"""The windows there usually are, each with the number of its resolution."""

AGGREGATES_DAYS: Final[Mapping[str, float]] = {"1min": 30.0, "15min": 366.0}
"""How long which windows are kept by default; all others stay for ever."""


def checked_days(given: Mapping[str, float]) -> dict[str, float]:
    """Return the days of each resolution, those left out by default.

    Raises:
        ValueError: there is no such resolution, or a number is below 0.
    """
    for name, days in given.items():
        if name not in RESOLUTIONS:
            raise ValueError(f"there is no resolution {name!r}; known: {', '.join(RESOLUTIONS)}")
        if not days >= 0:
            raise ValueError(f"{name}: days are needed, 0 for ever")
    return dict.fromkeys(RESOLUTIONS, FOR_EVER) | dict(AGGREGATES_DAYS) | dict(given)


def window_limits(days: Mapping[str, float], now: int) -> Iterator[tuple[str, list[int]]]:
    """Yield a condition for windows past their time, with its values, by resolution.

    A window of another length is kept as long as the next longer kind, one above a day as days are.
    """
    shorter = 0
    for name, resolution in RESOLUTIONS.items():
        past = now - round(days.get(name, FOR_EVER) * DAY_NS)
        longest = 2**63 - 1 if resolution == DAY_NS else resolution
        if not days.get(name, FOR_EVER):
            pass
        elif resolution < 0:
            yield "calendar = ? AND start < ?", [-resolution, past]
        else:
            fixed = "calendar = 0 AND length > ? AND length <= ? AND start < ?"
            yield fixed, [shorter, longest, past]
        shorter = resolution
