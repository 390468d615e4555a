"""A search of the decision log: in files and in the stream of a Redis, explained at the revision that decided."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from rightcall.cases.decisions import moment
from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from click.testing import Result
    from redis_server import RedisServer

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")
TENANT = "fe500000-0000-4000-8000-000000000001"
ALICE = "a11ce000-0000-4000-8000-000000000001"
ALL = ["00 33 1", "0033123456", "0900123456", "101"]
CAROL = "ca401000-0000-4000-8000-000000000003"


def run(*arguments: str) -> Result:
    """Runs a command with the deployment's key."""
    return CliRunner(env={"RIGHTCALL_SECRET_KEY": "0123456789abcdef"}).invoke(main, list(arguments))


def entry(time: str, caller: str, extension: str, decision: str, permission: int = 0, **more: Any) -> str:
    """A line of the log."""
    decided = {"id": str(permission), "name": f"p{permission}"} if permission else None
    whole = {
        "time": f"2026-11-{time}+00:00",
        "tenant": TENANT,
        "caller": caller,
        "extension": extension,
        "outcall": "2",
        "decision": decision,
        "stage": "OUTCALL" if permission else "NONE",
        "reason": "PERMISSION" if permission else "NO_PERMISSION",
        "permission": decided,
        "revision": "1-000000000000",
        **more,
    }
    return json.dumps(whole) + "\n"


LOG = (
    entry("20T08:00:00.1", CAROL, "00 33 1", "CHALLENGE", 10)
    + entry("21T09:00:00.1", ALICE, "0033123456", "ALLOW", 20)
    + entry("22T10:00:00.1", CAROL, "0900123456", "DENY", 11, challenge="wrong")
    + "a line that is cut of"
    + "\n[1]\n"
    + entry("23T11:00:00.1", ALICE, "101", "ALLOW", forwarded_by=CAROL)
)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A file of the decision log."""
    path = tmp_path / "decisions.log"
    path.write_text(LOG, encoding="utf-8")
    return str(path)


def found(*arguments: str) -> list[str]:
    """What was dialled in the entries that are found."""
    result = run("decisions", "--json", *arguments)
    assert result.exit_code == ExitCode.DONE, result.output
    return [each["extension"] for each in json.loads(result.stdout)["entries"]]


@pytest.mark.parametrize(
    ("arguments", "extensions"),
    [
        ((), ALL),
        (("--extension", "0033"), ["00 33 1", "0033123456"]),
        (("--caller", CAROL), ["00 33 1", "0900123456", "101"]),
        (("--caller", "Alice", "--definitions", COMPANY), ["0033123456", "101"]),
        (
            ("--outcall", "world", "--tenant", "fern-and-sons", "--definitions", COMPANY),
            ["00 33 1", "0033123456", "0900123456", "101"],
        ),
        (("--outcall", "1"), []),
        (("--decision", "deny", "--decision", "challenge"), ["00 33 1", "0900123456"]),
        (("--permission", "20"), ["0033123456"]),
        (("--since", "2026-11-21", "--until", "2026-11-22T10:00:00.1+00:00"), ["0033123456"]),
        (("--limit", "1"), ["101"]),
    ],
)
def test_entries_are_found_by_each_part(log: str, arguments: tuple[str, ...], extensions: list[str]) -> None:
    """Other lines are passed over."""
    assert found(log, *arguments) == extensions


def test_people_read_names_and_reasons(log: str) -> None:
    """A line each, and a count."""
    result = run("decisions", log, "--definitions", COMPANY)
    assert result.stdout.splitlines() == [
        "2026-11-20 08:00:00  CHALLENGE  Carol (100) to 00 33 1 through world: permission 10 (p10), OUTCALL",
        "2026-11-21 09:00:00  ALLOW  Alice (101) to 0033123456 through world: permission 20 (p20), OUTCALL",
        "2026-11-22 10:00:00  DENY  Carol (100) to 0900123456 through world: permission 11 (p11), OUTCALL, PIN wrong",
        "2026-11-23 11:00:00  ALLOW  Alice (101) (forwarded by Carol (100)) to 101 through world: no permission",
    ]
    assert "4 found: 2 ALLOW, 1 CHALLENGE, 1 DENY" in result.stderr


def test_a_decision_is_explained_at_its_revision(redis: RedisServer, tmp_path: Path) -> None:
    """From the stream of a Redis, which keeps the revisions too; one that is gone is said to be."""
    edited = tmp_path / "company.yaml"
    text = Path(COMPANY).read_text(encoding="utf-8")
    edited.write_text(text.replace("name: premium\n", "name: costly\n"), encoding="utf-8")
    for path in (COMPANY, str(edited)):
        run("load", "--once", "--source", path, "--redis", redis.url)
    older = json.loads(run("revisions", "--redis", redis.url, "--json").stdout)["revisions"][1]["revision"]
    with redis.client() as client:
        for revision in (older, "1-000000000000", ""):
            line = entry("22T10:00:00", CAROL, "0900123456", "DENY", 11, revision=revision)
            client.xadd("rightcall:decisions", {"decision": line})
    result = run("decisions", redis.url, "--definitions", redis.url, "--explain", "--decision", "deny")
    assert result.exit_code == ExitCode.DONE, result.output
    assert "DENY: permission 11 (premium)" in result.stdout
    assert f"revision {older}" in result.stdout
    assert "not explained: " in result.stdout
    assert "no tenant has this revision" in result.stdout
    assert "no rules decided it" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--since", "yesterday"), "how long ago"),
        (("--explain",), "--definitions"),
        (("--caller", "Alicia", "--definitions", COMPANY), "did you mean Alice"),
    ],
)
def test_a_question_that_is_none_is_a_usage_error(log: str, arguments: tuple[str, ...], problem: str) -> None:
    """And so is a file that is not there."""
    result = run("decisions", log, *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert problem in result.stderr
    assert run("decisions", log + ".9").exit_code == ExitCode.USAGE


def test_times_are_absolute_or_ago() -> None:
    """UTC where no zone is named."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert moment("2h", now) == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert moment("7d", now) == datetime(2026, 11, 16, 12, tzinfo=UTC)
    assert moment("2026-11-23T08:00", now) == datetime(2026, 11, 23, 8, tzinfo=UTC)
