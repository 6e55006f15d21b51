# SPDX-License-Identifier: EUPL-1.2
"""Windows that a policy switches off and a later one on again go on with their revisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamppost.batch import AggregateBatch
from lamppost.periods import resolution_name
from lamppost.series import SeriesKey, SeriesTable
from lamppost.shelf import MemoryShelf, Shelf
from lamppost.times import DAY_NS, HOUR_NS, MINUTE_NS
from processors.windows.event_time import EventTimeSettings, EventTimeWindows

from .test_longer_windows import ALL, BEGIN, BERLIN, judged

HOURS_ONLY: Final[Mapping[str, Any]] = {"lengths": ["1min", "1h"], "hopping": [], "calendar": []}
NEXT_TO_NOTHING_MB: Final = 1e-4
_LONG_S: Final = 400 * 86_400.0


class City:
    """Windows under one policy after the other, and everything they said."""

    def __init__(self, shelf: Shelf | None = None, **changes: object) -> None:
        """Begin with all windows there are."""
        self._shelf = shelf or MemoryShelf()
        self._changes = changes
        self._series = SeriesTable([SeriesKey("s", "pm2_5")])
        self._policy = ALL
        self.made = self._windows()
        self.said: dict[tuple[str, int], list[tuple[int, int, float]]] = {}

    def _windows(self) -> EventTimeWindows:
        wanted = EventTimeSettings.model_validate({**self._policy, **self._changes})
        return EventTimeWindows(wanted, self._series, self._shelf, BERLIN)

    def policy(self, policy: Mapping[str, Any]) -> None:
        """Go on under another policy."""
        self._policy = policy
        former, self.made = self.made, self._windows()
        self.heard(self.made.adopt(former))

    def restart(self) -> None:
        """Go on from a snapshot."""
        snapshot = self.made.snapshot()
        self.made = self._windows()
        self.made.restore(snapshot)

    def correct(self, value: float, at: int, now: int) -> None:
        """Hear one reading, and the tick after it."""
        self.made.add(judged([value], first=at))
        self.heard(self.made.advance(now))

    def heard(self, out: AggregateBatch) -> None:
        """Note what is said; every window's revisions rise."""
        for row in range(len(out)):
            name = resolution_name(int(out.length[row]), int(out.calendar[row]))
            told = self.said.setdefault((name, int(out.start[row])), [])
            revision = int(out.revision[row])
            assert not told or revision > told[-1][0], (name, out.start[row], revision, told)
            told.append((revision, int(out.count[row]), float(out.mean[row])))


