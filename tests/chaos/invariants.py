# SPDX-License-Identifier: EUPL-1.2
"""The one checker of the chaos suite: invariants I1 to I8 over what a trial left behind.

It reads with Lamppost's own readers and judges by itself: what came is counted by a plain loop over
the inbox (see `recount`), what was said is compared with a fresh engine's words, what is stored is
compared with both.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc

from lamppost.balance import OUTCOMES
from lamppost.batch import FIXED
from lamppost.log import Entry, Record
from lamppost.series import SeriesKey
from lamppost.times import DAY_NS, HOUR_NS, format_instant
from lamppost_app.cursors import Cursors
from lamppost_app.engine import Engine
from tests.chaos import stored
from tests.chaos.evidence import Evidence, Said, every_entry, opened
from tests.chaos.recount import WHOLE, Recount, recount

_SET_ASIDE = "engine-failed-on:"
_MORE = re.compile(r"\(and (\d+) more\)$")
_PARTLY = re.compile(r"^values\..*: (a list of numbers, one time|not as many numbers as times)$")
_MOST_TOLD = 5


class Violation(NamedTuple):
    """One thing that is not as it must be."""

    invariant: str
    what: str


class Findings(NamedTuple):
    """What the checker saw: violations, and figures for the report."""

    violations: list[Violation]
    figures: dict[str, int]

    @property
    def broken(self) -> set[str]:
        """The invariants that do not hold."""
        return {violation.invariant for violation in self.violations}


def check(evidence: Evidence) -> dict[str, int]:
    """Return figures of a run in which every invariant holds.

    Raises:
        AssertionError: naming each invariant that does not.
    """
    findings = examine(evidence)
    told = "\n".join(f"{one.invariant}: {one.what}" for one in findings.violations)
    assert not findings.violations, f"invariants broken:\n{told}\n{findings.figures}"
    return findings.figures


def examine(evidence: Evidence) -> Findings:
    """Look at everything there is, and return what is wrong and how much there was."""
    said = Said(evidence.data / "outbox.db")
    with opened(evidence.data / "outbox.db") as outbox:
        names = [name for name in outbox.positions() if name.startswith(_SET_ASIDE)]
    aside = {int(name.removeprefix(_SET_ASIDE)) for name in names}
    refused = set(_refused_whole(said))
    counted = recount(evidence.data / "inbox.db", said.position, refused, aside)
    violations = [
        *_arrived(evidence, counted),
        *_accounted(evidence, counted, said),
        *_ordered(evidence, counted, said),
        *_repeatable(evidence.data, said, aside),
        *_windows(counted, said),
        *_quarantined(evidence.data, counted, said),
        *_bounded(evidence),
        *_balanced(evidence, counted, said),
    ]
    return Findings(violations, _figures(evidence, counted, said))


def _refused_whole(said: Said) -> Iterator[bytes]:
    columns = said.quarantine.select(["payload", "code", "detail"]).to_pylist()
    for row in columns:
        if row["code"] in WHOLE and not _PARTLY.match(row["detail"]):
            yield row["payload"]


def _arrived(evidence: Evidence, counted: Recount) -> Iterator[Violation]:
    """I1: what was acknowledged is in the inbox."""
    lost = [payload for payload in evidence.acknowledged if payload not in counted.payloads]
    if lost:
        yield Violation(
            "I1", f"{len(lost)} acknowledged messages are not in the inbox: {_some(lost)}"
        )


def _accounted(evidence: Evidence, counted: Recount, said: Said) -> Iterator[Violation]:
    """I1 and I2: all of it is in every sink, once; what is nowhere lies in quarantine."""
    if counted.unread:
        some = _some(counted.unread)
        yield Violation("I5", f"neither readable nor quarantined: {some}")
    for key, values in _missing_from_outbox(counted, said):
        yield Violation("I1", f"the engine says nothing of {values} readings of {key}")
    path = evidence.data / "store.duckdb"
    if path.is_file():
        for invariant, what in stored.in_duckdb(path, counted, said):
            yield Violation(invariant, what)
    if evidence.database is not None:
        with_cursors = Cursors(evidence.data / "cursors.db")
        position = with_cursors.position("influxdb")
        with_cursors.close()
        for invariant, what in stored.in_database(evidence.database, said, position):
            yield Violation(invariant, what)


def _missing_from_outbox(counted: Recount, said: Said) -> Iterator[tuple[SeriesKey, int]]:
    times = _times_by_series(said, first_only=False)
    for key, held in counted.held.items():
        missing = held.keys() - set(times.get(key, ()))
        if missing:
            yield key, len(missing)


def _times_by_series(said: Said, *, first_only: bool) -> dict[SeriesKey, list[int]]:
    """Return the instants of every series in the order the outbox has them."""
    rows = said.readings
    if first_only:
        rows = rows.filter(pc.equal(rows["revision"], 0))
    times: dict[SeriesKey, list[int]] = {}
    for code, time in zip(rows["series"].to_pylist(), rows["time"].to_pylist(), strict=True):
        times.setdefault(said.key(code), []).append(time)
    return times


def _ordered(evidence: Evidence, counted: Recount, said: Said) -> Iterator[Violation]:
    """I3: the order of every sensor is kept from the wire to the inbox and on to the outbox."""
    times = _times_by_series(said, first_only=True)
    for key, held in counted.held.items():
        wanted = [time for time in held if (key, time) not in counted.corrected]
        corrected = {time for series, time in counted.corrected if series == key}
        found = [time for time in times.get(key, []) if time not in corrected]
        if found != wanted and sorted(found) == sorted(wanted):
            yield Violation("I3", f"readings of {key.sensor} left in another order than they came")
        elif len(found) != len(set(found)):
            yield Violation("I2", f"readings of {key.sensor} stand in the outbox twice")
    place = {payload: number for number, payload in enumerate(evidence.sent)}
    for sensor, payloads in counted.order.items() if place else ():
        numbers = [place[payload] for payload in payloads if payload in place]
        if numbers != sorted(numbers):
            yield Violation("I3", f"messages of {sensor} entered the inbox in another order")


def _repeatable(data: Path, said: Said, aside: set[int]) -> Iterator[Violation]:
    """I4: a fresh engine says the same of the same inbox, byte for byte."""
    with opened(data / "inbox.db") as inbox, opened(data / "outbox.db") as outbox:
        truth = _fresh(every_entry(inbox, said.position), aside)
        for wanted, found in zip_longest(truth, every_entry(outbox)):
            if wanted is None or found is None or tuple(found[1:]) != tuple(wanted):
                yield Violation("I4", _differs(wanted, found))
                return


def _fresh(entries: Iterator[Entry], aside: set[int]) -> Iterator[Record]:
    engine = Engine()
    for entry in entries:
        yield from engine.set_aside(entry) if entry.seq in aside else engine.apply(entry)


def _differs(wanted: Record | None, found: Entry | None) -> str:
    if found is None:
        return f"the outbox ends early: {wanted.kind if wanted else ''} is missing at its end"
    if wanted is None:
        return f"outbox entry {found.seq} ({found.kind}) comes from nothing in the inbox"
    said, truth = f"{found.kind} of {found.at}", f"{wanted.kind} of {wanted.at}"
    return f"outbox entry {found.seq} ({said}) is not what a fresh engine says ({truth})"


def _windows(counted: Recount, said: Said) -> Iterator[Violation]:
    """I4: counts and means of closed windows equal those of the raw messages."""
    newest: dict[tuple[int, int, int], dict[str, Any]] = {}
    names = ["series", "length", "calendar", "start", "revision", "count", "excluded", "mean"]
    for row in said.aggregates.select(names).to_pylist():
        if row["calendar"] != FIXED:
            continue
        place = (row["series"], row["length"], row["start"])
        if place not in newest or newest[place]["revision"] <= row["revision"]:
            newest[place] = row
    by_series: dict[tuple[int, int], dict[int, dict[str, Any]]] = {}
    for (code, length, start), row in newest.items():
        by_series.setdefault((code, length), {})[start] = row
    closed = counted.last_tick_at >= counted.last_reading_at + DAY_NS
    wrong = []
    for key, code in said.codes().items():
        for length in counted.lengths if key in counted.held else ():
            windows = counted.windows(key, length)
            found = by_series.get((code, length), {})
            if closed and found.keys() != windows.keys():
                wrong.append(f"{key.sensor} has {len(found)} of {len(windows)} windows")
            wrong += [
                f"{key.sensor} at {format_instant(start)}"
                for start, row in found.items()
                if start not in windows or not _same(row, windows[start])
            ]
    if wrong:
        some = "; ".join(wrong[:_MOST_TOLD])
        yield Violation("I4", f"{len(wrong)} windows differ from the raw messages: {some}")


def _same(row: dict[str, Any], window: Any) -> bool:  # noqa: ANN401 - a Window
    if row["count"] + row["excluded"] != window.count:
        return False
    if row["excluded"] or math.isnan(window.mean):
        return True
    return math.isclose(row["mean"], window.mean, rel_tol=1e-9, abs_tol=1e-9)


def _quarantined(data: Path, counted: Recount, said: Said) -> Iterator[Violation]:
    """I5: every quarantined item has a counter and a record."""
    with_cursors = Cursors(data / "cursors.db")
    try:
        forgotten = with_cursors.forgotten()
        refusals = sum(balance.refused for balance in with_cursors.balances())
        records = sum(1 for _ in with_cursors.scan("quarantine"))
    finally:
        with_cursors.close()
    if refusals and not records:
        yield Violation("I5", f"a sink refused {refusals} readings and kept no record of any")
    if forgotten:
        return
    recorded: Counter[tuple[str, int]] = Counter()
    columns = said.quarantine.select(["sensor", "at", "detail", "code"]).to_pylist()
    for row in columns:
        recorded[row["sensor"], row["at"] // HOUR_NS * HOUR_NS] += _refusals(row)
    booked: Counter[tuple[str, int]] = Counter()
    for (_, sensor, hour), row in said.ledger.items():
        booked[sensor, hour] += row["quarantined"]
    for place in sorted(recorded.keys() | booked.keys()):
        late = not booked[place] and not _all_booked(counted)
        if recorded[place] != booked[place] and not late:
            sensor, hour = place
            yield Violation(
                "I5",
                f"{booked[place]} items of {sensor!r} counted as quarantined in the hour from"
                f" {format_instant(hour)}, {recorded[place]} recorded",
            )


def _all_booked(counted: Recount) -> bool:
    """Tell whether a tick far behind the last reading has brought everything into the ledger."""
    return counted.last_tick_at >= counted.last_reading_at + DAY_NS


def _refusals(row: dict[str, Any]) -> int:
    more = _MORE.search(row["detail"])
    return 1 + (int(more[1]) if more else 0)


def _bounded(evidence: Evidence) -> Iterator[Violation]:
    """I6 and I7: memory and time to recover stay below the bounds given."""
    for role, peak in evidence.peak_rss.items():
        if evidence.rss_bound and peak > evidence.rss_bound:
            yield Violation("I6", f"{role} took {peak >> 20} MiB of {evidence.rss_bound >> 20}")
    slow = [one for one in evidence.recoveries_s if one > evidence.recovery_bound_s]
    if evidence.recovery_bound_s and slow:
        bound = evidence.recovery_bound_s
        yield Violation("I7", f"{len(slow)} recoveries took longer than {bound} s: {max(slow):.1f}")


def _balanced(evidence: Evidence, counted: Recount, said: Said) -> Iterator[Violation]:
    """I8: received is accounted for, and accepted is stored in every sink with books."""
    for (source, sensor, _), row in said.ledger.items():
        known = sum(row[name] for name in OUTCOMES)
        if row["received"] != known:
            yield Violation("I8", f"{source} {sensor}: {known} of {row['received']} accounted for")
    with_cursors = Cursors(evidence.data / "cursors.db")
    try:
        balances = with_cursors.balances()
        positions = with_cursors.positions()
    finally:
        with_cursors.close()
    wrong: dict[str, list[str]] = {}
    for balance in balances:
        current = positions.get(balance.sink, 0) >= said.last_ledger
        if balance.missing or (current and not balance.compared):
            wrong.setdefault(balance.sink, []).append(f"{balance.sensor} {balance.verdict}")
    for sink, verdicts in wrong.items():
        some = ", ".join(verdicts[:_MOST_TOLD])
        yield Violation("I8", f"{sink}, {len(verdicts)} accounts: {some}")
    if _all_booked(counted):
        yield from _booked(counted, said)


def _booked(counted: Recount, said: Said) -> Iterator[Violation]:
    """I8: with everything booked, the ledger's sums are those of the plain loop."""
    total = Counter(dict.fromkeys(("received", *OUTCOMES), 0))
    for row in said.ledger.values():
        total.update({name: row[name] for name in total})
    refusals = said.quarantine.select(["code", "detail"]).to_pylist()
    unread = sum(_refusals(row) for row in refusals if row["code"] != "beyond_horizon")
    truth = {
        "received": counted.items + unread + counted.refused,
        "refused": counted.refused,
        "duplicate": counted.duplicates,
        "accepted": counted.items - counted.duplicates - counted.too_old,
        "quarantined": unread + counted.too_old,
    }
    for name, number in truth.items():
        if total[name] != number:
            yield Violation("I8", f"the ledger says {total[name]} {name}, the inbox {number}")


def _figures(evidence: Evidence, counted: Recount, said: Said) -> dict[str, int]:
    return {
        "acknowledged": len(evidence.acknowledged),
        "messages": len(counted.payloads),
        "readings": sum(len(values) for values in counted.held.values()),
        "duplicates": counted.duplicates,
        "too_old": counted.too_old,
        "quarantined": said.quarantine.num_rows,
        "windows": said.aggregates.num_rows,
        "entries": said.last,
    }


def _some(payloads: list[bytes]) -> str:
    shown = ", ".join(repr(payload[:120]) for payload in payloads[:_MOST_TOLD])
    return f"{shown}{', ...' if len(payloads) > _MOST_TOLD else ''}"
