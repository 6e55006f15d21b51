# SPDX-License-Identifier: EUPL-1.2
"""The four roles of an installation, each a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import fcntl
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import uvloop

from lamppost import events
from lamppost.errors import ConfigError, StorageFailed

from .settings import Settings

STORAGE_EXIT: Final = 1
"""Exit code of a role one of whose files cannot be trusted any more."""

# Of mallopt(3): M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, bytes.
_KEEP_AT_MOST: Final = -1
_OWN_PAGES_FROM: Final = -3
_LOOK_S: Final = 0.05
# A role whose supervisor was killed notices within a second, and then finishes what it is at.
_PREDECESSOR_S: Final = 10.0

SUPERVISOR_VARIABLE: Final = "LAMPPOST_SUPERVISOR_PID"
"""Set by the supervisor: a role whose parent is no longer this process stops."""

SETTINGS_VARIABLE: Final = "LAMPPOST_SUPERVISOR_SETTINGS"
"""Set by the supervisor: the settings in force, whatever has been written into the file since."""


# Each role imports only what it runs: a start takes as long as its imports.
def _intake(settings: Settings) -> None:
    from .intake import run_intake

    async def until_told() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run_intake(settings, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


def _engine(settings: Settings) -> None:
    stop = _stop_event()
    from .engine_role import run_engine

    run_engine(settings, stop)


def _deliver(settings: Settings) -> None:
    stop = _stop_event()
    from .wiring import run_deliver

    run_deliver(settings, stop)


def _portal(settings: Settings) -> None:
    from .portal.server import run_portal

    run_portal(settings)


ROLES: Final[dict[str, Callable[[Settings], None]]] = {
    "intake": _intake,
    "engine": _engine,
    "deliver": _deliver,
    "portal": _portal,
}


def calm_process() -> None:
    """Let Python look for cyclic garbage less often, and the C library keep what is freed.

    A frame is thousands of small dictionaries that die together and hold no cycles. By default the
    collector walks them after every 700, and all that was ever imported now and then.

    By default glibc gives arrays of more than 128 kB back to the kernel one by one, which clears
    every page again for the next: that takes longer than what is worked out in them.
    """
    gc.freeze()
    # What is frozen is not taken down at the end, and a library that counts would call it a leak.
    atexit.register(gc.unfreeze)
    gc.set_threshold(50_000, 20, 100)
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_KEEP_AT_MOST, 32 << 20)
        option(_OWN_PAGES_FROM, 8 << 20)


def run_role(name: str, settings: Settings) -> None:
    """Run one role until it is told to stop."""
    events.configure(settings.log_level, name)
    _stop_with_supervisor()
    calm_process()
    with sole(name, settings.data.dir, patience_s=_PREDECESSOR_S):
        events.info("role_started", pid=os.getpid())
        try:
            ROLES[name](settings)
        except StorageFailed as error:
            events.error("storage_failed", problem=error, exit=STORAGE_EXIT)
            # At once: whatever closes the file in an orderly way would sync it again, be told that
            # all is well, and copy pages the disk never got.
            os._exit(STORAGE_EXIT)
        events.info("role_stopped")


@contextlib.contextmanager
def sole(name: str, folder: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the role's lock in the data folder; the system lets go of it however we end.

    Raises:
        ConfigError: another process runs this role on this folder, for longer than we wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience_s
    with (folder / f"{name}.lock").open("a") as lock:
        while not _locked(lock):
            if time.monotonic() >= until:
                problem = f"another Lamppost runs the role {name} here"
                raise ConfigError(problem, where=str(folder), hint="stop it first")
            time.sleep(_LOOK_S)
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_event() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _stop_with_supervisor() -> None:
    """Stop when the supervisor is gone, however it went."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE)
    if supervisor is None:
        return

    def watch() -> None:
        while str(os.getppid()) == supervisor:
            threading.Event().wait(1.0)
        events.error("supervisor_gone", supervisor=supervisor)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()
