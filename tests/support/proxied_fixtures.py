"""What is around the SIP proxies of the examples: a server that decides, and a trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from proxied import Deciding
from sip import Taker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def trunk() -> Iterator[Taker]:
    """Who takes the calls that get through."""
    with Taker() as taker:
        yield taker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Deciding]:
    """Who decides."""
    deciding = Deciding(tmp_path / "rules.yaml")
    yield deciding
    deciding.end()
