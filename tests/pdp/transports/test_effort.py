"""Reports end with their clients, after their time, and cost what they take."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest
from given import ACME, ALICE, denying
from server import DEADLINE, running_server

from pdp.errors import TooMuchWork
from pdp.rules.analysis.explain import explain
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.snapshot import decode
from pdp.transports import handlers
from pdp.transports.effort import ClientGone, Efforts
from rightcall import v1

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = denying(*(f"_0{number:03d}X" for number in range(500)))


def explaining() -> Callable[[], object]:
    """An explanation that looks at 500 patterns."""
    snapshot = decode(Compiler().compile(MANY, Revision(1, "0" * 64), compiled_at=0.0))
    return lambda: explain(snapshot, ALICE, "9", "")


def test_a_report_ends_when_its_client_has_gone() -> None:
    """Before it is done."""
    with pytest.raises(ClientGone):
        Efforts(None).run(explaining(), lambda: False)


def test_a_report_that_takes_too_long_is_rejected() -> None:
    """And one that does not is not."""
    assert Efforts(None).run(explaining(), lambda: True)
    with pytest.raises(TooMuchWork):
        Efforts(None, seconds=-1.0).run(explaining(), lambda: True)


def test_the_time_of_a_report_is_charged_also_when_it_fails() -> None:
    """In requests, of which the first was charged before."""
    charged = list[int]()

    def fail() -> None:
        for _ in range(20):
            explaining()()
        raise TooMuchWork(1.0)

    with pytest.raises(TooMuchWork):
        Efforts(charged.append).run(fail, lambda: True)
    assert len(charged) == 1
    assert charged[0] > 0


def test_a_client_gets_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """And decisions go on."""
    monkeypatch.setattr(handlers, "Efforts", partial(Efforts, seconds=-1.0))
    with running_server(MANY) as server:
        call = v1.CheckCallRequest(caller=ALICE, extension="9")
        for ask in (
            lambda: server.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE),
            lambda: server.directory.ListReach(v1.ListReachRequest(caller=ALICE), timeout=DEADLINE),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                ask()
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "processor time" in (raised.value.details() or "")
        listed = server.directory.ListCallers(v1.ListCallersRequest(extension="9", tenant=ACME), timeout=DEADLINE)
        assert [one.caller for page in listed for one in page.callers] == [ALICE]  # one profile is no work
        assert server.decisions.CheckCall(call, timeout=DEADLINE).decision == v1.Decision.DECISION_ALLOW
