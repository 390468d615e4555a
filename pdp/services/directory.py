"""The directory as a plain class: the tenants and callers of a server, and searches for callers and extensions.

These requests are for people and reports, and do not count as decisions in the metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import InvalidCall, UnknownTenant
from pdp.rules.analysis.callers import verdicts
from pdp.rules.analysis.reach import reach
from pdp.rules.dialling import Undiallable
from pdp.rules.model import Call, Decision
from pdp.rules.snapshot.verdict import EMERGENCY
from pdp.services.identity import check_open, identified
from pdp.services.messages import DECISIONS, STAGES, check_extension, check_form, check_length
from pdp.snapshots.emergency import EmergencyCalls
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.rules.analysis.reach import Reach
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict
    from pdp.snapshots.current import CurrentSnapshots, LoadedSnapshot

PAGE_SIZE = 1000
MAX_PAGE_SIZE = 10_000
"""Callers in one message of ListCallers: the default and the maximum."""
MAX_PATTERNS = 1000
MOST_PATTERNS = 10_000
"""Patterns in one response of ListReach: the default and the maximum."""

_ANY_EXTENSION = "0"
"""A stand-in for an extension, where there is none to be checked."""
_FROM_API = {number: decision for decision, number in DECISIONS.items()}


class DirectoryService:
    """Answers ``rightcall.v1.DirectoryService``.

    Args:
        current: the snapshots to report on.
        version: the server's version.
        emergency: recognises emergency numbers; None: those of the tenants alone.
    """

    def __init__(self, current: CurrentSnapshots, version: str, emergency: EmergencyCalls | None = None) -> None:
        self._current = current
        self._emergency = emergency or EmergencyCalls(current)
        self._version = version

    def list_callers(self, request: v1.ListCallersRequest) -> Iterator[v1.ListCallersResponse]:
        """The callers who may dial an extension, page by page, all by one revision.

        Raises:
            CallError: the request has no response; raised before the first page.
        """
        limit = _number("limit", request.limit, default=0)
        page_size = _number("page_size", request.page_size, default=PAGE_SIZE, most=MAX_PAGE_SIZE)
        wanted = _wanted(request.decisions)
        snapshot, found = self.verdicts(request)
        callers = [entry for entry in found if entry[1].decision in wanted]
        end = min(limit, len(callers)) if limit else len(callers)
        entries: dict[Verdict, v1.CallerDecision] = {}
        for start in range(0, end, page_size) or (0,):
            yield v1.ListCallersResponse(
                callers=(_caller(one, entries) for one in callers[start : min(start + page_size, end)]),
                tenant=snapshot.tenant,
                revision=str(snapshot.revision),
                outcall_known=snapshot.knows_outcall(request.outcall),
                more=start + page_size >= end < len(callers),
            )

    def verdicts(self, request: v1.ListCallersRequest) -> tuple[Snapshot, list[tuple[str, Verdict]]]:
        """The deciding rules, and each caller with the verdict, sorted; the number of entries is not limited.

        Raises:
            CallError: the request has no response.
        """
        check_length(request.extension)
        snapshot = self._users_of(request.outcall, request.tenant)
        check_open(snapshot)
        return snapshot, self._verdicts(snapshot, request)

    def list_reach(self, request: v1.ListReachRequest) -> v1.ListReachResponse:
        """The patterns that a caller may dial.

        Raises:
            CallError: the request has no response.
        """
        max_patterns = _number("max_patterns", request.max_patterns, default=MAX_PATTERNS, most=MOST_PATTERNS)
        caller, outcall = request.caller, request.outcall
        check_form(Call(caller, _ANY_EXTENSION, outcall, request.tenant))
        snapshot = self._current.resolve(caller, outcall, request.tenant)
        caller = identified(snapshot, Call(caller, _ANY_EXTENSION)).caller
        check_open(snapshot)
        reaches = reach(
            snapshot,
            caller,
            outcall,
            emergency=self._emergency.texts(snapshot),
            by_permission=request.by_permission,
            max_patterns=max_patterns,
        )
        response = v1.ListReachResponse(
            reaches=map(_reach, reaches), truncated=any(one.decision is None for one in reaches)
        )
        if snapshot is not None:
            response.tenant = snapshot.tenant
            response.revision = str(snapshot.revision)
            response.caller_known = snapshot.knows_caller(caller)
            response.outcall_known = snapshot.knows_outcall(outcall)
        return response

    def get_status(self, request: v1.GetStatusRequest) -> v1.GetStatusResponse:
        """The state of the server, ready or not.

        Raises:
            UnknownTenant: a tenant was named that is not held.
        """
        response = v1.GetStatusResponse(
            version=self._version,
            source=self._current.source,
            tenants=[_tenant_status(held) for held in self._held(request.tenant)],
            source_error=self._current.source_error,
            staleness_seconds=self._current.staleness_seconds(),
        )
        response.contacted_at.FromNanoseconds(int(self._current.contacted_at * 1e9))
        return response

    def _verdicts(self, snapshot: Snapshot, request: v1.ListCallersRequest) -> list[tuple[str, Verdict]]:
        if self._emergency.has(snapshot, request.extension):
            after = request.after.lower()
            return [(caller, EMERGENCY) for caller in sorted(snapshot.callers()) if caller > after]
        if snapshot.dialling is None:
            check_extension(request.extension)
        try:
            return verdicts(snapshot, request.extension, request.outcall, after=request.after)
        except Undiallable as error:
            raise InvalidCall(f"{error}; send what is dialled, without it") from None

    def _held(self, tenant: str) -> list[LoadedSnapshot]:
        if not tenant:
            return self._current.held()
        held = self._current.get(tenant)
        if held is None:
            raise UnknownTenant(tenant)
        return [held]

    def _users_of(self, outcall: str, tenant: str) -> Snapshot:
        """The tenant named in the request."""
        snapshot = self._current.resolve("", outcall, tenant)
        if snapshot is not None:
            return snapshot
        held = self._current.held()
        if len(held) == 1:
            return held[0].snapshot
        raise InvalidCall(f"there are {len(held)} tenants; name the one whose users are asked for")


def _number(name: str, value: int, *, default: int, most: int = 2**31) -> int:
    """A number of a request, where 0 stands for the default."""
    if not 0 <= value <= most:
        raise InvalidCall(f"{name} is {value}; send 0 for the default, or a number from 1 to {most}")
    return value or default


def _wanted(decisions: Sequence[v1.Decision.ValueType]) -> set[Decision]:
    """The decisions named in the request; all where none is named."""
    unknown = [number for number in decisions if number not in _FROM_API]
    if unknown:
        raise InvalidCall(f"{unknown[0]} is no decision to look for; send DECISION_ALLOW, _DENY or _CHALLENGE")
    return {_FROM_API[number] for number in decisions} or set(Decision)


def _caller(entry: tuple[str, Verdict], entries: dict[Verdict, v1.CallerDecision]) -> v1.CallerDecision:
    """A caller's entry; ``entries`` has one for each verdict, of which all with that verdict are copies."""
    caller, verdict = entry
    one = entries.get(verdict)
    if one is None:
        one = entries[verdict] = v1.CallerDecision(
            decision=DECISIONS[verdict.decision], stage=STAGES[verdict.stage], permission=_permission(verdict)
        )
    # The page copies it before the next caller's is made: quicker than a new message with a new permission for each.
    one.caller = caller
    return one


