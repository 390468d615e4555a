"""The Dockerfile, as far as it can be held against the repository without building it; image_build.py builds it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import release
import yaml
from charts import CHART, ROOT, pods, rendered

if TYPE_CHECKING:
    from pathlib import Path

LINES = re.sub(r"\\\n(\s*#.*\n)*", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def _all(instruction: str) -> list[str]:
    """What follows an instruction, wherever it stands."""
    return [line.removeprefix(instruction).strip() for line in LINES if line.startswith(f"{instruction} ")]


def _context(directory: Path) -> Path:
    """What the build gets to see: what .dockerignore lets through, of what the Dockerfile copies."""
    names = [name.removeprefix("!") for name in (ROOT / ".dockerignore").read_text().splitlines() if name[:1] == "!"]
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__", "v1"))
        else:
            (directory / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    # The protos have a folder v1, too, and it is not ignored.
    shutil.copytree(ROOT / "protos", directory / "protos", dirs_exist_ok=True)
    return directory


def test_the_build_copies_what_it_may_see_and_nothing_else() -> None:
    """Each file that the Dockerfile copies is let through by .dockerignore, and each that is let through is copied."""
    seen = {name.removeprefix("!") for name in (ROOT / ".dockerignore").read_text().splitlines() if name[:1] == "!"}
    copied = {name for line in _all("COPY") if not line.startswith("--from") for name in line.split()[:-1]}
    assert copied == seen
    assert all((ROOT / name).exists() for name in copied)


def test_the_wheel_is_built_from_that_alone(tmp_path: Path) -> None:
    """The packages, the generated code and the demo's rules are in the wheel that the image gets, and no test is."""
    context = _context(tmp_path)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    # No test waits for a compiler; the wheel with the core is that of `make release-dry-run`.
    environment = {**os.environ, "RIGHTCALL_NATIVE": "skip"}
    done = subprocess.run(
        command, cwd=context, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (context / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"pdp", "loader", "rightcall"}
    assert {"rightcall/v1/decision_pb2.py", "rightcall/py.typed", "rightcall/company.yaml"} <= set(names)


def test_it_runs_as_a_numbered_user_without_a_shell() -> None:
    """Kubernetes can tell that the user is not root, and the entry point is no shell's."""
    (user,) = _all("USER")
    uid, _, gid = user.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert _all("ENTRYPOINT") == ['["/opt/rightcall/bin/rightcall"]']
    assert not _all("HEALTHCHECK"), "Kubernetes probes; Docker's health check would need a program of its own"
    for spec in pods(rendered(CHART / "examples" / "production.yaml")).values():
        assert spec["securityContext"]["runAsUser"] == int(uid)


def test_all_that_is_released_has_one_version_and_a_section_of_the_changes() -> None:
    """Distribution, core, chart and image; `make release-dry-run` would say where they differ."""
    assert release.notes(release.versions()).startswith("### ")


def test_a_tag_releases_what_the_dry_run_makes() -> None:
    """By the same command, and nothing is published without the repository's variables."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert any("make release-dry-run" in step.get("run", "") for step in steps)
    for step in steps:
        if "push" in step.get("run", "") or "pypi" in step.get("uses", ""):
            assert "REGISTRY" in step["if"] or "RELEASE_PYPI" in step["if"]


def test_dependencies_come_from_the_locks() -> None:
    """Whatever pip fetches is named with its hash."""
    installs = [part for line in _all("RUN") for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
