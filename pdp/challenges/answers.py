"""Answering a challenge: whether the digits dialled open the call.

The request is decided again by the current rules, so an edit in between counts at once. The password is
looked at last of all, when the attempt has been counted. Digits dialled are in no log line, metric or error.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

import structlog

from pdp.challenges.attempts import TurnState
from pdp.challenges.delays import Guess, Look, client_key, mark_of
from pdp.errors import (
    AttemptsUnavailable,
    CallError,
    ChallengeOver,
    ClosedTenant,
    InvalidCall,
    NotReady,
    PinsDelayed,
    RulesBehind,
    UnknownTenant,
)
from pdp.rules.dialling import Undiallable
from pdp.rules.model import Decision
from pdp.rules.snapshot.ruling import rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.challenges.attempts import Attempts, Turn
    from pdp.challenges.delays import Delays
    from pdp.challenges.tokens import Challenge, ChallengeSeal
    from pdp.decision_log.log import Recorder
    from pdp.metrics.registry import Metrics
    from pdp.rules.model import Call
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome, Verdict
    from pdp.snapshots.emergency import EmergencyCalls
    from pdp.snapshots.freshness import RevisionWaiter

_log = structlog.get_logger()

MAX_PASSWORD_LENGTH = 40
_LOG_SECONDS = 60.0
"""Seconds between two log records about the delays of one permission; all are counted."""
_PASSWORD_CHARACTERS = frozenset("0123456789*#")


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """The result of a password.

    Attributes:
        decision: ALLOW or DENY.
        revision: of the rules that decided.
        attempts_left: with DENY, the number of further attempts now.
        retry_after: with DENY, seconds of the lockout that is left; 0: the caller is not locked out.
    """

    decision: Decision
    revision: str
    attempts_left: int = 0
    retry_after: int = 0


class Challenges:
    """Makes challenges, and decides their responses.

    Args:
        seal: makes and opens challenges.
        attempts: counts attempts.
        rules: finds the rules that decide.
        secrets: the deployment's keys; passwords were hashed with one of them.
        emergency: recognises calls to emergency numbers.
        metrics: where results of passwords are counted.
        delays: counts wrong passwords of all callers together; None: no delays.
        decision_log: records the decisions, rejected requests aside; None: no log.
    """

    def __init__(
        self,
        seal: ChallengeSeal,
        attempts: Attempts,
        rules: RevisionWaiter,
        *,
        secrets: Sequence[bytes],
        emergency: EmergencyCalls,
        metrics: Metrics,
        delays: Delays | None = None,
        decision_log: Recorder | None = None,
    ) -> None:
        self._seal = seal
        self.attempts = attempts
        """The counter of attempts."""
        self._rules = rules
        self._secrets = tuple(secrets)
        self._emergency = emergency
        self._metrics = metrics
        self.delays = delays
        """The counter of all callers' wrong passwords; None: there are no delays."""
        self._told: dict[tuple[str, str], float] = {}
        self._record = decision_log.record if decision_log is not None else None
        self.make = seal.make
        """Makes the challenge of a CHALLENGE, from snapshot and call."""
        self.signing = seal.signing
        """As ``ChallengeSeal.signing``."""

    def answer(self, text: str, password: str, client: str = "") -> ChallengeAnswer:
        """Whether a password opens the call that a challenge was made for.

        Args:
            text: the challenge.
            password: the digits dialled.
            client: name of the client that asks.

        Raises:
            PinsDelayed: there were too many wrong passwords for the permission or tenant.
            CallError: there is no answer; the password has not been looked at, but for one that was right where the
                attempt could not be closed.
        """
        try:
            result, answer = self._answer(text, password, client)
        except CallError as error:
            self._metrics.challenged(_result(error))
            raise
        self._metrics.challenged(result)
        return answer

    def _answer(self, text: str, password: str, client: str) -> tuple[str, ChallengeAnswer]:
        started = perf_counter()
        check_password(password)
        challenge = self._seal.open(text)
        call = challenge.call
        # One that is older than the challenge might still have a password that was changed since.
        snapshot = self._rules.resolve(call.caller, call.outcall, call.tenant, challenge.number, self._rules.deadline())
        outcome = self._outcome(snapshot, call)

        def tell(decision: Decision, result: str) -> None:
            if self._record is not None:
                decided = outcome._replace(verdict=outcome.verdict._replace(decision=decision))
                self._record(snapshot, call, decided, perf_counter() - started, result)

        try:
            result, answer = self._decided(snapshot, challenge, outcome.verdict, password, client)
        except PinsDelayed:
            tell(Decision.DENY, "delayed")
            raise
        tell(answer.decision, result)
        return result, answer

    def _outcome(self, snapshot: Snapshot, call: Call) -> Outcome:
        """The decision of now; the extension may have become an emergency number, or one that cannot be dialled."""
        if (found := self._emergency.find(call)) is not None:
            return found[1]
        if snapshot.closed:
            raise ClosedTenant(snapshot.tenant, snapshot.tenant_name, snapshot.closed)
        try:
            return rule(snapshot, call)
        except Undiallable as error:
            raise InvalidCall(f"{error}; ask CheckCall again") from None

    def _decided(
        self, snapshot: Snapshot, challenge: Challenge, verdict: Verdict, password: str, client: str
    ) -> tuple[str, ChallengeAnswer]:
        _, caller, extension, outcall, *_ = challenge
        if verdict.decision is not Decision.CHALLENGE:
            result = "allowed" if verdict.decision is Decision.ALLOW else "denied"
            return result, ChallengeAnswer(verdict.decision, str(snapshot.revision))
        turn = self.attempts.take(challenge.subject, str(verdict.permission_id), challenge.nonce)
        if turn.state is TurnState.USED:
            raise _used()
        if turn.state is TurnState.LOCKED:
            return "locked", _denied(snapshot, turn)
        number = snapshot.match(caller, extension, outcall)
        mark = mark_of(self._secrets[0], snapshot.password_record(number, caller), password)
        guess = Guess(challenge.tenant, str(verdict.permission_id), caller, client_key(client), mark)
        look = self._look(challenge, guess, turn, client)
        if snapshot.opens(number, caller, password, self._secrets):
            return "passed", self._pass(snapshot, challenge, guess, turn, look)
        if turn.locked_seconds:
            self._tell_lockout(challenge, turn)
        return "wrong", _denied(snapshot, turn)

    def _look(self, challenge: Challenge, guess: Guess, turn: Turn, client: str) -> Look:
        """Takes a look among those of all callers.

        Raises:
            PinsDelayed: there is none now; the caller's attempt does not count.
        """
        if self.delays is None:
            return Look(0.0)
        look = self.delays.take(guess)
        if not look.wait:
            return look
        self.attempts.give_back(challenge.subject, guess.permission, challenge.nonce, turn)
        now, whose = monotonic(), (guess.tenant, guess.permission)
        if now >= self._told.get(whose, 0.0):
            self._told = {one: until for one, until in self._told.items() if until > now}
            self._told[whose] = now + _LOG_SECONDS
            _log.warning(
                "pins_delayed",
                tenant=guess.tenant,
                permission=guess.permission,
                client=client,
                seconds=math.ceil(look.wait),
                next_in_seconds=_LOG_SECONDS,
            )
        raise PinsDelayed(look.wait)

    def _pass(self, snapshot: Snapshot, challenge: Challenge, guess: Guess, turn: Turn, look: Look) -> ChallengeAnswer:
        if not self.attempts.succeed(
            challenge.subject, guess.permission, challenge.nonce, turn, max(0.0, self._seal.left(challenge))
        ):
            raise _used()
        if self.delays is not None:
            with suppress(AttemptsUnavailable):  # the call is open; at worst its look counts as a wrong one
                self.delays.succeed(guess, look)
        return ChallengeAnswer(Decision.ALLOW, str(snapshot.revision))

    def _tell_lockout(self, challenge: Challenge, turn: Turn) -> None:
        self._metrics.locked_out()
        whose = {"caller": challenge.caller} if challenge.caller else {"outcall": challenge.outcall}
        _log.warning("caller_locked_out", tenant=challenge.tenant, **whose, seconds=_seconds(turn))


