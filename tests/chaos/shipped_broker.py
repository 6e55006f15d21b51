# SPDX-License-Identifier: EUPL-1.2
"""A Mosquitto with the settings Lamppost ships, apart from where it listens and who may come in."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.services import Mosquitto

SHIPPED = Path(__file__).parents[2] / "deploy" / "mosquitto" / "mosquitto.conf"


class ShippedMosquitto(Mosquitto):
    """The broker of the compose file on a free port."""

    def save(self) -> None:
        """Have it write down its sessions now, as it does every ten seconds by itself."""
        assert self._process is not None
        written = self.folder / "mosquitto.db"
        written.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 20
        while not written.is_file():
            assert time.monotonic() < until, "the broker does not save"
            time.sleep(0.02)

    def command(self) -> list[str]:
        """Return the command line, with the shipped configuration fitted to this folder."""
        ours = {
            "listener": f"{self.port} {self.host}",
            "allow_anonymous": "true",
            "persistence_location": f"{self.folder}/",
            "password_file": None,
            "acl_file": None,
        }
        lines = ["user root"] if os.geteuid() == 0 else []
        for line in SHIPPED.read_text(encoding="utf-8").splitlines():
            name = line.partition(" ")[0]
            value = ours.pop(name, "") if name in ours else ""
            if value is not None:
                lines.append(f"{name} {value}" if value else line)
        assert not ours, f"the shipped configuration does not say {', '.join(ours)}"
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return ["-c", str(config)]
