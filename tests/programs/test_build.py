"""The build of the core: it is of the sources beside it, and one can do without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import strategies
from cores import built

import hatch_build
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode

ROOT = Path(__file__).parents[2]
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
RULES = Tenant(
    strategies.TENANT,
    users=(User(ALICE),),
    call_permissions=(CallPermission(1, name="premium", extensions=("_0900.", "118"), users=(ALICE,)),),
)
BLOB = Compiler().compile(RULES, Revision(1, "0" * 64), compiled_at=0.0)
BUILD = "import hatch_build; hatch_build.Path.home = lambda: hatch_build.ROOT; print(hatch_build.build_core())"
NOWHERE = {"PATH": "/nowhere"}


@built
def test_it_is_built_of_the_sources_beside_it() -> None:
    """A broken build would only be seen by how long things take, and an old one by edits that do nothing."""
    sources = [ROOT / "core" / "Cargo.toml", *(ROOT / "core" / "src").rglob("*.rs")]
    newest = max(sources, key=lambda source: source.stat().st_mtime)

    assert hatch_build.CORE.stat().st_mtime >= newest.stat().st_mtime, f"{newest} has changed since: `make stubs`"


def copy_of_the_source(directory: Path) -> Path:
    """What a build of the core and a decision need, and nothing that was built."""
    shutil.copy(ROOT / "hatch_build.py", directory)
    shutil.copytree(ROOT / "pdp", directory / "pdp", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return directory


def run_there(directory: Path, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a copy of the source."""
    given = {**os.environ, "PYTHONPATH": f"{directory}{os.pathsep}{ROOT / 'tests' / 'support'}", **environment}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=directory, env=given, capture_output=True, text=True, check=False)


def test_without_a_compiler_python_decides(tmp_path: Path) -> None:
    """The build says what is missing and goes on; the answers are the same."""
    source = copy_of_the_source(tmp_path)
    made = run_there(source, BUILD, **NOWHERE)
    assert (made.returncode, made.stdout.strip()) == (0, "[]")
    assert "built without the core" in made.stderr
    (source / "rules.blob").write_bytes(BLOB)
    program = (
        "from pathlib import Path\n"
        "from pdp.rules.snapshot.matcher import matcher_name\n"
        "from pdp.rules.snapshot.snapshot import decode\n"
        "assert matcher_name() == 'python'\n"
        f"print(decode(Path('rules.blob').read_bytes()).decide('{ALICE}', '118', ''))\n"
    )
    assert run_there(source, program).stdout.strip() == str(decode(BLOB).decide(ALICE, "118", ""))


def test_a_build_that_must_have_the_core_fails_without_cargo(tmp_path: Path) -> None:
    """As an image is built: slower than it has to be is a fault there."""
    made = run_there(copy_of_the_source(tmp_path), BUILD, RIGHTCALL_NATIVE="require", **NOWHERE)
    assert made.returncode != 0
    assert "the core cannot be built: there is no cargo" in made.stderr


def test_a_build_that_skips_the_core_is_quiet(tmp_path: Path) -> None:
    """Somebody chose so."""
    made = run_there(copy_of_the_source(tmp_path), BUILD, RIGHTCALL_NATIVE="skip")
    assert (made.returncode, made.stdout.strip(), made.stderr) == (0, "[]", "")
