"""The example for FreeSWITCH: its script in Debian's Lua, beside a real server; the channel is scripted."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from agi_adapter import closed_port, rules
from given import ALICE
from programs import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = ROOT / "examples" / "freeswitch"
CHANNEL = ROOT / "tests" / "cases" / "freeswitch.lua"
ALLOWED = ["set rightcall=yes"]
REJECTED = ["play ivr-call_rejected", "hangup CALL_REJECTED"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server: Alice may not dial 0900, needs 4321 for 00; the outcall 3 denies 118."""
    with rules() as running:
        yield f"http://{running.server.http_address}"


def called(url: str, number: str, caller: str = ALICE, outcall: str = "", keys: tuple[str, ...] = ()) -> list[str]:
    """What becomes of a call, line by line."""
    lua = shutil.which("lua5.3")
    if lua is None:
        pytest.fail("lua5.3 is not installed; run `make test`, or: apt-get install lua5.3 lua-cjson")
    command = [lua, str(CHANNEL), str(EXAMPLE / "rightcall.lua"), number, caller, outcall, *keys]
    done = subprocess.run(
        command, env=environment(RIGHTCALL_URL=url), capture_output=True, text=True, check=True, timeout=60
    )
    assert not any(key in done.stderr for key in keys)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("number", "outcall", "keys", "lines"),
    [
        ("0123456", "", (), ALLOWED),
        ("0900123", "3", (), ["set rightcall_reason=DENY", *REJECTED]),
        ("118", "3", (), ["set rightcall_reason=DENY", *REJECTED]),
        ("118", "", (), ALLOWED),
        ("0033123", "3", ("1111", "4321"), ["answer", "play ivr-pin_or_extension_is-invalid", *ALLOWED]),
        ("0033123", "3", (), ["answer", "set rightcall_reason=PIN", *REJECTED]),
    ],
)
def test_calls_go_where_the_rules_say(
    url: str, number: str, outcall: str, keys: tuple[str, ...], lines: list[str]
) -> None:
    """What is not allowed is hung up; a PIN is asked for until it is right."""
    assert called(url, number, outcall=outcall, keys=keys) == lines


@pytest.mark.parametrize("number", ["0123456", "'; touch /tmp/x; '", '"}, "x": {"'])
def test_without_a_decision_calls_for_help_alone_go_on(number: str) -> None:
    """Whatever was dialled; nothing of it gets into a shell or into the request."""
    away = f"http://{closed_port()}"

    assert called(away, "112") == ALLOWED
    assert called(away, number)[-1] == "hangup NORMAL_TEMPORARY_FAILURE"


def test_a_caller_that_is_nobodys_is_no_decision(url: str) -> None:
    """Nor is one whose name is JSON."""
    for caller in ("mallory", 'alice", "type": "user'):
        assert called(url, "0123456", caller=caller)[-1] == "hangup NORMAL_TEMPORARY_FAILURE"


def test_the_dialplan_leads_out_only_where_the_script_says_yes() -> None:
    """Each way but the one for help: no comes first, and the way stands behind a condition."""
    for extension in ET.parse(EXAMPLE / "dialplan.xml").iter("extension"):  # noqa: S314 - our own file
        actions = [(one.attrib["application"], one.attrib["data"]) for one in extension.iter("action")]
        if extension.attrib["name"] != "help":
            assert [name for name, _ in actions] == ["set", "lua", "bridge"]
            assert actions[0][1] == "rightcall=no"
            assert actions[2][1].startswith("${cond(${rightcall} == yes ? ")
