"""What would be published is shown and not published; what is published says who, why and what changed."""

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
    from redis_server import RedisServer

COMPANY = (Path(__file__).parents[3] / "examples" / "company.yaml").read_text(encoding="utf-8")


def run(*arguments: str) -> Result:
    """Runs a command with the deployment's key."""
    return CliRunner(env={"RIGHTCALL_SECRET_KEY": "0123456789abcdef"}).invoke(main, list(arguments))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file with the example company."""
    path = tmp_path / "company.yaml"
    path.write_text(COMPANY, encoding="utf-8")
    return path


def test_a_dry_run_shows_what_it_would_change(redis: RedisServer, rules: Path) -> None:
    """Against what is published, a PIN included; a second dry run says the same."""
    load = ("load", "--source", str(rules), "--redis", redis.url)
    assert "fern-and-sons (new)" in run(*load, "--dry-run").stdout
    assert run("revisions", "--redis", redis.url).stdout == "Redis keeps no revisions.\n"
    assert run(*load, "--once", "--author", "Ada", "--message", "the first rules").exit_code == ExitCode.DONE
    text = COMPANY.replace('"_0900.", ', "").replace('password: "1234"', 'password: "5678"')
    rules.write_text(text, encoding="utf-8")
    for _ in range(2):
        result = run(*load, "--dry-run")
        assert result.exit_code == ExitCode.DONE
        assert "_0900. DENY → ALLOW" in result.stdout
        assert "asks for another PIN" in result.stdout
        assert "Nothing was published. Tenants: 1 to be published, 0 to be removed." in result.stdout
    assert run(*load, "--once", "--message", "premium for all\nnow").exit_code == ExitCode.DONE
    newer, older = json.loads(run("revisions", "--redis", redis.url, "--json").stdout)["revisions"]
    assert (older["author"], older["message"], older["changes"]) == ("Ada", "the first rules", "")
    assert newer["changes"].startswith(
        "wider: everyone but public (4 people) through every outcall: _0900. DENY → ALLOW"
    )
    shown = run("revisions", "--redis", redis.url, "--tenant", "fern-and-sons").stdout
    assert "premium for all\\nnow" in shown
    assert "by Ada, " in shown
    assert f"{newer['revision']} (current)" in shown


def test_a_dry_run_tells_faults_and_removals(redis: RedisServer, rules: Path) -> None:
    """With the exit codes of publishing; a tenant without good rules would be closed."""
    load = ("load", "--source", str(rules), "--redis", redis.url)
    rules.write_text(COMPANY.replace('"_0900."', '"_[0"'), encoding="utf-8")
    faulty = run(*load, "--dry-run")
    assert faulty.exit_code == ExitCode.FAULTY
    assert "fern-and-sons: closed, because of its faults" in faulty.stdout
    rules.write_text(COMPANY, encoding="utf-8")
    assert run(*load, "--once").exit_code == ExitCode.DONE
    rules.write_text("tenants: []\n", encoding="utf-8")
    assert run(*load, "--dry-run").exit_code == ExitCode.FAULTY
    accepted = run(*load, "--dry-run", "--accept-removal")
    assert accepted.exit_code == ExitCode.DONE
    assert "fern-and-sons (gone)\n  wider" in accepted.stdout


def test_a_loader_that_goes_on_takes_no_message(redis: RedisServer, rules: Path) -> None:
    """It would stand beside edits that others make."""
    result = run("load", "--source", str(rules), "--redis", redis.url, "--message", "why")
    assert result.exit_code == ExitCode.USAGE
    assert "--once" in result.stderr
