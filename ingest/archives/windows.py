# SPDX-License-Identifier: EUPL-1.2
"""Files of aggregates: which of them an import reads, so that each window becomes one reading."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from lamppost.errors import ConfigError
from lamppost.periods import CALENDAR_NAMES

from .archive import Archive, FileWishes
from .text_blocks import BrokenFile

Tell = Callable[[str], None]


def chosen(
    found: Sequence[Archive], wishes: FileWishes, tell: Tell
) -> tuple[list[Archive], set[str]]:
    """Return the files to read, and the resolutions of those that are about others.

    Args:
        found: all files that are meant.
        wishes: what is known about them.
        tell: is called with a sentence about files that are passed over.

    Raises:
        ConfigError: a resolution is asked for that nobody can tell.
    """
    wanted = wishes.resolution
    aggregates = [one for one in found if one.layout.window_end]
    if not aggregates and wishes.window:
        problem = "none of these files is about windows: each row is a reading"
        raise ConfigError(problem, where="--window", hint="leave it out")
    doubled = {one.path.with_suffix(".csv") for one in aggregates if one.spelling is None}
    once = [one for one in found if one.path not in doubled or not one.layout.window_end]
    if len(once) < len(found):
        twice = len(found) - len(once)
        tell(f"passed over: CSV beside Parquet that holds the same rows (files: {twice})")
    other = {one.window for one in aggregates} - {"", wanted}
    kept = [one for one in once if one.window not in other or not one.layout.window_end]
    if len(kept) < len(once):
        names = ", ".join(sorted(other))
        tell(f"passed over: other windows, {names} (files: {len(once) - len(kept)})")
    _refuse_nameless(kept, wanted)
    return kept, other


def _refuse_nameless(files: Sequence[Archive], wanted: str) -> None:
    """Refuse a file whose windows of 24 hours may or may not be days of a calendar."""
    if wanted not in CALENDAR_NAMES.values():
        return
    for one in files:
        if one.layout.window_end and not one.layout.window and not one.window:
            problem = f"nothing in this file says whether a window is a {wanted} of the calendar"
            hint = (
                f"such files have a column window, or lie in a folder called window={wanted}; a "
                "length such as --window 24h can be told without"
            )
            raise ConfigError(problem, where=one.name, hint=hint)


def refuse_without_windows(files: Sequence[Archive], wanted: str, other: set[str]) -> None:
    """Refuse files of aggregates none of which is of a resolution that is wanted.

    Args:
        files: all files that are read.
        wanted: the resolution.
        other: those of files that are not read.

    Raises:
        ConfigError: naming the resolutions there are.
    """
    aggregates = [one for one in files if one.layout.window_end]
    there = _first_with(aggregates, wanted)
    if wanted in there or not (aggregates or other):
        return
    names = ", ".join(sorted((there | other) - {""})) or "none that can be told"
    problem = f"there are no windows of {wanted} in these files"
    raise ConfigError(problem, where="--window", hint=f"there are: {names}")


def _first_with(files: Sequence[Archive], wanted: str) -> set[str]:
    """Return the resolutions of rows, looking until one is wanted."""
    there: set[str] = set()
    for one in files:
        with contextlib.suppress(BrokenFile):
            for part in one.parts():
                there |= part.said.windows if part.said is not None else set()
                if wanted in there:
                    return there
    return there
