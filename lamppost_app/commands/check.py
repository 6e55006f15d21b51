# SPDX-License-Identifier: EUPL-1.2
"""``lamppost check``: is the configuration right, and what does it do?"""

from __future__ import annotations

from typing import Any

import typer

from lamppost.component import Kind, find
from lamppost.policy import Policy
from lamppost_app.bootstrap import check_configuration

from .options import ConfigOption, PolicyOption, load_settings


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="check")(check)


def check(config: ConfigOption = None, policy: PolicyOption = None) -> None:
    """Check settings, policy and stations without starting anything."""
    settings = load_settings(config)
    if policy is not None:
        settings = settings.model_copy(update={"policy": policy})
    checked = check_configuration(settings)
    typer.echo(f"policy {checked.policy.version} in {settings.policy_path}: right")
    for line in explain(checked.policy):
        typer.echo(f"  {line}")
    typer.echo(f"stations: {len(checked.stations)}")


def explain(policy: Policy) -> list[str]:
    """Return what a policy does, one line each."""
    lines = [f"{route.match} is read as {route.format}" for route in policy.routes]
    sections: tuple[tuple[Kind, dict[str, dict[str, Any]]], ...] = (
        ("check", policy.quality),
        ("derivation", policy.corrections),
        ("derivation", policy.derivations),
        ("detector", policy.detection),
        ("aggregator", policy.windows),
        ("index", policy.indices),
    )
    for kind, named in sections:
        lines += [f"{kind} {name}: {find(kind, name, kind).summary}" for name in named]
    for rule_id, rule in policy.alerts.items():
        held = f" after {rule.for_s:g} s" if rule.for_s else ""
        lines.append(f"alert {rule_id} ({rule.severity}, {rule.use}{held}): {rule.title}")
    return lines
