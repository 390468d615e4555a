"""What a CHALLENGE hands out, and what comes of the password that comes back with it."""

from __future__ import annotations

import base64
import json
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import pytest
from clock import Clock
from definitions import conformance_suites, tenant_from
from given import ACME, ALICE, BOB, KEY
from hypothesis import given
from hypothesis import strategies as st
from server import DEADLINE, current_of, running_server
from structlog.testing import capture_logs

from pdp.challenges.answers import Challenges
from pdp.challenges.attempts import Limits, MemoryAttempts
from pdp.challenges.delays import Paces
from pdp.challenges.delays_memory import MemoryDelays
from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import CallError, ChallengeOver, ForgedChallenge, InvalidCall, PinsDelayed, RulesBehind, UnknownTenant
from pdp.metrics.catalog import CHALLENGE_RESULTS
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Call, Decision, PasswordOverride, Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.services.decisions import DecisionService
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.freshness import RevisionWaiter
from rightcall import v1

if TYPE_CHECKING:
    from pdp.decision_log.log import Recorder
    from pdp.rules.model import Tenant
    from pdp.rules.snapshot.snapshot import Snapshot
    from pdp.rules.snapshot.verdict import Outcome
    from pdp.snapshots.current import CurrentSnapshots

pytestmark = pytest.mark.every_transport

RIGHT, WRONG = "1234", "9999"
DENY, ALLOW, CHALLENGE = v1.Decision.DECISION_DENY, v1.Decision.DECISION_ALLOW, v1.Decision.DECISION_CHALLENGE
STRANGER = "00000000-0000-4000-8000-000000000000"


class Desk(NamedTuple):
    """A service that checks passwords, and what is behind it."""

    service: DecisionService
    current: CurrentSnapshots
    metrics: Metrics
    clock: Clock

    def challenge(self, extension: str = "0033", *, caller: str = ALICE, outcall: str = "", tenant: str = ACME) -> str:
        """The challenge of a call that needs a password."""
        request = v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall, tenant=tenant)
        response = self.service.check_call(request)
        assert response.decision == CHALLENGE
        assert response.challenge
        return response.challenge

    def answer(self, challenge: str, password: str) -> v1.AnswerChallengeResponse:
        """What the service says to a password."""
        return self.service.answer_challenge(v1.AnswerChallengeRequest(challenge=challenge, password=password))

    def counted(self, result: str) -> float | None:
        """How many passwords came to this."""
        return self.metrics.registry.get_sample_value("rightcall_challenges_total", {"result": result})


def snapshot(tenant: Tenant, *, number: int = 1, override: PasswordOverride = PasswordOverride.ALL) -> Snapshot:
    """A tenant's rules, with passwords."""
    compiler = Compiler(password_override=override, secret=KEY)
    return decode(compiler.compile(tenant, Revision(number, "ab" * 32), compiled_at=1.5e9))


def acme(
    *, password: str | None = RIGHT, mode: str = "deny", extensions: tuple[str, ...] = ("_00.",), own: str | None = None
) -> Tenant:
    """A tenant whose users need a password for calls abroad, and so does the outcall 3."""
    abroad = {
        "id": 12,
        "mode": mode,
        "password": password,
        "extensions": extensions,
        "users": [ALICE, BOB],
        "outcalls": ["3", "4"],
    }
    satellite = {"id": 13, "password": "777", "extensions": ["_8X."], "users": [ALICE]}
    users = [{"uuid": ALICE, "call_permission_password": own}, {"uuid": BOB}]
    outcalls = [{"id": "3"}, {"id": "4"}]
    return tenant_from(
        {"uuid": ACME, "users": users, "outcalls": outcalls, "call_permissions": [abroad, satellite]},
    )


