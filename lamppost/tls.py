# SPDX-License-Identifier: EUPL-1.2
"""TLS as a client: contexts made anew from files, and what went wrong in words for people."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import ConfigError

# Verification codes of OpenSSL (openssl-verification-options).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})

_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of one TLS client, all optional.

    Attributes:
        ca_file: authority to verify the server against, if not the system's.
        cert_file, key_file: our own certificate and its key; one file may hold both.
        section: section of the settings they come from, for messages.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    section: str = "mqtt"

    def context(self) -> ssl.SSLContext:
        """Read the files and return what verifies a server and shows our certificate.

        Called for each connection, so that files changed on disk are used at the next.

        Raises:
            ConfigError: a file is not there or is not what it should be.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise self._unusable("ca_file", self.ca_file, error) from error
        if self.cert_file is None:
            return context
        try:
            context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            of_key = self.cert_file.is_file() and self.key_file is not None
            name, path = ("key_file", self.key_file) if of_key else ("cert_file", self.cert_file)
            raise self._unusable(name, path, error) from error
        return context

    def _unusable(self, name: str, path: Path | None, error: Exception) -> ConfigError:
        hint = "a PEM file that Lamppost may read is wanted"
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            hint = "key and certificate do not belong together"
        detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        problem = f"cannot use {path or 'the authorities of the system'}: {detail}"
        return ConfigError(problem, where=f"{self.section}.{name}", hint=hint)


def secured(
    sock: socket.socket, context: ssl.SSLContext, host: str, timeout_s: float
) -> ssl.SSLSocket:
    """Return a connected socket with TLS on it; on any failure nothing stays open.

    Raises:
        OSError: no TLS connection to this host came about.
    """
    try:
        wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError):
        sock.close()
        raise
    try:
        wrapped.settimeout(timeout_s)
        wrapped.do_handshake()
    except (OSError, ValueError):
        wrapped.close()
        raise
    return wrapped


def expires_at(sock: ssl.SSLSocket) -> float | None:
    """Return when the peer's certificate expires, seconds since 1970; None if it showed none."""
    shown: Any = sock.getpeercert()
    return ssl.cert_time_to_seconds(shown["notAfter"]) if shown else None


def explain(error: BaseException, place: str, files: TlsFiles | None = None) -> str:
    """Return in one sentence why a connection to a place failed, and what to do about it."""
    host = place.rpartition(":")[0] or place
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error, place, files or TlsFiles())
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, place, files or TlsFiles())
    if isinstance(error, socket.gaierror):
        return f"the name {host} cannot be resolved ({error.strerror}): check it and the DNS"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens at {place}: is the server running, and the port right?"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return f"{place} ended the connection: do both sides use TLS, or neither?"
    if isinstance(error, TimeoutError):
        return f"{place} does not answer: check the address, and firewalls on the way"
    return str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"


def _explain_certificate(error: ssl.SSLCertVerificationError, place: str, files: TlsFiles) -> str:
    shown = f"the certificate of {place}"
    section = files.section
    if error.verify_code == _EXPIRED:
        return f"{shown} has expired: renew it there; until then nothing is sent or received"
    if error.verify_code == _NOT_YET_VALID:
        return f"{shown} is not valid yet: compare the clocks of both machines"
    if error.verify_code in _OTHER_NAME:
        advice = f"set {section}.host to a name in it, or have one issued for this name"
        return f"{shown} is for another name ({error.verify_message}): {advice}"
    if error.verify_code in _UNTRUSTED:
        trusted = files.ca_file or "the authorities of the system"
        advice = f"put the certificate of its authority into {section}.ca_file"
        return f"{shown} is not vouched for by {trusted} ({error.verify_message}): {advice}"
    return f"{shown} is refused: {error.verify_message}"


def _explain_tls(error: ssl.SSLError, place: str, files: TlsFiles) -> str:
    reason = error.reason or str(error)
    section = files.section
    if reason in _NO_TLS:
        advice = f"use its TLS port (usually 8883), or {section}.tls = false on a private network"
        return f"{place} does not speak TLS: {advice}"
    if "ALERT" in reason:
        alert = reason.rpartition("ALERT_")[2].replace("_", " ").lower()
        which = files.cert_file or "none is set"
        advice = f"check {section}.cert_file ({which}) and {section}.key_file"
        return f"{place} refuses our certificate ({alert}): {advice}"
    return f"no TLS connection to {place} came about ({reason.replace('_', ' ').lower()})"


def _no_password() -> str:
    """Stand in for OpenSSL's question at the terminal, which nobody would answer.

    Raises:
        ValueError: always.
    """
    raise ValueError("the key is protected by a password; only keys without one can be used")
