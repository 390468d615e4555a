"""The core's responses: the bytes of the service to each call that has a response, in ASCII."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import strategies
from cores import built, front_of, hand_over
from definitions import conformance_suites
from dialling_cases import COUNTRIES, FILES, LINES, Numbers, ReferenceReader, dialled_tenant
from dialling_cases import suite as dialling_suite
from dialling_reference import Country
from fuzz.mutations import NUMBERS, nearly
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import current_of, snapshot_of
from strategies import STRANGER

from loader.numbering import numbering_table
from pdp.challenges.tokens import ChallengeSeal
from pdp.errors import CallError
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Dialling, Mode, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.ruling import AS_WAZO, Policy
from pdp.rules.snapshot.snapshot import decode
from pdp.security.identity import ASKING, Client
from pdp.services.decisions import DecisionService
from pdp.snapshots.emergency import EmergencyCalls
from pdp.snapshots.scoped import ScopedSnapshots
from rightcall import v1

if TYPE_CHECKING:
    from pathlib import Path

    from definitions import ConformanceSuite
    from dialling_deciding import Suite

    from pdp._core import Front
    from pdp.rules.compiler.automata import Limits
    from pdp.snapshots.current import CurrentSnapshots

pytestmark = built
SUITES = conformance_suites()


class Both:
    """The service and the core, by the same rules.

    Args:
        current: the rules.
        policy: further reasons to deny.
        emergency: the server's emergency numbers.
    """

    def __init__(
        self, current: CurrentSnapshots, *, policy: Policy = AS_WAZO, emergency: tuple[str, ...] = ("112",)
    ) -> None:
        numbers = EmergencyCalls(current, emergency)
        self.service = DecisionService(
            current, Metrics(current, ""), policy=policy, emergency=numbers, rules=None, max_calls=100
        )
        self._front: Front | None = None
        self._make = partial(front_of, current, policy=policy, emergency=emergency)

    @property
    def front(self) -> Front:
        """The core; it may not be built."""
        if self._front is None:
            self._front = self._make()
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

    def agree(self, call: v1.CheckCallRequest) -> bytes | None:
        """The response of both; None: an error, or text beyond ASCII, which are for Python."""
        data = call.SerializeToString()
        answered = self.call(data)
        if answered is None and texts_of(call).isascii():
            assert self.one(data) is None
        elif answered is not None:
            assert answered == self.one(data)
        return answered


def texts_of(call: v1.CheckCallRequest) -> str:
    """All texts of a request whose letters the core has to understand."""
    return call.caller + call.extension + call.tenant + call.forwarded_by


def rich(uuid: str, user: str) -> Tenant:
    """A tenant with every kind of verdict."""
    permissions = (
        CallPermission(id=1, name="no", extensions=("_09.",), users=(user,)),
        CallPermission(id=2, name="", password="12", extensions=("_08.",), users=(user,)),
        CallPermission(id=2**60, name="é" * 200, extensions=("_07.",), outcalls=("3",)),
        CallPermission(id=5, name="n" * 35, mode=Mode.ALLOW, extensions=("_X!5", "*98"), users=(user,)),
    )
    users = (User(user, aliases=(f"{user[:4]}@pbx", "desk")),)
    return Tenant(uuid, "", users, outcalls=(Outcall("3", "world"),), call_permissions=permissions, emergency=("15",))


def dialling(uuid: str, user: str) -> Tenant:
    """The same, of a tenant in France with an outside line."""
    return replace(rich(uuid, user), dialling=Dialling("FR", "0", numbering_table("FR", "0")))


ONE = Both(current_of(rich(ACME, ALICE)))
TWO = Both(current_of(rich(ACME, ALICE), dialling(BOLT, BOB)), emergency=())
STRICT = Both(
    current_of(dialling(ACME, ALICE), replace(rich(BOLT, BOB), call_permissions=(), closed=3)),
    policy=Policy(deny_unknown_callers=True, deny_unknown_outcalls=True, dialable_only=True),
    emergency=("112", "999"),
)
EMPTY = Both(current_of())
WAYS = [ONE, TWO, STRICT, EMPTY]
CALLERS = st.sampled_from(
    [
        ALICE,
        ALICE.upper(),
        BOB,
        "",
        "nobody",
        "0" * 36,
        "é",
        "desk",
        "2c34@pbx",
        "2c34@PBX",
        "a" * 200,
        "a\tb",
        STRANGER,
    ]
)
CALLS = st.builds(
    v1.CheckCallRequest,
    caller=CALLERS,
    extension=st.sampled_from(["0900", "0800", "0700", "", "1" * 128, "1" * 129, "\n", "é", "*98", "125"])
    | st.sampled_from(["112", "1-1-2", "*31#112#", "0112", "01 12", "15", "0033 9 00", "+331 5", "00900123456", "0 15"])
    | strategies.extensions,
    outcall=st.sampled_from(["", "3", "4", "é", "4" * 129]),
    tenant=st.sampled_from(["", "", ACME, BOLT.upper(), "unknown"]),
    at_least_revision=st.sampled_from([0, 0, 0, 1, 7, -1]),
    forwarded_by=st.just("") | CALLERS,
)
PLAIN = v1.CheckCallRequest(caller=ALICE, extension="0900", outcall="3")


@settings(max_examples=1000)
@given(CALLS, st.sampled_from(WAYS))
def test_a_call_gets_the_bytes_of_the_service(call: v1.CheckCallRequest, both: Both) -> None:
    """By every kind of rules and policy; errors alone are left to Python."""
    both.agree(call)


@pytest.mark.parametrize(
    ("both", "call"),
    [
        (ONE, PLAIN),
        (ONE, v1.CheckCallRequest(extension="1", outcall="3", tenant=ACME)),
        (ONE, v1.CheckCallRequest(caller=STRANGER, extension="1")),
        (ONE, v1.CheckCallRequest(extension="1")),
        (ONE, v1.CheckCallRequest(caller="desk", extension="0900")),
        (ONE, v1.CheckCallRequest(caller=STRANGER, extension="0900", forwarded_by="2c34@pbx")),
        (TWO, v1.CheckCallRequest(extension="0700", outcall="3", tenant=BOLT.upper(), at_least_revision=1)),
        (TWO, v1.CheckCallRequest(caller=BOB, extension="+33 9 00 12 34 56")),
        (TWO, v1.CheckCallRequest(extension="0-15", forwarded_by=BOB)),
        (STRICT, v1.CheckCallRequest(caller=STRANGER, extension="0900")),
        (STRICT, v1.CheckCallRequest(caller=ALICE, extension="0900", outcall="9")),
        (STRICT, v1.CheckCallRequest(caller=BOB, extension="1-12", at_least_revision=9)),
        (STRICT, v1.CheckCallRequest(tenant="unknown", extension="999")),
        (EMPTY, v1.CheckCallRequest(extension="112")),
    ],
)
def test_the_core_answers_by_itself(both: Both, call: v1.CheckCallRequest) -> None:
    """Or all the others would hold for a core that answers nothing."""
    assert both.agree(call) is not None


@given(st.lists(CALLS, max_size=5), st.sampled_from(WAYS))
def test_many_calls_get_the_bytes_of_the_service(calls: list[v1.CheckCallRequest], both: Both) -> None:
    """In their order; one that is not plain leaves all of them to Python."""
    request = v1.CheckCallsRequest(calls=calls)
    answered = both.calls(request.SerializeToString())

    if answered is not None:
        assert answered == both.service.check_calls(request).SerializeToString()
    assert (answered is None) == any(both.agree(call) is None for call in calls)


@given(CALLS, st.sampled_from([(ACME,), (BOLT,), (ACME, BOLT), (STRANGER,), (ACME, STRANGER)]))
def test_a_client_gets_answers_from_its_own_tenants(call: v1.CheckCallRequest, tenants: tuple[str, ...]) -> None:
    """As the service gives them; what it may not ask is left to Python, which counts that."""
    current = current_of(rich(ACME, ALICE), dialling(BOLT, BOB))
    seen = ScopedSnapshots(current, lambda: None)
    service = DecisionService(seen, Metrics(current, ""), emergency=EmergencyCalls(seen, ("112",)))
    answered = SCOPED.front.answer(many=False, request=call.SerializeToString(), tenants=sorted(tenants))
    token = ASKING.set(Client("one", tenants=tuple(sorted(tenants))))
    try:
        expected: bytes | None = service.check_call(call).SerializeToString()
    except CallError:
        expected = None
    finally:
        ASKING.reset(token)
    assert answered == expected or (answered is None and not texts_of(call).isascii())


SCOPED = Both(current_of(rich(ACME, ALICE), dialling(BOLT, BOB)))


@given(CALLS)
def test_calls_of_tenants_that_may_be_missing_are_left_to_python(call: v1.CheckCallRequest) -> None:
    """Those that no tenant here claims."""
    current = current_of(rich(ACME, ALICE), dialling(BOLT, BOB))
    current.set_incomplete("one is missing")
    Both(current).agree(call)


def test_more_calls_than_allowed_are_left_to_python() -> None:
    """It says so in its own words."""
    request = v1.CheckCallsRequest(calls=[PLAIN] * 101).SerializeToString()

    assert ONE.calls(request) is None


@settings(max_examples=500)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_call_or_left_to_python(data: bytes) -> None:
    """Never something else."""
    agree_or_unreadable(data)


SEEDS = [call.SerializeToString() for call in (PLAIN, v1.CheckCallRequest(extension="1", tenant=ACME))]


@settings(max_examples=500)
@given(NUMBERS.map(nearly(SEEDS, longest=200)))
def test_altered_bytes_are_a_call_or_left_to_python(data: bytes) -> None:
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
                both.agree(v1.CheckCallRequest(caller=caller, extension=extension, outcall=outcall))


@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_the_core_answers_as_wazo_did(suite: ConformanceSuite) -> None:
    """Every case, with the decision and the stage that Wazo Platform gave."""
    both = Both(current_of(*suite.tenants), emergency=())
    for case in suite.cases:
        tenant = suite.tenant_of(case)
        call = v1.CheckCallRequest(
            caller=case.caller,
            extension=case.extension,
            outcall=case.outcall,
            tenant=tenant.uuid if tenant else "",
        )
        answered = both.agree(call)
        assert answered is not None or not case.extension.isascii()
        if answered is not None:
            answer = v1.CheckCallResponse.FromString(answered)
            found = v1.Decision.Name(answer.decision), v1.Stage.Name(answer.stage)
            assert found == (f"DECISION_{case.decision}", f"STAGE_{case.stage}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_core_reads_extensions_as_tenants_dial(path: Path) -> None:
    """Every case that has a decision, with all that is expected; errors are left to Python."""
    deciding, cases = dialling_suite(path, ReferenceReader)
    isolates, options = bool(deciding.options.get("isolate_faults")), deciding.options
    tenants = {raw["uuid"]: dialled_case_tenant(deciding, raw) for raw in deciding.tenants}
    policy = Policy(options.get("unknown_caller") == "deny", options.get("unknown_outcall") == "deny")
    both = Both(current_of(*tenants.values()), policy=policy, emergency=tuple(options.get("emergency", ())))
    answers = 0
    for case in cases:
        call = v1.CheckCallRequest(
            **{name: case.get(name, "") for name in ("caller", "extension", "outcall", "tenant", "forwarded_by")}
        )
        answered = both.agree(call)
        if answered is None or isolates:
            assert isolates or "error" in case["expected"] or not call.extension.isascii()
            continue
        answers += 1
        response = v1.CheckCallResponse.FromString(answered)
        assert {
            "decision": v1.Decision.Name(response.decision).removeprefix("DECISION_"),
            "stage": v1.Stage.Name(response.stage).removeprefix("STAGE_"),
            "reason": v1.Reason.Name(response.reason).removeprefix("REASON_"),
            "caller_known": response.caller_known,
            "outcall_known": response.outcall_known,
        } == {name: value for name, value in case["expected"].items() if name != "password"}
    assert isolates or answers > len(cases) // 2


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(COUNTRIES), st.sampled_from(LINES), st.integers(0, 2**32))
def test_numbers_of_any_country_are_read_as_in_python(country: str, line: str, seed: int) -> None:
    """As people dial them, rightly or wrongly, by rules that tell forms apart."""
    reference, numbers = Country(country, line), Numbers(seed)
    texts = (f"_{line}00[1-9].", f"_{line}0[1-9].", f"_+{reference.cc}9.", f"_{line}00{reference.cc}[1-5]!", "_1XXX")
    permissions = [
        CallPermission(at, "", Mode.ALLOW if at & seed else Mode.DENY, extensions=(text,), users=(ALICE,))
        for at, text in enumerate(texts, 1)
    ]
    plan = Dialling(country, line, numbering_table(country, line))
    both = Both(current_of(Tenant(ACME, users=(User(ALICE),), call_permissions=tuple(permissions), dialling=plan)))
    for _ in range(25):
        both.agree(v1.CheckCallRequest(caller=ALICE, extension=numbers.dialled(reference), tenant=ACME))


def dialled_case_tenant(deciding: Suite, raw: dict[str, Any]) -> Tenant:
    """A tenant of the cases; closed where a permission of it cannot be read."""
    raw = {**raw, "call_permissions": raw["call_permissions"] if deciding.is_sound(raw) else []}
    tenant = replace(dialled_tenant(raw), emergency=tuple(sorted(deciding.emergency[raw["uuid"]])))
    return tenant if tenant.call_permissions else replace(tenant, closed=1)


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
    other = snapshot_of(denying("0900", tenant=BOLT, user=BOB))
    blob = bytearray(other.blob)
    blob[8] = 99

    assert not hand_over(front, other, EmergencyCalls(current), bytes(blob))
    assert front.answer(many=False, request=data) is None
    front.remove(BOLT)
    assert front.answer(many=False, request=data) is not None
