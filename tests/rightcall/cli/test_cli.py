"""The commands that answer and end, run inside the test's own process; those that stay: test_cli_programs."""

from __future__ import annotations

import io
import json
import logging
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import structlog
from click.testing import CliRunner, Result
from definitions import tenant_from
from rich.console import Console
from server import running_server

from pdp.security.settings import SecuritySettings
from pdp.settings import ServerSettings
from pdp.snapshots.current import CurrentSnapshots
from rightcall.cli import main
from rightcall.cli.command import command
from rightcall.cli.commands.demo import CALLS
from rightcall.cli.progress import CompileProgress
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
COMPANY = str(ROOT / "examples" / "company.yaml")
STRANGER = "7e57ab1e-0000-4000-8000-000000000000"
MANUAL = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = (
    "serve",
    "load",
    "validate",
    "prove",
    "diff",
    "test",
    "replay",
    "decisions",
    "check",
    "explain",
    "callers",
    "reach",
    "init",
    "schema",
    "export",
    "revisions",
    "rollback",
    "unpin",
    "shadow",
    "promote",
    "drop",
    "lockouts",
    "unlock",
    "doctor",
    "agi",
    "demo",
    "playground",
)
CAROL = "ca401000-0000-4000-8000-000000000003"
PREMIUM = ("--caller", CAROL, "--extension", "0900123456", "--outcall", "1")
BAD = """
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    name: acme
    users: [{uuid: 2c34c282-433e-4bb8-8d56-fec14ff7e1e9}]
    call_permissions:
      - {id: 12, name: broken, extensions: ["_[1-"], users: [2c34c282-433e-4bb8-8d56-fec14ff7e1e9]}
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the variables of whoever runs the tests nor what a command did to logging reach a test."""
    for variable in ("NO_COLOR", "FORCE_COLOR", "ONCE", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: str, **variables: str) -> Result:
    """Runs a command."""
    return CliRunner(env=variables).invoke(main, list(arguments), prog_name="rightcall")


def options_of(name: str) -> list[click.Option]:
    """The options of a command."""
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return [option for option in found.params if isinstance(option, click.Option)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_variable_and_help(name: str) -> None:
    """Variables follow one rule, so that nobody needs to look them up."""
    for option in options_of(name):
        variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        assert "RIGHTCALL_" + option.opts[0][2:].replace("-", "_").upper() in variables
        assert option.help
        assert option.show_envvar


def test_the_manual_lists_every_command_and_exit_code() -> None:
    """What a program may rely on is written down."""
    assert set(main.list_commands(click.Context(main))) == set(COMMANDS)
    for name in COMMANDS:
        assert f"## rightcall {name}\n" in MANUAL
        assert f"(configuration.md#rightcall-{name})" in MANUAL
    for code in ExitCode:
        assert f"\n| {int(code)} | " in MANUAL


def test_every_server_setting_is_an_option_of_serve() -> None:
    """A limit that cannot be set is none."""
    names = {option.name for option in options_of("serve")}
    settings = {field.name for field in (*fields(ServerSettings), *fields(SecuritySettings))} - {"security"}
    assert settings <= names


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS), ["--version"]])
def test_help_and_version_end_well(arguments: list[str]) -> None:
    """Help shows on standard output, with exit code 0."""
    result = run(*arguments)
    assert result.exit_code == 0
    assert "rightcall" in result.stdout


def test_the_example_has_neither_errors_nor_warnings() -> None:
    """What people copy from is good."""
    result = run("validate", COMPANY)
    assert result.exit_code == ExitCode.DONE
    assert "0 errors, 0 warnings; 1 good tenant with 9 permissions" in result.stdout


def test_validate_shows_each_fault_with_its_origin(tmp_path: Path) -> None:
    """A person reads where it is, what is wrong and what to do, in one unbroken line."""
    path = tmp_path / "acme.yaml"
    path.write_text(BAD)
    result = run("validate", str(path))
    assert result.exit_code == ExitCode.FAULTY
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("error: ")]
    assert f"{path}:7: tenant acme, permission 12 (broken): pattern '_[1-'" in line
    assert "1 error, 0 warnings" in result.stdout


