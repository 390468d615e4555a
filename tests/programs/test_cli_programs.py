"""The programs that stay, as a user runs them: ``serve``, ``load`` and ``demo``, with real ports and a real Redis."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from programs import Program, run_program
from redis_server import RedisServer
from waiting import until

from rightcall import Client, Decision

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPANY = str(Path(__file__).parents[2] / "examples" / "company.yaml")
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
FREE = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
KEY = "0123456789abcdef0123456789abcdef"


def rules(*extensions: str) -> str:
    """Definitions of one tenant, whose Alice may not dial ``extensions``."""
    patterns = ", ".join(f'"{extension}"' for extension in extensions)
    return f"""
tenants:
  - uuid: 54eb71f8-1f4b-4ae4-8730-638062fbe521
    name: acme
    users: [{{uuid: {ALICE}}}]
    call_permissions:
      - {{id: 1, name: "no", extensions: [{patterns}], users: [{ALICE}]}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A definitions file."""
    path = tmp_path / "acme.yaml"
    path.write_text(rules("118"))
    return path


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis with a password."""
    with RedisServer(password="s3cr3t-of-redis") as server:
        yield server


def edit(path: Path, text: str) -> None:
    """Saves a file as editors do: whole, by renaming."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def decided(client: Client, extension: str, decision: Decision) -> bool:
    """Whether Alice's call is decided so."""
    return client.check(caller=ALICE, extension=extension).decision is decision


def test_serve_follows_a_file_and_keeps_the_old_rules_at_a_bad_edit(path: Path) -> None:
    """Without Redis: serve, edit, break, repair, stop."""
    with Program("serve", "--definitions", str(path), "--recheck", "0.5", *FREE) as serve:
        started = serve.wait_for("server_started")
        with urlopen(f"http://{started['http']}/readyz", timeout=10) as response:
            assert response.status == 200
        with Client(started["grpc"], timeout=10) as client:
            assert decided(client, "118", Decision.DENY)
            edit(path, rules("119"))
            until(lambda: decided(client, "119", Decision.DENY), "the edit is in force")
            edit(path, rules("119", "_[1-"))
            fault = serve.wait_for("definition_fault")["fault"]
            assert f"{path}:7: tenant acme, permission 1 (no): pattern '_[1-'" in fault
            assert decided(client, "119", Decision.DENY)
            edit(path, rules("120"))
            until(lambda: decided(client, "120", Decision.DENY), "the repair is in force")
        assert serve.stop() == 0
        assert serve.events[-1]["event"] == "server_stopped"


def test_serve_takes_up_its_last_good_rules_where_a_fault_came_meanwhile(path: Path, tmp_path: Path) -> None:
    """From its state directory, by another process: what was denied stays denied."""
    key = tmp_path / "key"
    key.write_text(KEY)
    options = ("serve", "--definitions", str(path), "--state-dir", str(tmp_path / "state"), *FREE)
    for text in (rules("118"), rules("119", "_[1-")):
        edit(path, text)
        with Program(*options, "--secret-key-file", str(key)) as serve:
            started = serve.wait_for("server_started")
            with Client(started["grpc"], timeout=10) as client:
                assert decided(client, "118", Decision.DENY)
            assert serve.stop() == 0

    assert "tenants_kept_as_they_were" in [event["event"] for event in serve.events]


def test_serve_does_without_http_when_told_so(path: Path) -> None:
    """Also by a variable, which cannot say so by being empty."""
    with Program("serve", "--definitions", str(path), "--listen", "127.0.0.1:0", RIGHTCALL_HTTP="none") as serve:
        assert serve.wait_for("server_started")["http"] == ""
        assert serve.stop() == 0


def test_serve_ends_in_order_at_ctrl_c(path: Path) -> None:
    """SIGINT is as good as SIGTERM."""
    with Program("serve", "--definitions", str(path), *FREE) as serve:
        serve.wait_for("following")
        assert serve.stop(signal.SIGINT) == 0


def test_serve_refuses_to_start_with_nothing_but_faults(path: Path) -> None:
    """Without a good tenant there is nothing to serve: the faults are shown and the exit code is 3."""
    path.write_text(rules("_[1-"))
    ran = run_program("serve", "--definitions", str(path), *FREE)
    assert ran.returncode == 3
    assert "acme.yaml:7" in ran.stderr
    assert "nothing to serve" in ran.stderr


def test_serve_says_which_address_is_taken(path: Path) -> None:
    """Exit code 2, and the address in the message."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run_program("serve", "--definitions", str(path), "--listen", address, "--http", "127.0.0.1:0")
    assert ran.returncode == 2
    assert address in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_loader_and_a_server_meet_in_redis(path: Path, redis: RedisServer) -> None:
    """The same rules, across two processes; a change arrives, and both stop in order."""
    variables = {"RIGHTCALL_REDIS": redis.url, "RIGHTCALL_REDIS_PREFIX": "meet:", "RIGHTCALL_SECRET_KEY": KEY}
    with (
        Program("serve", *FREE, **variables) as serve,
        Program("load", "--source", f"file:{path}", "--recheck", "0.5", "--http", "none", **variables) as load,
    ):
        load.wait_for("rules_published", name="acme")
        with Client(serve.wait_for("server_started")["grpc"], timeout=10) as client:
            serve.wait_for("rules_loaded")
            assert decided(client, "118", Decision.DENY)
            edit(path, rules("119"))
            until(lambda: decided(client, "119", Decision.DENY), "the edit has arrived")
            assert client.status().source == f"redis://127.0.0.1:{redis.port}/0"
        assert (load.stop(), serve.stop()) == (0, 0)
        assert "s3cr3t-of-redis" not in repr(serve.events + load.events)


def test_load_once_publishes_and_ends(path: Path, redis: RedisServer) -> None:
    """The second time there is nothing to publish."""
    arguments = ("load", "--once", "--source", str(path), "--redis", redis.url, "--redis-prefix", "once:")
    first, second = run_program(*arguments), run_program(*arguments)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "rules_published" in first.stderr
    assert "rules_published" not in second.stderr
    assert "unchanged=1" in second.stderr


def test_load_once_with_faults_ends_with_3_and_publishes_the_good(tmp_path: Path, redis: RedisServer) -> None:
    """One bad file among good ones spoils nothing but itself."""
    (tmp_path / "good.yaml").write_text(rules("118"))
    bad = rules("_[1-").replace("54eb71f8", "64eb71f8").replace(ALICE, ALICE.replace("2c34", "3c34"))
    (tmp_path / "bad.yaml").write_text(bad)
    ran = run_program("load", "--once", "--source", str(tmp_path), "--redis", redis.url, "--redis-prefix", "half:")
    assert ran.returncode == 3
    assert "rules_published" in ran.stderr
    assert "bad.yaml:7" in ran.stderr


def test_load_once_without_redis_ends_with_4(path: Path) -> None:
    """Nobody was told anything, so it must not look like success."""
    ran = run_program("load", "--once", "--source", str(path), "--redis", "redis://:s3cr3t@127.0.0.1:1/0")
    assert ran.returncode == 4
    assert "redis://127.0.0.1:1/0" in ran.stderr
    assert "s3cr3t" not in ran.stderr


def test_load_once_with_a_wrong_redis_password_ends_with_4_and_does_not_show_it(path: Path, redis: RedisServer) -> None:
    """The message says what to check, and holds neither password."""
    url = redis.url.replace("s3cr3t-of-redis", "not-it")
    ran = run_program("load", "--once", "--source", str(path), "--redis", url)
    assert ran.returncode == 4
    assert "check user and password" in ran.stderr
    assert "not-it" not in ran.stderr


def test_load_once_of_a_path_that_is_not_there_ends_with_2(tmp_path: Path, redis: RedisServer) -> None:
    """A wrong path is a wrong option."""
    ran = run_program("load", "--once", "--source", str(tmp_path / "none.yaml"), "--redis", redis.url)
    assert ran.returncode == 2
    assert "none.yaml" in ran.stderr


@pytest.mark.parametrize("variables", [{"ONCE": "1"}, {}], ids=["ONCE=1", "no terminal"])
def test_the_demo_ends_after_its_table_where_nobody_watches(variables: dict[str, str]) -> None:
    """For continuous integration: a table of decisions, and exit code 0."""
    ran = run_program("demo", **variables)
    assert ran.returncode == 0
    for text in ("0900123456", "CHALLENGE", "20 sales-europe"):
        assert text in ran.stdout
    assert "Try next:" in ran.stdout.splitlines()
    assert "Traceback" not in ran.stderr


def test_commands_say_who_they_are() -> None:
    """The version is that of the distribution."""
    assert run_program("--version").stdout.startswith("rightcall, version ")
    assert run_program("check", "--definitions", COMPANY, "--extension", "101").returncode == 0
