"""Native code: it is built where that is possible, it is of the source beside it, and one can do without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hatch_build
from pdp.rules.compiler import costs
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from types import ModuleType

    from pdp.rules.compiler.automata import Limits

ROOT = Path(__file__).parents[2]
HEADER = Path(sys.base_prefix, "include", f"python{sys.version_info.major}.{sys.version_info.minor}", "Python.h")
WANTED = os.environ.get("RIGHTCALL_NATIVE") != "skip" and shutil.which("cc") and HEADER.exists()
wanted = pytest.mark.skipif(not WANTED, reason="no C compiler, no headers of Python, or not wanted")
REVISION = Revision(1, "0" * 64)
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
RULES = Tenant(
    strategies.TENANT,
    users=(User(ALICE),),
    call_permissions=(CallPermission(1, name="premium", extensions=("_0900.", "118"), users=(ALICE,)),),
)
BLOB = Compiler().compile(RULES, REVISION, compiled_at=0.0)
COMPILE = "import hatch_build; print(hatch_build.compile_native())"


def built_of(source: Path) -> Path:
    """Where this interpreter looks for what was built of a source."""
    return source.with_name(source.stem + EXTENSION_SUFFIXES[0])


@wanted
@pytest.mark.parametrize("source", hatch_build.NATIVE_SOURCES, ids=lambda source: source.name)
def test_it_is_built_of_the_source_beside_it(source: Path) -> None:
    """A broken build would only be seen by how long things take, and an old one by edits that do nothing."""
    built = built_of(source)
    assert built.exists(), "`make stubs` builds it"
    assert built.stat().st_mtime >= source.stat().st_mtime, f"{source.name} has changed since: `make stubs`"


def interpreted(source: Path) -> ModuleType:
    """A module run by the interpreter, whatever was built of it."""
    spec = spec_from_file_location(f"interpreted_{source.stem}", source)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


INTERPRETED: Any = interpreted(ROOT / "pdp" / "rules" / "compiler" / "profiles.py")


@wanted
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.tenants(), st.sampled_from(strategies.LIMITS))
def test_profiles_are_the_same_as_the_interpreters(tenant: Tenant, limits: Limits) -> None:
    """Byte for byte, so that rules compiled with and without are one revision."""
    native = Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "build_profile", INTERPRETED.build_profile)
        assert Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0) == native


def copy_of_the_source(directory: Path) -> Path:
    """What a build of native code and a decision need, and nothing that was built."""
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
    built = run_there(source, COMPILE, CC="/nowhere/cc")
    assert built.returncode == 0
    assert built.stdout.strip() == "[]"
    assert "built without native code" in built.stderr
    (source / "rules.blob").write_bytes(BLOB)
    program = (
        "from pathlib import Path\n"
        "from pdp.rules.compiler import profiles\n"
        "from pdp.rules.snapshot.matcher import Matcher, make_matcher\n"
        "from pdp.rules.snapshot.snapshot import decode\n"
        "assert make_matcher is Matcher\n"
        "assert profiles.__file__.endswith('.py')\n"
        f"print(decode(Path('rules.blob').read_bytes()).decide('{ALICE}', '118', ''))\n"
    )
    assert run_there(source, program).stdout.strip() == str(decode(BLOB).decide(ALICE, "118", ""))


def test_a_build_that_must_compile_fails_without_a_compiler(tmp_path: Path) -> None:
    """As an image is built: slower than it has to be is a fault there."""
    built = run_there(copy_of_the_source(tmp_path), COMPILE, CC="/nowhere/cc", RIGHTCALL_NATIVE="require")
    assert built.returncode != 0
    assert "native code cannot be compiled" in built.stderr


def test_a_build_that_skips_the_compiler_is_quiet(tmp_path: Path) -> None:
    """Somebody chose so."""
    built = run_there(copy_of_the_source(tmp_path), COMPILE, RIGHTCALL_NATIVE="skip")
    assert (built.returncode, built.stdout.strip(), built.stderr) == (0, "[]", "")
