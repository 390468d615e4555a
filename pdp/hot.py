"""From a request's bytes to a response's bytes, for the two methods that are asked by the thousand.

The same answers as ``DecisionService`` gives, by a shorter way: a snapshot has few verdicts, so the response of each is
serialized once and sent again, with a challenge behind it where there is one, and what was counted goes to lists of
this thread. Whatever is not plain (a question that is refused, one that asks for a revision) takes the long way,
through the service.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from threading import local
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from weakref import ref

from google.protobuf.message import DecodeError

from pdp.errors import CallError, InvalidCall, TooLarge
from pdp.rules.automaton import NO_VERDICT
from pdp.rules.model import MAX_EXTENSION_LENGTH, Decision
from pdp.rules.verdict import UNRESTRICTED, verdict_parts
from pdp.service import response_of
from pdp.tally import BUCKETS, CHECK_CALL, CHECK_CALLS, Refusal, outcome
from rightcall.v1 import decision_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from pdp.current import CurrentSnapshots
    from pdp.rules.snapshot import Snapshot
    from pdp.service import DecisionService
    from pdp.tally import Tallies, Tally

_Request = TypeVar("_Request", messages.CheckCallRequest, messages.CheckCallsRequest)

_Answer: TypeAlias = "tuple[bytes, Refusal | None]"
"""A response, and what it is counted as where it is no ALLOW."""
_Remembered: TypeAlias = "dict[str, tuple[Callable[[], Snapshot | None], dict[int, _Answer]]]"
"""By tenant: its snapshot, which may be gone, and of that each verdict's number with its answer."""

_UNRESTRICTED: _Answer = (response_of(None, UNRESTRICTED).SerializeToString(), None)
_REMEMBERED_RESPONSES = 16_384
"""Of one snapshot: a few megabytes where a tenant's calls end in that many verdicts, next to nothing where not."""
_FIRST = b"\x0a"
"""Before CheckCallsAnswer.response, and before CheckCallsResponse.answers: field 1, with a length."""
_CHALLENGE = b"\x2a"
"""Before CheckCallResponse.challenge: field 5, with a length. A message's fields may come one by one."""
_LOW = 15
"""The bits of a verdict's number that hold decision and stage; all are 0 where there is no verdict."""
_DECISION = 3
"""Those of them that hold the decision."""
_OUTCOMES = tuple(outcome(*verdict_parts(low)[1:]) if low else outcome(*UNRESTRICTED[:2]) for low in range(_LOW + 1))
"""Where the low bits of a verdict's number are counted."""


