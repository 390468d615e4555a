"""Writing a snapshot: the sections that ``snapshot`` reads. The two files are the format, and change together.

The tables grow as rules change: a record that is written again is appended, and references to the old record are
overwritten in place. Records without references stay until the compiler starts afresh (see ``compile``), except
passwords' hashes, which are overwritten at once.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING

from pdp.rules.compiler.digest import permission_owner, user_owner
from pdp.rules.model import Mode
from pdp.rules.snapshot.keytable import TableBuilder
from pdp.rules.snapshot.layout import (
    ALLOWS,
    ENABLED,
    HAS_PASSWORD,
    LONG_NAME,
    NO_SECRET,
    PATTERN_WORDS,
    PERMISSION_ROW,
    UUID_LENGTH,
)
from pdp.rules.snapshot.passwords import RECORD_SIZE, hash_password

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pdp.rules.compiler.automata import AutomatonBuilder
    from pdp.rules.model import CallPermission, Group, Outcall, PasswordOverride, Revision, Tenant, User
    from pdp.rules.patterns.parser import Pattern


def meta_of(tenant: Tenant, revision: Revision, compiled_at: float, password_override: PasswordOverride) -> bytes:
    """The section META of a tenant's snapshot."""
    meta = {
        "tenant": tenant.uuid,
        "tenant_name": tenant.name,
        "number": revision.number,
        "digest": revision.digest,
        "compiled_at": compiled_at,
        "password_override": password_override,
        "users": len(tenant.users),
        "groups": len(tenant.groups),
        "outcalls": len(tenant.outcalls),
        "permissions": len(tenant.call_permissions),
        "emergency": tenant.emergency,
        "closed": tenant.closed,
        "named": True,
        "patterns": sum(len(permission.extensions) for permission in tenant.call_permissions),
    }
    return json.dumps(meta).encode()


