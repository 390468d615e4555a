"""Who may dial what, for people: as a tree of digits, of groups, through every outcall, of all numbers of a pattern."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rightcall.cli import main
from rightcall.programs.exits import ExitCode
from rightcall.programs.local import LocalClient

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")


def run(*arguments: str) -> Result:
    """Runs a command on the example company."""
    return CliRunner().invoke(main, [arguments[0], "--definitions", COMPANY, *arguments[1:]], prog_name="rightcall")


def test_reach_is_a_tree_of_what_differs() -> None:
    """With the exceptions inside, and what holds for anything else on top."""
    assert run("reach", "--caller", "Alice", "--outcall", "world").stdout.splitlines() == [
        "anything else  ALLOW  no permission matches",
        "├── _00.  CHALLENGE  permission 10 (international) in stage OUTCALL",
        "│   └── _0033., _0049.  ALLOW  permission 20 (sales-europe) in stage GROUP",
        "├── _0190X!, _0900.  DENY  permission 11 (premium) in stage OUTCALL",
        "├── 112, 911  ALLOW  permission 1 (emergency) in stage GROUP",
        "└── _+.  CHALLENGE  permission 10 (international) in stage OUTCALL",
    ]
    assert run("reach").stdout == "anything  ALLOW  no permission matches\n"


def test_patterns_that_have_no_tree_are_a_table(tmp_path: Path) -> None:
    """Digits behind any number of others."""
    path = tmp_path / "company.yaml"
    path.write_text(Path(COMPANY).read_text(encoding="utf-8").replace('"_0900."', '"_0!9"'), encoding="utf-8")
    result = CliRunner().invoke(main, ["reach", "--definitions", str(path), "--outcall", "world"])
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.startswith("┏")


def test_a_group_is_told_once_where_its_members_may_dial_the_same() -> None:
    """Through each outcall, and through none."""
    lines = run("reach", "--group", "sales", "--outcall", "any").stdout.splitlines()
    assert [line for line in lines if line.startswith("sales")] == [
        "sales (2 people) through national",
        "sales (2 people) through world",
        "sales (2 people) through no outcall",
    ]
    rows = json.loads(run("reach", "--group", "sales", "--outcall", "any", "--json").stdout)
    assert [(len(row["callers"]), row["outcalls"]) for row in rows] == [(2, ["1"]), (2, ["2"]), (2, [None])]


def test_all_numbers_of_a_pattern_are_told_exactly() -> None:
    """Each part of them has an example that is decided so."""
    assert run("callers", "--pattern", "_0900.", "--outcall", "any").stdout.splitlines()[0] == (
        "everyone (5 people) through every outcall: DENY"
    )
    shown = run("callers", "--pattern", "_00.", "--outcall", "world", "--group", "sales").stdout
    assert shown == "sales (2 people) through world: _0033., _0049. ALLOW; some, such as 0001234567, CHALLENGE\n"
    client = LocalClient(COMPANY)
    for row in json.loads(run("callers", "--pattern", "_0X.", "--outcall", "any", "--json").stdout)["callers"]:
        for user in row["users"] or [""]:
            for way in row["ways"]:
                for part in row["parts"]:
                    answer = client.check(extension=part["example"], caller=user, outcall=way or "")
                    assert answer.decision.name == part["decision"]


def test_one_extension_through_every_outcall() -> None:
    """As a server decides it; those alone who get some answer, if asked for."""
    shown = run("callers", "--extension", "0033123", "--outcall", "any", "--decision", "challenge").stdout
    assert sorted(shown.splitlines()) == [
        "Carol (100) through world: CHALLENGE",
        "callers that are no user through world: CHALLENGE",
    ]
    members = run("callers", "--extension", "0033123", "--outcall", "world", "--group", "2").stdout.splitlines()
    assert [line.split()[:2] for line in members] == [["ca401000-0000-4000-8000-000000000003", "CHALLENGE"]]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("callers",), "Give --extension or --pattern"),
        (("callers", "--extension", "1", "--pattern", "1"), "exclude each other"),
        (("callers", "--pattern", "_[1-"), "'[' is never closed"),
        (("callers", "--pattern", "_1.", "--group", "sale"), "did you mean sales (1)?"),
        (("callers", "--extension", "1", "--outcall", "wold"), "did you mean world (2)?"),
        (("reach", "--caller", "Bobb"), "did you mean Bob (102) or Lobby"),
        (("reach", "--tenant", "fern"), "there is no tenant 'fern'"),
    ],
)
def test_what_is_unknown_or_unclear_is_a_usage_error(arguments: tuple[str, ...], problem: str) -> None:
    """With the candidates."""
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert problem in result.stderr.replace("│", "").replace("\n", "")


@pytest.mark.parametrize("arguments", [("reach", "--group", "1"), ("callers", "--pattern", "_1.")])
def test_a_server_is_not_asked_about_groups_and_patterns(arguments: tuple[str, ...]) -> None:
    """It does not tell who is in a group; its rules in Redis do."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == ExitCode.USAGE
    assert "redis://" in result.stderr
