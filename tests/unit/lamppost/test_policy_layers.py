# SPDX-License-Identifier: EUPL-1.2
"""A policy that extends another says only what is different."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lamppost.errors import ConfigError
from lamppost.policy import load_policy
from lamppost.policy_layers import Layers, read_layers, shipped_policy

from .strategies import LAW

ROOT = Path(__file__).parents[3]
BASE = """
quality:
  sentinel: {quantities: {o3: [-1]}, devices: {}}
  spike: {quantities: {o3: {suspect: 80}}}
  gap: {}
time: {max_ahead_s: 60, zone: Europe/Berlin}
routes: [{match: a, format: x}, {match: b, format: x}]
compliance:
  day: winter
  sets: {}
"""
RULES = """{title: T, rules: {r: {quantity: no2, averaging: year, limit: 10, source: S,
  capture: {share: 0.9}}}}"""

NAMES = st.sampled_from("abcde")
ENTRIES = st.dictionaries(NAMES, st.fixed_dictionaries({"x": st.integers(0, 3)}), max_size=5)
SECTIONS = st.sampled_from(["quality", "alerts", "indices"])
POLICIES = st.dictionaries(SECTIONS, ENTRIES, max_size=3)


def write(folder: Path, text: str, name: str = "p") -> Path:
    """Write a policy file and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    """Return the one line a wrong policy is answered with."""
    with pytest.raises(ConfigError) as raised:
        load_policy(folder)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    return line


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return the folder of a policy that others extend."""
    return write(tmp_path / "base", BASE)


def city(base: Path, text: str) -> Path:
    """Write a policy that extends the base, beside it."""
    return write(base.parent / "city", f"extends: ../base\n{text}")


def test_an_entry_replaces_that_of_the_base_as_a_whole_and_in_its_place(base: Path) -> None:
    """Of its former settings nothing is left; a new entry comes behind."""
    text = "quality:\n  rate_of_change: {}\n  sentinel: {quantities: {no2: [-2]}}\n"

    policy = load_policy(city(base, text))

    assert list(policy.quality) == ["sentinel", "spike", "gap", "rate_of_change"]
    assert policy.quality["sentinel"] == {"quantities": {"no2": [-2]}}
    assert policy.quality["spike"] == {"quantities": {"o3": {"suspect": 80}}}


def test_null_takes_an_entry_away(base: Path) -> None:
    """A check, or a number for which Lamppost's own default then stands."""
    policy = load_policy(city(base, "quality: {spike: null}\ntime: {zone: null}\n"))

    assert list(policy.quality) == ["sentinel", "gap"]
    assert (policy.time.zone, policy.time.max_ahead_s) == ("UTC", 60)


def test_null_within_an_entry_is_a_value_like_others(base: Path) -> None:
    """Some settings know it."""
    policy = load_policy(city(base, "quality: {spike: {quantities: null}}\n"))

    assert policy.quality["spike"] == {"quantities": None}


def test_a_list_is_replaced(base: Path) -> None:
    """Its items have no names to merge by."""
    policy = load_policy(city(base, "routes: [{match: c, format: y}]\n"))

    assert [route.match for route in policy.routes] == ["c"]


def test_a_set_of_limits_joins_those_there_are(base: Path) -> None:
    """Sets have names, as the entries of sections have."""
    first = city(base, f"compliance: {{sets: {{one: {RULES}}}}}\n")
    write(base.parent / "third", f"extends: ../city\ncompliance: {{sets: {{two: {RULES}}}}}\n")

    policy = load_policy(base.parent / "third")

    assert list(policy.compliance.sets) == ["one", "two"]
    assert policy.compliance.day == "winter"
    assert list(load_policy(first).compliance.sets) == ["one"]


