# SPDX-License-Identifier: EUPL-1.2
"""Looks through the repository's files for what must not be published with them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Character classes keep these lines from finding themselves.
FORBIDDEN = {
    "a download address of a package registry": re.compile(
        r"files[.]pythonhosted|pypi[.]org/simple|registry[.]npmjs|proxy[.]golang|static[.]crates"
    ),
    "a path of somebody's machine": re.compile(
        r"(?<![\w.$}/-])/(?:work|root|Users/\w+|home/\w+|opt/(?:pypi|wheels))/"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
}
LOCKS = re.compile(r"^requirements/.*\.txt$|(?:^|/)package-lock\.json$")
ADDRESS = re.compile(r"\w+://|\bfile:")
VENDORED = re.compile(r"(?:^|/)(?:vendor|node_modules)/|\.min\.(?:js|css)$")


def main() -> int:
    """Report every finding with its place and return 1 when there is any."""
    findings = [finding for path in listed() for finding in inspect(path)]
    for finding in findings:
        print(f"tracked files: {finding}", file=sys.stderr)
    return 1 if findings else 0


def listed() -> list[str]:
    """Return all files that are tracked, or would be by the next commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({name for name in result.stdout.split("\0") if name})


def inspect(name: str) -> Iterator[str]:
    """Yield what is wrong with one file."""
    path = ROOT / name
    if VENDORED.search(name):
        yield f"{name}: somebody else's file; scripts/vendor.py fetches it instead"
    if not path.is_file():
        return
    content = path.read_bytes()
    if b"\0" in content:
        return
    is_lock = LOCKS.search(name) is not None
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        for meaning, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield f"{name}:{number}: {meaning}"
        if is_lock and ADDRESS.search(line):
            yield f"{name}:{number}: a lock holds names, versions and hashes only, no addresses"


if __name__ == "__main__":
    sys.exit(main())