def desk(
    *snapshots: Snapshot,
    attempts: int = 3,
    secrets: tuple[bytes, ...] = (KEY,),
    guesses: int = 0,
    record: Recorder | None = None,
) -> Desk:
    """A service over these rules; without ``guesses`` there are no delays."""
    current = current_of(*snapshots or (snapshot(acme()),))
    metrics, clock, rules = Metrics(current, ""), Clock(), RevisionWaiter(current.resolve)
    seal = ChallengeSeal(secrets, seconds=60, now=clock)
    counted = MemoryAttempts(Limits(attempts, 900), now=clock)
    challenges = Challenges(
        seal,
        counted,
        rules,
        secrets=secrets,
        emergency=EmergencyCalls(current),
        metrics=metrics,
        delays=MemoryDelays(Paces(guesses), now=clock) if guesses else None,
        decision_log=record,
    )
    return Desk(DecisionService(current, metrics, challenges=challenges), current, metrics, clock)


def test_the_right_password_opens_the_call() -> None:
    """ALLOW, by the revision that decided; and it is counted."""
    given_desk = desk()

    answer = given_desk.answer(given_desk.challenge(), RIGHT)

    assert answer == v1.AnswerChallengeResponse(decision=ALLOW, revision="1-abababababab")
    assert given_desk.counted("passed") == 1


def test_wrong_passwords_count_down_to_a_lockout() -> None:
    """Each answer says how many are left; after the last one even the right password opens nothing."""
    given_desk = desk()
    challenge = given_desk.challenge()

    answers = [given_desk.answer(challenge, password) for password in (WRONG, WRONG, WRONG, RIGHT)]

    assert [(one.decision, one.attempts_left, one.retry_after_seconds) for one in answers] == [
        (DENY, 2, 0),
        (DENY, 1, 0),
        (DENY, 0, 900),
        (DENY, 0, 900),
    ]
    assert {name: given_desk.counted(name) for name in CHALLENGE_RESULTS if given_desk.counted(name)} == {
        "wrong": 3,
        "locked": 1,
    }
    assert given_desk.metrics.registry.get_sample_value("rightcall_lockouts_total") == 1


def test_a_lockout_ends_and_the_next_one_is_twice_as_long() -> None:
    """15 minutes, then 30."""
    given_desk = desk()
    for _ in range(3):
        given_desk.answer(given_desk.challenge(), WRONG)
    given_desk.clock.now += 901

    answers = [given_desk.answer(given_desk.challenge(), WRONG) for _ in range(3)]

    assert [one.attempts_left for one in answers] == [2, 1, 0]
    assert answers[-1].retry_after_seconds == 1800


def test_a_lockout_is_told_in_the_log_without_digits() -> None:
    """One line that names tenant and caller."""
    given_desk = desk()
    with capture_logs() as logs:
        for _ in range(4):
            given_desk.answer(given_desk.challenge("008675309"), "4711")

    assert logs == [
        {"event": "caller_locked_out", "log_level": "warning", "tenant": ACME, "caller": ALICE, "seconds": 900}
    ]


def test_a_lockout_concerns_one_caller_and_no_call_without_a_password() -> None:
    """Others go on, and the caller's other calls are decided as ever."""
    given_desk = desk()
    for _ in range(3):
        given_desk.answer(given_desk.challenge(), WRONG)

    other = given_desk.answer(given_desk.challenge(caller=BOB), RIGHT)
    free = given_desk.service.check_call(v1.CheckCallRequest(caller=ALICE, extension="112"))

    assert (other.decision, free.decision) == (ALLOW, ALLOW)


def test_a_challenge_opens_one_call() -> None:
    """Somebody who overhears it afterwards has nothing; wrong answers do not use it up."""
    given_desk = desk()
    challenge = given_desk.challenge()
    given_desk.answer(challenge, WRONG)
    given_desk.answer(challenge, RIGHT)

    with pytest.raises(ChallengeOver, match="opened a call before; ask CheckCall again"):
        given_desk.answer(challenge, RIGHT)

    assert given_desk.counted("used") == 1


def test_a_challenge_expires() -> None:
    """After as many seconds as are set, and not before."""
    given_desk = desk()
    early, late = given_desk.challenge(), given_desk.challenge()
    given_desk.clock.now += 59.9
    answer = given_desk.answer(early, RIGHT)
    given_desk.clock.now += 0.1

    with pytest.raises(ChallengeOver, match="expired"):
        given_desk.answer(late, RIGHT)

    assert answer.decision == ALLOW
    assert given_desk.counted("expired") == 1


