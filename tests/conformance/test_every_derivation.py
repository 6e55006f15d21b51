# SPDX-License-Identifier: EUPL-1.2
"""Laws every registered derivation obeys; a new one is picked up by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from lamppost.batch import DERIVED, REDERIVED, ReadingBatch
from lamppost.component import Component, Settings, all_reasons
from lamppost.derived import METHOD_QUALIFIERS, SaysMethod
from lamppost.flags import FAIL, MISSING
from lamppost.quantities import QUANTITIES
from lamppost.series import SeriesKey, SeriesTable, qualifiers_mapping
from processors.derivation import DerivationStage, Derived
from processors.quality.stage import Judgement
from tests.processor_conformance import STATIONS, assert_described, components, law, make
from tests.setting_variations import accepted, bases, options, places, varied
from tests.strategies import Stream, derivation_streams

every_derivation = pytest.mark.parametrize(
    "component", components("derivation").values(), ids=lambda found: found.name
)


SETTINGS = {
    "local_fit": {
        "pairs": [{"sensor": "aq-1", "reference": "aq-9", "quantity": "pm2_5"}],
        "window_days": 3,
        "min_hours": 10,
        "min_r2": 0.0,
        "grace_s": 0,
    }
}
"""Of derivations that do nothing until the policy names something."""


class Said(NamedTuple):
    """What is published of a derived reading in the end."""

    value: float | None
    flag: int
    reasons: int


def stage(component: Component, series: SeriesTable) -> DerivationStage:
    """Build a stage of one derivation."""
    if component.name not in SETTINGS:
        return DerivationStage([make(component, series, STATIONS)], series)
    settings = component.parse(SETTINGS[component.name], "test")
    return DerivationStage([component.cls(settings, series, STATIONS)], series)


def judgement(batch: ReadingBatch) -> Judgement:
    """Return readings as judged by their own flags."""
    return Judgement(batch, ReadingBatch.empty(), batch.flag)


def published(derived: Derived, series: SeriesTable) -> dict[tuple[SeriesKey, int], Said]:
    """Return what stands of derived readings after a batch, by name of the series and instant."""
    found: dict[tuple[SeriesKey, int], Said] = {}
    for part in (derived.last, derived.revised):
        columns = (part.series, part.time, part.value, part.flag, part.reasons)
        for code, time, value, flag, reasons in zip(*(c.tolist() for c in columns), strict=True):
            said = Said(None if np.isnan(value) else value, flag, reasons)
            found[series[code], time] = said
    return found


def final(
    component: Component, stream: Stream, batches: Sequence[ReadingBatch]
) -> dict[tuple[SeriesKey, int], Said]:
    """Return what stands in the end."""
    series = stream.series
    derivations = stage(component, series)
    found: dict[tuple[SeriesKey, int], Said] = {}
    for batch in batches:
        found.update(published(derivations.derive(judgement(batch)), series))
    return found


@every_derivation
def test_a_derivation_is_described(component: Component) -> None:
    """Name, summary and every setting say what they are for."""
    assert_described(component)
    assert all(reason in all_reasons() for reason in component.cls.reasons)


@every_derivation
@law(stream=derivation_streams())
def test_derived_series_are_named_by_their_method(component: Component, stream: Stream) -> None:
    """Sensor and qualifiers of the input, one qualifier more; a series of its own."""
    before = set(stream.series)

    found = final(component, stream, stream.whole())

    for key, _ in found:
        assert key not in before
        assert key.sensor in {known.sensor for known in before}
        assert key.quantity in QUANTITIES
        assert sum(name in METHOD_QUALIFIERS for name in qualifiers_mapping(key.qualifiers)) == 1


@every_derivation
@law(stream=derivation_streams())
def test_what_has_no_number_is_missing_with_a_reason(component: Component, stream: Stream) -> None:
    """No infinite numbers, no failed ones; what is not good has a reason."""
    for said in final(component, stream, stream.whole()).values():
        assert said.flag != FAIL
        assert (said.value is None) == (said.flag == MISSING)
        assert said.value is None or np.isfinite(said.value)
        assert said.flag in {1, 2} or said.reasons


@every_derivation
@law(stream=derivation_streams())
def test_input_stays_untouched(component: Component, stream: Stream) -> None:
    """Raw readings are kept as they are, beside what is derived from them."""
    readings = stream.readings
    before = {name: getattr(readings, name).copy() for name in ReadingBatch.dtypes()}

    derived = stage(component, stream.series).derive(judgement(readings))

    for name, column in before.items():
        np.testing.assert_array_equal(getattr(readings, name), column)
    assert (derived.last.revision == DERIVED).all()
    assert (derived.revised.revision == REDERIVED).all()
    assert len(derived.first) == len(derived.last) == len(derived.in_order)


@every_derivation
def test_an_empty_batch_gives_nothing(component: Component) -> None:
    """Nothing in, nothing out."""
    derived = stage(component, SeriesTable()).derive(judgement(ReadingBatch.empty()))

    assert len(derived.first) == len(derived.revised) == 0


@every_derivation
@law(stream=derivation_streams())
def test_what_is_derived_does_not_depend_on_the_cut(component: Component, stream: Stream) -> None:
    """One batch, some batches and one reading at a time end in the same derived readings."""
    whole = final(component, stream, stream.whole())

    assert final(component, stream, stream.pieces()) == whole
    assert final(component, stream, stream.singles()) == whole


@every_derivation
@law(stream=derivation_streams())
def test_a_restored_derivation_goes_on_as_if_nothing_had_been(
    component: Component, stream: Stream
) -> None:
    """A snapshot holds the whole state, and later calls do not change it."""
    first, second = (judgement(half) for half in stream.halves())
    series = stream.series
    uninterrupted = stage(component, series)
    uninterrupted.derive(first)
    snapshot = uninterrupted.snapshot()
    keys = list(series)
    expected = published(uninterrupted.derive(second), series)
    series_again = SeriesTable(keys)
    restored = stage(component, series_again)
    restored.restore(snapshot)

    assert published(restored.derive(second), series_again) == expected
    after, wanted = restored.snapshot(), uninterrupted.snapshot()
    assert after.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(after[name], wanted[name])


@every_derivation
def test_another_number_is_another_version(component: Component) -> None:
    """A value can be traced: only where a method applies leaves its version as it is."""
    if not isinstance(component.cls, type) or not issubclass(component.cls, SaysMethod):
        pytest.skip("says nothing of its method")
    (settings, *_), words = reversed(bases(component)), options(component.settings)
    raw = settings.model_dump(mode="json")
    version = about(component, settings)["version"]

    same = set()
    for way in places(raw):
        changed = [
            about(component, other)["version"]
            for other in accepted(component, varied(raw, way, words.get(str(way[0]), ())))
            if other != settings
        ]
        assert changed, way
        if version in changed:
            same.add(way[0])

    assert same == component.settings.where
    assert set(about(component, settings)["numbers"]) == set(raw) - same


def about(component: Component, settings: Settings) -> dict[str, Any]:
    """Return what a method says of itself under some settings."""
    return dict(component.cls(settings, SeriesTable(), STATIONS).about())
