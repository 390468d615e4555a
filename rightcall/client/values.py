"""The questions and answers of a client: plain, immutable values. Their meaning: docs/semantics.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from datetime import datetime


class Decision(IntEnum):
    """The decision on a call. Numbers and names are the API's (``DECISION_…``)."""

    ALLOW = 1
    DENY = 2
    CHALLENGE = 3
    """Ask the caller for a password."""


class Stage(IntEnum):
    """The stage that decided. Numbers and names are the API's (``STAGE_…``)."""

    NONE = 1
    """No permission matched: the call is allowed."""
    USER = 2
    GROUP = 3
    OUTCALL = 4
    EMERGENCY = 5
    """Before all others: an emergency number."""
    POLICY = 6
    """Before the permissions: the server denies callers or outcalls that are not known."""


class Reason(IntEnum):
    """The reason of a decision. Numbers and names are the API's (``REASON_…``)."""

    UNSPECIFIED = 0
    """The server is of a release without reasons."""
    PERMISSION = 1
    NO_PERMISSION = 2
    EMERGENCY = 3
    UNKNOWN_CALLER = 4
    UNKNOWN_OUTCALL = 5
    CHALLENGE_UNANSWERABLE = 6
    """A password is required, and the call is forwarded, so the person who knows the password is not on the line."""


class Mode(IntEnum):
    """Whether a permission allows or denies matching extensions. Numbers and names are the API's (``MODE_…``)."""

    ALLOW = 1
    DENY = 2


class StageResult(IntEnum):
    """The result of a stage. Numbers and names are the API's (``STAGE_RESULT_…``)."""

    DECIDED = 1
    NO_MATCH = 2
    NOT_REACHED = 3
    NOT_APPLICABLE = 4


class CandidateResult(IntEnum):
    """The result of a permission in a stage. Numbers and names are the API's (``CANDIDATE_RESULT_…``)."""

    DECIDED = 1
    OUTWEIGHED = 2
    NO_PATTERN_MATCHES = 3
    DISABLED = 4
    GROUP_DISABLED = 5
    NOT_REACHED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A question: may ``caller`` dial ``extension`` through ``outcall``?

    Attributes:
        extension: the dialled extension, 1 to 128 printable characters.
        caller: the user who calls, a UUID or an alias; empty: only the outcall's permissions apply.
        outcall: the id of the outgoing call; empty: the call leaves through none.
        tenant: the tenant's UUID; empty: the caller's own tenant, else the outcall's.
        at_least_revision: number of the oldest revision that may decide; 0: any.
        forwarded_by: the user whose forward or transfer sends the call on, as ``caller``; that user's permissions
            decide then. Empty: not forwarded.
    """

    extension: str
    caller: str = ""
    outcall: str = ""
    tenant: str = ""
    at_least_revision: int = 0
    forwarded_by: str = ""


@dataclass(frozen=True, slots=True)
class Permission:
    """A call permission, with the administrator's id and name."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question.

    Attributes:
        decision: the decision on the call.
        stage: the stage that decided.
        permission: the permission that decided; None in the stages NONE, EMERGENCY and POLICY.
        revision: the state of the rules that decided; empty where the call belongs to no tenant.
        challenge: with CHALLENGE, the token for ``answer_challenge``; empty if the server cannot check passwords.
        decision_id: id of the entry in the server's decision log; empty without a log, and for one of many.
        reason: the reason, in one word.
        caller_known: whether the caller, or the user who forwards the call, is a user of the tenant.
        outcall_known: whether the outcall is one of the tenant's.
    """

    decision: Decision
    stage: Stage
    permission: Permission | None
    revision: str
    challenge: str
    decision_id: str = ""
    reason: Reason = Reason.UNSPECIFIED
    caller_known: bool = False
    outcall_known: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the call may go ahead now, without a password."""
        return self.decision is Decision.ALLOW

    def __bool__(self) -> NoReturn:
        """Rejects use as a truth value: an answer that denies is an object as well, and would let every call through.

        Raises:
            TypeError: always.
        """
        raise _no_truth()


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """The answer to a password.

    Attributes:
        decision: ALLOW or DENY.
        attempts_left: with DENY, how often another password may be tried now; 0: do not ask the caller again.
        revision: the state of the rules that decided.
        retry_after: with DENY, seconds until the caller's passwords are looked at again; 0: there is no lockout.
    """

    decision: Decision
    attempts_left: int
    revision: str
    retry_after: int

    @property
    def allowed(self) -> bool:
        """Whether the call may go ahead now."""
        return self.decision is Decision.ALLOW

    def __bool__(self) -> NoReturn:
        """Nothing, as of ``Answer``.

        Raises:
            TypeError: always.
        """
        raise _no_truth()


