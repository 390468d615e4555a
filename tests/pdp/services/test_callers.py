"""Who may dial an extension, asked of a live server: the verdicts of brute force, in pages."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from definitions import tenant_from
from hypothesis import given, settings
from hypothesis import strategies as st
from server import DEADLINE, running_server, snapshot_of
from strategies import OUTCALLS, extensions, tenants

from pdp.rules.analysis.callers import verdicts
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running

    from pdp.rules.model import Tenant
    from pdp.transports.choice import Transport

pytestmark = pytest.mark.every_transport

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
BOLT = "9f6a2f0e-7c1b-4d53-8a53-0d1f5a1f7b11"
CALLERS = tuple(f"{number:08x}-433e-4bb8-8d56-fec14ff7e1e9" for number in range(25))
ALLOW, DENY, CHALLENGE = v1.Decision.Value("DECISION_ALLOW"), v1.Decision.Value("DECISION_DENY"), 3


def of_users(count: int, uuid: str = ACME) -> Tenant:
    """A tenant: the first users are denied 0…, the next ones are challenged, and outcall 3 denies 00… to everybody."""
    users = [f"{number:08x}-433e-4bb8-8d56-fec14ff7e1e9" for number in range(count)]
    return tenant_from(
        {
            "uuid": uuid,
            "users": [{"uuid": user} for user in reversed(users)],
            "groups": [{"id": "7", "users": users[5:10]}],
            "outcalls": [{"id": "3"}],
            "call_permissions": [
                {"id": 1, "name": "none", "extensions": ["_0."], "users": users[:5]},
                {"id": 2, "name": "pin", "password": "1", "extensions": ["_0."], "groups": ["7"]},
                {"id": 3, "name": "abroad", "extensions": ["_00."], "outcalls": ["3"]},
            ],
        }
    )


@pytest.fixture(scope="module")
def running(tested_transport: Transport) -> Iterator[Running]:
    """A server with a tenant of 25 users."""
    with running_server(of_users(25), transport=tested_transport) as it:
        yield it


def pages_of(running: Running, **question: Any) -> list[v1.ListCallersResponse]:
    """All pages of an answer."""
    return list(running.directory.ListCallers(v1.ListCallersRequest(**question), timeout=DEADLINE))


def callers_of(running: Running, **question: Any) -> list[str]:
    """The callers of an answer, in their order."""
    return [one.caller for page in pages_of(running, **question) for one in page.callers]


@settings(max_examples=100, deadline=None)
@given(tenants(), extensions, st.sampled_from([*OUTCALLS, "", "unknown"]))
def test_every_user_is_listed_with_its_own_verdict(tenant: Tenant, extension: str, outcall: str) -> None:
    """What is decided once for all who share a profile is what each of them would be told."""
    snapshot = snapshot_of(tenant)
    expected = [(user, snapshot.decide(user, extension, outcall)) for user in sorted(snapshot.callers())]
    assert verdicts(snapshot, extension, outcall) == expected


def test_callers_come_sorted_with_what_decides(running: Running) -> None:
    """One page, with stage and permission of each."""
    (page,) = pages_of(running, extension="0123")
    assert [one.caller for one in page.callers] == list(CALLERS)
    assert [one.decision for one in page.callers] == [DENY] * 5 + [CHALLENGE] * 5 + [ALLOW] * 15
    assert page.callers[0].permission == v1.Permission(id="1", name="none")
    assert page.callers[7].stage == v1.Stage.Value("STAGE_GROUP")
    assert not page.callers[24].HasField("permission")
    assert (page.tenant, page.revision[:2], page.outcall_known, page.more) == (ACME, "1-", False, False)


def test_the_outcall_counts_and_names_the_tenant(running: Running) -> None:
    """What an outcall denies is denied to whom nothing else says anything."""
    (page,) = pages_of(running, extension="001", outcall="3")
    assert [one.decision for one in page.callers[5:]] == [CHALLENGE] * 5 + [DENY] * 15
    assert page.outcall_known


def test_only_some_decisions_are_listed_where_that_is_asked_for(running: Running) -> None:
    """A filter on what is decided."""
    assert callers_of(running, extension="01", decisions=[CHALLENGE]) == list(CALLERS[5:10])
    assert callers_of(running, extension="01", decisions=[DENY, CHALLENGE]) == list(CALLERS[:10])
    (page,) = pages_of(running, extension="11", decisions=[DENY])
    assert (len(page.callers), page.more, page.tenant) == (0, False, ACME)


def test_pages_are_as_long_as_asked_for(running: Running) -> None:
    """A message each, and the last one is what is left."""
    pages = pages_of(running, extension="01", page_size=10)
    assert [len(page.callers) for page in pages] == [10, 10, 5]
    assert not any(page.more for page in pages)


def test_an_answer_is_gone_on_with_behind_its_last_caller(running: Running) -> None:
    """With a limit, as often as there is more."""
    seen: list[str] = []
    more = True
    while more:
        pages = pages_of(running, extension="01", limit=10, page_size=4, after=seen[-1].upper() if seen else "")
        seen += [one.caller for page in pages for one in page.callers]
        more = pages[-1].more
        assert not any(page.more for page in pages[:-1])
    assert seen == list(CALLERS)


@pytest.mark.parametrize(
    ("question", "advice"),
    [
        ({"extension": ""}, "send what was dialled"),
        ({"extension": "1\n"}, "U\\+000A"),
        ({"extension": "1", "limit": -1}, "limit is -1"),
        ({"extension": "1", "page_size": 10_001}, "from 1 to 10000"),
        ({"extension": "1", "decisions": [0]}, "DECISION_ALLOW"),
    ],
)
def test_a_question_at_fault_is_refused(running: Running, question: dict[str, Any], advice: str) -> None:
    """With what to send instead."""
    with pytest.raises(grpc.RpcError, match=advice) as refused:
        pages_of(running, **question)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_tenant_is_not_found(running: Running) -> None:
    """As everywhere."""
    with pytest.raises(grpc.RpcError) as refused:
        pages_of(running, extension="1", tenant=BOLT)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_one_of_many_tenants_has_to_be_named() -> None:
    """Nobody's users are taken for somebody else's."""
    with running_server(of_users(3), of_users(2, BOLT)) as running:
        with pytest.raises(grpc.RpcError, match="2 tenants; name the one") as refused:
            pages_of(running, extension="1")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(callers_of(running, extension="1", tenant=BOLT.upper())) == 2


def test_an_answer_that_nobody_reads_on_leaves_the_server_well(running: Running) -> None:
    """A client may stop after any page."""
    stream = running.directory.ListCallers(v1.ListCallersRequest(extension="01", page_size=1), timeout=DEADLINE)
    assert len(next(iter(stream)).callers) == 1
    stream.cancel()
    assert len(callers_of(running, extension="01")) == 25


def test_a_hundred_thousand_callers_are_listed_whole() -> None:
    """Every one of them once, and printed how long that takes (the target is a second)."""
    with running_server(of_users(100_000)) as running:
        started = perf_counter()
        pages = pages_of(running, extension="0123")
        print(f"100,000 callers in {perf_counter() - started:.2f} s")
        assert len(pages) == 100
        callers = [one.caller for page in pages for one in page.callers]
        assert len(set(callers)) == 100_000
        assert callers == sorted(callers)
