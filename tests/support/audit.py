"""Asks public lists of vulnerabilities about everything that is locked, and says so where they cannot be reached.

``python tests/support/audit.py``, which ``make check`` calls. The licences and sources of crates need no list. The exit
code is 1 where something was found; 0 where nothing was, or no list could be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = ("requirements.lock", "requirements-build.lock")
_SECONDS: Final = 300
_AWAY: Final = ("failed to fetch", "failed to download")
"""What cargo-deny says where it cannot reach something."""


def python_findings(report: str) -> list[str] | None:
    """What a report of pip-audit, JSON, has found; None: no list could be asked."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return None
    if not any("vulns" in one for one in dependencies):  # all were skipped
        return None
    return [
        f"{one['name']} {one['version']}: {fault['id']}, repaired in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in dependencies
        for fault in one.get("vulns", ())
    ]


def audit_python() -> list[str]:
    """The vulnerabilities of Python packages."""
    options = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
    done = _run([sys.executable, "-m", "pip_audit", *options, *(f"--requirement={lock}" for lock in LOCKS)])
    findings = python_findings(done.stdout) if done is not None else None
    if findings is None:
        print("Python packages were not audited: no list of vulnerabilities can be reached", file=sys.stderr)
    return findings or []


def audit_crates() -> list[str]:
    """The vulnerabilities of crates, and licences and sources that ``core/deny.toml`` does not admit."""
    if (done := _run(["cargo", "deny", "--version"])) is None or done.returncode:
        print("crates were not audited: that needs cargo-deny (cargo install cargo-deny)", file=sys.stderr)
        return []
    deny = ["cargo", "deny", "--manifest-path=core/Cargo.toml"]
    found = []
    for what, checks in (("licences", ("licenses", "bans", "sources")), ("vulnerabilities", ("advisories",))):
        done = _run([*deny, "check", *checks])
        if done is None or any(away in done.stderr for away in _AWAY):
            print(f"{what} of crates were not looked at: the crates or their list cannot be reached", file=sys.stderr)
        elif done.returncode:
            found.append(done.stderr)
    return found


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Runs an auditor; None: there is none, or it did not end."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def main() -> int:
    """Audits everything; the exit code."""
    found = audit_python() + audit_crates()
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