def test_a_right_answer_forgives_wrong_ones_to_the_same_permission_alone() -> None:
    """Who knows one password cannot win guesses at another by it."""
    given_desk = desk()
    known, coveted = "0033", "888"
    for _ in range(2):
        given_desk.answer(given_desk.challenge(coveted), WRONG)
    given_desk.answer(given_desk.challenge(known), RIGHT)
    last = given_desk.answer(given_desk.challenge(coveted), WRONG)

    assert (last.attempts_left, last.retry_after_seconds) == (0, 900)


def test_a_right_answer_at_the_last_attempt_locks_nobody_out() -> None:
    """And the wrong ones before it are forgiven."""
    given_desk = desk()
    for _ in range(2):
        given_desk.answer(given_desk.challenge(), WRONG)

    answers = [given_desk.answer(given_desk.challenge(), password) for password in (RIGHT, WRONG)]

    assert [(one.decision, one.attempts_left) for one in answers] == [(ALLOW, 0), (DENY, 2)]


def test_callers_that_nobody_knows_count_as_one_for_each_outcall() -> None:
    """Another UUID for each guess gains nothing; another outcall counts by itself."""
    given_desk = desk()
    answers = [
        given_desk.answer(given_desk.challenge(caller=caller, outcall="3"), WRONG)
        for caller in ("", STRANGER, STRANGER.replace("0", "1"))
    ]
    locked = given_desk.answer(given_desk.challenge(caller=STRANGER.replace("1", "2"), outcall="3"), RIGHT)
    elsewhere = given_desk.answer(given_desk.challenge(caller="", outcall="4"), RIGHT)

    assert [one.attempts_left for one in answers] == [2, 1, 0]
    assert (locked.decision, locked.retry_after_seconds, elsewhere.decision) == (DENY, 900, ALLOW)


def test_a_challenge_stays_short() -> None:
    """It fits into a channel variable, whoever calls."""
    assert len(desk().challenge(caller=STRANGER, outcall="3")) < 400


def test_an_uppercase_caller_is_the_same_caller() -> None:
    """Its guesses count with the others."""
    given_desk = desk()
    given_desk.answer(given_desk.challenge(caller=ALICE.upper()), WRONG)

    assert given_desk.answer(given_desk.challenge(), WRONG).attempts_left == 1


@pytest.mark.parametrize(
    ("edited", "decision", "result"),
    [
        (acme(password=None), DENY, "denied"),
        (acme(mode="allow"), ALLOW, "allowed"),
        (acme(extensions=("_09.",)), ALLOW, "allowed"),
    ],
)
def test_an_edit_between_challenge_and_answer_counts(
    edited: Tenant, decision: v1.Decision.ValueType, result: str
) -> None:
    """The call is decided again, whatever was dialled."""
    given_desk = desk()
    challenge = given_desk.challenge()
    given_desk.current.replace(snapshot(edited, number=2))

    answer = given_desk.answer(challenge, WRONG)

    assert answer == v1.AnswerChallengeResponse(decision=decision, revision="2-abababababab")
    assert given_desk.counted(result) == 1


def test_a_password_that_was_changed_meanwhile_is_the_one_that_counts() -> None:
    """The old one opens nothing any more."""
    given_desk = desk()
    challenge = given_desk.challenge()
    given_desk.current.replace(snapshot(acme(password="5678"), number=2))

    answers = [given_desk.answer(challenge, password).decision for password in (RIGHT, "5678")]

    assert answers == [DENY, ALLOW]


def test_a_replica_that_is_behind_the_challenge_says_so() -> None:
    """It might still open to a password that was changed; nothing is counted."""
    given_desk = desk(snapshot(acme(), number=2))
    challenge = given_desk.challenge()
    given_desk.current.replace(snapshot(acme(), number=1))

    with pytest.raises(RulesBehind, match="at revision 1 here, and revision 2 is asked for"):
        given_desk.answer(challenge, RIGHT)

    assert given_desk.counted("behind") == 1


def test_a_challenge_of_a_tenant_that_is_gone_opens_nothing() -> None:
    """NOT_FOUND, as for any other question about it."""
    given_desk = desk(snapshot(acme()), snapshot(tenant_from({"uuid": BOB})))
    challenge = given_desk.challenge()
    given_desk.current.remove(ACME)

    with pytest.raises(UnknownTenant):
        given_desk.answer(challenge, RIGHT)


