# SPDX-License-Identifier: EUPL-1.2
"""What every rule says of itself under some settings; a new component is picked up by itself."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal, cast, get_args

import pytest
from pydantic import BaseModel

from lamppost.component import Component, Kind, Settings
from lamppost.errors import ConfigError
from lamppost.explained import Described, QuantitySettings, explained
from tests.processor_conformance import components, raw_settings, settings_models

KINDS: tuple[Kind, ...] = ("check", "derivation", "detector", "aggregator", "index", "alert")
every_rule = pytest.mark.parametrize(
    "component",
    [found for kind in KINDS for found in components(kind).values()],
    ids=lambda found: f"{found.kind}-{found.name}",
)

# Settings beside those of the default policy, under which every field means something.
_MORE: dict[str, list[dict[str, Any]]] = {
    "silence": [{"registered_only": False, "kinds": ["traffic"]}],
    "climatology": [
        {
            "quantities": {
                "o3": [
                    {
                        "period": "month",
                        "span": [3, 8],
                        "suspect_span": [5, 90],
                        "fail_span": [-5, 500],
                    }
                ]
            }
        }
    ],
    "gap": [{"quantities": {"pm2_5": {"suspect_s": 60}}}],
    "level_of_service_street": [{"manual": "hcm_2010"}],
    "local_fit": [
        {
            "pairs": [
                {
                    "sensor": "aq-1",
                    "reference": "ref-1",
                    "quantity": "pm2_5",
                    "input": "pm2_5_cf1",
                    "qualifiers": "channel=a",
                }
            ]
        }
    ],
    "robust_baseline": [{"quantities": {"pm1": {"half_life_readings": 9, "half_life_s": None}}}],
    "threshold": [
        {"quantity": "pm2_5", "window": "1h", "above": 10},
        {"quantity": "humidity", "window": "1h", "below": 10, "clear_above": 20},
        {"index": "us_aqi", "above": 150},
    ],
    "apid": [{"heavy_relative": 0.1, "heavy_occupancy": 11}],
}
_NUMBERS = (2.0, 1.5, 1.1, 0.9, 0.5)
_WORDS = ("x", "b", "15min", "4h", "2h", "eaqi", "pm10", "fail")
_NEW: tuple[Any, ...] = (7, 0.7, 70, -1.2, [5.0, 9.0], [1e9], {"suspect_s": 7}, *_WORDS)
_DAYS = (date(2001, 1, 1).isoformat(), date(2999, 1, 1).isoformat())


def bases(component: Component) -> list[Settings]:
    """Return the settings whose fields are varied."""
    raw = [raw_settings(component), *_MORE.get(component.name, [])]
    return [component.parse(one, "test") for one in raw]


def options(model: type[BaseModel]) -> dict[str, tuple[Any, ...]]:
    """Return the words a field may take, by name."""
    found: dict[str, tuple[Any, ...]] = {}
    for inner in settings_models(model):
        for name, field in inner.model_fields.items():
            kinds = (field.annotation, *get_args(field.annotation))
            words = [word for kind in kinds if _is_literal(kind) for word in get_args(kind)]
            found[name] = (*found.get(name, ()), *words)
    return found


def _is_literal(annotation: Any) -> bool:  # noqa: ANN401 - any annotation
    return getattr(annotation, "__origin__", None) is Literal


def others(value: Any, words: tuple[Any, ...]) -> Iterator[Any]:  # noqa: ANN401 - any setting
    """Yield values to try in the place of one."""
    yield from words
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, *(type(value)(value * factor) for factor in _NUMBERS))
    elif isinstance(value, str):
        yield from (*_WORDS, *_DAYS)
    elif value is None:
        yield from (*_NEW, *_DAYS)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            for other in () if isinstance(item, dict) else others(item, words):
                yield [*value[:place], other, *value[place + 1 :]]
        yield from ([*value, new] for new in (*words, *_NEW))
    elif not value:
        yield from ({"pm2_5": 7}, {"pm2_5": {"suspect": 7}}, {"pm2_5": [7]})


def places(raw: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the way to every field that holds something of its own."""
    nested = isinstance(raw, Mapping) and raw
    rows = isinstance(raw, list) and raw and isinstance(raw[0], Mapping)
    if nested or rows:
        for key, item in raw.items() if nested else enumerate(raw):
            yield from places(item, (*where, key))
    else:
        yield where


def varied(raw: dict[str, Any], way: tuple[Any, ...], words: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yield settings that differ in one field."""
    holder: Any = raw
    for key in way[:-1]:
        holder = holder[key]
    for other in others(holder[way[-1]], words):
        changed = copy.deepcopy(raw)
        inner: Any = changed
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = other
        yield changed


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


def accepted(component: Component, raw: Iterator[dict[str, Any]]) -> Iterator[Settings]:
    """Yield the settings that are accepted."""
    for one in raw:
        try:
            yield component.parse(one, "test")
        except ConfigError:
            continue


@every_rule
def test_a_rule_says_in_one_sentence_what_it_does(component: Component) -> None:
    """It begins with a name or a capital letter, ends with a full stop and has one line."""
    for settings in bases(component):
        said = explained(component, settings)

        assert re.fullmatch(r"[^\n]+[^ ]\.", said)
        assert not re.search(r"\. [A-Z]|  | [,;:.)]|\(\)|None|inf\b|nan\b", said), said


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
