"""A console over definitions of the test's own, and a browser in front of it."""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright
from programs import ROOT

from rightcall.console.rules import Rules
from rightcall.console.server import ConsoleServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

AXE = ROOT / "tests" / "vendor" / "axe-core-4.14.1.min.js"
"""Deque's accessibility checks, as published on npm."""


@contextmanager
def console(path: Path) -> Iterator[str]:
    """The URL of a console over definitions, without a slash at the end."""
    with closing(Rules(str(path))) as rules, ConsoleServer(rules, "localhost:0") as server:
        yield server.url.rstrip("/")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    binary = shutil.which("chromium")
    if binary is None:
        pytest.fail("chromium is not installed; run `make test`, or: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without its sandbox, since root may not have one; the pages are the tests' own.
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()
