# SPDX-License-Identifier: EUPL-1.2
"""Components: what a plugin implements, how it registers, how it is found.

Adding one means adding one file: settings, documentation, registration and code. The decorators
register a class under its ``name``; :func:`discover` imports every module of a package.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from .clock_skew import NO_CLOCKS, ClockBatch
from .errors import ConfigError
from .flags import FAIL, KERNEL_REASONS, MISSING, FlagArray, Reason, ReasonArray
from .state import nested, part
from .validation import first_problem

if TYPE_CHECKING:
    from .alerts import Signal
    from .balance import Tally
    from .batch import AggregateBatch, FloatArray, IndexBatch, Int32Array, Int64Array, JudgedBatch
    from .decoded import Decoded
    from .details import Detail
    from .frames import Deliveries
    from .grouping import BoolArray, Groups
    from .indices import Scale
    from .log import Entry
    from .series import SeriesKey
    from .state import Snapshot

Kind = Literal["format", "check", "derivation", "detector", "aggregator", "index", "alert", "sink"]
Scope = Literal["series", "sensor", "city"]
"""How far a check looks: at one series, at all series of a sensor, or at all stations."""


class Settings(BaseModel):
    """Base of every component's settings: unknown keys are errors, values never change.

    Numbers are finite: nothing compares with NaN, and what is unlimited is left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def windows_needed(self) -> Mapping[str, int]:
        """Return the windows an alert rule or a sink relies on, by the setting that asks.

        A fixed length in ns, or minus the calendar of a day, month or year.
        """
        return {}

    def indices_needed(self) -> Mapping[str, str]:
        """Return the health indices an alert rule relies on, by the setting that asks."""
        return {}


