"""Programs that tests and checks need and Python does not bring: found on PATH, else built by Go into a cache.

``python tests/support/tools.py NAME`` prints where a program is, after building it if need be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

MODULES: Final = {
    "ghz": "github.com/bojand/ghz/cmd/ghz@v0.93.0",
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
}
"""Programs built from the Go module proxy, each at a version, so that every machine has the same."""

PACKAGES: Final = {
    "etcd": "etcd-server",
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "redis-server": "redis-server",
}
"""Programs of Debian, and the packages that have them."""


class ToolMissing(RuntimeError):
    """A program is not there and cannot be made; the message says how to get it."""


def tool(name: str) -> Path:
    """The path of a program; it is built first where it must be, which takes a minute or two.

    Raises:
        ToolMissing: it cannot be had.
    """
    found = shutil.which(name, path=os.pathsep.join((str(cache()), os.environ.get("PATH", os.defpath))))
    if found:
        return Path(found)
    if name in MODULES:
        return _built(name, MODULES[name])
    raise ToolMissing(f"{name} is missing; install it: apt-get install {PACKAGES.get(name, name)}")


def cache() -> Path:
    """Where programs go that are built here."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "rightcall-tools")


def _built(name: str, module: str) -> Path:
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(f"{name} is missing, and Go, which would build it; install either of them")
    print(f"building {module} …", file=sys.stderr)
    done = subprocess.run(
        [go, "install", module], env={**os.environ, "GOBIN": str(cache())}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolMissing(f"{name} could not be built from {module}: {done.stderr.strip()[-500:]}")
    return cache() / name


if __name__ == "__main__":
    try:
        print(tool(sys.argv[1]))
    except ToolMissing as missing:
        sys.exit(str(missing))