def test_validate_tells_programs_the_same(tmp_path: Path) -> None:
    """One JSON document holds the faults and the counts."""
    path = tmp_path / "acme.yaml"
    path.write_text(BAD)
    document = json.loads(run("validate", "--json", str(path)).stdout)
    assert (document["errors"], document["warnings"], document["good_tenants"]) == (1, 0, [])
    assert document["faulty_tenants"] == ["54eb71f8-1f4b-4ae4-8730-638062fbe521"]
    assert (document["faults"][0]["line"], document["faults"][0]["severity"]) == (7, "error")


def test_warnings_alone_do_not_fail(tmp_path: Path) -> None:
    """Definitions that are merely odd are published, so validating them succeeds."""
    path = tmp_path / "acme.yaml"
    path.write_text(BAD.replace('"_[1-"', ""))
    result = run("validate", str(path))
    assert result.exit_code == ExitCode.DONE
    assert "0 errors, 1 warning" in result.stdout


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """Nothing was read, so nothing can be faulty."""
    result = run("validate", str(tmp_path / "none.yaml"))
    assert result.exit_code == ExitCode.USAGE
    assert "none.yaml" in result.stderr


def test_a_source_of_an_unknown_kind_is_a_usage_error() -> None:
    """The message says which kinds there are."""
    result = run("validate", "gopher://example.org")
    assert result.exit_code == ExitCode.USAGE
    assert "gopher" in result.stderr


@pytest.mark.parametrize(
    ("question", "code", "text"),
    [
        (("--extension", "101"), ExitCode.DONE, "ALLOW  no permission matches"),
        (PREMIUM, ExitCode.NOT_ALLOWED, "DENY  by permission 11 (premium) in stage OUTCALL"),
        (("--extension", "0033", "--outcall", "2"), ExitCode.NOT_ALLOWED, "CHALLENGE  by permission 10"),
    ],
)
def test_check_answers_from_definitions(question: tuple[str, ...], code: ExitCode, text: str) -> None:
    """No server is needed, and the exit code is the decision."""
    result = run("check", "--definitions", COMPANY, *question)
    assert result.exit_code == code
    assert text in result.stdout


def test_check_tells_programs_the_same() -> None:
    """The JSON document has the API's fields."""
    result = run("check", "--definitions", COMPANY, "--json", *PREMIUM)
    document = json.loads(result.stdout)
    assert document.pop("revision")
    assert document == {
        "decision": "DENY",
        "stage": "OUTCALL",
        "permission": {"id": "11", "name": "premium"},
        "reason": "PERMISSION",
        "caller_known": True,
        "outcall_known": True,
        "challenge": "",
        "decision_id": "",
    }


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (("--extension", ""), "the extension is empty"),
        (("--extension", "1" * 129), "at most 128"),
        (("--extension", "1\x07"), "unprintable"),
        (("--extension", "1", "--tenant", CAROL), "is not known here"),
    ],
)
def test_a_question_that_is_no_call_is_a_usage_error(question: tuple[str, ...], text: str) -> None:
    """It must not pass for a denial, nor for a permission."""
    result = run("check", "--definitions", COMPANY, *question)
    assert result.exit_code == ExitCode.USAGE
    assert text in result.stderr


def test_faulty_definitions_answer_nothing(tmp_path: Path) -> None:
    """Whoever asks definitions wants to know of their faults first."""
    path = tmp_path / "acme.yaml"
    path.write_text(BAD)
    result = run("check", "--definitions", str(path), "--extension", "1")
    assert result.exit_code == ExitCode.FAULTY
    assert "acme.yaml:7" in result.stderr


def test_check_asks_a_server() -> None:
    """Over gRPC the answers and the exit codes are the same."""
    tenant = tenant_from(
        {
            "uuid": "54eb71f8-1f4b-4ae4-8730-638062fbe521",
            "outcalls": [{"id": "3"}],
            "call_permissions": [{"id": 1, "extensions": ["_0X."], "outcalls": ["3"]}],
        }
    )
    with running_server(tenant) as running:
        server = "--target", running.server.address, "--timeout", "10"
        denied = run("check", *server, "--extension", "0123", "--outcall", "3")
        allowed = run("check", *server, "--extension", "123", "--outcall", "3")
        explained = run("explain", *server, "--extension", "0123", "--outcall", "3")
    assert (denied.exit_code, allowed.exit_code, explained.exit_code) == (1, 0, 1)
    assert "DENY: permission 1 matches the extension with _0X." in explained.stdout


