# SPDX-License-Identifier: EUPL-1.2
"""Certificates for tests, made by openssl: authorities, servers and clients, of any age."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

_DATES = "%Y%m%d%H%M%SZ"


class Authority:
    """A certificate authority in a folder; its certificate is ``ca``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Make it."""
        self._folder = folder
        self._name = name
        self.ca = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "400"),
            *("-subj", f"/CN=test {name}", "-keyout", str(self._key), "-out", str(self.ca)),
        )
        (folder / f"{name}.index").touch()

    def issue(
        self, name: str, subject: str = "IP:127.0.0.1", *, days: float = 90.0
    ) -> tuple[Path, Path]:
        """Return certificate and key for a subject; negative days make it expired already."""
        key, request = self._folder / f"{name}.key", self._folder / f"{name}.csr"
        certificate = self._folder / f"{name}.crt"
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        end = datetime.now(UTC) + timedelta(days=days)
        start = min(datetime.now(UTC), end) - timedelta(days=2)
        settings = self._folder / f"{name}.cnf"
        settings.write_text(
            "[ca]\ndefault_ca = own\n"
            f"[own]\ndatabase = {self._folder / self._name}.index\nrand_serial = yes\n"
            f"new_certs_dir = {self._folder}\ndefault_md = sha256\npolicy = any\n"
            "unique_subject = no\nx509_extensions = names\n"
            f"[any]\ncommonName = supplied\n[names]\nsubjectAltName = {subject}\n"
        )
        _openssl(
            *("ca", "-batch", "-notext", "-config", str(settings)),
            *("-cert", str(self.ca), "-keyfile", str(self._key)),
            *("-in", str(request), "-out", str(certificate)),
            *("-startdate", start.strftime(_DATES), "-enddate", end.strftime(_DATES)),
        )
        return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
