# SPDX-License-Identifier: EUPL-1.2
"""Laws that hold for every processor, whatever its kind; the suites of each kind add their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel

import processors
from lamppost.component import Component, Kind, discover, registered
from lamppost.policy import load_policy
from lamppost.stations import Station

POLICY = load_policy(Path(__file__).parent.parent / "policy")
EVERYTHING = load_policy(Path(__file__).parent.parent / "policy" / "everything")
STATIONS = {
    "aq-1": Station(
        sensor="aq-1",
        kind="air_quality",
        latitude=48,
        longitude=8,
        period_s=60,
        detector="single_loop",
        lanes=2,
        road_class="freeway",
        free_flow_speed_km_h=100,
        detector_length_m=1.8,
        downstream="aq-9",
    ),
    "aq-9": Station(sensor="aq-9", kind="air_quality", latitude=48, longitude=8),
}
# Settings under which a check has something to say about the streams of tests/strategies.py, for
# those the default policy leaves out or sets for other devices.
_LIVELY: dict[str, dict[str, Any]] = {
    "saturation": {
        "quantities": {
            "humidity": {"high": 99.5, "suspect_s": 60},
            "pm2_5": {"high": 75, "low": 0, "suspect_s": 120, "fail_s": 1200},
        }
    },
    "climatology": {
        "quantities": {
            "pm2_5": [
                {"period": "hour", "span": [6, 20], "suspect_span": [0, 50]},
                {"period": "day_of_week", "span": [1, 3], "suspect_span": [15, 90]},
            ]
        }
    },
    "detector_health": {
        "period_s": {"flow": 60, "vehicle_count": 60, "occupancy": 60, "pm2_5": 30},
        "no_hits": {"trigger_s": 120},
        "chatter": {"flow": 60, "trigger_s": 60, "clear_s": 120, "verdict": "fail"},
        "locked_on": {"trigger_s": 60, "clear_s": 120},
        "no_change": {"trigger_s": 60},
        "occupancy_spike": {"clear_s": 120},
    },
    "percentile_range": {
        "quantities": {"pm2_5": {"span": [0, 100]}, "temperature": {"span": [0, 50], "pad": 1}},
        "bins": 20,
        "min_readings": 3,
    },
    "attenuated_signal": {
        "quantities": {
            "pm2_5": {"window_s": 600, "suspect": 2.05, "fail": 0.35, "min_readings": 2},
            "temperature": {"window_s": 300, "suspect": 0.7, "activity": "sd", "min_readings": 3},
        }
    },
    "flat_line": {
        "quantities": {
            "pm2_5": {"suspect_s": 60, "fail_s": 300, "tolerance": 5, "min_readings": 2}
        },
        "default": {"suspect_s": 60, "fail_s": 300, "min_readings": 2},
    },
    "zone_offset": {"quantities": {"pm2_5": 1, "temperature": 1}},
    "neighbours": {"quantities": {"humidity": {}, "pm2_5": {}}},
    "gap": {"default": {"suspect_s": 60, "fail_s": 900}},
    "channel_agreement": {"quantities": {"pm2_5": {"fails": True}}},
}
_SECTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "check": {**POLICY.quality, **_LIVELY},
    "derivation": POLICY.corrections | POLICY.derivations,
    "detector": POLICY.detection,
    "aggregator": POLICY.windows,
    "index": POLICY.indices,
    "alert": {rule.use: rule.settings for rule in reversed(POLICY.alerts.values())},
}


def law(**drawn: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator for a test of a law, with what hypothesis draws for it."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        return settings(
            max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )(given(**drawn)(test))

    return decorate


def components(kind: Kind) -> dict[str, Component]:
    """Return every component of a kind that a discovery finds."""
    discover(processors)
    return registered(kind)


def raw_settings(component: Component) -> Mapping[str, Any]:
    """Return the settings of the default policy, else none: the defaults."""
    return _SECTIONS[component.kind].get(component.name, {})


def make(component: Component, *arguments: object) -> Any:  # noqa: ANN401 - any component
    """Build a component as the engine does."""
    around = (STATIONS,) if getattr(component.cls, "scope", "series") == "city" else ()
    settings = component.parse(raw_settings(component), "test")
    return component.cls(settings, *arguments, *around)


def settings_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a settings model and those inside it."""
    schema = model.model_json_schema()
    assert schema
    yield model
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            yield from settings_models(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def assert_described(component: Component) -> None:
    """Check what documentation, CLI and portal need."""
    assert component.cls.__module__.rsplit(".", 1)[-1] == component.name
    assert (component.cls.__doc__ or "").strip()
    assert component.summary.endswith((".", ":"))
    for model in settings_models(component.settings):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Check that two sets of arrays are equal, absent numbers included."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
