"""References that lead out of their tenant: left out with a warning, so that no foreign item holds a tenant back.

Wazo lets a user be put into a group of another tenant, and keeps rows whose user is gone. If such a reference were an
error, as in files, an administrator of one tenant could hold up the rules of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loader.definitions.findings import permission_label, tenant_label
from loader.definitions.shapes import canonical_uuid
from loader.definitions.text.tokens import printable
from loader.faults import Fault, Severity

if TYPE_CHECKING:
    from loader.sources.values import RawTenant


class _Memory(NamedTuple):
    """The result of the last check.

    Attributes:
        known: the ids of the tenant's users, groups and outcalls.
        passed: the members without foreign references, by identity; held, so that identities are not reused.
    """

    known: dict[str, frozenset[str]]
    passed: dict[int, object]


_LISTS: Final = {"groups": ("users",), "call_permissions": ("users", "groups", "outcalls")}
"""The lists of a tenant whose members refer to others, and under which keys."""


class OwnReferences:
    """Leaves out references that lead out of a tenant. Members that passed are checked again only if ids are gone.

    Args:
        origin: the name of the file in warnings.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._memory: dict[str, _Memory] = {}

    def of(self, tenant: RawTenant) -> tuple[RawTenant, list[Fault]]:
        """The tenant without references that lead out, and a warning for each of those.

        Values that are no list or no text stay unchanged: the check of definitions reports the fault. Unchanged members
        are the same objects as in the given tenant.
        """
        known = {key: _ids(tenant, key) for key in ("users", "groups", "outcalls")}
        before = self._memory.get(tenant["uuid"])
        passed: dict[int, object] = {}
        if before is not None and all(known[key] >= before.known[key] for key in known):
            passed = before.passed
        now: dict[int, object] = {}
        faults: list[Fault] = []
        changed: RawTenant = {}
        for key, referring in _LISTS.items():
            for index, member in enumerate(tenant[key]):
                strange = id(member) not in passed and [
                    each for each in referring if not _all_known(member, each, known[each])
                ]
                if not strange:
                    now[id(member)] = member
                    continue
                own, lost = _split(member, strange, known)
                faults += [_warning(tenant, member, key, each, self._origin) for each in lost]
                changed.setdefault(key, list(tenant[key]))[index] = own
        self._memory[tenant["uuid"]] = _Memory(known, now)
        return ({**tenant, **changed} if changed else tenant), faults

    def forget(self, tenant: str) -> None:
        """The tenant is gone."""
        self._memory.pop(tenant, None)


def _split(
    member: dict[str, Any], keys: list[str], known: dict[str, frozenset[str]]
) -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """The member without the references that lead out of the tenant, and these."""
    own, lost = dict(member), list[tuple[str, object]]()
    for each in keys:
        lost += [(each, reference) for reference in member[each] if _is_strange(reference, known[each])]
        own[each] = [reference for reference in member[each] if not _is_strange(reference, known[each])]
    return own, lost


def _ids(tenant: RawTenant, key: str) -> frozenset[str]:
    id_key = "uuid" if key == "users" else "id"
    ids = (each.get(id_key) for each in tenant[key])
    return frozenset(each.lower() if key == "users" else each for each in ids if isinstance(each, str))


def _all_known(member: dict[str, Any], key: str, known: frozenset[str]) -> bool:
    references = member.get(key)
    if not isinstance(references, list):
        return True
    try:
        return known.issuperset(references)
    except TypeError:  # something that cannot be a reference, which the check of definitions says
        return False


def _is_strange(reference: object, known: frozenset[str]) -> bool:
    """Whether a reference leads out of the tenant; None is a reference to a removed user, group or outcall."""
    if isinstance(reference, str):
        return (canonical_uuid(reference) or reference) not in known
    return reference is None


def _warning(tenant: RawTenant, member: dict[str, Any], key: str, lost: tuple[str, object], origin: str) -> Fault:
    kind, reference = lost[0][:-1], lost[1]
    what = f"a {kind} is gone"
    if isinstance(reference, str):
        what = f"the {kind} '{printable(reference)}' is not of this tenant"
    if key == "groups":
        label = f"{printable(str(member.get('id')))} ({printable(str(member.get('name')))})"
        problem = f"group {label}: {what}, and is no member here"
        remedy = "take it out of the group in Wazo, which applies the group's permissions to it until then"
        return Fault(origin, None, tenant_label(tenant), "", "", problem, remedy, Severity.WARNING)
    problem = f"{what}, and the permission does not apply to it here"
    remedy = "remove the association in Wazo, which applies it until then"
    return Fault(origin, None, tenant_label(tenant), permission_label(member), "", problem, remedy, Severity.WARNING)
