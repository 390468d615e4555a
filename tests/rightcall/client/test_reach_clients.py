"""Reach and callers, from the server's port through both clients to the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner
from definitions import tenant_from
from server import DEADLINE, running_server

import rightcall
from pdp.snapshots.current import CurrentSnapshots
from rightcall import Client, Decision, Stage, v1
from rightcall.aio import Client as AsyncClient
from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result
    from server import Running

    from rightcall import CallerPage, Reaches

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")
DAVE = "da4e0000-0000-4000-8000-000000000004"
ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
BOB = "5a1d3f5c-9f0b-4a7e-8c1d-2b3c4d5e6f70"
TENANT = tenant_from(
    {
        "uuid": ACME,
        "users": [{"uuid": BOB}, {"uuid": ALICE}],
        "outcalls": [{"id": "3"}],
        "call_permissions": [
            {"id": 1, "name": "premium", "extensions": ["_09."], "users": [ALICE]},
            {"id": 2, "name": "pin", "password": "1234", "extensions": ["_00."], "outcalls": ["3"]},
        ],
    }
)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A server with one tenant."""
    with running_server(TENANT) as it:
        yield it


async def _reach(target: str, question: dict[str, Any]) -> Reaches:
    async with AsyncClient(target) as client:
        return await client.reach(**question)


async def _pages(target: str, question: dict[str, Any]) -> list[CallerPage]:
    async with AsyncClient(target) as client:
        return [page async for page in client.callers(**question)]


def reach(kind: str, target: str, **question: Any) -> Reaches:
    """What a caller reaches, by one of the clients."""
    if kind == "asynchronous":
        return asyncio.run(_reach(target, question))
    with Client(target) as client:
        return client.reach(**question)


def pages(kind: str, target: str, **question: Any) -> list[CallerPage]:
    """The pages of callers, by one of the clients."""
    if kind == "asynchronous":
        return asyncio.run(_pages(target, question))
    with Client(target) as client:
        return list(client.callers(**question))


both = pytest.mark.parametrize("kind", ["blocking", "asynchronous"])


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, list(arguments), prog_name="rightcall")


@both
def test_a_client_is_told_what_a_caller_reaches(kind: str, running: Running) -> None:
    """Patterns by decision, and whose rules they are."""
    told = reach(kind, running.server.address, caller=ALICE, outcall="3")
    assert [(one.decision, [part.pattern for part in one.patterns]) for one in told.reaches] == [
        (Decision.ALLOW, ["0", "_0[09]", "_0[^09]!", "_[^0]!"]),
        (Decision.DENY, ["_09."]),
        (Decision.CHALLENGE, ["_00."]),
    ]
    assert (told.tenant, told.revision[:2], told.truncated) == (ACME, "1-", False)
    assert told.caller_known
    assert told.outcall_known


@both
def test_a_client_is_told_the_permissions_where_it_asks_for_them(kind: str, running: Running) -> None:
    """With stage and permission of each reach."""
    told = reach(kind, running.server.address, caller=ALICE, outcall="3", by_permission=True)
    assert [(one.stage, one.permission.name if one.permission else "") for one in told.reaches] == [
        (Stage.NONE, ""),
        (Stage.USER, "premium"),
        (Stage.OUTCALL, "pin"),
    ]


@both
def test_what_is_cut_short_is_said_to_be(kind: str, running: Running) -> None:
    """A reach without a decision, and a mark."""
    told = reach(kind, running.server.address, caller=ALICE, max_patterns=1)
    (one,) = told.reaches
    assert (one.decision, [part.pattern for part in one.patterns], told.truncated) == (None, ["_."], True)


@both
def test_a_client_gets_callers_in_pages(kind: str, running: Running) -> None:
    """Sorted, filtered and limited as it asks."""
    (page,) = pages(kind, running.server.address, extension="0912")
    assert [(one.caller, one.decision, one.stage) for one in page.callers] == [
        (ALICE, Decision.DENY, Stage.USER),
        (BOB, Decision.ALLOW, Stage.NONE),
    ]
    assert page.callers[0].permission == rightcall.Permission("1", "premium")
    (page,) = pages(kind, running.server.address, extension="0912", decisions=[Decision.ALLOW], limit=1)
    assert ([one.caller for one in page.callers], page.more) == ([BOB], False)
    (page,) = pages(kind, running.server.address, extension="112", limit=1)
    assert ([one.caller for one in page.callers], page.more) == ([ALICE], True)


