"""From a call and a tenant's rules to the outcome: policy on unknown callers and outcalls, then the permissions.

Pure, without clock, input or output. The checks before (emergency numbers, identity, the tenant) need all tenants and
are part of the services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.model import Decision, Reason
from pdp.rules.snapshot.verdict import DENIED_BY_POLICY, UNRESTRICTED, Outcome

if TYPE_CHECKING:
    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """The conditions in which a server is stricter than a Wazo Platform.

    Attributes:
        deny_unknown_callers: denies calls of a UUID that no user of the tenant has.
        deny_unknown_outcalls: denies calls through an outcall that the tenant does not have.
        dialable_only: extensions with anything but ``0-9 * # + A-D`` are errors, also in tenants without a dialling
            plan.
    """

    deny_unknown_callers: bool = False
    deny_unknown_outcalls: bool = False
    dialable_only: bool = False


AS_WAZO = Policy()
"""Unknown callers and outcalls skip their stages, as on a Wazo Platform."""


def rule(snapshot: Snapshot | None, call: Call, policy: Policy = AS_WAZO) -> Outcome:
    """The outcome of a call.

    Args:
        snapshot: the rules of the call's tenant; None: the call belongs to no tenant.
        call: the call, with UUIDs in the place of aliases; its extension has 1 to 128 characters, printable ones for
            tenants without a dialling plan.
        policy: further conditions for denying.

    Raises:
        Undiallable: the tenant has a dialling plan, and the extension cannot be dialled.
    """
    if policy is not AS_WAZO and snapshot is not None and snapshot.dialling is not None:
        snapshot.dialling.readings(call.extension)  # an error comes before a denial
    asker = call.asker
    caller_known = bool(asker) and snapshot is not None and snapshot.knows_caller(asker)
    outcall_known = bool(call.outcall) and snapshot is not None and snapshot.knows_outcall(call.outcall)
    if policy.deny_unknown_callers and asker and not caller_known:
        return Outcome(DENIED_BY_POLICY, Reason.UNKNOWN_CALLER, caller_known, outcall_known)
    if policy.deny_unknown_outcalls and call.outcall and not outcall_known:
        return Outcome(DENIED_BY_POLICY, Reason.UNKNOWN_OUTCALL, caller_known, outcall_known)
    verdict = snapshot.decide(asker, call.extension, call.outcall) if snapshot is not None else UNRESTRICTED
    verdict, reason = _answerable(verdict, forwarded=bool(call.forwarded_by))
    return Outcome(verdict, reason, caller_known, outcall_known)


def _answerable(verdict: Verdict, *, forwarded: bool) -> tuple[Verdict, Reason]:
    """The verdict and its reason; a forwarded call is not challenged, since the user is not on the line."""
    if verdict.permission_id is None:
        return verdict, Reason.NO_PERMISSION
    if forwarded and verdict.decision is Decision.CHALLENGE:
        return verdict._replace(decision=Decision.DENY), Reason.CHALLENGE_UNANSWERABLE
    return verdict, Reason.PERMISSION
