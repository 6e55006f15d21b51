# SPDX-License-Identifier: EUPL-1.2
"""Files of readings as a source: which there are, what is in them, and their rows part by part."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lamppost.errors import ConfigError

from .archives import iris
from .archives.archive import Archive, FileWishes, Part, opened_parquet
from .archives.layouts import NotReadings, Wishes, layout_of, unread
from .archives.local_times import NO_ZONE, PROBLEMS, UNCLEAR
from .archives.text_blocks import BrokenFile, TextFile, members
from .archives.windows import chosen, refuse_without_windows

__all__ = ["Archive", "BrokenFile", "FileWishes", "Part", "Wishes", "archives"]

_ENDINGS: Final = (".csv", ".tsv", ".txt", ".parquet", ".csv.gz", ".tsv.gz", ".txt.gz", ".zip")
_MOSTLY: Final = 0.9  # of the rows go back in time, in a file that has the newest first
_TOO_FEW: Final = 10  # bad rows to say that all of a file is misunderstood
_TO_BE_SAID: Final = {
    PROBLEMS[NO_ZONE]: "say which with --zone, such as --zone Europe/Berlin or --zone UTC",
    PROBLEMS[UNCLEAR]: "such as --time-format '%d/%m/%Y %H:%M:%S'",
}


def archives(
    named: Sequence[str], wishes: FileWishes, tell: Callable[[str], None] = lambda _: None
) -> list[Archive]:
    """Return the files that are meant, in the order of their first rows.

    Args:
        named: files, folders or patterns.
        wishes: what is known about them.
        tell: is called with a sentence about files that are passed over.

    Raises:
        ConfigError: there is none, or one of them cannot be imported as it is.
    """
    found: list[Archive] = []
    others: list[NotReadings] = []
    paths = _paths(named)
    of_iris = [path for path in paths if iris.takes(path)]
    found += iris.days(of_iris, wishes)
    for path in paths:
        if path in of_iris:
            continue
        for member in members(path) if path.suffix.lower() == ".zip" else [""]:
            try:
                found.append(_recognised(path, member, wishes))
            except NotReadings as error:
                # A folder of ours has such files among others; nobody has asked for them by name.
                if str(path) in named and not member:
                    raise
                others.append(error)
    if others and not found:
        raise others[0]
    for problem, count in Counter(other.problem for other in others).items():
        tell(f"passed over: {problem} (files: {count})")
    kept, elsewhere = chosen(found, wishes, tell)
    read = [_looked_into(archive) for archive in kept]
    refuse_without_windows(read, wishes.resolution, elsewhere)
    return sorted(read, key=lambda archive: (archive.first_at, archive.name))


def _paths(named: Sequence[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for name in named:
        path = Path(name)
        if path.is_dir():
            inside = [one for one in sorted(path.rglob("*")) if _is_table(one)]
            if not inside:
                hint = f"known endings: {' '.join(_ENDINGS)} .traffic .vlog"
                raise ConfigError("there is no file to import in it", where=name, hint=hint)
        elif path.is_file():
            inside = [path]
        else:
            inside = [Path(one) for one in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207 - the pattern may be absolute
            inside = [one for one in inside if one.is_file()]
            if not inside:
                raise ConfigError("there is no such file", where=name)
        found.update(dict.fromkeys(inside))
    return list(found)


def _is_table(path: Path) -> bool:
    return (path.name.lower().endswith(_ENDINGS) or iris.takes(path)) and path.is_file()


def _recognised(path: Path, member: str, wishes: FileWishes) -> Archive:
    """Return a file with its layout, after a look at its header."""
    where = TextFile(path, member).name
    spelling = None
    if path.suffix.lower() == ".parquet":
        with opened_parquet(path) as file:
            header: Sequence[str] = file.schema_arrow.names
    else:
        spelling = TextFile(path, member).spelling(wishes.separator, wishes.decimal)
        header = spelling.header
    layout = layout_of(header, wishes.layout, where)
    return Archive(path, member, layout, spelling, tuple(unread(layout, header)), wishes)


def _looked_into(archive: Archive) -> Archive:
    """Return a file after a look at its first rows.

    Raises:
        ConfigError: something has to be said about it before it can be read.
    """
    where = archive.name
    try:
        first = next((part.said for part in archive.parts() if part.said is not None), None)
    except BrokenFile:
        first = None
    if first is None:
        return archive
    for line, _, problem, text in first.refused:
        if problem in _TO_BE_SAID:
            raise ConfigError(
                f"line {line} holds {problem}: {text}", where=where, hint=_TO_BE_SAID[problem]
            )
    if len(first.refused) >= max(first.rows - 1, _TOO_FEW) and not len(first.time):
        line, _, problem, text = first.refused[0]
        hint = "--time-column and --time-format, --separator or --layout say how it is to be read"
        raise ConfigError(f"no row can be read: line {line}: {problem}: {text}", where=where,
                          hint=hint)  # fmt: skip
    if not len(first.time):
        return archive
    back = first.time[-1] < first.time[0] and np.mean(np.diff(first.time) <= 0) > _MOSTLY
    return replace(archive, first_at=int(first.time.min()), newest_first=bool(back))
