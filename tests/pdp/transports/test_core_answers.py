"""What the core answers by itself: the service's bytes, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import strategies
from cores import built, front_of
from definitions import conformance_suites
from fuzz.mutations import nearly
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import current_of, snapshot_of

from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import CallError
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Mode, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode
from pdp.services.decisions import DecisionService
from rightcall import v1

if TYPE_CHECKING:
    from definitions import ConformanceSuite

    from pdp._core import Front
    from pdp.rules.compiler.automata import Limits
    from pdp.snapshots.current import CurrentSnapshots

pytestmark = built
SUITES = conformance_suites()


class Both:
    """The service and the core, by the same rules."""

    def __init__(self, current: CurrentSnapshots) -> None:
        self.service = DecisionService(current, Metrics(current, ""), max_calls=100)
        self._front: Front | None = None
        self._current = current

    @property
    def front(self) -> Front:
        """The core; it may not be built."""
        if self._front is None:
            self._front = front_of(self._current)
        return self._front

    def call(self, data: bytes) -> bytes | None:
        """What the core answers to a CheckCall; None: it is for Python."""
        return self.front.answer(many=False, request=data)

    def calls(self, data: bytes) -> bytes | None:
        """What the core answers to a CheckCalls; None: it is for Python."""
        return self.front.answer(many=True, request=data)

    def one(self, data: bytes) -> bytes | None:
        """The service's response to a CheckCall in protobuf's form; None: an error."""
        try:
            return self.service.check_call(v1.CheckCallRequest.FromString(data)).SerializeToString()
        except CallError:
            return None

    def agree(self, data: bytes) -> bool:
        """Whether the core answers a CheckCall; if it does, that is the service's answer."""
        answered = self.call(data)
        if answered is not None:
            assert answered == self.one(data)
        return answered is not None


def rich(uuid: str, user: str) -> Tenant:
    """A tenant with every kind of verdict."""
    permissions = (
        CallPermission(id=1, name="no", extensions=("_09.",), users=(user,)),
        CallPermission(id=2, name="", password="12", extensions=("_08.",), users=(user,)),
        CallPermission(id=2**60, name="é" * 200, extensions=("_07.",), outcalls=("3",)),
        CallPermission(id=5, name="n" * 35, mode=Mode.ALLOW, extensions=("_X!5", "*98"), users=(user,)),
    )
    return Tenant(uuid, "", users=(User(user),), outcalls=(Outcall("3", "world"),), call_permissions=permissions)


ONE = Both(current_of(rich(ACME, ALICE)))
TWO = Both(current_of(rich(ACME, ALICE), rich(BOLT, BOB)))
CALLS = st.builds(
    v1.CheckCallRequest,
    caller=st.sampled_from([ALICE, ALICE.upper(), BOB, "", "nobody", "0" * 36, "é"]),
    extension=st.sampled_from(["0900", "0800", "0700", "", "1" * 128, "1" * 129, "\n", "é", "*98", "125"]),
    outcall=st.sampled_from(["", "3", "4", "é"]),
    tenant=st.sampled_from(["", ACME, BOLT.upper(), "unknown"]),
    at_least_revision=st.sampled_from([0, 0, 0, 1, 7, -1]),
)
PLAIN = v1.CheckCallRequest(caller=ALICE, extension="0900", outcall="3")


@given(CALLS, st.sampled_from([ONE, TWO]))
def test_a_call_gets_the_bytes_of_the_service(call: v1.CheckCallRequest, both: Both) -> None:
    """With one tenant and with two; what is an error there is left to Python here."""
    both.agree(call.SerializeToString())


def test_plain_calls_are_answered_at_all() -> None:
    """Or all of the above would hold for a core that answers nothing."""
    for both in (ONE, TWO):
        for call in (PLAIN, v1.CheckCallRequest(extension="1", outcall="3", tenant=ACME)):
            assert both.agree(call.SerializeToString())
    named = v1.CheckCallRequest(extension="0700", outcall="3", tenant=BOLT.upper(), at_least_revision=1)
    assert TWO.agree(named.SerializeToString())


@given(st.lists(CALLS, max_size=5), st.sampled_from([ONE, TWO]))
def test_many_calls_get_the_bytes_of_the_service(calls: list[v1.CheckCallRequest], both: Both) -> None:
    """In their order; one that is not plain leaves all of them to Python."""
    request = v1.CheckCallsRequest(calls=calls)
    answered = both.calls(request.SerializeToString())

    if answered is not None:
        assert answered == both.service.check_calls(request).SerializeToString()
    assert (answered is None) == any(not both.agree(call.SerializeToString()) for call in calls)


def test_more_calls_than_allowed_are_left_to_python() -> None:
    """It says so in its own words."""
    request = v1.CheckCallsRequest(calls=[PLAIN] * 101).SerializeToString()

    assert ONE.calls(request) is None


@settings(max_examples=500)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_plain_call_or_left_to_python(data: bytes) -> None:
    """Never something else."""
    agree_or_unreadable(data)


