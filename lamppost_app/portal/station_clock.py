# SPDX-License-Identifier: EUPL-1.2
"""What the page of a station says of its clock: how far off, what that means, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamppost.clock_skew import ClockState, state_of
from lamppost.flags import TIME_MISSING
from lamppost.times import MINUTE_NS, SECOND_NS
from lamppost.wording import duration
from sinks.store_reader import Row

from .rulebook import Rulebook
from .texts import text

# Below a whole minute no reading lands in another window for long; as in the default policy.
_LITTLE_NS: Final = MINUTE_NS


@dataclass(frozen=True, slots=True)
class ClockView:
    """One clock, or the clocks of several series that say the same.

    Attributes:
        words: how far it is off.
        meaning: what that does to readings, "" where there is nothing to say.
        advice: what its owner can do about it, "" where there is nothing.
        series: quantity and qualifiers of each series, empty where it is all of them.
        until: end of the newest span it rests on, ns UTC; None where nothing is known.
        readings: how many readings it rests on, the quickest of each span.
        is_wrong: whether somebody should do something.
    """

    words: str
    meaning: str = ""
    advice: str = ""
    series: tuple[Row, ...] = ()
    until: int | None = None
    readings: int = 0
    is_wrong: bool = False


def clock_views(clocks: Sequence[Row], latest: Sequence[Row], rules: Rulebook) -> list[ClockView]:
    """Return what there is to say, the worst first.

    Args:
        clocks: estimates of a station's series.
        latest: the newest reading of each of its series.
        rules: those in force.
    """
    if not clocks:
        timeless = latest and all(row["reasons"] & int(TIME_MISSING.mask) for row in latest)
        return [ClockView(text("clock.none" if timeless else "clock.unknown"))]
    groups: dict[str, list[tuple[Row, ClockState]]] = {}
    for row in sorted(clocks, key=lambda row: -abs(row["skew"])):
        state = state_of(row["skew"], row["spread"], row["until"])
        groups.setdefault(_words(state), []).append((row, state))
    return [_view(words, alike, rules, alone=len(groups) == 1) for words, alike in groups.items()]


def _view(
    words: str, alike: Sequence[tuple[Row, ClockState]], rules: Rulebook, *, alone: bool
) -> ClockView:
    rows, state = [row for row, _ in alike], alike[0][1]
    little = state.kind != "unset" and abs(state.skew_ns) < _LITTLE_NS
    return ClockView(
        words=words,
        meaning=_meaning(state, rules, little=little),
        advice=_advice(state, little=little),
        series=() if alone else tuple(rows),
        until=max(row["until"] for row in rows),
        readings=min(row["readings"] for row in rows),
        is_wrong=not little and state.kind not in {"right", "delayed"},
    )


def _words(state: ClockState) -> str:
    words = text(f"clock.{state.kind}", amount=state.amount, date=state.date)
    return f"{words}: {text(f'clock.cause.{state.cause}')}" if state.cause else words


def _meaning(state: ClockState, rules: Rulebook, *, little: bool) -> str:
    if state.kind == "right":
        return ""
    if little and not state.cause:
        return text("clock.meaning.little")
    most_s = rules.content.get("time", {}).get("max_ahead_s", 60.0)
    kind: str = state.kind
    if kind == "ahead" and -state.skew_ns <= most_s * SECOND_NS:
        kind = "ahead_believed"
    if kind == "behind" and state.cause:
        kind = "behind_surely"
    return text(f"clock.meaning.{kind}", amount=state.amount, most=duration(most_s))


def _advice(state: ClockState, *, little: bool) -> str:
    if state.kind == "right" or (little and not state.cause):
        return ""
    return text(f"clock.advice.{state.cause or state.kind}")
