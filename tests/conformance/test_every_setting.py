# SPDX-License-Identifier: EUPL-1.2
"""No component takes settings that mean nothing; a new one is picked up by itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest

from lamppost.component import Component
from lamppost.errors import ConfigError
from lamppost.sense import doubts_about
from tests.setting_variations import bases, every_component, options, places

every_rule = pytest.mark.parametrize(
    "component", every_component(), ids=lambda found: f"{found.kind}-{found.name}"
)
_FAR_BELOW = -1e6
# Numbers that may lie below 0, however far: values and bounds of what is measured.
_MAY_BE_NEGATIVE = {
    "check-climatology": {"quantities.suspect_span", "quantities.fail_span"},
    "check-flat_line": {"quantities.ignore_up_to"},
    "check-gross_range": {"quantities.fail_span", "quantities.suspect_span"},
    "check-neighbours": {"quantities.high_from"},
    "check-percentile_range": {"quantities.span"},
    "check-saturation": {"quantities.high", "quantities.low"},
    "check-sentinel": {"quantities", "devices", "unknown"},
    "derivation-aqandu": {"valid"},
    "derivation-barkjohn_2020": {"valid", "linear", "quadratic"},
    "derivation-barkjohn_2021": {"valid"},
    "derivation-barkjohn_2022": {"valid", "quadratic", "blend"},
    "derivation-fire_and_smoke": {"valid"},
    "derivation-lrapa": {"valid"},
    "detector-robust_baseline": {"quantities.lowest"},
    "alert-apid": {"clear", "wave_heavy", "wave_refuted"},
    "alert-california_8": {"wave_drop"},
    "alert-threshold": {"above", "below", "clear_above", "clear_below"},
}


def is_refused(component: Component, raw: dict[str, Any]) -> bool:
    """Return whether settings cannot be read, or cannot be meant."""
    try:
        return any(doubts_about(component.parse(raw, "test")))
    except ConfigError:
        return True


def changed(raw: dict[str, Any], way: tuple[Any, ...], value: object) -> dict[str, Any]:
    """Return settings with another value in one place."""
    whole = copy.deepcopy(raw)
    holder: Any = whole
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value
    return whole


def fields(component: Component) -> Iterator[tuple[dict[str, Any], tuple[Any, ...], str, Any]]:
    """Yield each field: settings it stands in, the way to it, its name, and its value."""
    known = options(component.settings)
    for settings in bases(component):
        raw = cast("dict[str, Any]", settings.model_dump(mode="json"))
        for way in places(raw):
            held: Any = raw
            for key in way:
                held = held[key]
            if way:
                yield raw, way, ".".join(part for part in way if part in known), held


@every_rule
def test_the_settings_of_the_tests_can_be_meant(component: Component) -> None:
    """Those of the default policy among them."""
    for settings in bases(component):
        if settings.model_dump(exclude_unset=True):
            assert list(doubts_about(settings)) == []


@every_rule
def test_a_number_far_below_0_is_refused(component: Component) -> None:
    """Or else it is a bound of what is measured."""
    negative = {
        name
        for raw, way, name, value in fields(component)
        if _numbers(value) and not is_refused(component, changed(raw, way, _lowered(value)))
    }

    allowed = _MAY_BE_NEGATIVE.get(f"{component.kind}-{component.name}", set())
    assert negative - allowed == set()


def _numbers(value: object) -> bool:
    several = value if isinstance(value, list) else [value]
    return bool(several) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in several
    )


def _lowered(value: object) -> object:
    if not isinstance(value, list):
        return _FAR_BELOW
    return [_FAR_BELOW + place for place in range(len(value))]


@every_rule
def test_a_list_that_names_something_twice_is_refused(component: Component) -> None:
    """What is said twice was meant to be something else."""
    for raw, way, name, value in fields(component):
        if isinstance(value, list) and value:
            assert is_refused(component, changed(raw, way, [*value, value[0]])), name


@every_rule
def test_a_blank_text_is_refused(component: Component) -> None:
    """Alone, or in a list."""
    for raw, way, name, value in fields(component):
        if isinstance(value, str):
            assert is_refused(component, changed(raw, way, " ")), name
        if isinstance(value, list) and value and isinstance(value[0], str):
            assert is_refused(component, changed(raw, way, [" ", *value[1:]])), name


@every_rule
def test_an_empty_list_is_refused_or_means_something(component: Component) -> None:
    """It may be empty by default, or the settings say what an empty one means."""
    meant = getattr(component.settings, "empty_means", {})
    for raw, way, name, value in fields(component):
        if isinstance(value, list) and value:
            emptied = changed(raw, way, [])
            if name not in meant and not is_refused(component, emptied):
                default = component.settings.model_fields[name].get_default()
                assert default == (), name
