"""A tenant's compiled rules at one revision: immutable, and used in place.

Nothing is built per rule. Opening a snapshot checks the blob (see ``blob``) and makes a dozen views, independent of
the blob's size; a decision reads a slot of a hash table, the blocks of a walk, and a permission's row.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.dialling import Dialling, Emergency
from pdp.rules.errors import SnapshotCorrupt, SnapshotError
from pdp.rules.model import Decision, Mode, PasswordOverride, Revision, Stage
from pdp.rules.patterns.alphabet import COMMON_WIDTH, END, FULL_WIDTH
from pdp.rules.snapshot.automaton import Automaton
from pdp.rules.snapshot.blob import Section, unseal, unseal_verified
from pdp.rules.snapshot.dialled import DialledMatching
from pdp.rules.snapshot.keytable import MISSING, KeyTable, find_text, find_user
from pdp.rules.snapshot.layout import (
    ALLOWS,
    ENABLED,
    HAS_PASSWORD,
    NO_SECRET,
    PATTERN_WORDS,
    PERMISSION_ROW,
    UUID_LENGTH,
)
from pdp.rules.snapshot.matcher import make_matcher
from pdp.rules.snapshot.passwords import RECORD_SIZE, verify_password
from pdp.rules.snapshot.records import Counts, GroupRecord, PermissionRecord, read_meta
from pdp.rules.snapshot.verdict import permission_name, verdict_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.rules.snapshot.blob import Blob, Extent


class _PermissionRow(NamedTuple):
    """A PERMISSION_ROW."""

    id: int
    name: bytes
    flags: int
    patterns: int
    secret: int
    text: int
    length: int


SYMBOLS_SIZE = 256


class Snapshot:
    """One tenant at one revision. Made by ``decode``.

    Attributes:
        tenant: the tenant's UUID.
        tenant_name: the tenant's name.
        revision: the revision of the tenant's rules.
        compiled_at: the time of compilation, in seconds of Unix time.
        password_override: where a user's own password replaces a permission's.
        counts: the numbers of entities in the snapshot.
        size: bytes of the blob.
        closed: the number of faults that keep the tenant closed, with its users and outcalls known, and without rules;
            0: the tenant is not closed.
        dialling: the tenant's dialling plan; None: extensions are read unchanged.
        emergency: the tenant's emergency numbers.
    """

    def __init__(self, blob: Blob, sections: dict[Section, Extent]) -> None:
        meta = read_meta(sections[Section.META])
        self.tenant: str = meta["tenant"]
        self.tenant_name: str = meta["tenant_name"]
        self.revision = Revision(meta["number"], meta["digest"])
        self.compiled_at: float = meta["compiled_at"]
        self.password_override = PasswordOverride(meta["password_override"])
        self.counts = Counts(**{name: meta[name] for name in Counts.__slots__})
        self.closed: int = meta.get("closed", 0)
        self.size = len(blob)
        self._named: bool = meta.get("named", False)
        plan = sections[Section.DIALLING].view
        self.dialling = Dialling(plan) if len(plan) else None
        self.emergency = self.emergency_among(meta.get("emergency", ()))
        self._blob = blob
        self._users = _table(blob, sections[Section.USERS])
        self._outcalls = _table(blob, sections[Section.OUTCALLS])
        aliases = sections[Section.ALIASES]
        self._aliases = _table(blob, aliases) if len(aliases.view) else None
        self._records = _words(sections[Section.RECORDS])
        self._permissions = sections[Section.PERMISSIONS].start
        self._patterns = _words(sections[Section.PATTERNS])
        self._strings = sections[Section.STRINGS].start
        self._secrets = sections[Section.SECRETS].start
        symbols = bytes(sections[Section.SYMBOLS].view)
        if len(symbols) != SYMBOLS_SIZE or max(symbols) >= FULL_WIDTH:
            raise SnapshotCorrupt("its symbols are not those of the format")
        self._automaton = Automaton(
            symbols=symbols,
            width=FULL_WIDTH if max(symbols) > END else COMMON_WIDTH,
            blob=blob,
            blocks=sections[Section.BLOCKS].start,
            ways_out=_words(sections[Section.BLOCKS]),
            leaves=_words(sections[Section.LEAVES]),
            programs=_words(sections[Section.PROGRAMS]),
            literals=sections[Section.LITERALS].start,
            wide=sections[Section.WIDE].view,
        )

        matcher = make_matcher(self._users, self._outcalls, self._automaton, self._permissions, self._strings)
        if self.dialling is not None:
            matcher = DialledMatching(matcher, self.dialling)
        self.knows_caller = matcher.knows_caller
        """Whether a UUID is that of a user of the tenant."""
        self.match = matcher.match
        """From caller, extension and outcall to the verdict's number, or NO_VERDICT.

        ``match`` and ``decide`` raise ``Undiallable`` where the tenant has a dialling plan and the extension cannot be
        dialled.
        """
        self.verdict = matcher.verdict
        """The verdict with a number that ``match`` returned."""
        self.decide = matcher.decide
        """From caller, extension and outcall to the verdict."""

    def emergency_among(self, numbers: Iterable[str]) -> Emergency:
        """Emergency numbers as the tenant dials them."""
        if self.dialling is None:
            return Emergency(numbers)
        return Emergency(numbers, self.dialling.outside_line, self.dialling.hides_caller)

    @property
    def blob(self) -> Blob:
        """The blob that the snapshot was decoded from."""
        return self._blob

    def opens(self, number: int, caller: str, password: str, secrets: Sequence[bytes]) -> bool:
        """Whether a password opens the challenge of a verdict to a caller.

        Args:
            number: the verdict's number that ``match`` returned for that caller.
            caller: the user's UUID, or nothing.
            password: the digits, in the clear.
            secrets: the deployment's keys; the password's hash was made with one of these.
        """
        record = self.password_record(number, caller)
        if not record:
            return False
        # A list, so that every key is tried and the time does not tell which one fits.
        return any([verify_password(key, record, password) for key in secrets])  # noqa: C419 - all keys are tried, so that the time does not tell which one it was

    def password_record(self, number: int, caller: str) -> bytes:
        """Salt and hash of the password that opens the challenge of a verdict to a caller; empty: none does.

        Args:
            number: as of ``opens``.
            caller: as of ``opens``.
        """
        slot, decision, stage = verdict_parts(number)
        if decision is not Decision.CHALLENGE:
            return b""
        secret = self._permission(slot).secret
        at = find_user(self._users, caller) if caller else MISSING
        if at != MISSING and (stage is Stage.USER or self.password_override is PasswordOverride.ALL):
            secret = self._records[self._users.words[at + 1]] or secret
        return self._secret(secret)

    def user_of(self, asker: str) -> str:
        """The UUID, in lower case, of the user with a UUID or an alias; empty where there is no such user."""
        if len(asker) == UUID_LENGTH and self.knows_caller(asker):
            return asker.lower()
        at = self._find_alias(asker)
        return self._string(*self._aliases.words[at : at + 2]) if self._aliases is not None and at != MISSING else ""

    def has_alias(self, alias: str) -> bool:
        """Whether a user of the tenant has an alias."""
        return self._find_alias(alias) != MISSING

    def _find_alias(self, alias: str) -> int:
        """The index of an alias in the table of aliases, or MISSING."""
        return find_text(self._aliases, alias) if self._aliases is not None else MISSING

    # Look-ups, for explanations and reports.

    def knows_outcall(self, outcall: str) -> bool:
        """Whether ``outcall`` is an outgoing call of the tenant."""
        return find_text(self._outcalls, outcall) != MISSING

    def callers(self) -> Iterator[str]:
        """The UUIDs of the tenant's users, in no order."""
        return (key.decode() for key in self._users)

    def outcalls(self) -> Iterator[tuple[str, str]]:
        """The ids of the tenant's outgoing calls, each with the name, in no order."""
        for key in self._outcalls:
            record = self._outcalls.words[self._outcalls.find(key) + 1]
            yield key.decode(), self._string(*self._records[record + 2 : record + 4])

    def aliases(self) -> Iterator[tuple[str, str]]:
        """The aliases of the tenant's users, each with the user's UUID, in no order."""
        for key, offset in self._aliases.items() if self._aliases is not None else ():
            yield key.decode(), self._string(offset, UUID_LENGTH)

    def user_names(self, caller: str) -> tuple[str, str]:
        """A user's name and extension; empty for an unknown user, and where the loader was to keep no names."""
        at = find_user(self._users, caller)
        if at == MISSING or not self._named:
            return "", ""
        end = self._users.words[at + 1] + 1
        for _ in ("slots", "groups"):
            end += 1 + self._records[end]
        return self._string(*self._records[end : end + 2]), self._string(*self._records[end + 2 : end + 4])

    def profiles(self) -> Iterator[tuple[str, int]]:
        """The UUIDs of the tenant's users, each with a number: users with equal numbers get equal verdicts."""
        return ((key.decode(), root) for key, root in self._users.items())

    def user_permissions(self, caller: str) -> Sequence[int]:
        """The slots of the permissions that a user is associated with; empty for an unknown user."""
        at = find_user(self._users, caller)
        return self._list(self._users.words[at + 1] + 1) if at != MISSING else ()

    def user_groups(self, caller: str) -> list[GroupRecord]:
        """The groups that a user is a member of, disabled ones included; empty for an unknown user."""
        at = find_user(self._users, caller)
        if at == MISSING:
            return []
        slots = self._users.words[at + 1] + 1
        return [self._group(start) for start in self._list(slots + 1 + self._records[slots])]

    def outcall_permissions(self, outcall: str) -> Sequence[int]:
        """The slots of the permissions that an outcall is associated with; empty for an unknown outcall."""
        at = find_text(self._outcalls, outcall)
        return self._list(self._outcalls.words[at + 1] + 4) if at != MISSING else ()

    def permission(self, slot: int) -> PermissionRecord:
        """The permission in a slot."""
        row = self._permission(slot)
        return PermissionRecord(
            id=row.id,
            name=permission_name(self._blob, self._row(slot), row.name, self._strings),
            mode=Mode.ALLOW if row.flags & ALLOWS else Mode.DENY,
            enabled=bool(row.flags & ENABLED),
            has_password=bool(row.flags & HAS_PASSWORD),
            patterns=self._list(row.patterns),
        )

    def permission_secret(self, slot: int) -> bytes:
        """Salt and hash of a permission's password; empty without one, and where there is no key to hash with."""
        return self._secret(self._permission(slot).secret)

    def user_secret(self, caller: str) -> bytes:
        """Salt and hash of a user's own password; empty without one, and where there is no key to hash with."""
        at = find_user(self._users, caller)
        return self._secret(self._records[self._users.words[at + 1]]) if at != MISSING else b""

    def pattern(self, number: int) -> str:
        """A pattern, as its administrator wrote it."""
        return self._string(*self._patterns[number * PATTERN_WORDS : number * PATTERN_WORDS + 2])

    def pattern_matches(self, number: int, extension: str) -> bool:
        """Whether a pattern, by itself, matches an extension."""
        kind, program = self._patterns[number * PATTERN_WORDS + 2 : (number + 1) * PATTERN_WORDS]
        return self._automaton.matches(kind, program, self._automaton.word(extension))

    def pattern_tokens(self, number: int) -> tuple[int, ...]:
        """The extensions that a pattern matches, as tokens in normal form (see ``pattern``)."""
        kind, program = self._patterns[number * PATTERN_WORDS + 2 : (number + 1) * PATTERN_WORDS]
        return self._automaton.tokens(kind, program)

    def symbols_of(self, extension: str) -> bytes:
        """An extension as symbols, one per character."""
        return self._automaton.word(extension)[:-1]

    def _permission(self, slot: int) -> _PermissionRow:
        return _PermissionRow(*PERMISSION_ROW.unpack_from(self._blob, self._row(slot)))

    def _row(self, slot: int) -> int:
        """The offset of a permission's row in the blob."""
        return self._permissions + slot * PERMISSION_ROW.size

    def _group(self, start: int) -> GroupRecord:
        id_, id_length, name, name_length, flags = self._records[start : start + 5]
        return GroupRecord(
            id=self._string(id_, id_length),
            name=self._string(name, name_length),
            enabled=bool(flags & ENABLED),
            permissions=self._list(start + 5),
        )

    def _secret(self, number: int) -> bytes:
        """Salt and hash with a number; empty for NO_SECRET."""
        start = self._secrets + (number - 1) * RECORD_SIZE
        return b"" if number == NO_SECRET else bytes(self._blob[start : start + RECORD_SIZE])

    def _list(self, start: int) -> Sequence[int]:
        return self._records[start + 1 : start + 1 + self._records[start]]

    def _string(self, offset: int, length: int) -> str:
        start = self._strings + offset
        return self._blob[start : start + length].decode()