def _permission(verdict: Verdict) -> v1.Permission | None:
    if verdict.permission_id is None:
        return None
    return v1.Permission(id=str(verdict.permission_id), name=verdict.permission_name)


def _reach(one: Reach) -> v1.Reach:
    patterns = [v1.ReachPattern(pattern=pattern.pattern, sample=pattern.sample) for pattern in one.patterns]
    if one.decision is None:
        return v1.Reach(patterns=patterns)
    if one.verdict is None:
        return v1.Reach(decision=DECISIONS[one.decision], patterns=patterns)
    return v1.Reach(
        decision=DECISIONS[one.decision],
        stage=STAGES[one.verdict.stage],
        permission=_permission(one.verdict),
        patterns=patterns,
    )


def _tenant_status(held: LoadedSnapshot) -> v1.TenantStatus:
    snapshot = held.snapshot
    status = v1.TenantStatus(
        tenant=snapshot.tenant,
        name=snapshot.tenant_name,
        revision=str(snapshot.revision),
        number=snapshot.revision.number,
        users=snapshot.counts.users,
        groups=snapshot.counts.groups,
        outcalls=snapshot.counts.outcalls,
        permissions=snapshot.counts.permissions,
        patterns=snapshot.counts.patterns,
        bytes=snapshot.size,
        loaded_from=held.origin,
        closed_faults=snapshot.closed,
    )
    status.compiled_at.FromNanoseconds(int(snapshot.compiled_at * 1e9))
    status.loaded_at.FromNanoseconds(int(held.loaded_at * 1e9))
    return status
