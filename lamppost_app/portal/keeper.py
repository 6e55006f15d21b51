# SPDX-License-Identifier: EUPL-1.2
"""Looks after the store beside its feed: reads it through at the start, copies it when asked."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Final

import duckdb

from lamppost import events
from lamppost_app.store_requests import Answer, Request, copy_path, say, take
from sinks.store import Store
from sinks.store_file import DAMAGED_ADVICE

_LOOK_S: Final = 0.25
_TOLD_EVERY_S: Final = 0.2


class StoreKeeper:
    """Answers requests until told to stop.

    Attributes:
        damages: what was found damaged when everything was read through last.
    """

    def __init__(self, store: Store, folder: Path, stop: threading.Event) -> None:
        """Take the store, the data folder and the signal to stop."""
        self._store = store
        self._folder = folder
        self._stop = stop
        self.damages: list[str] = []

    def run(self) -> None:
        """Read everything through, then look for requests."""
        for part in self._folder.glob(f"{copy_path(self._folder).name}*"):
            part.unlink()  # nobody waits for it any more
        try:
            self.examine()
        except duckdb.Error as error:
            events.warning("store_not_examined", problem=error)
        while not self._stop.wait(_LOOK_S):
            request = take(self._folder)
            if request is not None:
                self._answer(request)

    def examine(self) -> list[str]:
        """Read everything through, and say what is damaged."""
        self.damages = self._store.examine()
        for damage in self.damages:
            events.error("store_damaged", what=damage, advice=DAMAGED_ADVICE)
        return self.damages

    def _answer(self, request: Request) -> None:
        number = request.number
        say(self._folder, Answer(number=number, state="working"))
        try:
            if request.task == "examine":
                answer = Answer(number=number, state="done", damages=self.examine())
            else:
                cursor = self._store.copy(copy_path(self._folder), _Progress(self._folder, number))
                answer = Answer(number=number, state="done", cursor=cursor)
        except (OSError, duckdb.Error) as error:
            answer = Answer(number=number, state="failed", problem=str(error))
        say(self._folder, answer)
        events.info("store_request", task=request.task, state=answer.state, problem=answer.problem)


class _Progress:
    """Tells how far a copy is, a few times a second."""

    def __init__(self, folder: Path, number: str) -> None:
        self._folder = folder
        self._number = number
        self._told_at = 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = time.monotonic()
            say(self._folder, Answer(number=self._number, state="working", done=done, total=total))
