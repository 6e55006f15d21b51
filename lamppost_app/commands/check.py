# SPDX-License-Identifier: EUPL-1.2
"""``lamppost check``: is the configuration right, and what does it do?"""

from __future__ import annotations

import itertools
import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Final

import typer

from lamppost_app.bootstrap import Configuration, check_configuration
from lamppost_app.explanation import STAGES, Rule, rules

from .options import ConfigOption, PolicyOption, load_settings, printable

_WIDEST: Final = 110
"""Longer lines are hard to follow with the eye."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="check")(check)


def check(
    config: ConfigOption = None,
    policy: PolicyOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Check settings, policy and stations without starting anything; say what each rule does."""
    settings = load_settings(config)
    if policy is not None:
        settings = settings.model_copy(update={"policy": policy})
    checked = check_configuration(settings)
    found = rules(checked.policy)
    if as_json:
        typer.echo(json.dumps(_document(checked, found), ensure_ascii=False, indent=2))
        return
    upon = "".join(f", upon {folder}" for folder in checked.extended)
    typer.echo(f"policy {checked.policy.version} in {settings.policy_path}{upon}: right")
    for line in lines(found, min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST)):
        typer.echo(printable(line) if line else "")
    typer.echo(f"\nstations: {len(checked.stations)}")


def lines(found: Sequence[Rule], width: int) -> Iterator[str]:
    """Yield rules for people, under a heading for each stage."""
    for stage, told in itertools.groupby(found, lambda rule: rule.stage):
        yield ""
        yield STAGES[stage]
        for rule in told:
            yield from textwrap.wrap(
                f"{rule.name}: {rule.sentence}",
                width,
                initial_indent="  ",
                subsequent_indent="      ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def _document(checked: Configuration, found: Sequence[Rule]) -> dict[str, object]:
    return {
        "policy": checked.policy.version,
        "folder": str(checked.settings.policy_path),
        "extends": [str(folder) for folder in checked.extended],
        "stations": len(checked.stations),
        "rules": [asdict(rule) for rule in found],
    }
