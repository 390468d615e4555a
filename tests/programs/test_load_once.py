"""``rightcall load --once`` keeps its own lease, however long reading takes, and claims it again after a pause."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from given import ACME, ALICE, BOLT, KEY
from redis_server import RedisServer

from loader.publishing import lease
from loader.publishing.publish import RedisPublisher
from loader.sources.file import FileSource
from pdp.rules.publication.keys import Keys
from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from loader.publishing.publish import PublishedState
    from loader.sources.base import Reading
    from pdp.rules.publication.pointer import Pointer

SHORT = 1.0
"""Seconds of a lease in this test."""


@pytest.mark.parametrize("rival", [False, True], ids=["alone", "with a rival"])
def test_a_reading_that_outlasts_the_lease_loses_it_not(tmp_path: Path, *, rival: bool) -> None:
    """All is published, and no other loader gets in between."""
    path = written(tmp_path)
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
        ran = load_once(path, redis)
        with redis.client() as client:
            published = sorted(client.hkeys(Keys().pointers))
    assert (ran.exit_code, published, any(got)) == (0, [ACME.encode(), BOLT.encode()], False), ran.output


@pytest.mark.parametrize("rival", [False, True], ids=["alone", "with a rival"])
def test_a_lease_that_lapsed_in_a_pause_is_claimed_again(tmp_path: Path, *, rival: bool) -> None:
    """All tenants are published, unless another loader leads now, which publishes them."""
    path, move, tenants = written(tmp_path), RedisPublisher.move, list[str]()

    def paused(publisher: RedisPublisher, pointer: Pointer, standing: PublishedState) -> None:
        tenants.append(pointer.tenant)
        if len(tenants) == 2:
            with redis.client() as client:
                client.delete(Keys().leader)
                if rival:
                    lease.Lease(client, "redis", "rival", seconds=60).claim()
        move(publisher, pointer, standing)

    with RedisServer() as redis, patch.object(RedisPublisher, "move", paused):
        ran = load_once(path, redis)
        with redis.client() as client:
            published = sorted(client.hkeys(Keys().pointers))
    if rival:
        assert (ran.exit_code, published) == (ExitCode.UNREACHABLE, [tenants[0].encode()]), ran.output
        assert "another loader leads (rival)" in ran.output
    else:
        assert (ran.exit_code, sorted(tenants[:2]), tenants[2:]) == (0, [ACME, BOLT], [tenants[1]]), ran.output


def written(directory: Path) -> Path:
    """A file of definitions with two tenants."""
    path = directory / "rules.yaml"
    users = f"users: [{{uuid: {ALICE}}}]"
    path.write_text(f"tenants:\n- {{uuid: {ACME}, name: acme, {users}}}\n- {{uuid: {BOLT}, name: bolt}}\n")
    return path


def load_once(path: Path, redis: RedisServer) -> Result:
    """Runs the command in this process."""
    arguments = ["load", "--source", str(path), "--redis", redis.url, "--once"]
    return CliRunner(env={"RIGHTCALL_SECRET_KEY": KEY.decode()}).invoke(main, arguments)