def _no_truth() -> TypeError:
    return TypeError("an answer is neither true nor false, since DENY is an answer; ask .allowed")


@dataclass(frozen=True, slots=True)
class ClosestPattern:
    """A pattern that does not match, with the position of the failure.

    Attributes:
        pattern: as written by the administrator.
        position: the first character of the form, counted from 1, that does not match; one more than the length: the
            pattern requires more.
        expected: the accepted characters there, as in a pattern; empty: nothing more.
        form: the compared text: the extension, or a form of the extension.
    """

    pattern: str
    position: int
    expected: str
    form: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One permission that a stage looked at, with the result.

    Attributes:
        permission: the permission.
        mode: whether the permission allows or denies.
        has_password: whether a password opens the permission.
        result: the permission's part in the decision.
        matched_patterns: the patterns that match the extension, even if the permission takes no part.
        group_id: the group through which the permission applies, in the stage GROUP.
        group_name: that group's name.
        reason: one sentence.
        closest: if no pattern matches, the one that comes closest; None without patterns.
        matched_form: the text that the first matching pattern matches: the extension, or a form of the extension.
    """

    permission: Permission
    mode: Mode
    has_password: bool
    result: CandidateResult
    matched_patterns: tuple[str, ...]
    group_id: str
    group_name: str
    reason: str
    closest: ClosestPattern | None = None
    matched_form: str = ""


@dataclass(frozen=True, slots=True)
class StageExplanation:
    """One stage, the result, and the candidates, matching ones first."""

    stage: Stage
    result: StageResult
    candidates: tuple[Candidate, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer with the derivation.

    Attributes:
        answer: the answer of ``check``.
        tenant: the tenant whose rules decided; empty where the call belongs to none.
        caller_known: whether the caller is a user of that tenant.
        outcall_known: whether the outcall is one of that tenant's.
        stages: USER, GROUP and OUTCALL, in the order of evaluation.
        summary: one sentence.
        forms: the forms that rules were matched against, for a tenant with dialling.
    """

    answer: Answer
    tenant: str
    caller_known: bool
    outcall_known: bool
    stages: tuple[StageExplanation, ...]
    summary: str
    forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """The state of one tenant on a server.

    Attributes:
        tenant: the tenant's UUID.
        name: the tenant's name.
        revision: as in every answer.
        number: the revision's number, which rises with every publication.
        compiled_at: time when the loader compiled the rules, in UTC.
        loaded_at: time when the server began to decide by the revision, in UTC.
        users: number of users.
        groups: number of groups.
        outcalls: number of outgoing calls.
        permissions: number of call permissions.
        patterns: number of distinct patterns.
        bytes: size of the compiled rules in memory.
        loaded_from: ``redis``, ``definitions``, or ``disk`` as long as Redis has not confirmed the revision.
    """

    tenant: str
    name: str
    revision: str
    number: int
    compiled_at: datetime
    loaded_at: datetime
    users: int
    groups: int
    outcalls: int
    permissions: int
    patterns: int
    bytes: int
    loaded_from: str


@dataclass(frozen=True, slots=True)
class Status:
    """The rules that a server holds.

    Attributes:
        version: the server's version.
        source: the source of the rules, without credentials.
        source_error: the error of the last attempt to follow the source; empty after a success.
        tenants: sorted by UUID.
        contacted_at: when the server last reached the source; None from a server that does not tell.
        staleness_seconds: for how many seconds at most edits may be unknown to the server.
    """

    version: str
    source: str
    source_error: str
    tenants: tuple[TenantStatus, ...]
    contacted_at: datetime | None = None
    staleness_seconds: float = field(default=0.0, compare=False)
