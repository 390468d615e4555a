"""Runs the checks one after the other, each with a time limit, and none whose prerequisite failed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import grpc
from redis.exceptions import NoPermissionError, RedisError
from urllib3.exceptions import HTTPError

from rightcall.doctor.checks import CHECKS
from rightcall.doctor.findings import Finding, NotExamined, Verdict, failure
from rightcall.doctor.server import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rightcall.doctor.checks import Check, Deployment


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check.

    Attributes:
        check: the check's name.
        verdict: the verdict.
        seen: the observation, or the reason for skipping.
        advice: the remedy of a warning or a failure.
    """

    check: str
    verdict: Verdict
    seen: str
    advice: str


def examine(deployment: Deployment, seconds: float, checks: Sequence[Check] = CHECKS) -> Iterator[Result]:
    """Runs the checks of a deployment.

    Args:
        deployment: the addresses of the parts.
        seconds: time limit of each check.
        checks: the checks to run; prerequisites come first.

    Yields:
        Each result, as soon as known.
    """
    roots: dict[str, str] = {}
    """The failed check behind each check that failed, or was skipped because of a failure."""
    for check in checks:
        root = next((roots[need] for need in check.needs if need in roots), "")
        finding = Finding(Verdict.SKIPPED, f"because of {root}") if root else _limited(check, deployment, seconds)
        if root or finding.verdict is Verdict.FAILURE:
            roots[check.name] = root or check.name
        yield Result(check.name, finding.verdict, finding.seen, finding.advice)


def _limited(check: Check, deployment: Deployment, seconds: float) -> Finding:
    """Runs a check in a separate thread: resolving a name, for one, has no deadline."""
    found: SimpleQueue[Finding] = SimpleQueue()
    threading.Thread(target=lambda: found.put(_looked(check, deployment)), name=check.name, daemon=True).start()
    try:
        return found.get(timeout=seconds)
    except Empty:
        advice = "check that it is up and reachable, or allow more time with --timeout"
        return failure(f"no answer within {seconds:g} s", advice)


def _looked(check: Check, deployment: Deployment) -> Finding:
    try:
        return check.look(deployment)
    except NotExamined as error:
        return Finding(Verdict.SKIPPED, str(error))
    except NoPermissionError as error:
        return failure(f"refused: {error}", "give this account its rights in Redis: docs/cli.md, Redis URLs")
    except grpc.RpcError as error:
        return failure(told(error), "it answered before, and does not now: see its log")
    except (RedisError, HTTPError, OSError) as error:
        return failure(str(error), "it answered before, and does not now: see its log, and what is between")
    except Exception as error:  # noqa: BLE001 - the other checks are worth their answers all the same
        return failure(f"a defect of this check: {error!r}", "please report it")
