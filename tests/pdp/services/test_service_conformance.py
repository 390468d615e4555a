"""The answers that Wazo Platform gave, asked of a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cores import EACH_TRANSPORT
from definitions import conformance_suites
from server import DEADLINE, running_server

from rightcall import v1

if TYPE_CHECKING:
    from definitions import ConformanceSuite

    from pdp.transports.choice import Transport

SUITES = conformance_suites()


@pytest.mark.parametrize("transport", EACH_TRANSPORT)
@pytest.mark.parametrize("suite", SUITES, ids=[suite.name for suite in SUITES])
def test_a_live_server_answers_as_wazo_did(suite: ConformanceSuite, transport: Transport) -> None:
    """Every case gets its decision and stage, alone and among many, whatever speaks gRPC."""
    calls, wanted = [], []
    for case in suite.cases:
        tenant = suite.tenant_of(case)
        calls.append(
            v1.CheckCallRequest(
                caller=case.caller,
                extension=case.extension,
                outcall=case.outcall,
                tenant=tenant.uuid if tenant else "",
            )
        )
        wanted.append((f"DECISION_{case.decision}", f"STAGE_{case.stage}"))

    with running_server(*suite.tenants, transport=transport) as running:
        alone = [running.decisions.CheckCall(call, timeout=DEADLINE) for call in calls]
        many = running.decisions.CheckCalls(v1.CheckCallsRequest(calls=calls), timeout=DEADLINE)
        explained = [
            running.decisions.ExplainCall(v1.ExplainCallRequest(call=call), timeout=DEADLINE) for call in calls
        ]

    assert [(v1.Decision.Name(one.decision), v1.Stage.Name(one.stage)) for one in alone] == wanted
    assert [answer.response for answer in many.answers] == alone
    assert [explanation.answer for explanation in explained] == alone
