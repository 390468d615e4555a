"""AuthZEN over HTTP: what the standard asks for, and what a call permission means in its terms."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from authzen_client import JSON, acme, ask, ask_many, question
from definitions import tenant_from
from given import ACME, ALICE, BOB, KEY
from hypothesis import given, settings
from hypothesis import strategies as st
from server import current_of, running_server, snapshot_of
from structlog.testing import capture_logs

from pdp.authzen.documents import read
from pdp.authzen.evaluator import CHALLENGE, Evaluator
from pdp.authzen.search import ACTIONS, RESOURCES, SUBJECTS
from pdp.errors import CallError
from pdp.metrics.registry import Metrics
from pdp.services.decisions import DecisionService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server import Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with rules, whose PINs it can check."""
    with running_server(snapshot_of(acme(), secret=KEY), secrets=(KEY,)) as it:
        yield it


def test_an_allowed_call_is_a_true_decision(running: Running) -> None:
    """With what decided, for a person."""
    answer = ask(running, question("200"))

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.document["decision"] is True
    assert answer.document["context"]["stage"] == "NONE"


def test_a_denied_call_is_a_false_decision_and_no_error(running: Running) -> None:
    """The permission that denies is named, and the revision."""
    answer = ask(running, question("0900123"))

    assert (answer.status, answer.document["decision"]) == (200, False)
    assert answer.document["context"] == {
        "decision": "DENY",
        "stage": "USER",
        "reason": "PERMISSION",
        "caller_known": True,
        "outcall_known": False,
        "permission": {"id": "1", "name": "premium"},
        "revision": f"1-{'ab' * 6}",
    }


def test_a_challenge_is_a_false_decision_whose_context_says_step_up(running: Running) -> None:
    """The challenge is what AnswerChallenge takes; a client that knows nothing of it denies the call."""
    answer = ask(running, question("0033123"))
    challenge = answer.document["context"]["step_up"]["challenge"]
    wrong, right, again = (
        ask(running, {"challenge": challenge, "password": pin}, CHALLENGE) for pin in ("1111", "4321", "4321")
    )
    context = answer.document["context"]

    assert (answer.status, answer.document["decision"], context["decision"]) == (200, False, "CHALLENGE")
    assert context["step_up"]["amr_values"] == ["pin"]
    assert (wrong.document["decision"], wrong.document["context"]["attempts_left"]) == (False, 2)
    assert (right.document["decision"], right.document["context"]["decision"]) == (True, "ALLOW")
    assert (again.status, again.document["error"]["code"]) == (409, "ABORTED")


@pytest.mark.parametrize("pin", ["47 11", "4711" * 11, "", "\ud8004711", 4711, ["4711"], {"4711": "4711"}, None])
def test_a_pin_is_in_no_error(running: Running, pin: object) -> None:
    """Nor in the log, where it is no PIN at all."""
    with capture_logs() as logged:
        challenge = ask(running, question("0033123")).document["context"]["step_up"]["challenge"]
        answer = ask(running, {"challenge": challenge, "password": pin}, CHALLENGE)

    assert answer.status == 400
    assert "47" not in answer.document["error"]["message"]
    assert "4711" not in str(logged)


def test_the_context_names_outcall_and_tenant(running: Running) -> None:
    """Those of CheckCall; other members of a context, of an entity or of the request are left alone."""
    through = {**question("118", BOB, outcall="3", tenant=ACME, time="1985-10-26T01:22-07:00"), "more": 1}
    through["subject"]["properties"] = {"department": "sales"}
    direct = question("118", BOB)

    assert ask(running, through).document["decision"] is False
    assert ask(running, direct).document["decision"] is True


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"1" * 10_000, "no JSON"),
        (b"[]", "the request is a list; send an object"),
        ({}, "subject is missing"),
        ({**question("1"), "subject": ALICE}, "subject is text; send an object"),
        ({**question("1"), "subject": {"type": "user"}}, "subject.id is missing"),
        ({**question("1"), "subject": {"type": "group", "id": "7"}}, "subject.type is 'group'"),
        ({**question("1"), "subject": {"type": "user", "id": 7}}, "subject.id is a number; send text"),
        ({**question("1"), "subject": {"type": "user", "id": "\ud800"}}, "Unicode"),
        ({**question("1"), "action": {"name": "sms"}}, "action.name is 'sms'"),
        ({**question("1"), "resource": {"type": "door", "id": "1"}}, "resource.type is 'door'"),
        (question(""), "the extension is empty"),
        (question("1" * 129), "129 characters"),
        (question("\ud800"), "Unicode"),
        (question("1", outcall=3), "context.outcall is a number"),
        (question("1", at_least_revision="7"), "context.at_least_revision is text"),
        (question("1", at_least_revision=True), "context.at_least_revision is true or false"),
        (question("1", at_least_revision=2**64), "context.at_least_revision is a number; send a revision's number"),
        ({**question("1"), "context": "x"}, "context is text"),
    ],
)
def test_a_question_at_fault_is_a_bad_request_that_says_what_to_send(running: Running, body: object, said: str) -> None:
    """400, and no decision at all."""
    answer = ask(running, body)

    assert answer.status == 400
    assert answer.document["error"]["status"] == 400
    assert said in answer.document["error"]["message"]
    assert "decision" not in answer.document


