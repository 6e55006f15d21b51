# SPDX-License-Identifier: EUPL-1.2
"""What README and docs mention exists: commands, options, files, settings, policy examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from lamppost.policy import load_policy, parse_policy
from lamppost.series import SeriesTable
from lamppost_app.cli import app
from lamppost_app.pipeline import Pipeline
from lamppost_app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
# Components that exist only in the walk-through.
INVENTED = {"whole_number", "kelvin", "balcony_csv"}
# Places that are no part of a checkout: made at run time, by installing, or turned down in 0003.
ELSEWHERE = {
    "benchmarks/results/",
    "data/",
    "open-data/",
    "deploy/mosquitto/tls",
    "lamppost_app/policy",
    "processors/lamppost/processors/",
}
# The browser tests take this picture.
PICTURE = "docs/images/console.png"

# Variables that speak to the tests, not to Lamppost.
OF_THE_TESTS = {"CHAOS", "NAB", "SEED"}

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Return a page's fenced blocks of a language, without their indentation."""
    return [
        re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        for indent, found, body in FENCE.findall(text_of(page))
        if found == language
    ]


def command_lines(page: Path) -> list[list[str]]:
    """Return the words after `lamppost` wherever a page shows a command."""
    shell = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    lines = [*shell, *INLINE.findall(FENCE.sub("", text_of(page)))]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("lamppost ")]
    return [line[1:] for line in words if len(line) > 1 and line[1] != "<command>"]


@every_page
def test_every_command_exists_with_its_options(page: Path) -> None:
    """Command lines are parsed by the command line itself; a bare name only names the command."""
    for name, *arguments in command_lines(page):
        assert name in COMMANDS, f"lamppost {name}"
        COMMANDS[name].make_context(name, list(arguments), resilient_parsing=not arguments)


def test_the_readme_shows_every_command() -> None:
    """Each public command has an example."""
    shown = {name for name, *_ in command_lines(ROOT / "README.md")}

    assert shown == {name for name, command in COMMANDS.items() if not command.hidden}


@every_page
def test_every_linked_file_exists(page: Path) -> None:
    """Links lead to files of this repository, and to headings that are there."""
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if path == ROOT / PICTURE:
            continue
        assert path.exists(), f"{page.name} links {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links {target}"


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's headings can be linked."""
    headings = HEADING.findall(FENCE.sub("", text_of(page)))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@every_page
def test_every_mentioned_script_and_folder_exists(page: Path) -> None:
    """Paths of the repository in running text are there, but for what commands make."""
    names = {child.name for child in ROOT.iterdir() if re.match(r"\w", child.name)} - {"build"}
    folders = "|".join(sorted(names))
    path = re.compile(rf"^((?:{folders})/[\w./-]*)(?: |$)")
    for text in INLINE.findall(FENCE.sub("", text_of(page))):
        found = path.match(text)
        if found is None or found[1] in ELSEWHERE or any(name in text for name in INVENTED):
            continue
        assert (ROOT / found[1]).exists(), f"{page.name}: {found[1]}"


@every_page
def test_every_setting_exists(page: Path) -> None:
    """Keys such as `mqtt.topics` and variables such as LAMPPOST_HTTP__PORT are settings."""
    sections = {name: schema for name, schema in sections_of_settings().items() if schema}
    key = re.compile(rf"^({'|'.join(sections)})\.(\w+)(?: = .*)?$")
    for text in INLINE.findall(text_of(page)):
        found = key.match(text)
        # Names of our modules look alike: `policy.md`, `sinks/influxdb.py`.
        if found and found[2] not in {"py", "db", "duckdb"}:
            assert found[2] in sections[found[1]], f"{page.name}: {text}"
    for name in set(re.findall(r"LAMPPOST_(\w+)", text_of(page))) - OF_THE_TESTS:
        section, separator, rest = name.lower().partition("__")
        known = sections.get(section, {}) if separator else Settings.model_fields
        assert (rest or section) in known, f"{page.name}: LAMPPOST_{name}"


def sections_of_settings() -> dict[str, Any]:
    """Return the keys of every section of the settings."""
    return {
        name: getattr(field.annotation, "model_fields", None)
        for name, field in Settings.model_fields.items()
    }


@every_page
def test_every_settings_file_is_right(page: Path) -> None:
    """TOML examples hold settings that exist, with values they may have."""
    for block in blocks(page, "toml"):
        content = tomllib.loads(block)
        Settings.model_validate(content)


@every_page
def test_every_policy_example_is_right(page: Path, tmp_path: Path) -> None:
    """YAML examples are policies the engine accepts, beside the default windows and indices.

    One that extends a policy brings them along.
    """
    default = {
        name: yaml.safe_load((ROOT / f"policy/{name}.yaml").read_text(encoding="utf-8"))[name]
        for name in ("windows", "indices")
    }
    for block in blocks(page, "yaml"):
        if any(name in block for name in INVENTED):
            continue
        if "extends:" in block:
            (tmp_path / "p.yaml").write_text(block, encoding="utf-8")
            policy = load_policy(tmp_path)
        else:
            policy = parse_policy({**default, **yaml.safe_load(block)})
        Pipeline(policy, SeriesTable(), {})


def test_the_components_of_the_walk_through_work(tmp_path: Path) -> None:
    """The files of the page, put where it says, do what it says."""
    page = ROOT / "docs/adding-a-component.md"
    modules = dict(
        zip(
            (
                "processors.quality.whole_number",
                "processors.correction.kelvin",
                "ingest.formats.balcony_csv",
            ),
            blocks(page, "python"),
            strict=True,
        )
    )
    for name, code in modules.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    policies = [yaml.safe_load(block) for block in blocks(page, "yaml")]
    program = f"""
import importlib.util, pathlib, sys
from lamppost.component import find
from lamppost.decoded import Decoded
from lamppost.frames import Deliveries
from lamppost.policy import load_policy, parse_policy
from lamppost.series import SeriesTable
from lamppost_app.pipeline import Pipeline

for name in {list(modules)!r}:
    place = pathlib.Path({str(tmp_path)!r}) / (name + ".py")
    spec = importlib.util.spec_from_file_location(name, place)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
for policy in {policies!r}:
    Pipeline(parse_policy(policy), SeriesTable(), {{}})
(example,) = find("format", "balcony_csv", "").cls.examples
deliveries = Deliveries()
deliveries.add(example.route, example.payload, 0, source="mqtt")
deliveries.add(example.route, b"\\xff", 0, source="mqtt")
out = Decoded()
find("format", "balcony_csv", "").cls().decode(deliveries, [0, 1], out)
meanings = [out.measurements()[number] for number in out.columns().meaning]
values = out.columns().value.tolist()
read = [(meaning.sensor, meaning.quantity, value) for meaning, value in zip(meanings, values)]
assert read == list(example.readings), read
assert [refusal.code for refusal in out.refused] == ["malformed"]

from tests.processor_cases import build, flags, table
settings = {{"quantities": {{"vehicle_count": 0.001}}}}
check = build("check", "whole_number", settings, table("vehicle_count"))
assert flags(check, [3.0, 3.7, float("nan")]) == [1, 3, 9]

from lamppost.batch import JudgedBatch
from tests.processor_cases import readings
kelvin = build("derivation", "kelvin", {{}}, table("soil_temperature"), {{}})
assert kelvin.derive(JudgedBatch.unscored(readings([1.0]))).value.tolist() == [274.15]
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