class HotCalls:
    """Answers CheckCall and CheckCalls from bytes to bytes.

    Args:
        decisions: takes the long way.
        current: what it answers from.
        tallies: where decisions are counted.
        challenge: makes the challenge that a CHALLENGE carries, from snapshot, caller, extension and outcall; None: it
            carries none.
        max_message_size: of one request, in bytes.
        max_calls: questions that one CheckCalls may hold.
    """

    def __init__(
        self,
        decisions: DecisionService,
        current: CurrentSnapshots,
        tallies: Tallies,
        *,
        challenge: Callable[[Snapshot, str, str, str], str] | None,
        max_message_size: int,
        max_calls: int,
    ) -> None:
        self._decisions = decisions
        self._current = current
        self._tallies = tallies
        self._challenge = challenge
        self._max_message_size = max_message_size
        self._max_calls = max_calls
        self._alone: _Remembered = {}
        self._among: _Remembered = {}
        self._mine = local()
        """Of a thread that calls ``answer_call``: its ``check_call``."""

    def check_call(self) -> Callable[[bytes], bytes | None]:
        """CheckCall, for the thread that asks for it. What it answers is counted as a request, what it raises is not.

        The function returned raises ``CallError``, and returns None where the answer may have to wait for newer rules:
        then ``check_call_waiting`` has it.
        """
        parse, decide, slowly = messages.CheckCallRequest.FromString, self._decide, self._one_slowly
        challenged, most = self._challenged, self._max_message_size
        tally = self._tallies.mine()
        decided, plain, refused = tally.decisions, tally.plain, tally.refused
        buckets = plain.buckets

        def check_call(data: bytes) -> bytes | None:
            started = perf_counter()
            if len(data) > most:
                raise TooLarge(len(data), most)
            try:
                request = parse(data)
            except DecodeError:
                raise _unreadable(messages.CheckCallRequest) from None
            extension = request.extension
            if request.at_least_revision > 0:
                return None
            if not _is_plain(extension):
                response = slowly(request)
                tally.served(CHECK_CALL, perf_counter() - started)
                return response
            snapshot, number = decide(request.caller, extension, request.outcall, request.tenant)
            response, refusal = self._answer(snapshot, number)
            if refusal is not None:
                refused(refusal)
                if number & _DECISION == Decision.CHALLENGE:
                    response = challenged(response, snapshot, request)
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
            answer, refusal = self._among_many(snapshot, number)
            if refusal is not None:
                tally.refused(refusal)
                if self._challenge is not None and number & _DECISION == Decision.CHALLENGE:
                    answer = _wrapped(self._challenged(self._answer(snapshot, number)[0], snapshot, call))
            answers.append(answer)
        _count(tally, verdicts, perf_counter() - started)
        return b"".join(answers)

    def _parsed(self, message: type[_Request], data: bytes) -> _Request:
        if len(data) > self._max_message_size:
            raise TooLarge(len(data), self._max_message_size)
        try:
            return message.FromString(data)
        except DecodeError:
            raise _unreadable(message) from None

    def _decide(self, caller: str, extension: str, outcall: str, tenant: str) -> tuple[Snapshot | None, int]:
        """The rules that decide a call, and the number of their verdict.

        Raises:
            CallError: as ``CurrentSnapshots.resolve``.
        """
        current = self._current
        if not tenant and (only := current.only) is not None and (number := only.match(caller, extension, outcall)):
            return only, number  # it has a verdict, so the call is its tenant's: nobody needs to look for that
        snapshot = current.resolve(caller, outcall, tenant)
        return snapshot, snapshot.match(caller, extension, outcall) if snapshot is not None else NO_VERDICT

    def _plainly(self, request: messages.CheckCallsRequest) -> list[tuple[Snapshot | None, int]] | None:
        """The verdicts on many questions; None where one of them is not plain, so that nothing is decided yet."""
        decide = self._decide
        revisions: dict[str, Snapshot] = {}
        verdicts: list[tuple[Snapshot | None, int]] = []
        for call in request.calls:
            extension = call.extension
            if not _is_plain(extension) or call.at_least_revision > 0:
                return None
            try:
                verdict = decide(call.caller, extension, call.outcall, call.tenant)
            except CallError:
                return None
            snapshot, _ = verdict
            # All those of a tenant are answered by one revision, so a swap in between means to start again.
            if snapshot is not None and revisions.setdefault(snapshot.tenant, snapshot) is not snapshot:
                return None
            verdicts.append(verdict)
        return verdicts

    def _answer(self, snapshot: Snapshot | None, number: int) -> _Answer:
        """With a CheckCallResponse."""
        if snapshot is None:
            return _UNRESTRICTED
        answers = self._remembered(self._alone, snapshot)
        found = answers.get(number)
        if found is None:
            found = _made(snapshot, number)
            if len(answers) < _REMEMBERED_RESPONSES:
                answers[number] = found
        return found

    def _among_many(self, snapshot: Snapshot | None, number: int) -> _Answer:
        """The same as one of the answers of a CheckCallsResponse."""
        if snapshot is None:
            return _wrapped(_UNRESTRICTED[0]), None
        answers = self._remembered(self._among, snapshot)
        found = answers.get(number)
        if found is None:
            response, refusal = self._answer(snapshot, number)
            found = _wrapped(response), refusal
            if len(answers) < _REMEMBERED_RESPONSES:
                answers[number] = found
        return found

    def _challenged(self, response: bytes, snapshot: Snapshot | None, call: messages.CheckCallRequest) -> bytes:
        """A response of CHALLENGE with its challenge, which is a new one each time."""
        if self._challenge is None or snapshot is None:
            return response
        challenge = self._challenge(snapshot, call.caller, call.extension, call.outcall).encode()
        return response + _CHALLENGE + _length(challenge) + challenge

    def _one_slowly(self, request: messages.CheckCallRequest) -> bytes:
        return self._decisions.check_call(request).SerializeToString()

    @staticmethod
    def _remembered(of: _Remembered, snapshot: Snapshot) -> dict[int, _Answer]:
        """What is remembered of a snapshot; what was of its predecessor goes."""
        known = of.get(snapshot.tenant)
        if known is None or known[0]() is not snapshot:
            known = of[snapshot.tenant] = ref(snapshot), {}
        return known[1]


def _made(snapshot: Snapshot, number: int) -> _Answer:
    verdict = snapshot.verdict(number)
    response = response_of(snapshot, verdict).SerializeToString()
    return response, None if verdict.decision is Decision.ALLOW else Refusal.of(snapshot.tenant, verdict)


def _wrapped(response: bytes) -> bytes:
    """A CheckCallResponse as one of the answers of a CheckCallsResponse."""
    wrapped = _FIRST + _length(response) + response
    return _FIRST + _length(wrapped) + wrapped


def _length(data: bytes) -> bytes:
    """How many bytes follow, as protobuf writes it."""
    left, encoded = len(data), bytearray()
    while left > 0x7F:  # noqa: PLR2004 - seven bits a byte
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes((*encoded, left))


def _count(tally: Tally, verdicts: list[tuple[Snapshot | None, int]], seconds: float) -> None:
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
