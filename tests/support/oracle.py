"""SEMANTICS as it reads: three loops and a regular expression a pattern. What everything else is compared with."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.model import Decision, Mode, PasswordOverride, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.rules.model import CallPermission, Tenant


class Expected(NamedTuple):
    """What the oracle answers; ``permission`` is None in the stage NONE."""

    decision: Decision
    stage: Stage
    permission: CallPermission | None


@lru_cache(maxsize=10_000)
def regex(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression, the way Wazo translates it."""
    text = pattern.replace("_", "").replace("*", r"\*").replace("+", r"\+").replace(".", ".+").replace("!", ".*")
    text = text.replace("X", "[0-9]").replace("Z", "[1-9]").replace("N", "[2-9]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[+--]" may mean something else in some later Python
        return re.compile(text, re.DOTALL)


def matches(permission: CallPermission, extension: str) -> bool:
    """Whether an enabled permission takes part."""
    return permission.enabled and any(regex(text).fullmatch(extension) for text in permission.extensions)


def decide(tenant: Tenant, caller: str, extension: str, outcall: str) -> Expected:
    """The decision, the stage, and the permission that decided."""
    known = any(user.uuid == caller for user in tenant.users)
    groups = {group.id for group in tenant.groups if group.enabled and caller in group.users}
    stages: list[tuple[Stage, Iterable[CallPermission]]] = [
        (Stage.USER, [p for p in tenant.call_permissions if known and caller in p.users]),
        (Stage.GROUP, [p for p in tenant.call_permissions if known and groups.intersection(p.groups)]),
        (Stage.OUTCALL, [p for p in tenant.call_permissions if outcall and outcall in p.outcalls]),
    ]
    for stage, permissions in stages:
        found = sorted((p for p in permissions if matches(p, extension)), key=lambda p: -p.id)
        for permission in found:
            if permission.mode is Mode.ALLOW:
                return Expected(Decision.ALLOW, stage, permission)
        for permission in found:
            if permission.password is None:
                return Expected(Decision.DENY, stage, permission)
        if found:
            return Expected(Decision.CHALLENGE, stage, found[0])
    return Expected(Decision.ALLOW, Stage.NONE, None)


def password(tenant: Tenant, caller: str, expected: Expected, override: PasswordOverride) -> str | None:
    """The password that opens a challenge."""
    assert expected.permission is not None
    own = next((user.call_permission_password for user in tenant.users if user.uuid == caller), None)
    if own is not None and (override is PasswordOverride.ALL or expected.stage is Stage.USER):
        return own
    return expected.permission.password
