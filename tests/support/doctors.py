"""``rightcall doctor`` in the test's own process, and what it found, check by check."""

from __future__ import annotations

import json
import os
from typing import NamedTuple
from unittest.mock import patch

from click.testing import CliRunner, Result
from programs import environment
from structlog.testing import capture_logs

from rightcall.cli import main

QUICK = ("--timeout", "10")
"""Long enough for a machine that is busy: only what hangs takes as long."""


class Report(NamedTuple):
    """What a doctor said.

    Attributes:
        code: its exit code.
        text: all that it printed.
        verdicts: by check.
        told: by check, what was seen, and the advice behind it.
    """

    code: int
    text: str
    verdicts: dict[str, str]
    told: dict[str, str]

    def with_verdict(self, verdict: str) -> set[str]:
        """The checks that came to this."""
        return {check for check, its in self.verdicts.items() if its == verdict}


def examined(*arguments: str, **variables: str) -> Report:
    """Runs it with ``--json``, in an environment that holds nothing but ``variables`` that it would heed."""
    ran = _run(*QUICK, *arguments, "--json", **variables)
    # What a server's thread was logging at the very moment of the start may stand in front.
    checks = json.loads(ran.stdout[ran.stdout.index("{\n") :])["checks"]
    told = {one["check"]: f"{one['seen']} → {one['advice']}" for one in checks}
    return Report(ran.exit_code, ran.output, {one["check"]: one["verdict"] for one in checks}, told)


def refused(*arguments: str) -> tuple[int, str]:
    """Runs it with options that make no sense; its exit code, and all that it said."""
    ran = _run(*arguments)
    return ran.exit_code, " ".join(ran.output.split())


def _run(*arguments: str, **variables: str) -> Result:
    clean = {name: value for name, value in environment().items() if not name.lower().endswith("_proxy")}
    # What servers in this process log would stand among what the command prints.
    with patch.dict(os.environ, {**clean, **variables}, clear=True), capture_logs():
        return CliRunner().invoke(main, ["doctor", *arguments], prog_name="rightcall")
