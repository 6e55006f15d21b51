# SPDX-License-Identifier: EUPL-1.2
"""Every rule of a policy in one sentence, in the order in which readings meet them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lamppost import compliance
from lamppost.component import Component, Kind, Settings, find
from lamppost.explained import QuantitySettings, explained
from lamppost.flags import TIME_IMPLAUSIBLE
from lamppost.policy import AlertRule, Policy
from lamppost.sense import doubts_about
from lamppost.units import CONDITIONS
from lamppost.wording import counted, exactly, listed, percent

from .components import RENAMED, discover_processing

STAGES: Final = {
    "routes": "Which messages are read as what (the first that matches)",
    "time": "When it is, and in which units",
    "quality": "Is the reading a measurement? (checks, one after the other)",
    "corrections": "What is corrected",
    "derivations": "What is worked out beside it",
    "detection": "Is the measurement unusual?",
    "windows": "What is averaged",
    "indices": "Which health indices are told",
    "rating": "Which of raw and corrected series count",
    "alerts": "Who must know",
    "compliance": "Which limits the year is held against",
    "publication": "What is published",
}
"""Title of each stage, in the order of the data."""

_KINDS: Final[dict[str, Kind]] = {
    "quality": "check",
    "corrections": "derivation",
    "derivations": "derivation",
    "detection": "detector",
    "windows": "aggregator",
    "indices": "index",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy.

    Attributes:
        stage: which of STAGES it belongs to.
        name: its name there.
        sentence: what it does under the settings in force.
    """

    stage: str
    name: str
    sentence: str


def rules(policy: Policy) -> list[Rule]:
    """Return every rule of a policy that was checked, stage by stage."""
    discover_processing()
    told = {
        "routes": _routes(policy),
        "time": _time(policy),
        "rating": _rating(policy),
        "alerts": _alerts(policy),
        "compliance": _limits(policy),
        "publication": _publication(policy),
    }
    components = {
        stage: ((name, explained(component, settings)) for name, component, settings in found)
        for stage, found in _components(policy)
    }
    sentences: dict[str, Iterable[tuple[str, str]]] = {**told, **components}
    return [Rule(stage, name, text) for stage in STAGES for name, text in sentences[stage]]