def test_a_server_that_is_not_there_is_unreachable() -> None:
    """Exit code 4, with advice; never one that reads as an answer."""
    result = run("check", "--target", "127.0.0.1:1", "--extension", "1")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "no Rightcall server answers at 127.0.0.1:1" in result.stderr
    assert "check that" in result.stderr


def test_a_failure_is_a_json_document_where_json_is_asked_for() -> None:
    """A program needs not to read prose from standard error."""
    result = run("check", "--target", "127.0.0.1:1", "--extension", "1", "--json")
    document = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code == ExitCode.UNREACHABLE
    assert "127.0.0.1:1" in document["error"]


def test_a_server_without_rules_counts_as_unreachable() -> None:
    """There is no answer yet, so the exit code is none of an answer's."""
    with running_server(current=CurrentSnapshots("nothing")) as running:
        result = run("check", "--target", running.server.address, "--timeout", "10", "--extension", "1")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert "no rules are loaded yet" in result.stderr


def test_explain_draws_the_whole_derivation() -> None:
    """Stages, permissions, patterns, reasons and what was skipped, in words."""
    result = run("explain", "--definitions", COMPANY, *PREMIUM)
    assert result.exit_code == ExitCode.NOT_ALLOWED
    for text in (
        "DENY: permission 11 (premium) matches the extension with _0900. in stage OUTCALL.",
        "stage USER: nothing matches",
        "permission 40 (no-mobiles): deny, group reception: It is disabled.",
        "permission 41 (night-inside-only): deny, group night-shift, matches with _0X.: Its group is disabled.",
        "permission 11 (premium): deny, matches with _0900.: It denies without a password",
    ):
        assert text in result.stdout


def test_explain_tells_programs_the_same() -> None:
    """The JSON document has the API's fields, with names in place of numbers."""
    document = json.loads(run("explain", "--definitions", COMPANY, "--json", *PREMIUM).stdout)
    assert document["answer"]["decision"] == "DENY"
    assert [stage["result"] for stage in document["stages"]] == ["NO_MATCH", "NO_MATCH", "DECIDED"]
    assert document["stages"][2]["candidates"][0]["matched_patterns"] == ["_0900."]
    assert (document["caller_known"], document["outcall_known"]) == (True, True)


