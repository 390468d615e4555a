"""The clients of ``examples/`` in other languages, built once for each state of their sources.

``python tests/support/example_clients.py``, which ``make tools`` calls, builds what is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools import ToolMissing, build, cache

ROOT: Final = Path(__file__).parents[2]
PROTOS: Final = ROOT / "protos"
COMPILERS: Final = {"go": "go", "node": "npm"}
"""By the folder of an example that is built, the program without which it is neither built nor tested."""
_STEPS: Final = {
    "go": (("./generate.sh",), ("go", "vet", "./..."), ("go", "build", "-o", "call", ".")),
    "node": (("npm", "ci", "--ignore-scripts"), ("npm", "run", "-s", "build")),
}
_PROGRAMS: Final = {"go": ("call",), "node": ("node", "build/call.js", f"--protos={PROTOS}")}


def client(name: str) -> tuple[list[str], Path]:
    """The command of an example, and the folder to run it in. Nothing is built here, as of ``tool``.

    Raises:
        ToolMissing: the example is not built.
    """
    if name not in COMPILERS:
        return [sys.executable, f"{name}/call.py"], ROOT / "examples"
    folder = _folder(name)
    if not folder.exists():
        raise ToolMissing(f"examples/{name} is not built; build it with: make tools")
    program, *arguments = _PROGRAMS[name]
    return [str(folder / program) if program == "call" else program, *arguments], folder


def build_client(name: str) -> None:
    """Builds an example where its sources have changed.

    Raises:
        ToolMissing: it cannot be built.
    """
    folder = _folder(name)
    if folder.exists():
        return
    print(f"building examples/{name} …", file=sys.stderr)
    for plugin in ("protoc-gen-go", "protoc-gen-go-grpc"):
        build(plugin)
    for old in folder.parent.glob(f"{name}-*"):
        shutil.rmtree(old)
    making = folder.with_name(f"making-{name}")
    shutil.rmtree(making, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / name, making)
    path = os.pathsep.join((str(cache()), os.environ.get("PATH", os.defpath)))
    told = {"PATH": path, "PROTOS": str(PROTOS), "PROTOC": f"{sys.executable} -m grpc_tools.protoc"}
    for step in _STEPS[name]:
        done = subprocess.run(step, cwd=making, env={**os.environ, **told}, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise ToolMissing(f"examples/{name} cannot be built; {' '.join(step)} says: {said}")
    making.rename(folder)


def _folder(name: str) -> Path:
    """Where the example is built: named for all that it is made of."""
    example = ROOT / "examples" / name
    digest = hashlib.sha256()
    for path in sorted(file for top in (example, PROTOS) for file in top.rglob("*") if file.is_file()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return cache() / "examples" / f"{name}-{digest.hexdigest()[:16]}"


if __name__ == "__main__":
    for one, compiler in COMPILERS.items():
        if shutil.which(compiler) is None:
            print(f"examples/{one} is not tested: there is no {compiler}", file=sys.stderr)
            continue
        try:
            build_client(one)
        except ToolMissing as missing:
            sys.exit(str(missing))
