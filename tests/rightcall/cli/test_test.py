"""``rightcall test``: cases beside definitions, what they must get, and what of the rules they cover."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from waiting import until

from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from click.testing import Result

ROOT = Path(__file__).parents[3]
COMPANY = ROOT / "examples" / "company.yaml"
HEADING = "caller,extension,outcall,expect,permission,tenant,about\n"


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, ["test", *arguments], prog_name="rightcall")


def table(tmp_path: Path, *rows: str, heading: str = HEADING) -> str:
    """A table of cases."""
    path = tmp_path / "some.cases.csv"
    path.write_text(heading + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return str(path)


def test_the_cases_beside_the_example_pass() -> None:
    """With its expectations, and nearly every pattern is covered."""
    result = run("--min-coverage", "90", str(COMPANY))
    assert result.exit_code == ExitCode.DONE
    assert "21 passed, 0 failed" in result.stdout
    assert "no case is decided by: 41 _0X." in result.stdout


def test_a_case_that_fails_says_what_is_decided_instead(tmp_path: Path) -> None:
    """With its line, and by which permission."""
    path = table(tmp_path, "Carol,0900123456,national,allow,,,", "Carol,0900123456,national,deny,10,,")
    result = run("--cases", path, str(COMPANY))
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert f"failed: {path}:2: Carol dials 0900123456 through national → ALLOW" in result.stdout
    assert 'is DENY, by permission 11 "premium" in stage OUTCALL, and must be ALLOW' in result.stdout
    assert f"failed: {path}:3: " in result.stdout
    assert "and must be by permission 10" in result.stdout
    assert "4 passed, 2 failed" in result.stdout


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Bib,1,,allow,,,", "there is no user 'Bib'; did you mean Bob (102)"),
        ("Bob,1,nation,allow,,,", "there is no outcall 'nation'; did you mean national (1)?"),
        ("Bob,1,,allow,,fern,", "there is no tenant 'fern'"),
    ],
)
def test_an_unknown_name_fails_its_case_with_candidates(tmp_path: Path, row: str, told: str) -> None:
    """A typing error would test what nobody dials."""
    result = run("--cases", table(tmp_path, row), str(COMPANY))
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert told in result.stdout


@pytest.mark.parametrize("caller", ["102", "bob", "B0B00000-0000-4000-8000-000000000002", "Bob"])
def test_a_caller_is_named_by_name_extension_or_uuid(tmp_path: Path, caller: str) -> None:
    """As people know them."""
    path = table(tmp_path, f"{caller},0049301234567,2,allow,20,fern-and-sons,")
    assert run("--cases", path, str(COMPANY)).exit_code == ExitCode.DONE


@pytest.mark.parametrize(
    ("heading", "row", "told"),
    [
        ("caller,extension\n", "Bob,1", "has no column expect"),
        ("caller,extension,expect,colour\n", "Bob,1,allow,red", "has the unknown column 'colour'"),
        ("caller,extension,expect\n", "Bob,1,maybe", ":2: 'MAYBE' is no decision"),
        ("caller,extension,expect\n", "Bob,,allow", ":2: nothing is dialled"),
        ("caller,extension,expect\n", "Bob,1", ":2: the row has not as many fields"),
        ("caller,extension,expect\n", "Bob,1,allow,x", ":2: the row has not as many fields"),
    ],
)
def test_a_table_that_is_none_is_a_usage_error(tmp_path: Path, heading: str, row: str, told: str) -> None:
    """With its line."""
    result = run("--cases", table(tmp_path, row, heading=heading), str(COMPANY))
    assert result.exit_code == ExitCode.USAGE
    assert told in result.stderr


def test_too_little_coverage_fails(tmp_path: Path) -> None:
    """Though all cases pass."""
    path = table(tmp_path, "Bob,0049301234567,world,allow,,,")
    assert run("--cases", path, str(COMPANY)).exit_code == ExitCode.DONE
    result = run("--cases", path, "--min-coverage", "50", str(COMPANY))
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "fewer than 50 % of the patterns are covered" in result.stdout


def test_pipelines_get_junit_tap_and_json(tmp_path: Path) -> None:
    """Each with what fails and why."""
    path = table(tmp_path, "Bob,0049301234567,world,allow,,,", "Bob,0044,world,allow,,,")
    report = tmp_path / "report.xml"
    lines = run("--cases", path, "--junit", str(report), "--format", "tap", str(COMPANY)).stdout.splitlines()
    assert lines[:2] == ["TAP version 13", "1..6"]
    assert lines[3].startswith("not ok 2 - ")
    assert lines[4].startswith("# is CHALLENGE, by permission 10")
    suite = ET.parse(report).getroot()  # noqa: S314 - our own report
    assert (suite.get("tests"), suite.get("failures")) == ("6", "1")
    document = json.loads(run("--cases", path, "--format", "json", str(COMPANY)).stdout)
    assert (document["passed"], document["failed"]) == (5, 1)
    covered = {each["permission"]: each["covered"] for each in document["coverage"]["permissions"]}
    assert (covered[20], covered[21]) == (True, False)


def test_an_expectation_that_is_broken_fails_the_test(tmp_path: Path) -> None:
    """It is a case over all numbers."""
    path = tmp_path / "company.yaml"
    path.write_text(
        COMPANY.read_text(encoding="utf-8").replace('extensions: ["_0900.", "_0190X!"]', 'extensions: ["_0900"]'),
        encoding="utf-8",
    )
    result = run(str(path))
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "failed: fern-and-sons: expectation no-premium" in result.stdout


def test_watching_runs_again_after_each_edit(tmp_path: Path) -> None:
    """Until it is ended."""
    path = tmp_path / "company.yaml"
    path.write_text(COMPANY.read_text(encoding="utf-8"), encoding="utf-8")
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [sys.executable, "-c", "from rightcall.cli import main; main()", "test", "--watch", str(path)]
        program = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            until(lambda: "4 passed, 0 failed" in output.read_text(), "the first run")
            path.write_text(
                path.read_text(encoding="utf-8").replace('extensions: ["_0900.", "_0190X!"]', 'extensions: ["_0900"]'),
                encoding="utf-8",
            )
            until(lambda: "3 passed, 1 failed" in output.read_text(), "the run after the edit")
        finally:
            program.kill()
            program.wait()
