# SPDX-License-Identifier: EUPL-1.2
"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer

from lamppost.errors import ConfigError, LamppostError

COMMANDS: Final = (
    "run",
    "demo",
    "check",
    "reload",
    "decode",
    "index",
    "quarantine",
    "ledger",
    "replay",
    "import",
    "simulate",
    "export",
    "doctor",
    "repair",
    "backup",
    "restore",
)


_MODULES: Final = {"import": "import_files"}
"""The module of a command whose name no module can have."""


def command_line(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands, each from the module of its name."""
    made = typer.Typer(
        help="Turns a city's sensor readings into numbers people can trust.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_no_options)
    for name in names:
        import_module(f"lamppost_app.commands.{_MODULES.get(name, name)}").add_to(made)
    return made


def _no_options() -> None:
    """Stand for the options of no command, so that a single command keeps its name."""


def main() -> None:
    """Run the command line; a wrong configuration is one line and exit code 2.

    Only the command that was named is imported: a role that starts again after a crash is waited
    for.
    """
    named = sys.argv[1:2]
    app = command_line(named if named and named[0] in COMMANDS else COMMANDS)
    try:
        app()
    except ConfigError as error:
        typer.echo(f"lamppost: {error}", err=True)
        sys.exit(2)
    except (LamppostError, OSError) as error:
        typer.echo(f"lamppost: {error}", err=True)
        sys.exit(1)


def __getattr__(name: str) -> typer.Typer:
    """Return the whole command line as ``app``, made when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    whole = globals()["app"] = command_line()
    return whole