def test_a_tenant_that_nobody_knows_and_rules_that_are_not_there_have_their_statuses() -> None:
    """422, 409 and 503, as gRPC has NOT_FOUND, FAILED_PRECONDITION and UNAVAILABLE; 404 is a wrong path alone."""
    with running_server(acme()) as running:
        unknown = ask(running, question("1", tenant=BOB))
        behind = ask(running, question("1", at_least_revision=99))
    with running_server(current=current_of()) as empty:
        unready = ask(empty, question("1"))

    answers = (unknown, behind, unready)
    assert [answer.status for answer in answers] == [422, 409, 503]
    assert [answer.document["error"]["code"] for answer in answers] == [
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "UNAVAILABLE",
    ]


def test_many_evaluations_are_answered_in_their_order_with_the_requests_defaults(running: Running) -> None:
    """What is wrong with one is its answer, closed, and the others have theirs."""
    request = {
        "subject": {"type": "user", "id": ALICE},
        "action": {"name": "call"},
        "context": {"outcall": "3"},
        "evaluations": [
            {"resource": {"type": "extension", "id": "0900123"}},
            {"resource": {"type": "extension", "id": "118"}, "context": {}},
            {"resource": {"type": "extension", "id": "118"}},
            {"resource": {"type": "extension", "id": ""}},
            {},
            7,
            {"subject": {"type": "user", "id": BOB}, "resource": {"type": "extension", "id": "0900123"}},
        ],
    }
    answer = ask_many(running, request)
    evaluations = answer.document["evaluations"]

    assert answer.status == 200
    assert "decision" not in answer.document
    assert [one["decision"] for one in evaluations] == [False, True, False, False, False, False, True]
    assert [one["context"]["error"]["status"] for one in evaluations[3:6]] == [400, 400, 400]


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True, False]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_evaluations_stop_where_their_semantic_says(running: Running, semantic: str, decisions: list[bool]) -> None:
    """At the first denial, at the first permission, or not at all."""
    request = {
        "options": {"evaluations_semantic": semantic},
        "evaluations": [question("200"), question("0900123"), question("201"), question("0900124")],
    }

    assert [one["decision"] for one in ask_many(running, request).document["evaluations"]] == decisions


def test_an_error_is_a_denial_to_a_semantic(running: Running) -> None:
    """It ends deny_on_first_deny, and permit_on_first_permit goes on past it."""
    evaluations = [question(""), question("200"), question("0900123")]
    first_deny = {"options": {"evaluations_semantic": "deny_on_first_deny"}, "evaluations": evaluations}
    first_permit = {"options": {"evaluations_semantic": "permit_on_first_permit"}, "evaluations": evaluations}

    assert len(ask_many(running, first_deny).document["evaluations"]) == 1
    assert len(ask_many(running, first_permit).document["evaluations"]) == 2


@pytest.mark.parametrize("evaluations", [{}, {"evaluations": []}, {"evaluations": None}])
def test_a_request_without_evaluations_is_a_single_question(running: Running, evaluations: dict[str, Any]) -> None:
    """Answered as the other endpoint answers it."""
    answer = ask_many(running, {**question("200"), **evaluations})

    assert (answer.status, answer.document["decision"]) == (200, True)


@pytest.mark.parametrize(
    "request_",
    [
        {"evaluations": {"a": 1}},
        {"evaluations": [question("1")], "options": {"evaluations_semantic": "whatever"}},
        {"evaluations": [question("1")], "options": {"evaluations_semantic": 1}},
        {"evaluations": [question("1")], "options": []},
        {"evaluations": [question("1")], "options": 1},
        {"evaluations": [question("1")] * 1001},
    ],
)
def test_a_request_at_fault_as_a_whole_is_refused_as_a_whole(running: Running, request_: object) -> None:
    """Nothing of it is evaluated."""
    assert ask_many(running, request_).status == 400


@pytest.mark.parametrize("context", [[], "", 0, False, "text"])
def test_a_context_that_is_no_object_is_at_fault(running: Running, context: object) -> None:
    """As is any other part; it is not taken for an absent one."""
    assert ask(running, {**question("200"), "context": context}).status == 400


