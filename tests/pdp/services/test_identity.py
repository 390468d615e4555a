"""Who asks: callers that cannot be anybody's are errors, and those that are not known are said to be, on every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from cores import EACH_TRANSPORT
from definitions import tenant_from
from given import ACME, ALICE, BOB, BOLT
from server import DEADLINE, running_server
from ways import Told, every_way

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import CallPermission, Group, Mode, Outcall, Revision, Tenant, User
from pdp.rules.snapshot.snapshot import decode
from pdp.settings import Characters
from rightcall import v1

if TYPE_CHECKING:
    from pdp.rules.model import Tenant as Rules
    from pdp.transports.choice import Transport

STRANGER = "7e57ab1e-0000-4000-8000-000000000000"
ACME_RULES = Tenant(
    ACME,
    "acme",
    users=(User(ALICE, aliases=("user:7", "alice", "sip:alice@example.com")), User(BOB, aliases=("bjørn",))),
    outcalls=(Outcall("3"),),
    call_permissions=(
        CallPermission(1, "premium", extensions=("_0900.",), users=(ALICE,)),
        CallPermission(2, "world", extensions=("_00.",), users=(ALICE,), password="4321"),
        CallPermission(3, "directory", extensions=("118",), outcalls=("3",)),
    ),
)
BOLT_RULES = Tenant(BOLT, "bolt", users=(User("b" * 8 + STRANGER[8:], aliases=("front desk",)),))

INVALID = Told("INVALID_ARGUMENT")
DENIED = Told("", "DENY", "USER", "PERMISSION", caller_known=True)


def call(
    extension: str, caller: str = "", outcall: str = "", tenant: str = "", forwarded_by: str = ""
) -> v1.CheckCallRequest:
    """A request."""
    return v1.CheckCallRequest(
        caller=caller, extension=extension, outcall=outcall, tenant=tenant, forwarded_by=forwarded_by
    )


ALL_CASES = [
    (call("09001", ALICE), DENIED),  # a user
    (call("09001", ALICE.upper()), DENIED),  # in upper case
    (call("09001", "alice"), DENIED),  # an alias
    (call("09001", "user:7"), DENIED),  # a number
    (call("09001", "sip:alice@example.com", tenant=ACME), DENIED),  # an address, with its tenant
    (call("09001", "bjørn"), Told("", "ALLOW", "NONE", "NO_PERMISSION", caller_known=True)),  # an alias beyond ASCII
    (call("09001", "Alice"), INVALID),  # an alias in another case
    (call("09001", "alice", tenant=BOLT), INVALID),  # an alias of another tenant
    (call("09001", ALICE.replace("-", "")), INVALID),  # without dashes
    (call("09001", f"{{{ALICE}}}"), INVALID),  # in braces
    (call("09001", f"{ALICE} "), INVALID),  # a trailing blank
    (call("09001", "PJSIP/alice"), INVALID),  # a channel
    (call("09001", "1001"), INVALID),  # an extension
    (call("118", "carol", "3"), INVALID),  # a name, where the outcall decides
    (call("118", "x" * 36, "3"), INVALID),  # as long as a UUID
    (call("118", "x" * 200, "3"), INVALID),  # too long
    (call("118", ALICE, "3" * 129), INVALID),  # an outcall that is too long
    (
        call("118", STRANGER, "3"),
        Told("", "DENY", "OUTCALL", "PERMISSION", caller_known=False, outcall_known=True),
    ),  # a stranger through an outcall
    (call("09001", STRANGER), Told("", "ALLOW", "NONE", "NO_PERMISSION")),  # a stranger
    (
        call("118", ALICE, "world"),
        Told("", "ALLOW", "NONE", "NO_PERMISSION", caller_known=True),
    ),  # an outcall that is not known
    (
        call("118", "", "3"),
        Told("", "DENY", "OUTCALL", "PERMISSION", caller_known=False, outcall_known=True),
    ),  # no caller
    (call("00331", ALICE), Told("", "CHALLENGE", "USER", "PERMISSION", caller_known=True)),  # a password
    (
        call("00331", "", forwarded_by=ALICE),
        Told("", "DENY", "USER", "CHALLENGE_UNANSWERABLE", caller_known=True),
    ),  # forwarded, a password
    (call("09001", BOB, forwarded_by="user:7"), DENIED),  # forwarded by a number
    (
        call("09001", ALICE, forwarded_by=BOB),
        Told("", "ALLOW", "NONE", "NO_PERMISSION", caller_known=True),
    ),  # the caller's own rules do not count
    (call("09001", ALICE, forwarded_by="dave"), INVALID),  # forwarded by a name
    (call("09001", "dave", forwarded_by=ALICE), INVALID),  # a caller that is none, forwarded
    (
        call("118", ALICE, "3", forwarded_by=STRANGER),
        Told("", "DENY", "OUTCALL", "PERMISSION", caller_known=False, outcall_known=True),
    ),  # forwarded by a stranger
]


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
@pytest.mark.parametrize("rules", [(ACME_RULES,), (ACME_RULES, BOLT_RULES)], ids=["one tenant", "two tenants"])
def test_every_way_says_who_is_known_and_takes_no_caller_that_is_none(
    rules: tuple[Rules, ...], transport: Transport
) -> None:
    """A UUID in its usual form, an alias, or nothing; what is not known is decided without its stages."""
    cases = [(asked, wanted) for asked, wanted in ALL_CASES if len(rules) > 1 or asked.tenant != BOLT]
    calls = [case[0] for case in cases]
    with running_server(*rules, transport=transport) as running:
        found = every_way(running, calls)

    for way, answers in found.items():
        for (asked, wanted), answer in zip(cases, answers, strict=True):
            assert (way, str(asked), answer) == (way, str(asked), wanted)


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
def test_unknown_callers_and_outcalls_are_denied_where_the_server_says_so(transport: Transport) -> None:
    """The caller before the outcall; an empty one is none that is not known. Each is counted."""
    calls = [
        call("118", STRANGER, "3"),
        call("118", STRANGER, "world"),
        call("118", ALICE, "world"),
        call("118", "", "world"),
        call("118"),
        call("118", BOB),
        call("118", BOB, forwarded_by=STRANGER),
    ]
    caller = Told("", "DENY", "POLICY", "UNKNOWN_CALLER")
    outcall = Told("", "DENY", "POLICY", "UNKNOWN_OUTCALL")
    with running_server(ACME_RULES, transport=transport, unknown_caller="deny", unknown_outcall="deny") as running:
        found = every_way(running, calls)
        counted = {
            sample.labels["part"]: sample.value
            for family in running.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "rightcall_unknown_total"
        }

    wanted = [
        caller._replace(outcall_known=True),
        caller,
        outcall._replace(caller_known=True),
        outcall,
        Told("", "ALLOW", "NONE", "NO_PERMISSION"),
        Told("", "ALLOW", "NONE", "NO_PERMISSION", caller_known=True),
        caller,
    ]
    assert found == dict.fromkeys(found, wanted)
    assert counted == {"caller": 15, "outcall": 15}  # three each, on five ways: explanations are not counted


def test_an_alias_of_two_tenants_asks_for_the_tenant() -> None:
    """With it, each tenant's own user is meant."""
    twin = tenant_from({"uuid": BOLT, "users": [{"uuid": STRANGER}]})
    other = Tenant(BOLT, users=(User(twin.users[0].uuid, aliases=("alice",)),))
    with running_server(ACME_RULES, other) as running:
        with pytest.raises(grpc.RpcError) as refused:
            running.decisions.CheckCall(call("09001", "alice"), timeout=DEADLINE)
        ours = running.decisions.CheckCall(call("09001", "alice", tenant=ACME), timeout=DEADLINE)
        theirs = running.decisions.CheckCall(call("09001", "alice", tenant=BOLT), timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "name the tenant" in str(refused.value.details())
    assert (v1.Decision.Name(ours.decision), v1.Decision.Name(theirs.decision)) == ("DECISION_DENY", "DECISION_ALLOW")


def test_aliases_follow_edits() -> None:
    """One that is given to another user in the same edit is that user's, and one that is gone is nobody's."""
    compiler = Compiler()

    def compiled(number: int, *users: User) -> dict[str, str]:
        snapshot = decode(compiler.compile(Tenant(ACME, users=users), Revision(number, "ab" * 32), compiled_at=0.0))
        return {alias: snapshot.user_of(alias) for alias in ("a", "b", "c", ALICE.upper())}

    first = compiled(1, User(ALICE, aliases=("a", "b")), User(BOB, aliases=("c",)))
    swapped = compiled(2, User(ALICE, aliases=("c",)), User(BOB, aliases=("b", "a")))
    gone = compiled(3, User(BOB, aliases=("b",)))

    assert first == {"a": ALICE, "b": ALICE, "c": BOB, ALICE.upper(): ALICE}
    assert swapped == {"a": BOB, "b": BOB, "c": ALICE, ALICE.upper(): ALICE}
    assert gone == {"a": "", "b": BOB, "c": "", ALICE.upper(): ""}


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
def test_a_dial_string_is_no_extension_where_the_server_says_so(transport: Transport) -> None:
    """A permission that allows numbers would let it go wherever it names; by default Wazo's reading stands."""
    rules = Tenant(
        ACME,
        users=(User(ALICE),),
        groups=(Group("7", users=(ALICE,)),),
        call_permissions=(
            CallPermission(1, "no", extensions=("_!",), groups=("7",)),
            CallPermission(2, "yes", mode=Mode.ALLOW, extensions=("_0[1-9].",), users=(ALICE,)),
        ),
    )
    dialled = ["01&PJSIP/0033123456@trunk", "0612345678@evil.example", "01 23", "01x", "0612345678", "*21#"]
    calls = [call(extension, ALICE) for extension in dialled]
    found = {}
    for characters in Characters:
        with running_server(rules, transport=transport, extension_characters=characters) as running:
            found[characters] = every_way(running, calls)

    allowed = Told("", "ALLOW", "USER", "PERMISSION", caller_known=True)
    denied = Told("", "DENY", "GROUP", "PERMISSION", caller_known=True)
    any_ones = [*[allowed] * 5, denied]
    for way, answers in found[Characters.ANY].items():
        assert (way, answers) == (way, any_ones)
    for way, answers in found[Characters.DIALABLE].items():
        assert (way, answers) == (way, [*[INVALID] * 4, allowed, denied])
