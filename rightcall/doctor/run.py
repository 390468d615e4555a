"""Runs the checks one after the other, none for longer than it may take, and none that depends on one that failed."""

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
    """What came of a check.

    Attributes:
        check: its name.
        verdict: how well it is.
        seen: what was seen, or why nobody looked.
        advice: of a warning or a failure, what to do.
    """

    check: str
    verdict: Verdict
    seen: str
    advice: str


def examine(deployment: Deployment, seconds: float, checks: Sequence[Check] = CHECKS) -> Iterator[Result]:
    """Looks at a deployment.

    Args:
        deployment: where its parts are.
        seconds: that each check may take.
        checks: what to look at; a check comes behind those that it needs.

    Yields:
        What came of each, as soon as it is known.
    """
    roots: dict[str, str] = {}
    """Of each check that failed, or had nothing to look at because of a failure: the one that failed."""
    for check in checks:
        root = next((roots[need] for need in check.needs if need in roots), "")
        finding = Finding(Verdict.SKIPPED, f"because of {root}") if root else _limited(check, deployment, seconds)
        if root or finding.verdict is Verdict.FAILURE:
            roots[check.name] = root or check.name
        yield Result(check.name, finding.verdict, finding.seen, finding.advice)


def _limited(check: Check, deployment: Deployment, seconds: float) -> Finding:
    """What a check comes to, in a thread of its own: resolving a name, for one, knows no deadline."""
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
