"""From a request's bytes to a response's bytes, for the two methods that are asked by the thousand.

The same answers as ``DecisionService`` gives, by a shorter way: a response is put together from a verdict's number and
the permission's row in the snapshot, without a message between them, and what was counted goes to lists of this thread.
Of a server's only tenant, a plain CheckCall is not even read into a message (``Matching.match_request``). It
falls back to ``DecisionService`` for requests that are not plain: those that are rejected, ask for a revision, are of
forwarded calls, or have a caller or outcall that is not known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import local
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar
from weakref import ref

from google.protobuf.message import DecodeError

from pdp.errors import CallError, InvalidCall, TooLarge
from pdp.metrics.counters import BUCKETS, CHECK_CALL, CHECK_CALLS, Refusal, outcome
from pdp.rules.model import MAX_EXTENSION_LENGTH, Decision, Reason
from pdp.rules.snapshot.automaton import NO_VERDICT
from pdp.rules.snapshot.layout import UUID_LENGTH
from pdp.rules.snapshot.protobuf import CALLER_KNOWN, NOT_PLAIN, OUTCALL_KNOWN, delimited
from pdp.rules.snapshot.verdict import UNRESTRICTED, Outcome, Verdict, verdict_parts
from pdp.services.messages import call_of, response_of
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
"""Of one snapshot; a few megabytes where so many permissions refuse calls."""
_ALONE, _AMONG_MANY = b"", b"\x0a\x0a"
"""The tags around a response: none, or those of CheckCallsResponse.answers and CheckCallsAnswer.response."""
_PERMISSION, _CHALLENGE = b"\x1a", b"\x2a"
"""The tags of CheckCallResponse.permission and of CheckCallResponse.challenge. Fields may come in any order."""
_LOW = 15
"""The bits of a verdict's number that hold decision and stage; all are 0 where there is no verdict."""
_DECISION = 3
"""Those of them that hold the decision."""
_ALLOWED, _CHALLENGED = int(Decision.ALLOW), int(Decision.CHALLENGE)
"""As plain numbers: an enumeration is slow to look into."""
_OUTCOMES = tuple(outcome(*verdict_parts(low)[1:]) if low else outcome(*UNRESTRICTED[:2]) for low in range(_LOW + 1))
"""Where the low bits of a verdict's number are counted."""
_KNOWN = 32
"""The bits from here on are CALLER_KNOWN and OUTCALL_KNOWN."""
_NUMBER = CALLER_KNOWN - 1
"""The bits of the verdict's number itself."""


def _heads() -> tuple[bytes, ...]:
    """What stands before the permission, by the low bits of a verdict's number."""
    verdicts = (Verdict(*verdict_parts(low)[1:], None, "") for low in range(_LOW + 1))
    outcomes = (Outcome(verdict, Reason.PERMISSION, caller_known=False, outcall_known=False) for verdict in verdicts)
    return tuple(response_of(None, outcome).SerializeToString() + _PERMISSION for outcome in outcomes)


_HEADS = _heads()
_UNRESTRICTED = response_of(
    None, Outcome(UNRESTRICTED, Reason.NO_PERMISSION, caller_known=False, outcall_known=False)
).SerializeToString()


class _Known:
    """What the responses by one snapshot have in common; it does not keep the snapshot alive.

    Attributes:
        of: the snapshot, or None when that has gone.
        ends: what stands behind the permission, by who is known: neither, the caller, the outcall, both.
        unrestricted: the response where no permission matches, by the same, and then by the tags around it.
        refusals: what a verdict is counted as, by its number.
    """

    __slots__ = ("ends", "of", "refusals", "unrestricted")

    def __init__(self, snapshot: Snapshot) -> None:
        self.of = ref(snapshot)
        self.ends = [
            messages.CheckCallResponse(
                revision=str(snapshot.revision), caller_known=bool(known & 1), outcall_known=bool(known & 2)
            ).SerializeToString()
            for known in range(4)
        ]
        self.unrestricted = [_unrestricted(end) for end in self.ends]
        self.refusals: dict[int, Refusal] = {}


