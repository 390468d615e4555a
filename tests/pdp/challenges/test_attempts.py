"""Counting attempts, in memory and in Redis: the same tests for both, and what only Redis has."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest
from given import ACME, ALICE, KEY, denying
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis_server import RedisServer, free_port
from server import DEADLINE, Running, current_of, running_server
from structlog.testing import capture_logs
from waiting import until

from pdp.challenges.attempts import LONGEST_LOCKOUT, MEMORY_SECONDS, Limits, MemoryAttempts, TurnState
from pdp.challenges.attempts_redis import RedisAttempts
from pdp.errors import AttemptsUnavailable
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.challenges.attempts import Attempts, Turn

    Make = Callable[[Limits], Attempts]

pytestmark = pytest.mark.every_transport

LIMITS = Limits(attempts=3, lockout_seconds=900)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    """A client of an empty Redis."""
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes attempts of either kind."""
    if request.param == "memory":
        return MemoryAttempts
    client = request.getfixturevalue("redis")
    return lambda limits: RedisAttempts(client, limits, prefix="test:")


def states(turns: list[Turn]) -> list[tuple[TurnState, int]]:
    """What is told of attempts."""
    return [(turn.state, turn.left) for turn in turns]


def test_attempts_count_down_and_the_last_one_locks(make: Make) -> None:
    """It locks as it is taken, so that none can be taken beside it."""
    attempts = make(LIMITS)

    turns = [attempts.take("alice", "12", "n") for _ in range(5)]

    assert states(turns) == [(TurnState.TAKEN, left) for left in (2, 1, 0)] + [(TurnState.LOCKED, 0)] * 2
    assert [turn.locked_seconds for turn in turns[:3]] == [0, 0, 900]
    assert all(890 < turn.locked_seconds <= 900 for turn in turns[3:])
    assert len({turn.id for turn in turns[:3]}) == 3


def test_a_single_attempt_is_a_limit_too(make: Make) -> None:
    """The first one locks; being right undoes it."""
    attempts = make(Limits(attempts=1, lockout_seconds=60))
    turn = attempts.take("alice", "12", "n")
    meanwhile = attempts.take("alice", "12", "m")
    assert attempts.succeed("alice", "12", "n", turn, 60)

    assert (turn.left, turn.locked_seconds, meanwhile.state) == (0, 60, TurnState.LOCKED)
    assert attempts.take("alice", "12", "m").state is TurnState.TAKEN


def test_subjects_are_apart(make: Make) -> None:
    """Whoever is locked out, others are not."""
    attempts = make(LIMITS)
    for _ in range(3):
        attempts.take("alice", "12", "n")

    assert attempts.take("bob", "12", "n").left == 2


def test_a_right_answer_uses_the_challenge_up(make: Make) -> None:
    """Once: of two right answers at the same time, the second one is told so."""
    attempts = make(LIMITS)
    first, second = attempts.take("alice", "12", "n"), attempts.take("alice", "12", "n")

    assert [attempts.succeed("alice", "12", "n", turn, 60) for turn in (first, second)] == [True, False]
    assert attempts.take("alice", "12", "n").state is TurnState.USED
    assert attempts.take("alice", "12", "m").state is TurnState.TAKEN


def test_a_right_answer_forgives_what_was_wrong_for_the_same(make: Make) -> None:
    """And leaves what was wrong for others."""
    attempts = make(Limits(attempts=4, lockout_seconds=900))
    attempts.take("alice", "13", "a")
    attempts.take("alice", "12", "b")
    attempts.succeed("alice", "12", "c", attempts.take("alice", "12", "c"), 60)

    assert attempts.take("alice", "12", "d").left == 2


def test_a_right_answer_lifts_no_lockout_but_its_own(make: Make) -> None:
    """An attempt that was taken before the last one, and judged after it."""
    attempts = make(LIMITS)
    early, _, last = (attempts.take("alice", "12", "n") for _ in range(3))
    attempts.succeed("alice", "12", "n", early, 60)

    assert last.locked_seconds == 900
    assert attempts.take("alice", "12", "m").state is TurnState.LOCKED


def test_an_attempt_that_was_given_back_never_was(make: Make) -> None:
    """Nor the lockout that began with it, which is as long as the first when it comes."""
    attempts = make(LIMITS)
    for _ in range(2):
        attempts.take("alice", "12", "n")
    for _ in range(5):
        attempts.give_back("alice", "12", "n", attempts.take("alice", "12", "n"))
    attempts.give_back("bob", "12", "n", attempts.take("bob", "12", "n"))
    last = attempts.take("alice", "12", "n")

    assert (last.state, last.left, last.locked_seconds) == (TurnState.TAKEN, 0, 900)
    assert attempts.take("bob", "12", "n").left == 2


