"""How many files and connections a process may have open."""

from __future__ import annotations

import resource


def raise_open_files() -> None:
    """Allows this process and its workers as many open files as the system lets them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
