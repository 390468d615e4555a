"""Limits of open files and connections of a process."""

from __future__ import annotations

import resource
from typing import Final

_OTHERS: Final = 128
"""Files open for other purposes than connections: libraries, rules, logs, Redis, a reserve."""
_LEAST: Final = 16
"""Connections that a port has in any case."""


def raise_open_files() -> None:
    """Raises the limit of open files to the system's maximum."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connection_limits(grpc: int, http: int, *, reserve: int, files: int = 0) -> tuple[int, int]:
    """Connections that gRPC and HTTP may have, so that there are enough files for all purposes.

    Args:
        grpc: the limit in the settings; 0: none.
        http: the limit in the settings, not 0.
        reserve: connections of HTTP beyond that limit.
        files: that this process may have open; 0: what the system says.
    """
    most = files or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = max(0, most - _OTHERS)
    fitting_http = max(_LEAST, min(http, room // 4))
    room_for_grpc = max(_LEAST, room - fitting_http - reserve)
    return min(grpc or room_for_grpc, room_for_grpc, _MOST), fitting_http


_MOST: Final = 1_000_000
"""More connections than a process can serve, and fewer than gRPC's core can count."""