@pytest.mark.parametrize("member", ["outcall", "tenant", "forwarded_by", "at_least_revision"])
def test_null_is_absent(running: Running, member: str) -> None:
    """In the context, and for the context itself."""
    assert ask(running, {**question("200"), "context": {member: None}}).status == 200
    assert ask(running, {**question("200"), "context": None}).status == 200


def test_a_path_may_begin_with_two_slashes(running: Running) -> None:
    """As that of a client whose base URL ends in one."""
    assert ask(running, question("200"), "//access/v1/evaluation").status == 200


def test_a_search_finds_the_subjects_who_may(running: Running) -> None:
    """Page by page; each of them, asked about alone, may."""
    asked = {**question("0900123"), "subject": {"type": "user"}}
    one = ask(running, asked, SUBJECTS).document
    all_may = {**asked, "resource": {"type": "extension", "id": "200"}, "page": {"limit": 1}}
    first = ask(running, all_may, SUBJECTS).document
    second = ask(running, {**all_may, "page": {"limit": 1, "token": first["page"]["next_token"]}}, SUBJECTS).document

    assert one["results"] == [{"type": "user", "id": BOB}]
    assert one["page"] == {"next_token": "", "count": 1}
    assert {first["results"][0]["id"], second["results"][0]["id"]} == {ALICE, BOB}
    assert second["page"]["next_token"] == ""


def test_a_search_finds_the_resources_that_a_subject_may_dial(running: Running) -> None:
    """Each is an extension of a set; asked about alone, it is allowed."""
    asked = {"subject": {"type": "user", "id": ALICE}, "action": {"name": "call"}, "resource": {"type": "extension"}}
    results = ask(running, asked, RESOURCES).document["results"]

    assert results
    for found in results:
        assert found["type"] == "extension"
        assert found["properties"]["pattern"]
        assert ask(running, {**asked, "resource": found}).document["decision"] is True


@pytest.mark.parametrize(
    "change",
    [{"page": []}, {"page": {"limit": 0}}, {"page": {"limit": "1"}}, {"action": {}}, {"context": []}],
)
def test_a_search_at_fault_is_an_error(running: Running, change: dict[str, Any]) -> None:
    """For both kinds."""
    whole = {"type": "extension", "id": "200"}
    asked = {"subject": {"type": "user", "id": ALICE}, "action": {"name": "call"}, "resource": whole, **change}
    assert {ask(running, asked, path).status for path in (SUBJECTS, RESOURCES)} == {400}


@pytest.mark.parametrize(
    ("extension", "found"), [("200", [{"name": "call"}]), ("0900123", []), ("0033123", [])], ids=str
)
def test_a_search_of_actions_finds_the_call_that_is_allowed_now(
    running: Running, extension: str, found: list[dict[str, str]]
) -> None:
    """With the context of the decision, which says why there is none."""
    single = question(extension)
    del single["action"]
    answer = ask(running, single, ACTIONS).document

    assert answer["results"] == found
    decided = ask(running, question(extension)).document["context"]
    assert [answer["context"][name] for name in ("decision", "stage")] == [decided["decision"], decided["stage"]]


@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"type": "spaceship", "id": ALICE}},
        {"resource": {"type": "door", "id": "200"}},
        {"action": {"name": "listen"}},
        {"subject": {"type": "user", "id": "nonexistent-user"}},
    ],
    ids=["subject", "resource", "action", "user"],
)
def test_what_is_not_known_has_no_results(running: Running, change: dict[str, Any]) -> None:
    """A search for it is no error; an unknown user's has the error in its context."""
    asked = {**question("200"), **change}
    paths = {
        RESOURCES,
        *([SUBJECTS] if "nonexistent" not in str(change) else []),
        *([ACTIONS] if "action" not in change else []),
    }
    answers = [ask(running, asked, path) for path in sorted(paths)]

    assert [(answer.status, answer.document["results"]) for answer in answers] == [(200, [])] * len(paths)
    if "nonexistent" in str(change):
        assert {answer.document["context"]["error"]["status"] for answer in answers} == {400}


def test_an_evaluations_part_takes_what_it_must_have_from_the_requests(running: Running) -> None:
    """The rest of the request's part does not count: a part stands for the whole default."""
    request = {
        **question("0900123"),
        "evaluations": [{"resource": {"id": "200"}}, {"subject": {"id": BOB}}, {"resource": {"type": "door"}}],
    }
    evaluations = ask_many(running, request).document["evaluations"]

    assert [one["decision"] for one in evaluations] == [True, True, False]
    assert evaluations[2]["context"]["error"]["status"] == 400


