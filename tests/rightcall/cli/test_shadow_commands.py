"""``load --candidate``, ``shadow``, ``promote`` and ``drop``, against a real Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from rightcall.cli import main
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from redis_server import RedisServer

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
RULES = """
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    name: acme
    users: [{uuid: 2c34c282-433e-4bb8-8d56-fec14ff7e1e9, name: Ada}]
    call_permissions:
      - {id: 12, name: premium, extensions: ["_0900."], users: [2c34c282-433e-4bb8-8d56-fec14ff7e1e9]}
"""


def test_a_candidate_is_loaded_listed_dropped_and_promoted(redis: RedisServer, tmp_path: Path) -> None:
    """By a tenant's name, with sentences and as JSON; mistakes are usage errors that say what to do."""

    def run(*arguments: str, code: int = ExitCode.DONE) -> str:
        result = CliRunner().invoke(main, [*arguments, "--redis", redis.url])
        assert result.exit_code == code, result.output
        return result.output

    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    load = ("load", "--source", f"file:{rules}")
    assert "There are no candidates." in run("shadow")
    run(*load, "--once")
    rules.write_text(RULES.replace("_0900.", "_090."))
    assert "Candidates: 1" in run(*load, "--candidate", "--message", "stricter")
    told = run("shadow")
    assert f"tenant {ACME} is compared with" in told
    assert "stricter" in told
    assert "narrower: Ada" in told
    assert "(candidate)" in run("revisions")
    assert "is compared no longer" in run("drop", "acme")
    assert "had no candidate" in run("drop", "acme")
    assert "has no candidate" in run("promote", "acme", code=ExitCode.USAGE)
    assert "Candidates: 1" in run(*load, "--candidate")
    (candidate,) = json.loads(run("shadow", "--json"))["candidates"]
    assert candidate["tenant"] == ACME
    assert candidate["revision"] in run("promote", "acme")
    assert "is current" in run("shadow", "acme", candidate["revision"], code=ExitCode.USAGE)
    assert "(pinned)" in run("revisions")
    assert "rightcall revisions" in run("shadow", "acme", code=ExitCode.USAGE)
    assert "give one of them" in run(*load, "--candidate", "--dry-run", code=ExitCode.USAGE)


def test_faulty_definitions_make_no_candidate(redis: RedisServer, tmp_path: Path) -> None:
    """The exit code says so, and what is current stays."""
    rules = tmp_path / "rules.yaml"
    for content, mode, code in (
        (RULES, "--once", 0),
        (RULES.replace("_0900.", "_[1-"), "--candidate", ExitCode.FAULTY),
    ):
        rules.write_text(content)
        result = CliRunner().invoke(main, ["load", mode, "--source", f"file:{rules}", "--redis", redis.url])
        assert result.exit_code == code, result.output
    assert "There are no candidates." in CliRunner().invoke(main, ["shadow", "--redis", redis.url]).output