def nonsense(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield where a policy that can be used says what cannot be meant, and what is wrong."""
    discover_processing()
    for doubt in doubts_about(policy):
        yield ".".join(doubt.keys), doubt.problem
    matches = [route.match for route in policy.routes]
    for number, match in enumerate(matches):
        if match in matches[:number]:
            yield f"routes.{number}.match", f"{match} stands above already, and the first is used"
    settings = {
        f"{stage}.{name}": settings
        for stage, found in _components(policy)
        for name, _, settings in found
    }
    for rule_id, _, chosen in _alert_rules(policy):
        settings[f"alerts.{rule_id}.settings"] = chosen
    for where, own in settings.items():
        for doubt in doubts_about(own):
            yield ".".join((where, *doubt.keys)), doubt.problem


def published(policy: Policy) -> dict[str, dict[str, Any]]:
    """Return the rules that judge readings, by the reason they give.

    Of each reason: the sentence of every rule that gives it, and what the rules say of single
    quantities.
    """
    discover_processing()
    found: dict[str, dict[str, Any]] = {}
    for stage, components in _components(policy):
        for name, component, settings in components:
            about = _about(component, settings)
            for reason in getattr(component.cls, "reasons", ()):
                rule = {"sentence": explained(component, settings), "quantities": about}
                found.setdefault(reason.name, {})[f"{stage}.{name}"] = rule
    trusted = dict(_time(policy))["time"]
    found[TIME_IMPLAUSIBLE.name] = {"time": {"sentence": trusted, "quantities": {}}}
    return found


def _about(component: Component, settings: Settings) -> dict[str, str]:
    if not isinstance(settings, QuantitySettings):
        return {}
    return {
        quantity: explained(component, settings.about(quantity)) for quantity in settings.named()
    }


def _components(
    policy: Policy,
) -> Iterator[tuple[str, list[tuple[str, Component, Settings]]]]:
    for stage, kind in _KINDS.items():
        named: Mapping[str, Mapping[str, Any]] = getattr(policy, stage)
        found = []
        for name, raw in named.items():
            component = find(kind, RENAMED.get(name, name), f"{stage}.{name}")
            found.append((name, component, component.parse(raw, f"{stage}.{name}")))
        yield stage, found


def _routes(policy: Policy) -> Iterator[tuple[str, str]]:
    for route in policy.routes:
        yield route.match, f"Messages to this topic or path are read as {route.format}."


def _time(policy: Policy) -> Iterator[tuple[str, str]]:
    time, growth = policy.time, policy.growth
    since = time.not_before.isoformat().replace("+00:00", "Z")
    believed = f"from {since} on and up to {exactly(time.max_ahead_s)} ahead of receipt"
    else_used = "else the time of receipt is used"
    yield (
        "time",
        f"A device's own time is believed {believed}, {else_used}; days are those of {time.zone}.",
    )
    conditions = CONDITIONS[policy.units.gas_conditions]
    yield "units", f"Gases in ppb or ppm become µg/m³ at {conditions}."
    new = f"{growth.new_sensors_per_h} an hour and {growth.unregistered_sensors} altogether"
    most = f"{growth.series_per_sensor} series of any sensor"
    yield "growth", f"Taken in are {new} of sensors the station file does not know, and {most}."


def _rating(policy: Policy) -> Iterator[tuple[str, str]]:
    said = policy.rating.sentence.removesuffix(".")
    share = percent(policy.rating.year_share)
    year = f"; of a year, a series that is preferred must have {share} of the windows"
    yield "rating", f"{said[:1].upper()}{said[1:]}{'' if policy.rating.series == 'both' else year}."


def _alert_rules(policy: Policy) -> Iterator[tuple[str, Component, Settings]]:
    for rule_id, rule in policy.alerts.items():
        component = find("alert", rule.use, f"alerts.{rule_id}.use")
        yield rule_id, component, component.parse(rule.settings, f"alerts.{rule_id}.settings")


def _alerts(policy: Policy) -> Iterator[tuple[str, str]]:
    for rule_id, component, settings in _alert_rules(policy):
        yield rule_id, alert_sentence(policy.alerts[rule_id], explained(component, settings))


def alert_sentence(rule: AlertRule, condition: str) -> str:
    """Return what an alert rule does.

    >>> alert_sentence(AlertRule(use="x", title="Smoke", for_s=900), "It holds while it burns.")
    'Smoke (warning): it holds while it burns; it fires once that lasted 15 min.'
    """
    begins = f"; it fires once that lasted {exactly(rule.for_s)}" if rule.for_s else ""
    ends = f"; it resolves {exactly(rule.clear_for_s)} after its end" if rule.clear_for_s else ""
    said = condition[:1].lower() + condition[1:].removesuffix(".")
    return f"{rule.title} ({rule.severity}): {said}{begins}{ends}."


def _limits(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield what each limit of a law or guideline asks for."""
    made = {
        length
        for stage, found in _components(policy)
        if stage == "windows"
        for _, _, settings in found
        for length in getattr(settings, "lengths_ns", ())
    }
    for set_name, chosen in policy.compliance.sets.items():
        since = f" from {chosen.in_force_from}" if chosen.in_force_from else ""
        until = f" until {chosen.in_force_until}" if chosen.in_force_until else ""
        yield set_name, f"{chosen.title}; in force{since}{until}."
        for name, rule in chosen.rules.items():
            known = f"{rule.source} (with a remark)" if rule.remark else rule.source
            lacking = "" if rule.window_ns in made else f"; NO WINDOWS of {rule.averaging} are made"
            yield f"{set_name}.{name}", f"{compliance.explained(rule)}; {known}{lacking}."


def _publication(policy: Policy) -> Iterator[tuple[str, str]]:
    told = policy.publication
    yield (
        "publication",
        f"{told.publisher} publishes “{told.title}” under {told.licence} ({told.licence_url}).",
    )
    for name, languages in policy.advice.items():
        texts = counted(len(next(iter(languages.values()), ())), "text")
        yield f"advice.{name}", f"{texts} of advice, one a category, in {listed(list(languages))}."
