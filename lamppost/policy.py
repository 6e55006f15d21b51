# SPDX-License-Identifier: EUPL-1.2
"""The policy: the city's rules as reviewed YAML files, merged, checked and hashed."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .alerts import Severity
from .compliance import Compliance
from .errors import ConfigError
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


# The shipped policy has about 700 values, with all aliases written out.
_MOST_VALUES: Final = 100_000


class _StrictLoader(yaml.SafeLoader):
    """YAML in which naming a key twice is an error, not a silent loss, and aliases stay bounded."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def _measure(self, node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
        """Return how many values a node holds once every alias is written out."""
        size = sizes.get(node)
        if size is None:
            sizes[node] = 0  # until it is known: met again meanwhile, the node is inside itself
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            pairs = itertools.chain.from_iterable(
                part if isinstance(part, tuple) else (part,) for part in parts
            )
            size = sizes[node] = 1 + sum(self._measure(part, sizes) for part in pairs)
        if not size or size > _MOST_VALUES:
            problem = f"has more than {_MOST_VALUES} values" if size else "contains itself"
            raise yaml.composer.ComposerError(None, None, f"it {problem}", node.start_mark)
        return size

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the signature of PyYAML
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # PyYAML refuses it itself, with the line
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_policy(folder: Path) -> Policy:
    """Read and merge the policy files of a folder.

    Each top-level key may stand in one file only.

    Raises:
        ConfigError: naming the file and the key path.
    """
    merged, origin = _merged(folder)
    return parse_policy(merged, origin)


def locate(key_path: str, folder: Path) -> str:
    """Return a key path with the policy file it stands in, for an error message."""
    _, origin = _merged(folder)
    file = origin.get(key_path.partition(".")[0])
    return f"{folder}: {key_path}" if file is None else f"{file}: {key_path}"


def _merged(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the policy by top-level key, and the file each key came from."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError("no policy files (*.yaml) here", where=str(folder))
    for misnamed in folder.glob("*.yml"):
        raise ConfigError("policy files end in .yaml", where=str(misnamed), hint="rename it")
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for path in files:
        for key, value in _load_file(path).items():
            if key in origin:
                raise ConfigError(f"also stands in {origin[key]}", where=f"{path}: {key}")
            merged[key], origin[key] = value, str(path)
    return merged, origin


def parse_policy(raw: dict[str, Any], origin: dict[str, str] | None = None) -> Policy:
    """Validate a merged policy.

    Args:
        raw: the policy by top-level key.
        origin: the file each top-level key came from.

    Raises:
        ConfigError: naming the file and the key path.
    """
    try:
        return Policy.model_validate(raw)
    except ValidationError as error:
        location, problem = first_problem(error)
        file = (origin or {}).get(location[0] if location else "", "policy")
        raise ConfigError(problem, where=f"{file}: {'.'.join(location)}") from error


def _load_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except RecursionError as error:
        raise ConfigError("nested too deeply", where=str(path)) from error
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: a date of no calendar
        problem = " ".join(str(error).split())
        raise ConfigError(f"not readable as YAML: {problem}", where=str(path)) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("must be a mapping of keys", where=str(path))
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(
                "the key is not text", where=f"{path}: {key}", hint="put it in quotes"
            )
    return content
