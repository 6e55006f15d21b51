# SPDX-License-Identifier: EUPL-1.2
"""The store as a file: is it whole, and what would it cost to build it anew?"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from lamppost.errors import ConfigError
from lamppost.times import format_instant
from sinks.store_file import examine, opened, sized

from .roles import sole
from .settings import Settings
from .sqlite_log import SqliteLog
from .store_requests import ask


def look_through(settings: Settings) -> list[str]:
    """Read the whole store, and return what is damaged; a portal that runs does it for us.

    Raises:
        LamppostError: it cannot be opened, or the portal does not answer.
    """
    folder = settings.data.dir
    if portal_runs(folder):
        answer = ask(folder, "examine", lambda _done, _total: None, lambda: portal_runs(folder))
        return answer.damages
    with sole("portal", folder), opened(settings.store_path, read_only=True) as connection:
        return examine(connection)


def portal_runs(folder: Path) -> bool:
    """Tell whether a portal holds this data folder."""
    try:
        with sole("portal", folder):
            return False
    except ConfigError:
        return True


def move_aside(path: Path) -> Path:
    """Give a damaged store and its write-ahead log another name, and return that name."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for part in sized(path):
        part.rename(f"{aside}{part.name.removeprefix(path.name)}")
    return aside


def rebuilt_from(settings: Settings) -> str:
    """Say what a new store would hold."""
    if not settings.outbox_path.is_file():
        return "there is no outbox to build a new store from: restore a back-up"
    with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
        first, last = outbox.horizon(), outbox.last()
        found = outbox.read(first - 1, 1)
    if not found:
        return "the outbox is empty: a new store would be too"
    since = format_instant(found[0].at)
    whole = ": that is all there ever was" if first <= 1 else "; what is older only a back-up has"
    return f"a new store is built from the outbox, entries {first} to {last}, since {since}{whole}"
