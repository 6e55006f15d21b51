# SPDX-License-Identifier: EUPL-1.2
"""The portal as a process: feeds the store from the outbox and serves the application."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from lamppost import events
from lamppost.errors import ConfigError, StorageFailed
from lamppost_app.cursors import Cursors
from lamppost_app.delivery import SinkRunner
from lamppost_app.settings import Settings
from lamppost_app.sqlite_log import ENGINE, SqliteLog
from sinks.store import Store, StoreSettings

from .app import create_app
from .compliance_release import ComplianceRelease
from .connections import HEAD_BYTES, KEEP_ALIVE_S, Doorkeeper
from .context import PortalContext
from .keeper import StoreKeeper
from .live import LiveFeed

_GRACE_S = 5
# Fewer, larger transactions: a tenth of a second is not seen on a page that is told twice a second.
_FEED_EVERY_S = 0.1


class PortalServer(uvicorn.Server):
    """A server that ends the live channels when it is told to stop, and then returns.

    It stops by itself when a file of ours has failed: the next process opens it anew.
    """

    def __init__(
        self, config: uvicorn.Config, live: LiveFeed, failed: Callable[[], bool] = lambda: False
    ) -> None:
        """Serve as configured, until told to stop or something has failed."""
        super().__init__(config)
        self._live = live
        self._failed = failed

    async def on_tick(self, counter: int) -> bool:
        """Look several times a second whether to stop."""
        return await super().on_tick(counter) or self._failed()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal; uvicorn would send it again afterwards and so skip our clean-up."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        former = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close live channels, then let open requests finish."""
        self._live.close()
        await super().shutdown(sockets)


def run_portal(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: a file cannot be opened or the address is taken.
        StorageFailed: a file cannot be trusted any more; all are left open.
    """
    stop = threading.Event()
    kept = settings.store.model_dump()
    store = Store(StoreSettings(path=settings.store_path, **kept))
    inbox, outbox = SqliteLog(settings.inbox_path), SqliteLog(settings.outbox_path)
    cursors = Cursors(settings.cursors_path)
    feeding = SinkRunner(store, outbox, cursors, stop, every_s=_FEED_EVERY_S, inbox=inbox)
    feeding.open()
    feed = threading.Thread(target=feeding.run, name="store-feed", daemon=True)
    keeper = StoreKeeper(store, settings.data.dir, stop)
    keeping = threading.Thread(target=keeper.run, name="store-keeper", daemon=True)
    context = PortalContext(
        settings=settings,
        inbox=inbox,
        outbox=outbox,
        store=store,
        cursors=cursors,
        doorkeeper=Doorkeeper(settings.http.client_patience_s, settings.http.max_connections),
        feed_alive=feed.is_alive,
        engine_position=lambda: outbox.position(ENGINE),
        store_damages=lambda: keeper.damages,
    )
    releasing = threading.Thread(
        target=ComplianceRelease(context, stop).run, name="compliance", daemon=True
    )
    for thread in (feed, keeping, releasing):
        thread.start()

    def failure() -> StorageFailed | None:
        return feeding.failure or inbox.failed or outbox.failed or cursors.failed

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(context, lambda: failure() is not None))
    finally:
        stop.set()
        context.compliance.stop()
        for thread in (feed, keeping, releasing):
            thread.join()
        failed = failure()
        for opened in () if failed else (store, inbox, outbox, cursors):
            opened.close()
    if failed is not None:
        raise failed
    events.info("portal_stopped", cursor=store.cursor())


async def _serve(context: PortalContext, failed: Callable[[], bool]) -> None:
    http = context.settings.http
    listening = _listen(http.host, http.port)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # For what is still to be sent after we have closed; accepted connections inherit it.
        patience_ms = round(2000 * http.client_patience_s)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
    config = uvicorn.Config(
        create_app(context),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        http=context.doorkeeper.protocol(),
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
    )
    server = PortalServer(config, context.live, failed)
    host, port = listening.getsockname()[:2]
    events.info("portal_listening", host=host, port=port)
    await server.serve(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        hint = "choose another port, or 0 for a free one"
        problem = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise ConfigError(problem, where="http.port", hint=hint) from error
