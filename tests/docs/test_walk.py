"""The walk from a table of users to live rules: every command of the page, in order, with the results that it shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    import pytest
    from redis_server import RedisServer

PAGE = (Path(__file__).parents[2] / "docs" / "walk.md").read_text(encoding="utf-8")
CALLS = "caller,extension,outcall\n201,00442079460958,1\n203,01 42 00 00 00,1\n202,00442079460958,1\n"
PEOPLE = "".join(f"Person {at},{200 + at},,{'support' if at % 3 else 'sales'}\n" for at in range(3, 121))


class Walk:
    """Goes through the blocks of the page in an own directory."""

    def __init__(self, redis: str) -> None:
        self._redis = redis
        self.commands: set[str] = set()
        Path("rules").mkdir()
        Path("calls.csv").write_text(CALLS, encoding="utf-8")

    def file(self, text: str) -> None:
        """A file that the page shows, the users with those who are not shown."""
        users = text.startswith("name,")
        path = Path("users.csv" if users else "rules/company.cases.csv")
        path.write_text(text + (PEOPLE if users else ""), encoding="utf-8")

    def edit(self, text: str) -> None:
        """An edit that the page shows: new lines in the place of old ones, or behind the last permission."""
        if not Path("main").exists():
            Path("main").mkdir()
            for path in Path("rules").iterdir():
                (Path("main") / path.name).write_bytes(path.read_bytes())
        old, new = (
            "".join(f"{line[1:]}\n" for line in text.splitlines() if line.startswith(sign)) for sign in ("-", "+")
        )
        for path in Path("rules").iterdir():
            content = path.read_text(encoding="utf-8")
            end = content.find("\n    # What the rules are for.")
            if old and old in content:
                path.write_text(content.replace(old, new), encoding="utf-8")
            elif not old and end > 0:
                path.write_text(content[:end] + new + content[end:], encoding="utf-8")

    def console(self, text: str) -> None:
        """The commands of a block; what is shown of their output is in it."""
        for part in re.split(r"^\$ rightcall ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            self.run(shlex.split(command), [line.strip() for line in shown.splitlines()])

    def run(self, arguments: list[str], shown: list[str]) -> None:
        """One command."""
        here = [each.replace("redis://localhost:6379/0", self._redis) for each in arguments]
        if "REVISION" in here:
            kept = CliRunner().invoke(main, ["revisions", "--redis", self._redis, "--json"])
            here[here.index("REVISION")] = json.loads(kept.stdout)["revisions"][1]["revision"]
        result = CliRunner().invoke(main, here)
        self.commands.add(arguments[0])
        broken = any("is broken" in line for line in shown)
        code = ExitCode.FAULTY if broken else ExitCode.NOT_ALLOWED if arguments[0] == "diff" else ExitCode.DONE
        assert result.exit_code == code, result.output
        for line in shown:
            assert line.removesuffix("…") in result.output


def test_the_walk_goes_as_the_page_says(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIGHTCALL_SECRET_KEY", "0123456789abcdef")
    walk = Walk(redis.url)
    for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        {"": walk.file, "diff": walk.edit, "console": walk.console}[kind](text)
    told = {"init", "validate", "prove", "test", "load", "diff", "replay", "shadow", "promote", "rollback", "unpin"}
    assert walk.commands >= told
