"""Candidates in Redis: chosen, followed, dropped, and refused where they are damaged, forged or replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fleets import Fleet, fleet_over
from followers import publisher_to
from given import ACME, ALICE, BOB, KEY, GivenSource, denying
from structlog.testing import capture_logs
from waiting import until

from loader.cycle import Synchronizer
from loader.publishing.candidate_publisher import CandidatePublisher
from loader.publishing.candidates import Candidates
from loader.publishing.revisions import UnknownRevision
from pdp.rules.errors import SnapshotError
from pdp.rules.model import PasswordOverride, Revision, User
from pdp.rules.publication.candidate import Candidate
from pdp.rules.publication.keys import DEFAULT_SCOPE, Keys, Scope
from pdp.rules.publication.pointer import Pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_server import RedisServer

KEYS = Keys()


@pytest.fixture
def fleet(redis: RedisServer) -> Iterator[Fleet]:
    """A fleet whose server has loaded a tenant that denies 118."""
    with fleet_over(redis) as made:
        yield made


def test_a_kept_revision_is_compared_until_it_is_dropped(fleet: Fleet) -> None:
    """An earlier one as well; the current one is none."""
    fleet.publish("117")
    newest, oldest = fleet.revisions.kept(ACME)
    with pytest.raises(UnknownRevision, match="is current"):
        fleet.revisions.shadow(ACME, str(newest.revision))
    fleet.revisions.shadow(ACME, str(oldest.revision.number))
    until(lambda: fleet.candidate == str(oldest.revision), "the server compares")
    assert fleet.revisions.drop(ACME)
    until(lambda: not fleet.candidate, "the comparison has ended")
    assert not fleet.revisions.drop(ACME)


def test_a_damaged_or_replayed_candidate_is_named_and_changes_no_decision(fleet: Fleet) -> None:
    """Cut short, evicted, signed by another key, a pointer in its place, or an earlier one put back."""
    first = fleet.propose(denying("117"))
    until(lambda: fleet.candidate == first, "the server compares")
    earlier = fleet.client.hget(KEYS.candidates, ACME)
    second = fleet.propose(denying("116"))
    until(lambda: fleet.candidate == second, "the server compares with the next")
    number = int(second.partition("-")[0])
    forged = Candidate(ACME, 2**52, Revision(number, second.partition("-")[2])).dump(b"other", DEFAULT_SCOPE)
    for raw, cause in (
        (earlier, "rolled_back"),
        (forged, "untrusted"),
        (fleet.client.hget(KEYS.pointers, ACME), "untrusted"),
        (b"junk", "corrupt"),
    ):
        with capture_logs() as logs:
            fleet.client.hset(KEYS.candidates, ACME, raw)
            until(lambda: any(one["event"] == "candidate_refused" for one in logs), cause)
        assert logs[0]["cause"] == cause
        assert fleet.candidate == second
    for damage, cause in (
        (lambda key: fleet.client.setrange(key, 200, b"\xff" * 64), "corrupt"),
        (fleet.client.delete, "missing"),
    ):
        third = fleet.propose(denying("115"))
        until(lambda: fleet.candidate == third, "the server compares with the third")
        fleet.revisions.drop(ACME)
        until(lambda: not fleet.candidate, "the comparison has ended")
        damage(KEYS.snapshot(ACME, int(third.partition("-")[0])))
        with capture_logs() as logs:
            Candidates(fleet.client, "redis", secret=KEY, scope=DEFAULT_SCOPE).set(
                ACME, Revision(int(third.partition("-")[0]), third.partition("-")[2]), 1
            )
            until(lambda: any(one["event"] == "candidate_refused" for one in logs), cause)
        assert next(one for one in logs if one["event"] == "candidate_refused")["cause"] == cause
    held = fleet.current.get(ACME)
    assert held is not None
    assert held.snapshot.decide(ALICE, "118", "").decision.name == "DENY"
    assert fleet.current.source_error == ""


def test_a_record_is_good_for_one_tenant_deployment_and_purpose() -> None:
    """No signature of a candidate makes a pointer, or the other way round."""
    candidate = Candidate(ACME, 5, Revision(4, "ab"), 3)
    raw = candidate.dump(KEY, DEFAULT_SCOPE)
    assert Candidate.load(ACME, raw, (b"new", KEY), DEFAULT_SCOPE) == candidate
    for load in (
        lambda: Candidate.load(BOB, raw, (KEY,), DEFAULT_SCOPE),
        lambda: Candidate.load(ACME, raw, (KEY,), Scope("rightcall:", "paris")),
        lambda: Candidate.load(ACME, Pointer.to(ACME, Revision(4, "ab"), 3).dump(KEY), (KEY,), DEFAULT_SCOPE),
        lambda: Pointer.load(ACME, raw, (KEY,), DEFAULT_SCOPE),
    ):
        with pytest.raises(SnapshotError):
            load()


def test_nothing_is_proposed_where_there_is_nothing_to_compare_with(redis: RedisServer) -> None:
    """A tenant without a current revision gets no candidate, and none is removed or listed."""
    beside = CandidatePublisher(publisher_to(redis))
    source = GivenSource(replace(denying("118"), users=(User(ALICE), User(BOB))))
    report = Synchronizer(source, beside, secret=KEY, password_override=PasswordOverride.ALL).sync()
    assert not report.error
    assert not beside.proposed
    assert redis.client().keys() == []
