"""TLS and client certificates: real handshakes with a test authority, good and bad ones."""

from __future__ import annotations

import os
import socket
import ssl
import time
import urllib.request
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from given import ACME, ALICE, BOB, BOLT, denying
from pki import Authority, Pair
from security import client_of, clients_file
from server import DEADLINE, running_server
from waiting import until

from pdp.errors import SecurityError
from pdp.security import peers
from pdp.security.peers import parse_certificate, parse_revocations
from pdp.security.settings import Auth, SecuritySettings
from pdp.settings import Transport
from rightcall import v1

if TYPE_CHECKING:
    from pathlib import Path

    from server import Running

pytestmark = pytest.mark.every_transport

CALL = v1.CheckCallRequest(caller=ALICE, extension="0900")
OK, UNAUTHENTICATED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
ALONE = (("grpc.use_local_subchannel_pool", 1),)
"""Every channel its own connection, and so its own handshake."""


class Site(NamedTuple):
    """An authority, and a server's certificate by it."""

    authority: Authority
    server: Pair

    def settings(self, **changed: object) -> SecuritySettings:
        """TLS with the server's certificate."""
        usual = {"auth": Auth.NONE, "tls_certificate": str(self.server.chain), "tls_key": str(self.server.key_file)}
        return SecuritySettings(**{**usual, **changed})  # type: ignore[arg-type] # each test knows its own

    def mutual(self, **changed: object) -> SecuritySettings:
        """Client certificates as well."""
        return self.settings(**{"auth": Auth.MTLS, "tls_client_ca": str(self.authority.file), **changed})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A server called localhost."""
    authority = Authority(tmp_path)
    return Site(authority, authority.issue("server", dns=("localhost",), addresses=("127.0.0.1",)))


def ask(
    running: Running, authority: Authority, client: Pair | None = None, request: v1.CheckCallRequest = CALL
) -> grpc.StatusCode:
    """What a question over a new connection comes to; the decision is looked at elsewhere."""
    credentials = grpc.ssl_channel_credentials(
        authority.file.read_bytes(), client.key_pem if client else None, client.pem if client else None
    )
    with grpc.secure_channel(running.server.address, credentials, ALONE) as channel:
        try:
            v1.DecisionServiceStub(channel).CheckCall(request, timeout=DEADLINE)
        except grpc.RpcError as error:
            return error.code()
    return OK


def shown(address: str, authority: Authority) -> int:
    """The serial number of the certificate that a port shows."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return int((secure.getpeercert() or {})["serialNumber"], 16)  # type: ignore[arg-type] # text, as documented


def test_tls_is_spoken_and_nothing_else(site: Site, tmp_path: Path) -> None:
    """Plain text is not understood, another authority's clients do not trust it."""
    with running_server(denying("0900"), security=site.settings()) as running:
        with pytest.raises(grpc.RpcError) as plain:
            running.decisions.CheckCall(CALL, timeout=DEADLINE)

        assert plain.value.code() is UNAVAILABLE
        assert ask(running, site.authority) is OK
        assert ask(running, Authority(tmp_path, "foreign")) is UNAVAILABLE


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_tls_before_1_2_is_refused(site: Site, port: str) -> None:
    """Of those that there were, 1.1 was the last."""
    with running_server(denying("0900"), security=site.settings(http_tls=True)) as running:
        address = running.server.address if port == "grpc" else running.server.http_address
        host, _, number = address.rpartition(":")
        for version, allowed in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(site.authority.file)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that the client itself would speak it
            context.set_alpn_protocols(["h2", "http/1.1"])
            with pytest.warns(DeprecationWarning, match="TLS") if not allowed else nullcontext():
                context.minimum_version = context.maximum_version = version
            with socket.create_connection((host, int(number)), timeout=DEADLINE) as plain:
                if allowed:
                    context.wrap_socket(plain, server_hostname="localhost").close()
                else:
                    with pytest.raises((ssl.SSLError, ConnectionError)):
                        context.wrap_socket(plain, server_hostname="localhost")


def test_a_unix_socket_can_have_tls_too(site: Site, tmp_path: Path) -> None:
    """Under the name that the certificate has."""
    address = f"unix:{tmp_path}/socket"
    credentials = grpc.ssl_channel_credentials(site.authority.file.read_bytes())
    options = (("grpc.ssl_target_name_override", "localhost"),)
    with (
        running_server(denying("0900"), security=site.settings(), listen=address),
        grpc.secure_channel(address, credentials, options) as channel,
    ):
        answer = v1.DecisionServiceStub(channel).CheckCall(CALL, timeout=DEADLINE)

    assert answer.decision == v1.Decision.DECISION_DENY


