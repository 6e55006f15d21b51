# SPDX-License-Identifier: EUPL-1.2
"""What ``lamppost import`` shows: progress, a preview, and what became of the rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from ingest.files import Archive
from lamppost.decoded import Measurement
from lamppost.quantities import QUANTITIES
from lamppost.times import format_instant
from lamppost.wording import printed_unit
from lamppost_app.import_preview import Preview, SeriesSpan, preview, verdict
from lamppost_app.importing import Progress

from .options import printable, wide_console

_PLAIN_EVERY_S: Final = 5.0
_MOST_SERIES: Final = 50


class Meter:
    """Shows progress: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        """Find out where it is shown."""
        self._console = Console(stderr=True)
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._began = self._said_at = time.monotonic()
        self._told_waiting = False

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("import", total=None)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the line."""
        if self._bar is not None:
            self._bar.stop()

    def tell(self, progress: Progress) -> None:
        """Show how far an import has come."""
        if progress.waiting:
            self.tell_waiting(asleep=True)
        now = time.monotonic()
        rate = progress.readings / max(now - self._began, 1e-3)
        text = f"{printable(progress.file)}: {progress.readings:,} readings, {rate:,.0f}/s"
        if self._bar is not None:
            self._bar.update(
                self._task,
                description=text,
                completed=progress.bytes_read,
                total=progress.bytes_total,
            )
        elif now - self._said_at >= _PLAIN_EVERY_S:
            self._said_at = now
            done = progress.bytes_read / max(progress.bytes_total, 1)
            left = (now - self._began) * (1 - done) / done if done else 0.0
            typer.echo(f"{done:4.0%}  {text}, {left:,.0f} s left", err=True)

    def tell_waiting(self, asleep: bool) -> None:  # noqa: FBT001 - called back with one fact
        """Say once that the engine is waited for."""
        if asleep and not self._told_waiting:
            self._told_waiting = True
            self.say(
                "waiting for the engine, which has not moved for seconds: is lamppost run up?"
                " Ctrl-C stops here for now"
            )

    def say(self, text: str) -> None:
        """Show a line."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text, err=True)


def print_preview(found: Sequence[Archive]) -> bool:
    """Show what an import would bring; return whether it would leave out anything."""
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=sum(archive.size for archive in found))
        said = preview(found, lambda size: bar.advance(task, size))
    console = wide_console()
    console.print(_files(found))
    console.print()
    console.print(_series(said))
    if len(said.series) > _MOST_SERIES:
        console.print(f"and {len(said.series) - _MOST_SERIES:,} more series")
    if said.refused:
        console.print()
        console.print(_refused(said))
        if said.refusals > len(said.refused):
            console.print(f"and {said.refusals - len(said.refused):,} more rows")
    readings = sum(span.readings for span in said.series.values())
    console.print()
    console.print(
        f"{said.rows:,} rows: {readings:,} readings of {len(said.series):,} series, "
        f"{said.refusals:,} refused{_asides(said)}",
        highlight=False,
    )
    for problem in said.broken:
        console.print(printable(problem), markup=False, highlight=False)
    console.print("nothing was imported")
    strange = any(verdict(meaning) for meaning in said.series)
    return bool(said.refusals or said.broken or strange)


def print_summary(
    progress: Progress, counts: Counter[str] | None, seconds: float, *, waited: bool
) -> None:
    """Say what was done, and where to look."""
    refused = sum(progress.refused.values())
    rate = progress.readings / max(seconds, 1e-3)
    typer.echo(
        f"{progress.rows:,} rows read: {progress.readings:,} readings in the inbox, "
        f"{refused:,} rows refused"
        f"{_asides(progress)}"
        f"; {seconds:.1f} s, {rate:,.0f}/s"
    )
    for code, rows in sorted(progress.refused.items()):
        typer.echo(f"  {code}: {rows:,}")
    for problem in progress.broken:
        typer.echo(f"  {printable(problem)}")
    if counts is not None:
        typer.echo(
            f"published: {counts['accepted']:,} accepted, {counts['duplicate']:,} duplicate, "
            f"{counts['quarantined']:,} quarantined"
        )
        if counts["received"] > progress.readings + refused:
            typer.echo("  (with what other imports brought meanwhile)")
    elif waited:
        typer.echo("published; the ledger has not said so yet: lamppost ledger")
    else:
        typer.echo("the engine publishes them as it reads: lamppost ledger, source import")
    if refused or (counts is not None and counts["quarantined"]):
        typer.echo("rows that were refused: lamppost quarantine list --route import/archive")


def _asides(found: Preview | Progress) -> str:
    """Return what else there is to say of rows, where there is."""
    said = {
        "cells without a number": found.empty,
        "of other windows": found.passed_over,
        "of corrected or derived series, which are worked out anew": found.derived,
        "in an hour that came twice": found.ambiguous,
    }
    return "".join(f", {rows:,} {what}" for what, rows in said.items() if rows)


def _files(found: Sequence[Archive]) -> Table:
    table = _table("file", "layout", "bytes", "separator", "decimal", "zone")
    for archive in found[:_MOST_SERIES]:
        spelling = archive.spelling
        separator = "" if spelling is None else spelling.separator.replace("\t", "tab")
        decimal = "" if spelling is None else spelling.decimal
        zone = archive.wishes.zone or archive.layout.zone or "as written"
        _add(table, archive.name, archive.layout.name, f"{archive.size:,}", separator, decimal,
             zone)  # fmt: skip
    if len(found) > _MOST_SERIES:
        _add(table, f"and {len(found) - _MOST_SERIES:,} more files", *[""] * 5)
    return table


def _series(said: Preview) -> Table:
    headings = ("sensor", "quantity", "qualifiers", "unit", "readings", "first", "last", "problem")
    table = _table(*headings)
    for meaning, span in list(said.series.items())[:_MOST_SERIES]:
        _add(table, *_series_cells(meaning, span))
    return table


def _series_cells(meaning: Measurement, span: SeriesSpan) -> list[str]:
    known = QUANTITIES.get(meaning.quantity)
    unit = printed_unit(meaning.unit or (known.unit if known else ""))
    if known is not None and meaning.unit and meaning.unit != known.unit:
        unit = f"{meaning.unit} to {printed_unit(known.unit)}"
    return [
        meaning.sensor,
        meaning.quantity,
        meaning.qualifiers,
        unit,
        f"{span.readings:,}",
        format_instant(span.first),
        format_instant(span.last),
        verdict(meaning),
    ]


def _refused(said: Preview) -> Table:
    table = _table("file", "line", "code", "problem", "row")
    for name, (line, code, problem, text) in said.refused:
        _add(table, name, str(line), code, problem, text[:60])
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading in {"bytes", "readings", "line"}
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(printable(cell)) for cell in cells))
