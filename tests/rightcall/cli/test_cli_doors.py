"""``rightcall agi``, and the decision log of ``rightcall serve``, as a user runs them."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
from agi_peer import Asterisk
from click.testing import CliRunner, Result
from given import ALICE
from programs import ROOT, Program, environment
from redis_server import RedisServer
from waiting import until

from rightcall import Client
from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FREE = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
PIN = "80935712468"
"""Such as no timestamp has."""
RULES = f"""
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    users: [{{uuid: {ALICE}}}]
    call_permissions:
      - {{id: 1, name: "no", extensions: ["118"], users: [{ALICE}]}}
      - {{id: 2, name: "pin", extensions: ["_00."], users: [{ALICE}], password: "{PIN}"}}
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    """A definitions file."""
    path = tmp_path / "acme.yaml"
    path.write_text(RULES)
    return str(path)


@pytest.fixture
def _logging() -> Iterator[None]:
    """What a command that runs in the test's own process does to logging reaches no other test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: str) -> Result:
    """Runs a command that ends by itself."""
    return CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(main, list(arguments))


def dial(address: str, extension: str, *digits: str, outcall: str = "") -> str:
    """The verdict on Alice's call."""
    variables = {"WAZO_USERUUID": ALICE, "WAZO_DSTNUM": extension, "WAZO_OUTCALLID": outcall}
    return Asterisk(variables, dialled=digits).call(address)["WAZO_AUTHORIZATION"]


def test_the_adapter_decides_by_a_servers_rules(rules: str) -> None:
    """Allowed, denied, and by password; it ends in order, and passwords are in neither log."""
    with Program("serve", "--definitions", rules, *FREE) as server:
        target = str(server.wait_for("server_started")["grpc"])
        with Program("agi", *FREE, "--target", target, "--deadline", "5") as agi:
            address = str(agi.wait_for("agi_started")["agi"])
            verdicts = [dial(address, "200"), dial(address, "118"), dial(address, "0033", "99", PIN)]
            code = agi.stop(signal.SIGINT)
        server.stop()

    assert verdicts == ["ALLOW", "DENY", "ALLOW"]
    assert code == 0
    assert PIN not in json.dumps([agi.events, server.events])


def test_variables_say_what_options_say() -> None:
    """Several networks stand in one variable, with spaces in between."""
    environment = {
        "RIGHTCALL_LISTEN": "127.0.0.1:0",
        "RIGHTCALL_HTTP": "none",
        "RIGHTCALL_ALLOW": "192.0.2.0/24 127.0.0.1",
        "RIGHTCALL_TARGET": "127.0.0.1:1",
        "RIGHTCALL_ON_FAILURE": "open",
        "RIGHTCALL_UNKNOWN_TENANT": "allow",
    }
    with Program("agi", **environment) as agi:
        assert dial(str(agi.wait_for("agi_started")["agi"]), "118", outcall="3") == "ALLOW"
        agi.wait_for("agi_no_answer", verdict="ALLOW")


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--emergency", "112, 911"], ["112", "*31#112", "911"]),
        (["--emergency-country", "FR", "--outside-line", "0"], ["112", "015", "17"]),
        (["--emergency-country", "US"], ["911", "*67911"]),
    ],
)
def test_emergency_numbers_need_no_server(options: list[str], numbers: list[str]) -> None:
    """Those that are named, and those of a country, as people dial them there."""
    with Program("agi", *FREE, "--target", "127.0.0.1:1", "--on-failure", "closed", *options) as agi:
        address = str(agi.wait_for("agi_started")["agi"])
        assert {dial(address, number, outcall="3") for number in numbers} == {"ALLOW"}
        assert dial(address, "118", outcall="3") == "DENY"


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--allow", "everybody"], "192.0.2.0/24"),
        (["--allow", "192.0.2.1/24"], "host bits"),
        (["--prompt", "agent-pass 0 1\nHANGUP"], "write letters"),
        (["--variable-prefix", ""], "write letters"),
        (["--on-failure", "maybe"], "closed"),
        (["--unknown-tenant", "maybe"], "allow"),
        (["--max-dialogues", "0"], "max-dialogues"),
        (["--emergency", "112,police"], "--emergency takes digits"),
        (["--outside-line", "*"], "--outside-line takes digits"),
        (["--emergency-country", "ZZ"], "ZZ"),
        (["--listen", "here"], "HOST:PORT"),
        (["--ca-file", "/nowhere.pem"], "cannot be read"),
    ],
)
def test_an_adapter_that_cannot_do_what_it_was_told_says_so(arguments: list[str], said: str) -> None:
    """With the exit code of a usage error, before anything is served."""
    ended = run("agi", *arguments)

    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_country_needs_libphonenumbers_metadata() -> None:
    """They are of another extra; numbers themselves need nothing."""
    code = (
        "import sys; sys.modules['phonenumbers'] = None; from rightcall.cli import main; main(['agi', *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", code, "--emergency-country", "FR"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "rightcall[all]" in " ".join(done.stderr.split())


def test_decisions_are_logged_to_a_file(rules: str, tmp_path: Path) -> None:
    """Sampled and masked as the options say."""
    path = tmp_path / "decisions.jsonl"
    sample = ("--decision-log-sample", "allow=0", "--decision-log-sample", "deny=1")
    log = ("--decision-log", str(path), "--decision-log-mask", "2", *sample)
    with Program("serve", "--definitions", rules, *FREE, *log) as server:
        with Client(str(server.wait_for("server_started")["grpc"]), timeout=10) as client:
            for extension in ("118", "200", "118"):
                client.check(caller=ALICE, extension=extension)
        server.stop()
    entries = [json.loads(line) for line in path.read_text().splitlines()]

    assert [(entry["extension"], entry["decision"]) for entry in entries] == [("1xx", "DENY"), ("1xx", "DENY")]


def test_decisions_are_logged_to_a_redis_stream(rules: str) -> None:
    """Under the prefix of all of Rightcall's keys."""
    with RedisServer() as redis, redis.client() as reader:
        log = ("--decision-log", redis.url, "--redis-prefix", "mine:")
        with Program("serve", "--definitions", rules, *FREE, *log) as server:
            with Client(str(server.wait_for("server_started")["grpc"]), timeout=10) as client:
                client.check(caller=ALICE, extension="118")
            until(lambda: reader.xlen("mine:decisions") == 1, "the entry is there")
            server.stop()
        ((_, fields),) = reader.xrange("mine:decisions")

    assert json.loads(fields[b"decision"])["decision"] == "DENY"


@pytest.mark.usefixtures("_logging")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--decision-log-sample", "allow=2"], "a share is 0 to 1"),
        (["--decision-log-sample", "maybe=1"], "allow, deny, challenge"),
        (["--decision-log-sample", "allow"], "DECISION=SHARE"),
        (["--decision-log-sample", "allow=nan"], "a share is 0 to 1"),
        (["--decision-log", "/nowhere/decisions.jsonl"], "check that its directory exists"),
        (["--decision-log", "redis://[::1"], "Redis"),
    ],
)
def test_a_decision_log_that_cannot_be_is_refused_at_the_start(rules: str, arguments: list[str], said: str) -> None:
    """And not when the first entry is lost."""
    ended = run("serve", "--definitions", rules, *FREE, *arguments)

    assert ended.exit_code == 2
    assert said in ended.stderr
