"""The progress of compiling large tenants, for people who wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

_LONG = 5000
"""Number of users of a tenant above which compiling is slow enough to show progress."""


class CompileProgress:
    """A bar for every tenant that takes long to compile, where a person looks.

    Args:
        console: draws the bar; draws nothing without a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._tenant = ""
        self._lock = threading.Lock()

    def __call__(self, tenant: str, done: int, total: int) -> None:
        """Shows how far a tenant is; one at a time."""
        with self._lock:
            if self._bar is None or tenant == self._tenant:
                self._show(tenant, done, total)

    def _show(self, tenant: str, done: int, total: int) -> None:
        if self._bar is None:
            if total < _LONG or done >= total or not self._console.is_terminal:
                return
            columns = (
                TextColumn("compiling {task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task(tenant, total=total)
            self._tenant = tenant
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done)
        if done >= total:
            self._bar.stop()
            self._bar = None