def test_a_renewed_certificate_is_shown_without_a_restart(site: Site) -> None:
    """On both ports; half of a renewal, or garbage, changes nothing, and connections go on."""
    credentials = grpc.ssl_channel_credentials(site.authority.file.read_bytes())
    with (
        running_server(denying("0900"), security=site.settings(http_tls=True)) as running,
        grpc.secure_channel(running.server.address, credentials) as before,
    ):
        ports = running.server.address, running.server.http_address
        v1.DecisionServiceStub(before).CheckCall(CALL, timeout=DEADLINE)
        old = site.server.certificate.serial_number
        assert [shown(port, site.authority) for port in ports] == [old, old]

        def failed() -> float:
            labels = {"source": "certificate", "result": "failure", "cause": "unusable"}
            return running.metrics.registry.get_sample_value("rightcall_reloads_total", labels) or 0

        site.server.chain.write_bytes(b"garbage")
        until(lambda: shown(ports[0], site.authority) and failed() == 1, "garbage is refused")
        renewed = site.authority.issue("renewed", dns=("localhost",), addresses=("127.0.0.1",))
        os.replace(renewed.chain, site.server.chain)  # noqa: PTH105 - as those do that renew
        until(lambda: shown(ports[0], site.authority) and failed() == 2, "a certificate without its key is refused")
        assert [shown(port, site.authority) for port in ports] == [old, old]
        os.replace(renewed.key_file, site.server.key_file)  # noqa: PTH105 - likewise
        new = renewed.certificate.serial_number
        until(lambda: [shown(port, site.authority) for port in ports] == [new, new], "the new one is shown")

        v1.DecisionServiceStub(before).CheckCall(CALL, timeout=DEADLINE)
        assert ask(running, site.authority) is OK


def test_metrics_and_health_are_there_over_https(site: Site) -> None:
    """Without a client certificate, also where gRPC wants one."""
    with running_server(denying("0900"), security=site.mutual(http_tls=True)) as running:
        context = ssl.create_default_context(cafile=str(site.authority.file))
        for path in ("metrics", "healthz", "readyz"):
            url = f"https://{running.server.http_address}/{path}"
            with urllib.request.urlopen(url, timeout=DEADLINE, context=context) as page:
                assert page.status == 200


def test_who_has_a_certificate_of_the_authority_gets_in(site: Site, tmp_path: Path) -> None:
    """None, a foreign one, an expired one, one of the future and one without its key do not."""
    issue, foreign = site.authority.issue, Authority(tmp_path, "foreign")
    with running_server(denying("0900"), security=site.mutual()) as running:
        assert ask(running, site.authority, issue("good", dns=("pbx.example.org",))) is OK
        assert ask(running, site.authority, issue("only a common name")) is OK
        for bad in (
            None,
            foreign.issue("stranger", dns=("pbx.example.org",)),
            issue("old", days=(-2, -1)),
            issue("early", days=(1, 2)),
        ):
            assert ask(running, site.authority, bad) is UNAVAILABLE


