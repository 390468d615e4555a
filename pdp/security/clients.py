"""The clients file: clients by token or certificate, with their services and tenants."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from pdp.errors import SecurityError, Unauthenticated
from pdp.security.identity import GRANTS, Client
from pdp.security.watch import Watched, read_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.metrics.registry import Metrics

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
_Tenant = Annotated[str, StringConstraints(pattern=_UUID)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_MAX_PROBLEMS = 10
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9\-._~+/]+=*)")
MAX_CREDENTIALS = 8192
"""Characters of an ``authorization`` header."""


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    name: _Name
    token_sha256: list[_Digest] = []
    certificates: list[_Name] = []
    tenants: list[_Tenant] | Literal["all"]
    services: list[
        Literal["decision", "directory", "callers", "reach", "status", "lockouts", "console", "rollback"]
    ] = Field(min_length=1)

    @field_validator("tenants")
    @classmethod
    def _some(cls, value: list[str] | str) -> list[str] | str:
        if not value:
            raise ValueError("a client without tenants may ask nothing; name some, or write all")
        return value


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    clients: list[_Entry]


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients by credential.

    Attributes:
        by_token: by the SHA-256 of a token.
        by_name: by a name of a certificate, in lower case.
    """

    by_token: Mapping[bytes, Client]
    by_name: Mapping[str, Client]


class Tokens:
    """Identifies clients by bearer tokens.

    Args:
        clients: the clients, re-read as their file changes.
    """

    def __init__(self, clients: Watched[Clients]) -> None:
        self._clients = clients

    def identify(self, authorization: Sequence[str | bytes]) -> Client:
        """The client with this token.

        Raises:
            Unauthenticated: there is none.
        """
        digest = hashlib.sha256(bearer(authorization).encode("ascii")).digest()
        # Looked up by a digest that no client can steer, so timing reveals nothing about existing tokens.
        client = self._clients.get().by_token.get(digest)
        if client is None:
            raise Unauthenticated("unknown")
        return client

    def good_until(self, authorization: Sequence[str | bytes]) -> float:
        """Infinite: a token ends by removal from the file."""
        del authorization
        return math.inf

    def basis(self) -> object:
        """The clients currently in the file."""
        return self._clients.get()


def bearer(authorization: Sequence[str | bytes]) -> str:
    """The token in the ``authorization`` headers of a call.

    Raises:
        Unauthenticated: there is none, or more than one, or something else.
    """
    if not authorization:
        raise Unauthenticated("missing")
    text = authorization[0]
    if len(authorization) > 1 or not isinstance(text, str) or len(text) > MAX_CREDENTIALS:
        raise Unauthenticated("malformed")
    found = _BEARER.fullmatch(text)
    if found is None:
        raise Unauthenticated("malformed")
    return found[1]


def watched_clients(path: str, metrics: Metrics) -> Watched[Clients]:
    """The clients of a file, re-read when the file changes.

    Raises:
        SecurityError: the file cannot be used.
    """
    return Watched("clients", (path,), lambda: parse_clients(read_file(path, "the clients file"), path), metrics)


def parse_clients(data: bytes, path: str) -> Clients:
    """Reads a clients file, YAML or JSON.

    Raises:
        SecurityError: the file is invalid; the message names every fault, and no token's digest.
    """
    try:
        entries = _File.model_validate(yaml.load(data, Loader=_Loader)).clients  # noqa: S506 - a safe loader
    except ValidationError as error:
        raise _faulty(path, [_told(fault["loc"], fault["msg"]) for fault in error.errors()]) from None
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _faulty(path, [f"{line}{error.problem}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _faulty(path, ["it is no YAML and no JSON"]) from None
    return _indexed(entries, path)


class _Loader(yaml.SafeLoader):
    """Rejects a duplicate key: the list of tenants in force must not depend on order."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001, FBT002 - the base class's
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, "a key is there twice", node.start_mark)
        made: dict[object, object] = super().construct_mapping(node, deep=deep)
        return made

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Rejects aliases: few lines could stand for more than fits into memory."""
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, "aliases are not understood here; write it out", mark)
        composed: yaml.Node | None = super().compose_node(parent, index)
        return composed


def _told(location: tuple[int | str, ...], problem: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return f"{where}: {problem}" if where else problem


def _indexed(entries: list[_Entry], path: str) -> Clients:
    by_token: dict[bytes, Client] = {}
    by_name: dict[str, Client] = {}
    names: set[str] = set()
    for at, entry in enumerate(entries):
        where = f"clients[{at}] ({entry.name!r})"
        if entry.name in names:
            raise _faulty(path, [f"{where}: another client has this name; the limits would be shared"])
        names.add(entry.name)
        if not entry.token_sha256 and not entry.certificates:
            raise _faulty(path, [f"{where}: it has neither token_sha256 nor certificates, so it can never ask"])
        client = _client(entry)
        for digest in map(bytes.fromhex, entry.token_sha256):
            if digest in by_token:
                raise _faulty(path, [f"{where}: a token is there twice; every client needs tokens of its own"])
            if hmac.compare_digest(digest, hashlib.sha256(b"").digest()):
                raise _faulty(path, [f"{where}: a token_sha256 is that of no text at all; hash the token"])
            by_token[digest] = client
        for name in map(str.lower, entry.certificates):
            if name in by_name:
                raise _faulty(path, [f"{where}: the certificate name {name!r} is there twice"])
            by_name[name] = client
    return Clients(by_token, by_name)


def _client(entry: _Entry) -> Client:
    tenants = None if entry.tenants == "all" else tuple(sorted({tenant.lower() for tenant in entry.tenants}))
    return Client(entry.name, tenants, frozenset(right for name in entry.services for right in GRANTS[name]))


def _faulty(path: str, problems: list[str]) -> SecurityError:
    shown = "; ".join(problems[:_MAX_PROBLEMS])
    more = f"; and {len(problems) - _MAX_PROBLEMS} more" if len(problems) > _MAX_PROBLEMS else ""
    return SecurityError(
        f"the clients file {path!r} cannot be used: {shown}{more}; see docs/security.md for its format"
    )
