"""Fuzzes the core built with the address sanitizer: ``make sanitize [ARGS="--seconds 600"]``.

The sanitizer ends the process at the first read or write outside of what was allocated.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TARGET = "x86_64-unknown-linux-gnu"
_TARGETS = ("core_requests", "core_snapshots")
_BUILD = ROOT / "build" / "sanitized"
_LOADED = "RIGHTCALL_SANITIZED_CORE"


def build() -> Path:
    """The core with the sanitizer, an option that released compilers know of and do not offer."""
    flags = "-Zsanitizer=address -Cforce-frame-pointers=yes"
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(_BUILD)}
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo" / "bin" / "cargo")
    command = [cargo, "build", "--release", "--locked", "--target", _TARGET]
    subprocess.run([*command, "--manifest-path", str(ROOT / "core" / "Cargo.toml")], env=environment, check=True)
    return _BUILD / _TARGET / "release" / "lib_core.so"


def run(core: Path, arguments: list[str]) -> int:
    """Fuzzes with this core in a process of its own, where the sanitizer is loaded before everything else."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python leaves memory to the end of the process
        _LOADED: str(core),
    }
    return subprocess.run([sys.executable, __file__, *arguments], env=environment, check=False).returncode


def load(core: str) -> None:
    """Makes this file ``pdp._core``."""
    spec = importlib.util.spec_from_file_location("pdp._core", core)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["pdp._core"] = module


def main() -> None:
    """Builds and runs, or is what runs."""
    core = os.environ.get(_LOADED)
    if core is None:
        sys.exit(run(build(), sys.argv[1:]))
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "support")]
    import pdp  # noqa: PLC0415 - the package, before its part

    load(core)
    from fuzz.run import main as fuzz  # noqa: PLC0415 - only now, with that core

    pdp._core = sys.modules["pdp._core"]
    sys.argv[1:] = [*sys.argv[1:], *_TARGETS]
    fuzz()


if __name__ == "__main__":
    main()
