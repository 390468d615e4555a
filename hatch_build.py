"""What is made when the distribution is built or installed: ``rightcall.v1`` from ``protos/``, and native code.

The generated code is not committed: the protos are the source, and the compiler's version decides what protobuf it
needs. ``python hatch_build.py`` makes all of it in place, which is what ``make stubs`` calls.

Native code is what Cython makes of ``NATIVE_SOURCES``: of the matcher, which is written for it, and of
``profiles.py``, as it stands. That needs a C compiler and Python's headers. Where they are missing, the Python that
lies beside serves, slower and else the same, and the build says so. The crate in ``core/`` is native code too, and
needs cargo; without it there is no core transport. RIGHTCALL_NATIVE decides otherwise: ``require`` makes what is
missing an error, ``skip`` does not try.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "rightcall" / "v1"
RULES = ROOT / "pdp" / "rules"
NATIVE_SOURCES = (RULES / "snapshot" / "matcher_native.pyx", RULES / "compiler" / "profiles.py")
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


def compile_native() -> list[Path]:
    """Compiles native code, beside its sources; nothing where that is not wanted or not possible.

    Raises:
        RuntimeError: it is not possible, and RIGHTCALL_NATIVE says that it has to be.
    """
    for old in _compiled():
        old.unlink()
    wanted = os.environ.get(WANTED, "")
    if wanted == "skip":
        return []
    with tempfile.TemporaryDirectory(prefix="rightcall-build-") as directory:
        # A process of its own: neither compiler is to be seen by whoever builds, and both write to standard output.
        command = [sys.executable, __file__, "--compile", directory]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode == 0:
        return _compiled()
    reason = (done.stderr or done.stdout).strip()
    if wanted == "require":
        raise RuntimeError(f"native code cannot be compiled: {reason}")
    print(  # noqa: T201 - a build tells its user so
        f"rightcall: built without native code, so deciding and compiling rules take longer; it needs a C compiler and "
        f"Python's headers (Debian: apt-get install gcc libc6-dev python3-dev). The last words were: {reason[-300:]}",
        file=sys.stderr,
    )
    return []


def build_core() -> list[Path]:
    """Builds the crate, and puts its library where Python finds it; nothing where that is not wanted or not possible.

    Raises:
        RuntimeError: it is not possible, and RIGHTCALL_NATIVE says that it has to be.
    """
    CORE.unlink(missing_ok=True)
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
        "rightcall: built without the core, so there is no --transport core; it needs Rust 1.88 or later (rustup, or "
        f"Debian: apt-get install rustc-web cargo-web). The last words were: {reason[-300:]}",
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


def _compiled() -> list[Path]:
    """What was made of the sources."""
    return [made for source in NATIVE_SOURCES for made in source.parent.glob(f"{source.stem}.*.so")]


def _compile(directory: str) -> None:
    """Compiles native code; what is in between goes to ``directory``. The same source makes the same bytes."""
    from Cython.Build import cythonize  # noqa: PLC0415 - needed in this process alone
    from setuptools import Distribution, Extension  # noqa: PLC0415 - likewise

    os.chdir(ROOT)
    sources = [source.relative_to(ROOT) for source in NATIVE_SOURCES]
    extensions = [
        Extension(".".join(source.with_suffix("").parts), [str(source)], extra_compile_args=["-g0"])
        for source in sources
    ]
    modules = cythonize(  # type: ignore[no-untyped-call] # Cython has no types yet
        extensions, build_dir=directory, language_level=3
    )
    built = Distribution({"ext_modules": modules})
    command = built.get_command_obj("build_ext")
    command.inplace, command.build_temp = True, directory
    command.ensure_finalized()
    command.run()


class RightcallHook(BuildHookInterface[Any]):
    """Runs before every build, editable installs included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes everything; the wheel takes it up as artifacts, and is for this platform alone where it is compiled."""
        del version
        generate()
        if self.target_name == "wheel" and [*compile_native(), *build_core()]:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


if __name__ == "__main__":
    if sys.argv[1:2] == ["--compile"]:
        _compile(sys.argv[2])
    else:
        for made in [*generate(), *compile_native(), *build_core()]:
            print(made.relative_to(ROOT))  # noqa: T201 - the output of a command
