"""The matcher for the C compiler: it is the one in Python, it trusts no value in a blob, and one can do without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.rules.blob import Section, seal, unseal
from pdp.rules.compile import Compiler
from pdp.rules.matcher import Matcher, make_matcher
from pdp.rules.model import CallPermission, Outcall, Revision, Tenant, User
from pdp.rules.snapshot import Snapshot, decode

if TYPE_CHECKING:
    from strategies import Call

    from pdp.rules.builder import Limits
    from pdp.rules.matcher import Matching

ROOT = Path(__file__).parents[1]
REVISION = Revision(1, "0" * 64)
ALICE = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
RULES = Tenant(
    strategies.TENANT,
    users=(User(ALICE),),
    outcalls=(Outcall("1"), Outcall("ö")),
    call_permissions=(
        CallPermission(1, name="premium", extensions=("_0900.", "118"), users=(ALICE,)),
        CallPermission(2, name="n" * 60, extensions=("_X.",), outcalls=("1",)),
        CallPermission(3, name="hard", extensions=tuple(f"_.{digit}!{digit}." for digit in range(10)), outcalls=("ö",)),
    ),
)
BLOB = Compiler().compile(RULES, REVISION, compiled_at=0.0)
NATIVE = make_matcher is not Matcher
native = pytest.mark.skipif(
    not NATIVE, reason="the native matcher was not built: no C compiler, or no headers of Python"
)
slow = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def matchers(snapshot: Snapshot) -> list[Matching]:
    """The one in Python, and the other one, over the tables of a snapshot."""
    tables = (snapshot._users, snapshot._outcalls, snapshot._automaton, snapshot._permissions, snapshot._strings)
    return [Matcher(*tables), make_matcher(*tables)]


def test_it_is_built_where_there_is_a_compiler() -> None:
    """Or a broken build would only be seen by how long decisions take."""
    header = Path(sys.base_prefix, "include", f"python{sys.version_info.major}.{sys.version_info.minor}", "Python.h")
    if os.environ.get("RIGHTCALL_NATIVE_MATCHER") == "skip" or not shutil.which("cc") or not header.exists():
        pytest.skip("no C compiler, no headers of Python, or not wanted")
    assert NATIVE


@native
@slow
@given(strategies.tenants(), strategies.call_lists, st.sampled_from(strategies.LIMITS))
def test_it_decides_as_the_one_in_python(tenant: Tenant, calls: list[Call], limits: Limits) -> None:
    """Whatever the rules, the call and the budget."""
    readable, compiled = matchers(decode(Compiler(limits=limits).compile(tenant, REVISION, compiled_at=0.0)))
    for call in calls:
        assert compiled.knows_caller(call[0]) == readable.knows_caller(call[0])
        assert compiled.match(*call) == readable.match(*call)
        assert compiled.decide(*call) == readable.decide(*call) == compiled.verdict(compiled.match(*call))


@native
@pytest.mark.parametrize(
    "caller", ["", ALICE, ALICE.upper(), "x", "é" * 36, "\udc80" * 36, "\0" * 36, "1" * 10_000], ids=ascii
)
@pytest.mark.parametrize(
    "extension",
    ["118", "0900", "09001", "é", "\udc80", "🎉" * 128, "1" * 158, "1" * 159, "1" * 160, "1" * 10_000],
    ids=ascii,
)
@pytest.mark.parametrize("outcall", ["", "1", "ö", "\udc80", "2" * 10_000], ids=ascii)
def test_odd_texts_are_decided_as_by_the_one_in_python(caller: str, extension: str, outcall: str) -> None:
    """Beyond ASCII, no text at all, and longer than any key or word."""
    readable, compiled = matchers(decode(BLOB))
    assert compiled.knows_caller(caller) == readable.knows_caller(caller)
    assert compiled.decide(caller, extension, outcall) == readable.decide(caller, extension, outcall)


@native
def test_it_takes_nothing_but_texts() -> None:
    """What a caller of another language's habits might hand over."""
    _, compiled = matchers(decode(BLOB))
    for call in ((ALICE, "118", None), (None, "118", ""), (ALICE, b"118", "")):
        with pytest.raises(TypeError):
            compiled.decide(*call)


@native
@settings(deadline=None, max_examples=400)
@given(
    section=st.sampled_from([section for section in Section if section is not Section.META]),
    places=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    call=strategies.calls | st.tuples(st.just(ALICE), st.text("0189", max_size=200), st.sampled_from(["1", "ö"])),
)
def test_values_that_lead_outside_are_errors(section: Section, places: list[tuple[int, int]], call: Call) -> None:
    """A blob of nonsense under a right checksum is decided somehow or is an error, and the process goes on."""
    sections = {name: bytearray(extent.view) for name, extent in unseal(BLOB).items()}
    for place, value in places:
        if content := sections[section]:
            content[place % len(content)] = value
    with suppress(Exception):  # which one it is does not matter: the call is answered with INTERNAL
        decode(seal(sections, None)).decide(*call)


def copy_of_the_source(directory: Path) -> Path:
    """What a build of the matcher and a decision need, and nothing that was built."""
    shutil.copy(ROOT / "hatch_build.py", directory)
    shutil.copytree(ROOT / "pdp", directory / "pdp", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return directory


def run_there(directory: Path, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a copy of the source."""
    given = {**os.environ, "PYTHONPATH": f"{directory}{os.pathsep}{ROOT / 'tests'}", **environment}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=directory, env=given, capture_output=True, text=True, check=False)


COMPILE = "import hatch_build; print(hatch_build.compile_matcher())"


def test_without_a_compiler_the_one_in_python_decides(tmp_path: Path) -> None:
    """The build says what is missing and goes on; the answers are the same."""
    source = copy_of_the_source(tmp_path)
    built = run_there(source, COMPILE, CC="/nowhere/cc")
    assert built.returncode == 0
    assert built.stdout.strip() == "None"
    assert "built without the native matcher" in built.stderr
    (source / "rules.blob").write_bytes(BLOB)
    program = (
        "from pathlib import Path\n"
        "from pdp.rules.matcher import Matcher, make_matcher\n"
        "from pdp.rules.snapshot import decode\n"
        "assert make_matcher is Matcher\n"
        f"print(decode(Path('rules.blob').read_bytes()).decide('{ALICE}', '118', ''))\n"
    )
    assert run_there(source, program).stdout.strip() == str(decode(BLOB).decide(ALICE, "118", ""))


def test_a_build_that_must_compile_fails_without_a_compiler(tmp_path: Path) -> None:
    """As an image is built: slower than it has to be is a fault there."""
    built = run_there(copy_of_the_source(tmp_path), COMPILE, CC="/nowhere/cc", RIGHTCALL_NATIVE_MATCHER="require")
    assert built.returncode != 0
    assert "the native matcher cannot be compiled" in built.stderr


def test_a_build_that_skips_the_compiler_is_quiet(tmp_path: Path) -> None:
    """Somebody chose so."""
    built = run_there(copy_of_the_source(tmp_path), COMPILE, RIGHTCALL_NATIVE_MATCHER="skip")
    assert (built.returncode, built.stdout.strip(), built.stderr) == (0, "None", "")
