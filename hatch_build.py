"""What is made when the distribution is built or installed: ``rightcall.v1`` from ``protos/``, and the core.

The generated code is not committed: the protos are the source, and the compiler's version decides what protobuf it
needs. ``python hatch_build.py`` makes all of it in place, which is what ``make stubs`` calls.

The core is the crate in ``core/``, and needs cargo. Without it Python and grpcio do the same, slower, and the build
says so. RIGHTCALL_NATIVE decides otherwise: ``require`` makes a core that cannot be built an error, ``skip`` does not
try.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "rightcall" / "v1"
CRATE = ROOT / "core" / "Cargo.toml"
CORE = ROOT / "pdp" / "_core.abi3.so"
WANTED = "RIGHTCALL_NATIVE"


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


def build_core() -> list[Path]:
    """Builds the crate, and puts its library where Python finds it; nothing where that is not wanted or not possible.

    Raises:
        RuntimeError: it is not possible, and RIGHTCALL_NATIVE says that it has to be.
    """
    CORE.unlink(missing_ok=True)
    for old in ROOT.glob("pdp/rules/*/*.so"):  # what was compiled there before the core did would go first
        old.unlink()
    wanted = os.environ.get(WANTED, "")
    if wanted == "skip":
        return []
    # cargo where it is looked for, or where rustup and Debian's cargo-web put it.
    places = os.pathsep.join((os.environ.get("PATH", ""), str(Path.home() / ".cargo" / "bin")))
    cargo = shutil.which("cargo", path=places)
    reason = _cargo(cargo) if cargo else "there is no cargo"
    if not reason:
        return [CORE]
    if wanted == "require":
        raise RuntimeError(f"the core cannot be built: {reason}")
    print(  # noqa: T201 - a build tells its user so
        "rightcall: built without the core, so Python decides, compiles and serves, which takes longer; the core needs "
        "Rust 1.88 or later (rustup, or Debian: apt-get install rustc-web cargo-web) and a C compiler. "
        f"The last words were: {reason[-300:]}",
        file=sys.stderr,
    )
    return []


def _cargo(cargo: str) -> str:
    """Builds the crate with this cargo; returns what went wrong, or nothing."""
    command = [cargo, "build", "--release", "--locked", "--manifest-path", str(CRATE)]
    environment = {**os.environ, "PYO3_PYTHON": sys.executable}
    done = subprocess.run(  # noqa: S603 - the one that was found
        [*command, "--message-format", "json-render-diagnostics"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        return done.stderr.strip() or f"cargo ended with {done.returncode}"
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    made = [name for one in told for name in one.get("filenames", ()) if name.endswith("lib_core.so")]
    shutil.copyfile(made[-1], CORE)
    return ""


class RightcallHook(BuildHookInterface[Any]):
    """Runs before every build, editable installs included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes everything; the wheel takes it up as artifacts, and is for this platform alone where it is compiled."""
        del version
        generate()
        if self.target_name == "wheel" and build_core():
            build_data["pure_python"] = False
            # The core keeps to Python's stable interface, so one wheel is for this Python and all later ones.
            platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
            build_data["tag"] = f"cp311-abi3-{platform}"


if __name__ == "__main__":
    for made in [*generate(), *build_core()]:
        print(made.relative_to(ROOT))  # noqa: T201 - the output of a command
