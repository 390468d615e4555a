"""Certificates, revocation lists and JWTs for tests, made on the spot."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_DAY = dt.timedelta(days=1)
AUDIENCE, ISSUER = "rightcall", "https://issuer.example.org"


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, and the files that they are in."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: Path
    key_file: Path

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Its key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """Signs certificates, and takes them back.

    Args:
        directory: where the files go.
        name: its own.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        dns: tuple[str, ...] = (),
        uris: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        days: tuple[float, float] = (-1, 1),
        file: str = "",
    ) -> Pair:
        """A certificate with a common name, alternative names, and days from now between which it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + _DAY * days[0])
            .not_valid_after(now + _DAY * days[1])
        )

        alternative: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        alternative += [x509.UniformResourceIdentifier(one) for one in uris]
        alternative += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        at = self._directory / (file or name)
        pair = Pair(certificate, key, at.with_suffix(".pem"), at.with_suffix(".key"))
        pair.chain.write_bytes(pair.pem)
        pair.key_file.write_bytes(pair.key_pem)
        return pair

    def revoke(self, *pairs: Pair) -> bytes:
        """A revocation list with these certificates, PEM."""
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - _DAY)
            .next_update(now + _DAY)
        )
        for pair in pairs:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(pair.certificate.serial_number)
                .revocation_date(now - _DAY)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


class Issuer:
    """Signs JWTs, with an RSA and an EC key."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwks(self) -> dict[str, Any]:
        """Its public keys."""
        return {
            "keys": [
                {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa.public_key())), "kid": "rsa"},
                {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.ec.public_key())), "kid": "ec", "alg": "ES256"},
            ]
        }

    @property
    def rsa_public_pem(self) -> bytes:
        """What those sign with who hope that a public key is taken for a secret one."""
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def token(self, *, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token; claims and headers that are None are left out."""
        now = dt.datetime.now(dt.UTC).timestamp()
        usual = {"sub": "asterisk", "aud": AUDIENCE, "iss": ISSUER, "exp": now + 60, "iat": now - 1, **claims}
        key = self.rsa if algorithm.startswith("RS") else self.ec
        kid = {"kid": "rsa" if algorithm.startswith("RS") else "ec"}
        kept = {name: value for name, value in usual.items() if value is not None}
        told = {name: value for name, value in {**kid, **(headers or {})}.items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers=told)


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Header and claims as a token would have them, without any signature."""
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])
