# SPDX-License-Identifier: EUPL-1.2
"""``lamppost check``: is the configuration right, and what does it do?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from lamppost.compliance import explained
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
    lines.append(f"rating: {policy.rating.sentence}")
    for rule_id, rule in policy.alerts.items():
        held = f" after {rule.for_s:g} s" if rule.for_s else ""
        lines.append(f"alert {rule_id} ({rule.severity}, {rule.use}{held}): {rule.title}")
    return [*lines, *_limits(policy)]


def _limits(policy: Policy) -> Iterator[str]:
    """Yield what each limit of a law or guideline asks for."""
    made = {
        length
        for name, raw in policy.windows.items()
        for length in getattr(find("aggregator", name, name).parse(raw, name), "lengths_ns", ())
    }
    for set_name, chosen in policy.compliance.sets.items():
        since = f" from {chosen.in_force_from}" if chosen.in_force_from else ""
        until = f" until {chosen.in_force_until}" if chosen.in_force_until else ""
        yield f"limits {set_name}: {chosen.title}; in force{since}{until}"
        for name, rule in chosen.rules.items():
            known = f"{rule.source} (with a remark)" if rule.remark else rule.source
            lacking = "" if rule.window_ns in made else f"; NO WINDOWS of {rule.averaging} are made"
            yield f"limit {set_name}.{name}: {explained(rule)}; {known}{lacking}"
