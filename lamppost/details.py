# SPDX-License-Identifier: EUPL-1.2
"""What is told about one reading beside its flag and the sentences of its reasons."""

from __future__ import annotations

from typing import NamedTuple


class Detail(NamedTuple):
    """The numbers behind one reason of one reading, in a sentence.

    Attributes:
        series: code of its series.
        time: its instant, ns UTC.
        reason: bit of the reason.
        detail: the sentence.
    """

    series: int
    time: int
    reason: int
    detail: str
