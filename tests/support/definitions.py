"""Tenants from plain data in the definitions format, without validation: for tests that state their rules inline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.rules.model import CallPermission, Group, Mode, Outcall, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFORMANCE = Path(__file__).parents[1] / "cases" / "wazo"
"""Definitions with calls, and the answers that Wazo Platform gave to them."""


class ConformanceCase(NamedTuple):
    """A call and its answer; ``passwords`` are what opens the challenge, by password override."""

    caller: str
    extension: str
    outcall: str
    decision: str
    stage: str
    passwords: Mapping[str, str]


class ConformanceSuite(NamedTuple):
    """The tenants of a file and the calls to them."""

    name: str
    tenants: tuple[Tenant, ...]
    cases: tuple[ConformanceCase, ...]

    def tenant_of(self, case: ConformanceCase) -> Tenant | None:
        """The tenant that a call belongs to: the caller's, else the outcall's; None: nobody's."""
        for tenant in self.tenants:
            if case.caller and any(user.uuid == case.caller for user in tenant.users):
                return tenant
        for tenant in self.tenants:
            if case.outcall and any(outcall.id == case.outcall for outcall in tenant.outcalls):
                return tenant
        return None


def tenant_from(data: Mapping[str, Any]) -> Tenant:
    """A tenant, from a member of the definitions' ``tenants``. Nothing is checked but ``mode``.

    Raises:
        KeyError: ``uuid`` or an ``id`` is missing.
        ValueError: a mode is neither ``allow`` nor ``deny``.
    """
    return Tenant(
        uuid=data["uuid"],
        name=data.get("name", ""),
        users=tuple(map(_user, data.get("users", ()))),
        groups=tuple(_group(group) for group in data.get("groups", ())),
        outcalls=tuple(Outcall(outcall["id"], outcall.get("name", "")) for outcall in data.get("outcalls", ())),
        call_permissions=tuple(_permission(permission) for permission in data.get("call_permissions", ())),
    )


def tenants_from(definitions: Mapping[str, Any]) -> tuple[Tenant, ...]:
    """The tenants of a whole definitions document."""
    return tuple(tenant_from(tenant) for tenant in definitions["tenants"])


def conformance_suites() -> list[ConformanceSuite]:
    """Every file of ``tests/cases/wazo``, by name."""
    suites: list[ConformanceSuite] = []
    for path in sorted(CONFORMANCE.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        cases = tuple(_case(case) for case in document["cases"])
        suites.append(ConformanceSuite(path.stem, tenants_from(document["definitions"]), cases))
    return suites


def _case(data: Mapping[str, Any]) -> ConformanceCase:
    expected = data["expected"]
    return ConformanceCase(
        caller=data["caller"],
        extension=data["extension"],
        outcall=data["outcall"],
        decision=expected["decision"],
        stage=expected["stage"],
        passwords=expected.get("password", {}),
    )


def _user(data: Mapping[str, Any]) -> User:
    numbered = (f"user:{data['id']}",) if "id" in data else ()
    aliases = (*numbered, *data.get("aliases", ()))
    return User(data["uuid"], data.get("call_permission_password"), data.get("name", ""), "", aliases)


def _group(data: Mapping[str, Any]) -> Group:
    return Group(
        data["id"], data.get("name", ""), enabled=data.get("enabled", True), users=tuple(data.get("users", ()))
    )


def _permission(data: Mapping[str, Any]) -> CallPermission:
    return CallPermission(
        id=data["id"],
        name=data.get("name", ""),
        mode=Mode(data.get("mode", "deny")),
        password=data.get("password"),
        enabled=data.get("enabled", True),
        extensions=tuple(data.get("extensions", ())),
        users=tuple(data.get("users", ())),
        groups=tuple(data.get("groups", ())),
        outcalls=tuple(data.get("outcalls", ())),
        description=data.get("description", ""),
    )
