# SPDX-License-Identifier: EUPL-1.2
"""What is wrong with a value, in words for the person who wrote it."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

_WORDS: Final = {"extra_forbidden": "there is no such key", "missing": "this key is missing"}
_PREFIX: Final = "Value error, "


def first_problem(error: ValidationError) -> tuple[list[str], str]:
    """Return the key path of the first thing that is wrong, and what is."""
    first = error.errors()[0]
    problem = _WORDS.get(first["type"], first["msg"].removeprefix(_PREFIX))
    return [str(part) for part in first["loc"]], problem
