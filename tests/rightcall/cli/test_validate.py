"""``rightcall validate``: mistakes of meaning beside faults of form, for people, pipelines and programs."""

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
IGNORED = """
    lint:
      - {ignore: only-a-disabled-group, permissions: [41], reason: The night shift starts in May.}
      - {ignore: no-emergency-list, reason: The PBX sees to it.}
"""


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, ["validate", *arguments], prog_name="rightcall")


@pytest.fixture
def mistaken(tmp_path: Path) -> str:
    """The example company with a pattern that lacks its dot."""
    path = tmp_path / "company.yaml"
    text = COMPANY.read_text(encoding="utf-8").replace('"_0900.", "_0190X!"', '"_0900", "_090"')
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_mistake_is_one_line_with_rank_place_and_code(mistaken: str) -> None:
    """The worst first, and not an error unless lint is strict."""
    result = run(mistaken)
    assert result.exit_code == ExitCode.DONE
    first = result.stdout.splitlines()[0]
    assert first.startswith(f"high: {mistaken}:")
    assert '"premium": _090 matches 090 and nothing longer' in first
    assert first.endswith("[missing-tail]")
    line = int(first.removeprefix(f"high: {mistaken}:").split(":")[0])
    assert "id: 11" in Path(mistaken).read_text(encoding="utf-8").splitlines()[line - 1]
    assert "mistakes of meaning (" in result.stdout.splitlines()[-1]


def test_strict_lint_fails_on_what_is_serious_alone(mistaken: str) -> None:
    """The example has mistakes, but none that does harm."""
    assert run("--lint", "error", str(COMPANY)).exit_code == ExitCode.DONE
    assert run("--lint", "error", mistaken).exit_code == ExitCode.FAULTY


def test_lint_can_be_left_out(mistaken: str) -> None:
    """Faults of form alone."""
    assert run("--lint", "off", mistaken).stdout == "0 errors, 0 warnings; 1 good tenant with 9 permissions\n"


def test_what_is_meant_is_not_reported(tmp_path: Path) -> None:
    """But counted, and in JSON with its reason."""
    path = tmp_path / "company.yaml"
    path.write_text(COMPANY.read_text(encoding="utf-8") + IGNORED, encoding="utf-8")
    result = run(str(path))
    assert "[only-a-disabled-group]" not in result.stdout
    assert "; 2 ignored\n" in result.stdout
    found = {each["code"]: each for each in json.loads(run("--json", str(path)).stdout)["lint"]}
    assert found["only-a-disabled-group"]["ignored"] == "The night shift starts in May."
    assert found["other-outcall-open"]["ignored"] == ""


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{ignore: missing-tale, reason: x}", "did you mean 'missing-tail'?"),
        ("{ignore: missing-tail, reason: ''}", "it is not said why a mistake is meant"),
        ("{ignore: missing-tail}", "'lint[0].reason' is missing"),
        ("{ignore: missing-tail, reason: x, permissions: [99]}", "there is no permission 99 in this tenant"),
    ],
)
def test_an_entry_that_ignores_nothing_is_a_fault_with_a_line(tmp_path: Path, entry: str, fault: str) -> None:
    """A typing error would report for ever what is meant."""
    path = tmp_path / "company.yaml"
    text = COMPANY.read_text(encoding="utf-8") + f"\n    lint:\n      - {entry}\n"
    path.write_text(text, encoding="utf-8")
    result = run("--lint", "off", str(path))
    assert fault in result.stdout
    assert f"{path}:{len(text.splitlines())}: " in result.stdout


def test_programs_get_calls_that_show_a_mistake(mistaken: str) -> None:
    """With permissions, pattern and line."""
    (found,) = [each for each in json.loads(run("--json", mistaken).stdout)["lint"] if each["pattern"] == "_090"]
    assert (found["code"], found["rank"], found["permissions"]) == ("missing-tail", "high", [11])
    assert found["call"]["extension"].startswith("090")
    assert found["call"]["decision"] == "ALLOW"


def test_github_shows_annotations(mistaken: str) -> None:
    """One a line, with file and line."""
    lines = run("--format", "github", mistaken).stdout.splitlines()
    assert any(line.startswith(f"::error file={mistaken},line=") and "title=missing-tail::" in line for line in lines)
    assert any(line.startswith("::notice ") for line in lines)


def test_code_scanning_gets_a_log(tmp_path: Path, mistaken: str) -> None:
    """Rules, results with places, and what is ignored as suppressed."""
    path = tmp_path / "other.yaml"
    path.write_text(Path(mistaken).read_text(encoding="utf-8") + IGNORED, encoding="utf-8")
    log = json.loads(run("--format", "sarif", str(path)).stdout)
    (scan,) = log["runs"]
    rules = {rule["id"] for rule in scan["tool"]["driver"]["rules"]}
    assert log["version"] == "2.1.0"
    assert {result["ruleId"] for result in scan["results"]} <= rules
    by_rule = {result["ruleId"]: result for result in scan["results"]}
    place = by_rule["missing-tail"]["locations"][0]["physicalLocation"]
    assert (by_rule["missing-tail"]["level"], place["artifactLocation"]["uri"]) == ("error", str(path))
    assert place["region"]["startLine"] > 1
    assert by_rule["no-emergency-list"]["suppressions"][0]["justification"] == "The PBX sees to it."
