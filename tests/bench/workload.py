"""Rule sets and calls of the size and shape that benchmarks are about; the same seed gives the same ones."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import asdict
from typing import Any, NamedTuple

from pdp.rules.model import CallPermission, Group, Mode, Outcall, Tenant, User

PERMISSIONS_A_CALLER = 3
TENANT = "54eb71f8-1f4b-4ae4-8730-638062fbe521"


class Call(NamedTuple):
    """A question."""

    caller: str
    extension: str
    outcall: str


class Workload(NamedTuple):
    """A tenant and calls to it."""

    tenant: Tenant
    calls: list[Call]


def make_pattern(rng: random.Random) -> str:
    """60 % literals of 3 to 13 digits, 25 % prefixes, 15 % classes, some of them in mid-number."""
    kind = rng.random()
    if kind < 0.60:
        return _digits(rng, rng.randint(3, 13))
    if kind < 0.85:
        prefix = rng.choice(("00", "0", "+", "", "09", "1")) + _digits(rng, rng.randint(1, 4))
        return f"_{prefix}{rng.choice(('X', 'Z', 'N', '[1-5]', ''))}{rng.choice('.!')}"
    places = [rng.choice(("X", "X", "N", "Z", "[2-5]", "[07-9]", *_digits(rng, 4))) for _ in range(rng.randint(3, 12))]
    return "_" + "".join(places)


def make_workload(permissions: int, *, calls: int = 20_000, seed: int = 1) -> Workload:
    """A tenant with as many users as permissions, three permissions a user, and calls half of which hit a rule."""
    rng = random.Random(seed)
    users = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(max(permissions, 3))]
    group_count = max(permissions // 20, 1)
    members: list[list[str]] = [[] for _ in range(group_count)]
    for user in users:
        members[rng.randrange(group_count)].append(user)
    outcalls = [str(number) for number in range(1, max(permissions // 1000, 1) + 1)]
    rules = [
        CallPermission(
            id=number + 1,
            name=f"permission-{number + 1}",
            mode=Mode.ALLOW if rng.random() < 0.3 else Mode.DENY,
            password=_digits(rng, 4) if rng.random() < 0.2 else None,
            enabled=rng.random() > 0.02,
            extensions=(make_pattern(rng),),
            users=tuple(rng.sample(users, min(PERMISSIONS_A_CALLER, len(users)))) if number % 10 else (),
            groups=(str(rng.randrange(group_count) + 1),) if number % 10 == 0 else (),
            outcalls=(rng.choice(outcalls),) if number % 50 == 0 else (),
        )
        for number in range(permissions)
    ]
    tenant = Tenant(
        uuid=TENANT,
        name="bench",
        users=tuple(User(user) for user in users),
        groups=tuple(Group(str(i + 1), f"group-{i + 1}", users=tuple(m)) for i, m in enumerate(members)),
        outcalls=tuple(Outcall(number, f"outcall-{number}") for number in outcalls),
        call_permissions=tuple(rules),
    )
    return Workload(tenant, [_call(rng, rules, users, outcalls) for _ in range(calls)])


def sample_extension(pattern: str, rng: random.Random) -> str:
    """An extension that the pattern matches."""
    out: list[str] = []
    text = pattern.replace("_", "")
    at = 0
    while at < len(text):
        character = text[at]
        if character == "[":
            end = text.index("]", at)
            out.append(text[at + 1])
            at = end
        elif character in "XZN":
            out.append(rng.choice({"X": "0123456789", "Z": "123456789", "N": "23456789"}[character]))
        elif character in ".!":
            out.append(_digits(rng, rng.randint(1, 8)))
        else:
            out.append(character)
        at += 1
    return "".join(out)


def _call(rng: random.Random, rules: list[CallPermission], users: list[str], outcalls: list[str]) -> Call:
    outcall = rng.choice(outcalls) if rng.random() < 0.7 else ""
    rule = rng.choice(rules)
    if rng.random() < 0.5 and rule.users:
        return Call(rng.choice(rule.users), sample_extension(rule.extensions[0], rng), outcall)
    return Call(rng.choice(users), "0" + _digits(rng, rng.randint(8, 13)), outcall)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def as_definitions(tenant: Tenant) -> dict[str, Any]:
    """A workload's tenant as a tenant of definitions, in plain values as JSON and YAML have them."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(tenant)))
    return {key: plain[key] for key in ("uuid", "name", "users", "groups", "outcalls", "call_permissions")}
