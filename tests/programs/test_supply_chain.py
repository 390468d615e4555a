"""What is built in besides our own code: listed, under licences that we may pass on, from where we say."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from audit import python_findings
from sbom import LOCK, Component, core_components, document, licences, python_components

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = {
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "PSF-2.0",
    "Unicode-3.0",
}
"""Licences under which all may be passed on, with the texts alone."""
AS_SOURCE = {"certifi": "MPL-2.0"}
"""Packages whose licence asks that who gets them gets their source: they are passed on as source, and unchanged."""
CARGO_PATH = shutil.which("cargo", path=f"{os.environ['PATH']}:{Path.home()}/.cargo/bin")
NOT_INSTALLED = {"async-timeout", "colorama"}
"""Of other systems and versions of Python: MIT and BSD."""


def terms(expression: str) -> set[str]:
    """The licences of an SPDX expression that have to be kept: of those that OR joins one will do."""
    kept: set[str] = set()
    for part in re.split(r" AND ", expression.replace("(", "").replace(")", "")):
        choices = set(part.split(" OR "))
        kept |= (choices & PASSED_ON) or choices
    return kept


def test_every_python_package_is_under_a_licence_that_may_be_passed_on() -> None:
    """Of the runtime's lock, each with its hashes."""
    components = python_components()
    locked = re.findall(r"^[a-z0-9].*==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    unknown = {one.name for one in components if one.licence == "unknown"}

    assert len(components) == len(locked) > 40
    assert unknown <= NOT_INSTALLED
    others = {one.name: one.licence for one in components if not terms(one.licence) <= PASSED_ON | {"unknown"}}
    assert others == AS_SOURCE
    assert all(one.hashes for one in components)


@pytest.mark.skipif(not CARGO_PATH, reason="there is no cargo, and so no core")
def test_every_crate_is_under_a_licence_that_may_be_passed_on() -> None:
    """And from the registry that the lock names, at the version of the lock."""
    components = core_components(offline=True)

    assert {one.name for one in components} >= {"h2", "rustls", "tokio"}
    assert {one.name: one.licence for one in components if not terms(one.licence) <= PASSED_ON} == {}
    assert all(re.fullmatch("[0-9a-f]{64}", one.hashes[0]) for one in components)
    allowed = tomllib.loads((ROOT / "core/deny.toml").read_text(encoding="utf-8"))["licenses"]["allow"]
    assert set(allowed) <= PASSED_ON


@pytest.mark.parametrize(
    ("expression", "admitted"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("unknown", False),
    ],
)
def test_an_expression_is_read_as_it_is_meant(expression: str, admitted: bool) -> None:  # noqa: FBT001 - a parameter
    """One of those that OR joins will do, and each of those that AND joins counts."""
    assert (terms(expression) <= PASSED_ON) is admitted


def test_a_bill_of_materials_is_complete_and_the_same_each_time() -> None:
    """Version, package URL, licence and hashes of each; nothing of the time or the machine."""
    components = python_components()
    bill = document("rightcall", "1.2.3", components)

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill == document("rightcall", "1.2.3", components[::-1])
    assert bill["serialNumber"] != document("rightcall", "1.2.4", components)["serialNumber"]
    grpcio = next(one for one in bill["components"] if one["name"] == "grpcio")
    assert grpcio["purl"] == f"pkg:pypi/grpcio@{grpcio['version']}"
    assert grpcio["licenses"] == [{"expression": "Apache-2.0"}]
    assert grpcio["externalReferences"][0]["hashes"][0]["alg"] == "SHA-256"
    assert json.dumps(bill)


def test_the_list_of_licences_names_every_package() -> None:
    """By licence."""
    listed = licences([Component("pypi", "a", "1", "MIT", ()), Component("cargo", "b", "2", "ISC", ())])

    assert listed.endswith("| ISC | b 2 |\n| MIT | a 1 |\n")


def test_the_build_uses_what_is_locked() -> None:
    """Everything that the build asks for is in its lock, with hashes; the image installs from locks alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements-build.lock").read_text(encoding="utf-8")
    asked = {re.split(r"[<>=]", one)[0] for one in project["build-system"]["requires"]}
    commands = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installs = re.findall(r"pip install .*", commands)

    assert asked <= set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert lock.count("--hash=sha256:") >= len(re.findall(r"^[a-z0-9-]+==", lock, re.MULTILINE))
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert "--no-isolation" not in commands


def test_a_report_of_vulnerabilities_is_read() -> None:
    """What is found is named with its remedy; a list that could not be asked is no clean bill."""
    clean = {"name": "a", "version": "1", "vulns": []}
    faulty = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    skipped = {"name": "c", "skip_reason": "Dependency not found"}

    assert python_findings(json.dumps({"dependencies": [clean, faulty, skipped]})) == ["b 2: CVE-1, repaired in 3"]
    assert python_findings(json.dumps({"dependencies": [clean]})) == []
    assert python_findings(json.dumps({"dependencies": [skipped]})) is None
    assert python_findings("") is None