@pytest.mark.parametrize("password", ["", "1" * 41, "12a4", "12 4", "\uff11\uff12", "12\x004"])
def test_what_can_be_nobodys_password_is_no_attempt(password: str) -> None:
    """It is refused without being repeated, and leaves the caller's attempts alone."""
    given_desk = desk()
    challenge = given_desk.challenge()

    for _ in range(5):
        with pytest.raises(InvalidCall) as refused:
            given_desk.answer(challenge, password)

    assert not password or password not in refused.value.message
    assert given_desk.answer(challenge, RIGHT).decision == ALLOW
    assert given_desk.counted("invalid") == 5


@given(st.data())
def test_no_altered_challenge_is_accepted(data: st.DataObject) -> None:
    """Whatever is changed, cut off or put behind."""
    seal = ChallengeSeal([KEY], seconds=60)
    text = seal.make(RULES, Call(ALICE, "0033"))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("AQgw-_09az"))
    altered = data.draw(
        st.sampled_from([text[:at], text[:at] + other + text[at + 1 :], text + other, text[at:] + text])
    )

    try:
        opened = seal.open(altered)
    except ForgedChallenge:
        return
    # What the last character of base64 has beyond the bytes is nothing that was signed.
    assert opened == seal.open(text)


@given(st.text(max_size=300))
def test_no_text_is_taken_for_a_challenge(text: str) -> None:
    """Any other end than ForgedChallenge would be a mistake."""
    with pytest.raises(ForgedChallenge):
        ChallengeSeal([KEY], seconds=60).open(text)


def test_a_challenge_of_another_deployment_is_none_of_ours() -> None:
    """Other keys, other challenges; but each of our own keys is accepted."""
    other = b"another deployment's secret key"
    text = ChallengeSeal([other], seconds=60).make(RULES, Call(ALICE, "0033"))

    with pytest.raises(ForgedChallenge):
        ChallengeSeal([KEY], seconds=60).open(text)
    assert ChallengeSeal([KEY, other], seconds=60).open(text).extension == "0033"