def check_password(password: str) -> None:
    """Rejects an impossible password, which is no guess and does not count as an attempt.

    Raises:
        InvalidCall: the password is empty, too long, or has a character that no telephone dials.
    """
    if not password:
        raise InvalidCall("the password is empty; send the digits that the caller dialled")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise InvalidCall(f"the password has {len(password)} characters; send at most {MAX_PASSWORD_LENGTH}")
    if not _PASSWORD_CHARACTERS.issuperset(password):
        raise InvalidCall("the password holds something else than 0-9 * #; send the digits that the caller dialled")


def _denied(snapshot: Snapshot, turn: Turn) -> ChallengeAnswer:
    return ChallengeAnswer(Decision.DENY, str(snapshot.revision), turn.left, _seconds(turn))


def _seconds(turn: Turn) -> int:
    """Whole seconds of a lockout, rounded up, so that the lockout is over by then."""
    return math.ceil(turn.locked_seconds)


def _used() -> ChallengeOver:
    return ChallengeOver("opened a call before", used=True)


def _result(error: CallError) -> str:
    """The metric's label for an error."""
    if isinstance(error, ChallengeOver):
        return "used" if error.used else "expired"
    if isinstance(error, PinsDelayed):
        return "delayed"
    if isinstance(error, AttemptsUnavailable):
        return "unavailable"
    # Rules that are not here at all are behind as well.
    return "behind" if isinstance(error, RulesBehind | UnknownTenant | NotReady | ClosedTenant) else "invalid"