@dataclass(frozen=True)
class Rows:
    """Readings of one batch sorted by series, in order of arrival within each.

    Attributes:
        groups: the grouping; ``groups.series`` is the code of each row.
        time: instants, ns UTC, shape (n,).
        value: canonical unit, NaN where missing, shape (n,).
        flag: verdict so far, shape (n,).
    """

    groups: Groups
    time: Int64Array
    value: FloatArray
    flag: FlagArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)

    @cached_property
    def missing(self) -> BoolArray:
        """Where there is no number, shape (n,)."""
        return np.isnan(self.value)

    @cached_property
    def usable(self) -> BoolArray:
        """Where there is a number that has not failed so far, shape (n,)."""
        usable: BoolArray = (self.flag != FAIL) & (self.flag != MISSING) & ~self.missing
        return usable

    def take(self, where: Int64Array) -> Self:
        """Return some rows, at ascending positions."""
        return type(self)(
            self.groups.take(where), self.time[where], self.value[where], self.flag[where]
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says.

    Attributes:
        flag: verdict on each row, shape (n,). Missing, of a number that is there, says that it is
            no measurement: that stands whatever else is said, and nothing is published of it.
        reasons: reason bits of each row; at least one wherever the flag is suspect, fail, or
            missing though there is a number.
        amended_series: series whose newest reading *before* this batch is judged only now, each at
            most once; they need not be in the batch. A check that looks ahead returns an array,
            even an empty one; None says it never does, and only then may detectors build on its
            verdict (they would see into the future otherwise).
        amended_flag: the verdict on those readings.
        amended_reasons: the reason bits of those readings.
        details: the numbers behind some of the reasons given to rows.
    """

    flag: FlagArray
    reasons: ReasonArray
    amended_series: Int32Array | None = None
    amended_flag: FlagArray | None = None
    amended_reasons: ReasonArray | None = None
    details: Sequence[Detail] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a detector says, one value per row; NaN where it has nothing to say."""

    score: FloatArray
    expected: FloatArray
    band_low: FloatArray
    band_high: FloatArray


@dataclass(frozen=True, slots=True)
class Observed:
    """What happened in one step of the engine, for the alert rules.

    Attributes:
        now: engine time, ns UTC.
        ticked: whether time was advanced in this step (rules about silence look only then).
        judged: readings of the step; of raw and corrected ones those that are rated.
        aggregates: windows closed in the step.
        indices: indices published in the step.
        last_received: newest receipt per series code, ns UTC, shape (series,).
        clocks: estimates of device clocks that rest on something new.
    """

    now: int
    ticked: bool
    judged: JudgedBatch
    aggregates: AggregateBatch
    indices: IndexBatch
    last_received: Int64Array
    clocks: ClockBatch = NO_CLOCKS


@dataclass(frozen=True, slots=True)
class Example:
    """A message a format must read, with what it must yield.

    Attributes:
        route: topic or path.
        payload: the bytes.
        readings: expected (sensor, quantity, value) in order, in the device's unit.
    """

    route: str
    payload: bytes
    readings: tuple[tuple[str, str, float], ...]


class Stateful(Protocol):
    """Keeps state that survives a restart.

    Law: restoring a snapshot and going on equals never having stopped.
    """

    def snapshot(self) -> Snapshot:
        """Return the whole state as arrays; later calls must not change what was returned."""
        ...

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take over a state this class handed out."""
        ...


def snapshot_of(parts: Mapping[str, Stateful]) -> Snapshot:
    """Return the state of several parts, as ``part/array``."""
    arrays: Snapshot = {}
    for name, stateful in parts.items():
        arrays.update(nested(name, stateful.snapshot()))
    return arrays


def restore_each(parts: Mapping[str, Stateful], snapshot: Mapping[str, Any]) -> None:
    """Hand every part its state; one that has nothing in the snapshot starts afresh."""
    for name, stateful in parts.items():
        own = part(name, snapshot)
        if own:
            stateful.restore(own)


class Format(Stateful, Protocol):
    """Turns the bytes of one device family into columns.

    Called by the engine with the messages of a frame the policy routes to it. Must not block, read
    a clock or raise for bad input: what it cannot read it refuses, message by message.
    """

    name: ClassVar[str]
    examples: ClassVar[tuple[Example, ...]]

    def decode(self, deliveries: Deliveries, rows: Sequence[int], out: Decoded) -> None:
        """Append the readings of the messages at ``rows`` to ``out``, in order."""
        ...


class Check(Stateful, Protocol):
    """Judges whether readings are measurements. Never changes a value, never drops a row.

    It is shown readings of series that concern it, and no others: a check of few quantities costs
    the rest nothing.

    Law: the verdict on a reading does not depend on where batches are cut. A check that needs the
    next sample says NOT_EVALUATED and amends when it arrives. What a check knows of other series is
    what arrived before the row it judges (``rows.groups.order`` ascends with arrival), never what
    merely stands in the same batch. It may amend the newest reading of any series, no older one.

    Built as ``cls(settings, series)``; with scope ``city`` as ``cls(settings, series, stations)``.

    Attributes:
        scope: how far it looks.
        sequential: True when it compares neighbours in time; it then sees only readings that
            arrived in order.
    """

    name: ClassVar[str]
    reasons: ClassVar[tuple[Reason, ...]]
    scope: ClassVar[Scope]
    sequential: ClassVar[bool]

    def concerns(self, key: SeriesKey) -> bool:
        """Return whether the check ever has something to say about a series; never changes."""
        ...

    def judge(self, rows: Rows) -> Verdict:
        """Return a verdict for each row."""
        ...


class Detector(Stateful, Protocol):
    """Says how unusual readings are, with what it expected. Sees readings that arrived in order.

    Law: as for checks. Readings flagged fail or missing are not learnt from.
    """

    name: ClassVar[str]

    def score(self, rows: Rows) -> Evidence:
        """Return the evidence for each row."""
        ...


class Aggregator(Stateful, Protocol):
    """Turns judged readings into statistics of windows.

    Law: between two calls of ``advance``, it does not matter how rows are cut into batches.
    """

    name: ClassVar[str]

    def add(self, judged: JudgedBatch) -> None:
        """Take readings in; a reading for a known instant replaces the former."""
        ...

    def advance(self, now: int) -> AggregateBatch:
        """Close and revise windows at engine time ``now`` (ns UTC)."""
        ...

    def adopt(self, former: Self) -> None:
        """Go on from an aggregator with other settings; no reading it held may be lost."""
        ...

    def known(self, series: Int32Array, time: Int64Array) -> tuple[BoolArray, FloatArray]:
        """Return which (series, instant) pairs are held, and the value of each that is."""
        ...


class Index(Stateful, Protocol):
    """Turns hourly aggregates into a health index.

    Attributes:
        number: stands for it in published rows; never given to another.
        scale: what it is called, where its table is from, and its categories.
    """

    name: ClassVar[str]
    number: ClassVar[int]
    scale: ClassVar[Scale]

    def update(self, aggregates: AggregateBatch) -> IndexBatch:
        """Return the index values that new or revised aggregates lead to."""
        ...


class Alert(Stateful, Protocol):
    """One kind of alert rule. Looks at what happened and says for whom its condition holds."""

    name: ClassVar[str]

    def evaluate(self, observed: Observed) -> list[Signal]:
        """Return a signal for each subject whose condition was evaluated and matters."""
        ...


class Sink(Protocol):
    """Writes outbox entries to one destination. May block; runs in a thread of its own.

    Guaranteed to it: entries come in order, each at least once, with all kinds in ``wants``.
    Required of it: writing an entry twice equals writing it once.
    """

    name: ClassVar[str]
    wants: ClassVar[tuple[str, ...]]

    def cursor(self) -> int | None:
        """Return the position stored with the data, or None when the runner must keep it."""
        ...

    def write(self, entries: Sequence[Entry], cursor: int) -> Tally | None:
        """Store entries, and ``cursor`` with them where the destination can.

        Returns:
            How many accepted readings (``revision`` 0) of these entries the destination holds now,
            counted there or from its answers, never from what was meant to be written. None where
            the sink does not keep readings. It is compared with what the engine accepted.

        Raises:
            NotConnected: try again later, with everything.
            PartialWrite: all is stored but for some items.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


@dataclass(frozen=True, slots=True)
class Component:
    """A registered class with what the documentation, the CLI and the portal say about it."""

    kind: Kind
    name: str
    cls: type[Any]

    @property
    def settings(self) -> type[Settings]:
        """The settings model, ``Settings`` of the class's module convention."""
        found: type[Settings] = getattr(self.cls, "Settings", Settings)
        return found

    @property
    def summary(self) -> str:
        """The first sentence of the class's docstring."""
        return inspect.cleandoc(self.cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")

    def parse(self, raw: Mapping[str, Any], where: str) -> Settings:
        """Validate raw settings.

        Raises:
            ConfigError: naming ``where`` and the key path.
        """
        try:
            return self.settings.model_validate(dict(raw))
        except ValidationError as error:
            keys, problem = first_problem(error)
            raise ConfigError(problem, where=".".join([where, *keys])) from error


_REGISTRY: dict[tuple[Kind, str], Component] = {}
_REASONS: dict[int, Reason] = {reason.bit: reason for reason in KERNEL_REASONS}

Class = TypeVar("Class", bound=type[Any])


def register(kind: Kind) -> Callable[[Class], Class]:
    """Make a class decorator that registers components of a kind."""

    def decorate(cls: Class) -> Class:
        component = Component(kind, cls.name, cls)
        known = _REGISTRY.setdefault((kind, cls.name), component)
        if known.cls.__module__ != cls.__module__:
            problem = f"two {kind}s are called {cls.name}"
            raise ConfigError(problem, where=f"{known.cls.__module__} and {cls.__module__}")
        for reason in getattr(cls, "reasons", ()):
            _register_reason(reason)
        return cls

    return decorate


def registered(kind: Kind) -> dict[str, Component]:
    """Return the components of a kind by name, in alphabetical order."""
    return {name: found for (which, name), found in sorted(_REGISTRY.items()) if which == kind}


def find(kind: Kind, name: str, where: str) -> Component:
    """Return a component.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    component = _REGISTRY.get((kind, name))
    if component is None:
        known = ", ".join(registered(kind)) or "none"
        raise ConfigError(
            f"there is no {kind} called {name!r}", where=where, hint=f"known: {known}"
        )
    return component


def all_reasons() -> tuple[Reason, ...]:
    """Return the reasons of the kernel and of every registered component, by bit."""
    return tuple(_REASONS[bit] for bit in sorted(_REASONS))


def reason_names(mask: int) -> list[str]:
    """Return the names of the reasons in a mask."""
    return [reason.name for reason in all_reasons() if mask >> reason.bit & 1]


def discover(package: ModuleType) -> None:
    """Import every public module of a package and its sub-packages."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.rsplit(".", 1)[-1].startswith("_"):
            importlib.import_module(module.name)


def discover_plugins() -> None:
    """Import what other distributions offer under the entry point group ``lamppost.components``."""
    for entry_point in entry_points(group="lamppost.components"):
        entry_point.load()


def _register_reason(reason: Reason) -> None:
    known = _REASONS.setdefault(reason.bit, reason)
    if known != reason:
        problem = f"reason bit {reason.bit} is taken by {known.name}"
        raise ConfigError(problem, where=f"reason {reason.name}")