def test_lockouts_are_listed_and_lifted(make: Make) -> None:
    """Those of now alone; with the lockout goes what was wrong, and what would double the next one."""
    attempts = make(LIMITS)
    for subject in ("acme/user/alice", "acme/outcall/3"):
        for _ in range(3):
            attempts.take(subject, "12", "n")
    attempts.succeed("acme/user/bob", "12", "b", attempts.take("acme/user/bob", "12", "b"), 60)
    attempts.take("acme/user/bob", "12", "m")

    listed = sorted(attempts.lockouts())
    assert [(one.subject, one.lockouts) for one in listed] == [("acme/outcall/3", 1), ("acme/user/alice", 1)]
    assert all(890 < one.seconds <= 900 for one in listed)
    assert [attempts.unlock("acme/user/alice") for _ in range(2)] == [True, False]
    assert [one.subject for one in attempts.lockouts()] == ["acme/outcall/3"]
    turns = [attempts.take("acme/user/alice", "12", "n") for _ in range(3)]
    assert (turns[0].left, turns[2].locked_seconds) == (2, 900)


def test_each_lockout_is_twice_as_long(make: Make) -> None:
    """And when it is over, there are as many attempts as at first."""
    attempts = make(Limits(attempts=2, lockout_seconds=0.1))
    seconds = []
    for lockout in (0.1, 0.2, 0.4):
        turns = [attempts.take("alice", "12", "n") for _ in range(2)]
        assert [turn.left for turn in turns] == [1, 0]
        seconds.append(turns[-1].locked_seconds)
        time.sleep(lockout + 0.1)

    assert seconds == [0.1, 0.2, 0.4]


def test_lockouts_grow_to_a_day() -> None:
    """Unless the first one is longer."""
    assert Limits(3, 900).lockout(1000) == LONGEST_LOCKOUT
    assert Limits(3, 10 * LONGEST_LOCKOUT).lockout(5) == 10 * LONGEST_LOCKOUT


def test_memory_forgets_after_a_day() -> None:
    """Wrong answers, lockouts and used challenges; so what is held stays bounded."""
    now = [0.0]
    attempts = MemoryAttempts(LIMITS, now=lambda: now[0])
    for number in range(1000):
        attempts.succeed(f"caller {number}", "12", f"n{number}", attempts.take(f"caller {number}", "12", "n"), 60)
    now[0] = MEMORY_SECONDS + 1
    attempts.take("alice", "12", "n")

    assert (len(attempts._records), len(attempts._used)) == (1, 0)


def test_redis_forgets_after_a_day(redis: Redis) -> None:
    """Every key has an expiry."""
    attempts = RedisAttempts(redis, LIMITS, prefix="test:")
    attempts.succeed("alice", "12", "n", attempts.take("alice", "12", "n"), 60)
    for _ in range(3):
        attempts.take("bob", "12", "n")

    alice, used, bob = "test:attempts:{alice}", "test:attempts:{alice}:used:n", "test:attempts:{bob}"
    lives = {key: redis.pttl(key) / 1000 for key in (alice, used, bob)}
    assert redis.dbsize() == 3
    assert 0 < lives[used] <= 60
    assert MEMORY_SECONDS - 60 < lives[alice] <= MEMORY_SECONDS
    assert MEMORY_SECONDS < lives[bob] <= MEMORY_SECONDS + 900


def test_at_the_same_time_no_more_attempts_are_taken_than_there_are(make: Make) -> None:
    """However many threads try."""
    attempts = make(LIMITS)
    with ThreadPoolExecutor(20) as pool:
        turns = list(pool.map(lambda _: attempts.take("alice", "12", "n"), range(500)))

    assert Counter(turn.state for turn in turns) == {TurnState.TAKEN: 3, TurnState.LOCKED: 497}


def test_redis_is_told_twice_what_was_right_once(redis: Redis) -> None:
    """A client that did not hear the first answer asks again, and it is still right."""
    attempts = RedisAttempts(redis, LIMITS)
    turn, other = attempts.take("alice", "12", "n"), attempts.take("alice", "12", "n")

    answers = [attempts.succeed("alice", "12", "n", one, 60) for one in (turn, turn, other)]

    assert answers == [True, True, False]


def test_without_redis_nothing_is_counted_and_nobody_waits_long() -> None:
    """The second question does not even try; and the log says so once, without any address."""
    port = free_port()
    client = Redis(host="127.0.0.1", port=port, password="p4ss", retry=Retry(NoBackoff(), 0))
    attempts = RedisAttempts(client, LIMITS)
    with capture_logs() as logs, client:
        for _ in range(50):
            with pytest.raises(AttemptsUnavailable, match="passwords cannot be checked now"):
                attempts.take("alice", "12", "n")

    assert [entry["event"] for entry in logs] == ["attempts_unavailable"]
    assert str(port) not in str(logs)


# Three replicas on one Redis.

SECRET_RULES = decode(
    Compiler(secret=KEY).compile(denying("_0!", password="4321"), Revision(1, "ab" * 32), compiled_at=1.5e9)
)
CALL = v1.CheckCallRequest(caller=ALICE, extension="0033", tenant=ACME)


