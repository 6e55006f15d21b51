# SPDX-License-Identifier: EUPL-1.2
"""Every sentence people read on the pages, by key; one file per language."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parent / "texts_by_language"


def text(key: str, **values: object) -> str:
    """Return a sentence, with values put in.

    >>> text("time.ago", duration="5 min")
    '5 min ago'
    """
    sentence = catalogue()[key]
    return sentence.format(**values) if values else sentence


@cache
def catalogue(language: str = "en") -> dict[str, str]:
    """Return the sentences of a language by dotted key."""
    content = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return dict(_flattened("", content))


def _flattened(prefix: str, content: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in content.items():
        key = f"{prefix}{name}"
        pairs += _flattened(f"{key}.", value) if isinstance(value, dict) else [(key, value)]
    return pairs
