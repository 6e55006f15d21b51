# SPDX-License-Identifier: EUPL-1.2
"""How a method names the numbers it works with: in its version, and as people read a formula."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from lamppost.wording import digits


def version_with(method: str, numbers: Mapping[str, object]) -> str:
    """Return the version of a method with certain numbers; other numbers are another version.

    The mark behind the plus sign is the beginning of the SHA-256 of the numbers as JSON.

    >>> version_with("bent/1", {"bend": 570.0}), version_with("bent/1", {"bend": 571.0})
    ('bent/1+280ea68b', 'bent/1+10c31ed3')
    """
    text = json.dumps(numbers, sort_keys=True, separators=(",", ":"))
    return f"{method}+{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def sum_of(*terms: tuple[float, str]) -> str:
    """Return a sum of numbers, each with what it is multiplied by.

    >>> sum_of((0.52, "x"), (-0.086, "RH"), (5.75, ""))
    '0.52 x - 0.086 RH + 5.75'
    """
    first, *others = [f"{digits(abs(number))} {what}".rstrip() for number, what in terms]
    lead = "-" if terms[0][0] < 0 else ""
    signs = ["-" if number < 0 else "+" for number, _ in terms[1:]]
    return lead + " ".join(
        [first, *(f"{sign} {term}" for sign, term in zip(signs, others, strict=True))]
    )