def test_the_policy_that_comes_with_lamppost_has_a_name(tmp_path: Path) -> None:
    """Wherever it was installed; a folder beside the policy that is called so has a dot before."""
    named = write(tmp_path / "city", "extends: shipped\nquality: {gap: {default: {suspect_s: 9}}}")
    write(tmp_path / "city" / "shipped", "routes: []\n")
    own = write(tmp_path / "own", "extends: ../city/./shipped\n")
    beside = write(tmp_path / "city2", "extends: ./shipped\n")
    write(beside / "shipped", "routes: []\n")

    layers = read_layers(named)

    assert layers.folders == (named, shipped_policy().resolve())
    assert shipped_policy() == ROOT / "policy"
    assert list(layers.content["quality"])[-1] == "gap"
    assert load_policy(own) == load_policy(beside)
    assert not load_policy(beside).quality


def test_a_policy_that_only_extends_is_the_same_policy(tmp_path: Path) -> None:
    """With the same version: what stands on results is what holds, not how it is laid out."""
    extending = write(tmp_path, "extends: shipped\nquality: {}\ntime: {}\n")

    assert load_policy(extending).version == load_policy(ROOT / "policy").version


def test_folders_within_a_policy_are_no_part_of_it(base: Path) -> None:
    """They may extend it."""
    inner = write(base / "inner", "extends: ..\nquality: {gap: null}\n")

    assert "gap" in load_policy(base).quality
    assert "gap" not in load_policy(inner).quality


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("extends: ../nowhere", "extends", "there is no folder ../nowhere (it is looked for from"),
        ("extends: shipped/nothing", "extends", "there is no folder shipped/nothing"),
        ("extends: .", "extends", "goes round in a circle: "),
        ("extends:", "extends", "must name the folder of a policy"),
        ("extends: [../base]", "extends", "must name the folder of a policy"),
        ('extends: "\\0"', "extends", "there is no folder"),
        (f"extends: {'a' * 300}", "extends", "cannot look for the folder: File name too long"),
        ("quality: {vibes: null}", "quality.vibes", "null takes away what is not there"),
        ("detection: {vibes: null}", "detection.vibes", "null takes away what is not there"),
        ("quality:", "quality", "nothing stands here (write null behind each entry"),
        ("compliance: {sets: }", "compliance.sets", "nothing stands here"),
        ("quality: [spike]", "quality", "valid dictionary"),
        ("quality: {vibes: 5}", "quality.vibes", "valid dictionary"),
        ("time: {zone: Berlin}", "time.zone", "no time zone"),
    ],
)
def test_a_mistake_is_named_by_file_and_key_path(
    text: str, key: str, problem: str, base: Path
) -> None:
    """Where the policy extends something else than a policy, or takes away what is not there."""
    folder = write(base.parent / "city", text, "wrong")
    if "extends" not in text:
        write(folder, "extends: ../base\n")

    line = refusal(folder)

    assert line.startswith(f"{folder}/wrong.yaml: {key}: ")
    assert problem in line


def test_a_circle_is_named_from_folder_to_folder(tmp_path: Path) -> None:
    """The one that leads into it is no part of it."""
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, "extends: ../two\n")
    write(two, "extends: ../one\n")
    entry = write(tmp_path / "entry", "extends: ../one\n")

    assert refusal(entry) == (
        f"{two}/p.yaml: extends: goes round in a circle: {one} extends {two} extends {one}"
    )


def test_a_folder_without_policy_cannot_be_extended(base: Path) -> None:
    """It is named."""
    (base.parent / "empty").mkdir()

    assert refusal(write(base.parent / "city", "extends: ../empty\n")).startswith(
        f"{base.parent / 'empty'}: no policy files"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("quality: {gap: 5}\n", "quality.gap"),
        ("time: {max_ahead: 5}\n", "time.max_ahead"),
        ("qualitty: {}\n", "qualitty"),
        ("routes: [{match: a}]\n", "routes.0.format"),
        ("alerts: {a.b: {use: x}}\n", "alerts.a.b.title"),
    ],
)
def test_a_mistake_in_the_base_is_named_there(text: str, key: str, base: Path) -> None:
    """Though the extending policy speaks of the same section."""
    write(base, text)
    extending = city(base, "quality: {spike: {}}\ntime: {zone: UTC}\nalerts: {}\n")

    assert refusal(extending).startswith(f"{base}/p.yaml: {key}: ")


