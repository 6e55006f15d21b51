# SPDX-License-Identifier: EUPL-1.2
"""The subscribers that are compared, each a process: ``python -m benchmarks.subscribers``.

Each says ``ready``, waits for a line, works until it has what it was told to take (Lamppost: until
another line comes) and prints its CPU seconds from connecting on.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
import uvloop
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from lamppost_app.intake import run_intake
from lamppost_app.roles import calm_process
from lamppost_app.settings import DataSettings, MqttSettings, Settings


def main() -> None:
    """Run the subscriber that the command line names."""
    kind, port, client_id, count, folder = sys.argv[1:]
    work = {"paho": _paho, "lamppost": _lamppost}[kind]
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    work(int(port), client_id, int(count), Path(folder))
    print(time.process_time() - began, flush=True)


def _paho(port: int, client_id: str, count: int, _folder: Path) -> None:
    """Take messages with stock paho, acknowledging each by hand as a durable subscriber must."""
    taken = 0

    def on_message(client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        nonlocal taken
        taken += 1
        if message.qos:
            client.ack(message.mid, message.qos)
        if taken == count:
            client.disconnect()

    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=False,
        manual_ack=True,
    )
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()


def _lamppost(port: int, client_id: str, _count: int, folder: Path) -> None:
    """Run the intake as the supervisor does, until a line comes."""
    settings = Settings(
        data=DataSettings(dir=folder),
        mqtt=MqttSettings(port=port, client_id=client_id, self_check="off"),
    )
    calm_process()

    async def until_told() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def told() -> None:
            # The line stays unread: watched on, it would wake the loop again and again.
            loop.remove_reader(sys.stdin)
            stop.set()

        loop.add_reader(sys.stdin, told)
        await run_intake(settings, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


if __name__ == "__main__":
    main()
