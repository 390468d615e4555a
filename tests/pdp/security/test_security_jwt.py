"""JSON Web Tokens: those of the issuer that is trusted, as they are meant, and no others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from given import ACME, ALICE, BOB, BOLT, denying
from pki import AUDIENCE, ISSUER, Issuer, unsigned
from security import check, refusal
from server import current_of, running_server
from waiting import until

from pdp.errors import SecurityError
from pdp.metrics.registry import Metrics
from pdp.security.jwks import RemoteKeys
from pdp.security.jwts import parse_keys
from pdp.security.settings import Auth, SecuritySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from server import Running

    from pdp.transports.choice import Transport

pytestmark = pytest.mark.every_transport

NOW = time.time()
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
GOOD, STRANGER = Issuer(), Issuer()


def settings(jwks: str) -> SecuritySettings:
    """Trusts the issuer of these keys."""
    return SecuritySettings(auth=Auth.JWT, jwks=jwks, jwt_audience=AUDIENCE, jwt_issuer=ISSUER)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, tested_transport: Transport) -> Iterator[Running]:
    """A server that trusts ``GOOD``."""
    path = tmp_path_factory.mktemp("jwks") / "jwks.json"
    path.write_text(json.dumps(GOOD.jwks), encoding="utf-8")
    with running_server(
        denying("0900"),
        denying("0900", tenant=BOLT, user=BOB),
        security=settings(str(path)),
        transport=tested_transport,
    ) as it:
        yield it


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize(
    "claims",
    [
        {"tenant": ACME},
        {"tenant": ACME.upper()},
        {"tenant": [ACME]},
        {"tenant": [ACME, BOLT]},
        {"tenant": "*"},
        {"tenant": ACME, "aud": [AUDIENCE, "others"]},
        {"tenant": ACME, "nbf": NOW - 1, "iat": None},
    ],
)
def test_a_token_of_the_issuer_gets_an_answer(running: Running, algorithm: str, claims: dict[str, Any]) -> None:
    """Twice: the second time it is known already."""
    token = GOOD.token(algorithm=algorithm, **claims)
    for _ in range(2):
        assert check(running, token, caller=ALICE).revision != ""


def test_a_token_of_one_tenant_asks_about_that_one(running: Running) -> None:
    """As a client of the clients file does."""
    token = GOOD.token(tenant=ACME)

    assert refusal(lambda: check(running, token, tenant=BOLT)) is grpc.StatusCode.PERMISSION_DENIED
    assert check(running, token, caller=BOB) == check(running, token, caller="7e57ab1e-0000-4000-8000-000000000000")


def forged_with_public_key() -> str:
    """Signed HS256, with the RSA public key as the secret: fools who let the token choose the algorithm."""
    text = unsigned({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims())[:-1]
    mac = hmac.new(GOOD.rsa_public_pem, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says."""
    usual = {"sub": "asterisk", "aud": AUDIENCE, "iss": ISSUER, "exp": NOW + 600, "tenant": ACME}
    return {**usual, **changed}


def tampered(token: str, **changed: Any) -> str:
    """Other claims under the same signature."""
    header, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(**changed)).encode()).rstrip(b"=").decode()
    return f"{header}.{body}.{signature}"


