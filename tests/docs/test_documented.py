# SPDX-License-Identifier: EUPL-1.2
"""What people may set, read or run is described, and what is described exists."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import typer
from pydantic import BaseModel

from lamppost import policy as policy_module
from lamppost.component import Settings as ComponentSettings
from lamppost.component import all_reasons, registered
from lamppost.refusal_codes import CODES, Code
from lamppost.stations import Station
from lamppost_app import settings as settings_module
from lamppost_app.cli import app
from lamppost_app.components import discover_all
from lamppost_app.settings import Settings

discover_all()
ROOT = Path(__file__).parents[2]
PACKAGES = ("lamppost", "lamppost_app", "ingest", "processors", "sinks")
KINDS = ("format", "check", "derivation", "detector", "aggregator", "index", "alert", "sink")
JUDGING = ("check", "derivation", "detector", "aggregator", "index", "alert")
COMMANDS = typer.main.get_command(app)


def models_of(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a settings model and every model its fields are made of."""
    yield root
    for field in root.model_fields.values():
        for inner in ast_of_types(field.annotation):
            if inner is not root:
                yield from models_of(inner)


def ast_of_types(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models inside an annotation, however deep."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from ast_of_types(argument)


def all_models() -> list[type[BaseModel]]:
    """Return every model a person may write a file for."""
    roots: list[type[BaseModel]] = [Settings, policy_module.Policy, Station]
    roots += [found.settings for kind in KINDS for found in registered(kind).values()]
    found = dict.fromkeys(model for root in roots for model in models_of(root))
    return [model for model in found if model is not ComponentSettings]


def described(model: type[BaseModel]) -> set[str]:
    """Return the fields a model's docstrings describe under Attributes."""
    names: set[str] = set()
    own = (base for base in model.__mro__ if base.__module__.partition(".")[0] in PACKAGES)
    for base in own:
        section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        for line in section.splitlines():
            entry = re.match(r"^ {2,4}([a-z_0-9, ]+): \S", line)
            if entry:
                names |= {name.strip() for name in entry[1].split(",")}
    return names


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_every_setting_is_described(model: type[BaseModel]) -> None:
    """By a line under Attributes, or by its own description; sections speak for themselves."""
    documented = described(model)
    sections = {
        name
        for name, field in model.model_fields.items()
        if any(
            inner.__module__ == settings_module.__name__ and inner.__doc__
            for inner in ast_of_types(field.annotation)
        )
    }

    missing = {
        name
        for name, field in model.model_fields.items()
        if name not in documented and not field.description
    }

    assert missing - sections == set()


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.__name__)
def test_every_described_setting_exists(model: type[BaseModel]) -> None:
    """A renamed field takes its description along."""
    assert described(model) <= set(model.model_fields)


@pytest.mark.parametrize("reason", all_reasons(), ids=lambda reason: reason.name)
def test_every_reason_is_a_sentence(reason: object) -> None:
    """Citizens read it beside their reading."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", reason.name)
    assert re.fullmatch(r"[A-Z0-9].*\.", reason.sentence)
    assert 0 <= reason.bit <= 31


def test_no_two_reasons_share_a_name_or_a_sentence() -> None:
    """Else nobody could tell what happened."""
    reasons = all_reasons()

    assert len({reason.name for reason in reasons}) == len(reasons)
    assert len({reason.sentence for reason in reasons}) == len(reasons)


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every source file of the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def texts_used() -> set[str]:
    """Return the texts that stand in the code, beside the table of codes itself."""
    return {
        node.value
        for path, tree in sources()
        if path.name != "refusal_codes.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_quarantine_code_has_a_sentence() -> None:
    """Those the code may use, which type checking holds it to, are those that are published."""
    assert set(get_args(Code)) == set(CODES)


def test_every_published_quarantine_code_is_used() -> None:
    """A code nothing leads to is a promise nobody keeps."""
    assert set(CODES) - texts_used() == set()


def test_every_command_is_found() -> None:
    """Those the documentation speaks of."""
    assert {"run", "demo", "check", "decode", "replay", "simulate", "export", "doctor"} <= set(
        COMMANDS.commands
    )


@pytest.mark.parametrize("name", sorted(COMMANDS.commands))
def test_every_command_says_what_it_does(name: str) -> None:
    """In a sentence; its visible options and arguments, too."""
    command = COMMANDS.commands[name]

    assert re.match(r"[A-Z].*\.", command.help or "")
    if not command.hidden:
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_says_what_it_does(kind: str) -> None:
    """In the first sentence of its docstring, which ``lamppost check`` shows."""
    assert registered(kind)
    for component in registered(kind).values():
        assert re.fullmatch(r"[A-Z].*\.", component.summary), component.name


@pytest.mark.parametrize("kind", JUDGING)
def test_every_component_says_where_it_comes_from_and_how_it_fails(kind: str) -> None:
    """Each page has a source, of the component or of its reasons, and its known failures."""
    for component in registered(kind).values():
        said = inspect.getdoc(component.cls) or ""
        cited = all(reason.citation for reason in getattr(component.cls, "reasons", ()))

        assert "\nKnown failures: " in said, component.name
        assert "\nSource" in said or (kind == "check" and cited), component.name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "policy").rglob("*.yaml")), ids=lambda p: f"{p.parent.name}-{p.name}"
)
def test_comments_of_the_policy_speak_of_what_exists(path: Path) -> None:
    """Commands, and codes of quarantine."""
    text = path.read_text(encoding="utf-8")

    commands = set(re.findall(r"`lamppost ([a-z-]+)", text))
    codes = set(re.findall(r'quarantine with the reason "(\w+)"', text))

    assert commands <= set(COMMANDS.commands)
    assert codes <= set(CODES)
