# SPDX-License-Identifier: EUPL-1.2
"""Markdown of what the code says about itself: tables, JSON Schemas in words, docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

_ATTRIBUTE: Final = re.compile(r"^    ([a-z_][\w, ]*): (.*)$")
_LITERAL: Final = re.compile(r"``([^`]+)``|:\w+:`~?([^`]+)`")


def literals(text: str) -> str:
    """Return documentation text with its code as Markdown writes it."""
    return _LITERAL.sub(lambda found: f"`{found[1] or found[2].rsplit('.', 1)[-1]}`", text)


def attributes(cls: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a class, and those it is made from, say of its attributes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(_attributes(inspect.cleandoc(base.__doc__ or "")))
    return found


def _attributes(text: str) -> dict[str, str]:
    _, _, section = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.split("\n\n")[0].splitlines():
        start = _ATTRIBUTE.match(line)
        if start is not None:
            names = [name.strip() for name in start[1].split(",")]
        for name in names:
            words = start[2] if start is not None else line.strip()
            found[name] = f"{found[name]} {words}" if name in found else words
    return found


def sentence(text: str) -> str:
    """Return documentation text as it stands in a cell of a Markdown table."""
    plain = literals(text).replace("|", "\\|").strip()
    plain = plain[:1].upper() + plain[1:]
    return plain if plain.endswith(".") or not plain else f"{plain}."


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    heads = list(headings)
    lines = [heads, ["---"] * len(heads), *(list(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def values_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return in words which values a JSON Schema admits."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return values_of(definitions[name], definitions) if "enum" in definitions[name] else name
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(values_of(part, definitions) for part in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("format") or schema.get("type", "anything"))
    if kind == "array":
        return _array(schema, definitions)
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"{values_of(inner, definitions)} by name" if isinstance(inner, dict) else "mapping"
    return f"{kind}{_bounds(schema)}"


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        inside = ", ".join(values_of(part, definitions) for part in schema["prefixItems"])
        return f"[{inside}]"
    return f"list of {values_of(schema.get('items', {}), definitions)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    found = [f"{sign} {schema[key]:g}" for key, sign in words.items() if key in schema]
    return f" {', '.join(found)}" if found else ""


def default_of(schema: Mapping[str, Any], *, required: bool) -> str:
    """Return a default as it would be written in a file."""
    if required:
        return "required"
    value = schema.get("default")
    if value is None:
        return "none"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def model_table(
    schema: Mapping[str, Any],
    model: type[BaseModel] | None = None,
    definitions: Mapping[str, Any] | None = None,
) -> str:
    """Return the keys of a model: default, values, meaning."""
    known = schema.get("$defs", {}) if definitions is None else definitions
    meanings = {} if model is None else attributes(model)
    required = set(schema.get("required", ()))
    rows = (
        (
            f"`{name}`",
            default_of(field, required=name in required),
            values_of(field, known),
            sentence(str(field.get("description") or meanings.get(name, ""))),
        )
        for name, field in schema.get("properties", {}).items()
    )
    return table(("key", "default", "values", "meaning"), rows)
