"""Whether a server of thousands of tenants lets a call through before it has its rules: requests from before its start.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/missing_tenants.py [TENANTS [REQUESTS]]

Every request is one that its tenant's rules deny, so each ALLOW is wrong. Requests are sent from before the program is
started until after it is ready, over gRPC, in three ways: rules from Redis, from a state directory while Redis is away,
and from definitions. A third of them name the tenant.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from programs import Program, run_program
from redis_server import RedisServer, free_port
from waiting import until

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = {"RIGHTCALL_SECRET_KEY": "0123456789abcdef0123456789abcdef"}
WAYS = ("redis", "state", "definitions")
_BATCH = 50
_AFTER = 0.2
"""Of the requests, the share that is sent when the server is ready."""


def tenant(number: int) -> str:
    """The UUID of a tenant."""
    return f"{number:08x}-0000-4000-8000-00000000000a"


def caller(number: int) -> str:
    """The UUID of its only user, who may dial nothing."""
    return f"{number:08x}-0000-4000-8000-00000000000b"


def write_definitions(path: Path, tenants: int) -> None:
    """Writes so many tenants."""
    lines = ["tenants:"]
    for number in range(tenants):
        lines.append(f"  - uuid: {tenant(number)}")
        lines.append(f"    name: tenant {number}")
        lines.append(f"    users: [{{uuid: {caller(number)}}}]")
        permission = f'{{id: 1, name: none, extensions: ["_!"], users: [{caller(number)}]}}'
        lines.append(f"    call_permissions: [{permission}]")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def answers(way: str, tenants: int, requests: int) -> Counter[str]:
    """What came of the requests: decisions, and status codes of those that got none."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = directory / "tenants.yaml"
        write_definitions(path, tenants)
        arguments = ["--definitions", str(path)]
        if way != "definitions":
            redis = stack.enter_context(RedisServer())
            load = ("load", "--source", str(path), "--redis", redis.url, "--once")
            assert run_program(*load, **KEY).returncode == 0
            arguments = ["--redis", redis.url, "--recheck", "0.2"]
        if way == "state":
            arguments += ["--state-dir", str(directory / "state")]
            with _serving(arguments, free_port()) as program:
                until(
                    lambda: sum(line["event"] == "rules_loaded" for line in program.events) == tenants,
                    "all are loaded",
                    deadline=120,
                )
            redis.kill()
        port = free_port()
        with _serving(arguments, port), grpc.insecure_channel(f"127.0.0.1:{port}", _QUICK) as channel:
            return _asked(v1.DecisionServiceStub(channel), tenants, requests)


_QUICK = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 50)]


def _serving(arguments: list[str], port: int) -> Program:
    return Program("serve", *arguments, "--listen", f"127.0.0.1:{port}", "--http", "none", **KEY)


def _asked(stub: v1.DecisionServiceStub, tenants: int, requests: int) -> Counter[str]:
    """Asks until so many requests were sent and a fifth of them were answered DENY with all rules there."""
    seen: Counter[str] = Counter()
    end = time.monotonic() + 120
    for calls in _batches(tenants):
        try:
            response = stub.CheckCalls(v1.CheckCallsRequest(calls=calls), timeout=5)
        except grpc.RpcError as error:
            seen[error.code().name] += len(calls)
            time.sleep(0.005)
        else:
            seen.update(_word(answer) for answer in response.answers)
        enough = seen.total() >= requests and seen["DENY"] >= requests * _AFTER
        if enough or time.monotonic() > end:
            return seen
    raise AssertionError


def _batches(tenants: int) -> Iterator[list[v1.CheckCallRequest]]:
    while True:
        numbers = [random.randrange(tenants) for _ in range(_BATCH)]
        yield [
            v1.CheckCallRequest(caller=caller(one), extension="0033123456789", tenant="" if one % 3 else tenant(one))
            for one in numbers
        ]


def _word(answer: v1.CheckCallsAnswer) -> str:
    if answer.HasField("error"):
        return f"code {answer.error.code}"
    return v1.Decision.Name(answer.response.decision).removeprefix("DECISION_")


def main() -> None:
    """Prints what came of them, for each way."""
    tenants = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    for way in WAYS:
        seen = answers(way, tenants, requests)
        print(f"{way}: {seen['ALLOW']} wrong ALLOWs of {seen.total():,} requests; {dict(seen)}")


if __name__ == "__main__":
    main()
