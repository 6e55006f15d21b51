# SPDX-License-Identifier: EUPL-1.2
"""Asking the portal, which alone can open the store, to copy it or to read it through.

A request is a file in the data folder, and so is the answer: both processes can reach it wherever
they run, and neither has to listen for the other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from lamppost.errors import ConfigError, LamppostError

_REQUEST: Final = "store-request.json"
_ANSWER: Final = "store-answer.json"
_COPY: Final = "store-copy.duckdb"
_LOOK_S: Final = 0.1
# It may be reading a large store through, as it does at the start.
_TAKEN_UP_S: Final = 600.0

_Content = TypeVar("_Content", bound=BaseModel)
Task = Literal["copy", "examine"]


class Request(BaseModel):
    """What the portal is asked for.

    Attributes:
        number: names this request.
        task: "copy" puts a copy into the data folder; "examine" reads everything.
    """

    number: str
    task: Task


class Answer(BaseModel):
    """How far the portal is.

    Attributes:
        number: of the request.
        state: "working" until it is "done" or has "failed".
        done, total: bytes.
        cursor: outbox entry the copy goes up to.
        damages: what is damaged, by table.
        problem: why it failed.
    """

    number: str
    state: Literal["working", "done", "failed"]
    done: int = 0
    total: int = 0
    cursor: int = 0
    damages: list[str] = []
    problem: str = ""


def copy_path(folder: Path) -> Path:
    """Return where the portal puts the copy."""
    return folder / _COPY


def ask(
    folder: Path, task: Task, tell: Callable[[int, int], object], alive: Callable[[], bool]
) -> Answer:
    """Ask the portal that runs on a data folder, and wait for what it says at last.

    Args:
        folder: the data folder.
        task: what is asked for.
        tell: is told how many bytes of how many are done.
        alive: tells whether the portal still runs.

    Raises:
        LamppostError: it does not take the request up, has failed, or is gone.
    """
    request = Request(number=uuid.uuid4().hex, task=task)
    _put(folder / _REQUEST, request)
    until = time.monotonic() + _TAKEN_UP_S
    while True:
        time.sleep(_LOOK_S)
        answer = _read(folder / _ANSWER, Answer)
        if answer is None or answer.number != request.number:
            if time.monotonic() > until or not alive():
                (folder / _REQUEST).unlink(missing_ok=True)
                hint = "see its log; is it of this version?"
                raise ConfigError("the portal takes no request up", where=str(folder), hint=hint)
        elif answer.state == "failed":
            raise LamppostError(f"the portal could not {task} the store: {answer.problem}")
        elif answer.state == "done":
            tell(answer.total, answer.total)
            return answer
        elif not alive():
            raise LamppostError(f"the portal ended before it could {task} the store; try again")
        else:
            tell(answer.done, answer.total)


def take(folder: Path) -> Request | None:
    """Return the request that waits, if there is one; it is taken up by that."""
    path = folder / _REQUEST
    request = _read(path, Request)
    if path.exists():
        path.unlink(missing_ok=True)
    return request


def say(folder: Path, answer: Answer) -> None:
    """Tell whoever has asked."""
    _put(folder / _ANSWER, answer)


def _put(path: Path, content: BaseModel) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(content.model_dump_json())
    draft.replace(path)


def _read(path: Path, kind: type[_Content]) -> _Content | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
