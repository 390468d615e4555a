"""The entities of rules, and the decisions that rules lead to; docs/semantics.md has the meaning of each.

Everything here is immutable and plain: the loader makes entities from a source, the compiler reads entities. A password
is never part of a ``repr``, so that none reaches a log or a traceback.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

MAX_EXTENSION_LENGTH = 128
MAX_CALLER_LENGTH = 128
"""Characters of a caller and of an alias."""
MAX_OUTCALL_LENGTH = 128
MAX_PATTERN_LENGTH = 128
MAX_PERMISSION_PATTERNS = 100_000
MAX_PASSWORD_LENGTH = 40


class Mode(StrEnum):
    """Whether a permission allows or denies the extensions that match."""

    ALLOW = "allow"
    DENY = "deny"


class PasswordOverride(StrEnum):
    """The stages in which a user's own password replaces a permission's."""

    ALL = "all"
    """The stages USER, GROUP and OUTCALL, as in Wazo's manual."""
    USER = "user"
    """The stage USER alone, as in Wazo's code."""


class Decision(IntEnum):
    """The decision on a call. Numbers and names are the API's (``DECISION_…``)."""

    ALLOW = 1
    DENY = 2
    CHALLENGE = 3


class Stage(IntEnum):
    """The stages of a decision, in order. Numbers and names are the API's (``STAGE_…``)."""

    NONE = 1
    USER = 2
    GROUP = 3
    OUTCALL = 4
    EMERGENCY = 5
    """The stage before all others: an emergency number."""
    POLICY = 6
    """The stage before the permissions: unknown callers or outcalls are denied."""


class Reason(IntEnum):
    """The reason of a decision. Numbers and names are the API's (``REASON_…``)."""

    PERMISSION = 1
    NO_PERMISSION = 2
    EMERGENCY = 3
    UNKNOWN_CALLER = 4
    UNKNOWN_OUTCALL = 5
    CHALLENGE_UNANSWERABLE = 6


class Call(NamedTuple):
    """A call that is to be decided.

    Attributes:
        caller: the user who calls, a UUID or an alias; empty: no user.
        extension: the text that was dialled.
        outcall: the outgoing call's id; empty: none.
        tenant: the tenant's UUID; empty: the asker's tenant, else the outcall's.
        forwarded_by: the user whose forward or transfer sends the call on, in the form of ``caller``; empty: none.
    """

    caller: str
    extension: str
    outcall: str = ""
    tenant: str = ""
    forwarded_by: str = ""

    @property
    def asker(self) -> str:
        """The user whose permissions decide: the user who forwards the call, else the caller."""
        return self.forwarded_by or self.caller


@dataclass(frozen=True, slots=True)
class User:
    """A user of the telephone system.

    Attributes:
        uuid: the user's name in requests.
        call_permission_password: the user's own password, which replaces the passwords of permissions.
        name, extension: for people, without influence on decisions.
        aliases: other names in requests, unique in the tenant.
    """

    uuid: str
    call_permission_password: str | None = field(default=None, repr=False)
    name: str = ""
    extension: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users; a disabled group gives its members no permissions."""

    id: str
    name: str = ""
    enabled: bool = True
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcall:
    """An outgoing call: a route to trunks."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class CallPermission:
    """Patterns to allow or deny, and the associated users, groups and outcalls; ``description`` is prose."""

    id: int
    name: str = ""
    mode: Mode = Mode.DENY
    password: str | None = field(default=None, repr=False)
    enabled: bool = True
    extensions: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    outcalls: tuple[str, ...] = ()
    description: str = ""


class Chosen(StrEnum):
    """The callers of an expectation."""

    EVERYONE = "everyone"
    """All users of the tenant."""
    NOBODY_KNOWN = "nobody_known"
    """Callers that are no user."""
    LISTED = "listed"
    """The users and members of groups that are listed."""
    ALL_EXCEPT = "all_except"
    """All users of the tenant but those."""


@dataclass(frozen=True, slots=True)
class Who:
    """The callers of an expectation; members of a listed group count whether the group is enabled or not."""

    chosen: Chosen = Chosen.EVERYONE
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """A condition that every published rule set of the tenant must meet.

    Attributes:
        name: the name for people.
        who: the callers.
        dial: patterns of the extensions.
        must: the decisions of which every such call gets one.
        through: ids of outcalls; empty: calls without an outcall; None: calls through each outcall and without one.
        enforce: whether a failed expectation keeps the tenant from being published.
    """

    name: str
    who: Who
    dial: tuple[str, ...]
    must: frozenset[Decision]
    through: tuple[str, ...] | None = None
    enforce: bool = True


@dataclass(frozen=True, slots=True)
class Dialling:
    """A tenant's dialling plan.

    Attributes:
        country: two letters; empty: extensions are folded, and numbers have one form.
        outside_line: the digits in front of an outside number; empty: none.
        table: the numbering of that country behind that line, as ``dialling`` encodes the table.
    """

    country: str
    outside_line: str
    table: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ignored:
    """Mistakes that lint reports and that are accepted on purpose.

    Attributes:
        code: the kind of mistake.
        reason: the reason, for people.
        permissions: the ids of the permissions at fault; empty: of any.
    """

    code: str
    reason: str
    permissions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer, with all rules and users. UUIDs are in canonical lower case; references are known to exist.

    Attributes:
        emergency: numbers that are always allowed, those of a country among these.
        dialling: the dialling plan; None: extensions are read unchanged.
        closed: the number of faults that keep the tenant from having rules; 0: none. A closed tenant has no
            permissions.
    """

    uuid: str
    name: str = ""
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    outcalls: tuple[Outcall, ...] = ()
    call_permissions: tuple[CallPermission, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    emergency: tuple[str, ...] = ()
    dialling: Dialling | None = None
    closed: int = 0
    lint: tuple[Ignored, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """One state of a tenant's rules.

    Attributes:
        number: rises with every publication of the tenant, and never falls.
        digest: 64 hexadecimal digits over the content, so equal content has equal digests.
    """

    number: int
    digest: str

    def __str__(self) -> str:
        """The revision in responses, log lines and metrics: ``17-3fa9c0d2b1e4``."""
        return f"{self.number}-{self.digest[:12]}"