class Tables:
    """The sections that describe the tenant, as opposed to its automata.

    Args:
        tenant: the tenant's UUID.
        automata: the tenant's automata.
        secret: the deployment's key; None: there are no hashes of passwords.
    """

    def __init__(self, tenant: str, automata: AutomatonBuilder, secret: bytes | None) -> None:
        self.automata = automata
        self.users = TableBuilder(UUID_LENGTH)
        self.outcalls = TableBuilder()
        self.aliases = TableBuilder()
        self.records = array("I")
        self.permissions = bytearray()
        self.patterns = array("I")
        self.strings = bytearray()
        self.secrets = bytearray()
        self._tenant = tenant
        self._secret = secret
        self._pattern_numbers: dict[str, int] = {}
        # The aliases of users that have any, and the user of each alias.
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._alias_owners: dict[str, str] = {}
        # Where a group's record starts, and for how many slots the record has room.
        self._groups: dict[str, tuple[int, int]] = {}
        # The numbers of secrets, by owner; and the numbers that are free to use again.
        self._secret_numbers: dict[str, int] = {}
        self._free_secrets: list[int] = []

    def size(self) -> int:
        """Bytes of the tables that grow with every change."""
        words = len(self.records) + len(self.patterns)
        return words * self.records.itemsize + len(self.permissions) + len(self.strings)

    def set_permission(self, slot: int, permission: CallPermission, patterns: Iterable[Pattern]) -> None:
        """Writes a permission's row."""
        end = (slot + 1) * PERMISSION_ROW.size
        if len(self.permissions) < end:
            self.permissions.extend(bytes(end - len(self.permissions)))
        name = permission.name.encode()
        PERMISSION_ROW.pack_into(
            self.permissions,
            end - PERMISSION_ROW.size,
            permission.id,
            name,
            _flags(permission),
            self._list([self._pattern(pattern) for pattern in patterns]),
            self._password(permission_owner(self._tenant, permission), permission.password),
            *(self._string(permission.name) if len(name) >= LONG_NAME else (0, 0)),
        )

    def remove_permission(self, permission: CallPermission) -> None:
        """Wipes a permission's password; the permission's row stays, without references."""
        self._password(permission_owner(self._tenant, permission), None)

    def set_group(self, group: Group, slots: Sequence[int]) -> bool:
        """Writes a group's record and returns whether the record has moved."""
        names = (*self._string(group.id), *self._string(group.name))
        record = array("I", (*names, ENABLED if group.enabled else 0, len(slots), *slots))
        start, room = self._groups.get(group.id, (0, -1))
        if len(slots) <= room:
            self.records[start : start + len(record)] = record
            return False
        self._groups[group.id] = len(self.records), len(slots)
        self.records.extend(record)
        return True

    def remove_group(self, group: Group) -> None:
        """Forgets a group."""
        self._groups.pop(group.id, None)

    def set_user(self, user: User, root: int, slots: Sequence[int], groups: Iterable[str]) -> None:
        """Writes a user's record, after those of the user's groups."""
        password = self._password(user_owner(self._tenant, user), user.call_permission_password)
        self.users.set(user.uuid.encode("ascii"), root, len(self.records))
        starts = [self._groups[group][0] for group in groups]
        texts = (*self._string(user.name), *self._string(user.extension))
        self.records.extend((password, len(slots), *slots, len(starts), *starts, *texts))
        if user.aliases or self._aliases:
            self._set_aliases(user.uuid, user.aliases)

    def remove_user(self, user: User) -> None:
        """Removes a user."""
        self.users.remove(user.uuid.encode("ascii"))
        self._set_aliases(user.uuid, ())
        self._password(user_owner(self._tenant, user), None)

    def set_outcall(self, outcall: Outcall, root: int, slots: Sequence[int]) -> None:
        """Writes an outcall's record."""
        self.outcalls.set(outcall.id.encode(), root, len(self.records))
        self.records.extend((*self._string(outcall.id), *self._string(outcall.name)))
        self._list(slots)

    def remove_outcall(self, outcall: Outcall) -> None:
        """Removes an outcall."""
        self.outcalls.remove(outcall.id.encode())

    def _set_aliases(self, user: str, aliases: tuple[str, ...]) -> None:
        """Gives a user these aliases, in place of the user's old ones."""
        before = self._aliases.pop(user, ())
        if aliases:
            self._aliases[user] = aliases
        if aliases == before:
            return
        for alias in before:
            if self._alias_owners.get(alias) == user:  # else another user of the same edit has the alias by now
                del self._alias_owners[alias]
                self.aliases.remove(alias.encode())
        place = self._string(user)
        for alias in aliases:
            self._alias_owners[alias] = user
            self.aliases.set(alias.encode(), *place)

    def _pattern(self, pattern: Pattern) -> int:
        """The number of a pattern in PATTERNS."""
        number = self._pattern_numbers.get(pattern.text)
        if number is None:
            number = self._pattern_numbers[pattern.text] = len(self.patterns) // PATTERN_WORDS
            first = self.automata.pattern(pattern.tokens)
            self.patterns.extend((*self._string(pattern.text), self.automata.patterns[first].kind, first))
        return number

    def _list(self, members: Sequence[int]) -> int:
        """Writes a list and returns where the list starts."""
        start = len(self.records)
        self.records.append(len(members))
        self.records.extend(members)
        return start

    def _string(self, text: str) -> tuple[int, int]:
        start = len(self.strings)
        if not text:
            return start, 0
        encoded = text.encode()
        self.strings += encoded
        return start, len(encoded)

    def _password(self, owner: str, password: str | None) -> int:
        """The number of a password's hash, in the owner's last place; without a password that place is wiped."""
        if password is None or self._secret is None:
            if not self._secret_numbers:
                return NO_SECRET
            number = self._secret_numbers.pop(owner, NO_SECRET)
            if number != NO_SECRET:
                self._free_secrets.append(number)
                self.secrets[(number - 1) * RECORD_SIZE : number * RECORD_SIZE] = bytes(RECORD_SIZE)
            return NO_SECRET
        number = self._secret_numbers.get(owner, NO_SECRET)
        if number == NO_SECRET:
            if not self._free_secrets:
                self.secrets += bytes(RECORD_SIZE)
                self._free_secrets.append(len(self.secrets) // RECORD_SIZE)
            number = self._secret_numbers[owner] = self._free_secrets.pop()
        self.secrets[(number - 1) * RECORD_SIZE : number * RECORD_SIZE] = hash_password(self._secret, owner, password)
        return number


def _flags(permission: CallPermission) -> int:
    flags = ALLOWS if permission.mode is Mode.ALLOW else 0
    if permission.password is not None:
        flags |= HAS_PASSWORD
    return flags | (ENABLED if permission.enabled else 0)