def decode(blob: bytes | bytearray | memoryview | mmap.mmap, *, secrets: Sequence[bytes] = ()) -> Snapshot:
    """Opens a snapshot.

    Args:
        blob: the result of a compiler; bytes and maps are used in place, other buffers are copied.
        secrets: the deployment's keys, of which one must have signed the blob; none: no signature is required.

    Raises:
        SnapshotError: the blob is no whole, undamaged, trusted snapshot of this release's format.
    """
    whole = blob if isinstance(blob, bytes | mmap.mmap) else bytes(blob)
    return _opened(whole, unseal(whole, secrets))


def decode_verified(blob: Blob) -> Snapshot:
    """Opens a snapshot that ``decode`` has opened before, maybe in another process, without hashing the blob once more.

    Only for memory that cannot have been written to since, and that came from the process that verified the blob: a
    changed byte goes unnoticed, and decides calls.

    Raises:
        SnapshotError: the blob is no whole snapshot of this release's format.
    """
    return _opened(blob, unseal_verified(blob))


def _opened(blob: Blob, sections: dict[Section, Extent]) -> Snapshot:
    try:
        return Snapshot(blob, sections)
    except SnapshotError:
        raise
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError, struct.error) as error:
        # The checksum holds, so the blob was written like this: by a faulty writer, or by one that is not ours.
        raise SnapshotCorrupt(f"a section is not what the format says: {error}") from error


def _table(blob: Blob, extent: Extent) -> KeyTable:
    return KeyTable(blob, extent.view, extent.start)


def _words(extent: Extent) -> memoryview:
    return extent.view.cast("I")
