"""Makes the package ``rightcall.v1`` from ``protos/`` when the distribution is built or installed.

The generated code is not committed: the protos are the source, and the compiler's version decides what protobuf it
needs. ``python hatch_build.py`` makes it in place, which is what ``make stubs`` calls after a change to a proto.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "rightcall" / "v1"


def generate() -> list[Path]:
    """Writes messages, services and their types for every proto, and an ``__init__`` that offers them all by name."""
    sources = sorted(PROTOS.rglob("*.proto"))
    PACKAGE.mkdir(parents=True, exist_ok=True)
    outputs = [f"--{kind}_out={ROOT}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *outputs, *map(str, sources)]
    # The compiler looks for its plugins on the PATH; they lie beside this interpreter, active environment or not.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})  # noqa: S603 - our own files and interpreter
    lines = ['"""The messages and services of the API, package ``rightcall.v1`` (generated from protos/)."""', ""]
    lines += [line for path in sources for line in _exports(path)]
    (PACKAGE / "__init__.py").write_text("\n".join(lines) + "\n")
    return sorted(PACKAGE.glob("*.py*"))


def _exports(proto: Path) -> list[str]:
    """The import lines that offer what a proto declares; ``as`` marks a re-export to type checkers."""
    declared = re.findall(r"^(message|enum|service) (\w+)", proto.read_text(), re.MULTILINE)
    module = f"rightcall.v1.{proto.stem}_pb2"
    lines = [f"from {module} import {name} as {name}" for kind, name in declared if kind != "service"]
    for name in (name for kind, name in declared if kind == "service"):
        made = (f"{name}Servicer", f"{name}Stub", f"add_{name}Servicer_to_server")
        lines += [f"from {module}_grpc import {symbol} as {symbol}" for symbol in made]
    return lines


class StubsHook(BuildHookInterface[Any]):
    """Runs before every build, editable installs included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes the stubs; the wheel takes them up as artifacts."""
        del version, build_data
        generate()


if __name__ == "__main__":
    for made in generate():
        print(made.relative_to(ROOT))  # noqa: T201 - the output of a command
