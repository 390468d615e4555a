"""The check of one tenant: all faults at once, and the tenant itself if there are none.

``shapes`` checks the shape of each item separately. References between items are checked on the raw values, so that a
faulty item neither hides nor causes other faults: a user with a faulty password still exists.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from loader.definitions import wording
from loader.definitions.closed import closed_permission, closed_tenant
from loader.definitions.expectations import ExpectationCheck
from loader.definitions.findings import PERMISSION_DEPTH, Finding, permission_label, tenant_label
from loader.definitions.items import Entity, Item, TenantMemory
from loader.definitions.reaching import dialling_of, emergency_of
from loader.definitions.shapes import (
    GroupShape,
    IgnoredShape,
    OutcallShape,
    PermissionShape,
    TenantShape,
    UserShape,
    canonical_uuid,
)
from loader.definitions.text.tokens import LONG_LISTS, Path, printable
from loader.faults import Severity
from pdp.rules.model import CallPermission, Expectation, Group, Ignored, Mode, Outcall, Tenant, User

_Shape = TypeVar("_Shape", bound=BaseModel)

REFERABLE = ("users", "groups", "outcalls")
"""The lists whose members permissions refer to."""

NUMBERED = "user:"
"""The prefix of the alias that a user's number makes, as in Wazo's ``WAZO_FWD_REFERER``."""

_MOST_PROPOSALS = 20
"""Unknown references of a tenant for which a similar id is looked up: each look-up reads all that are known."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tenant of a document, checked.

    Attributes:
        path: the path to the tenant.
        label: the tenant's label for people.
        uuid: the tenant's UUID in lower case; empty if unreadable.
        tenant: the tenant; None if anything in the tenant is at fault.
        closed: the closed tenant if something is at fault; None if nothing is, or if the UUID is unknown.
        isolated: the tenant with the faulty permissions closed; None if nothing or anything else is at fault.
        users: the UUIDs of the users in the order of the list; an empty text for an unreadable one.
    """

    path: Path
    label: str
    uuid: str
    tenant: Tenant | None
    users: tuple[str, ...]
    closed: Tenant | None = None
    isolated: Tenant | None = None


def check_shape(shape: type[_Shape], raw: object, path: Path, inner: int, findings: list[Finding]) -> _Shape | None:
    """Returns the raw value as the shape; adds findings and returns None for another shape."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        findings += wording.findings(error, path, inner, shape)
        return None


def check_tenant(raw: object, path: Path, findings: list[Finding], memory: TenantMemory | None = None) -> Entry:
    """Checks a tenant, and adds the tenant's faults to the findings.

    Args:
        raw: the tenant as the document holds it.
        path: the path to the tenant.
        findings: receives the faults.
        memory: the state of the last check; items that are still the same objects are not checked again.
    """
    own: list[Finding] = []
    entry = _TenantCheck(raw, path, own, memory or TenantMemory()).entry()
    findings += own
    return entry


