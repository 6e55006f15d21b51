# SPDX-License-Identifier: EUPL-1.2
"""The demo's own MQTT broker (amqtt), so that nothing needs to be installed beside Lamppost."""

from __future__ import annotations

import asyncio
import logging
import signal

import uvloop

from lamppost.errors import ConfigError

try:
    from amqtt.broker import Broker
except ImportError as missing:
    raise ConfigError(
        "the demo's broker is not installed", hint="install the extra: lamppost[demo]"
    ) from missing


def run_broker(port: int) -> None:
    """Serve MQTT 3.1.1 on this machine until told to stop."""
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
                "plugins": {
                    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
                },
            }
        )
        await broker.start()
        await stop.wait()
        await broker.shutdown()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
