"""Logs as an operator reads them: what ended a program, and who leads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from programs import run_program
from redis_server import RedisServer
from structlog.testing import capture_logs
from waiting import until

from loader.publishing.lease import Lease
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from pathlib import Path


def test_with_json_the_line_that_ends_a_program_is_json_too(tmp_path: Path) -> None:
    """Whoever collects the lines learns why the program is gone, and with which exit code."""
    path = tmp_path / "acme.yaml"
    path.write_text("tenants: [{uuid: nobody}]")
    ran = run_program("serve", "--definitions", str(path), "--http", "none", "--log-format", "json")
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.returncode == 3
    assert (lines[-1]["event"], lines[-1]["exit_code"]) == ("failed", 3)
    assert "nothing to serve" in lines[-1]["problem"]


def test_a_loader_tells_who_leads_once_and_when_redis_is_back() -> None:
    """One line for each thing that happens, however often the lease is renewed meanwhile."""
    with RedisServer() as redis, capture_logs() as logs:
        first = Lease(open_redis(redis.url), "redis", "first", seconds=0.4)
        second = Lease(open_redis(redis.url), "redis", "second", seconds=0.4)

        def told(event: str, loader: str) -> list[str]:
            return [str(line["leader"]) for line in logs if (line["event"], line.get("loader")) == (event, loader)]

        first.start()
        until(lambda: first.leading, "the first one leads")
        second.start()
        until(lambda: told("standing_by", "second"), "the second one stands by")
        redis.kill()
        until(lambda: first.problem and second.problem, "both have noticed")
        redis.start()
        until(lambda: told("lease_reached_again", "first") and told("lease_reached_again", "second"), "it is back")
        second.stop()
        first.stop()
    assert told("standing_by", "second")[:1] == ["first"]
    assert len(told("lease_reached_again", "second")) == 1
