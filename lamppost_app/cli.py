# SPDX-License-Identifier: EUPL-1.2
"""The command line."""

from __future__ import annotations

import sys

import typer

from lamppost.errors import ConfigError, LamppostError

from .commands import (
    check,
    decode,
    demo,
    doctor,
    export,
    ledger,
    quarantine,
    repair,
    replay,
    run,
    simulate,
)

app = typer.Typer(
    help="Turns a city's sensor readings into numbers people can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for module in (
    run,
    demo,
    check,
    decode,
    quarantine,
    ledger,
    replay,
    simulate,
    export,
    doctor,
    repair,
):
    module.add_to(app)


def main() -> None:
    """Run the command line; a wrong configuration is one line and exit code 2."""
    try:
        app()
    except ConfigError as error:
        typer.echo(f"lamppost: {error}", err=True)
        sys.exit(2)
    except (LamppostError, OSError) as error:
        typer.echo(f"lamppost: {error}", err=True)
        sys.exit(1)
