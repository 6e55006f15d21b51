# SPDX-License-Identifier: EUPL-1.2
"""Reading the configuration again while everything runs: all of it is taken, or none.

Policy and stations reach the engine as entries of the inbox, so results before and after stay
exactly what a replay gives. Other settings are read by the roles when they start.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, SecretStr, ValidationError

from lamppost import events
from lamppost.clock import Clock, SystemClock
from lamppost.errors import ConfigError
from lamppost.log import POLICY, RULES, TICK

from .bootstrap import announce, check_configuration
from .settings import Settings, load
from .sqlite_log import ENGINE, SqliteLog

_STATE_FILE: Final = "configuration.json"
_LOOK_S: Final = 0.1
_TAKEN_AT_ONCE: Final = ("policy", "stations")


class ConfigurationState(BaseModel):
    """What is in force, and what became of the last attempt to change it.

    Attributes:
        at: when the configuration was last read, ns UTC.
        accepted: whether it was taken then.
        problem: why it was not, with file and key.
        policy: version of the policy taken last.
        entered: what was entered in the inbox then: "policy", "registration".
        restart: settings that differ from those the roles run with.
        running: settings the roles were started with; passwords and tokens are left out.
    """

    at: int
    accepted: bool = True
    problem: str = ""
    policy: str = ""
    entered: list[str] = []
    restart: list[str] = []
    running: dict[str, Any] = {}


def note_start(settings: Settings, policy: str, clock: Clock) -> None:
    """Keep what the roles are started with, to be compared with what is read later."""
    state = ConfigurationState(at=clock.now_ns(), policy=policy, running=comparable(settings))
    _write(settings.data.dir, state)


def read_state(folder: Path) -> ConfigurationState | None:
    """Return the state of a data folder, None where nothing was ever started."""
    try:
        return ConfigurationState.model_validate_json((folder / _STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def reload(path: Path | None, folder: Path | None = None, clock: Clock | None = None) -> list[str]:
    """Read the configuration again and enter what has changed in the inbox.

    Args:
        path: the settings file.
        folder: the data folder in use; None takes that of the settings.
        clock: tells the time.

    Returns:
        What was entered: "policy", "registration", both or nothing.

    Raises:
        ConfigError: something is wrong; nothing was changed.
        OSError: the inbox cannot be written now; nothing was changed.
    """
    clock = clock or SystemClock()
    try:
        settings = load(path)
        folder = folder or settings.data.dir
        configuration = check_configuration(settings)
    except ConfigError as error:
        if folder is not None:
            _note_refusal(folder, str(error), clock)
        raise
    state = read_state(folder)
    if state is None:
        problem = "nothing was ever started on this data folder"
        raise ConfigError(problem, where=str(folder), hint="lamppost run")
    again = standing(folder, configuration.policy.version) == "set aside"
    inbox = SqliteLog(folder / "inbox.db")
    try:
        entered = announce(configuration, inbox, clock, policy_again=again)
    finally:
        inbox.close()
    changes = {
        "at": clock.now_ns(),
        "accepted": True,
        "problem": "",
        "policy": configuration.policy.version,
        "entered": entered,
        "restart": _differing(state.running, comparable(settings)),
    }
    _write(folder, state.model_copy(update=changes))
    return entered


Standing = Literal["in force", "set aside", "waiting"]


def standing(folder: Path, version: str) -> Standing:
    """Return what the engine of a data folder has made of the policy entered last.

    It is in force once the engine has got through a tick under it; set aside where another one is
    in force though the engine has passed it; and waits otherwise.
    """
    if not all((folder / name).is_file() for name in ("inbox.db", "outbox.db")):
        return "waiting"
    inbox, outbox = SqliteLog(folder / "inbox.db"), SqliteLog(folder / "outbox.db")
    try:
        entered = inbox.read_kinds([POLICY], inbox.last())
        said = outbox.read_kinds([RULES], outbox.last())
        position = outbox.position(ENGINE)
        if not entered or not said or position < entered[-1].seq:
            return "waiting"
        if json.loads(said[-1].body)["policy"] != version:
            return "set aside"
        tick = next(inbox.scan(TICK, entered[-1].seq), None)
        return "in force" if tick is not None and tick.seq <= position else "waiting"
    finally:
        inbox.close()
        outbox.close()


def awaited(folder: Path, version: str, patience_s: float) -> Standing:
    """Return what the engine makes of the policy entered last, for which it is given some time."""
    until = time.monotonic() + patience_s
    while (found := standing(folder, version)) == "waiting" and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return found


def reload_while_running(path: Path | None, folder: Path) -> None:
    """Read the configuration again; what is wrong with it is logged and shown, and nothing ends."""
    try:
        reload(path, folder)
    except ConfigError as error:
        events.error("configuration_refused", problem=str(error))
    except OSError as error:
        events.error("configuration_not_taken", problem=str(error))
    else:
        _tell(read_state(folder))


def comparable(settings: Settings) -> dict[str, Any]:
    """Return the settings that need a restart by key path, without what is secret."""
    found: dict[str, Any] = {}
    for section, content in settings:
        if section == "sinks":
            # A plugin's settings may hold secrets that are not marked as such.
            found |= {f"sinks.{name}": _digest(raw) for name, raw in content.items()}
        elif isinstance(content, BaseModel):
            found |= {
                f"{section}.{key}": _plain(value)
                for key, value in content
                if not isinstance(value, SecretStr)
            }
        elif section not in _TAKEN_AT_ONCE:
            found[section] = _plain(content)
    return found


def _plain(value: object) -> object:
    return json.loads(json.dumps(value, default=str))


def _digest(raw: Mapping[str, Any]) -> str:
    text = json.dumps(raw, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _differing(running: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*running, *wanted} if running.get(key) != wanted.get(key))


def _note_refusal(folder: Path, problem: str, clock: Clock) -> None:
    state = read_state(folder)
    if state is not None:
        changes = {"at": clock.now_ns(), "accepted": False, "problem": problem, "entered": []}
        _write(folder, state.model_copy(update=changes))


def _tell(state: ConfigurationState | None) -> None:
    if state is None:
        return
    entered = ",".join(state.entered) or "nothing"
    events.info("configuration_taken", policy=state.policy, entered=entered)
    if state.restart:
        events.warning("settings_need_restart", keys=",".join(state.restart))


def _write(folder: Path, state: ConfigurationState) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{_STATE_FILE}.{os.getpid()}"
    half.touch(mode=0o600)
    half.write_text(state.model_dump_json(), encoding="utf-8")
    half.replace(folder / _STATE_FILE)
