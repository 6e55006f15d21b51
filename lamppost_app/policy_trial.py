# SPDX-License-Identifier: EUPL-1.2
"""Whether a policy is at fault when the engine fails, and which one worked before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from lamppost.alerts import Signal
from lamppost.log import FRAME, TICK, Entry
from lamppost.policy import Policy
from lamppost.times import HOUR_NS

_ON_TRIAL_NS: Final = 25 * HOUR_NS
"""A day and the hour after it: long enough for days to close once."""
_TICKS: Final = 3

KEPT_ADVICE: Final = "put the policy right and run lamppost reload"
"""What helps where a policy fails and cannot give way to the one before."""


class PolicyTrial:
    """Remembers what the engine got through under the policy in force.

    A policy has worked once a tick has passed under it. It is at fault when not even its first tick
    does, or neither of its first two frames; and in its first day also at the third tick in a row
    that fails, as that of a window longer than any that closed before. Anything else is put down to
    the entry. Only what is an entry's doing is set aside; a policy gives way to the last one that
    worked, if there is one, and that one is not tried again.
    """

    def __init__(self) -> None:
        """Start with a policy nobody has given."""
        self._policy: Policy | None = None
        self._worked: list[Policy] = []
        self._taken_at = 0
        self._passed: set[str] = set()
        self._failed: Counter[str] = Counter()

    def take(self, policy: Policy, at: int) -> None:
        """Put a new policy on trial."""
        self._policy, self._taken_at = policy, at
        self._passed.clear()
        self._failed.clear()

    def passes(self, kind: str) -> bool:
        """Note that an entry was got through; return whether that shows that the policy works."""
        if kind not in {TICK, FRAME} or self._policy is None:
            return False
        self._failed.pop(kind, None)
        self._passed.add(kind)
        if kind == FRAME or (self._worked and self._worked[-1] is self._policy):
            return False
        self._worked = [*self._worked[-1:], self._policy]
        return True

    def fails(self, kind: str) -> None:
        """Note that an entry was set aside."""
        self._failed[kind] += 1

    def instead(self, kind: str, at: int) -> Policy | None:
        """Return the policy to go back to when an entry fails; None where that is to blame."""
        if at - self._taken_at > _ON_TRIAL_NS:
            return None
        worked = [policy for policy in self._worked if policy is not self._policy]
        first = kind not in self._passed
        patience = {TICK: 1 if first else _TICKS, FRAME: 2 if first else 0}.get(kind, 0)
        at_fault = 0 < patience <= self._failed[kind] + 1
        return worked[-1] if worked and at_fault else None

    def go_back(self, policy: Policy) -> None:
        """Take the policy that worked before in place of the one on trial."""
        self._policy, self._worked = policy, [policy]
        self._taken_at = 0
        self._passed = {TICK, FRAME}
        self._failed.clear()

    def stay(self) -> None:
        """Forget what there was to go back to: that cannot be done."""
        self._worked = []

    def facts(self) -> dict[str, Any]:
        """Return the whole state for a snapshot."""
        return {
            "worked": [policy.canonical() for policy in self._worked],
            "taken_at": self._taken_at,
            "passed": sorted(self._passed),
            "failed": dict(self._failed),
        }

    def restore(self, facts: Mapping[str, Any], policy: Policy) -> None:
        """Take over a snapshot, and the policy that was in force."""
        now = policy.canonical()
        self._policy = policy
        self._worked = [
            policy if text == now else Policy.model_validate_json(text) for text in facts["worked"]
        ]
        self._taken_at = facts["taken_at"]
        self._passed = set(facts["passed"])
        self._failed = Counter(facts["failed"])


def set_aside_sentence(entry: Entry, failed: str, worked: str) -> str:
    """Return what happened, by the versions of both policies."""
    return (
        f"The engine failed on inbox entry {entry.seq} ({entry.kind}) under policy {failed}, "
        f"which was set aside; policy {worked}, which worked before, is in force again. "
        "The log of the engine says what failed (engine_failed)"
    )


def kept_sentence(entry: Entry, failed: str) -> str:
    """Return what happened, by the version of the policy that stays."""
    return (
        f"The engine failed on inbox entry {entry.seq} ({entry.kind}) under policy {failed}, "
        "and could not go back to the one before: what the engine fails on is set aside, entry by "
        f"entry. The log of the engine says what failed (engine_failed); {KEPT_ADVICE}"
    )


def set_aside_signal(at: int, sentence: str, *, active: bool) -> Signal:
    """Return a signal of the rule about policies the engine failed under."""
    nothing = float("nan")
    return Signal(
        subject="",
        quantity="",
        qualifiers="",
        active=active,
        at=at,
        observed=nothing,
        expected=nothing,
        band_low=nothing,
        band_high=nothing,
        unit="",
        sentence=sentence,
        clears_when="another policy is taken, and the engine gets through a tick under it",
    )
