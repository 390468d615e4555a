"""Fixtures of several test modules; those of the adapter are in ``support/agi_fixtures.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ("agi_fixtures",)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, empty, which it may kill."""
    with RedisServer() as server:
        yield server