BAD: dict[str, tuple[Callable[[], str], str]] = {
    "unsigned, alg none": (lambda: unsigned({"alg": "none", "kid": "rsa"}, claims()), "signature"),
    "unsigned, alg None": (lambda: unsigned({"alg": "nOnE", "kid": "rsa"}, claims()), "signature"),
    "without a signature": (lambda: unsigned({"alg": "RS256", "kid": "rsa"}, claims()), "signature"),
    "signed with the public key": (forged_with_public_key, "signature"),
    "another algorithm of the same key": (lambda: GOOD.token(algorithm="RS512", tenant=ACME), "signature"),
    "the algorithm of another key": (lambda: GOOD.token(headers={"kid": "ec"}, tenant=ACME), "signature"),
    "another issuer's key": (lambda: STRANGER.token(tenant=ACME), "signature"),
    "tampered with": (lambda: tampered(GOOD.token(tenant=ACME), tenant=BOLT), "signature"),
    "an unknown key": (lambda: GOOD.token(headers={"kid": "new"}, tenant=ACME), "keys"),
    "no key of two": (lambda: GOOD.token(headers={"kid": None}, tenant=ACME), "keys"),
    "its own key": (
        lambda: STRANGER.token(headers={"jwk": STRANGER.jwks["keys"][0], "kid": "new"}, tenant=ACME),
        "keys",
    ),
    "critical header": (lambda: GOOD.token(headers={"crit": ["exp"]}, tenant=ACME), "malformed"),
    "expired": (lambda: GOOD.token(tenant=ACME, exp=NOW - 60), "expired"),
    "not yet valid": (lambda: GOOD.token(tenant=ACME, nbf=NOW + 3600), "expired"),
    "of the future": (lambda: GOOD.token(tenant=ACME, iat=NOW + 3600), "expired"),
    "for ever": (lambda: GOOD.token(tenant=ACME, exp=None), "claims"),
    "another audience": (lambda: GOOD.token(tenant=ACME, aud="others"), "claims"),
    "no audience": (lambda: GOOD.token(tenant=ACME, aud=None), "claims"),
    "another issuer": (lambda: GOOD.token(tenant=ACME, iss=ISSUER + "/"), "claims"),
    "no issuer": (lambda: GOOD.token(tenant=ACME, iss=None), "claims"),
    "no subject": (lambda: GOOD.token(tenant=ACME, sub=None), "claims"),
    "an empty subject": (lambda: GOOD.token(tenant=ACME, sub=""), "claims"),
    "no tenant": (GOOD.token, "claims"),
    "no tenants": (lambda: GOOD.token(tenant=[]), "claims"),
    "an empty tenant": (lambda: GOOD.token(tenant=""), "claims"),
    "an empty tenant among others": (lambda: GOOD.token(tenant=[ACME, ""]), "claims"),
    "every tenant among others": (lambda: GOOD.token(tenant=[ACME, "*"]), "claims"),
    "a number for a tenant": (lambda: GOOD.token(tenant=7), "claims"),
    "an object for a tenant": (lambda: GOOD.token(tenant={"id": ACME}), "claims"),
    "text for a date": (lambda: jwt.encode(claims(exp="soon"), GOOD.rsa, "RS256", {"kid": "rsa"}), "malformed"),
    "infinity for a date": (
        lambda: jwt.encode(claims(exp=float("inf")), GOOD.rsa, "RS256", {"kid": "rsa"}),
        "malformed",
    ),
    "one part": (lambda: "token", "malformed"),
    "empty parts": (lambda: "..", "malformed"),
    "a list for a header": (lambda: unsigned([], claims()), "malformed"),  # type: ignore[arg-type] # as forgers do
    "a list for a key id": (lambda: unsigned({"alg": "RS256", "kid": []}, claims()), "malformed"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(running: Running, make: Callable[[], str], reason: str) -> None:
    """Whatever is wrong with it; only the metric tells."""

    def counted() -> float:
        return running.metrics.registry.get_sample_value("rightcall_auth_failures_total", {"reason": reason}) or 0

    before = counted()
    with pytest.raises(grpc.RpcError) as refused:
        check(running, make(), caller=ALICE)

    assert refused.value.code() is UNAUTHENTICATED
    assert refused.value.details() == "this server answers known clients only; send valid credentials"
    assert counted() == before + 1


def test_a_token_that_was_good_expires(running: Running) -> None:
    """Having been known does not make it last."""
    token = GOOD.token(tenant=ACME, exp=time.time() - 9)  # clocks may differ by ten seconds

    assert refusal(lambda: check(running, token)) is grpc.StatusCode.OK
    until(lambda: refusal(lambda: check(running, token)) is UNAUTHENTICATED, "it has expired")


def test_keys_that_are_replaced_end_the_tokens_signed_with_them(tmp_path: Path) -> None:
    """Without a restart, and also those that were checked before."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(GOOD.jwks), encoding="utf-8")
    old, new = GOOD.token(tenant=ACME), STRANGER.token(tenant=ACME)
    with running_server(denying("0900"), security=settings(str(path))) as running:
        assert refusal(lambda: check(running, old)) is grpc.StatusCode.OK
        path.write_text(json.dumps(STRANGER.jwks), encoding="utf-8")
        until(lambda: refusal(lambda: check(running, new)) is grpc.StatusCode.OK, "the new keys are known")

        # The core remembers a token that was good until it has looked at the keys again, a fifth of a second later.
        until(lambda: refusal(lambda: check(running, old)) is UNAUTHENTICATED, "the old token is rejected")


class _Keys(BaseHTTPRequestHandler):
    """Answers whatever its server holds."""

    def do_GET(self) -> None:
        """Sends it."""
        status, body = self.server.reply  # type: ignore[attr-defined] # set by the test
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def issuer_server() -> Iterator[ThreadingHTTPServer]:
    """An issuer on a port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    server.reply = (200, json.dumps(GOOD.jwks).encode())  # type: ignore[attr-defined] # for its handler
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_behind_a_url_are_fetched_and_kept_when_the_issuer_fails(issuer_server: ThreadingHTTPServer) -> None:
    """Errors, garbage and redirects change nothing; new keys do."""
    metrics = Metrics(current_of(), "")

    def counted(result: str) -> float:
        labels = {"source": "jwks", "result": result, "cause": "unusable" if result == "failure" else ""}
        return metrics.registry.get_sample_value("rightcall_reloads_total", labels) or 0

    keys = RemoteKeys(f"http://127.0.0.1:{issuer_server.server_address[1]}/jwks", metrics, refresh=0.05)
    assert not keys.get().by_id
    keys.start()
    try:
        until(lambda: keys.get().by_id, "the keys are fetched")
        first = keys.get()
        for reply in ((500, b""), (200, b"no"), (200, b'{"keys": []}'), (302, b"")):
            issuer_server.reply = reply  # type: ignore[attr-defined] # for its handler
            before = counted("failure")
            until(lambda: counted("failure") > before + 1, f"{reply} is refused")
            assert keys.get() is first
        issuer_server.reply = (200, json.dumps(STRANGER.jwks).encode())  # type: ignore[attr-defined] # for its handler
        until(lambda: keys.get() is not first, "the new keys are fetched")
    finally:
        keys.stop()


def test_a_server_with_a_url_serves_its_tokens(issuer_server: ThreadingHTTPServer) -> None:
    """From when the keys have been fetched."""
    url = f"http://localhost:{issuer_server.server_address[1]}/"
    with running_server(denying("0900"), security=settings(url)) as running:
        token = GOOD.token(tenant=ACME)
        until(lambda: refusal(lambda: check(running, token)) is grpc.StatusCode.OK, "the keys are fetched")


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://127.0.0.1/", "file:///etc/jwks", "https://a:b@c.org/"])
def test_keys_are_fetched_from_where_nobody_can_change_them(url: str) -> None:
    """HTTPS, or this machine; no credentials that would end up in logs."""
    with pytest.raises(SecurityError, match="JWKS URL"):
        RemoteKeys(url, Metrics(current_of(), ""))


def weak_rsa() -> dict[str, Any]:
    """An RSA key that is too short."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - for this alone

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - that is the point
    made: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key))
    return made


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": [7]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]}',
        b'{"keys": [{"kty": "RSA", "n": "", "e": "AQAB"}]}',
        b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
        json.dumps({"keys": [{**GOOD.jwks["keys"][0], "use": "enc"}]}).encode(),
        json.dumps({"keys": [{**GOOD.jwks["keys"][0], "alg": "RS512"}]}).encode(),
        json.dumps({"keys": [{**GOOD.jwks["keys"][0], "d": "AQAB"}]}).encode(),
        json.dumps({"keys": [weak_rsa()]}).encode(),
    ],
)
def test_a_document_without_usable_keys_is_a_clear_error(document: bytes) -> None:
    """Secret, weak, broken keys, and those for something else, count as none; a private one is an alarm."""
    with pytest.raises(SecurityError, match="JWKS"):
        parse_keys(document, "the JWKS")