def test_a_certificate_that_expires_while_it_is_connected_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshake was long ago: the server's clock goes on by a day in between (Python's: the core has its own)."""
    client = site.authority.issue("short", days=(-1, 0.5))
    credentials = grpc.ssl_channel_credentials(site.authority.file.read_bytes(), client.key_pem, client.pem)
    with (
        running_server(denying("0900"), security=site.mutual(), transport=Transport.GRPCIO) as running,
        grpc.secure_channel(running.server.address, credentials, ALONE) as channel,
    ):
        stub = v1.DecisionServiceStub(channel)
        stub.CheckCall(CALL, timeout=DEADLINE)
        tomorrow = time.time() + 86_400
        monkeypatch.setattr(peers, "time", SimpleNamespace(time=lambda: tomorrow))
        with pytest.raises(grpc.RpcError) as refused:
            stub.CheckCall(CALL, timeout=DEADLINE)
    assert refused.value.code() is UNAUTHENTICATED


def test_only_names_that_are_allowed_get_in(site: Site) -> None:
    """DNS names and URIs; a common name counts where there are none of these."""
    names = ("pbx.example.org", "*.sites.example.org", "spiffe://example.org/pbx", "Old PBX")
    issue = site.authority.issue
    with running_server(denying("0900"), security=site.mutual(tls_client_names=names)) as running:
        for good in (
            issue("a", dns=("PBX.example.org",)),
            issue("b", dns=("paris.sites.example.org",)),
            issue("c", uris=("spiffe://example.org/pbx",)),
            issue("d", dns=("other.example.org", "pbx.example.org")),
            issue("Old PBX", file="e"),
        ):
            assert ask(running, site.authority, good) is OK
        for bad in (
            issue("f", dns=("example.org",)),
            issue("g", dns=("a.paris.sites.example.org",)),
            issue("h", dns=("sites.example.org",)),
            issue("i", dns=("pbx.example.org.evil.org",)),
            issue("Old PBX", dns=("other.example.org",), file="j"),
            issue("k", uris=("spiffe://example.org/pbx/2",)),
        ):
            assert ask(running, site.authority, bad) is UNAUTHENTICATED


def test_a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(site: Site, tmp_path: Path) -> None:
    """Also on a connection that was there before; a list that cannot be used changes nothing."""
    lost, kept = site.authority.issue("lost"), site.authority.issue("kept")
    crl = tmp_path / "crl.pem"
    crl.write_bytes(site.authority.revoke(site.authority.issue("other")))
    with running_server(denying("0900"), security=site.mutual(tls_crl=str(crl))) as running:
        assert (ask(running, site.authority, lost), ask(running, site.authority, kept)) == (OK, OK)
        crl.write_bytes(site.authority.revoke(lost))
        until(lambda: ask(running, site.authority, lost) is UNAUTHENTICATED, "it is revoked")
        crl.write_bytes(Authority(tmp_path, "authority-2").revoke())

        def failed() -> float:
            labels = {"source": "peers", "result": "failure", "cause": "unusable"}
            return running.metrics.registry.get_sample_value("rightcall_reloads_total", labels) or 0

        until(lambda: ask(running, site.authority, kept) is OK and failed(), "the foreign list is refused")
        assert ask(running, site.authority, lost) is UNAUTHENTICATED


def test_the_clients_file_says_what_a_certificate_may_ask(site: Site, tmp_path: Path) -> None:
    """By any of its names; whoever is not in it gets no answer."""
    clients = clients_file(
        tmp_path,
        client_of("acme", certificates=["acme.example.org"], tenants=[ACME]),
        client_of("reports", certificates=["Reports"], services=["directory"]),
    )
    acme = site.authority.issue("x", dns=("other.example.org", "ACME.example.org"))
    of_bolt = v1.CheckCallRequest(caller=BOB, extension="0900", tenant=BOLT)
    rules = denying("0900"), denying("0900", tenant=BOLT, user=BOB)
    with running_server(*rules, security=site.mutual(clients=clients)) as running:
        assert ask(running, site.authority, acme) is OK
        assert ask(running, site.authority, acme, of_bolt) is grpc.StatusCode.PERMISSION_DENIED
        reports = site.authority.issue("Reports", file="y")
        assert ask(running, site.authority, reports) is grpc.StatusCode.PERMISSION_DENIED
        assert ask(running, site.authority, site.authority.issue("nobody")) is UNAUTHENTICATED


def test_what_is_no_certificate_and_no_list_is_a_clear_error(site: Site) -> None:
    """In PEM, and by an authority that is trusted."""
    authorities = site.authority.file.read_bytes()
    with pytest.raises(ValueError, match="PEM"):
        parse_certificate(b"no")
    for data in (b"", b"no", authorities, b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
        with pytest.raises(SecurityError, match="revocation list"):
            parse_revocations(data, authorities)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tls_certificate": "/nowhere.pem"}, "cannot be read"),
        ({"tls_key": "server.pem"}, "give PEM, without a passphrase"),
        ({"tls_certificate": "server.key"}, "give PEM, of CERTIFICATE blocks"),
        ({"tls_certificate": "other.pem"}, "give those of one pair"),
        ({"tls_client_ca": "server.key"}, "client authorities"),
    ],
)
def test_files_that_do_not_fit_are_a_clear_error_at_the_start(
    site: Site, tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    """Nothing listens then."""
    site.authority.issue("other")
    files = {name: path if path.startswith("/") else str(tmp_path / path) for name, path in changed.items()}
    with pytest.raises(SecurityError, match=told), running_server(security=site.settings(**files)):
        pass
