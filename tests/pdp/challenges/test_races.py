"""Two right answers to one challenge at the same moment: one opens the call."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from given import ACME, ALICE, KEY, denying
from server import DEADLINE, current_of

from pdp.challenges.answers import Challenges
from pdp.challenges.attempts import Limits, MemoryAttempts, Turn
from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import ChallengeOver
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.services.decisions import DecisionService
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import RevisionWaiter
from rightcall import v1

RIGHT = "1234"


class MeetingAttempts(MemoryAttempts):
    """Attempts that hold each right answer back until both have been found right."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self._met = threading.Barrier(2, timeout=DEADLINE)

    def succeed(self, subject: str, what: str, nonce: str, turn: Turn, seconds: float) -> bool:
        """See ``Attempts``."""
        self._met.wait()
        return super().succeed(subject, what, nonce, turn, seconds)


def test_a_challenge_opens_one_call_however_close_two_answers_are() -> None:
    """Both were taken and both are right; what the second hears is that the challenge opened a call before."""
    compiled = Compiler(secret=KEY).compile(denying("0033", password=RIGHT), Revision(1, "ab" * 32), compiled_at=1.5e9)
    current = current_of(decode(compiled))
    metrics = Metrics(current, "")
    rules = RevisionWaiter(current.resolve)
    challenges = Challenges(
        ChallengeSeal((KEY,), seconds=60),
        MeetingAttempts(),
        rules,
        secrets=(KEY,),
        emergency=EmergencyCalls(current),
        metrics=metrics,
    )
    service = DecisionService(current, metrics, challenges=challenges)
    challenge = service.check_call(v1.CheckCallRequest(caller=ALICE, extension="0033", tenant=ACME)).challenge

    def answer(_: int) -> v1.Decision.ValueType | str:
        try:
            return service.answer_challenge(v1.AnswerChallengeRequest(challenge=challenge, password=RIGHT)).decision
        except ChallengeOver as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(answer, range(2)))

    assert outcomes.count(v1.Decision.DECISION_ALLOW) == 1
    assert sum("opened a call before" in str(outcome) for outcome in outcomes) == 1
