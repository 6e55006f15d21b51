# SPDX-License-Identifier: EUPL-1.2
"""Imported readings: history out of files, which comes in like any delivery but is not news.

An import goes through the inbox as frames of its own source. What differs is said here and nowhere
else: an imported reading was heard when it was measured, so its window waits for nobody; a time
that cannot be believed has no receipt to fall back on; and nobody is alerted about the past.
"""

from __future__ import annotations

from typing import Final

IMPORT_SOURCE: Final = "import"
"""The door of imported deliveries, in the ledger and in quarantine."""

IMPORT_ROUTE: Final = "import/archive"
"""Their route; it leads to the format below under every policy that has routes at all."""

IMPORT_FORMAT: Final = "archive_columns"
