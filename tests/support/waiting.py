"""Waiting for what happens in another thread or process: by looking, not by sleeping for long enough."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 20.0
"""Seconds after which what was waited for is taken never to happen; only a failing test waits so long."""


def until(condition: Callable[[], object], what: str, *, deadline: float = DEADLINE) -> None:
    """Waits until a condition holds, and fails with ``what`` was waited for if it never does."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited {deadline} s in vain until {what}"
        time.sleep(0.01)
