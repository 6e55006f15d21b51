# SPDX-License-Identifier: EUPL-1.2
"""What the portal's pages are given to work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastapi import Request

from lamppost.clock import Clock, SystemClock
from lamppost.log import Log
from lamppost_app.cursors import Cursors
from lamppost_app.settings import Settings
from sinks.store import Store
from sinks.store_reader import StoreReader

from .compliance_book import ComplianceBook, YearRules, YearTable
from .connections import Doorkeeper
from .live import LiveFeed
from .rulebook import Rulebook, RulebookShelf


@dataclass(frozen=True, slots=True)
class PortalContext:
    """One running portal.

    Attributes:
        settings: of the installation.
        inbox: where commands and pushed readings go.
        outbox: what the store is fed from.
        store: what the pages show.
        cursors: what each sink stored; None where nobody counts.
        doorkeeper: watches the connections.
        clock: tells the time.
        feed_alive: tells whether the store is still being fed.
        engine_position: tells how far the engine has read the inbox, None where nobody knows.
        store_damages: tells what of the store was found damaged.
    """

    settings: Settings
    inbox: Log
    outbox: Log
    store: Store
    cursors: Cursors | None = None
    doorkeeper: Doorkeeper = field(default_factory=Doorkeeper)
    clock: Clock = field(default_factory=SystemClock)
    feed_alive: Callable[[], bool] = lambda: True
    engine_position: Callable[[], int | None] = lambda: None
    store_damages: Callable[[], Sequence[str]] = tuple
    shelf: RulebookShelf = field(default_factory=RulebookShelf)
    live: LiveFeed = field(default_factory=LiveFeed)
    compliance: ComplianceBook = field(default_factory=ComplianceBook)

    @property
    def reader(self) -> StoreReader:
        """Answers queries."""
        return self.store.reader

    def rulebook(self, policy: str | None = None) -> Rulebook:
        """Return the words of a policy: the one in force, or the one of a version."""
        return self.shelf.rulebook(self.reader, policy)

    def compliance_of(self, year: int | None = None) -> YearTable:
        """Return a year of every station held against the rules in force; the one under way."""
        rules, now = self.rulebook(), self.clock.now_ns()
        return self.compliance.table(
            self.reader,
            YearRules(rules.policy, rules.compliance, rules.rating, rules.zone),
            year,
            now,
        )


def context_of(request: Request) -> PortalContext:
    """Return the context of the application a request came to."""
    context: PortalContext = request.app.state.context
    return context