SEEDS = [call.SerializeToString() for call in (PLAIN, v1.CheckCallRequest(extension="1", tenant=ACME))]


@settings(max_examples=500)
@given(nearly(SEEDS, longest=200))
def test_altered_bytes_are_a_plain_call_or_left_to_python(data: bytes) -> None:
    """Requests that are nearly right."""
    agree_or_unreadable(data)


def agree_or_unreadable(data: bytes) -> None:
    """The core and the service agree on bytes, of which the service may find that they are no request."""
    answered = ONE.call(data)
    if answered is not None:
        assert answered == ONE.one(data)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.tenants(), st.sampled_from(strategies.LIMITS), st.data())
def test_any_rules_decide_as_in_python(tenant: Tenant, limits: Limits, data: st.DataObject) -> None:
    """Whatever kinds of automata the compiler makes of them."""
    blob = Compiler(limits=limits).compile(tenant, Revision(1, "ab" * 32), compiled_at=0.0)
    both = Both(current_of(decode(blob)))
    callers = ["", *(user.uuid for user in tenant.users)]
    outcalls = ["", *(outcall.id for outcall in tenant.outcalls)]
    for extension in data.draw(st.lists(strategies.extensions, min_size=1, max_size=20)):
        for caller in callers:
            for outcall in outcalls:
                call = v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall)
                answered = both.agree(call.SerializeToString())
                plain = extension.isascii() and extension.isprintable() and outcall.isascii()
                assert answered or not plain or not (caller or outcall)


@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_the_core_answers_as_wazo_did(suite: ConformanceSuite) -> None:
    """Every case, with the decision and the stage that Wazo Platform gave."""
    both = Both(current_of(*suite.tenants))
    for case in suite.cases:
        tenant = suite.tenant_of(case)
        call = v1.CheckCallRequest(
            caller=case.caller,
            extension=case.extension,
            outcall=case.outcall,
            tenant=tenant.uuid if tenant else "",
        )
        data = call.SerializeToString()
        if both.agree(data):
            answer = v1.CheckCallResponse.FromString(both.call(data) or b"")
            found = v1.Decision.Name(answer.decision), v1.Stage.Name(answer.stage)
            assert found == (f"DECISION_{case.decision}", f"STAGE_{case.stage}")
        else:
            users = {user.uuid for user in tenant.users} if tenant else set()
            outcalls = {outcall.id for outcall in tenant.outcalls} if tenant else set()
            known = case.caller in {"", *users} and case.outcall in {"", *outcalls} and tenant is not None
            assert not case.extension.isascii() or not known


def test_a_challenge_of_the_core_is_one_of_the_deployment() -> None:
    """It holds the question, as Python reads it, and no two are the same."""
    blob = Compiler(secret=KEY).compile(denying("_0900X.", password="1234"), Revision(7, "ab" * 32), compiled_at=1.5e9)
    seal = ChallengeSeal([KEY], seconds=60)
    front = front_of(current_of(decode(blob)), seal=seal.signing)
    dialled = '09001"\\7'
    call = v1.CheckCallRequest(caller=ALICE.upper(), extension=dialled)
    one, other = (
        v1.CheckCallResponse.FromString(front.answer(many=False, request=call.SerializeToString()) or b"")
        for _ in range(2)
    )
    found = seal.open(one.challenge)

    assert one.challenge != other.challenge
    assert (found.tenant, found.caller, found.extension, found.outcall, found.number) == (ACME, ALICE, dialled, "", 7)
    assert 55 < seal.left(found) <= 60


def test_rules_of_another_format_leave_all_calls_to_python() -> None:
    """One of them may be its tenant's."""
    current = current_of(denying("0900"))
    front = front_of(current)
    data = v1.CheckCallRequest(caller=ALICE, extension="0900").SerializeToString()
    assert front.answer(many=False, request=data) is not None
    blob = bytearray(snapshot_of(denying("0900", tenant=BOLT, user=BOB)).blob)
    blob[8] = 99

    assert not front.replace(BOLT, 1, "1-ab", bytes(blob), 0)
    assert front.answer(many=False, request=data) is None
    front.remove(BOLT)
    assert front.answer(many=False, request=data) is not None


@given(st.sampled_from([1, 4, 7]), strategies.extensions)
def test_extensions_that_may_be_emergency_numbers_are_left_to_python(least: int, extension: str) -> None:
    """Those of enough digits, and nothing else, are none."""
    front = front_of(current_of(denying("0900")), plain_from=least)
    data = v1.CheckCallRequest(caller=ALICE, extension=extension).SerializeToString()
    plain = len(extension) >= least and extension.isascii() and extension.isdigit()

    assert (front.answer(many=False, request=data) is not None) == plain


def test_calls_by_rules_that_are_more_than_patterns_are_left_to_python() -> None:
    """Alone and among many."""
    front = front_of(current_of(denying("0900")), plain_from=None)
    many = v1.CheckCallsRequest(calls=[PLAIN]).SerializeToString()

    assert front.answer(many=False, request=PLAIN.SerializeToString()) is None
    assert front.answer(many=True, request=many) is None
