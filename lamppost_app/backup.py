# SPDX-License-Identifier: EUPL-1.2
"""A back-up of a running installation, and how it is put back.

Files are copied from the end of the data's way to its beginning: first what says how far the
destinations are, then the store, the outbox and the inbox. Each copy is thus younger than those
that depend on it, and a restored installation reads on where the copies end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from lamppost.errors import ConfigError, LamppostError
from lamppost.policy_layers import read_layers
from lamppost.times import format_instant
from sinks.store_file import copy_parts, settle, sized

from .roles import ROLES, sole
from .run_files import RunFiles, lost_files
from .settings import Settings
from .sqlite_log import SqliteLog
from .store_care import portal_runs
from .store_requests import ask, copy_path

MANIFEST: Final = "backup.json"
CONFIGURATION: Final = "configuration"
_OPEN_DATA: Final = "open-data"
_CURSOR: Final = ".cursor.json"
_PAGES: Final = 2048

Tell = Callable[[str, int, int], object]
"""Is told which file, how much of it is done, and of how much."""


class Manifest(BaseModel):
    """What a back-up holds.

    Attributes:
        at: when it was begun, ns UTC.
        store_cursor: outbox entry the store goes up to; None without a store.
        files: SHA-256 by path within the back-up.
    """

    at: int
    store_cursor: int | None = None
    files: dict[str, str]


def back_up(settings: Settings, target: Path, tell: Tell, config: Path | None = None) -> Manifest:
    """Copy everything of an installation to a new folder, while it runs or while it does not.

    The folder has its name only once it is complete.

    Raises:
        ConfigError: the folder is there already, or there is nothing to copy.
        LamppostError: the portal could not copy the store, or a copy is damaged.
        OSError: a copy cannot be written.
    """
    if not settings.data.dir.is_dir():
        raise ConfigError("there is no data folder", where=str(settings.data.dir))
    if target.exists():
        raise ConfigError("this is there already", where=str(target), hint="name a new folder")
    begun = time.time_ns()
    draft = target.with_name(f"{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _copy_log(settings.cursors_path, draft, tell)
    _copy_open_data(settings.open_data_path, draft)
    cursor = _copy_store(settings, draft, tell)
    # Before and after: files the outbox's snapshots name come and go while it is copied.
    _copy_windows(settings.windows_path, draft)
    _copy_log(settings.outbox_path, draft, tell)
    _copy_windows(settings.windows_path, draft)
    _copy_log(settings.inbox_path, draft, tell)
    _copy_configuration(settings, draft / CONFIGURATION, config)
    _check_windows(settings, draft)
    manifest = Manifest(at=begun, store_cursor=cursor, files=dict(_digests(draft, tell)))
    (draft / MANIFEST).write_text(manifest.model_dump_json(indent=1))
    _sync(draft)
    draft.rename(target)
    _sync(target.parent)
    return manifest


def restore(settings: Settings, source: Path, *, store_only: bool = False) -> list[str]:
    """Put a back-up in the place of what is in the data folder, which is moved aside.

    Returns:
        What was done, and what has to be known, in sentences.

    Raises:
        ConfigError: it is no back-up, it is damaged, or Lamppost is running.
    """
    manifest = _checked(source)
    folder = settings.data.dir
    with contextlib.ExitStack() as roles:
        for name in ("supervisor", *ROLES):
            roles.enter_context(sole(name, folder))
        names = _restored(source, settings, store_only=store_only)
        aside = _move_aside(settings, [target for _, target in names])
        for copy, target in names:
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if copy.is_dir() else shutil.copyfile)(copy, target)
            _sync(target)
        _sync(folder)
        said = [f"restored {source}, begun {format_instant(manifest.at)}"]
        said += [f"what was there before is in {aside}"] if aside else []
        return said + _gap(settings, manifest)


def _copy_log(path: Path, folder: Path, tell: Tell) -> None:
    """Copy a SQLite file as it is at one instant, and have the copy checked."""
    if not path.is_file():
        return
    target = folder / path.name
    with (
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        # Holding on to one state: SQLite would begin anew whenever somebody writes.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchall()
        source.backup(
            copy,
            pages=_PAGES,
            progress=lambda _, left, total: tell(path.name, total - left, total),
            sleep=0.0,
        )
        source.execute("COMMIT")
        copy.execute("PRAGMA journal_mode=DELETE")
        ((verdict,), *_) = copy.execute("PRAGMA quick_check(1)").fetchall()
    if verdict != "ok":
        raise LamppostError(f"{path} is damaged: {verdict}; stop Lamppost and run lamppost repair")
    _sync(target)


def _copy_store(settings: Settings, folder: Path, tell: Tell) -> int | None:
    path, target = settings.store_path, folder / settings.store_path.name
    if not path.is_file():
        return None
    data = settings.data.dir

    def told(done: int, total: int) -> None:
        tell(path.name, done, total)

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(sole("portal", data))
        except ConfigError:
            ask(data, "copy", told, lambda: portal_runs(data))
            for copied in sized(copy_path(data)):
                ending = copied.name.removeprefix(copy_path(data).name)
                shutil.move(copied, f"{target}{ending}")
        else:
            copy_parts(sized(path), target, told)
    cursor, damages = settle(target)
    if damages:
        raise LamppostError(f"{path} is damaged: {'; '.join(damages)}; see lamppost doctor")
    return cursor


def _copy_open_data(source: Path, folder: Path) -> None:
    """Copy the published files, their position first: what came since is merged once more."""
    if not source.is_dir():
        return
    target = folder / _OPEN_DATA
    target.mkdir()
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(source / _CURSOR, target / _CURSOR)
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        elif path != source / _CURSOR:
            with contextlib.suppress(FileNotFoundError):  # a draft that has got its name meanwhile
                shutil.copyfile(path, copy)


def _copy_windows(source: Path, folder: Path) -> None:
    """Copy what the engine's windows keep on the disk; its files never change."""
    for path in source.iterdir() if source.is_dir() else ():
        copy = folder / source.name / path.name
        copy.parent.mkdir(exist_ok=True)
        if path.is_file() and not copy.exists():
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, copy)


