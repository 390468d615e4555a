"""``rightcall replay``: records of calls in several forms, decided by two versions of rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from click.testing import Result

COMPANY = Path(__file__).parents[3] / "examples" / "company.yaml"
CAROL = "ca401000-0000-4000-8000-000000000003"
ASTERISK = (
    '"","100","0900123456","internal","""Carol"" <100>","PJSIP/c","PJSIP/t","Dial","x",'
    '"2026-11-30 10:00:00","2026-11-30 10:00:04","2026-11-30 10:01:00",60,56,"ANSWERED","DOCUMENTATION"\n'
)


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, ["replay", *arguments], prog_name="rightcall")


@pytest.fixture
def versions(tmp_path: Path) -> tuple[str, ...]:
    """The example company, and an edit that opens premium numbers."""
    path = tmp_path / "new.yaml"
    text = COMPANY.read_text(encoding="utf-8").replace('extensions: ["_0900.", "_0190X!"]', 'extensions: ["_0190X!"]')
    path.write_text(text, encoding="utf-8")
    return "--old", str(COMPANY), "--new", str(path)


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("some.csv", "src,dst,outcall\n100,0900123456,national\n100,101,\n", ()),
        ("wazo.csv", f"date,user_uuid,destination_exten,outcall\nx,{CAROL},0900123456,1\nx,{CAROL},101,\n", ()),
        ("own.csv", "who,what,way\nCarol,0900123456,national\n", ("who", "what", "way")),
        (
            "log.jsonl",
            json.dumps({"caller": CAROL, "extension": "0900123456", "outcall": "1"})
            + "\n"
            + json.dumps({"caller": "", "extension": "101"})
            + '\n{"caller": "half',
            (),
        ),
    ],
)
def test_calls_that_would_be_decided_otherwise_are_found_in_records_of_any_form(
    tmp_path: Path, versions: tuple[str, ...], name: str, text: str, options: tuple[str, ...]
) -> None:
    """With who called, what, through what."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    columns = [
        f"--column={field}={column}" for field, column in zip(("caller", "extension", "outcall"), options, strict=False)
    ]
    result = run(str(path), *versions, *columns)
    assert result.exit_code == ExitCode.DONE
    assert "wider  1 call: Carol (100) to 0900123456 through national: DENY → ALLOW" in result.stdout
    assert "1 of them would be decided otherwise" in result.stdout


def test_records_of_asterisk_have_no_heading(tmp_path: Path, versions: tuple[str, ...]) -> None:
    """Nor an outcall: then the call leaves through none, and nothing changes here."""
    path = tmp_path / "Master.csv"
    path.write_text(ASTERISK * 3, encoding="utf-8")
    assert "3 calls, 0 of them would be decided otherwise" in run(str(path), *versions).stdout


def test_prices_are_of_the_longest_prefix(tmp_path: Path, versions: tuple[str, ...]) -> None:
    """What the calls that change would cost."""
    calls, prices = tmp_path / "calls.csv", tmp_path / "prices.csv"
    calls.write_text("src,dst,outcall\n" + "100,0900123456,national\n" * 4, encoding="utf-8")
    prices.write_text("prefix,price\n09,0.10\n0900,1.50\n", encoding="utf-8")
    result = run(str(calls), *versions, "--prices", str(prices))
    assert "4 calls: Carol (100) to 0900123456 through national: DENY → ALLOW, 6.00 in all" in result.stdout
    assert "cost of those: 6.00 now ALLOW" in result.stdout


def test_programs_get_every_change(tmp_path: Path, versions: tuple[str, ...]) -> None:
    """And how many callers are no users."""
    path = tmp_path / "calls.csv"
    path.write_text("src,dst,outcall\n100,0900123456,national\n777,0900123456,national\n", encoding="utf-8")
    document = json.loads(run(str(path), *versions, "--json").stdout)
    assert (document["calls"], document["changed"], document["unknown_callers"]) == (2, 2, 1)
    assert {(each["caller"], each["old"], each["new"]) for each in document["changes"]} == {
        (CAROL, "DENY", "ALLOW"),
        ("", "DENY", "ALLOW"),
    }


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b\n1,2\n", (), "has no column for what is dialled; name it with --column extension=NAME"),
        ("a,b\n1,2\n", ("--column", "extension=c"), "has no column 'c'; it has a, b"),
        ("a,b\n1,2\n", ("--column", "number=b"), "there is no field 'number'"),
    ],
)
def test_a_table_without_what_is_dialled_is_a_usage_error(
    tmp_path: Path, versions: tuple[str, ...], text: str, options: tuple[str, ...], told: str
) -> None:
    """It says how to name the column."""
    path = tmp_path / "calls.csv"
    path.write_text(text, encoding="utf-8")
    result = run(str(path), *versions, *options)
    assert result.exit_code == ExitCode.USAGE
    assert told in result.stderr
