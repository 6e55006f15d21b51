# SPDX-License-Identifier: EUPL-1.2
"""One page of documentation per component: what it computes, settings, sources, how it fails.

All of it comes from the component itself (its docstring, reasons and settings) and from the default
policy with its comments, so a new component has a page as soon as it is registered.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lamppost.component import Component, Kind, registered
from lamppost.flags import Reason

from .markdown import literals, model_table, sentence, table

FOLDER: Final = "components"
"""Below docs/; everything in it is generated."""

_SECTIONS: Final[dict[Kind, tuple[str, str]]] = {
    "format": ("Formats", "routes"),
    "check": ("Checks", "quality"),
    "derivation": ("Derivations", "derivations"),
    "detector": ("Detectors", "detection"),
    "aggregator": ("Aggregators", "windows"),
    "index": ("Indices", "indices"),
    "alert": ("Alert rules", "alerts"),
}
_CORRECTIONS: Final = "processors.correction."
"""Derivations of this package stand in a section of the policy of their own."""
_LABELS: Final = {
    "Source:": "Source",
    "Sources:": "Source",
    "Known failures:": "Known failures",
}
_COMPUTES: Final = "What it computes"
_PARTS: Final = (_COMPUTES, "Source", "Known failures")


def pages(root: Path) -> dict[str, str]:
    """Return every page by its path below docs/.

    Args:
        root: of the checkout, for the default policy and the figures.
    """
    found = {f"{FOLDER}/README.md": _index()}
    for kind in _SECTIONS:
        for component in registered(kind).values():
            found[f"{FOLDER}/{kind}/{component.name}.md"] = _page(component, root)
    return found


def _index() -> str:
    parts = [
        """# Components

What a [policy](../policy.md) can name, a page each. `lamppost check` says which of them a policy
switches on.
"""
    ]
    for kind, (heading, section) in _SECTIONS.items():
        rows = (
            (f"[`{found.name}`]({kind}/{found.name}.md)", sentence(found.summary))
            for found in registered(kind).values()
        )
        named = "corrections` and `derivations" if kind == "derivation" else section
        parts.append(f"## {heading} (`{named}`)\n\n{table(('name', 'what it does'), rows)}")
    return "\n".join(parts)


def _section(component: Component) -> str:
    """Return the section of the policy a component is named in."""
    is_correction = component.cls.__module__.startswith(_CORRECTIONS)
    return "corrections" if is_correction else _SECTIONS[component.kind][1]


def _page(component: Component, root: Path) -> str:
    heading, section = _SECTIONS[component.kind][0], _section(component)
    said = _said(component)
    parts = [
        f"# `{component.name}`\n",
        f"One of the [{heading.lower()}](../README.md), named in the policy under `{section}`.\n",
        literals(component.summary) + "\n",
        *_figure(component, root),
        *(f"## {part}\n\n{said[part]}\n" for part in _PARTS if part in said),
        *_reasons(getattr(component.cls, "reasons", ())),
        *_settings(component.settings.model_json_schema()),
        *_switched_on(component, root / "policy", ".", "In the default policy"),
        *_switched_on(component, root / "policy", "everything", "In the policy with everything on"),
    ]
    return "\n".join(parts)


def _said(component: Component) -> dict[str, str]:
    """Return what a docstring says below its first sentence, by heading of the page."""
    text = inspect.cleandoc(component.cls.__doc__ or "").split("\n\n>>>")[0]
    found: dict[str, list[str]] = {}
    heading = _COMPUTES
    for paragraph in literals(text).split("\n\n")[1:]:
        label = next((label for label in _LABELS if paragraph.startswith(label)), None)
        if label is not None:
            heading = _LABELS[label]
        said = paragraph.removeprefix(label or "").strip()
        found.setdefault(heading, []).append(said[:1].upper() + said[1:] if label else said)
    return {heading: "\n\n".join(paragraphs) for heading, paragraphs in found.items()}


def _figure(component: Component, root: Path) -> Iterator[str]:
    path = f"images/{component.kind}s/{component.name}.svg"
    if (root / "docs" / path).is_file():
        yield f"![{component.name} on an example series](../../{path})\n"


def _reasons(reasons: tuple[Reason, ...]) -> Iterator[str]:
    if reasons:
        rows = (
            (str(reason.bit), f"`{reason.name}`", reason.sentence, sentence(reason.citation))
            for reason in reasons
        )
        heads = ("bit", "reason", "what people read", "source")
        yield f"## Reasons it gives\n\n{table(heads, rows)}"


def _settings(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("properties"):
        yield f"## Settings\n\n{model_table(schema)}"
    for name, inner in schema.get("$defs", {}).items():
        if inner.get("properties"):
            yield f"`{name}`:\n\n{model_table(inner, None, schema['$defs'])}"


def _switched_on(component: Component, policies: Path, folder: str, heading: str) -> Iterator[str]:
    """Yield what a policy that comes with Lamppost says of a component, with its comments."""
    section = _section(component)
    named = re.compile(rf"use: {component.name}\n" if component.kind == "alert" else "(?!)")
    for path in sorted((policies / folder).glob("*.yaml")):
        entries = [
            text
            for name, text in _entries(path.read_text(encoding="utf-8"), section)
            if name == component.name or named.search(text)
        ]
        place = path.relative_to(policies)
        if entries:
            yield (
                f"## {heading}\n\n[`{place}`](../../../policy/{place}):\n\n"
                f"```yaml\n{section}:\n{''.join(entries)}```\n"
            )


def _entries(text: str, section: str) -> Iterator[tuple[str, str]]:
    """Yield the entries of a top-level key of a policy file as they are written, by name."""
    block = re.search(rf"^{section}:\n((?:[ #].*\n|\n)*)", text, re.MULTILINE)
    if block is None:
        return
    entry = re.compile(r'(?:^  #.*\n)*^  "?([a-z_0-9]+)"?:.*\n(?:^(?:   .*)?\n)*', re.MULTILINE)
    for found in entry.finditer(block[1]):
        yield found[1], found[0].rstrip() + "\n"
