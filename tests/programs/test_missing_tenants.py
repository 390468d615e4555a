"""From before a server's start until it is ready, no call gets through that its tenant's rules deny."""

from __future__ import annotations

import pytest
from bench.missing_tenants import WAYS, answers


@pytest.mark.parametrize("way", WAYS)
def test_no_call_of_hundreds_of_tenants_gets_through_while_a_server_starts(way: str) -> None:
    """A small version of ``tests/bench/missing_tenants.py``."""
    seen = answers(way, 150, 3000)
    assert seen["ALLOW"] == 0, seen
    assert seen["DENY"] >= 600
    assert seen["UNAVAILABLE"], "requests were sent before it listened"