class _TenantCheck:
    """The check of one tenant. ``known`` maps each id to itself, so that equal references become one object."""

    def __init__(self, raw: object, path: Path, findings: list[Finding], memory: TenantMemory) -> None:
        self._raw = raw
        self._path = path
        self._findings = findings
        self._memory = memory
        self._proposals = _MOST_PROPOSALS
        self._head = check_shape(TenantShape, raw, path, len(path), findings)
        self._known: dict[str, dict[str, str]] = {}

    def entry(self) -> Entry:
        """The result of the check."""
        uuid = canonical_uuid(_text(self._raw, "uuid")) or ""
        declared = {key: self._declared(key) for key in LONG_LISTS}
        self._known = {key: {id_: id_ for id_ in declared[key] if isinstance(id_, str) and id_} for key in REFERABLE}
        self._memory.settle(self._known)
        users, groups, outcalls, permissions = (tuple(self._items(key, declared[key])) for key in LONG_LISTS)
        expectations, ignored = self._expectations(), self._ignored({*declared["call_permissions"]})
        self._check_aliases(users)
        whole = (
            None
            if self._head is None
            else Tenant(
                self._head.uuid,
                self._head.name,
                users,
                groups,
                outcalls,
                permissions,
                expectations=expectations,
                lint=ignored,
                emergency=emergency_of(self._head.emergency),
                dialling=dialling_of(self._head.dialling),
            )
        )
        label, callers = tenant_label(self._raw), tuple(map(str, declared["users"]))
        errors = [found for found in self._findings if found.severity is Severity.ERROR]
        if not errors:
            return Entry(self._path, label, uuid, whole, callers)
        closed = closed_tenant(uuid, self._raw, users, declared, len(errors)) if uuid else None
        isolated = self._isolated(whole, errors) if whole else None
        return Entry(self._path, label, uuid, None, callers, closed, isolated)

    def _isolated(self, whole: Tenant, errors: list[Finding]) -> Tenant | None:
        """The tenant with the faulty permissions closed; None if anything else is at fault."""
        depth = len(self._path)
        faulty = {found.path[depth + 1] for found in errors if found.path[depth : depth + 1] == ("call_permissions",)}
        if any(
            found.path[depth : depth + 1] != ("call_permissions",) or len(found.path) < depth + 2 for found in errors
        ):
            return None
        raws = self._raws("call_permissions")
        closed = [closed_permission(raws[index], self._known) for index in faulty if isinstance(index, int)]
        by_id = {one.id: one for one in closed if one is not None}
        sound = [permission for permission in whole.call_permissions if permission.id not in by_id]
        if len(by_id) != len(faulty) or len(sound) + len(by_id) != len(raws):
            return None  # one that cannot even be named, or an id that is there twice
        return replace(whole, call_permissions=(*sound, *by_id.values()))

    def _expectations(self) -> tuple[Expectation, ...]:
        check = ExpectationCheck(self._known, self._remedy, len(self._path), self._findings)
        return check.expectations(self._raws("expectations"), (*self._path, "expectations"))

    def _ignored(self, permissions: set[str | int]) -> tuple[Ignored, ...]:
        """The mistakes that are meant, given the ids of the permissions."""
        found = []
        for index, raw in enumerate(self._raws("lint")):
            path = (*self._path, "lint", index)
            shape = self._shape(IgnoredShape, raw, path)
            if shape is None:
                continue
            found.append(Ignored(shape.ignore, shape.reason, tuple(shape.permissions)))
            for at, id_ in enumerate(shape.permissions):
                if id_ not in permissions:
                    problem = f"there is no permission {id_} in this tenant"
                    self._warn((*path, "permissions", at), problem, "remove it here")
        return tuple(found)

    def _raws(self, key: str) -> list[object]:
        """The members of one of the tenant's lists."""
        items = self._raw.get(key) if isinstance(self._raw, dict) else None
        return items if isinstance(items, list) else []

    def _declared(self, key: str) -> list[str | int]:
        """The ids of a list's members, empty texts for members without one; a fault for each id used twice."""
        raws = self._raws(key)
        items = map(self._memory.items[key].get, map(id, raws))
        declared = [_id_of(key, raw) if item is None else item.declared for raw, item in zip(raws, items, strict=True)]
        once = set(declared)
        once.discard("")
        if len(once) + declared.count("") != len(declared):
            self._claim(key, declared)
        return declared

    def _claim(self, key: str, declared: list[str | int]) -> None:
        """Adds a finding for each item whose id an earlier item has."""
        id_key = "uuid" if key == "users" else "id"
        kind = {"users": "user", "groups": "group", "outcalls": "outcall"}.get(key, "permission")
        owners: dict[str | int, int] = {}
        for index, id_ in enumerate(declared):
            if id_ != "" and owners.setdefault(id_, index) != index:
                problem = f"{kind} {printable(str(id_))} is there already, as {key}[{owners[id_]}]"
                path = (*self._path, key, index, id_key)
                self._findings.append(Finding(path, problem, "give each its own, or remove one of the two"))

    def _items(self, key: str, declared: list[str | int]) -> list[Any]:
        """The members of a list as entities, without faulty ones."""
        raws = self._raws(key)
        ids = list(map(id, raws))
        items = list(map(self._memory.items[key].get, ids))  # nearly all are there, so each step is one for all
        entities = [None if item is None else item.entity for item in items]
        for index in [index for index, item in enumerate(items) if item is None or item.warnings]:
            path = (*self._path, key, index)
            item = items[index]
            if item is not None:
                self._findings += [warning.within(path) for warning in item.warnings]
                continue
            before = len(self._findings)
            entities[index] = entity = self._entity(key, raws[index], path)
            own = [replace(found, path=found.path[len(path) :]) for found in self._findings[before:]]
            if entity is not None and all(found.severity is Severity.WARNING for found in own):
                items[index] = Item(raws[index], declared[index], entity, tuple(own))
        self._memory.items[key] = {id_: item for id_, item in zip(ids, items, strict=True) if item is not None}
        return [entity for entity in entities if entity is not None]

    def _entity(self, key: str, raw: object, path: Path) -> Entity | None:
        """Returns a list member as an entity; adds findings and returns None for another shape."""
        check = {"users": self._user, "groups": self._group, "outcalls": self._outcall}.get(key, self._permission)
        return check(raw, path)

    def _user(self, raw: object, path: Path) -> User | None:
        shape = self._shape(UserShape, raw, path)
        if shape is None:
            return None
        aliases = () if shape.id is None else (f"{NUMBERED}{shape.id}",)
        uuid = self._known["users"][shape.uuid]
        aliases = (*aliases, *dict.fromkeys(shape.aliases))
        return User(uuid, shape.call_permission_password, shape.name, shape.extension, aliases)

    def _check_aliases(self, users: tuple[User, ...]) -> None:
        """Adds a finding for each alias that another user of the tenant has already."""
        owners: dict[str, str] = {}
        for user in users:
            for alias in user.aliases:
                owner = owners.setdefault(alias, user.uuid)
                if owner != user.uuid:
                    path = (*self._path, "users", self._index_of(user.uuid), "aliases")
                    problem = f"'{printable(alias)}' is another name of user {owner} already"
                    self._findings.append(Finding(path, problem, "give it to one of the two"))

    def _index_of(self, uuid: str) -> int:
        """The index of a user in the list of users."""
        raws = self._raws("users")
        return next(index for index, raw in enumerate(raws) if _id_of("users", raw) == uuid)

    def _group(self, raw: object, path: Path) -> Group | None:
        shape = self._shape(GroupShape, raw, path)
        users = self._references(shape, raw, path, "users")
        return shape if shape is None else Group(shape.id, shape.name, shape.enabled, users)

    def _outcall(self, raw: object, path: Path) -> Outcall | None:
        shape = self._shape(OutcallShape, raw, path)
        return shape if shape is None else Outcall(shape.id, shape.name)

    def _permission(self, raw: object, path: Path) -> CallPermission | None:
        shape = self._shape(PermissionShape, raw, path)
        lists = [self._references(shape, raw, path, key) for key in REFERABLE]
        if shape is None:
            return None
        if not any(lists) and not any(getattr(shape, key) for key in REFERABLE):
            remedy = "list users, groups or outcalls, or remove it"
            self._warn(path, "belongs to no user, group or outcall, so it never applies", remedy)
        return self._whole_permission(shape, lists, path)

    def _whole_permission(self, shape: PermissionShape, lists: list[tuple[str, ...]], path: Path) -> CallPermission:
        """The permission, and warnings about probable mistakes."""
        mode = Mode(shape.mode)
        extensions = tuple(shape.extensions)
        if len(set(extensions)) != len(extensions):
            extensions = self._once(list(enumerate(extensions)), (*path, "extensions"))
        if not extensions:
            self._warn(path, "has no extensions, so it never applies", "list extensions, or remove it")
        if mode is Mode.ALLOW and shape.password is not None:
            problem = "allows, so its password is never asked for"
            self._warn((*path, "password"), problem, "remove the password, or write mode: deny to ask for it")
        users, groups, outcalls = lists
        return CallPermission(
            shape.id,
            shape.name,
            mode,
            shape.password,
            shape.enabled,
            extensions,
            users,
            groups,
            outcalls,
            description=shape.description,
        )

    def _shape(self, shape: type[_Shape], raw: object, path: Path) -> _Shape | None:
        try:
            return shape.model_validate(raw)
        except ValidationError as error:
            inner = PERMISSION_DEPTH if shape is PermissionShape and permission_label(raw) else len(self._path)
            self._findings += wording.findings(error, path, inner, shape)
            return None

    def _references(
        self, shape: GroupShape | PermissionShape | None, raw: object, path: Path, key: str
    ) -> tuple[str, ...]:
        """The ids in a list of references; an unknown id is a fault. A value that is no id was reported before."""
        if shape is not None:
            known = self._known[key]
            found = tuple([known[id_] for id_ in getattr(shape, key) if id_ in known])
            if len(found) == len(getattr(shape, key)) == len(set(found)):
                return found  # as nearly always; else all that is wrong is to be found
        written = raw.get(key) if isinstance(raw, dict) else None
        if not isinstance(written, list):
            return ()
        known = self._known[key]
        texts = ((index, each) for index, each in enumerate(written) if isinstance(each, str) and each)
        references = []
        for index, text in texts:
            reference = canonical_uuid(text) if key == "users" else text
            if reference is None:
                continue
            if reference in known:
                references.append((index, known[reference]))
            else:
                problem = f"there is no {key[:-1]} '{printable(text)}' in this tenant"
                self._findings.append(Finding((*path, key, index), problem, self._remedy(key, text)))
        return self._once(references, (*path, key))

    def _once(self, members: list[tuple[int, str]], path: Path) -> tuple[str, ...]:
        """The members of a list without duplicates."""
        once = {member: member for _, member in members}
        if len(once) != len(members):
            seen: set[str] = set()
            for index, member in members:
                if member in seen:
                    self._warn((*path, index), f"'{printable(member)}' is in the list already", "remove one of the two")
                seen.add(member)
        return tuple(once)

    def _remedy(self, key: str, text: str) -> str:
        """The remedy for an unknown reference: perhaps a name was written for an id, or there is a typing error."""
        otherwise = f"add it to the tenant's {key}, or remove it here"
        if not self._proposals or key == "users":  # UUIDs are copied, not typed, and there may be many
            return otherwise
        self._proposals -= 1
        for raw in self._raws(key):
            if _text(raw, "name") == text and _text(raw, "id"):
                return f"that is a name; write the id '{printable(_text(raw, 'id'))}'"
        proposal = wording.closest(text, self._known[key])
        return f"{proposal} Else {otherwise}" if proposal else otherwise

    def _warn(self, path: Path, problem: str, remedy: str) -> None:
        self._findings.append(Finding(path, problem, remedy, Severity.WARNING))


def _id_of(key: str, raw: object) -> str | int:
    """The id of a list member; an empty text for a member without one."""
    if key == "call_permissions":
        number = raw.get("id") if isinstance(raw, dict) else None
        return number if isinstance(number, int) and not isinstance(number, bool) else ""
    if key == "users":
        return canonical_uuid(_text(raw, "uuid")) or ""
    return _text(raw, "id")


def _text(raw: object, key: str) -> str:
    """The text behind a key; empty where there is none."""
    value = raw.get(key) if isinstance(raw, dict) else None
    return value if isinstance(value, str) else ""