def test_a_challenge_of_another_version_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even though it is signed: what it means, only a server of that release knows."""
    seal = ChallengeSeal([KEY], seconds=60)
    monkeypatch.setattr("pdp.challenges.tokens.VERSION", 2)
    text = seal.make(RULES, Call(ALICE, "0033"))
    monkeypatch.undo()

    with pytest.raises(ForgedChallenge):
        seal.open(text)


def test_a_challenge_holds_the_question_and_no_password() -> None:
    """So that nothing needs to be kept; and no two are equal."""
    seal = ChallengeSeal([KEY], seconds=60)
    text = seal.make(RULES, Call(ALICE, "0033"))
    version, *fields = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[32:])

    assert (version, fields[:5]) == (1, [ACME, ALICE, "0033", "", 1])
    assert RIGHT not in str(fields[:5])
    assert seal.make(RULES, Call(ALICE, "0033")) != text


def test_without_a_key_there_are_no_challenges() -> None:
    """CHALLENGE is answered all the same, and nothing passes for a challenge."""
    current = current_of(snapshot(acme()))
    service = DecisionService(current, Metrics(current, ""))

    response = service.check_call(v1.CheckCallRequest(caller=ALICE, extension="0033"))

    assert (response.decision, response.challenge) == (CHALLENGE, "")
    with pytest.raises(ForgedChallenge):
        service.answer_challenge(v1.AnswerChallengeRequest(challenge="x", password=RIGHT))


@pytest.mark.parametrize(("attempts", "handed_out"), [(0, False), (1, True)])
def test_a_server_that_takes_no_passwords_hands_out_no_challenges(attempts: int, handed_out: bool) -> None:  # noqa: FBT001 - a parameter
    """As it is set."""
    call = v1.CheckCallRequest(caller=ALICE, extension="0033")
    with running_server(current=current_of(RULES), secrets=(KEY,), challenge_attempts=attempts) as running:
        response = running.decisions.CheckCall(call, timeout=DEADLINE)

    assert response.decision == CHALLENGE
    assert bool(response.challenge) is handed_out


def test_only_a_challenge_carries_a_challenge() -> None:
    """In batches, explanations and streams as in a single check."""
    given_desk = desk()
    calls = [v1.CheckCallRequest(caller=ALICE, extension=extension) for extension in ("0033", "112")]

    many = given_desk.service.check_calls(v1.CheckCallsRequest(calls=calls)).answers
    streamed = given_desk.service.stream_check_calls([v1.StreamCheckCallsRequest(call=call) for call in calls])

    assert [bool(one.response.challenge) for one in many] == [True, False]
    assert [bool(one.response.challenge) for one in streamed] == [True, False]


def test_a_users_own_password_replaces_the_permissions() -> None:
    """Here it does in every stage."""
    given_desk = desk(snapshot(acme(own="42")))
    answers = [given_desk.answer(given_desk.challenge(), password).decision for password in (RIGHT, "42")]

    assert answers == [DENY, ALLOW]


@pytest.mark.parametrize("override", PasswordOverride)
def test_the_passwords_that_wazo_asked_for_open_the_conformance_calls(override: PasswordOverride) -> None:
    """Every challenge of every conformance case, and no other password of the case opens it."""
    opened = 0
    for suite in conformance_suites():
        tenants = [snapshot(tenant, override=override) for tenant in suite.tenants]
        given_desk = desk(*tenants, attempts=1_000_000)
        for case in suite.cases:
            if case.decision != Decision.CHALLENGE.name:
                continue
            call = v1.CheckCallRequest(caller=case.caller, extension=case.extension, outcall=case.outcall)
            right = case.passwords[override.value]
            for password in {*case.passwords.values(), "0000"}:
                answer = given_desk.answer(given_desk.service.check_call(call).challenge, password)
                assert (answer.decision == ALLOW) is (password == right)
            opened += 1

    assert opened > 100


class Recorded:
    """A recorder of decisions, for tests."""

    def __init__(self) -> None:
        self.entries: list[tuple[Decision, str]] = []

    def record(
        self, _snapshot: Snapshot | None, _call: Call, outcome: Outcome, _seconds: float, challenge: str = ""
    ) -> None:
        """Notes an entry."""
        self.entries.append((outcome.verdict.decision, challenge))


def test_beyond_a_few_wrong_passwords_of_all_callers_none_is_looked_at_for_a_while() -> None:
    """It is no attempt; it is counted, logged without the digits, and in the decision log with its reason."""
    recorded = Recorded()
    given_desk = desk(attempts=100, guesses=100, record=recorded)
    challenges = [given_desk.challenge(caller=caller) for caller in (ALICE, BOB)]
    recorded.entries.clear()

    def guess_on() -> None:
        for number in count(1000):
            given_desk.answer(challenges[number % 2], str(number))

    with capture_logs() as logs:
        with pytest.raises(PinsDelayed) as refused:
            guess_on()
        with pytest.raises(PinsDelayed):
            given_desk.answer(challenges[0], RIGHT)
    looked = given_desk.counted("wrong") or 0
    given_desk.clock.now += refused.value.retry_after

    assert looked == 6
    assert [entry["event"] for entry in logs] == ["pins_delayed"], "once for both"
    assert not {str(number) for number in range(1000, 1010)} & set(str(logs).split("'"))
    assert (logs[0]["tenant"], logs[0]["permission"], logs[0]["seconds"]) == (ACME, "12", 120)
    assert given_desk.counted("delayed") == 2
    assert recorded.entries == [(Decision.DENY, "wrong")] * int(looked) + [(Decision.DENY, "delayed")] * 2
    assert given_desk.answer(given_desk.challenge(), WRONG).attempts_left == 100 - 3 - 1, "what was not looked at"


def test_every_error_is_counted_under_a_name() -> None:
    """None of them makes the metric fail."""
    given_desk = desk()
    for challenge in ("", "x", given_desk.challenge()[:-8]):
        with pytest.raises(CallError):
            given_desk.answer(challenge, RIGHT)

    assert given_desk.counted("invalid") == 3


RULES = snapshot(acme())
