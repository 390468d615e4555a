"""Drives a server: closed and at a constant rate with ghz, and at a constant rate with an open loop of our own.

ghz measures from when a request was really sent. When a server falls behind, a worker of ghz sends later, and the wait
is not in its figures. The open loop measures from when a request was due, so what a caller would wait is all in it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc.aio
from tools import tool

from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Call

PROTOS: Final = Path(__file__).parents[2] / "protos"
METHOD: Final = "rightcall.v1.DecisionService/CheckCall"
CONCURRENCY: Final = 32
CONNECTIONS: Final = 4


class Result(NamedTuple):
    """What a run came to; times in milliseconds."""

    sent: int
    failed: int
    rate: float
    p50: float
    p99: float
    p999: float
    slowest: float


def ghz(target: str, questions: Path, *, seconds: float, rate: int = 0) -> Result:
    """Asks for some seconds, as fast as answers come, or ``rate`` times a second whether they come or not.

    Raises:
        RuntimeError: ghz failed.
    """
    command = [str(tool("ghz")), "--insecure", "--format=json", f"--connections={CONNECTIONS}"]
    command += [f"--proto={PROTOS / 'rightcall/v1/decision.proto'}", f"--import-paths={PROTOS}", f"--call={METHOD}"]
    command += [f"--binary-file={questions}", f"--duration={seconds}s", "--duration-stop=wait"]
    command += [f"--rps={rate}", "--async"] if rate else []
    command += [f"--concurrency={CONCURRENCY}", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"ghz failed: {done.stderr.strip()[-500:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    times = sorted(one["latency"] / 1e6 for one in report["details"] if one["status"] == "OK")
    return _result(times, report["count"], report["rps"])


def open_loop(target: str, calls: Sequence[Call], *, seconds: float, rate: int) -> Result:
    """Asks at a constant rate, and measures each answer from when its question was due."""
    return asyncio.run(_open_loop(target, calls, seconds, rate))


async def _open_loop(target: str, calls: Sequence[Call], seconds: float, rate: int) -> Result:
    requests = [
        v1.CheckCallRequest(caller=call.caller, extension=call.extension, outcall=call.outcall) for call in calls
    ]
    times: list[float] = []
    async with grpc.aio.insecure_channel(target) as channel:
        stub = v1.DecisionServiceStub(channel)
        await stub.CheckCall(requests[0])

        async def ask(request: v1.CheckCallRequest, due: float) -> None:
            try:
                await stub.CheckCall(request, timeout=10)
            except grpc.aio.AioRpcError:
                return
            times.append((time.perf_counter() - due) * 1000)

        total = int(seconds * rate)
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(total):
                due = begun + number / rate
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                tasks.create_task(ask(requests[number % len(requests)], due))
        elapsed = time.perf_counter() - begun
    return _result(sorted(times), total, total / elapsed)


def _result(times: list[float], sent: int, rate: float) -> Result:
    def quantile(share: float) -> float:
        return times[min(int(len(times) * share), len(times) - 1)] if times else float("nan")

    return Result(
        sent=sent,
        failed=sent - len(times),
        rate=rate,
        p50=quantile(0.5),
        p99=quantile(0.99),
        p999=quantile(0.999),
        slowest=quantile(1),
    )
