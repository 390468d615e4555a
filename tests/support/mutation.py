"""Mutation run (``make mutate``): the code is broken in small places, and the tests ought to notice.

``python tests/support/mutation.py [--sample N] [--seed N] [--part NAME]`` copies the checkout to ``.mutate/``, lets
mutmut make every mutant of each part (``PARTS``), draws N of each part by the seed, runs the tests that pass through
them and writes ``.mutate/NAME.json``, and to ``.mutate/NAME.survivors`` what was broken and not noticed. The core in
Rust is left out of the copy: its twins in Python are what is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / ".mutate"


class Part(NamedTuple):
    """A part of the code, and the tests that are to notice what is broken in it.

    Attributes:
        code: patterns of files.
        tests: files or folders.
    """

    code: tuple[str, ...]
    tests: tuple[str, ...]


_RULES: Final = ("tests/rules/test_rules_conformance.py", "tests/rules/test_properties.py")
PARTS: Final = {
    "patterns": Part(("pdp/rules/patterns/*",), ("tests/rules/patterns", "tests/rules/analysis", *_RULES)),
    "compiler": Part(("pdp/rules/compiler/*",), ("tests/rules/compiler", "tests/rules/snapshot", *_RULES)),
    "snapshot": Part(("pdp/rules/snapshot/*",), ("tests/rules/snapshot", "tests/rules/compiler", *_RULES)),
    "dialling": Part(("pdp/rules/dialling/*",), ("tests/rules/dialling",)),
    "publication": Part(
        ("pdp/rules/publication/*",),
        ("tests/rules/publication", "tests/loader/publishing", "tests/rightcall/test_redis_url.py"),
    ),
    "analysis": Part(("pdp/rules/analysis/*",), ("tests/rules/analysis",)),
    "services": Part(("pdp/services/*",), ("tests/pdp/services", "tests/rules/test_rules_conformance.py")),
    "challenges": Part(("pdp/challenges/*",), ("tests/pdp/challenges",)),
    "snapshots": Part(("pdp/snapshots/*",), ("tests/pdp/snapshots",)),
    "publishing": Part(("loader/publishing/*",), ("tests/loader/publishing", "tests/pdp/snapshots/test_fetch.py")),
}
SLOW: Final = ("test_dialling_conformance", "test_redis_fails_over", "test_tenants_missing", "test_upgrade_from_0_1")
"""Tests left out: minutes of conformance or of waiting for processes, and nothing noticed that others do not."""

LEFT_ALONE: Final = (r"^\s*raise ", r"_log\.", r"\bcast\(")
"""Lines that are not broken: texts for people, of which tests hold what matters, and what is for mypy alone."""

_COPIED: Final = ("rightcall", "protos", "examples", "docs", "helm", "core", "README.md", "CHANGELOG.md", "Makefile")
_MEMORY: Final = 4 << 30
_RESULT: Final = re.compile(r"^\s+(\S+__mutmut_\d+): (.+)$", re.MULTILINE)
_NOTICED: Final = frozenset({"killed", "timeout", "segfault", "suspicious", "caught by type check"})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Break the code in small places and see whether the tests notice.")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each part; 0: all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what draws them (%(default)s)")
    parser.add_argument("--part", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (%(default)s)")
    arguments = parser.parse_args()
    results: dict[str, dict[str, str]] = {}
    for name in arguments.part or PARTS:
        results[name] = _run(name, arguments.sample, arguments.seed, arguments.jobs)
        print(_line(name, results[name]), flush=True)
    print(_line("all", {mutant: status for part in results.values() for mutant, status in part.items()}))


def _line(name: str, results: dict[str, str]) -> str:
    """The score of a part, in a line."""
    noticed = sum(status in _NOTICED for status in results.values())
    return f"{name:12} {noticed} of {len(results)} noticed: {noticed / max(len(results), 1):.1%}"


def _run(name: str, sample: int, seed: int, jobs: int) -> dict[str, str]:
    """The status of each mutant of a part that was drawn; mutants that no test passes through are "no tests"."""
    place = _copied(name)
    log = place.with_suffix(".log")
    # Nothing is called so: mutmut makes all mutants, learns which test passes through which, and stops.
    _mutmut(place, log, "run", "--max-children", str(jobs), "none")
    stats = place / "mutants" / "mutmut-stats.json"
    if not stats.exists():
        sys.exit(f"{name}: the tests fail before anything is broken; see {log}")
    reached = json.loads(stats.read_text())["tests_by_mangled_function_name"]
    every = sorted(
        mutant
        for meta in place.joinpath("mutants").rglob("*.meta")
        for mutant in json.loads(meta.read_text())["exit_code_by_key"]
    )
    drawn = every if not sample or sample >= len(every) else random.Random(seed).sample(every, sample)
    tested = [mutant for mutant in drawn if reached.get(mutant.partition("__mutmut_")[0])]
    if tested:
        _mutmut(place, log, "run", "--max-children", str(jobs), *tested)
    told = _mutmut(place, log, "results", "--all", "true")
    found = dict(_RESULT.findall(told))
    results = {mutant: found[mutant] if mutant in tested else "no tests" for mutant in drawn}
    survivors = [mutant for mutant, status in results.items() if status not in _NOTICED]
    shown = "".join(_mutmut(place, log, "show", mutant) for mutant in survivors)
    (WORK / f"{name}.survivors").write_text(f"# {len(drawn)} of {len(every)} mutants\n{shown}")
    (WORK / f"{name}.json").write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return results


def _copied(name: str) -> Path:
    """A copy of the checkout in which one part is to be broken, without the core."""
    place = WORK / name
    shutil.rmtree(place, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for file in listed.stdout.splitlines():
        if (ROOT / file).is_file():
            place.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, place / file)
    shutil.copytree(ROOT / "rightcall" / "v1", place / "rightcall" / "v1", dirs_exist_ok=True)
    with place.joinpath("pyproject.toml").open("a") as project:
        project.write(_configuration(PARTS[name]))
    return place


def _configuration(part: Part) -> str:
    """The settings of mutmut for a part."""
    settings = {
        "source_paths": ["pdp/", "loader/"],
        "only_mutate": part.code,
        "also_copy": _COPIED,
        "do_not_mutate_patterns": LEFT_ALONE,
        "timeout_multiplier": 5.0,
        "pytest_add_cli_args": [
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "--hypothesis-seed=0",
            "-k",
            " and ".join(f"not {test}" for test in SLOW),
        ],
        "pytest_add_cli_args_test_selection": part.tests,
    }
    lines = (f"{key} = {json.dumps(value)}" for key, value in settings.items())
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def _mutmut(place: Path, log: Path, *arguments: str) -> str:
    """What a command of mutmut prints; its log gets it too."""
    environment = os.environ | {"PYTHONPATH": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    with log.open("a") as kept:
        kept.write(done.stdout + done.stderr)
    return done.stdout


def _bounded() -> None:
    """Bounds the memory of a process: a loop that a mutant opened may collect without end."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main()
