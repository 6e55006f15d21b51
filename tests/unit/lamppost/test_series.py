# SPDX-License-Identifier: EUPL-1.2
"""Series keep their codes for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.frames import arrow_batch, arrow_bytes
from lamppost.series import (
    SERIES_SCHEMA,
    SeriesKey,
    SeriesTable,
    qualifiers_mapping,
    qualifiers_text,
)

from .strategies import LAW, SERIES_KEYS

QUALIFIER = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="=;"), min_size=1, max_size=6
)


@LAW
@given(st.lists(SERIES_KEYS))
def test_codes_are_given_in_order_of_first_appearance_and_stay(keys: list[SeriesKey]) -> None:
    """Whatever comes later, a code means what it meant."""
    table = SeriesTable()
    first_given: dict[SeriesKey, int] = {}

    for key in keys:
        code = table.code(key)
        first_given.setdefault(key, code)
        assert code == first_given[key]

    assert list(first_given.values()) == list(range(len(table)))
    assert list(table) == list(first_given)
    assert [table[code] for code in first_given.values()] == list(first_given)


@LAW
@given(st.lists(SERIES_KEYS), st.integers(0, 20))
def test_published_in_parts_the_table_is_the_same_elsewhere(
    keys: list[SeriesKey], cut: int
) -> None:
    """A reader of the outbox ends with the codes of the engine."""
    table = SeriesTable(keys)
    cut = min(cut, len(table))

    copy = SeriesTable(list(table)[:cut])
    copy.extend_from_arrow(arrow_batch(arrow_bytes(table.to_arrow(cut))))

    assert list(copy) == list(table)


@LAW
@given(st.lists(SERIES_KEYS, min_size=1))
def test_a_published_batch_may_come_twice(keys: list[SeriesKey]) -> None:
    """Entries are delivered at least once."""
    table = SeriesTable(keys)

    table.extend_from_arrow(table.to_arrow())

    assert list(table) == list(dict.fromkeys(keys))


def test_a_batch_that_does_not_continue_our_codes_is_refused() -> None:
    """Readings would be booked on the wrong series."""
    batch = SeriesTable([SeriesKey("a", "pm10"), SeriesKey("b", "pm10")]).to_arrow(1)

    with pytest.raises(ValueError, match="series b/pm10 is 0 here and 1 in the batch"):
        SeriesTable().extend_from_arrow(batch)


def test_looking_for_a_series_does_not_number_it() -> None:
    """A question changes nothing."""
    table = SeriesTable([SeriesKey("a", "pm10")])

    assert table.find(SeriesKey("a", "pm10")) == 0
    assert table.find(SeriesKey("a", "pm1")) is None
    assert len(table) == 1


def test_qualifiers_make_another_series() -> None:
    """Two lanes of one detector are two series."""
    table = SeriesTable()

    codes = [table.code(SeriesKey("tr", "speed", lane)) for lane in ("", "lane=1", "lane=2")]

    assert codes == [0, 1, 2]


def test_the_codes_of_a_quantity_are_found() -> None:
    """Ascending, as int32, none of another quantity."""
    table = SeriesTable(SeriesKey(*key) for key in [("a", "pm10"), ("a", "no2"), ("b", "pm10")])

    codes = table.codes_of_quantity("pm10")

    assert codes.tolist() == [0, 2]
    assert codes.dtype == np.int32
    assert table.codes_of_quantity("o3").tolist() == []


def test_the_published_schema_stays() -> None:
    """Columns and types other programs rely on."""
    assert [(field.name, str(field.type), field.nullable) for field in SERIES_SCHEMA] == [
        ("series", "int32", False),
        ("sensor", "string", False),
        ("quantity", "string", False),
        ("qualifiers", "string", False),
    ]


@LAW
@given(st.dictionaries(QUALIFIER, QUALIFIER), st.randoms())
def test_qualifiers_have_one_spelling_that_can_be_undone(
    qualifiers: dict[str, str], chance: object
) -> None:
    """The order in which a device names them does not matter."""
    pairs = list(qualifiers.items())
    chance.shuffle(pairs)

    text = qualifiers_text(dict(pairs))

    assert text == qualifiers_text(qualifiers)
    assert qualifiers_mapping(text) == qualifiers
