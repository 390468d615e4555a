"""Rules of any source, for the commands that work on rules: files, and what Redis keeps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from redis_server import RedisServer

from rightcall.cli import main
from rightcall.programs.exits import ExitCode
from rightcall.programs.published import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")
KEY = "0123456789abcdef"


def run(*arguments: str, key: str = KEY) -> Result:
    """Runs a command with the deployment's key."""
    variables = {"RIGHTCALL_SECRET_KEY": key} if key else {}
    return CliRunner(env=variables).invoke(main, list(arguments), prog_name="rightcall")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of a Redis with two revisions of the example company, and a file that equals the newer one."""
    edited = tmp_path_factory.mktemp("edited") / "company.yaml"
    text = Path(COMPANY).read_text(encoding="utf-8").replace('"_0900.", ', '"_09.", ')
    edited.write_text(text, encoding="utf-8")
    with RedisServer() as server:
        for path in (COMPANY, str(edited)):
            assert run("load", "--once", "--source", path, "--redis", server.url).exit_code == ExitCode.DONE
        yield server.url, str(edited)


def revisions(url: str) -> list[str]:
    """The revisions that Redis keeps, newest first."""
    found = run("revisions", "--redis", url)
    return re.findall(r"^\s*(\d+-[0-9a-f]{12})", found.stdout, re.MULTILINE)


def test_what_is_published_is_compared_with_a_file(published: tuple[str, str]) -> None:
    """Redis holds names too, and PINs as hashes that tell whether they change."""
    url, edited = published
    same = run("diff", "--fail-on", "any", url, edited)
    assert (same.exit_code, same.stdout) == (ExitCode.DONE, "No tenant differs.\n")
    result = run("diff", "--fail-on", "any", edited, f"{url}#fern-and-sons@{revisions(url)[1]}")
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "wider  everyone but public (4 people) through every outcall" in result.stdout
    assert 'Before: permission 11 "premium" (deny _09., _0190X!, outcall national)' in result.stdout
    assert not result.stderr


def test_without_the_key_pins_are_not_compared(published: tuple[str, str]) -> None:
    """That is said; decisions are compared nevertheless."""
    result = run("diff", "--fail-on", "any", *published, key="")
    assert result.exit_code == ExitCode.DONE
    assert "--secret-key-file" in result.stderr


def test_an_earlier_revision_explains_its_decisions(published: tuple[str, str]) -> None:
    """By the very snapshot that was published, with people by name."""
    url, _ = published
    newer, older = revisions(url)
    question = ("--caller", "Carol", "--extension", "091", "--outcall", "national")
    assert f"revision {newer}" in run("explain", "--definitions", url, *question).stdout
    result = run("explain", "--definitions", url, "--revision", older, *question)
    assert result.exit_code == ExitCode.DONE
    assert f"revision {older}" in result.stdout
    assert run("check", "--definitions", url, *question).exit_code == ExitCode.NOT_ALLOWED


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("#nobody", "there are: fern-and-sons"),
        ("#1234", "no tenant has this revision"),
        ("#fe500000-0000-4000-8000-000000000001@1234", "has no revision 1234"),
    ],
)
def test_a_place_that_is_not_there_is_a_usage_error(published: tuple[str, str], place: str, problem: str) -> None:
    """With what there is."""
    result = run("diff", published[0] + place, COMPANY)
    assert result.exit_code == ExitCode.USAGE
    assert problem in result.stderr


@pytest.mark.parametrize("arguments", [("--definitions", COMPANY), ("--target", "localhost:1")])
def test_only_redis_keeps_revisions(arguments: tuple[str, ...]) -> None:
    """A file has none, and a server answers from one."""
    result = run("explain", "--extension", "0", "--revision", "1", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "redis://" in result.stderr


@pytest.mark.parametrize(
    ("text", "tenant", "revision"),
    [
        ("redis://h:1/0", "", ""),
        ("redis://h:1/0#acme", "acme", ""),
        ("redis://h:1/0#17", "", "17"),
        ("redis://h:1/0#17-3fa9c0d2b1e4", "", "17-3fa9c0d2b1e4"),
        ("redis://h:1/0#acme@17", "acme", "17"),
        ("redis://h:1/0#2020@17", "2020", "17"),
    ],
)
def test_places_in_redis_have_names(text: str, tenant: str, revision: str) -> None:
    """A tenant, a revision, or both."""
    assert Place.parsed(text) == ("redis://h:1/0", tenant, revision)


def test_what_is_exported_loads_as_the_same_rules(published: tuple[str, str], tmp_path: Path) -> None:
    """Of a file to the last PIN; of Redis but for PINs, which are said to be missing."""
    url, edited = published
    out = tmp_path / "exported.yaml"
    out.touch(0o644)
    assert run("export", edited, "--output", str(out)).exit_code == ExitCode.DONE
    assert out.stat().st_mode & 0o077 == 0
    assert run("diff", "--fail-on", "any", url, str(out)).stdout == "No tenant differs.\n"
    result = run("export", url, "--output", str(out))
    assert "2 PINs are known by their hashes alone" in result.stderr
    text = out.read_text(encoding="utf-8")
    assert "# a PIN of which only the hash is known; write it as password" in text
    assert "hash:" not in text
    narrower = run("diff", "--fail-on", "widened", url, str(out))
    assert narrower.exit_code == ExitCode.DONE
    assert "CHALLENGE → DENY" in narrower.stdout


def test_sound_tenants_are_exported_and_others_named(tmp_path: Path) -> None:
    """And the exit code says that some are missing."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(Path(COMPANY).read_text(encoding="utf-8").replace('"_0900."', '"_[0"'), encoding="utf-8")
    result = run("export", str(broken))
    assert result.exit_code == ExitCode.FAULTY
    assert result.stdout.endswith("tenants: []\n")
    assert "'[' is never closed" in result.stderr


def test_a_company_starts_with_a_table_of_its_users(tmp_path: Path) -> None:
    """And nothing is overwritten."""
    table, out = tmp_path / "users.csv", tmp_path / "acme.yaml"
    table.write_text("name,extension,groups\nAda,201,sales\n", encoding="utf-8")
    options = ("init", "--from", str(table), "--name", "acme", "--output", str(out))
    assert run(*options, "--country", "XX").exit_code == ExitCode.USAGE
    assert run(*options, "--country", "ES").exit_code == ExitCode.DONE
    assert run("validate", "--lint", "error", str(out)).exit_code == ExitCode.DONE
    assert run("prove", str(out)).exit_code == ExitCode.DONE
    again = run(*options, "--country", "FR")
    assert again.exit_code == ExitCode.USAGE
    assert "exists already" in again.stderr
    table.write_text("name,uuid\nAda,x\n", encoding="utf-8")
    faulty = run("init", "--from", str(table), "--name", "acme", "--country", "FR")
    assert faulty.exit_code == ExitCode.USAGE
    assert "users.csv: line 2: 'x' is no UUID" in faulty.stderr