@both
def test_a_question_at_fault_raises_what_check_raises(kind: str, running: Running) -> None:
    """One tree of errors for all questions, whether the server refuses them or they cannot be sent."""
    for question in ({"extension": ""}, {"extension": "1", "limit": 2**40}, {"extension": "\udc80"}):
        with pytest.raises(rightcall.InvalidCall):
            pages(kind, running.server.address, **question)
    with pytest.raises(rightcall.InvalidCall, match="max_patterns is 10001"):
        reach(kind, running.server.address, max_patterns=10_001)
    with pytest.raises(rightcall.UnknownTenant):
        reach(kind, running.server.address, tenant=BOB)


@both
def test_a_server_that_is_not_there_is_unreachable(kind: str) -> None:
    """Both questions say so."""
    with pytest.raises(rightcall.Unreachable):
        pages(kind, "127.0.0.1:1", extension="1")
    with pytest.raises(rightcall.Unreachable):
        reach(kind, "127.0.0.1:1")


def test_without_rules_nothing_is_told() -> None:
    """As for calls: no rules are no permission."""
    with running_server(current=CurrentSnapshots("nothing")) as running:
        with pytest.raises(grpc.RpcError) as refused:
            running.directory.ListReach(v1.ListReachRequest(), timeout=DEADLINE)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError) as refused:
            list(running.directory.ListCallers(v1.ListCallersRequest(extension="1"), timeout=DEADLINE))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_client_may_stop_after_any_page(running: Running) -> None:
    """What it does not take is not sent."""
    with Client(running.server.address) as client:
        assert next(client.callers(extension="1")).callers
        assert client.status().tenants


def test_the_command_shows_a_reach() -> None:
    """As a tree, by permission."""
    result = run("reach", "--definitions", COMPANY, "--caller", DAVE, "--outcall", "2")
    assert result.exit_code == ExitCode.DONE
    assert "_0190X!, _0900.  DENY  permission 11 (premium) in stage OUTCALL" in result.stdout
    assert "anything else  ALLOW  no permission matches" in result.stdout
    assert "revision 1" in result.stderr


def test_the_command_says_what_it_does_not_know() -> None:
    """A mistyped caller or outcall is no silent ALLOW."""
    result = run("reach", "--definitions", COMPANY, "--caller", BOB, "--outcall", "2", "--by-permission")
    assert f"caller {BOB} is unknown" in result.stderr
    assert "permission 10 (international) in stage OUTCALL" in result.stdout
    result = run("callers", "--definitions", COMPANY, "--extension", "001", "--outcall", "nine")
    assert "there is no outcall 'nine'" in result.stderr
    result = run("reach", "--definitions", COMPANY, "--caller", DAVE, "--outcall", "2", "--max-patterns", "3")
    assert "larger --max-patterns" in result.stderr
    assert "varies" in result.stdout


def test_the_command_prints_a_reach_for_programs() -> None:
    """One JSON document."""
    result = run("reach", "--definitions", COMPANY, "--caller", DAVE, "--json")
    told = json.loads(result.stdout)
    assert told["reaches"][0]["decision"] == "ALLOW"
    assert told["caller_known"] is True


def test_the_command_lists_callers(running: Running) -> None:
    """A line each, and how many there are of each kind, of whom to go on behind."""
    result = run("callers", "--target", running.server.address, "--extension", "0912", "--limit", "1")
    assert result.exit_code == ExitCode.DONE
    assert result.stdout == f"{ALICE}  DENY       by permission 1 (premium) in stage USER\n"
    assert "1 caller: 0 ALLOW, 1 DENY, 0 CHALLENGE" in result.stderr
    assert f"--after {ALICE}" in result.stderr
    everybody = run("callers", "--target", running.server.address, "--extension", "0912")
    assert len(everybody.stdout.splitlines()) == len([ALICE, BOB])


def test_the_command_prints_callers_for_programs(running: Running) -> None:
    """One JSON document, filtered as asked; none is no error."""
    result = run("callers", "--target", running.server.address, "--extension", "0912", "--decision", "allow", "--json")
    assert [one["caller"] for one in json.loads(result.stdout)["callers"]] == [BOB]
    result = run(
        "callers", "--target", running.server.address, "--extension", "0912", "--decision", "challenge", "--json"
    )
    assert json.loads(result.stdout)["callers"] == []


def test_commands_fail_as_check_does(running: Running) -> None:
    """With its exit codes."""
    assert run("callers", "--target", running.server.address, "--extension", "\t").exit_code == ExitCode.USAGE
    assert run("reach", "--target", "127.0.0.1:1").exit_code == ExitCode.UNREACHABLE
    assert run("reach", "--target", running.server.address, "--tenant", BOB).exit_code == ExitCode.USAGE
