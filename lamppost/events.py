# SPDX-License-Identifier: EUPL-1.2
"""Named events: each writes one log line. Components log nothing by themselves.

Levels: WARNING means nothing was lost; ERROR means data loss or that an operator is needed.
A recurring condition is logged when it changes, not per batch.
"""

from __future__ import annotations

import logging
import sys

_LOGGER = logging.getLogger("lamppost")


def configure(level: str = "INFO", role: str = "") -> None:
    """Write events to standard error, one line each, key=value."""
    prefix = f" {role}" if role else ""
    form = f"%(asctime)s %(levelname)s{prefix} %(message)s"
    logging.basicConfig(level=level, format=form, handlers=[_StandardError()], force=True)


class _StandardError(logging.Handler):
    """Writes to what standard error is at that moment: a stream kept may be closed by then."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


def info(event: str, **facts: object) -> None:
    """Say that something expected happened."""
    _LOGGER.info(_line(event, facts))


def warning(event: str, **facts: object) -> None:
    """Say that something went wrong and nothing was lost."""
    _LOGGER.warning(_line(event, facts))


def error(event: str, **facts: object) -> None:
    """Say that data was lost or an operator is needed."""
    _LOGGER.error(_line(event, facts))


def _line(event: str, facts: dict[str, object]) -> str:
    pairs = " ".join(f"{key}={_quoted(str(value))}" for key, value in facts.items())
    return f"{event} {pairs}".rstrip()


def _quoted(text: str) -> str:
    plain = "".join(char if char.isprintable() else " " for char in text)
    return f'"{plain}"' if " " in plain or not plain else plain
