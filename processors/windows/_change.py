# SPDX-License-Identifier: EUPL-1.2
"""What late readings change."""

from __future__ import annotations

from typing import NamedTuple

from ._memory import Reduce
from ._rows import RowArray


class Change(NamedTuple):
    """Rows of windows that late readings belong to, without them and with them."""

    before: RowArray
    after: RowArray

    def reduced(self, level: int, reduce: Reduce) -> Change:
        """Return the states of a level, made of the rows below."""
        return Change(reduce(level, self.before), reduce(level, self.after))
