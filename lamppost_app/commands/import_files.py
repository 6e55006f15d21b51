# SPDX-License-Identifier: EUPL-1.2
"""``lamppost import``: history out of files into the running installation, or before it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

from ingest.archives.layouts import LAYOUTS, Measured
from ingest.files import Archive, FileWishes, Wishes, archives
from lamppost.clock import SteadyClock
from lamppost.errors import ConfigError
from lamppost.periods import checked_resolution
from lamppost.quantities import QUANTITIES
from lamppost_app.import_results import ImportedRows, wait_for_engine, wait_for_ledger
from lamppost_app.importing import EngineLag, Import, Progress, check_ready
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import SqliteLog

from .import_report import Meter, print_preview, print_summary
from .options import ConfigOption, load_settings, printable

INTERRUPTED: Final = 130
SOME_REFUSED: Final = 3


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="import")(import_files)


def import_files(  # noqa: PLR0913 - each is an option of the command
    *,
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders or patterns: CSV (.gz, .zip), Parquet, days of IRIS."),
    ],
    layout: Annotated[
        str, typer.Option(help=f"Layout, if the header does not tell: {', '.join(LAYOUTS)}.")
    ] = "",
    sensor: Annotated[
        str, typer.Option(help="Sensor the files are of; {id} stands for the file's own name.")
    ] = "",
    time_column: Annotated[
        list[str] | None, typer.Option(help="Column of the time; twice for date and time.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="SRC=QUANTITY or SRC=QUANTITY:UNIT: what a column holds; repeatable."),
    ] = None,
    qualifier: Annotated[
        list[str] | None, typer.Option(help="Column that tells series apart; repeatable.")
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Time zone of times that name none, e.g. Europe/Berlin.")
    ] = "",
    repeated_hour: Annotated[
        Literal["order", "first", "second", "refuse"],
        typer.Option(help="Which is meant of the hour that comes twice; order: as rows follow."),
    ] = "order",
    time_format: Annotated[str, typer.Option(help="How times are written, as strptime says.")] = "",
    separator: Annotated[str, typer.Option(help="Between cells; default: found out.")] = "",
    decimal: Annotated[
        Literal["", ".", ","], typer.Option(help="Before decimals; default: found out.")
    ] = "",
    window: Annotated[
        str,
        typer.Option(
            help="Which aggregates become readings: 15min, 1h, 24h, day, month, year ...;"
            " default: 1h."
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option(help="Only show what would be imported.")] = False,
    restart: Annotated[
        bool, typer.Option(help="From the beginning, not where an earlier run has stopped.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Until all of it is published.")] = False,
    config: ConfigOption = None,
) -> None:
    """Import readings from files; the same command goes on where it was stopped."""
    wishes = FileWishes(
        Wishes(
            layout,
            sensor,
            tuple(time_column or ()),
            _columns(column or []),
            tuple(qualifier or ()),
        ),
        zone,
        repeated_hour,
        time_format,
        separator.replace("\\t", "\t"),
        decimal,
        _resolution(window),
    )
    settings = load_settings(config)
    found = archives(files, wishes, lambda sentence: typer.echo(printable(sentence), err=True))
    _say_unread(found)
    if dry_run:
        raise typer.Exit(SOME_REFUSED if print_preview(found) else 0)
    raise typer.Exit(_run(settings, found, restart=restart, wait=wait))


def _resolution(name: str) -> str:
    """Return a resolution by its one name; empty where nothing was said."""
    try:
        return name and checked_resolution(name)
    except ValueError as error:
        raise ConfigError(str(error), where="--window") from error


def _columns(pairs: list[str]) -> dict[str, Measured]:
    """Return what columns hold, from SRC=QUANTITY or SRC=QUANTITY:UNIT."""
    found = {}
    for pair in pairs:
        source, equals, what = pair.rpartition("=")
        quantity, _, unit = what.partition(":")
        if not equals or not source:
            raise ConfigError(f"{pair!r} is not SRC=QUANTITY", where="--column")
        if quantity not in QUANTITIES:
            hint = f"known: {', '.join(QUANTITIES)}"
            problem = f"{quantity!r} is not in the vocabulary"
            raise ConfigError(problem, where=f"--column {pair}", hint=hint)
        found[source] = Measured(quantity, unit or None)
    return found


def _say_unread(found: list[Archive]) -> None:
    """Name columns nobody looks into, once for each kind of file."""
    said = set()
    for archive in found:
        if archive.unread and archive.unread not in said:
            said.add(archive.unread)
            names = printable(", ".join(archive.unread))
            typer.echo(f"{archive.name}: not imported: {names}", err=True)


def _run(settings: Settings, found: list[Archive], *, restart: bool, wait: bool) -> int:
    if not settings.inbox_path.is_file():
        hint = "start lamppost run once with these settings, or name them with --config"
        raise ConfigError("there is no inbox", where=str(settings.inbox_path), hint=hint)
    clock, began = SteadyClock(), time.monotonic()
    with closing(SqliteLog(settings.inbox_path)) as inbox:
        check_ready(inbox)
        with closing(EngineLag(settings, inbox)) as lag, _interruptible():
            job = Import(inbox, lag, found, clock)
            if restart:
                job.restart()
            elif job.resumed:
                typer.echo("going on where an earlier run has stopped; --restart begins anew")
            rows = ImportedRows(lag, clock.now_ns()) if wait else None
            with Meter() as meter:
                progress, last = job.run(meter.tell)
                counts = None
                if rows is not None:
                    wait_for_engine(lag, last, meter.tell_waiting)
                    published_s = time.monotonic() - began
                    meter.say(f"published after {published_s:.1f} s; waiting for the ledger")
                    counts = wait_for_ledger(rows, _items(progress), inbox, clock)
            print_summary(progress, counts, time.monotonic() - began, waited=wait)
    return _exit_code(progress)


def _items(progress: Progress) -> int:
    """Return how many items the ledger will count."""
    return progress.readings + sum(progress.refused.values())


def _exit_code(progress: Progress) -> int:
    if progress.broken:
        return 1
    return SOME_REFUSED if progress.refused else 0


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print("\nstopped; the same command goes on from here")
        raise typer.Exit(INTERRUPTED) from None
