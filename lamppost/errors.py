# SPDX-License-Identifier: EUPL-1.2
"""The errors of Lamppost, one per handling decision.

::

    LamppostError
    ├── ConfigError     a setting or policy is wrong: stop at start, exit code 2
    ├── FormatError     bytes no format can read: quarantine them, go on
    ├── NotConnected    the other side is away: back off, try again
    ├── PartialWrite    a sink refused some items: quarantine those, keep the rest
    └── StorageFailed   a file of our own cannot be trusted any more: end, exit code 1, open it anew
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .refusal_codes import Code

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .balance import Tally


class LamppostError(Exception):
    """The root of every error this project raises on purpose."""


class ConfigError(LamppostError):
    """A setting or policy value is wrong; the message names the file and the key path."""

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        """Compose one line: where, what, and what to do."""
        line = f"{where}: {problem}" if where else problem
        super().__init__(f"{line} ({hint})" if hint else line)
        self.problem = problem
        self.where = where
        self.hint = hint


class FormatError(LamppostError):
    """A payload cannot be read; carries the reason code its quarantine record gets."""

    def __init__(self, code: Code, detail: str) -> None:
        """Keep the code apart from the human detail."""
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class NotConnected(LamppostError):
    """The other side cannot be reached or asks us to wait.

    Attributes:
        retry_after_s: seconds the other side asked us to wait, or None.
        progressed: whether part of the work was done; then there is no need to wait ever longer.
    """

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, progressed: bool = False
    ) -> None:
        """Keep the wish of the other side beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.progressed = progressed


class PartialWrite(LamppostError):
    """A sink stored a batch except for some items.

    Attributes:
        refused: reason by the position of the refused item in the batch.
        tally: what became of the readings, where the sink keeps readings.
    """

    def __init__(self, refused: Mapping[int, str], tally: Tally | None = None) -> None:
        """Keep every refusal; the rest of the batch is stored."""
        super().__init__(f"{len(refused)} item(s) refused by the destination")
        self.refused = dict(refused)
        self.tally = tally


class StorageFailed(LamppostError, OSError):
    """A file of our own can no longer be trusted, after a failed sync for example.

    The kernel reports a failed sync once and may drop what was not written. A second try on the
    same file would succeed and prove nothing. So the process ends and the next one opens the file
    anew. It is an OSError too: whoever waits for storage has at least not stored anything.
    """
