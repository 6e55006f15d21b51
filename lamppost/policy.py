# SPDX-License-Identifier: EUPL-1.2
"""The policy: the city's rules as reviewed YAML files, merged, checked and hashed."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .alerts import Severity
from .compliance import Compliance
from .errors import ConfigError
from .policy_layers import Layers, read_layers
from .rating import Rating
from .units import Conditions
from .validation import first_problem
from .zones import zone_names

# About thirty years: what is longer does not fit into nanoseconds, and is no rule.
_LONGEST_S: Final = 1e9


# Checks run one after the other, what is derived may be derived from again, and the first index is
# the one that lists show.
_ORDERED: Final = frozenset({"quality", "corrections", "derivations", "detection", "indices"})


class _Part(BaseModel):
    # Constants: an infinite limit must come back from the canonical text as what it was, not null.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class Route(_Part):
    """Which format reads which topics or paths.

    Attributes:
        match: MQTT topic filter (``+``, ``#``) or URL path.
        format: name of a registered format.
    """

    match: str = Field(min_length=1)
    format: str


class TimeRule(_Part):
    """What time it is: when a device's is believed, and the city's zone.

    Attributes:
        not_before: earliest believable instant.
        max_ahead_s: how far a device's time may lie ahead of receipt.
        zone: the city's time zone by its name in the IANA database; days, months and years of the
            aggregates are its own.
    """

    not_before: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    max_ahead_s: float = Field(default=60.0, ge=0, le=_LONGEST_S)
    zone: str = "UTC"

    @field_validator("not_before")
    @classmethod
    def _after_1970(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("has no time zone; such as 2000-01-01T00:00:01Z has")
        if not datetime(1970, 1, 1, tzinfo=UTC) <= value < datetime(2200, 1, 1, tzinfo=UTC):
            message = f"{value.isoformat()} lies outside 1970 to 2200"
            raise ValueError(message)
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value in zone_names():
            return value
        close = difflib.get_close_matches(value, zone_names(), n=1)
        hint = f"; did you mean {close[0]}?" if close else ", such as Europe/Berlin"
        message = f"{value!r} is no time zone of the IANA database{hint}"
        raise ValueError(message)


class UnitRule(_Part):
    """What devices' units become.

    Attributes:
        gas_conditions: at which temperature parts of a volume (ppb, ppm) become a mass; ``eu_20c``
            is 20 °C, ``us_25c`` 25 °C, both at 101.325 kPa. It changes what is measured from then
            on, and nothing that was published before.
    """

    gas_conditions: Conditions = "eu_20c"


class GrowthRule(_Part):
    """How many new names devices may bring; what is beyond goes to quarantine.

    Attributes:
        new_sensors_per_h: sensors the station file does not know that may appear in an hour.
        unregistered_sensors: sensors the station file does not know, altogether.
        series_per_sensor: series (quantity and qualifiers) of one sensor.
    """

    new_sensors_per_h: int = Field(default=20_000, ge=0)
    unregistered_sensors: int = Field(default=100_000, ge=0)
    series_per_sensor: int = Field(default=1_000, ge=1)


class AlertRule(_Part):
    """Who must know of what.

    Attributes:
        use: name of a registered alert component.
        title: what operations staff read in the list.
        severity: how urgent it is.
        for_s: how long the condition must hold before the alert fires.
        clear_for_s: how long it must not hold before the alert resolves.
        settings: the component's own settings.
    """

    use: str
    title: str
    severity: Severity = "warning"
    for_s: float = Field(default=0.0, ge=0, le=_LONGEST_S)
    clear_for_s: float = Field(default=0.0, ge=0, le=_LONGEST_S)
    settings: dict[str, Any] = Field(default_factory=dict)


class Publication(_Part):
    """What open-data consumers must know.

    Attributes:
        publisher: who publishes.
        licence: SPDX id of the licence of the data.
        licence_url: where the licence text is.
        title: name of the data set.
    """

    publisher: str = "Lamppost"
    licence: str = "CC-BY-4.0"
    licence_url: str = "https://creativecommons.org/licenses/by/4.0/"
    title: str = "City sensor aggregates"


class Policy(_Part):
    """Everything a city decides.

    Attributes:
        routes: first match wins.
        time: when device time is believed, and the city's time zone.
        units: what devices' units become.
        growth: how many new names devices may bring.
        quality, detection, windows, indices: settings by component name; what is not named is off.
        advice: what people are told to do, by index and language: a text for each category.
        corrections, derivations: settings of derivations by name; those that correct what a sensor
            shows, and all others.
        rating: which of raw and corrected series are rated and alerted about.
        alerts: rules by id.
        compliance: the limits of laws and guidelines that every year is held against.
        publication: for open data.
    """

    repeats_mean: ClassVar[dict[str, str]] = {"advice": "two categories may ask for the same"}

    routes: tuple[Route, ...] = ()
    time: TimeRule = TimeRule()
    units: UnitRule = UnitRule()
    growth: GrowthRule = GrowthRule()
    quality: dict[str, dict[str, Any]] = Field(default_factory=dict)
    corrections: dict[str, dict[str, Any]] = Field(default_factory=dict)
    derivations: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rating: Rating = Rating()
    detection: dict[str, dict[str, Any]] = Field(default_factory=dict)
    windows: dict[str, dict[str, Any]] = Field(default_factory=dict)
    indices: dict[str, dict[str, Any]] = Field(default_factory=dict)
    advice: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    alerts: dict[str, AlertRule] = Field(default_factory=dict)
    compliance: Compliance = Compliance()
    publication: Publication = Publication()

    def canonical(self) -> str:
        """Return the one JSON text that equal policies share, in the order that counts."""
        content = self.model_dump(mode="json")
        parts = {
            key: {name: _sorted(raw) for name, raw in content[key].items()}
            if key in _ORDERED
            else _sorted(content[key])
            for key in sorted(content)
        }
        return json.dumps(parts, separators=(",", ":"))

    @cached_property
    def version(self) -> str:
        """The content hash that stands on every result: 12 hexadecimal digits of SHA-256."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:12]


def _sorted(raw: Any) -> Any:  # noqa: ANN401 - anything JSON can hold
    """Return JSON with the keys of every object in alphabetical order."""
    if isinstance(raw, dict):
        return {key: _sorted(raw[key]) for key in sorted(raw)}
    return [_sorted(one) for one in raw] if isinstance(raw, list) else raw


def load_policy(folder: Path) -> Policy:
    """Read the policy files of a folder, upon those of the policy it extends, if any.

    Raises:
        ConfigError: naming the file and the key path.
    """
    return parse_layers(read_layers(folder))


def parse_layers(layers: Layers) -> Policy:
    """Validate a policy that was read.

    Raises:
        ConfigError: naming the file and the key path.
    """
    return parse_policy(layers.content, layers.where)


def parse_policy(raw: dict[str, Any], where: Callable[[str], str] = "policy: {}".format) -> Policy:
    """Validate a merged policy.

    Args:
        raw: the policy by top-level key.
        where: says of a key path where it stands.

    Raises:
        ConfigError: naming the file and the key path.
    """
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        location, problem = first_problem(error)
        raise ConfigError(problem, where=where(".".join(location))) from error