def _check_windows(settings: Settings, folder: Path) -> None:
    outbox = folder / settings.outbox_path.name
    if not outbox.is_file():
        return
    with contextlib.closing(SqliteLog(outbox)) as copied:
        lost = lost_files(RunFiles(folder / settings.windows_path.name), copied)
    if lost:
        problems = "; ".join(lost.values())
        raise LamppostError(f"windows changed too fast to be copied, try again: {problems}")


def _copy_configuration(settings: Settings, folder: Path, config: Path | None) -> None:
    folder.mkdir()
    for path in (config, settings.stations):
        if path is not None and path.is_file():
            shutil.copyfile(path, folder / path.name)
    if settings.policy_path.is_dir():
        shutil.copytree(settings.policy_path, folder / "policy")
        for number, base in enumerate(_extended(settings.policy_path), start=1):
            copy = folder / f"policy-extended-{number}"
            copy.mkdir()
            for path in base.glob("*.yaml"):
                shutil.copyfile(path, copy / path.name)


def _extended(policy: Path) -> tuple[Path, ...]:
    """Return the folders a policy extends; none where it cannot be read."""
    try:
        return read_layers(policy).folders[1:]
    except ConfigError:
        return ()


def _digests(folder: Path, tell: Tell) -> Iterator[tuple[str, str]]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for number, path in enumerate(paths, start=1):
        yield str(path.relative_to(folder)), _digest(path)
        tell("checksums", number, len(paths))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(source: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json((source / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        hint = "name a folder that lamppost backup has made"
        raise ConfigError("this is no back-up", where=str(source), hint=hint) from error
    for name, digest in manifest.files.items():
        path = source / name
        if not path.is_file() or _digest(path) != digest:
            state = "is damaged" if path.is_file() else "is missing"
            raise ConfigError(f"{name} {state}", where=str(source), hint="take another back-up")
    return manifest


def _restored(source: Path, settings: Settings, *, store_only: bool) -> list[tuple[Path, Path]]:
    """Return which file or folder goes where."""
    targets = [settings.store_path]
    if not store_only:
        targets += [settings.inbox_path, settings.outbox_path, settings.cursors_path]
    pairs = [(source / target.name, target) for target in targets]
    if not store_only:
        pairs.append((source / _OPEN_DATA, settings.open_data_path))
        pairs.append((source / settings.windows_path.name, settings.windows_path))
    return [(copy, target) for copy, target in pairs if copy.exists()]


def _move_aside(settings: Settings, targets: list[Path]) -> Path | None:
    """Move what a back-up replaces, with all that belongs to it, into a folder beside it."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = settings.data.dir / f"before-restore-{stamp}"
    for target in targets:
        for path in target.parent.glob(f"{target.name}*"):
            aside.mkdir(exist_ok=True)
            shutil.move(path, aside / path.name)
    return aside if aside.is_dir() else None


def _gap(settings: Settings, manifest: Manifest) -> list[str]:
    """Say which entries the store would need and the outbox no longer has."""
    cursor = manifest.store_cursor
    if cursor is None or not settings.outbox_path.is_file():
        return []
    with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
        first, last = outbox.horizon(), outbox.last()
    if cursor > last:
        return [f"the store goes up to entry {cursor}, the outbox only to {last}: restore both"]
    if first > cursor + 1:
        return [f"entries {cursor + 1} to {first - 1} are in neither: what they said is missing"]
    return [f"the store is at entry {cursor}; the outbox has what followed, up to {last}"]


def _sync(path: Path) -> None:
    """Have a file, or everything in a folder, on the disk."""
    for part in (path, *path.rglob("*")) if path.is_dir() else (path,):
        number = os.open(part, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
