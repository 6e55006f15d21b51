# SPDX-License-Identifier: EUPL-1.2
"""``lamppost export``: the aggregates as open data, once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.sqlite_log import SqliteLog
from sinks.open_data.handed_over import FOLDER
from sinks.open_data.sink import OpenDataSettings, OpenDataSink

from .options import ConfigOption, settings_with_outbox


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="export")(export)


def export(
    out: Annotated[Path, typer.Option(help="Folder for the data package.")],
    config: ConfigOption = None,
) -> None:
    """Write everything the outbox holds as CSV and Parquet with a datapackage.json."""
    settings = settings_with_outbox(config)
    left = settings.data.dir / FOLDER
    own = OpenDataSettings(dir=out, windows=settings.open_data.windows, handed_over=left)
    sink = OpenDataSink(own)
    outbox = SqliteLog(settings.outbox_path)
    runner = SinkRunner(sink, outbox, Cursors(out / ".cursors.db"), threading.Event())
    runner.drain()
    typer.echo(f"open data up to outbox entry {runner.position} written to {out}")