def test_variables_stand_for_options_and_the_command_line_prevails() -> None:
    """A variable set for one command does not get into the way of another one's options."""
    result = run("check", RIGHTCALL_DEFINITIONS=COMPANY, RIGHTCALL_EXTENSION="0900123", RIGHTCALL_OUTCALL="1")
    assert result.exit_code == ExitCode.NOT_ALLOWED
    result = run("check", "--extension", "101", RIGHTCALL_DEFINITIONS=COMPANY, RIGHTCALL_EXTENSION="0900123")
    assert result.exit_code == ExitCode.DONE
    result = run("check", "--target", "127.0.0.1:1", "--extension", "101", RIGHTCALL_DEFINITIONS=COMPANY)
    assert result.exit_code == ExitCode.UNREACHABLE


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("check", "--extension", "1", "--target", "a:1", "--definitions", COMPANY), "exclude each other"),
        (("check",), "--extension"),
        (("check", "--extension", "1", "--ca-file", "/nowhere/ca.pem"), "cannot be read"),
        (("serve",), "--definitions PATH or --redis URL"),
        (("serve", "--definitions", COMPANY, "--redis", "redis://h"), "exclude each other"),
        (("serve", "--definitions", COMPANY, "--transport", "netty"), "netty"),
        (("serve", "--definitions", COMPANY, "--workers", "0"), "x>=1"),
        (("serve", "--redis", "redis://h", "--password-override", "user"), "belongs to --definitions"),
        (("serve", "--redis", "http://user:hunter2@h"), "Redis URL cannot be read"),
        (("serve", "--definitions", COMPANY, "--secret-key-file", "/nowhere/key"), "cannot be read"),
        (("load", "--source", "gopher:x", "--redis", "redis://h"), "gopher"),
        (("load", "--redis", "redis://h"), "--source"),
        (("nonsense",), "nonsense"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(arguments: tuple[str, ...], text: str) -> None:
    """The message says what to do, and holds no password."""
    result = run(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert text in " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())
    assert "hunter2" not in result.output


def test_a_secret_key_that_is_too_short_is_refused_and_not_shown(tmp_path: Path) -> None:
    """A short key can be guessed; what it is stays out of the message."""
    key = tmp_path / "key"
    key.write_text("hunter2\n")
    for result in (
        run("serve", "--definitions", COMPANY, "--secret-key-file", str(key)),
        run("serve", "--definitions", COMPANY, RIGHTCALL_SECRET_KEY="hunter2"),
    ):
        assert result.exit_code == ExitCode.USAGE
        assert "at least 16" in " ".join(result.stderr.replace("│", " ").split())
        assert "hunter2" not in result.output


def test_a_secret_key_comes_from_one_place(tmp_path: Path) -> None:
    """Two keys would leave open which one counts."""
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    result = run(
        "serve", "--definitions", COMPANY, "--secret-key-file", str(key), RIGHTCALL_SECRET_KEY="0123456789abcdef"
    )
    assert result.exit_code == ExitCode.USAGE
    assert "exclude each other" in result.stderr


def test_a_pipe_gets_no_colours_and_no_color_prevails() -> None:
    """Escape sequences are for terminals, and for those who ask for them."""
    question = "check", "--definitions", COMPANY, *PREMIUM
    assert "\x1b[" not in run(*question).stdout
    assert "\x1b[" in run(*question, FORCE_COLOR="1", TERM="xterm-256color").stdout
    assert "\x1b[3" not in run(*question, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm-256color").stdout


def test_a_defect_never_reads_as_a_denial() -> None:
    """Whatever goes wrong inside has an exit code of its own."""

    def broken(**_: Any) -> None:
        """Fails."""
        raise RuntimeError("something nobody thought of")

    result = CliRunner().invoke(command()(broken), [])
    assert result.exit_code == ExitCode.DEFECT
    assert "please report it" in result.stderr


@pytest.mark.parametrize(("terminal", "users", "shown"), [(True, 9000, True), (True, 9, False), (False, 9000, False)])
def test_a_long_compile_shows_how_it_goes_on_where_a_person_looks(*, terminal: bool, users: int, shown: bool) -> None:
    """A bar for a large tenant on a terminal; nothing for a small one, nor in a file."""
    drawn = io.StringIO()
    progress = CompileProgress(Console(file=drawn, force_terminal=terminal))
    for done in range(0, users + 1, users // 3):
        progress("acme", done, users)
    assert ("compiling acme" in drawn.getvalue()) is shown


def test_the_demo_shows_every_decision_and_stage() -> None:
    """Its calls, asked of the example itself, show all that there is to show."""
    answers = set()
    for call in CALLS:
        question = "--caller", call.caller, "--extension", call.extension, "--outcall", call.outcall
        document = json.loads(run("check", "--definitions", COMPANY, "--json", *question).stdout)
        answers.add((document["decision"], document["stage"]))
    assert {decision for decision, _ in answers} == {"ALLOW", "DENY", "CHALLENGE"}
    assert {stage for _, stage in answers} == {"NONE", "USER", "GROUP", "OUTCALL"}


@pytest.mark.parametrize(
    ("question", "code", "text"),
    [
        (("--caller", STRANGER, "--extension", "101"), ExitCode.USAGE, f"no tenant's user is {STRANGER}"),
        (("--extension", "101", "--outcall", "elsewhere"), ExitCode.USAGE, "no outcall with the id elsewhere"),
        (
            ("--caller", "alicia", "--extension", "101"),
            ExitCode.USAGE,
            "there is no user 'alicia'; did you mean Alice (101)",
        ),
        (("--caller", STRANGER, "--extension", "101", "--allow-unknown"), ExitCode.DONE, "ALLOW"),
        (("--caller", STRANGER, *PREMIUM, "--allow-unknown"), ExitCode.NOT_ALLOWED, "DENY"),
    ],
)
@pytest.mark.parametrize("name", ["check", "explain"])
def test_callers_and_outcalls_that_are_not_known_end_with_2(
    name: str, question: tuple[str, ...], code: ExitCode, text: str
) -> None:
    """A script with a typing error in it must not take that for an answer."""
    result = run(name, "--definitions", COMPANY, *question)

    assert result.exit_code == code
    assert text in " ".join((result.stdout + result.stderr).split())
