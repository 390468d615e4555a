"""The clients and the command line, with TLS, certificates and tokens, against a real server; and AuthZEN."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from given import ACME, ALICE, BOB, BOLT, denying
from pki import Authority, Issuer, Pair
from programs import Program, run_program
from security import client_of, clients_file
from server import DEADLINE, running_server

from pdp.security.settings import Auth, SecuritySettings
from rightcall import Call, Client, Decision, NoAnswer, NotAllowed, Unreachable, aio
from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server import Running

RULES = denying("0900"), denying("0900", tenant=BOLT, user=BOB)


class Secured:
    """A server with TLS and tokens, and what its clients need."""

    def __init__(self, running: Running, authority: Authority, directory: Path) -> None:
        self.target = running.server.address
        self.http = running.server.http_address
        self.ca = str(authority.file)
        self.token_file = directory / "token"
        self.token_file.write_text("token-acme\n", encoding="ascii")


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    """It has one client, of one tenant."""
    authority = Authority(tmp_path)
    pair = authority.issue("server", dns=("localhost",), addresses=("127.0.0.1",))
    clients = clients_file(tmp_path, client_of("acme", "token-acme", tenants=[ACME], services=["decision"]))
    security = SecuritySettings(
        auth=Auth.TOKENS, clients=clients, tls_certificate=str(pair.chain), tls_key=str(pair.key_file)
    )
    with running_server(*RULES, security=security) as running:
        yield Secured(running, authority, tmp_path)


def test_the_client_sends_its_token(secured: Secured) -> None:
    """With every kind of question; a function is asked for it each time."""
    tokens = iter(["token-acme", "token-acme", "token-old", "token-acme"])
    with Client(secured.target, ca_file=secured.ca, token=lambda: next(tokens), timeout=DEADLINE) as client:
        assert client.check(caller=ALICE, extension="0900").decision is Decision.DENY
        assert [one for one, _ in client.check_stream([("1", Call(extension="0900", caller=ALICE))])] == ["1"]
        with pytest.raises(NotAllowed, match="known clients only"):
            client.check(extension="1")
        with pytest.raises(NotAllowed, match="may not ask that"):
            client.status()


def test_without_its_token_a_client_gets_nothing(secured: Secured) -> None:
    """Nor where fetching it fails."""

    def fails() -> str:
        raise OSError("no token today")

    with Client(secured.target, ca_file=secured.ca, timeout=DEADLINE) as client, pytest.raises(NotAllowed):
        client.check(extension="1")
    with (
        Client(secured.target, ca_file=secured.ca, token=fails, timeout=DEADLINE) as client,
        pytest.raises(NoAnswer, match="no token today"),
    ):
        client.check(extension="1")


def test_the_asynchronous_client_sends_its_token(secured: Secured) -> None:
    """Likewise."""

    async def ask() -> Decision:
        async with aio.Client(secured.target, ca_file=secured.ca, token="token-acme", timeout=DEADLINE) as client:
            return (await client.check(caller=ALICE, extension="0900")).decision

    assert asyncio.run(ask()) is Decision.DENY


@pytest.mark.parametrize("kind", [Client, aio.Client])
def test_tokens_and_keys_are_not_given_away(kind: Any, secured: Secured) -> None:
    """A token goes over TLS alone; half of a pair is a mistake."""
    with pytest.raises(ValueError, match="over TLS alone"):
        kind(secured.target, token="token-acme")
    with pytest.raises(ValueError, match="need each other"):
        kind(secured.target, ca_file=secured.ca, certificate_file=secured.ca)


def test_the_client_shows_its_certificate(tmp_path: Path) -> None:
    """Where the server asks for one."""
    authority = Authority(tmp_path)
    pair = authority.issue("server", addresses=("127.0.0.1",))
    own: Pair = authority.issue("pbx", dns=("pbx.example.org",))
    security = SecuritySettings(
        auth=Auth.MTLS,
        tls_certificate=str(pair.chain),
        tls_key=str(pair.key_file),
        tls_client_ca=str(authority.file),
    )
    with running_server(*RULES, security=security) as running:
        usual: dict[str, Any] = {"ca_file": authority.file, "timeout": DEADLINE}
        with Client(running.server.address, certificate_file=own.chain, key_file=own.key_file, **usual) as client:
            assert client.check(caller=ALICE, extension="0900").decision is Decision.DENY
        with Client(running.server.address, **usual) as stranger, pytest.raises(Unreachable):
            stranger.check(caller=ALICE, extension="0900")


def test_the_command_line_knows_tls_and_tokens(secured: Secured) -> None:
    """From a file or a variable, never as an option's value; what is wrong is told as usage."""

    def run(*arguments: str, **variables: str) -> tuple[int, str]:
        usual = ("check", "--target", secured.target, "--timeout", "10", "--caller", ALICE, "--extension", "0900")
        result = CliRunner(env=variables).invoke(main, [*usual, *arguments], prog_name="rightcall")
        return result.exit_code, result.output

    ca = ("--ca-file", secured.ca)
    token = ("--token-file", str(secured.token_file))
    assert run(*ca, *token)[0] == 1
    assert run(*ca, RIGHTCALL_TOKEN="token-acme")[0] == 1
    for arguments, told in (
        (ca, "known clients only"),
        (token, "over TLS alone"),
        ((*ca, "--key-file", secured.ca), "need each other"),
        ((*ca, "--token-file", "/nowhere"), "cannot be read"),
        (("--ca-file", "/nowhere"), "cannot be read"),
    ):
        code, output = run(*arguments)
        assert code == 2
        assert told in " ".join(output.split())
    assert run(*ca, *token, RIGHTCALL_TOKEN="token-acme")[0] == 2


