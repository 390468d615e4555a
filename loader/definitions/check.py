"""The check of one tenant: every fault at once, and the tenant itself where there is none.

The shape of each thing is checked by itself (``shapes``). What things say about each other is read from the raw values,
so that a thing with a fault of its own hides no other fault, and makes none: a user whose password is wrong is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from loader.definitions import wording
from loader.definitions.findings import PERMISSION_DEPTH, Finding, permission_label, tenant_label
from loader.definitions.shapes import GroupShape, OutcallShape, PermissionShape, TenantShape, UserShape, canonical_uuid
from loader.definitions.text import Path, printable
from loader.faults import Severity
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Tenant, User

if TYPE_CHECKING:
    from collections.abc import Iterator

_Shape = TypeVar("_Shape", bound=BaseModel)

_MOST_PROPOSALS = 20
"""Unknown references of a tenant for which a similar id is looked up: each look-up reads all that are known."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a document says of one tenant.

    Attributes:
        path: the way to it.
        label: what people call it.
        uuid: in lower case; empty where it could not be read.
        tenant: None where anything of it is at fault.
        users: the UUIDs of its users by their place in the list; empty texts where one could not be read.
    """

    path: Path
    label: str
    uuid: str
    tenant: Tenant | None
    users: tuple[str, ...]


def check_shape(shape: type[_Shape], raw: object, path: Path, inner: int, findings: list[Finding]) -> _Shape | None:
    """The raw value as the shape; None, and findings, where it has another one."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        findings += [wording.finding(each, path, inner, shape) for each in error.errors(include_url=False)]
        return None


def check_tenant(raw: object, path: Path, findings: list[Finding]) -> Entry:
    """Checks a tenant, and adds what is wrong with it to the findings."""
    own: list[Finding] = []
    entry = _TenantCheck(raw, path, own).entry()
    findings += own
    return entry


