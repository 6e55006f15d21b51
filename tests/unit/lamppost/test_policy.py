# SPDX-License-Identifier: EUPL-1.2
"""The policy is read whole, hashed by its content, and every mistake names file and key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamppost.errors import ConfigError
from lamppost.policy import Policy, load_policy, parse_policy

from .strategies import LAW

ROUTES = "routes: [{match: v1/+/readings, format: native_json}]\n"
ROOT = Path(__file__).parents[3]

# Each line holds twice what the one before does.
LAUGHS = "k0: &k0 [x]\n" + "".join(
    f"k{number}: &k{number} [*k{number - 1}, *k{number - 1}]\n" for number in range(1, 20)
)


def write(folder: Path, **files: str) -> Path:
    """Write policy files by name and return their folder."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    """Return the one line a wrong policy is answered with."""
    with pytest.raises(ConfigError) as raised:
        load_policy(folder)
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    return line


def test_the_files_of_a_folder_make_one_policy(tmp_path: Path) -> None:
    """Each top-level key from the file it stands in."""
    folder = write(
        tmp_path,
        routes=ROUTES,
        quality="quality: {spike: {quantities: {}}}\n",
        empty="# nothing yet\n",
    )
    (folder / "notes.txt").write_text("quality: [", encoding="utf-8")

    policy = load_policy(folder)

    assert [(route.match, route.format) for route in policy.routes] == [
        ("v1/+/readings", "native_json")
    ]
    assert policy.quality == {"spike": {"quantities": {}}}
    assert policy.time.not_before == datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "advice"),
    [("Europe/Berln", "did you mean Europe/Berlin"), ("MEZ+1", "time zone"), ("''", "time zone")],
)
def test_a_zone_that_does_not_exist_is_refused_with_advice(
    tmp_path: Path, zone: str, advice: str
) -> None:
    """The name of the file and the key are in the message."""
    line = refusal(write(tmp_path, routes=f"{ROUTES}time: {{zone: {zone}}}\n"))

    assert "routes.yaml: time.zone" in line
    assert advice in line


def test_the_policy_that_comes_with_lamppost_is_right() -> None:
    """And turns on every kind of component."""
    policy = load_policy(ROOT / "policy")

    assert policy.routes
    assert all((policy.quality, policy.detection, policy.windows, policy.indices, policy.alerts))


def test_a_policy_in_one_file_or_in_several_has_one_version(tmp_path: Path) -> None:
    """The hash is of what it says, not of how it is laid out."""
    one, several = tmp_path / "one", tmp_path / "several"
    one.mkdir()
    several.mkdir()
    quality = "quality: {a: {x: 1, y: 2}, b: {}}\n"
    write(one, all=f"# a comment\n{ROUTES}{quality}")
    write(several, routes=ROUTES, quality="quality:\n  a:\n    y: 2\n    x: 1\n  b: {}\n")

    versions = {load_policy(folder).version for folder in (one, several)}

    assert len(versions) == 1
    assert re.fullmatch("[0-9a-f]{12}", versions.pop())


@pytest.mark.parametrize(
    "changed",
    [
        "time: {max_ahead_s: 61}\n",
        "quality: {a: {}}\n",
        "publication: {title: Other}\n",
        "alerts: {a: {use: silence, title: Silent}}\n",
    ],
)
def test_every_rule_counts_for_the_version(changed: str, tmp_path: Path) -> None:
    """A number on a result leads to the rules it was made by."""
    before = load_policy(write(tmp_path, routes=ROUTES)).version

    after = load_policy(write(tmp_path, changed=changed)).version

    assert after != before


@LAW
@given(
    st.dictionaries(
        st.text("ab", min_size=1),
        st.dictionaries(st.text("xy", min_size=1), st.floats(allow_nan=False) | st.text()),
        max_size=4,
    ),
    st.randoms(),
)
def test_the_canonical_text_stands_for_the_policy(
    quality: dict[str, dict[str, object]], chance: object
) -> None:
    """The inbox keeps it: reading it gives the policy back, in whatever order settings came."""
    shuffled = {name: list(settings.items()) for name, settings in quality.items()}
    for pairs in shuffled.values():
        chance.shuffle(pairs)
    policy = parse_policy({"quality": quality})

    again = Policy.model_validate_json(policy.canonical())

    assert again == policy
    same = {name: dict(pairs) for name, pairs in shuffled.items()}
    assert parse_policy({"quality": same}).canonical() == policy.canonical()


@pytest.mark.parametrize("section", ["quality", "corrections", "derivations", "indices"])
def test_the_order_of_rules_that_work_one_after_the_other_is_kept(section: str) -> None:
    """In the inbox as in the file: another order is another policy."""
    policy = parse_policy({section: {"sentinel": {}, "gap": {}}})

    again = Policy.model_validate_json(policy.canonical())

    assert list(getattr(again, section)) == ["sentinel", "gap"]
    assert parse_policy({section: {"gap": {}, "sentinel": {}}}).version != policy.version


def test_the_order_of_other_keys_says_nothing() -> None:
    """Alerts by their id, and what a file says of one."""
    calm, loud = {"use": "x", "title": "Calm"}, {"title": "Loud", "use": "x"}

    versions = {
        parse_policy({"alerts": {"a": calm, "b": loud}}).version,
        parse_policy({"alerts": {"b": dict(reversed(loud.items())), "a": calm}}).version,
    }

    assert len(versions) == 1


def test_a_folder_without_policy_is_refused(tmp_path: Path) -> None:
    """An empty policy would silently quarantine everything."""
    assert refusal(tmp_path) == f"{tmp_path}: no policy files (*.yaml) here"
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: no policy files")


def test_a_key_that_stands_in_two_files_is_refused(tmp_path: Path) -> None:
    """Both files are named."""
    write(tmp_path, a=ROUTES, b=ROUTES)

    line = refusal(tmp_path)

    assert line == f"{tmp_path}/b.yaml: routes: also stands in {tmp_path}/a.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "quality: {}\nquality: {}\n",
        "quality:\n  spike: {}\n  spike: {}\n",
        "alerts:\n  a: {use: silence, title: x, settings: {b: 1, b: 2}}\n",
        "routes:\n  - {match: a, match: b, format: native_json}\n",
    ],
)
def test_a_key_that_stands_twice_is_refused_at_any_depth(text: str, tmp_path: Path) -> None:
    """YAML itself would keep the last one without a word."""
    write(tmp_path, p=text)

    line = refusal(tmp_path)

    assert line.startswith(f"{tmp_path}/p.yaml: not readable as YAML: the key ")
    assert re.search(r"the key '\w+' stands twice .* line \d", line)


@pytest.mark.parametrize(
    "text",
    [
        "quality: [\n",
        "a: b: c\n",
        "\tquality: {}\n",
        "quality: !!python/object/apply:os.system [true]\n",
        "[a, b]: c\n",
        "{a: b}: c\n",
        "time: {not_before: 2026-13-01}\n",
        "time: {max_ahead_s: 0x_}\n",
        "quality: &a {spike: *a}\n",
        LAUGHS,
    ],
)
def test_wrong_yaml_is_refused_with_its_file(text: str, tmp_path: Path) -> None:
    """Unclosed, ambiguous, unsafe, with keys that are no keys or dates of no calendar."""
    write(tmp_path, good=ROUTES, wrong=text)

    assert refusal(tmp_path).startswith(f"{tmp_path}/wrong.yaml: not readable as YAML: ")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """It was saved by an editor with other ideas."""
    (tmp_path / "p.yaml").write_bytes("quality: {Straße: {}}\n".encode("latin-1"))

    assert refusal(tmp_path).startswith(f"{tmp_path}/p.yaml: not readable as YAML: 'utf-8'")


@pytest.mark.parametrize("text", ["- a\n", "5\n", "text\n"])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    """Its keys could not be merged."""
    write(tmp_path, p=text)

    assert refusal(tmp_path) == f"{tmp_path}/p.yaml: must be a mapping of keys"


@pytest.mark.parametrize(("key", "text"), [("1", "1: {}\n"), ("False", "no: {}\n")])
def test_a_key_that_yaml_does_not_read_as_text_is_refused(
    key: str, text: str, tmp_path: Path
) -> None:
    """``no`` without quotes is false in YAML, and the file is named."""
    write(tmp_path, p=text)

    assert refusal(tmp_path).startswith(f"{tmp_path}/p.yaml: {key}: ")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("qualitty: {}\n", "qualitty"),
        ("time: {max_ahead: 5}\n", "time.max_ahead"),
        ("time: {max_ahead_s: -1}\n", "time.max_ahead_s"),
        ("time: {max_ahead_s: .nan}\n", "time.max_ahead_s"),
        ("time: {not_before: 2020-01-01T00:00:00}\n", "time.not_before"),
        ("time: {not_before: 1969-12-31T00:00:00Z}\n", "time.not_before"),
        ("routes: [{match: '', format: native_json}]\n", "routes.0.match"),
        ("routes: [{match: a, format: x}, {match: b}]\n", "routes.1.format"),
        ("alerts: {a: {use: silence}}\n", "alerts.a.title"),
        ("alerts: {a: {use: silence, title: x, severity: urgent}}\n", "alerts.a.severity"),
        ("alerts: {a: {use: silence, title: x, for_s: -1}}\n", "alerts.a.for_s"),
        ("quality: {spike: 5}\n", "quality.spike"),
        ("publication: {license: MIT}\n", "publication.license"),
    ],
)
def test_a_wrong_value_is_named_by_file_and_key_path(text: str, path: str, tmp_path: Path) -> None:
    """Unknown keys are mistakes, too."""
    write(tmp_path, good="indices: {}\n", wrong=text)

    assert refusal(tmp_path).startswith(f"{tmp_path}/wrong.yaml: {path}: ")


def test_a_policy_without_files_is_named_policy() -> None:
    """As the engine reads one from the inbox."""
    with pytest.raises(ConfigError, match=r"^policy: routes\.0\.format: "):
        parse_policy({"routes": [{"match": "a"}]})
