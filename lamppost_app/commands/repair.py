# SPDX-License-Identifier: EUPL-1.2
"""``lamppost repair``: brings what can be read of damaged logs into new files.

A damaged store is moved away.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import typer

from lamppost.errors import ConfigError, LamppostError
from lamppost_app.log_examination import examine, repair
from lamppost_app.roles import ROLES, sole
from lamppost_app.run_files import RunFiles, lost_files
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import SqliteLog
from lamppost_app.store_care import move_aside, rebuilt_from
from sinks.store_file import DAMAGED_ADVICE, opened
from sinks.store_file import examine as examine_store

from .doctor import log_paths
from .options import ConfigOption, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="repair")(repair_logs)


def repair_logs(config: ConfigOption = None) -> None:
    """Repair files that are damaged; Lamppost must not be running. The old ones are kept."""
    settings = load_settings(config)
    if not settings.data.dir.is_dir():
        raise ConfigError("there is no data folder", where=str(settings.data.dir))
    with contextlib.ExitStack() as roles:
        for name in ROLES:
            roles.enter_context(sole(name, settings.data.dir))
        for path in log_paths(settings):
            if path.is_file():
                typer.echo(f"{path}: {_repaired(path)}")
        path = settings.store_path
        if path.is_file():
            typer.echo(f"{path}: {_replaced(settings)}")
        if settings.outbox_path.is_file():
            typer.echo(f"{settings.windows_path}: {_without_lost_files(settings)}")


def _repaired(path: Path) -> str:
    if _is_sound(path):
        return "nothing to repair"
    aside, found = repair(path)
    lost = "".join(f"\n  {damage}" for damage in found.damages)
    said = f"repaired, {found.entries - sum(one.entries for one in found.damages)} entries kept"
    return f"{said}; the damaged file is now {aside.name}{lost}"


def _replaced(settings: Settings) -> str:
    """Move a damaged store away; it is a copy, which the portal makes anew."""
    try:
        with opened(settings.store_path, read_only=True) as connection:
            damages = examine_store(connection)
    except ConfigError as error:
        damages = [error.problem] if error.hint == DAMAGED_ADVICE else []
        if not damages:
            raise
    if not damages:
        return "nothing to repair"
    aside = move_aside(settings.store_path)
    found = "".join(f"\n  {damage}" for damage in damages)
    return f"damaged, and now {aside.name}; {rebuilt_from(settings)}{found}"


def _without_lost_files(settings: Settings) -> str:
    files = RunFiles(settings.windows_path)
    with contextlib.closing(SqliteLog(settings.outbox_path)) as outbox:
        lost = lost_files(files, outbox)
    for name in lost:
        files.give_up(name)
    told = "".join(f"\n  {name}" for name in lost)
    return f"given up, readings of their time are too old now:{told}" if lost else "nothing lost"


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(SqliteLog(path)) as log:
            return not examine(log).structure
    except (LamppostError, OSError):
        return False