def test_users_may_be_named_as_definitions_name_them() -> None:
    """By a user name, an extension or a SIP address; the aliases of no user are at fault."""
    names = ["alice", "1001", "sip:alice@example.com"]
    user = {"uuid": ALICE, "aliases": names}
    tenant = tenant_from(
        {"uuid": ACME, "users": [user], "call_permissions": [{"id": 1, "extensions": ["_0900."], "users": [ALICE]}]}
    )
    with running_server(tenant) as running:
        answers = [ask(running, question("0900123", name)) for name in [*names, "carol"]]

    assert [answer.document.get("decision") for answer in answers] == [False, False, False, None]
    assert answers[-1].status == 400


def test_the_configuration_names_the_endpoints_under_the_url_that_was_used(running: Running) -> None:
    """Unless the server was told the URL under which it is reached."""
    found = ask(running, b"", "/.well-known/authzen-configuration", method="GET")
    with running_server(acme(), http_url="https://pdp.example.org/") as named:
        told = ask(named, b"", "/.well-known/authzen-configuration", method="GET")

    base = f"http://{running.server.http_address}"
    assert found.document == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
        "rightcall_challenge_endpoint": f"{base}/rightcall/v1/challenge",
    }
    assert told.document["policy_decision_point"] == "https://pdp.example.org"
    assert told.document["access_evaluation_endpoint"] == "https://pdp.example.org/access/v1/evaluation"


def test_the_requests_id_comes_back(running: Running) -> None:
    """With answers and with errors, whatever it is, and where there is nothing."""
    answered = ask(running, question("1"), headers={**JSON, "X-Request-ID": "bfe9eb29-ab87"})
    refused = ask(running, b"", headers={**JSON, "X-Request-ID": "bfe9eb29-ab87"})
    odd = ask(running, question("1"), headers={**JSON, "X-Request-ID": "\xe9" * 9})
    long = ask(running, question("1"), headers={**JSON, "X-Request-ID": "x" * 500})
    nowhere = ask(running, b"", "/nowhere", headers={"X-Request-ID": "one"})
    got = ask(running, b"", headers={"X-Request-ID": "one"}, method="GET")

    assert answered.headers["X-Request-ID"] == refused.headers["X-Request-ID"] == "bfe9eb29-ab87"
    assert odd.headers["X-Request-ID"] == "\xe9" * 9
    assert long.headers["X-Request-ID"] == "x" * 500
    assert (nowhere.status, got.status) == (404, 405)
    assert nowhere.headers["X-Request-ID"] == got.headers["X-Request-ID"] == "one"


def test_what_is_no_json_too_large_or_no_post_is_refused(running: Running) -> None:
    """400, 413 and 405; the server goes on."""
    text = ask(running, question("1"), headers={"Content-Type": "text/plain"})
    large = ask(running, b" " * (1024 * 1024 + 1))
    got = ask(running, b"", method="GET")

    assert [answer.status for answer in (text, large, got)] == [400, 413, 405]
    assert ask(running, question("1"), headers={"Content-Type": "application/json; charset=utf-8"}).status == 200


def test_decisions_over_http_are_counted_like_the_others() -> None:
    """There is one service behind both doors."""
    with running_server(acme()) as running:
        ask(running, question("0900123"))
        labels = {"decision": "deny", "stage": "user"}

        assert running.metrics.registry.get_sample_value("rightcall_decisions_total", labels) == 1


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_PARTS = st.fixed_dictionaries(
    {},
    optional={
        "subject": _VALUES | st.fixed_dictionaries({"type": st.just("user"), "id": _VALUES}),
        "action": _VALUES | st.just({"name": "call"}),
        "resource": _VALUES | st.fixed_dictionaries({"type": st.just("extension"), "id": _VALUES}),
        "context": _VALUES | st.fixed_dictionaries({}, optional={"outcall": _VALUES, "at_least_revision": _VALUES}),
        "options": _VALUES,
        "evaluations": _VALUES | st.lists(_VALUES, max_size=3),
    },
)


@settings(max_examples=200, deadline=None)
@given(document=_VALUES | _PARTS)
def test_any_document_is_answered_or_refused(document: object) -> None:
    """Whatever is in it, there is a decision or a typed error."""
    current = current_of(acme())
    evaluator = Evaluator(DecisionService(current, Metrics(current, "")), 10)
    for evaluate in (evaluator.evaluate, evaluator.evaluate_many):
        with suppress(CallError):
            answer = evaluate(document)
            assert "decision" in answer or "evaluations" in answer


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=100))
def test_any_bytes_are_a_document_or_refused(body: bytes) -> None:
    """Reading them raises nothing else."""
    with suppress(CallError):
        read(body)
