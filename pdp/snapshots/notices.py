"""Notifications of changes: awaited, merged, and bounded, since every writer of Redis can send notifications."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.client import PubSub

_MOST_MESSAGES = 1000
"""Notifications taken in one batch; further ones wait for the next batch, after the other work."""
_MOST_TENANTS = 256
"""Tenants returned in one batch; the next look at all pointers finds the others."""
_MOST_SECONDS = 0.05
_TENANT = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Notices:
    """The tenants whose pointers moved, by notification.

    Args:
        pubsub: a subscribed connection.
    """

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def wait(self, seconds: float) -> set[str]:
        """Waits for notifications, and takes those that have come; one that names no tenant is dropped unread.

        Args:
            seconds: to wait for the first one.

        Returns:
            The tenants; none where nothing came.

        Raises:
            RedisError: Redis cannot be listened to any more.
        """
        tenants: set[str] = set()
        message = self._pubsub.get_message(timeout=seconds)
        end = time.monotonic() + _MOST_SECONDS
        for _ in range(_MOST_MESSAGES):
            if message is None:
                break
            data = message["data"]
            if isinstance(data, bytes) and _TENANT.fullmatch(data) and len(tenants) < _MOST_TENANTS:
                tenants.add(data.decode())
            if time.monotonic() >= end:
                break
            message = self._pubsub.get_message(timeout=0)
        return tenants
