"""An adapter and the server that it asks, for the tests that change nothing about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from agi_adapter import adapter, rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from rightcall.agi.server import AgiServer


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with rules; callers may try as many PINs as they like."""
    with rules(challenge_attempts=100) as it:
        yield it


@pytest.fixture(scope="module")
def agi(running: Running) -> Iterator[AgiServer]:
    """An adapter."""
    with adapter(running.server.address) as it:
        yield it
