"""What comes from outside reaches a terminal escaped, whichever command prints it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rich.text import Text

import rightcall.cli
from rightcall.cli import main
from rightcall.cli.output import Branch, Grid, complain, draw, escaped, print_json, say

if TYPE_CHECKING:
    from click.testing import Result

EVIL = "n\nALLOW  no permission matches\x1b[2J\x00\x9b\N{RIGHT-TO-LEFT OVERRIDE}[red]x"
SHOWN = r"n\nALLOW  no permission matches\x1b[2J\x00\x9b\u202e[red]x"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, list(arguments), prog_name="rightcall")


@pytest.fixture
def definitions(tmp_path: Path) -> str:
    """A tenant whose every name is meant to deceive who reads it on a terminal."""
    path = tmp_path / "evil.json"
    tenant = {
        "uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        "name": EVIL,
        "users": [{"uuid": ALICE}],
        "groups": [{"id": "7", "name": EVIL, "users": [ALICE]}],
        "outcalls": [{"id": "3", "name": EVIL}],
        "call_permissions": [
            {"id": 12, "name": EVIL, "extensions": ["_00."], "groups": ["7"]},
            {"id": 13, "name": EVIL},
        ],
    }
    path.write_text(json.dumps({"tenants": [tenant]}))
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--caller", ALICE, "--extension", "0033"],
        ["explain", "--caller", ALICE, "--extension", "0033"],
        ["callers", "--extension", "0033"],
        ["reach", "--caller", ALICE, "--by-permission"],
    ],
)
def test_a_name_forges_no_line_and_sends_no_order(definitions: str, arguments: list[str]) -> None:
    """It is shown as it is written, and as nothing else."""
    result = run(*arguments, "--definitions", definitions)
    assert SHOWN in result.stdout
    assert not set(result.output) & set("\x1b\x00\x9b\N{RIGHT-TO-LEFT OVERRIDE}")
    assert not re.search("^ALLOW  no permission", result.output, re.MULTILINE)


def test_a_fault_forges_no_line_either(definitions: str) -> None:
    """It names the permission."""
    result = run("validate", definitions)
    assert "has no extensions" in result.stdout
    assert not set(result.output) & set("\x1b\x00\x9b\N{RIGHT-TO-LEFT OVERRIDE}")
    assert not re.search("^ALLOW  no permission", result.output, re.MULTILINE)


def test_styles_stay_where_they_were() -> None:
    """Though escapes are longer than what they stand for."""
    text = escaped(Text.assemble(("a\nb", "red"), ("c\x1b", "bold"), "d"))
    assert text.plain == r"a\nbc\x1bd"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(0, 4, "red"), (4, 9, "bold")]


def test_everything_that_prints_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, tables and trees; a pipe gets no padding."""
    table = Grid("a", "b")
    table.add_row("x\ny", ["1\n", "2"])
    tree = Branch("r\n")
    tree.branch("s\n").branch(Text("t\n"))
    say("u\n")
    complain("v\n", "w")
    draw(table)
    draw(tree)
    seen = capsys.readouterr()
    assert seen.err == "v\\n\nw\n"
    assert [line for line in seen.out.splitlines() if line != line.rstrip()] == []
    for shown in (r"x\ny", r"1\n", r"r\n", r"s\n", r"t\n", r"u\n"):
        assert shown in seen.out


def test_json_escapes_what_json_admits_and_terminals_obey(capsys: pytest.CaptureFixture[str]) -> None:
    """It means the same to who parses it."""
    print_json({"name": EVIL})
    seen = capsys.readouterr().out
    assert json.loads(seen) == {"name": EVIL}
    assert not set(seen) & set("\x1b\x00\x9b\N{RIGHT-TO-LEFT OVERRIDE}")


def test_no_command_draws_by_itself() -> None:
    """A table or tree that is made elsewhere would not be escaped."""
    (root,) = rightcall.cli.__path__
    for path in Path(root).rglob("*.py"):
        if path.name != "output.py":
            assert not re.search(r"rich\.(table|tree)|\bprint\(|echo\(", path.read_text(encoding="utf-8")), path
