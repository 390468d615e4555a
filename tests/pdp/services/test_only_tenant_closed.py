"""A server whose only tenant is closed: no way that a request can take decides by rules that are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cores import EACH_TRANSPORT
from given import ACME, ALICE
from server import running_server

from pdp.rules.model import Outcall, Tenant, User
from rightcall import Call, Client
from rightcall.client.errors import TenantClosed

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = (
    Call(caller=ALICE, extension="200"),
    Call(caller=ALICE, extension="200", tenant=ACME),
    Call(caller="user:5", extension="200"),
    Call(caller=ALICE, extension="0033 1 23", outcall="3"),
    Call(caller="", extension="200", outcall="3"),
    Call(caller="", extension="200", outcall="3", forwarded_by=ALICE),
)


@pytest.fixture(params=EACH_TRANSPORT)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of a server with one tenant, which two faults keep closed."""
    users, outcalls = (User(ALICE, aliases=("user:5",)),), (Outcall("3", "world"),)
    tenant = Tenant(ACME, "acme", users=users, outcalls=outcalls, closed=2)
    with running_server(tenant, transport=request.param) as running, Client(running.server.address) as it:
        yield it


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_no_call_of_a_closed_tenant_is_decided(client: Client, call: Call) -> None:
    """Whether it is the server's only tenant or not, and however plain the request."""
    with pytest.raises(TenantClosed, match="2 faults"):
        client.check(
            caller=call.caller,
            extension=call.extension,
            outcall=call.outcall,
            tenant=call.tenant,
            forwarded_by=call.forwarded_by,
        )


def test_no_call_among_many_is_decided(client: Client) -> None:
    """Each has the error that it would have alone."""
    assert {type(answer) for answer in client.check_many(CALLS)} == {TenantClosed}
