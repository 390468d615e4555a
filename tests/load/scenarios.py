"""What is asked in a load test: binary requests, made from the benchmarks' rule sets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from bench.workload import Call, Workload, sample_extension
from google.protobuf.message import DecodeError

from pdp.rules.model import Mode
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pdp.rules.model import CallPermission

CALLS: Final = 100_000
"""Different requests of a scenario, but for that with one: so many that no cache near a core holds all they touch."""


def write_questions(calls: Iterable[Call], path: Path) -> None:
    """Writes calls as ghz wants them: binary requests, each behind its length."""
    requests = [
        v1.CheckCallRequest(caller=call.caller, extension=call.extension, outcall=call.outcall).SerializeToString()
        for call in calls
    ]
    data = b"".join(_varint(len(request)) + request for request in requests)
    if len(requests) > 1 and _is_one_request(data):
        # ghz would take the whole file for one request; it cannot, once another one is first.
        data = b"".join(_varint(len(request)) + request for request in [*requests[1:], requests[0]])
    path.write_bytes(data)


def one_caller(workload: Workload) -> list[Call]:
    """The same call again and again: the best that a server can do."""
    return workload.calls[:1]


def realistic(workload: Workload) -> list[Call]:
    """Callers and numbers as they come; half of the calls meet a permission."""
    return workload.calls[:CALLS]


def hostile(workload: Workload) -> list[Call]:
    """No caller and no number twice, as far as there are callers: no cache helps."""
    rng = random.Random(7)
    users = [user.uuid for user in workload.tenant.users]
    rng.shuffle(users)
    numbers = rng.sample(range(10**11, 10**12), CALLS)
    return [Call(users[i % len(users)], f"0{number}", "") for i, number in enumerate(numbers)]


def challenging(workload: Workload) -> list[Call]:
    """Calls that permissions with a password apply to: an answer needs a signed challenge."""
    rng = random.Random(9)
    rules = [
        rule
        for rule in workload.tenant.call_permissions
        if rule.password and rule.mode is Mode.DENY and rule.enabled and rule.users
    ]
    return [_matching(rng.choice(rules), rng) for _ in range(CALLS)]


SCENARIOS: Final[dict[str, Callable[[Workload], list[Call]]]] = {
    "one caller": one_caller,
    "realistic": realistic,
    "hostile": hostile,
    "challenges": challenging,
}


def _matching(rule: CallPermission, rng: random.Random) -> Call:
    return Call(rng.choice(rule.users), sample_extension(rule.extensions[0], rng), "")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _is_one_request(data: bytes) -> bool:
    try:
        v1.CheckCallRequest.FromString(data)
    except DecodeError:
        return False
    return True
