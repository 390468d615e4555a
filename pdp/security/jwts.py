"""JSON Web Tokens: signed by an issuer that the server trusts, checked offline."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pdp.errors import SecurityError, Unauthenticated
from pdp.security.clients import bearer
from pdp.security.identity import GRANTS, RIGHTS, Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    class KeySource(Protocol):
        """The source of the issuer's keys."""

        def get(self) -> Keys:
            """The current key set."""


_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
_SHORTEST_RSA_BITS = 2048
_LEEWAY_SECONDS = 10
"""Seconds by which clocks may differ."""
_REMEMBERED = 10_000
_MAX_TENANTS = 1000
EVERY_TENANT = "*"
"""The tenant claim of a client that may use every tenant."""
SERVICES_CLAIM = "rightcall_services"
"""The claim with a client's services, named as in a clients file; a token without the claim has those of ``RIGHTS``."""


@dataclass(frozen=True, slots=True)
class Keys:
    """An issuer's public keys, by key id, each for one algorithm."""

    by_id: Mapping[str, tuple[str, RSAPublicKey | EllipticCurvePublicKey]]


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was checked before."""

    client: Client
    expires: float
    keys: Keys


class Jwts:
    """Identifies clients by JWTs. Only RS256 and ES256 are accepted, regardless of a token's header.

    Args:
        keys: the issuer's keys.
        audience: audience that a token must name.
        issuer: issuer that a token must name.
        tenant_claim: the claim with a tenant's UUID, a list of such, or ``*``.
    """

    def __init__(self, keys: KeySource, *, audience: str, issuer: str, tenant_claim: str) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._tenant_claim = tenant_claim
        self._known: dict[str, _Known] = {}

    def identify(self, authorization: Sequence[str | bytes]) -> Client:
        """The client that a token was issued to.

        Raises:
            Unauthenticated: the token is not to be trusted.
        """
        token = bearer(authorization)
        keys = self._keys.get()
        known = self._known.get(token)
        if known is not None and known.keys is keys:
            if known.expires + _LEEWAY_SECONDS <= time.time():
                raise Unauthenticated("expired")
            return known.client
        claims = self._claims(token, keys)
        client = Client(f"jwt:{_subject(claims)}", _tenants(claims.get(self._tenant_claim)), _rights(claims))
        if len(self._known) >= _REMEMBERED:
            self._known = {}
        self._known[token] = _Known(client, float(claims["exp"]), keys)
        return client

    def good_until(self, authorization: Sequence[str | bytes]) -> float:
        """The expiry of an accepted token; long ago for a token no longer remembered."""
        known = self._known.get(bearer(authorization))
        return known.expires + _LEEWAY_SECONDS if known is not None else 0.0

    def basis(self) -> object:
        """The issuer's keys of now."""
        return self._keys.get()

    def _claims(self, token: str, keys: Keys) -> dict[str, Any]:
        try:
            algorithm, key = _key(jwt.get_unverified_header(token), keys)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise Unauthenticated("expired") from None
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
            raise Unauthenticated("signature") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
            raise Unauthenticated("claims") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthenticated("malformed") from None
        return claims


def parse_keys(data: bytes, origin: str) -> Keys:
    """Reads a JWKS document. Keys that cannot sign RS256 or ES256 are passed over.

    Raises:
        SecurityError: the document is no JWKS, or holds no usable key.
    """
    try:
        found = json.loads(data)["keys"]
        by_id = dict(pair for entry in found if isinstance(entry, dict) and (pair := _usable(entry)) is not None)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SecurityError(f"{origin} is no JWKS document; check that it is a JSON object with 'keys'") from None
    if not by_id:
        raise SecurityError(
            f"{origin} holds no key that can be used; give RSA keys of at least {_SHORTEST_RSA_BITS} bits "
            "or EC keys on P-256, for signatures"
        )
    return Keys(by_id)


def _usable(entry: dict[str, Any]) -> tuple[str, tuple[str, Any]] | None:
    """A key's id, the key and the one algorithm, if the key can check signatures."""
    algorithm = _ALGORITHMS.get(str(entry.get("kty")))
    if algorithm is None or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    if "d" in entry:
        raise SecurityError("a JWKS document holds a private key; take it out, and replace it: it is known now")
    try:
        key = jwt.PyJWK({**entry, "alg": algorithm}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    strong = (isinstance(key, RSAPublicKey) and key.key_size >= _SHORTEST_RSA_BITS) or (
        isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    )
    return (str(entry.get("kid", "")), (algorithm, key)) if strong else None


def _key(header: Mapping[str, Any], keys: Keys) -> tuple[str, Any]:
    """The key that a token's header names, and the key's algorithm."""
    if "crit" in header:  # it demands what we do not understand
        raise Unauthenticated("malformed")
    if header.get("alg") not in _ALGORITHMS.values():
        raise Unauthenticated("signature")
    name = header.get("kid")
    if name is None and len(keys.by_id) == 1:
        return next(iter(keys.by_id.values()))
    found = keys.by_id.get(name) if isinstance(name, str) else None
    if found is None:
        raise Unauthenticated("keys")
    return found


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        raise Unauthenticated("claims")
    return subject


def _tenants(claim: object) -> tuple[str, ...] | None:
    """The tenants of a claim; a token without the claim belongs to no client."""
    if claim == EVERY_TENANT:
        return None
    named = [claim] if isinstance(claim, str) else claim
    if not isinstance(named, list) or not 0 < len(named) <= _MAX_TENANTS:
        raise Unauthenticated("claims")
    if not all(isinstance(tenant, str) and tenant for tenant in named) or EVERY_TENANT in named:
        raise Unauthenticated("claims")
    return tuple(sorted({tenant.lower() for tenant in named}))


def _rights(claims: Mapping[str, Any]) -> frozenset[str]:
    """The rights of a token; a claim that names what is no service belongs to no client."""
    named = claims.get(SERVICES_CLAIM)
    if named is None:
        return frozenset(RIGHTS)
    if not isinstance(named, list) or not all(isinstance(name, str) and name in GRANTS for name in named):
        raise Unauthenticated("claims")
    return frozenset(right for name in named for right in GRANTS[name])