class HotCalls:
    """Answers CheckCall and CheckCalls from bytes to bytes.

    Args:
        decisions: takes the long way.
        current: what it answers from.
        tallies: where decisions are counted.
        challenge: makes the challenge that a CHALLENGE carries, from snapshot and call; None: it carries none.
        max_message_size: of one request, in bytes.
        max_calls: questions that one CheckCalls may hold.
    """

    def __init__(
        self,
        decisions: DecisionService,
        current: CurrentSnapshots,
        tallies: Tallies,
        *,
        challenge: Callable[[Snapshot, Call], str] | None,
        max_message_size: int,
        max_calls: int,
    ) -> None:
        self._decisions = decisions
        self._current = current
        self._tallies = tallies
        self._challenge = challenge
        self._max_message_size = max_message_size
        self._max_calls = max_calls
        self._known: dict[str, _Known] = {}
        """By tenant."""
        self._mine = local()
        """Of a thread that calls ``answer_call``: its ``check_call``."""

    def check_call(self) -> Callable[[bytes], bytes | None]:
        """CheckCall, for the thread that asks for it. What it answers is counted as a request, what it raises is not.

        The function returned raises ``CallError``, and returns None where the answer may have to wait for newer rules:
        then ``check_call_waiting`` has it.
        """
        current, read, answer, challenged = self._current, self._read, self._answer, self._challenged
        most, challenging = self._max_message_size, self._challenge is not None
        tally = self._tallies.mine()
        decided, plain, buckets = tally.decisions, tally.plain, tally.plain.buckets

        def check_call(data: bytes) -> bytes | None:
            started = perf_counter()
            snapshot = current.only
            number = snapshot.match_request(data, 0) if snapshot is not None and len(data) <= most else NOT_PLAIN
            if number == NOT_PLAIN:
                found = read(data)
                if found is None:
                    return None
                if isinstance(found, bytes):
                    tally.served(CHECK_CALL, perf_counter() - started)
                    return found
                snapshot, number = found
            assert snapshot is not None  # noqa: S101 - tells mypy that a number is a snapshot's
            response = answer(snapshot, number, tally, _ALONE)
            if challenging and number & _DECISION == _CHALLENGED:
                response = challenged(response, snapshot, messages.CheckCallRequest.FromString(data))
            seconds = perf_counter() - started
            decided[_OUTCOMES[number & _LOW]] += 1
            buckets[bisect_left(BUCKETS, seconds)] += 1
            plain.seconds += seconds
            return response

        return check_call

    def check_call_waiting(self, data: bytes) -> bytes:
        """CheckCall that may wait, in any thread; counted likewise.

        Raises:
            CallError: there is no answer.
        """
        started = perf_counter()
        response = self._one_slowly(self._parsed(messages.CheckCallRequest, data))
        self._tallies.mine().served(CHECK_CALL, perf_counter() - started)
        return response

    def answer_call(self, data: bytes) -> bytes:
        """CheckCall, in any thread, be it that it has to wait; counted likewise.

        Raises:
            CallError: there is no answer.
        """
        mine = self._mine
        try:
            check_call: Callable[[bytes], bytes | None] = mine.check_call
        except AttributeError:
            check_call = mine.check_call = self.check_call()
        response = check_call(data)
        return self.check_call_waiting(data) if response is None else response

    def answer_calls(self, data: bytes) -> bytes:
        """CheckCalls, in any thread; counted likewise.

        Raises:
            CallError: there is no answer.
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
            if self._challenge is not None and number & _DECISION == _CHALLENGED:
                response = self._challenged(self._answer(snapshot, number, tally, _ALONE), snapshot, call)
                answers.append(_among_many(response))
            else:
                answers.append(self._answer(snapshot, number, tally, _AMONG_MANY))
        _count(tally, verdicts, perf_counter() - started)
        return b"".join(answers)

    def _read(self, data: bytes) -> tuple[Snapshot, int] | bytes | None:
        """A request that protobuf has to read: the rules that decide it and the number of their verdict.

        Bytes: it went the long way, and this is the response. None: it may have to wait.

        Raises:
            CallError: there is no answer.
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
        """The rules that decide a plain call, and the number of their verdict with who is known; None: it is not plain.

        Raises:
            CallError: as ``CurrentSnapshots.resolve``.
        """
        caller, extension, outcall, tenant = request.caller, request.extension, request.outcall, request.tenant
        if not _is_plain(extension) or request.forwarded_by or (caller and len(caller) != UUID_LENGTH):
            return None
        current = self._current
        snapshot = current.only if not tenant else None
        if snapshot is None or not (caller or outcall):
            snapshot = current.resolve(caller, outcall, tenant)
        known = 0
        if caller:
            if snapshot is None or not snapshot.knows_caller(caller):
                return None
            known = CALLER_KNOWN
        if outcall:
            if snapshot is None or not snapshot.knows_outcall(outcall):
                return None
            known |= OUTCALL_KNOWN
        if snapshot is None:
            return None
        return snapshot, snapshot.match(caller, extension, outcall) | known

    def _plainly(self, request: messages.CheckCallsRequest) -> list[tuple[Snapshot, int]] | None:
        """The verdicts on many requests; None where one of them is not plain, so that nothing is decided yet."""
        decide = self._decide
        revisions: dict[str, Snapshot] = {}
        verdicts: list[tuple[Snapshot, int]] = []
        for call in request.calls:
            try:
                verdict = decide(call) if call.at_least_revision <= 0 else None
            except CallError:
                return None
            if verdict is None:
                return None
            snapshot, _ = verdict
            # All those of a tenant are answered by one revision, so a swap in between means to start again.
            if revisions.setdefault(snapshot.tenant, snapshot) is not snapshot:
                return None
            verdicts.append(verdict)
        return verdicts

    def _answer(self, snapshot: Snapshot, number: int, tally: Tally, around: bytes) -> bytes:
        """A CheckCallResponse within these tags; what refuses is counted."""
        common = self._known.get(snapshot.tenant)
        if common is None or common.of() is not snapshot:
            common = self._known[snapshot.tenant] = _Known(snapshot)
        known, number = number >> _KNOWN, number & _NUMBER
        if number == NO_VERDICT:
            return common.unrestricted[known][around]
        if number & _DECISION != _ALLOWED:
            tally.refused(common.refusals.get(number) or self._refusal(common, snapshot, number))
        return snapshot.message(number, _HEADS[number & _LOW], common.ends[known], around)

    def _refusal(self, known: _Known, snapshot: Snapshot, number: int) -> Refusal:
        refusal = self._tallies.admit(Refusal.of(snapshot.tenant, snapshot.verdict(number)))
        if len(known.refusals) < _REMEMBERED_REFUSALS:
            known.refusals[number] = refusal
        return refusal

    def _challenged(self, response: bytes, snapshot: Snapshot, request: messages.CheckCallRequest) -> bytes:
        """A response of CHALLENGE with its challenge, which is a new one each time."""
        if self._challenge is None:
            return response
        return response + delimited(_CHALLENGE, self._challenge(snapshot, call_of(request)).encode())

    def _one_slowly(self, request: messages.CheckCallRequest) -> bytes:
        return self._decisions.check_call(request).SerializeToString()


def _unrestricted(end: bytes) -> dict[bytes, bytes]:
    """The response where no permission matches, by the tags around it."""
    return {_ALONE: _UNRESTRICTED + end, _AMONG_MANY: _among_many(_UNRESTRICTED + end)}


def _among_many(response: bytes) -> bytes:
    """A CheckCallResponse as one of the answers of a CheckCallsResponse."""
    for tag in _AMONG_MANY:
        response = delimited(bytes((tag,)), response)
    return response


def _count(tally: Tally, verdicts: list[tuple[Snapshot, int]], seconds: float) -> None:
    """Counts many decisions, each with its share of the time."""
    for low, count in Counter([number & _LOW for _, number in verdicts]).items():
        tally.decisions[_OUTCOMES[low]] += count
    if verdicts:
        tally.deciding.took(seconds / len(verdicts), len(verdicts))


def _is_plain(extension: str) -> bool:
    """Whether ``service.check_extension`` lets it pass."""
    return 0 < len(extension) <= MAX_EXTENSION_LENGTH and extension.isprintable()


def _unreadable(message: type[Message]) -> InvalidCall:
    return InvalidCall(f"the request's bytes are no {message.DESCRIPTOR.full_name}")
