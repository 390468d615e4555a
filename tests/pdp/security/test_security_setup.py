"""What has to be said before a server starts, and what contradicts itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from given import denying
from server import current_of, running_server

from pdp.app import Server, ServerSettings
from pdp.errors import SecurityError
from pdp.metrics.registry import Metrics
from pdp.runtime.address import is_local
from pdp.security.settings import Auth, SecuritySettings
from pdp.security.setup import open_security
from pdp.settings import Transport

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.every_transport

TLS = {"tls_certificate": "c.pem", "tls_key": "k.pem"}
JWT = {"jwks": "keys", "jwt_audience": "a", "jwt_issuer": "i"}


def opened(*addresses: str, **settings: Any) -> None:
    """Opens it, for nothing but its errors."""
    open_security(SecuritySettings(**settings), addresses, Metrics(current_of(), ""))


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.9.1:50051", True),
        ("localhost:0", True),
        ("[::1]:50051", True),
        ("unix:/run/rightcall.sock", True),
        ("", True),
        ("0.0.0.0:50051", False),
        (":50051", False),
        ("[::]:50051", False),
        ("10.0.0.1:50051", False),
        ("localhost.example.org:50051", False),
        ("pdp:50051", False),
    ],
)
def test_a_server_that_others_can_reach_needs_a_choice(address: str, local: bool) -> None:  # noqa: FBT001 - a table
    """On either port; none is a choice, and on loopback it is the one that is meant."""
    assert is_local(address) is local
    for addresses in ((address, "127.0.0.1:0"), ("127.0.0.1:0", address)):
        opened(*addresses, auth=Auth.NONE)
        if local:
            opened(*addresses)
        else:
            with pytest.raises(SecurityError, match="--auth none"):
                opened(*addresses)


def test_a_server_without_a_choice_does_not_listen() -> None:
    """It does not even come into being."""
    current = current_of(denying("1"))
    with pytest.raises(SecurityError, match=r"0\.0\.0\.0:0 can be reached"):
        Server(ServerSettings(listen="0.0.0.0:0"), current, Metrics(current, ""))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"auth": Auth.TOKENS}, "--auth tokens needs --clients"),
        ({"auth": Auth.MTLS}, "--auth mtls needs --tls-client-ca"),
        ({"auth": Auth.NONE, "clients": "c"}, "--clients belongs to"),
        ({"clients": "c"}, "--clients belongs to"),
        ({"auth": Auth.JWT, **JWT, "clients": "c"}, "--clients belongs to"),
        *(({"auth": Auth.JWT, **JWT, name: ""}, "need each other") for name in JWT),
        *(({"auth": Auth.NONE, name: "x"}, "and --auth jwt need each other") for name in JWT),
        ({"tls_certificate": "c"}, "--tls-certificate and --tls-key"),
        ({"tls_key": "k"}, "--tls-certificate and --tls-key"),
        ({"http_tls": True}, "--http-tls needs"),
        ({"tls_client_ca": "ca"}, "--tls-client-ca needs"),
        ({**TLS, "tls_crl": "l"}, "--tls-crl needs"),
        ({**TLS, "tls_client_names": ("n",)}, "--tls-client-name needs"),
        ({"client_burst": 5}, "--client-burst needs"),
        ({"auth": Auth.TOKENS, "clients": "/nowhere"}, "'/nowhere' cannot be read"),
        ({"auth": Auth.TOKENS, "clients": "\x00"}, "cannot be read"),
        ({"auth": Auth.JWT, **JWT, "jwks": "/nowhere"}, "'/nowhere' cannot be read"),
    ],
)
def test_settings_that_contradict_each_other_are_a_clear_error(settings: dict[str, Any], told: str) -> None:
    """None is silently without effect."""
    with pytest.raises(SecurityError) as refused:
        opened("127.0.0.1:0", **settings)

    assert told in str(refused.value)


def test_a_file_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    """Whoever names a wrong one waits for no gigabytes."""
    path = tmp_path / "large"
    path.write_bytes(b" " * (5 * 1024 * 1024))
    with pytest.raises(SecurityError, match="check that it is the right file"):
        opened("127.0.0.1:0", auth=Auth.TOKENS, clients=str(path))


def test_without_security_nothing_stands_between_calls_and_services() -> None:
    """Admission alone looks at calls, and there is no view of the rules, so none of it costs anything."""
    with running_server(denying("0900"), transport=Transport.GRPCIO) as running:
        assert running.server._security.guard is None
        transport: Any = running.server._transport
        assert transport._server._state.interceptor_pipeline.interceptors == (transport._admission,)