class _TenantCheck:
    """The check of one tenant. ``known`` maps each id to itself, so that equal references become one object."""

    def __init__(self, raw: object, path: Path, findings: list[Finding]) -> None:
        self._raw = raw
        self._path = path
        self._findings = findings
        self._proposals = _MOST_PROPOSALS
        self._head = check_shape(TenantShape, raw, path, len(path), findings)
        self._known: dict[str, dict[str, str]] = {}

    def entry(self) -> Entry:
        """What there is of the tenant."""
        uuid = canonical_uuid(_text(self._raw, "uuid")) or ""
        user_uuids = tuple(canonical_uuid(_text(raw, "uuid")) or "" for _, raw in self._items("users"))
        self._known = {
            "users": self._declared("users", "uuid"),
            "groups": self._declared("groups", "id"),
            "outcalls": self._declared("outcalls", "id"),
        }
        users, groups, outcalls = self._users(), self._groups(), self._outcalls()
        permissions = self._permissions()
        tenant = None
        if self._head is not None and not any(found.severity is Severity.ERROR for found in self._findings):
            tenant = Tenant(self._head.uuid, self._head.name, users, groups, outcalls, permissions)
        return Entry(self._path, tenant_label(self._raw), uuid, tenant, user_uuids)

    def _items(self, key: str) -> Iterator[tuple[Path, object]]:
        """The members of one of the tenant's lists, each with the way to it."""
        items = self._raw.get(key) if isinstance(self._raw, dict) else None
        if isinstance(items, list):
            for index, raw in enumerate(items):
                yield (*self._path, key, index), raw

    def _declared(self, key: str, id_key: str) -> dict[str, str]:
        """The ids that the members of a list have; one that is there twice is a fault."""
        first: dict[str, Path] = {}
        for path, raw in self._items(key):
            written = _text(raw, id_key)
            declared = canonical_uuid(written) if id_key == "uuid" else written
            if declared:
                self._claim(first, declared, (*path, id_key), key)
        return {declared: declared for declared in first}

    def _claim(self, first: dict[str, Path] | dict[int, Path], declared: str | int, path: Path, key: str) -> None:
        """Notes who has the id; adds a finding where somebody has it already."""
        owner = first.setdefault(declared, path)  # type: ignore[arg-type]  # the ids of a dict are of one type
        if owner is not path:
            kind = {"users": "user", "groups": "group", "outcalls": "outcall"}.get(key, "permission")
            problem = f"{kind} {printable(str(declared))} is there already, as {key}[{owner[-2]}]"
            self._findings.append(Finding(path, problem, "give each its own, or remove one of the two"))

    def _users(self) -> tuple[User, ...]:
        users = []
        for path, raw in self._items("users"):
            shape = self._shape(UserShape, raw, path)
            if shape is not None:
                users.append(User(self._known["users"][shape.uuid], shape.call_permission_password))
        return tuple(users)

    def _groups(self) -> tuple[Group, ...]:
        groups = []
        for path, raw in self._items("groups"):
            shape = self._shape(GroupShape, raw, path)
            users = self._references(raw, path, "users")
            if shape is not None:
                groups.append(Group(shape.id, shape.name, shape.enabled, users))
        return tuple(groups)

    def _outcalls(self) -> tuple[Outcall, ...]:
        shapes = (self._shape(OutcallShape, raw, path) for path, raw in self._items("outcalls"))
        return tuple(Outcall(shape.id, shape.name) for shape in shapes if shape is not None)

    def _permissions(self) -> tuple[CallPermission, ...]:
        permissions = []
        first: dict[int, Path] = {}
        for path, raw in self._items("call_permissions"):
            shape = self._shape(PermissionShape, raw, path)
            number = raw.get("id") if isinstance(raw, dict) else None
            if isinstance(number, int) and not isinstance(number, bool):
                self._claim(first, number, (*path, "id"), "call_permissions")
            lists = [self._references(raw, path, key) for key in self._known]
            if shape is not None:
                permissions.append(self._permission(shape, lists, path))
        return tuple(permissions)

    def _permission(self, shape: PermissionShape, lists: list[tuple[str, ...]], path: Path) -> CallPermission:
        """The permission, and what it probably does not mean to say."""
        mode = Mode(shape.mode)
        extensions = self._once(list(enumerate(shape.extensions)), (*path, "extensions"))
        if not extensions:
            self._warn(path, "has no extensions, so it never applies", "list extensions, or remove it")
        if not any(lists):
            remedy = "list users, groups or outcalls, or remove it"
            self._warn(path, "belongs to no user, group or outcall, so it never applies", remedy)
        if mode is Mode.ALLOW and shape.password is not None:
            problem = "allows, so its password is never asked for"
            self._warn((*path, "password"), problem, "remove the password, or write mode: deny to ask for it")
        users, groups, outcalls = lists
        return CallPermission(
            shape.id, shape.name, mode, shape.password, shape.enabled, extensions, users, groups, outcalls
        )

    def _shape(self, shape: type[_Shape], raw: object, path: Path) -> _Shape | None:
        inner = PERMISSION_DEPTH if shape is PermissionShape and permission_label(raw) else len(self._path)
        return check_shape(shape, raw, path, inner, self._findings)

    def _references(self, raw: object, path: Path, key: str) -> tuple[str, ...]:
        """The ids in one of a thing's lists; one that nothing has is a fault. What is no id has its fault already."""
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
        """The members of a list without those that are in it already."""
        once = {member: member for _, member in members}
        if len(once) != len(members):
            seen: set[str] = set()
            for index, member in members:
                if member in seen:
                    self._warn((*path, index), f"'{printable(member)}' is in the list already", "remove one of the two")
                seen.add(member)
        return tuple(once)

    def _remedy(self, key: str, text: str) -> str:
        """What to do about a reference to nothing: perhaps a name was written for an id, or there is a typing error."""
        otherwise = f"add it to the tenant's {key}, or remove it here"
        if not self._proposals or key == "users":  # UUIDs are copied, not typed, and there may be many
            return otherwise
        self._proposals -= 1
        for _, raw in self._items(key):
            if _text(raw, "name") == text and _text(raw, "id"):
                return f"that is a name; write the id '{printable(_text(raw, 'id'))}'"
        proposal = wording.closest(text, self._known[key])
        return f"{proposal} Else {otherwise}" if proposal else otherwise

    def _warn(self, path: Path, problem: str, remedy: str) -> None:
        self._findings.append(Finding(path, problem, remedy, Severity.WARNING))


def _text(raw: object, key: str) -> str:
    """The text behind a key; empty where there is none."""
    value = raw.get(key) if isinstance(raw, dict) else None
    return value if isinstance(value, str) else ""
