# SPDX-License-Identifier: EUPL-1.2
"""Every component's settings with one field changed, for laws about settings."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal, get_args

from pydantic import BaseModel

from lamppost.component import Component, Kind, Settings
from lamppost.errors import ConfigError
from tests.processor_conformance import components, raw_settings, settings_models

KINDS: tuple[Kind, ...] = ("check", "derivation", "detector", "aggregator", "index", "alert")

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
    "detector_health": [
        {
            "period_s": {"flow": 60},
            "no_hits": {"by_lane_type": {"exit": 28_800}},
            "locked_on": {"by_lane_type": {"exit": 1_800}},
            "occupancy_spike": {"limit_s": None, "by_lane_type": {"mainline": 120}},
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


def accepted(component: Component, raw: Iterator[dict[str, Any]]) -> Iterator[Settings]:
    """Yield the settings that are accepted."""
    for one in raw:
        try:
            yield component.parse(one, "test")
        except ConfigError:
            continue


def every_component() -> list[Component]:
    """Return what a policy can name and set."""
    return [found for kind in KINDS for found in components(kind).values()]
