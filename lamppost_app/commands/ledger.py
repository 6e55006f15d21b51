# SPDX-License-Identifier: EUPL-1.2
"""``lamppost ledger``: what arrived, what became of it, and whether every sink has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lamppost.balance import hour_of
from lamppost.times import format_instant
from lamppost_app.cursors import Balance, Cursors
from lamppost_app.ledger import COLUMNS
from lamppost_app.ledger_reading import (
    Books,
    is_balanced,
    read_books,
    summed,
    summed_balances,
    total,
)
from lamppost_app.sqlite_log import SqliteLog

from .options import ConfigOption, instant_of, printable, settings_with_outbox, wide_console


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="ledger")(ledger)


def ledger(
    *,
    sensor: Annotated[str, typer.Option(help="One sensor; default: sums over all.")] = "",
    hour: Annotated[
        str, typer.Option(help="The hour of this instant, RFC 3339; default: the last day.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Every row, as one document.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the ledger, and compare it with what each sink stored; exit code 1 if they differ."""
    settings = settings_with_outbox(config)
    books = read_books(
        SqliteLog(settings.outbox_path),
        Cursors(settings.cursors_path),
        sensor=sensor,
        hour=_hour(hour),
    )
    if as_json:
        typer.echo(json.dumps(books.document(), ensure_ascii=False))
    else:
        _print(books, together=not sensor and not hour)
    raise typer.Exit(0 if books.balanced else 1)


def _hour(text: str) -> int | None:
    if not text:
        return None
    return hour_of(instant_of(text, "--hour"))


def _print(books: Books, *, together: bool) -> None:
    console = wide_console()
    table = _table("hour", "sensor", "source", *COLUMNS, "verdict")
    for row in summed(books.rows) if together else books.rows:
        numbers = [str(row[name]) for name in COLUMNS]
        verdict = "balanced" if is_balanced(row) else "DOES NOT BALANCE"
        _add(table, format_instant(row["hour"]), row["sensor"], row["source"], *numbers, verdict)
    sums = total(books.rows)
    _add(table, "total", "", "", *(str(sums[name]) for name in COLUMNS), "")
    console.print(table)
    balances = summed_balances(books.balances) if together else books.balances
    if balances:
        console.print()
        console.print(_sinks(balances))
    typer.echo("balanced" if books.balanced else "DOES NOT BALANCE")


def _sinks(balances: Sequence[Balance]) -> Table:
    table = _table("hour", "sensor", "sink", "accepted", "stored", "refused", "verdict")
    for balance in balances:
        counted = (balance.stored, balance.refused)
        accepted = str(balance.accepted) if balance.compared else "-"
        _add(
            table,
            format_instant(balance.hour),
            balance.sensor,
            balance.sink,
            accepted,
            *map(str, counted),
            balance.verdict,
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in {*COLUMNS, "stored"} else "left")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(printable(cell)) for cell in cells))