def test_where_something_stands_is_known_for_what_a_component_says_later(base: Path) -> None:
    """Of an entry, of a section, and of what nobody has said."""
    folder = city(base, "quality: {spike: {}}\n")
    layers = read_layers(folder)

    assert layers.where("quality.gap.default.suspect_s").startswith(f"{base}/p.yaml: quality.gap.")
    assert layers.where("quality.spike.quantities").startswith(f"{folder}/p.yaml: quality.spike.")
    assert layers.where("quality").startswith(f"{folder}/p.yaml: quality")
    assert layers.where("windows") == f"{folder}: windows"


def layered(*contents: dict[str, Any]) -> Layers:
    """Return policies as layers, each upon the one before it."""
    made = [Layers(dict(content), {}, (Path(),)) for content in contents]
    together = made[0]
    for layer in made[1:]:
        together = layer.upon(together)
    return together


def in_order(content: dict[str, Any]) -> list[Any]:
    """Return what a policy says with the order of its entries, but for empty sections."""
    return sorted((section, list(found.items())) for section, found in content.items() if found)


@LAW
@given(POLICIES, POLICIES, POLICIES)
def test_it_does_not_matter_which_layers_are_laid_together_first(
    base: dict[str, Any], middle: dict[str, Any], top: dict[str, Any]
) -> None:
    """Associative, the order of entries included."""
    one = layered(layered(base, middle).content, top)
    other = layered(base, layered(middle, top).content)

    assert in_order(one.content) == in_order(other.content)


@LAW
@given(POLICIES)
def test_nothing_upon_a_policy_and_a_policy_upon_itself_change_nothing(
    base: dict[str, Any],
) -> None:
    """Neutral and idempotent, in order."""
    for top in ({}, {section: {} for section in base}, base):
        assert in_order(layered(base, top).content) == in_order(base)


@LAW
@given(POLICIES, POLICIES)
def test_entries_keep_the_place_of_the_base(base: dict[str, Any], top: dict[str, Any]) -> None:
    """What is new stands behind; what both have is the extending policy's."""
    merged = layered(base, top).content

    for section in {*base, *top}:
        old, new = base.get(section, {}), top.get(section, {})
        assert list(merged[section]) == [*old, *(name for name in new if name not in old)]
        assert merged[section] == {**old, **new}


@LAW
@given(POLICIES, st.data())
def test_what_is_taken_away_leaves_the_rest_as_it_is(
    base: dict[str, Any], data: st.DataObject
) -> None:
    """And what was added can be taken away again."""
    gone = {
        section: dict.fromkeys(data.draw(st.sets(st.sampled_from(sorted(found)))))
        for section, found in base.items()
        if found
    }

    left = layered(base, gone).content

    assert left == {
        section: {name: one for name, one in found.items() if name not in gone.get(section, {})}
        for section, found in base.items()
    }
    added = {section: {name: {} for name in names} for section, names in gone.items()}
    assert layered(left, added, gone).content == left


def test_a_chain_is_the_policy_written_out(base: Path) -> None:
    """Three folders, one upon the other, are worth the one that says it all; with its version."""
    city(base, "quality: {spike: null, flat_line: {}}\n")
    top = write(base.parent / "top", "extends: ../city\nquality: {spike: {}}\ntime: {zone: UTC}\n")
    layers = read_layers(top)
    written = write(base.parent / "written", yaml.safe_dump(layers.content, sort_keys=False))

    assert list(load_policy(top).quality) == ["sentinel", "gap", "flat_line", "spike"]
    assert load_policy(written).version == load_policy(top).version
    assert [folder.name for folder in layers.folders] == ["top", "city", "base"]
