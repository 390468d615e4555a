"""A Python that has nothing installed but some packages: what a user has after ``pip install``."""

from __future__ import annotations

import subprocess
import sys

from programs import environment

_BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {allowed!r} and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Absent())
"""
CLIENT = frozenset({"rightcall", "pdp", "loader", "grpc", "google", "typing_extensions"})
"""Packages of ``pip install rightcall``: grpcio and protobuf, with what they need."""
COMMAND_LINE = CLIENT | {"rich_click", "rich", "click", "structlog", "pygments", "markdown_it", "mdurl", "colorama"}
"""Those of ``pip install 'rightcall[cli]'``."""


def run_with(packages: frozenset[str], program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a Python that finds these packages and the standard library alone."""
    command = [sys.executable, "-c", _BLOCK.format(allowed=set(packages)) + program]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=60)
