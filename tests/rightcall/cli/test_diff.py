"""``rightcall diff``: what it says of an edit, for people, merge requests and programs, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from rightcall.cli import main
from rightcall.programs.exits import ExitCode
from rightcall.programs.local import LocalClient

if TYPE_CHECKING:
    from click.testing import Result

COMPANY = Path(__file__).parents[3] / "examples" / "company.yaml"
LOBBY = "10bb1000-0000-4000-8000-000000000005"
CAROL = "ca401000-0000-4000-8000-000000000003"


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, ["diff", *arguments], prog_name="rightcall")


def edited(tmp_path: Path, *edits: tuple[str, str]) -> str:
    """The example company after some edits."""
    text = COMPANY.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "company.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_an_edit_is_told_by_what_it_opens_and_what_it_closes(tmp_path: Path) -> None:
    """What is opened stands first, with the reasons before and now."""
    path = edited(tmp_path, ('extensions: ["_1XX", "0"]', 'extensions: ["_1XX", "_0X."]'))
    lines = run(str(COMPANY), path).stdout.splitlines()
    assert lines[1].startswith(
        "  wider  Lobby (150) through every outcall and through none: _0X. DENY → ALLOW, e.g. 00"
    )
    assert 'Before: permission 30 "deny-all" (deny _!, group public). Now: permission 31 "lobby-inside"' in lines[2]
    assert lines[3] == "  narrower  Lobby (150) through every outcall and through none: 0 ALLOW → DENY"


@pytest.mark.parametrize(
    ("fail_on", "code"), [("never", ExitCode.DONE), ("widened", ExitCode.DONE), ("any", ExitCode.NOT_ALLOWED)]
)
def test_an_edit_that_only_closes_fails_where_any_change_does(tmp_path: Path, fail_on: str, code: ExitCode) -> None:
    """A pipeline chooses."""
    path = edited(tmp_path, ('extensions: ["_0900.", "_0190X!"]', 'extensions: ["_09.", "_0190X!"]'))
    result = run("--fail-on", fail_on, str(COMPANY), path)
    assert result.exit_code == code
    assert "narrower" in result.stdout
    assert "wider " not in result.stdout.replace("narrower", "")


def test_a_pin_where_there_was_none_is_wider(tmp_path: Path) -> None:
    """DENY < CHALLENGE < ALLOW."""
    path = edited(tmp_path, ("name: premium\n", 'name: premium\n        password: "99"\n'))
    result = run("--fail-on", "widened", str(COMPANY), path)
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "_0900., _0190X! DENY → CHALLENGE" in result.stdout
    assert "99" not in result.stdout.replace("0900", "")


def test_a_user_who_goes_is_opened(tmp_path: Path) -> None:
    """Nobody knows the caller any more, so no rule of a user or group applies."""
    text = COMPANY.read_text(encoding="utf-8")
    gone = "\n".join(line for line in text.splitlines() if f"uuid: {LOBBY}" not in line).replace(f"[{LOBBY}]", "[]")
    path = tmp_path / "gone.yaml"
    path.write_text(gone, encoding="utf-8")
    result = run("--fail-on", "widened", str(COMPANY), str(path))
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "Lobby (150) through no outcall" in result.stdout
    assert "Now: the caller is not known, and no permission speaks of it." in result.stdout
    closed = run("--unknown-caller", "deny", "--fail-on", "widened", str(COMPANY), str(path))
    assert closed.exit_code == ExitCode.DONE
    assert "Assumed: unknown callers denied." in closed.stdout


def test_an_edit_in_vain_says_so(tmp_path: Path) -> None:
    """Permission 40 is disabled."""
    path = edited(tmp_path, ('extensions: ["_06X.", "_07X."]', 'extensions: ["_06X."]'))
    result = run("--fail-on", "any", str(COMPANY), path)
    assert result.exit_code == ExitCode.DONE
    assert "no decision changes: permission 40 edited, with no effect on any call" in result.stdout


def test_another_pin_is_told_without_the_pin(tmp_path: Path) -> None:
    """Who is asked, and for which numbers."""
    path = edited(tmp_path, ('password: "1234"', 'password: "5678"'))
    result = run(str(COMPANY), path)
    assert "asks for another PIN, e.g. " in result.stdout
    assert "Bob" not in result.stdout  # he has a PIN of his own
    assert not {"1234", "5678"} & set(result.stdout.split())


def test_the_same_definitions_do_not_differ() -> None:
    """In a word."""
    result = run("--fail-on", "any", str(COMPANY), str(COMPANY))
    assert (result.exit_code, result.stdout) == (ExitCode.DONE, "No tenant differs.\n")


def test_programs_get_examples_that_a_server_decides_so(tmp_path: Path) -> None:
    """Before and after."""
    path = edited(tmp_path, ("- id: 30", "- id: 30\n        enabled: false"), ('"_0900.", ', ""))
    (tenant,) = json.loads(run("--format", "json", str(COMPANY), path).stdout)["tenants"]
    assert tenant["widens"]
    assert tenant["changes"]
    clients = {"old": LocalClient(str(COMPANY)), "new": LocalClient(path)}
    for change in tenant["changes"]:
        example = change["example"]
        for side, client in clients.items():
            for number in [example["number"], *change["shortest"]]:
                answer = client.check(extension=number, caller=example["caller"], outcall=example["outcall"] or "")
                assert answer.decision.name == change[side]


def test_markdown_shows_names_as_they_are(tmp_path: Path) -> None:
    """Patterns are full of what Markdown takes for markup."""
    path = edited(tmp_path, ("name: premium", 'name: "*premium*"'), ('"_0900.", ', ""))
    result = run("--format", "markdown", str(COMPANY), path)
    assert result.stdout.startswith("### fern-and-sons\n\n- **Wider** · ")
    assert r"\_0900." in result.stdout


def test_a_tenant_of_one_side_only_is_new_or_gone(tmp_path: Path) -> None:
    """All of its users are unknown on the other side."""
    empty = tmp_path / "none.yaml"
    empty.write_text("tenants: []\n")
    assert "fern-and-sons (new)\n  narrower" in run(str(empty), str(COMPANY)).stdout
    result = run("--fail-on", "widened", str(COMPANY), str(empty))
    assert "fern-and-sons (gone)\n  wider" in result.stdout
    assert result.exit_code == ExitCode.NOT_ALLOWED
