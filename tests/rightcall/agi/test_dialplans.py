"""The dialplans of ``examples/``, walked through beside real adapters, and with none: which calls go where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from agi_adapter import adapter, closed_port, rules
from dialplan import Dialplan, dialplan
from given import ALICE
from programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = ROOT / "examples"
USER = {"WAZO_USERUUID": ALICE}
DENIED = ["Playback(ss-noservice)", "Hangup(21)"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An adapter beside a server: Alice may not dial 0900, needs 4321 for 00; outcall 3 denies 118."""
    with rules() as running, adapter(running.server.address) as agi:
        yield agi.address


def plan(address: str, standby: str = "") -> Dialplan:
    """The dialplan for a plain Asterisk, with these adapters."""
    return dialplan(EXAMPLES / "asterisk" / "extensions.conf", ADAPTER=address, STANDBY=standby or address, OUTCALL="3")


@pytest.mark.parametrize(
    ("number", "keys", "steps"),
    [
        ("0123456", [], ["Dial(PJSIP/0123456@trunk,60)", "Hangup()"]),
        ("0900123", [], DENIED),
        ("0033123", ["4321#"], ["Dial(PJSIP/0033123@trunk,60)", "Hangup()"]),
        ("0033123", ["1111#", "1112#", ""], DENIED),
        ("112", [], ["Dial(PJSIP/112@trunk)", "Hangup()"]),
        ("102", [], ["Dial(PJSIP/102,30)", "Hangup()"]),
        ("01&PJSIP/0033123@trunk", [], ["Hangup(28)"]),
        ("0@evil.example", [], ["Hangup(28)"]),
    ],
)
def test_calls_go_where_the_rules_say(address: str, number: str, keys: list[str], steps: list[str]) -> None:
    """And nowhere else; a number that is a dial string goes nowhere at all."""
    assert plan(address).call("from-users", number, USER, keys=keys).steps == steps


def test_a_standby_decides_where_the_first_adapter_is_away(address: str) -> None:
    """In both dialplans, as the first one would have."""
    away = closed_port()
    plain = plan(away, address)
    lines = _wazo(away, address)

    assert plain.call("from-users", "0900123", USER).steps == DENIED
    assert plain.call("from-users", "0123456", USER).steps[0] == "Dial(PJSIP/0123456@trunk,60)"
    assert lines.call("check", "s", {**USER, "WAZO_DSTNUM": "0900123"}).variables["RIGHTCALL_REASON"] == "rule"


@pytest.mark.parametrize(
    ("variables", "authorization"),
    [
        ({**USER, "WAZO_DSTNUM": "0123456"}, "DENY"),
        ({**USER, "WAZO_DSTNUM": "112"}, "ALLOW"),
        ({**USER, "WAZO_DSTNUM": "1120"}, "DENY"),
        ({"WAZO_DSTNUM": "102"}, "ALLOW"),
        ({"WAZO_DSTNUM": "0123456", "WAZO_OUTCALLID": "3"}, "DENY"),
        ({**USER, "WAZO_DSTNUM": '1" = "1'}, "DENY"),
    ],
)
def test_without_an_adapter_calls_for_help_and_from_outside_go_on(
    variables: dict[str, str], authorization: str
) -> None:
    """By Wazo's dialplan alone, whatever an earlier check on the channel has left behind."""
    left = {"WAZO_AUTHORIZATION": "ALLOW", "RIGHTCALL_REASON": "rule"}
    ended = _wazo(closed_port(), closed_port()).call("check", "s", {**left, **variables})

    assert ended.variables["WAZO_AUTHORIZATION"] == authorization
    assert ended.variables["RIGHTCALL_REASON"] == ""


def test_without_an_adapter_a_plain_asterisk_calls_for_help_alone() -> None:
    """Neither a colleague nor the trunk, though a number may begin like one of them."""
    away = plan(closed_port(), closed_port())

    assert away.call("from-users", "911", USER).steps == ["Dial(PJSIP/911@trunk)", "Hangup()"]
    for number in ("102", "0123456", "1120"):
        assert away.call("from-users", number, USER).steps == DENIED


def test_strangers_do_not_reach_the_trunk() -> None:
    """A call from outside rings a colleague, or is in no context."""
    made = plan(closed_port())

    assert made.call("from-trunk", "102").steps[0] == "Dial(PJSIP/102,30)"
    with pytest.raises(LookupError):
        made.call("from-trunk", "0123456")


def test_the_telephones_say_who_calls() -> None:
    """Each endpoint of a user has a variable with a user of the example's rules, and the users' context."""
    text = (EXAMPLES / "asterisk" / "pjsip.conf").read_text()
    users = re.findall(r"^\[\d+\]\(telephone\)\n(?:.*\n)*?set_var=WAZO_USERUUID=(.*)$", text, re.MULTILINE)
    company = (EXAMPLES / "company.yaml").read_text()

    assert len(users) == text.count("(telephone)") == 2
    assert all(user in company for user in users)


def test_the_page_shows_what_the_example_has() -> None:
    """The dialplan's lines and both units."""
    page = (ROOT / "docs" / "agi.md").read_text()
    for path in (EXAMPLES / "wazo").iterdir():
        if path.suffix != ".md":
            assert path.read_text() in page, path.name


def _wazo(first: str, second: str) -> Dialplan:
    """The lines for Wazo's dialplan, with these adapters."""
    lines = (EXAMPLES / "wazo" / "check.conf").read_text()
    return Dialplan("[check]\n" + lines.replace("127.0.0.1:4574", first).replace("192.0.2.20:4574", second))
