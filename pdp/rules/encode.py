"""Writing a snapshot: the sections that ``snapshot`` reads. The two files are the format; they change together."""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING

from pdp.rules.blob import Section, seal
from pdp.rules.digest import permission_owner, user_owner
from pdp.rules.keytable import build_table
from pdp.rules.layout import ALLOWS, ENABLED, HAS_PASSWORD, NO_SECRET, PATTERN_WORDS, PERMISSION_WORDS, UUID_LENGTH
from pdp.rules.model import Mode
from pdp.rules.passwords import RECORD_SIZE, hash_password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.rules.compile import Compiled
    from pdp.rules.model import CallPermission, PasswordOverride, Revision, Tenant
    from pdp.rules.pattern import Pattern

def encode(  # noqa: PLR0913 - a snapshot is made of these, and nothing else has all of them
    tenant: Tenant,
    compiled: Compiled,
    revision: Revision,
    compiled_at: float,
    password_override: PasswordOverride,
    secret: bytes | None,
) -> bytes:
    """The blob of a compiled tenant, signed where there is a secret key."""
    writer = _Writer(tenant, compiled, secret)
    builder = compiled.builder
    writer.write()
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
        "patterns": sum(len(permission.extensions) for permission in tenant.call_permissions),
    }
    sections = {
        Section.META: json.dumps(meta).encode(),
        Section.SYMBOLS: builder.symbols,
        Section.ROWS: builder.rows.tobytes(),
        Section.LEAVES: builder.leaves.tobytes(),
        Section.PROGRAMS: builder.programs.tobytes(),
        Section.LITERALS: bytes(builder.literals),
        Section.WIDE: bytes(builder.wide),
        Section.USERS: build_table(writer.users, width=UUID_LENGTH),
        Section.OUTCALLS: build_table(writer.outcalls),
        Section.RECORDS: writer.records.tobytes(),
        Section.PERMISSIONS: writer.permissions.tobytes(),
        Section.PATTERNS: writer.patterns.tobytes(),
        Section.STRINGS: bytes(writer.strings),
        Section.SECRETS: bytes(writer.secrets),
    }
    return seal(sections, secret)


class _Writer:
    """Collects the sections that describe the tenant, as opposed to its automata."""

    def __init__(self, tenant: Tenant, compiled: Compiled, secret: bytes | None) -> None:
        self._tenant = tenant
        self._compiled = compiled
        self._secret = secret
        self._pattern_numbers: dict[str, int] = {}
        self.users: list[tuple[bytes, int, int]] = []
        self.outcalls: list[tuple[bytes, int, int]] = []
        self.records = array("I")
        self.permissions = array("I")
        self.patterns = array("I")
        self.strings = bytearray()
        self.secrets = bytearray()

    def write(self) -> None:
        """Fills every section."""
        self._write_permissions()
        groups = self._write_groups()
        self._write_users(groups)
        self._write_outcalls()

    def _write_permissions(self) -> None:
        slots = self._compiled.slots
        self.permissions.frombytes(bytes(4 * PERMISSION_WORDS * (max(slots, default=-1) + 1)))
        for slot, permission in slots.items():
            patterns = [self._pattern(pattern) for pattern in self._compiled.slot_patterns[slot]]
            self.permissions[slot * PERMISSION_WORDS : (slot + 1) * PERMISSION_WORDS] = array(
                "I",
                (
                    permission.id & 0xFFFFFFFF,
                    permission.id >> 32,
                    *self._string(permission.name),
                    _flags(permission),
                    self._list(patterns),
                    self._password(permission_owner(self._tenant.uuid, permission), permission.password),
                    0,
                ),
            )

    def _write_groups(self) -> list[int]:
        """Writes the groups' records and returns where they start, by position in the tenant."""
        starts: list[int] = []
        for group in self._tenant.groups:
            starts.append(len(self.records))
            names = (*self._string(group.id), *self._string(group.name))
            self.records.extend((*names, ENABLED if group.enabled else 0))
            self._list(self._compiled.group_slots.get(group.id, ()))
        return starts

    def _write_users(self, groups: Sequence[int]) -> None:
        compiled, records = self._compiled, self.records
        for user, root in zip(self._tenant.users, compiled.user_roots, strict=True):
            self.users.append((user.uuid.encode("ascii"), root, len(records)))
            records.append(self._password(user_owner(self._tenant.uuid, user), user.call_permission_password))
            self._list(compiled.user_slots.get(user.uuid, ()))
            self._list([groups[position] for position in compiled.user_groups.get(user.uuid, ())])

    def _write_outcalls(self) -> None:
        for outcall, root in zip(self._tenant.outcalls, self._compiled.outcall_roots, strict=True):
            self.outcalls.append((outcall.id.encode(), root, len(self.records)))
            self.records.extend((*self._string(outcall.id), *self._string(outcall.name)))
            self._list(self._compiled.outcall_slots.get(outcall.id, ()))

    def _pattern(self, pattern: Pattern) -> int:
        """The number of a pattern in PATTERNS."""
        number = self._pattern_numbers.get(pattern.text)
        if number is None:
            number = self._pattern_numbers[pattern.text] = len(self.patterns) // PATTERN_WORDS
            builder = self._compiled.builder
            program = builder.patterns[builder.pattern(pattern.tokens)]
            self.patterns.extend((*self._string(pattern.text), program.kind, program.first))
        return number

    def _list(self, members: Sequence[int]) -> int:
        """Writes a list and returns where it starts."""
        start = len(self.records)
        self.records.append(len(members))
        self.records.extend(members)
        return start

    def _string(self, text: str) -> tuple[int, int]:
        encoded = text.encode()
        start = len(self.strings)
        self.strings += encoded
        return start, len(encoded)

    def _password(self, owner: str, password: str | None) -> int:
        if password is None or self._secret is None:
            return NO_SECRET
        self.secrets += hash_password(self._secret, owner, password)
        return len(self.secrets) // RECORD_SIZE


def _flags(permission: CallPermission) -> int:
    flags = ALLOWS if permission.mode is Mode.ALLOW else 0
    if permission.password is not None:
        flags |= HAS_PASSWORD
    return flags | (ENABLED if permission.enabled else 0)
