"""``rightcall load --once`` keeps its own lease, however long reading takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from given import ACME, ALICE, KEY
from redis_server import RedisServer

from loader.publishing import lease
from loader.sources.file import FileSource
from pdp.rules.publication.keys import Keys
from rightcall.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from loader.sources.base import Reading

SHORT = 0.5
"""Seconds of a lease in this test."""


@pytest.mark.parametrize("rival", [False, True], ids=["alone", "with a rival"])
def test_a_reading_that_outlasts_the_lease_loses_it_not(tmp_path: Path, *, rival: bool) -> None:
    """All is published, and no other loader gets in between."""
    path = tmp_path / "acme.yaml"
    path.write_text(f"tenants: [{{uuid: {ACME}, name: acme, users: [{{uuid: {ALICE}}}]}}]\n")
    read = FileSource.read
    got: list[bool] = []

    def slowly(source: FileSource) -> Reading:
        end = time.monotonic() + 4 * SHORT
        with redis.client() as client:
            other = lease.Lease(client, "redis", "rival", seconds=SHORT)
            while time.monotonic() < end:
                got.append(rival and other.claim())
                threading.Event().wait(SHORT / 10)
        return read(source)

    defaults = lease.Lease.__init__.__kwdefaults__
    assert defaults is not None
    with RedisServer() as redis, patch.dict(defaults, seconds=SHORT), patch.object(FileSource, "read", slowly):
        ran = CliRunner(env={"RIGHTCALL_SECRET_KEY": KEY.decode()}).invoke(
            main, ["load", "--source", str(path), "--redis", redis.url, "--once"]
        )
        with redis.client() as client:
            published = client.hexists(Keys().pointers, ACME)
    assert (ran.exit_code, published, any(got)) == (0, True, False), ran.output
