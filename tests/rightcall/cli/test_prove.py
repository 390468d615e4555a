"""``rightcall prove``: what it says of expectations, for people and for programs, and how it ends."""

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
LOBBY = "10bb1000-0000-4000-8000-000000000005"


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, ["prove", *arguments], prog_name="rightcall")


def edited(tmp_path: Path, old: str, new: str) -> str:
    """The example company after an edit."""
    text = COMPANY.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "company.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return str(path)


def test_all_expectations_of_the_example_hold() -> None:
    """Whoever tries it begins with rules that do what they are for."""
    result = run(str(COMPANY))
    assert result.exit_code == ExitCode.DONE
    assert "no-premium holds: _0900., _0190X! denied for 5 callers" in result.stdout
    assert result.stdout.endswith("4 expectations: 4 hold\n")


def test_what_breaks_an_expectation_is_shown_with_a_call_and_a_remedy(tmp_path: Path) -> None:
    """For whom, through what, which numbers, why, and what to do."""
    path = edited(tmp_path, 'extensions: ["_1XX", "0"]', 'extensions: ["_1XX", "_0."]')
    result = run(path)
    assert result.exit_code == ExitCode.FAULTY
    assert "lobby-stays-inside is broken: _0X. must be denied" in result.stdout
    assert "Lobby (150) through every outcall and through none: _0X. → ALLOW" in result.stdout
    assert 'by permission 31 "lobby-inside" (allow _1XX, _0., the user\'s own)' in result.stdout
    assert 'before permission 30 "deny-all" (deny _!, group public) is looked at.' in result.stdout
    assert 'Remedy: take these extensions out of permission 31 "lobby-inside"' in result.stdout


def test_programs_get_every_violation(tmp_path: Path) -> None:
    """As JSON: truths, pairs, counts, a call that breaks it."""
    path = edited(tmp_path, 'extensions: ["_0900.", "_0190X!"]', 'extensions: ["_0900.", "_0190X"]')
    document = json.loads(run(path, "--json").stdout)
    (tenant,) = document["tenants"]
    found = {each["name"]: each for each in tenant["expectations"]}
    assert {name: each["truth"] for name, each in found.items()} == {
        "help-for-everyone": "holds",
        "no-premium": "broken",
        "abroad-with-pin": "holds",
        "lobby-stays-inside": "holds",
    }
    (row,) = found["no-premium"]["violations"]
    assert LOBBY not in row["callers"]
    assert (len(row["callers"]), row["outcalls"], row["decisions"]) == (4, ["1", "2"], ["ALLOW"])
    assert (row["shortest"], row["count_of_shortest"]) == (["019000", "019001", "019002"], 130)
    assert found["no-premium"]["counterexample"]["decision"] == "ALLOW"
    assert document["assumed"]["unknown_caller"] == "wazo"


def test_what_is_not_enforced_is_reported_and_does_not_fail(tmp_path: Path) -> None:
    """A wish for later."""
    path = edited(tmp_path, 'name: no-premium\n        who: everyone\n        dial: ["_0900."',
                  'name: no-premium\n        who: everyone\n        enforce: false\n        dial: ["_09."')  # fmt: skip
    result = run(path)
    assert result.exit_code == ExitCode.DONE
    assert "no-premium is broken: _09., _0190X! must be denied (not enforced)" in result.stdout


def test_what_the_server_is_told_counts(tmp_path: Path) -> None:
    """An emergency number of the server's is allowed, whatever the rules say."""
    path = edited(tmp_path, 'extensions: ["112", "911"]', 'extensions: ["112"]')
    assert run(path).exit_code == ExitCode.FAULTY
    result = run(path, "--emergency", "911, 112")
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.endswith("; assumed: emergency numbers 911, 112\n")


def test_unknown_callers_are_denied_where_the_server_is_told_so(tmp_path: Path) -> None:
    """But not callers without any UUID, as on a trunk."""
    path = edited(tmp_path, 'who: everyone\n        dial: ["112"', 'who: nobody_known\n        dial: ["112"')
    assert run(path).exit_code == ExitCode.DONE
    result = run(path, "--unknown-caller", "deny")
    assert result.exit_code == ExitCode.FAULTY
    assert "the server's policy about unknown callers" in result.stdout


@pytest.mark.parametrize(
    ("tenant", "code"), [("fern-and-sons", 0), ("FE500000-0000-4000-8000-000000000001", 0), ("x", 2)]
)
def test_one_tenant_is_chosen_by_name_or_uuid(tenant: str, code: int) -> None:
    """An unknown one is a mistake, and the candidates are named."""
    result = run(str(COMPANY), "--tenant", tenant)
    assert result.exit_code == code
    assert "fern-and-sons" in result.output


def test_faulty_definitions_prove_nothing(tmp_path: Path) -> None:
    """Their faults are shown instead."""
    result = run(edited(tmp_path, '"_0900."', '"_0900["'))
    assert result.exit_code == ExitCode.FAULTY
    assert "'[' is never closed" in result.stderr
