"""Programs that tests and checks need and Python does not bring: found on PATH, or in a cache where Go built them.

``python tests/support/tools.py [NAME ...]``, which ``make tools`` calls, builds each that is missing, prints paths.
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
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.1",
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
    """The path of a program. Nothing is built here: a test would wait for a compiler.

    Raises:
        ToolMissing: it is not there.
    """
    found = _found(name)
    if found is None:
        remedy = "make tools" if name in MODULES else f"apt-get install {PACKAGES.get(name, name)}"
        raise ToolMissing(f"{name} is missing; get it with: {remedy}")
    return found


def build(name: str) -> Path:
    """The path of a program, which Go builds first where it is missing; that takes a minute or two.

    Raises:
        ToolMissing: it cannot be built.
    """
    return _found(name) or _built(name, MODULES[name])


def _found(name: str) -> Path | None:
    found = shutil.which(name, path=os.pathsep.join((str(cache()), os.environ.get("PATH", os.defpath))))
    return Path(found) if found else None


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
        for wanted in sys.argv[1:] or MODULES:
            print(build(wanted))
    except ToolMissing as missing:
        sys.exit(str(missing))
