"""The examples for drachtio and jambonz, built, beside a real server; SIP and jambonz's webhooks are scripted."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import urllib3
from agi_adapter import closed_port, rules
from example_clients import PROTOS, client
from given import ALICE
from programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm")
SECRET = "wh_secret_test"
CHANNEL = ROOT / "tests" / "cases" / "drachtio.mjs"
LOCAL, DENIED, ABROAD = "0123456", "0900123456", "0033123456"
DIAL = {"verb": "dial", "answerOnBridge": True}
OK = 200


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the examples are built."""
    _, built = client("node")
    return built


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A server: Alice may not dial 0900, and needs 4321 for 00."""
    with rules() as running:
        yield running.server.address


def invited(folder: Path, target: str, calls: str, **variables: str) -> list[str]:
    """What becomes of INVITEs to the B2BUA."""
    command = ["node", str(CHANNEL), str(folder / "build"), target, str(PROTOS)]
    told = {**os.environ, "TRUNK": "trunk", "OUTCALL": "", **variables}
    done = subprocess.run(command, env=told, input=calls, capture_output=True, text=True, check=True, timeout=60)
    return [line for line in done.stdout.splitlines() if not line.startswith("call of ")]


class Hooks(NamedTuple):
    """The webhooks of the application for jambonz."""

    url: str

    def post(self, path: str, signing: str = SECRET, age: int = 0, **hook: Any) -> Any:
        """The verbs that a webhook brings; a number: the status that it has instead."""
        body = json.dumps(hook, separators=(",", ":")).encode()
        moment = int(time.time()) - age
        signature = hmac.new(signing.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Jambonz-Signature": f"t={moment},v1={signature}"}
        response = urllib3.request("POST", self.url + path, body=body, headers=headers, timeout=60)
        return response.json() if response.status == OK else response.status

    def call(self, to: str, sid: str = "1", user: str | None = ALICE, **more: Any) -> Any:
        """The verbs for a call of a device that has proved who it is."""
        headers = {"from": "<sip:mallory@pbx.example>", **({"X-Authenticated-User": user} if user else {})}
        return self.post("/call", call_sid=sid, to=to, sip={"headers": headers}, **more)


@contextmanager
def application(folder: Path, target: str) -> Iterator[Hooks]:
    """The application for jambonz, running beside a server."""
    told = {"RIGHTCALL": target, "PROTOS": str(PROTOS), "OUTCALL": "", "PORT": "0", "WEBHOOK_SECRET": SECRET}
    command = ["node", "build/jambonz.js"]
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **told}, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        try:
            listening = json.loads(node.stdout.readline())
            yield Hooks(f"http://127.0.0.1:{listening['port']}")
        finally:
            node.kill()


@pytest.fixture(scope="module")
def hooks(folder: Path, target: str) -> Iterator[Hooks]:
    """The application beside the server."""
    with application(folder, target) as running:
        yield running


def test_drachtio_sends_calls_where_the_decision_says(folder: Path, target: str) -> None:
    """By the user who has proved it, before From; what is dialled is read as the trunk will read it."""
    calls = f"""{ALICE} {LOCAL}
{ALICE} {DENIED}
{ALICE} %30900123456
bob+x 102
+{ALICE} {DENIED}
{ALICE} {ABROAD}
{ALICE} 0900x
{ALICE} 112
{ALICE} {LOCAL} hangs-up
"""
    without, along = (invited(folder, target, calls, PIN_DESK=desk) for desk in ("", "desk"))

    assert along == [
        f"sip:{LOCAL}@trunk from {ALICE} to {LOCAL}",
        "403 Denied",
        "403 Denied",
        "503 No Decision",
        "403 Denied",
        f"sip:{ABROAD}@desk from {ALICE} to {ABROAD}",
        "484",
        f"sip:112@trunk from {ALICE} to 112",
        "487",
    ]
    assert without == [*along[:5], "403 PIN Required", *along[6:]]


def test_jambonz_dials_what_is_allowed_and_declines_the_rest(hooks: Hooks) -> None:
    """Of the device that has proved who it is; what it claims to be in From counts for nothing."""
    assert hooks.call(LOCAL) == [{**DIAL, "target": [{"type": "phone", "number": LOCAL}]}]
    assert hooks.call("%30900123456") == [{"verb": "sip:decline", "status": 403, "reason": "Denied"}]
    assert hooks.call(LOCAL, user=None) == [{"verb": "sip:decline", "status": 403, "reason": "Denied"}]
    assert hooks.call(LOCAL, user="mallory") == [{"verb": "sip:decline", "status": 503, "reason": "No Decision"}]
    assert hooks.call("0900x") == [{"verb": "sip:decline", "status": 484, "reason": "Address Incomplete"}]


def test_jambonz_asks_for_the_pin_until_it_is_right(hooks: Hooks) -> None:
    """A wrong one and what is no PIN are asked for again; the number dialled is that of the first webhook."""
    (gather,) = hooks.call(ABROAD, sid="pin")
    wrong, none = (hooks.post("/pin", call_sid="pin", to=DENIED, digits=digits) for digits in ("1111", "1" * 41))
    right = hooks.post("/pin", call_sid="pin", to=DENIED, digits="4321")
    nothing = hooks.post("/pin", call_sid="pin", to=ABROAD, reason="timeout")
    strange = hooks.post("/pin", call_sid="other", to=ABROAD, digits="4321")

    assert (gather["verb"], gather["finishOnKey"], gather["actionHook"]) == ("gather", "#", "/pin")
    assert [verbs[0]["verb"] for verbs in (wrong, none)] == ["gather", "gather"]
    assert right == [{**DIAL, "target": [{"type": "phone", "number": ABROAD}]}]
    assert [verbs[-1]["verb"] for verbs in (nothing, strange)] == ["hangup", "hangup"]


def test_webhooks_that_jambonz_did_not_sign_are_rejected(hooks: Hooks) -> None:
    """By another secret, or long ago; other paths are none."""
    assert hooks.call(LOCAL, signing="another") == 401
    assert hooks.call(LOCAL, age=3600) == 401
    assert hooks.post("/constructor") == 404


def test_jambonz_dials_calls_for_help_alone_without_a_server(folder: Path) -> None:
    """Also those of a device that nobody knows."""
    with application(folder, closed_port()) as away:
        assert away.call("112", user=None) == [{**DIAL, "target": [{"type": "phone", "number": "112"}]}]
        assert away.call(LOCAL)[0]["status"] == 503
