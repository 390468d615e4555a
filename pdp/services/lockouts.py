"""Lockouts and delays as a plain class: those of now, and their end by an operator."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from pdp.challenges.attempts import parts_of, subject_of
from pdp.errors import CallError, InvalidCall, UnknownTenant
from pdp.rules.model import Call
from pdp.security.identity import ASKING, client_name
from pdp.services.identity import identified
from pdp.services.messages import check_form
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.challenges.answers import Challenges
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.snapshots.current import CurrentSnapshots

_log = structlog.get_logger()

LIMIT = 1000
MOST = 10_000
"""Lockouts in one response: the default and the maximum."""
_ANY_EXTENSION = "0"
"""A stand-in for an extension, where there is none to be checked."""


class LockoutService:
    """Answers ``rightcall.v1.LockoutService``.

    Args:
        current: the snapshots, as the client may see them.
        challenges: counts wrong PINs; None: the server takes no PINs.
        closed: makes the error of every request, where clients cannot be told apart; None: the clients are.
    """

    def __init__(
        self,
        current: CurrentSnapshots,
        challenges: Challenges | None,
        closed: Callable[[], CallError] | None = None,
    ) -> None:
        self._current = current
        self._attempts = challenges.attempts if challenges is not None else None
        self._delays = challenges.delays if challenges is not None else None
        self._closed = closed

    def list_lockouts(self, request: v1.ListLockoutsRequest) -> v1.ListLockoutsResponse:
        """The lockouts and delays of now.

        Raises:
            CallError: the request has no response.
        """
        self._check_open()
        if not 0 <= request.limit <= MOST:
            raise InvalidCall(f"limit is {request.limit}; send 1 to {MOST}, or 0 for {LIMIT}")
        limit, tenants = request.limit or LIMIT, self._tenants(request.tenant)
        found = list(islice(self._lockouts(tenants), limit + 1))
        return v1.ListLockoutsResponse(
            lockouts=sorted(found[:limit], key=lambda one: (one.tenant, one.caller, one.outcall)),
            more=len(found) > limit,
            delays=self._delayed(tenants),
        )

    def unlock(self, request: v1.UnlockRequest) -> v1.UnlockResponse:
        """Ends a lockout, or the delays of a permission.

        Raises:
            CallError: the request has no response.
        """
        self._check_open()
        named = {name: getattr(request, name) for name in ("caller", "outcall", "permission") if getattr(request, name)}
        if len(named) != 1:
            raise InvalidCall("name one of caller, outcall and permission")
        call = Call(request.caller, _ANY_EXTENSION, request.outcall, request.tenant)
        check_form(call)
        snapshot = self._resolved(call)
        caller = identified(snapshot, call).caller.lower()
        lifted = self._lift(snapshot.tenant, caller, request)
        _log.warning(
            "lockout_lifted",
            tenant=snapshot.tenant,
            **{**named, **({"caller": caller} if caller else {})},
            client=client_name(),
            lifted=lifted,
        )
        return v1.UnlockResponse(lifted=lifted, tenant=snapshot.tenant, caller=caller)

    def _lift(self, tenant: str, caller: str, request: v1.UnlockRequest) -> bool:
        if request.permission:
            return self._delays is not None and self._delays.end(tenant, request.permission)
        return self._attempts is not None and self._attempts.unlock(subject_of(tenant, caller, request.outcall))

    def _lockouts(self, tenants: frozenset[str] | None) -> Iterator[v1.Lockout]:
        for one in self._attempts.lockouts() if self._attempts is not None else ():
            tenant, caller, outcall = parts_of(one.subject)
            if tenants is None or tenant in tenants:
                yield v1.Lockout(
                    tenant=tenant,
                    caller=caller,
                    outcall=outcall,
                    retry_after_seconds=math.ceil(one.seconds),
                    lockouts=one.lockouts,
                )

    def _delayed(self, tenants: frozenset[str] | None) -> list[v1.PinDelay]:
        seconds: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        for one in self._delays.delayed() if self._delays is not None else ():
            if tenants is None or one.tenant in tenants:
                seconds[one.tenant, one.permission, one.lane].append(one.seconds)
        return [
            v1.PinDelay(
                tenant=tenant,
                permission=permission,
                lane=lane,
                clients=len(each),
                retry_after_seconds=math.ceil(max(each)),
            )
            for (tenant, permission, lane), each in sorted(seconds.items())
        ]

    def _tenants(self, tenant: str) -> frozenset[str] | None:
        """The tenants to report on; None: all of them."""
        if tenant:
            if self._current.get(tenant) is None:
                raise UnknownTenant(tenant)
            return frozenset((tenant.lower(),))
        client = ASKING.get()
        return frozenset(client.tenants) if client is not None and client.tenants is not None else None

    def _resolved(self, call: Call) -> Snapshot:
        snapshot = self._current.resolve(call.caller, call.outcall, call.tenant)
        if snapshot is not None:
            return snapshot
        held = self._current.held()
        if len(held) != 1:
            raise InvalidCall("no tenant here claims that, and there is more than one; name the tenant")
        return held[0].snapshot

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed()
