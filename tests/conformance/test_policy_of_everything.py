# SPDX-License-Identifier: EUPL-1.2
"""The policy with everything on: every component stands in it, with numbers that say where from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from lamppost.component import Component, Kind, registered
from lamppost.policy import Policy, load_policy
from lamppost.policy_files import read_folder
from lamppost_app.bootstrap import check_configuration
from lamppost_app.components import discover_processing
from lamppost_app.explanation import rules
from lamppost_app.settings import Settings

FOLDER: Final = Path(__file__).parents[2] / "policy" / "everything"
EVERYTHING = load_policy(FOLDER)
DEFAULT = load_policy(FOLDER.parent)
KINDS: Final[tuple[Kind, ...]] = (
    "check",
    "derivation",
    "detector",
    "aggregator",
    "index",
    "alert",
)
_OURS: Final = "processors."
_CORRECTIONS: Final = "processors.correction."


def everything_registered() -> list[Component]:
    """Return all our components a policy can name, but for formats, which routes name."""
    discover_processing()
    found = [component for kind in KINDS for component in registered(kind).values()]
    return [component for component in found if component.cls.__module__.startswith(_OURS)]


def section_of(component: Component) -> str:
    """Return the section of a policy that a component belongs in."""
    if component.kind == "derivation":
        corrects = component.cls.__module__.startswith(_CORRECTIONS)
        return "corrections" if corrects else "derivations"
    return {
        "check": "quality",
        "detector": "detection",
        "aggregator": "windows",
        "index": "indices",
        "alert": "alerts",
    }[component.kind]


def switched_on(policy: Policy, section: str) -> set[str]:
    """Return the names of the components of a section."""
    if section == "alerts":
        return {rule.use for rule in policy.alerts.values()}
    named: Mapping[str, Any] = getattr(policy, section)
    return set(named)


@pytest.mark.parametrize(
    "component", everything_registered(), ids=lambda found: f"{found.kind}-{found.name}"
)
def test_every_component_is_switched_on(component: Component) -> None:
    """Whoever adds a component names it in policy/everything (or in the default policy)."""
    section = section_of(component)

    assert component.name in switched_on(EVERYTHING, section), f"{section} of {FOLDER}"


def test_every_fault_of_a_detector_is_looked_for() -> None:
    """The one check whose parts are switched on one by one."""
    assert set(EVERYTHING.quality["detector_health"]) >= {
        "no_hits",
        "chatter",
        "locked_on",
        "no_change",
        "occupancy_spike",
    }


def test_the_configuration_is_right_and_each_rule_is_told() -> None:
    """As ``lamppost check`` does it; in one sentence each."""
    checked = check_configuration(Settings(policy=FOLDER))

    told = {(rule.stage, rule.name): rule.sentence for rule in rules(checked.policy)}

    assert [folder.name for folder in checked.extended] == ["policy"]
    for section in ("quality", "corrections", "derivations", "detection", "windows", "indices"):
        assert {name for stage, name in told if stage == section} == set(
            getattr(EVERYTHING, section)
        )
    assert {name for stage, name in told if stage == "alerts"} == set(EVERYTHING.alerts)
    assert all(sentence.endswith(".") for sentence in told.values())


def test_it_says_only_what_the_default_policy_does_not() -> None:
    """Each entry is new or other; what is new runs behind, and the rest in its order."""
    own, _ = read_folder(FOLDER)

    for section in ("quality", "corrections", "derivations", "indices", "alerts"):
        below = getattr(DEFAULT, section)
        together = getattr(EVERYTHING, section)
        assert list(together) == list(dict.fromkeys([*below, *own[section]]))
        assert all(together[name] != below.get(name) for name in own[section])


def test_what_is_rated_is_said_of_every_correction() -> None:
    """First what the default policy rates, so that no index changes with the others."""
    prefer = EVERYTHING.rating.prefer

    assert sorted(prefer) == sorted(EVERYTHING.corrections)
    assert prefer[: len(DEFAULT.rating.prefer)] == DEFAULT.rating.prefer
    assert prefer[1] in DEFAULT.corrections


def test_methods_for_comparison_are_for_few_sensors() -> None:
    """Only what is meant for every sensor is made for every sensor."""
    everywhere = {
        name
        for name, settings in EVERYTHING.corrections.items()
        if "*" in settings.get("sensors", ())
    }

    assert everywhere == {"barkjohn_2021", "barkjohn_2022"}
