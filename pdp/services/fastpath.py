"""The fast path from a request's bytes to a response's bytes, for the two methods called by the thousand.

Responses equal those of ``DecisionService``: each is put together from a verdict's number and the permission's row in
the snapshot, without a message object, and counted in lists of this thread.
Of a server's only tenant, a plain CheckCall is not even read into a message (``Matching.match_request``). Falls
back to ``DecisionService`` for requests that are not plain: those that are rejected, ask for a revision, are of
forwarded calls, may be of emergency numbers, or have a caller or outcall that is not known; and for tenants that say
how they dial.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import local
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from pdp.errors import CallError, InvalidCall, TooLarge
from pdp.metrics.counters import BUCKETS, CHECK_CALL, CHECK_CALLS, Refusal
from pdp.rules.model import MAX_EXTENSION_LENGTH
from pdp.rules.snapshot.automaton import NO_VERDICT
from pdp.rules.snapshot.layout import UUID_LENGTH
from pdp.rules.snapshot.protobuf import CALLER_KNOWN, NOT_PLAIN, OUTCALL_KNOWN, delimited
from pdp.services.messages import call_of
from pdp.services.responses import (
    ALLOWED,
    ALONE,
    AMONG_MANY,
    CHALLENGE_TAG,
    CHALLENGED,
    DECISION_MASK,
    HEADS,
    KNOWN_SHIFT,
    LOW_MASK,
    NUMBER_MASK,
    OUTCOMES,
    Common,
    among_many,
)
from pdp.snapshots.emergency import EmergencyCalls
from rightcall.v1 import decision_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from pdp.metrics.counters import Tallies, Tally
    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.services.decisions import DecisionService
    from pdp.snapshots.current import CurrentSnapshots

_Request = TypeVar("_Request", messages.CheckCallRequest, messages.CheckCallsRequest)

_REMEMBERED_REFUSALS = 65_536
"""Entries for one snapshot; a few megabytes where so many permissions deny calls."""


class HotCalls:
    """Answers CheckCall and CheckCalls from bytes to bytes.

    Args:
        decisions: the slow path.
        current: the snapshots to decide by.
        tallies: where decisions are counted.
        challenge: makes the challenge that a CHALLENGE carries, from snapshot and call; None: no challenge is sent.
        emergency: recognises calls to emergency numbers, which the service answers.
        dialable_only: as of ``Policy``.
        max_message_size: of one request, in bytes.
        max_calls: requests that one CheckCalls may hold.
    """

    def __init__(
        self,
        decisions: DecisionService,
        current: CurrentSnapshots,
        tallies: Tallies,
        *,
        challenge: Callable[[Snapshot, Call], str] | None,
        emergency: EmergencyCalls | None = None,
        dialable_only: bool = False,
        max_message_size: int,
        max_calls: int,
    ) -> None:
        self._decisions = decisions
        self.spares = decisions.spares
        """As ``Method.spares`` of CheckCall."""
        self._current = current
        self._tallies = tallies
        self._challenge = challenge
        self._emergency = emergency or EmergencyCalls(current)
        self._least = 1 if dialable_only else 0
        """Digits of the shortest extension that is plain, where others than digits may be errors."""
        self._max_message_size = max_message_size
        self._max_calls = max_calls
        self._known: dict[str, Common] = {}
        """By tenant."""
        self._mine = local()
        """For each thread that calls ``answer_call``: the thread's ``check_call``."""

    def check_call(self) -> Callable[[bytes], bytes | None]:
        """CheckCall, for the calling thread. Responses are counted as requests, errors are not.

        The function returned raises ``CallError``, and returns None where the response may have to wait for newer
        rules: then ``check_call_waiting`` answers.
        """
        current, read, answer, challenged = self._current, self._read, self._answer, self._challenged
        most, challenging = self._max_message_size, self._challenge is not None
        plain_from = self._plain_from
        tally = self._tallies.mine()
        decided, plain, buckets = tally.decisions, tally.plain, tally.plain.buckets

        def check_call(data: bytes) -> bytes | None:
            started = perf_counter()
            snapshot = current.only
            number = NOT_PLAIN
            if snapshot is not None and len(data) <= most:
                number = snapshot.match_request(data, plain_from(snapshot))
            if number == NOT_PLAIN:
                found = read(data)
                if found is None:
                    return None
                if isinstance(found, bytes):
                    tally.served(CHECK_CALL, perf_counter() - started)
                    return found
                snapshot, number = found
            assert snapshot is not None  # noqa: S101 - tells mypy that a number is a snapshot's
            response = answer(snapshot, number, tally, ALONE)
            if challenging and number & DECISION_MASK == CHALLENGED:
                response = challenged(response, snapshot, messages.CheckCallRequest.FromString(data))
            seconds = perf_counter() - started
            decided[OUTCOMES[number & LOW_MASK]] += 1
            buckets[bisect_left(BUCKETS, seconds)] += 1
            plain.seconds += seconds
            return response

        return check_call

    def check_call_waiting(self, data: bytes) -> bytes:
        """CheckCall that may wait, in any thread; counted like ``check_call``.

        Raises:
            CallError: there is no response.
        """
        started = perf_counter()
        response = self._one_slowly(self._parsed(messages.CheckCallRequest, data))
        self._tallies.mine().served(CHECK_CALL, perf_counter() - started)
        return response

    def answer_call(self, data: bytes) -> bytes:
        """CheckCall, in any thread, waiting where needed; responses are counted as requests, errors are not.

        Raises:
            CallError: there is no response.
        """
        mine = self._mine
        try:
            check_call: Callable[[bytes], bytes | None] = mine.check_call
        except AttributeError:
            check_call = mine.check_call = self.check_call()
        response = check_call(data)
        return self.check_call_waiting(data) if response is None else response

    def answer_calls(self, data: bytes) -> bytes:
        """CheckCalls, in any thread; counted like ``check_call``.

        Raises:
            CallError: there is no response.
        """
        started = perf_counter()
        response = self._many(self._parsed(messages.CheckCallsRequest, data))
        self._tallies.mine().served(CHECK_CALLS, perf_counter() - started)
        return response

    def _many(self, request: messages.CheckCallsRequest) -> bytes:
        started = perf_counter()
        verdicts = self._plainly(request) if len(request.calls) <= self._max_calls else None
        if verdicts is None:
            return self._decisions.check_calls(request).SerializeToString()
        tally, answers = self._tallies.mine(), []
        for call, (snapshot, number) in zip(request.calls, verdicts, strict=True):
            if self._challenge is not None and number & DECISION_MASK == CHALLENGED:
                response = self._challenged(self._answer(snapshot, number, tally, ALONE), snapshot, call)
                answers.append(among_many(response))
            else:
                answers.append(self._answer(snapshot, number, tally, AMONG_MANY))
        _count(tally, verdicts, perf_counter() - started)
        return b"".join(answers)

    def _read(self, data: bytes) -> tuple[Snapshot, int] | bytes | None:
        """A request that protobuf has to read: the rules that decide the call, and the verdict's number.

        Bytes: the response of the slow path. None: the response may have to wait.

        Raises:
            CallError: there is no response.
        """
        request = self._parsed(messages.CheckCallRequest, data)
        if request.at_least_revision > 0:
            return None
        return self._decide(request) or self._one_slowly(request)

    def _parsed(self, message: type[_Request], data: bytes) -> _Request:
        if len(data) > self._max_message_size:
            raise TooLarge(len(data), self._max_message_size)
        try:
            return message.FromString(data)
        except DecodeError:
            raise _unreadable(message) from None

    def _decide(self, request: messages.CheckCallRequest) -> tuple[Snapshot, int] | None:
        """The rules that decide a plain call, and the verdict's number with the parties known; None: not plain."""
        caller, extension, outcall = request.caller, request.extension, request.outcall
        if not _is_plain(extension) or request.forwarded_by or (caller and len(caller) != UUID_LENGTH):
            return None
        snapshot = self._rules(caller, outcall, request.tenant)
        if snapshot is None or snapshot.closed or snapshot.dialling is not None:
            return None
        if (caller and not snapshot.knows_caller(caller)) or (outcall and not snapshot.knows_outcall(outcall)):
            return None
        least = self._plain_from(snapshot)
        if least and (len(extension) < least or not (extension.isascii() and extension.isdigit())):
            return None
        known = (CALLER_KNOWN if caller else 0) | (OUTCALL_KNOWN if outcall else 0)
        return snapshot, snapshot.match(caller, extension, outcall) | known

    def _rules(self, caller: str, outcall: str, tenant: str) -> Snapshot | None:
        """The rules of a call's tenant; None: there are none, or an error, of which emergency calls get none."""
        current = self._current
        if not tenant and current.only is not None and (caller or outcall):
            return current.only
        try:
            return current.resolve(caller, outcall, tenant)
        except CallError:
            return None

    def _plain_from(self, snapshot: Snapshot) -> int:
        """Digits of which an extension is plain that has nothing else; 0: all printable ones are."""
        return max(self._least, self._emergency.plain_from(snapshot))

    def _plainly(self, request: messages.CheckCallsRequest) -> list[tuple[Snapshot, int]] | None:
        """The verdicts on many requests; None where any request is not plain, so that nothing is decided yet."""
        decide = self._decide
        revisions: dict[str, Snapshot] = {}
        verdicts: list[tuple[Snapshot, int]] = []
        for call in request.calls:
            verdict = decide(call) if call.at_least_revision <= 0 else None
            if verdict is None:
                return None
            snapshot, _ = verdict
            # All those of a tenant are answered by one revision, so a swap in between means to start again.
            if revisions.setdefault(snapshot.tenant, snapshot) is not snapshot:
                return None
            verdicts.append(verdict)
        return verdicts

    def _answer(self, snapshot: Snapshot, number: int, tally: Tally, around: bytes) -> bytes:
        """A CheckCallResponse within these tags; a permission that denies or challenges is counted."""
        common = self._known.get(snapshot.tenant)
        if common is None or common.of() is not snapshot:
            common = self._known[snapshot.tenant] = Common(snapshot)
        known, number = number >> KNOWN_SHIFT, number & NUMBER_MASK
        if number == NO_VERDICT:
            return common.unrestricted[known][around]
        if number & DECISION_MASK != ALLOWED:
            tally.refused(common.refusals.get(number) or self._refusal(common, snapshot, number))
        return snapshot.message(number, HEADS[number & LOW_MASK], common.ends[known], around)

    def _refusal(self, known: Common, snapshot: Snapshot, number: int) -> Refusal:
        refusal = self._tallies.admit(Refusal.of(snapshot.tenant, snapshot.verdict(number)))
        if len(known.refusals) < _REMEMBERED_REFUSALS:
            known.refusals[number] = refusal
        return refusal

    def _challenged(self, response: bytes, snapshot: Snapshot, request: messages.CheckCallRequest) -> bytes:
        """A response of CHALLENGE with a challenge, a new one each time."""
        if self._challenge is None:
            return response
        return response + delimited(CHALLENGE_TAG, self._challenge(snapshot, call_of(request)).encode())

    def _one_slowly(self, request: messages.CheckCallRequest) -> bytes:
        return self._decisions.check_call(request).SerializeToString()


def _count(tally: Tally, verdicts: list[tuple[Snapshot, int]], seconds: float) -> None:
    """Counts many decisions, each with an equal share of the time."""
    for low, count in Counter([number & LOW_MASK for _, number in verdicts]).items():
        tally.decisions[OUTCOMES[low]] += count
    if verdicts:
        tally.deciding.took(seconds / len(verdicts), len(verdicts))


def _is_plain(extension: str) -> bool:
    """Whether ``service.check_extension`` lets the extension pass."""
    return 0 < len(extension) <= MAX_EXTENSION_LENGTH and extension.isprintable()


def _unreadable(message: type[Message]) -> InvalidCall:
    return InvalidCall(f"the request's bytes are no {message.DESCRIPTOR.full_name}")
