"""Checks across parts: versions that go together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pdp.runtime.version import version
from rightcall.doctor.findings import NotExamined, ok, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rightcall.doctor.findings import Finding

_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def check_versions(found: Mapping[str, str]) -> Finding:
    """Checks that programs are of one release, or at least in an order of compatible releases.

    Args:
        found: the versions of programs by name: ``server``, ``loader``; without programs that report none.
    """
    if not found:
        raise NotExamined("nothing told its version")
    ours = version()
    seen = ", ".join(f"{program} {its}" for program, its in {**found, "this program": ours}.items())
    server, loader = _release(found.get("server", "")), _release(found.get("loader", ""))
    if server and loader and loader > server:
        advice = "upgrade the servers: they may not understand what a newer loader publishes"
        return warning(seen, advice)
    if len(set(found.values())) > 1:
        return warning(seen, "finish the upgrade: servers first, then the loader")
    if set(found.values()) != {ours}:
        return warning(seen, "run the doctor of the same release: what it expects may differ from what is right there")
    return ok(seen)


def _release(text: str) -> tuple[int, ...]:
    """The numbers of a version, to be compared; empty of one that has none."""
    match = _RELEASE.match(text)
    return tuple(map(int, match.groups())) if match else ()
