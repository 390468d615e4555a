"""What is in the image besides our own code: bills of materials in CycloneDX, and the licences.

``python tests/support/sbom.py [DIRECTORY]``, which ``make sbom`` calls, writes ``rightcall.cdx.json`` (Python, of the
lock), ``rightcall-core.cdx.json`` (the crates that are compiled into the core) and ``LICENCES.md``. The same locks give
the same bytes. There are programs for this, one a language: that for Python knows either hashes or licences, that for
Rust has to be compiled first, and neither lists licences.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = ROOT / "requirements.lock"
CARGO: Final = ROOT / "core" / "Cargo.toml"
PLATFORMS: Final = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
_UNKNOWN: Final = "unknown"
_CLASSIFIED: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
}
"""Licences as older packages write them."""
_PINNED: Final = re.compile(
    r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;\\]+)(.*(?:\n +--hash=sha256:[0-9a-f]+.*)*)", re.MULTILINE
)


class Component(NamedTuple):
    """A package that is used.

    Attributes:
        kind: of package URLs: ``pypi`` or ``cargo``.
        name: the package's name.
        version: the version of the lock.
        licence: an SPDX expression; ``unknown``: the package is not installed here, being for another system.
        hashes: SHA-256 of the files that the lock admits.
    """

    kind: str
    name: str
    version: str
    licence: str
    hashes: tuple[str, ...]

    @property
    def url(self) -> str:
        """The package URL."""
        return f"pkg:{self.kind}/{self.name}@{self.version}"


def python_components() -> list[Component]:
    """The packages of the runtime's lock."""
    found = _PINNED.findall(LOCK.read_text(encoding="utf-8"))
    return [
        Component("pypi", name.lower(), version, _python_licence(name), tuple(re.findall(r"sha256:(\w+)", rest)))
        for name, version, rest in found
    ]


def core_components(*, offline: bool = False) -> list[Component]:
    """The crates that are compiled into the core, on any of the platforms.

    Args:
        offline: whether to do with the crates that are here.

    Raises:
        OSError: there is no cargo.
        CalledProcessError: a crate is missing, or the lock does not fit.
    """
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo" / "bin" / "cargo")
    filters = [option for platform in PLATFORMS for option in ("--filter-platform", platform)]
    command = [cargo, "metadata", "--format-version=1", "--locked", f"--manifest-path={CARGO}", *filters]
    done = subprocess.run([*command, *(["--offline"] if offline else [])], capture_output=True, text=True, check=True)
    metadata = json.loads(done.stdout)
    lock = tomllib.loads(CARGO.with_name("Cargo.lock").read_text(encoding="utf-8"))
    checksums = {(one["name"], one["version"]): one.get("checksum", "") for one in lock["package"]}
    used = _reached(metadata["resolve"])
    crates = sorted((one for one in metadata["packages"] if one["id"] in used), key=lambda one: one["id"])
    return [
        Component(
            "cargo",
            one["name"],
            one["version"],
            (one["license"] or _UNKNOWN).replace(" / ", " OR "),
            (checksums[one["name"], one["version"]],),
        )
        for one in crates
        if one["source"]
    ]


def document(name: str, version: str, components: list[Component]) -> dict[str, Any]:
    """A bill of materials, CycloneDX 1.6. Its serial number follows from what is in it."""
    entries = [
        {
            "type": "library",
            "bom-ref": one.url,
            "name": one.name,
            "version": one.version,
            "purl": one.url,
            **({"licenses": [{"expression": one.licence}]} if one.licence != _UNKNOWN else {}),
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": one.url,
                    "hashes": [{"alg": "SHA-256", "content": each} for each in one.hashes],
                }
            ],
        }
        for one in sorted(components)
    ]
    content = json.dumps([name, version, entries])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": entries,
    }


def licences(components: list[Component]) -> str:
    """The list for people: by licence, the packages under it."""
    lines = [
        "# Licences",
        "",
        "Rightcall itself is under Apache-2.0. It uses:",
        "",
        "| licence | packages |",
        "|---|---|",
    ]
    for licence in sorted({one.licence for one in components}):
        names = ", ".join(f"{one.name} {one.version}" for one in sorted(components) if one.licence == licence)
        lines.append(f"| {licence} | {names} |")
    return "\n".join(lines) + "\n"


def _python_licence(name: str) -> str:
    try:
        metadata = importlib.metadata.metadata(name).json
    except importlib.metadata.PackageNotFoundError:
        return _UNKNOWN
    if expression := metadata.get("license_expression"):
        return str(expression)
    classified = [one.rpartition(" :: ")[2] for one in metadata.get("classifier", ()) if one.startswith("License")]
    said = classified[0] if classified else str(metadata.get("license", "")).partition("\n")[0].strip()
    return _CLASSIFIED.get(said, said) or _UNKNOWN


def _reached(resolve: dict[str, Any]) -> set[str]:
    """The crates that are compiled in: not those of tests."""
    nodes = {node["id"]: node["deps"] for node in resolve["nodes"]}
    reached, left = set(), [resolve["root"]]
    while left:
        crate = left.pop()
        if crate not in reached:
            reached.add(crate)
            left += [dep["pkg"] for dep in nodes[crate] if any(one["kind"] != "dev" for one in dep["dep_kinds"])]
    return reached


def main(directory: Path) -> None:
    """Writes the three files."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    directory.mkdir(parents=True, exist_ok=True)
    python, core = python_components(), core_components()
    for name, components in (("rightcall", python), ("rightcall-core", core)):
        text = json.dumps(document(name, version, components), indent=2) + "\n"
        (directory / f"{name}.cdx.json").write_text(text, encoding="utf-8")
    (directory / "LICENCES.md").write_text(licences(python + core), encoding="utf-8")
    print(f"{directory}/: {len(python)} Python packages, {len(core)} crates")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "sbom")
