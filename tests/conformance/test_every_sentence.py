# SPDX-License-Identifier: EUPL-1.2
"""What every rule says of itself under some settings; a new component is picked up by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import pytest

from lamppost.component import Component
from lamppost.explained import Described, QuantitySettings, explained
from tests.setting_variations import accepted, bases, every_component, options, places, varied

every_rule = pytest.mark.parametrize(
    "component", every_component(), ids=lambda found: f"{found.kind}-{found.name}"
)


def told_of(component: Component) -> dict[str, bool]:
    """Return the fields of a component, and whether its sentence changes with each."""
    words = options(component.settings)
    found: dict[str, bool] = {}
    for settings in bases(component):
        raw = cast("dict[str, Any]", settings.model_dump(mode="json"))
        said = explained(component, settings)
        own = raw.get("quantities")
        of_others = tuple(own.values())[:1] if isinstance(own, dict) else ()
        for way in places(raw):
            names = [part for part in way if part in words]
            if not names or found.get(".".join(names)):
                continue
            tried = words[names[-1]] + (of_others if names == ["default"] else ())
            sentences = [
                explained(component, changed)
                for changed in accepted(component, varied(raw, way, tried))
                if changed != settings
            ]
            changes = bool(sentences) and said not in sentences
            for count in range(1, len(names) + 1):
                field = ".".join(names[:count])
                found[field] = found.get(field, False) or changes
    return found


@every_rule
def test_a_rule_says_in_one_sentence_what_it_does(component: Component) -> None:
    """It begins with a name or a capital letter, ends with a full stop and has one line."""
    for settings in bases(component):
        said = explained(component, settings)

        assert re.fullmatch(r"[^\n]+[^ ]\.", said)
        assert not re.search(r"\. [A-Z]|  | [,;:.)]|\(\)|None|inf\b|nan\b", said), said
        assert not re.search(r"[un]g/m3|\bCel\b|\b1/1\b", said), said


@every_rule
def test_a_rule_with_numbers_says_them_with_their_units(component: Component) -> None:
    """A component whose settings hold something describes them."""
    if component.settings.model_fields:
        assert issubclass(component.cls, Described)
        for settings in bases(component):
            assert re.search(r"\d (?:[a-zA-Z°µ]|%)", explained(component, settings))


@every_rule
def test_the_sentence_changes_with_every_setting(component: Component) -> None:
    """What it leaves out stands in ``unexplained``, with a reason."""
    left_out: Mapping[str, str] = getattr(component.cls, "unexplained", {})
    told = told_of(component)

    assert {field for field, changes in told.items() if not changes} == left_out.keys()
    assert all(len(reason.split()) > 2 for reason in left_out.values())


@every_rule
def test_a_rule_tells_one_quantity_apart_from_the_others(component: Component) -> None:
    """What it says of a quantity names no other one."""
    for settings in bases(component):
        if not isinstance(settings, QuantitySettings):
            continue
        named = set(settings.named())
        for quantity in named:
            said = explained(component, settings.about(quantity))

            words = set(re.findall(r"[a-z][a-z0-9_]+", said.split(" (")[1]))
            assert not words & (named - {quantity}), said
