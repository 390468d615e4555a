"""Decides the cases of ``tests/cases/dialling`` from their definitions as they stand: loops and regular expressions.

What reads an extension is handed in, so that the reference and the tables are held to the same cases.
"""

from __future__ import annotations

import functools
import re
import uuid
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STRICTNESS = {"DENY": 0, "CHALLENGE": 1, "ALLOW": 2}
_MAX_EXTENSION = 128


class Undialled(Exception):
    """The extension cannot be dialled in its tenant."""


class Reader(Protocol):
    """Reads extensions as one tenant dials."""

    def readings(self, extension: str) -> Sequence[Sequence[tuple[str, int]]]:
        """The readings, each with its forms: a text, and how many characters a pattern must spell out.

        Raises:
            Undialled: it cannot be dialled.
        """

    def is_emergency(self, extension: str, numbers: Iterable[str]) -> bool:
        """Whether the extension is one of the emergency numbers as a whole."""


class Undescribed:
    """Reads extensions as Wazo does: as they are."""

    def readings(self, extension: str) -> Sequence[Sequence[tuple[str, int]]]:
        """One reading with one form."""
        if not extension.isprintable():
            raise Undialled(extension)
        return [[(extension, 0)]]


@functools.lru_cache(100_000)
def _regex(pattern: str) -> re.Pattern[str]:
    text = pattern.replace("_", "").replace("*", r"\*").replace("+", r"\+").replace(".", ".+").replace("!", ".*")
    text = text.replace("X", "[0-9]").replace("Z", "[1-9]").replace("N", "[2-9]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(text, re.DOTALL)


def _sound(pattern: str) -> bool:
    """Whether a pattern can be read; the cases hold few that cannot, and those plainly."""
    text = pattern.replace("_", "")
    if not text or not re.fullmatch(r"[0-9XZN*#+.!\-\[\]]+", text):
        return False
    inside = re.findall(r"\[([^\]]*)\]", text)
    outside = re.sub(r"\[[^\]]*\]", "", text)
    if "[" in outside or "]" in outside or any(re.search(r"[XZN.!\[]", i) or not i for i in inside):
        return False
    try:
        _regex(pattern)
    except re.error:
        return False
    return True


def _sound_permission(permission: dict[str, Any]) -> bool:
    return all(map(_sound, permission["extensions"])) and bool(
        re.fullmatch(r"[0-9*#]{1,40}", permission.get("password", "0"))
    )


def _matches(permission: dict[str, Any], forms: Iterable[tuple[str, int]], *, isolate: bool) -> bool:
    if isolate and not _sound_permission(permission):
        return bool(permission.get("mode", "deny") == "deny")
    for pattern in permission["extensions"]:
        literal = pattern.replace("_", "")
        for text, spelled in forms:
            if literal.startswith(text[:spelled]) and _regex(pattern).fullmatch(text):
                return True
    return False


@dataclass
class Suite:
    """One file of cases.

    Attributes:
        options: of the server.
        tenants: as the file has them.
        readers: by tenant, what reads its extensions.
    """

    options: dict[str, Any]
    tenants: list[dict[str, Any]]
    readers: dict[str, Reader] = field(default_factory=dict)
    emergency: dict[str, set[str]] = field(default_factory=dict)

    @staticmethod
    def is_sound(tenant: dict[str, Any]) -> bool:
        """Whether all permissions of a tenant can be read."""
        return all(map(_sound_permission, tenant["call_permissions"]))

    def decide(self, case: dict[str, Any]) -> dict[str, Any]:
        """What is expected of a case, by the names that the files use."""
        asker = (case.get("forwarded_by") or case["caller"]).lower()
        tenant = self.tenant_of(case.get("tenant", ""), asker, case["outcall"])
        callers = tenant and {user["uuid"] for user in tenant["users"]}
        known = {
            "caller_known": bool(callers and asker in callers),
            "outcall_known": bool(tenant and case["outcall"] in {o["id"] for o in tenant["outcalls"]}),
        }
        if self._is_emergency(tenant, case):
            return {"decision": "ALLOW", "stage": "EMERGENCY", "reason": "EMERGENCY", **known}
        if error := self._error(tenant, case):
            return {"error": error}
        reader = self.readers[tenant["uuid"]] if tenant else Undescribed()
        try:
            readings = reader.readings(case["extension"])
        except Undialled:
            return {"error": "INVALID_ARGUMENT"}
        if policy := self._policy(asker, case["outcall"], known):
            return {**policy, **known}
        answers = [self._stages(tenant, asker, case, forms) for forms in readings]
        answer = min(answers, key=lambda a: _STRICTNESS[a["decision"]])
        if case.get("forwarded_by") and answer["decision"] == "CHALLENGE":
            answer = {"decision": "DENY", "stage": answer["stage"], "reason": "CHALLENGE_UNANSWERABLE"}
        return {**answer, **known}

    def tenant_of(self, named: str, asker: str, outcall: str) -> dict[str, Any] | None:
        """The tenant that is named, else that of the asker, else that of the outcall."""
        for tenant in self.tenants:
            if named and tenant["uuid"] == named:
                return tenant
        if named:
            return None
        for tenant in self.tenants:
            if asker in {user["uuid"] for user in tenant["users"]}:
                return tenant
        for tenant in self.tenants:
            if outcall in {o["id"] for o in tenant["outcalls"]}:
                return tenant
        return None

    def _is_emergency(self, tenant: dict[str, Any] | None, case: dict[str, Any]) -> bool:
        server = set(self.options.get("emergency", ()))
        tenants = [tenant] if tenant else self.tenants if not case.get("tenant") else []
        if any(
            self.readers[t["uuid"]].is_emergency(case["extension"], server | self.emergency[t["uuid"]]) for t in tenants
        ):
            return True
        return bool(self.tenants) and self.readers[self.tenants[0]["uuid"]].is_emergency(case["extension"], server)

    def _error(self, tenant: dict[str, Any] | None, case: dict[str, Any]) -> str:
        for one in (case["caller"], case.get("forwarded_by", "")):
            if one and not _is_uuid(one):
                return "INVALID_ARGUMENT"
        if not 1 <= len(case["extension"]) <= _MAX_EXTENSION:
            return "INVALID_ARGUMENT"
        if case.get("tenant") and not tenant:
            return "NOT_FOUND"
        isolate = bool(self.options.get("isolate_faults"))
        if tenant and not isolate and not self.is_sound(tenant):
            return "FAILED_PRECONDITION"
        return ""

    def _policy(self, asker: str, outcall: str, known: dict[str, bool]) -> dict[str, Any]:
        for what, name, key in (
            (asker, "unknown_caller", "caller_known"),
            (outcall, "unknown_outcall", "outcall_known"),
        ):
            if what and not known[key] and self.options.get(name) == "deny":
                return {"decision": "DENY", "stage": "POLICY", "reason": name.upper()}
        return {}

    def _stages(
        self, tenant: dict[str, Any] | None, asker: str, case: dict[str, Any], forms: Sequence[tuple[str, int]]
    ) -> dict[str, Any]:
        nothing = {"decision": "ALLOW", "stage": "NONE", "reason": "NO_PERMISSION"}
        if tenant is None:
            return nothing
        user = next((user for user in tenant["users"] if user["uuid"] == asker), None)
        groups = {g["id"] for g in tenant["groups"] if user and g.get("enabled", True) and asker in g["users"]}
        stages = (
            ("USER", lambda p: user and asker in p.get("users", ())),
            ("GROUP", lambda p: groups.intersection(p.get("groups", ()))),
            ("OUTCALL", lambda p: case["outcall"] and case["outcall"] in p.get("outcalls", ())),
        )
        isolate = bool(self.options.get("isolate_faults"))
        for stage, belongs in stages:
            found = [
                p
                for p in tenant["call_permissions"]
                if p.get("enabled", True) and belongs(p) and _matches(p, forms, isolate=isolate)
            ]
            if found:
                return _within(stage, found, user, isolate=isolate)
        return nothing


def _within(stage: str, found: list[dict[str, Any]], user: dict[str, Any] | None, *, isolate: bool) -> dict[str, Any]:
    answer = {"stage": stage, "reason": "PERMISSION"}
    if any(p.get("mode", "deny") == "allow" for p in found):
        return {"decision": "ALLOW", **answer}
    if any("password" not in p or (isolate and not _sound_permission(p)) for p in found):
        return {"decision": "DENY", **answer}
    password = max(found, key=lambda p: p["id"])["password"]
    own = (user or {}).get("call_permission_password", password)
    passwords = {"user": own if stage == "USER" else password, "all": own}
    return {"decision": "CHALLENGE", **answer, "password": passwords}


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
