# SPDX-License-Identifier: EUPL-1.2
"""The words behind the numbers: rules, reasons, quantities and licence of a policy."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from lamppost.compass import compass_point
from lamppost.compliance import Compliance
from lamppost.component import all_reasons
from lamppost.derived import METHOD_QUALIFIERS
from lamppost.flags import Reason
from lamppost.indices import Category, Scale
from lamppost.policy import Publication
from lamppost.quantities import QUANTITIES
from lamppost.rating import Rating
from lamppost.series import qualifiers_mapping
from lamppost.system_rules import SYSTEM_RULES
from lamppost.units import CONDITIONS, Conditions
from lamppost.wording import printed_unit
from lamppost.zones import zone_names
from sinks.store_reader import StoreReader


@dataclass(frozen=True)
class Rulebook:
    """One policy as it took effect.

    Attributes:
        policy: content hash of the policy, "" before any took effect.
        at: when it took effect, ns UTC.
        content: the policy itself.
        reasons: by bit.
        told: the rules that give each reason, by its name: their sentences, by rule.
        indices: name by number.
        scales: what each index is called, its table and its categories, by name.
        quantities: unit, label and kind by name.
        method: version of the method of the statistics, "" where it is not told.
        methods: what is said of the methods of derived series, by name.
        windows: resolutions of the windows that are made, where they are told.
    """

    policy: str = ""
    at: int = 0
    content: dict[str, Any] = field(default_factory=dict)
    reasons: dict[int, Reason] = field(default_factory=dict)
    told: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    indices: dict[int, str] = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)
    quantities: dict[str, dict[str, str]] = field(default_factory=dict)
    method: str = ""
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    windows: tuple[str, ...] = ()

    @property
    def publication(self) -> Publication:
        """What open-data consumers must know."""
        return Publication.model_validate(self.content.get("publication", {}))

    @cached_property
    def compliance(self) -> Compliance:
        """The limits a year is held against; none where another version has told them."""
        try:
            found = Compliance.model_validate(self.content.get("compliance", {}))
        except ValidationError:
            return Compliance()
        return found.measured_at(self._gas_conditions)

    @cached_property
    def rating(self) -> Rating:
        """Which of raw and corrected series are rated."""
        try:
            return Rating.model_validate(self.content.get("rating", {}))
        except ValidationError:
            return Rating()

    @property
    def zone(self) -> str:
        """The city's time zone, UTC where the policy names none that is known."""
        named = str(self.content.get("time", {}).get("zone") or "UTC")
        return named if named in zone_names() else "UTC"

    def rule(self, rule_id: str) -> dict[str, Any] | None:
        """Return an alert rule, of the policy or of Lamppost itself."""
        if rule_id in SYSTEM_RULES:
            return SYSTEM_RULES[rule_id].model_dump()
        rules: dict[str, dict[str, Any]] = self.content.get("alerts", {})
        return rules.get(rule_id)

    def reasons_in(self, mask: int) -> list[Reason]:
        """Return the reasons of a mask."""
        if not mask:
            return []
        return [reason for bit, reason in sorted(self.reasons.items()) if mask >> bit & 1]

    def reason_name(self, bit: int) -> str:
        """Return the name of a reason."""
        return self.reasons[bit].name if bit in self.reasons else str(bit)

    def in_force(self, reason: Reason, quantity: str) -> list[str]:
        """Return what the rules that give a reason say of a quantity, with their numbers."""
        rules = self.told.get(reason.name, {}).values()
        return [rule["quantities"].get(quantity, rule["sentence"]) for rule in rules]

    @property
    def gas_conditions(self) -> str:
        """Temperature and pressure at which parts of a volume of gas became a mass."""
        return CONDITIONS[self._gas_conditions]

    @property
    def _gas_conditions(self) -> Conditions:
        named: Conditions = self.content.get("units", {}).get("gas_conditions", "eu_20c")
        return named

    def method_of(self, qualifiers: str) -> dict[str, Any] | None:
        """Return what is said of the method a series was derived by; None for what was measured."""
        known = qualifiers_mapping(qualifiers)
        name = next((known[kind] for kind in METHOD_QUALIFIERS if kind in known), None)
        if name is None:
            return None
        return {"version": name, "formula": "", **self.methods.get(name, {})}

    def method_version(self, qualifiers: str) -> str | None:
        """Return the version of the method a series was derived by; None for what was measured."""
        method = self.method_of(qualifiers)
        return None if method is None else str(method["version"])

    def label(self, quantity: str) -> str:
        """Return the printed name of a quantity."""
        known = self.quantities.get(quantity)
        return known["label"] if known else quantity.replace("_", " ")

    def unit(self, quantity: str) -> str:
        """Return the canonical unit of a quantity."""
        known = self.quantities.get(quantity)
        return known["unit"] if known else ""

    def switched_on(self) -> list[tuple[int, str]]:
        """Return number and name of the indices the policy makes, in its order."""
        numbers = {name: number for number, name in self.indices.items()}
        named = self.content.get("indices", {})
        return [(numbers[name], name) for name in named if name in numbers]

    def averaged_over(self, name: str, quantity: str) -> str:
        """Return over which periods an index averages a pollutant, as people read it."""
        scale = self.scales.get(name)
        return ", ".join(scale.averaging.get(quantity, ())) if scale else ""

    def index_title(self, name: str) -> str:
        """Return the printed name of an index."""
        return self.scales[name].title if name in self.scales else name.replace("_", " ")

    def category(self, index: int, category: int) -> Category | None:
        """Return a category of an index by number; None where there is no value or no such one."""
        scale = self.scales.get(self.indices.get(index, ""))
        if scale is None or not 1 <= category <= len(scale.categories):
            return None
        return scale.categories[category - 1]

    def advice(self, name: str, category: int, language: str = "en") -> str:
        """Return what people are told to do, in a language or else the first there is."""
        languages: dict[str, list[str]] = self.content.get("advice", {}).get(name, {})
        texts = languages.get(language) or next(iter(languages.values()), [])
        return texts[category - 1] if 1 <= category <= len(texts) else ""

    def printed_unit(self, quantity: str) -> str:
        """Return the unit of a quantity as people write it."""
        return printed_unit(self.unit(quantity))

    def compass(self, quantity: str, value: float | None) -> str:
        """Return the point of the compass of a direction, nothing for all else."""
        if value is None or not math.isfinite(value) or self.unit(quantity) != "deg":
            return ""
        return compass_point(value)


