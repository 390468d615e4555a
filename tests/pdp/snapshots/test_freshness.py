"""Questions that ask for a revision: answered by it or a later one, or not at all."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from given import ACME, ALICE, BOB, BOLT, denying
from server import DEADLINE, current_of, running_server, snapshot_of
from waiting import until

from pdp.errors import InvalidCall, NotReady, RulesBehind, UnknownTenant
from pdp.snapshots.current import CurrentSnapshots
from pdp.snapshots.freshness import RevisionWaiter
from rightcall import v1

NEW = denying("_0!")


def resolve(rules: RevisionWaiter, at_least: int, *, caller: str = ALICE, tenant: str = "") -> int:
    """The number of the revision that a question is answered by."""
    return rules.resolve(caller, "", tenant, at_least, rules.deadline()).revision.number


def test_rules_that_are_new_enough_answer_at_once() -> None:
    """That very revision, or a later one."""
    rules = RevisionWaiter(current_of(snapshot_of(NEW, number=5)).resolve)

    assert [resolve(rules, at_least) for at_least in (1, 5)] == [5, 5]


def test_rules_that_are_older_do_not_answer() -> None:
    """At once, where nothing else is set; the message names both numbers."""
    rules = RevisionWaiter(current_of(snapshot_of(NEW, number=5)).resolve)

    with pytest.raises(RulesBehind, match="at revision 5 here, and revision 6 is asked for"):
        resolve(rules, 6)


def test_a_caller_that_is_not_known_yet_is_behind_as_well() -> None:
    """Who has just been added must not be taken for somebody without rules."""
    rules = RevisionWaiter(current_of(NEW).resolve)

    with pytest.raises(RulesBehind, match="unknown here"):
        resolve(rules, 1, caller=BOB)


def test_a_tenant_that_stays_unknown_and_a_server_without_rules_say_what_they_always_say() -> None:
    """NOT_FOUND and UNAVAILABLE."""
    with pytest.raises(UnknownTenant):
        resolve(RevisionWaiter(current_of(NEW).resolve), 1, tenant=BOLT)
    with pytest.raises(NotReady):
        resolve(RevisionWaiter(CurrentSnapshots("").resolve), 1)


@pytest.mark.parametrize("tenant", ["", ACME])
def test_a_question_waits_for_rules_that_are_on_their_way(tenant: str) -> None:
    """As long as it may, and no longer than it takes."""
    current = current_of(denying("1", tenant=BOLT, user=BOB))
    rules = RevisionWaiter(current.resolve, seconds=DEADLINE, waiters=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(resolve, rules, 2, tenant=tenant)
        time.sleep(0.05)
        current.replace(snapshot_of(NEW, number=1))
        time.sleep(0.05)
        early = answer.done()
        current.replace(snapshot_of(NEW, number=2))

        assert answer.result(DEADLINE) == 2
    assert not early


def test_waiting_ends() -> None:
    """With the same error as at once."""
    rules = RevisionWaiter(current_of(NEW).resolve, seconds=0.05, waiters=1)

    with pytest.raises(RulesBehind):
        resolve(rules, 2)


def test_no_more_questions_wait_than_may() -> None:
    """So that threads are left for others; a place that is free again is taken again."""
    current = current_of(NEW)
    rules = RevisionWaiter(current.resolve, seconds=DEADLINE, waiters=1)
    waiting = threading.Thread(target=resolve, args=(rules, 2))
    waiting.start()

    def full() -> bool:
        started = time.monotonic()
        with pytest.raises(RulesBehind):
            rules.resolve(ALICE, "", "", 3, started)
        return rules._waiters._value == 0

    until(full, "the first one waits")
    with pytest.raises(RulesBehind):
        resolve(rules, 2)
    current.replace(snapshot_of(NEW, number=2))
    waiting.join(DEADLINE)

    assert not waiting.is_alive()
    assert rules._waiters._value == 1


def test_each_way_of_asking_honours_the_revision() -> None:
    """Single, many, explained; and 0 or less asks for nothing."""
    behind = v1.CheckCallRequest(caller=ALICE, extension="0033", at_least_revision=2)
    anyway = v1.CheckCallRequest(caller=ALICE, extension="0033", at_least_revision=-1)
    with running_server(NEW) as running:
        asked = running.decisions
        with pytest.raises(grpc.RpcError) as single:
            asked.CheckCall(behind, timeout=DEADLINE)
        with pytest.raises(grpc.RpcError) as explained:
            asked.ExplainCall(v1.ExplainCallRequest(call=behind), timeout=DEADLINE)
        many = asked.CheckCalls(v1.CheckCallsRequest(calls=[behind, anyway]), timeout=DEADLINE).answers

    assert single.value.code() is explained.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert many[0].error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert many[1].response.decision == v1.Decision.DECISION_DENY


def test_a_server_that_may_wait_answers_by_the_revision_asked_for() -> None:
    """What was just changed can be seen; others are answered meanwhile."""
    call = v1.CheckCallRequest(caller=ALICE, extension="0033", at_least_revision=2)
    with running_server(NEW, freshness_wait=DEADLINE, threads=4) as running:
        waiting = [running.decisions.CheckCall.future(call, timeout=DEADLINE) for _ in range(2)]
        other = running.decisions.CheckCall(v1.CheckCallRequest(caller=ALICE, extension="0033"), timeout=DEADLINE)
        running.current.replace(snapshot_of(denying("_9!"), number=2))
        answers = [one.result() for one in waiting]

    assert other.decision == v1.Decision.DECISION_DENY
    assert [(one.decision, one.revision[:2]) for one in answers] == [(v1.Decision.DECISION_ALLOW, "2-")] * 2


def test_the_most_calls_of_a_batch_can_be_set() -> None:
    """The message says what is allowed."""
    call = v1.CheckCallRequest(extension="1")
    with running_server(NEW, max_calls=2) as running:
        answers = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call] * 2), timeout=DEADLINE).answers
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.CheckCalls(v1.CheckCallsRequest(calls=[call] * 3), timeout=DEADLINE)

    assert len(answers) == 2
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "there are more than 2 calls; send them in more requests"
    assert InvalidCall.code == 3
