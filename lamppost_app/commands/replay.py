# SPDX-License-Identifier: EUPL-1.2
"""``lamppost replay``: what would the engine have said about a recording?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from lamppost.errors import ConfigError
from lamppost.policy import load_policy
from lamppost.quantities import QUANTITIES
from lamppost_app.dry_run import DryRun, inbox_of
from sensor_sim.recordings import open_recording

from .options import ConfigOption, PolicyOption, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="replay")(replay)


def replay(
    recording: Annotated[Path, typer.Option("--input", help="CSV file with a header.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    sensor: Annotated[str, typer.Option(help="Name of the sensor the recording is of.")],
    time_column: Annotated[str | None, typer.Option(help="Column that holds the time.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="SRC=QUANTITY: a column and what it measures; may be repeated."),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Time zone of times that name none, e.g. Europe/Berlin.")
    ] = "UTC",
    policy: PolicyOption = None,
    config: ConfigOption = None,
) -> None:
    """Run the engine on a recording and write readings, aggregates, alerts and ledger."""
    rules = load_policy(policy or load_settings(config).policy_path)
    opened = open_recording(
        recording,
        zone=zone,
        time_column=time_column,
        columns=columns_of(column) if column else None,
    )
    entries = list(inbox_of(opened, sensor, rules))
    run = DryRun()
    console = Console(stderr=True)
    for entry in track(entries, description=recording.name, console=console):
        run.take(entry)
    run.write(out)
    for row in run.quarantined[:5]:
        typer.echo(f"quarantined: {row['code']}: {row['detail']}", err=True)
    typer.echo(f"{run.summary()}; written to {out}")


def columns_of(pairs: list[str]) -> dict[str, str]:
    """Return quantity by source column, from SRC=QUANTITY texts.

    Raises:
        ConfigError: a pair is not of that form, or the quantity is not in the vocabulary.
    """
    columns = {}
    for pair in pairs:
        source, separator, quantity = pair.rpartition("=")
        if not separator:
            raise ConfigError(f"{pair!r} is not SRC=QUANTITY", where="--column")
        if quantity not in QUANTITIES:
            hint = f"known: {', '.join(QUANTITIES)}"
            problem = f"{quantity!r} is not in the vocabulary"
            raise ConfigError(problem, where=f"--column {pair}", hint=hint)
        columns[source] = quantity
    return columns