def evaluate(secured: Secured, token: str = "", tls: ssl.SSLContext | None = None, **context: str) -> tuple[int, Any]:
    """An AuthZEN question, with its status and answer."""
    body = {
        "subject": {"type": "user", "id": ALICE},
        "action": {"name": "call"},
        "resource": {"type": "extension", "id": "0900"},
        "context": context,
    }
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    url = f"http{'s' if tls else ''}://{secured.http}/access/v1/evaluation"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE, context=tls) as response:  # noqa: S310 - likewise
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_authzen_asks_for_the_same_credentials(secured: Secured) -> None:
    """And shows a client its own tenant alone; metrics and health stay open."""
    assert evaluate(secured)[0] == 401
    assert evaluate(secured, "token-other")[0] == 401
    status, answer = evaluate(secured, "token-acme")
    assert (status, answer["decision"]) == (200, False)
    assert evaluate(secured, "token-acme", tenant=BOLT)[0] == 403
    for path in ("metrics", "healthz", "readyz"):
        with urllib.request.urlopen(f"http://{secured.http}/{path}", timeout=DEADLINE) as page:
            assert page.status == 200


def test_authzen_where_certificates_tell_who_asks_answers_nobody(tmp_path: Path) -> None:
    """Where its port has no TLS, it gets no certificates."""
    authority = Authority(tmp_path)
    pair = authority.issue("server", addresses=("127.0.0.1",))
    files: dict[str, Any] = {
        "tls_certificate": str(pair.chain),
        "tls_key": str(pair.key_file),
        "tls_client_ca": str(authority.file),
    }
    with running_server(*RULES, security=SecuritySettings(auth=Auth.MTLS, **files)) as running:
        assert evaluate(Secured(running, authority, tmp_path))[0] == 401


def test_authzen_knows_clients_by_their_certificates(tmp_path: Path) -> None:
    """Over HTTPS, and each with its own tenant; a certificate that is revoked is none."""
    authority = Authority(tmp_path)
    pair = authority.issue("server", addresses=("127.0.0.1",))
    lost = authority.issue("lost")
    crl = tmp_path / "crl.pem"
    crl.write_bytes(authority.revoke(lost))
    security = SecuritySettings(
        auth=Auth.MTLS,
        clients=clients_file(tmp_path, client_of("acme", certificates=["pbx", "lost"], tenants=[ACME])),
        tls_certificate=str(pair.chain),
        tls_key=str(pair.key_file),
        tls_client_ca=str(authority.file),
        tls_crl=str(crl),
        http_tls=True,
    )
    with running_server(*RULES, security=security) as running:
        secured = Secured(running, authority, tmp_path)

        def shown(client: Pair | None) -> ssl.SSLContext:
            context = ssl.create_default_context(cafile=str(authority.file))
            if client is not None:
                context.load_cert_chain(client.chain, client.key_file)
            return context

        mine = shown(authority.issue("pbx"))
        status, answer = evaluate(secured, tls=mine)
        assert (status, answer["decision"]) == (200, False)
        assert evaluate(secured, tls=mine, tenant=BOLT)[0] == 403
        for other in (None, lost, authority.issue("nobody")):
            assert evaluate(secured, tls=shown(other))[0] == 401
        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            evaluate(secured, tls=shown(Authority(tmp_path, "foreign").issue("pbx", file="forged")))


def test_authzen_takes_jwts_and_counts_against_limits(tmp_path: Path) -> None:
    """As gRPC does."""
    issuer = Issuer()
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(issuer.jwks), encoding="utf-8")
    security = SecuritySettings(
        auth=Auth.JWT,
        jwks=str(keys),
        jwt_audience="rightcall",
        jwt_issuer="https://issuer.example.org",
        client_rate=0.01,
        client_burst=2,
    )
    with running_server(*RULES, security=security) as running:
        secured = Secured(running, Authority(tmp_path), tmp_path)
        token = issuer.token(tenant=ACME)
        assert [evaluate(secured, token)[0] for _ in range(3)] == [200, 200, 429]


def test_serve_is_secured_by_its_options(tmp_path: Path) -> None:
    """As a program: TLS, tokens, and no start without a choice."""
    authority = Authority(tmp_path)
    pair = authority.issue("server", addresses=("127.0.0.1",))
    clients = clients_file(tmp_path, client_of("pbx", "token-pbx"))
    usual = ("serve", "--definitions", "examples/company.yaml", "--http", "none")
    tls = ("--tls-certificate", str(pair.chain), "--tls-key", str(pair.key_file))
    with Program(*usual, "--listen", "127.0.0.1:0", "--auth", "tokens", "--clients", clients, *tls) as program:
        target = program.wait_for("server_started")["grpc"]
        with Client(target, ca_file=authority.file, token="token-pbx", timeout=DEADLINE) as client:
            assert client.check(extension="112").decision is Decision.ALLOW
        with Client(target, ca_file=authority.file, timeout=DEADLINE) as stranger, pytest.raises(NotAllowed):
            stranger.check(extension="112")
    for arguments, told in (
        (("--listen", "0.0.0.0:0"), "--auth none"),
        (("--listen", "127.0.0.1:0", "--auth", "tokens"), "--auth tokens needs --clients"),
        (("--listen", "127.0.0.1:0", "--auth", "tokens", "--clients", "/nowhere"), "cannot be read"),
    ):
        result = run_program(*usual, *arguments)
        assert result.returncode == 2
        assert told in " ".join(result.stderr.split())