def without(policy: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a policy without some lengths or periods."""
    return {
        "lengths": [name for name in policy["lengths"] if name not in names],
        "hopping": [each for each in policy["hopping"] if each["length"] not in names],
        "calendar": [name for name in policy["calendar"] if name not in names],
    }


@pytest.mark.parametrize("restarts", ["restarted", "running"])
@pytest.mark.parametrize("memory_mb", [16.0, NEXT_TO_NOTHING_MB])
@pytest.mark.parametrize("gone", [("15min",), ("24h",), ("8h",), ("day",), ("month", "year")])
def test_a_length_that_comes_back_goes_on_with_its_revisions(
    gone: tuple[str, ...], memory_mb: float, restarts: str
) -> None:
    """Corrected three times, switched off and on, corrected again: the fifth version of it."""
    city = City(memory_mb=memory_mb)
    hours = 24 * 40
    city.made.add(judged([1.0] * hours, step=HOUR_NS))
    now = BEGIN + hours * HOUR_NS
    city.heard(city.made.advance(now))
    corrected = BEGIN + 20 * DAY_NS
    start = BEGIN if gone[0] == "month" else corrected
    if gone[0] == "24h":
        start = corrected // DAY_NS * DAY_NS
    for step in range(3):
        city.correct(step + 2.0, corrected, now + step)
    assert [revision for revision, *_ in city.said[gone[0], start]] == [0, 1, 2, 3]

    city.policy(without(ALL, *gone))
    if restarts == "restarted":
        city.restart()
    city.heard(city.made.advance(now + 3 * HOUR_NS))
    city.policy(ALL)
    if restarts == "restarted":
        city.restart()
    city.heard(city.made.advance(now + 4 * HOUR_NS))
    assert len(city.said[gone[0], start]) == 4  # what says the same does not go out
    before = city.said[gone[0], start][-1]
    city.correct(9.0, corrected, now + 5 * HOUR_NS)

    revision, count, mean = city.said[gone[0], start][-1]
    assert (revision, count) == (4, before[1])
    assert mean == pytest.approx(before[2] + (9.0 - 4.0) / count)


def test_a_window_that_closes_a_second_time_is_its_next_revision() -> None:
    """Where only hours are made for a while, minutes of the hour under way are open again."""
    city = City()
    city.made.add(judged([1.0] * 30))
    city.heard(city.made.advance(BEGIN + 30 * MINUTE_NS))

    city.policy({"lengths": ["1h"], "hopping": [], "calendar": []})
    city.policy(HOURS_ONLY)
    city.restart()
    city.correct(5.0, BEGIN + 3 * MINUTE_NS, BEGIN + DAY_NS)

    assert city.said["1min", BEGIN + 3 * MINUTE_NS] == [(0, 1, 1.0), (1, 1, 5.0)]


def test_a_length_that_becomes_a_running_one_goes_on_with_its_revisions() -> None:
    """The days of UTC are among the 24 h that begin every hour, by the same name."""
    city = City()
    city.made.add(judged([1.0] * 72, step=HOUR_NS))
    now = BEGIN + 4 * DAY_NS
    city.heard(city.made.advance(now))
    day = BEGIN // DAY_NS * DAY_NS + DAY_NS
    city.correct(2.0, day, now + 1)

    running = without(ALL, "24h")
    city.policy({**running, "hopping": [{"length": "24h", "every": "1h"}]})
    city.correct(3.0, day, now + 2)
    city.policy(ALL)
    city.correct(4.0, day, now + 3)

    assert [revision for revision, *_ in city.said["24h", day]] == [0, 1, 2, 3]


def test_what_is_laid_aside_is_forgotten_with_the_horizon() -> None:
    """Then no correction can come any more, and nothing of it is kept."""
    city = City(correction_horizon_s=86_400.0)
    city.made.add(judged([1.0] * 72, step=HOUR_NS))
    city.heard(city.made.advance(BEGIN + 4 * DAY_NS))
    city.policy(HOURS_ONLY)
    laid_aside = [name for name in city.made.snapshot() if "laid_aside" in name]

    city.made.add(judged([1.0], first=BEGIN + 60 * DAY_NS))
    city.heard(city.made.advance(BEGIN + 60 * DAY_NS))

    assert laid_aside
    assert not [name for name in city.made.snapshot() if "laid_aside" in name]


def test_a_year_whose_months_are_no_longer_held_is_not_made_anew_from_a_few() -> None:
    """It came back with its months and days, of which most are gone: it stays as it was."""
    city = City()
    city.made.add(judged([1.0] * 24 * 200, step=HOUR_NS))
    now = BEGIN + 200 * DAY_NS
    city.heard(city.made.advance(now))
    told = city.said["year", BEGIN - 181 * DAY_NS + HOUR_NS][:]

    city.policy(HOURS_ONLY)
    city.policy(ALL)
    city.correct(9.0, BEGIN + 180 * DAY_NS, now + 1)

    assert city.said["year", BEGIN - 181 * DAY_NS + HOUR_NS] == told


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(["1min", "15min", "24h", "8h", "day", "month"])),
            st.booleans(),
            st.integers(0, 159),
            st.integers(0, 60 * 24 * 3),
        ),
        max_size=4,
    )
)
def test_after_a_correction_it_is_as_if_nothing_had_been_switched_off(
    steps: list[tuple[set[str], bool, int, int]],
) -> None:
    """Revisions only rise, and the newest say what windows say that always were."""
    changed = City(correction_horizon_s=_LONG_S)
    steady = City(correction_horizon_s=_LONG_S)
    now = BEGIN + 40 * DAY_NS
    for city in (changed, steady):
        city.made.add(judged([1.0] * 160, step=6 * HOUR_NS))
        city.heard(city.made.advance(now))
    for number, (gone, restart, corrected, passed) in enumerate(steps):
        changed.policy(without(ALL, *gone))
        if restart:
            changed.restart()
        now += passed * MINUTE_NS
        for city in (changed, steady):
            city.correct(number + 2.0, BEGIN + corrected * 6 * HOUR_NS, now)
            city.made.add(judged([3.0], first=now))
    changed.policy(ALL)
    told = {key: len(rows) for key, rows in steady.said.items()}
    for city in (changed, steady):
        city.made.add(judged([100.0 + number for number in range(160)], step=6 * HOUR_NS))
        city.heard(city.made.advance(now + 40 * DAY_NS))

    for key, rows in steady.said.items():
        if key[0] != "year" and len(rows) > told.get(key, 0):
            assert changed.said[key][-1][1:] == pytest.approx(rows[-1][1:]), key


@pytest.mark.parametrize("gone", [("day",), ("day", "month", "year")])
def test_a_month_is_never_corrected_from_fewer_hours_than_it_was_made_of(
    gone: tuple[str, ...],
) -> None:
    """Without its days, only hours of the last month or so are held: it stays as it was."""
    city = City()
    city.made.add(judged([1.0] * 24 * 40, step=HOUR_NS))
    now = BEGIN + 40 * DAY_NS
    city.heard(city.made.advance(now))
    for policy in (without(ALL, *gone), ALL):
        city.policy(policy)
        city.correct(9.0, BEGIN + 20 * DAY_NS, now)
        now += HOUR_NS
        city.correct(8.0, BEGIN + 20 * DAY_NS, now)

    assert {count for _, count, _ in city.said["month", BEGIN]} == {24 * 31}
    assert city.said["day", BEGIN + 20 * DAY_NS][-1][2] == pytest.approx((8 + 23) / 24)