class RulebookShelf:
    """Keeps the rulebooks that were asked for; a version never changes."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._known: dict[str, Rulebook] = {}

    def rulebook(self, reader: StoreReader, policy: str | None) -> Rulebook:
        """Return the rulebook of a version, or the newest one."""
        if policy is None:
            found = reader.row("SELECT policy FROM rules ORDER BY entry DESC LIMIT 1")
            policy = found["policy"] if found else ""
        with self._lock:
            known = self._known.get(policy)
        if known is None:
            known = _load(reader, policy)
            with self._lock:
                if known.policy:
                    self._known[policy] = known
        return known


def _scale(published: dict[str, Any]) -> Scale:
    categories = tuple(Category(**category) for category in published["categories"])
    return Scale(**{**published, "categories": categories})


def _load(reader: StoreReader, policy: str) -> Rulebook:
    found = reader.row('SELECT "at", document FROM rules WHERE policy = ?', [policy])
    document: dict[str, Any] = json.loads(found["document"]) if found else {}
    reasons = {
        reason["bit"]: Reason(
            reason["bit"], reason["name"], reason["sentence"], reason.get("citation", "")
        )
        for reason in document.get("reasons", [])
    }
    own = {
        name: {"unit": known.unit, "label": known.label, "kind": known.kind}
        for name, known in QUANTITIES.items()
    }
    return Rulebook(
        policy=policy if found else "",
        at=found["at"] if found else 0,
        content=document.get("content", {}),
        reasons=reasons or {reason.bit: reason for reason in all_reasons()},
        told={reason["name"]: reason.get("rules", {}) for reason in document.get("reasons", [])},
        indices={int(number): name for number, name in document.get("indices", {}).items()},
        scales={name: _scale(published) for name, published in document.get("scales", {}).items()},
        quantities={**own, **document.get("quantities", {})},
        method=str(document.get("method", "")),
        methods=document.get("methods", {}),
        windows=tuple(document.get("windows", ())),
    )
