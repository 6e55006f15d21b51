# SPDX-License-Identifier: EUPL-1.2
"""What rules about incidents share: the states of an incident, and how they say what they see."""

from __future__ import annotations

from typing import Final

from ._pair_rule import Frame, PairRule, S

FREE: Final = 0


class IncidentRule(PairRule[S]):
    """Base of the rules that compare the occupancies of two stations."""

    def explain(self, pair: int, frame: Frame) -> str:
        """Say what both stations measured, and which limits that passes."""
        return f"{self.measured(pair, frame)}: {self.reason(pair, frame)}"

    def reason(self, pair: int, frame: Frame) -> str:
        """Say which limits of the rule are passed."""
        raise NotImplementedError

    def measured(self, pair: int, frame: Frame) -> str:
        """Say what both stations measured."""
        up, down = map(self.name_of, self.network.pairs[pair])
        length = self.network.length_km[pair]
        return (
            f"occupancy {frame.occupancy_up[pair]:.0f} % at {up}, "
            f"{frame.occupancy_down[pair]:.0f} % at {down}, {length:.1f} km downstream"
        )
