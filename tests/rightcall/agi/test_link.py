"""The connection to the server, and what metrics and probes say of it."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from agi_adapter import FROM_ALICE, adapter, counted, rules
from agi_peer import Asterisk
from far import Far
from metrics_manual import shown, undescribed
from structlog.testing import capture_logs
from waiting import until

from pdp.runtime.version import version
from rightcall.agi import link
from rightcall.agi.catalog import METRICS

if TYPE_CHECKING:
    import pytest
    from server import Running

    from rightcall.agi.server import AgiServer

ALLOWED = {**FROM_ALICE, "WAZO_DSTNUM": "200"}


def page(agi: AgiServer, path: str) -> tuple[int, str]:
    """A page of the adapter's HTTP port."""
    try:
        with urllib.request.urlopen(f"http://{agi.http}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def is_up(agi: AgiServer) -> bool:
    """Whether the server answered when it was asked last."""
    return counted(agi, "rightcall_agi_server_up") == 1


def test_the_first_call_finds_a_connection(running: Running) -> None:
    """It was made at the start, so a server far away has its whole time for the answer."""
    with Far(running.server.address, 0.14) as far, adapter(far.address, deadline=5.0) as agi:
        until(lambda: is_up(agi), "the server has answered")
        variables = Asterisk(ALLOWED).call(agi.address)

        assert (variables["WAZO_AUTHORIZATION"], variables["RIGHTCALL_REASON"]) == ("ALLOW", "no-rule")
        assert far.connections == 1


def test_a_server_that_goes_away_and_comes_back_shows_before_a_call_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """In readiness, metrics and log, once each time."""
    monkeypatch.setattr(link, "_INTERVAL_SECONDS", 0.1)
    with rules() as running, Far(running.server.address, 0) as way:
        target = way.address
        with adapter(target, http="127.0.0.1:0") as agi, capture_logs() as logs:
            until(lambda: is_up(agi), "the server answers")
            assert page(agi, "/readyz") == (200, f"ready: {target} answers\n")
            running.server.stop()
            until(lambda: not is_up(agi), "it does not")
            status, said = page(agi, "/readyz")
            assert (status, target in said) == (503, True)
            assert page(agi, "/healthz")[0] == 200
    assert [entry["event"] for entry in logs if entry["event"].startswith("agi_server")][-1] == "agi_server_down"


def test_metrics_are_those_of_the_manual(running: Running) -> None:
    """After calls of several kinds: every metric and every label value is described."""
    with adapter(running.server.address, http="127.0.0.1:0") as agi:
        Asterisk(ALLOWED).call(agi.address)
        Asterisk({**FROM_ALICE, "WAZO_DSTNUM": "0033123"}, dialled=["1", "4321"], sounds=()).call(agi.address)
        Asterisk({"WAZO_DSTNUM": "1"}).call(agi.address)
        Asterisk(ALLOWED, script="else").call(agi.address)
        Asterisk(ALLOWED, script="shadow").call(agi.address)
        until(lambda: counted(agi, "rightcall_agi_shadowed_total", dialplan="none", server="allow") == 1, "compared")
        text = page(agi, "/metrics")[1]

        assert shown(agi.metrics.registry) == {name: metric.kind for name, metric in METRICS.items()}
        assert undescribed(agi.metrics.registry, METRICS) == []
    assert f'rightcall_build_info{{version="{version()}"}} 1.0' in text
    assert 'rightcall_agi_calls_total{reason="no-rule",verdict="allow"} 1.0' in text
    assert 'rightcall_agi_pins_total{result="wrong"} 1.0' in text