class Replicas:
    """Servers that count together."""

    def __init__(self, stack: ExitStack, redis: RedisServer, *, count: int = 3) -> None:
        self.all: list[Running] = []
        for _ in range(count):
            client = stack.enter_context(Redis.from_url(redis.url, socket_timeout=0.5, socket_connect_timeout=0.5))
            running = running_server(
                current=current_of(SECRET_RULES), secrets=(KEY,), attempts=RedisAttempts(client, LIMITS)
            )
            self.all.append(stack.enter_context(running))

    def counted(self, result: str) -> float:
        """How many passwords came to this, everywhere."""
        values = (
            one.metrics.registry.get_sample_value("rightcall_challenges_total", {"result": result}) for one in self.all
        )
        return sum(value or 0 for value in values)


def guess(replica: Running, challenge: str, password: str) -> v1.AnswerChallengeResponse:
    """One guess."""
    request = v1.AnswerChallengeRequest(challenge=challenge, password=password)
    return replica.decisions.AnswerChallenge(request, timeout=DEADLINE)


def test_twenty_guessers_at_three_replicas_get_three_guesses(server: RedisServer, redis: Redis) -> None:
    """Thousands of guesses on connections of their own; three are looked at, whichever replicas they reach."""
    del redis  # it is empty
    with ExitStack() as stack:
        replicas = Replicas(stack, server)
        challenge = replicas.all[0].decisions.CheckCall(CALL, timeout=DEADLINE).challenge
        stubs = []
        for number in range(20):
            target, options = replicas.all[number % 3].server.address, [("grpc.use_local_subchannel_pool", 1)]
            channel = stack.enter_context(grpc.insecure_channel(target, options))
            stubs.append(v1.DecisionServiceStub(channel))

        def attack(number: int) -> Counter[tuple[int, bool]]:
            requests = (
                v1.AnswerChallengeRequest(challenge=challenge, password=f"{pin:04}")
                for pin in range(20 + number, 10_000, 100)  # the right one among them
            )
            answers = (stubs[number].AnswerChallenge(request, timeout=DEADLINE) for request in requests)
            return Counter((answer.decision, answer.retry_after_seconds > 0) for answer in answers)

        with ThreadPoolExecutor(20) as pool:
            outcomes = sum(pool.map(attack, range(20)), Counter[tuple[int, bool]]())
        told = {result: replicas.counted(result) for result in ("passed", "wrong", "locked")}

    assert sum(outcomes.values()) == 2000
    assert outcomes[v1.Decision.DECISION_ALLOW, False] == 0
    assert told == {"passed": 0, "wrong": 3, "locked": 1997}


def test_a_challenge_of_one_replica_is_answered_at_another_one_once(server: RedisServer, redis: Redis) -> None:
    """Whichever is asked, it opens one call."""
    del redis
    with ExitStack() as stack:
        first, second, third = Replicas(stack, server).all
        challenge = first.decisions.CheckCall(CALL, timeout=DEADLINE).challenge

        answer = guess(second, challenge, "4321")
        with pytest.raises(grpc.RpcError) as refused:
            guess(third, challenge, "4321")

    assert answer.decision == v1.Decision.DECISION_ALLOW
    assert refused.value.code() is grpc.StatusCode.ABORTED


def test_while_redis_is_away_no_password_opens_anything_and_all_else_goes_on() -> None:
    """UNAVAILABLE for passwords; when Redis is back, so are they."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        (replica,) = Replicas(stack, redis, count=1).all
        challenge = replica.decisions.CheckCall(CALL, timeout=DEADLINE).challenge
        redis.kill()

        with pytest.raises(grpc.RpcError) as refused:
            guess(replica, challenge, "4321")
        meanwhile = replica.decisions.CheckCall(CALL, timeout=DEADLINE)
        redis.start()

        def opened() -> bool:
            try:
                return guess(replica, challenge, "4321").decision == v1.Decision.DECISION_ALLOW
            except grpc.RpcError:
                return False

        until(opened, "the password opens the call")

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "passwords cannot be checked now" in (refused.value.details() or "")
    assert meanwhile.decision == v1.Decision.DECISION_CHALLENGE


def test_a_redis_that_hangs_holds_up_no_decision() -> None:
    """However many wait for an answer to their password, calls are decided."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        (replica,) = Replicas(stack, redis, count=1).all
        challenge = replica.decisions.CheckCall(CALL, timeout=DEADLINE).challenge
        redis.pause()
        stack.callback(redis.resume)
        request = v1.AnswerChallengeRequest(challenge=challenge, password="4321")
        waiting = [replica.decisions.AnswerChallenge.future(request, timeout=DEADLINE) for _ in range(50)]

        decided = [replica.decisions.CheckCall(CALL, timeout=DEADLINE) for _ in range(20)]
        undecided = sum(not one.done() for one in waiting)
        codes = {one.exception(timeout=DEADLINE).code() for one in waiting}  # type: ignore[union-attr] # an RpcError

    assert undecided
    assert len(decided) == 20
    assert codes == {grpc.StatusCode.UNAVAILABLE}
    assert threading.active_count() < 200
