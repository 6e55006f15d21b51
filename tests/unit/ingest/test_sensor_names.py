# SPDX-License-Identifier: EUPL-1.2
"""The name of a sensor is one that people can read and that an address can carry."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.native_json import MESSAGE, NativeJson
from lamppost.decoded import Decoded
from lamppost.frames import Deliveries

HIDDEN = {"Cc", "Cf", "Zl", "Zp"}


def refusals(*names: str) -> list[tuple[int, str, str]]:
    """Decode a message of each name; return row, code and detail of what is refused."""
    deliveries, out = Deliveries(), Decoded()
    for name in names:
        payload = json.dumps({"sensor": name, "values": {"pm2_5": 1.0}}).encode()
        deliveries.add("v1/x/readings", payload, 0, source="mqtt")
    NativeJson().decode(deliveries, range(len(names)), out)
    return [(found.delivery, found.code, found.detail) for found in out.refused]


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "..",
        "../admin",
        "a/../b",
        "a/.",
        "./a",
        " a",
        "a ",
        "a\u00a0",
        "\u3000a",
        "a\nb",
        "a\x9fb",
        "a\u200bb",
        "a\u202eb",
        "\ufeffa",
        "a\u2028b",
        "a\u2029b",
        "a\U000e0041b",
        "",
        "x" * 129,
    ],
)
def test_a_name_that_would_mislead_is_a_schema_error(name: str) -> None:
    """It costs its own message only, and the reason names the field."""
    found = refusals("aq-1", name, "aq-2")

    assert [(row, code) for row, code, _ in found] == [(1, "schema")]
    assert found[0][2].startswith("sensor: ")


@pytest.mark.parametrize(
    "name",
    [
        "aq-017",
        "a/b",
        "/a",
        "a/",
        "a//b",
        "North / South",
        "...",
        ".a",
        "a..",
        "..a/b..",
        "Straße 3",
        "50% & more?#",
        "x" * 128,
    ],
)
def test_other_names_are_taken(name: str) -> None:
    """Slashes, blanks inside and all the letters of the world are fine."""
    assert refusals(name) == []


@given(st.text(st.sampled_from("a. /\u200b\té"), min_size=1, max_size=8))
def test_the_patterns_say_what_the_rule_says(name: str) -> None:
    """Both the one that decides and the one in the published schema."""
    published = MESSAGE.json_schema()["properties"]["sensor"]["pattern"]
    fine = (
        name == name.strip()
        and not {".", ".."} & set(name.split("/"))
        and not any(unicodedata.category(char) in HIDDEN for char in name)
    )

    assert (refusals(name) == []) == fine
    assert bool(re.search(published, name)) == fine
