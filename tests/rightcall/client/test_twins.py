"""The two clients are one text."""

from __future__ import annotations

import pytest
from manual.blocking_client import ROOT, TEXTS, blocking


@pytest.mark.parametrize(("source", "made"), TEXTS.items())
def test_the_blocking_client_is_made_from_the_asynchronous_one(source: str, made: str) -> None:
    """Where it is not: `make client`."""
    assert (ROOT / made).read_text() == blocking((ROOT / source).read_text())
