"""Commands that read a Wazo Platform themselves: they leave no session behind, of which a user may have a hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from given import ACME, ALICE
from programs import Program, run_program
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def simulator() -> Iterator[WazoSimulator]:
    """A stack with one tenant, whose Alice may not dial 118."""
    platform = WazoPlatform()
    platform.add_tenant("acme", uuid=ACME)
    platform.add_user(ACME, uuid=ALICE)
    platform.associate(platform.add_permission(ACME, "no", ["118"]), "users", ALICE)
    with WazoSimulator(platform) as running:
        yield running


def url_of(simulator: WazoSimulator) -> str:
    """The stack as a source, with the credentials in it: these commands have no options for them."""
    behaviour = simulator.behaviour
    return simulator.url.replace("://", f"://{behaviour.username}:{behaviour.password}@")


def was_closed(simulator: WazoSimulator) -> bool:
    """Whether every session that was begun was ended."""
    requests = simulator.behaviour.requests
    return requests["POST token"] == requests["DELETE token"] > 0 and not simulator.behaviour.live()


def test_validate_ends_its_session(simulator: WazoSimulator) -> None:
    """It reads once, and its token is revoked."""
    ran = CliRunner().invoke(main, ["validate", url_of(simulator)])
    assert (ran.exit_code, "2 good tenants with 1 permission" in ran.stdout) == (0, True), ran.output
    assert was_closed(simulator)


def test_validate_ends_its_session_when_it_cannot_read(simulator: WazoSimulator) -> None:
    """A list that the stack refuses fails the command, and the token is revoked nevertheless."""
    simulator.behaviour.failures = ["400"]
    assert CliRunner().invoke(main, ["validate", url_of(simulator)]).exit_code == 2
    assert was_closed(simulator)


def test_a_question_to_definitions_ends_its_session(simulator: WazoSimulator) -> None:
    """``check`` reads the stack, answers, and leaves nothing open."""
    question = ("--definitions", url_of(simulator), "--caller", ALICE, "--extension", "118")
    ran = CliRunner().invoke(main, ["check", *question])
    assert (ran.exit_code, "DENY" in ran.stdout) == (1, True), ran.output
    assert was_closed(simulator)


def test_a_server_of_definitions_ends_its_session_when_it_stops(simulator: WazoSimulator) -> None:
    """It holds one while it follows the stack."""
    free = ("--listen", "127.0.0.1:0", "--http", "none")
    with Program("serve", "--definitions", url_of(simulator), *free) as serve:
        serve.wait_for("following")
        assert simulator.behaviour.live()
        assert serve.stop() == 0
    assert was_closed(simulator)


def test_a_server_that_cannot_start_ends_its_session(simulator: WazoSimulator) -> None:
    """Here because its address is none: the stack was read before that is noticed."""
    ran = run_program("serve", "--definitions", url_of(simulator), "--listen", "nowhere", "--http", "none")
    assert ran.returncode == 2
    assert was_closed(simulator)
