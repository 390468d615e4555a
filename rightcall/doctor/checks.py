"""All checks in a sensible order, with the prerequisites of each."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from rightcall.doctor import http, loader, network, redis_rules, redis_server, server, together
from rightcall.doctor.findings import NotExamined

if TYPE_CHECKING:
    from collections.abc import Callable

    from rightcall.doctor.findings import Finding
    from rightcall.doctor.http import HttpPart
    from rightcall.doctor.redis_part import RedisPart
    from rightcall.doctor.server import ServerPart

_Part = TypeVar("_Part")


class Deployment(NamedTuple):
    """The parts of a deployment that can be checked; None: no address given."""

    server: ServerPart | None = None
    http: HttpPart | None = None
    loader: HttpPart | None = None
    redis: RedisPart | None = None

    def close(self) -> None:
        """Ends all connections."""
        for part in self:
            if part is not None:
                part.close()


class Check(NamedTuple):
    """One check.

    Attributes:
        name: the check's name for people and programs.
        look: runs the check.
        needs: names of checks that must succeed first.
    """

    name: str
    look: Callable[[Deployment], Finding]
    needs: tuple[str, ...] = ()


def _given(part: _Part | None, option: str) -> _Part:
    if part is None:
        raise NotExamined(f"{option} is not given")
    return part


def _server(look: Callable[[ServerPart], Finding]) -> Callable[[Deployment], Finding]:
    return lambda deployment: look(_given(deployment.server, "--target"))


def _http(look: Callable[[HttpPart], Finding]) -> Callable[[Deployment], Finding]:
    return lambda deployment: look(_given(deployment.http, "--http"))


def _loader(look: Callable[[HttpPart], Finding]) -> Callable[[Deployment], Finding]:
    return lambda deployment: look(_given(deployment.loader, "--loader-http"))


def _redis(look: Callable[[RedisPart], Finding]) -> Callable[[Deployment], Finding]:
    return lambda deployment: look(_given(deployment.redis, "--redis"))


def _agreement(deployment: Deployment) -> Finding:
    redis, asked = _given(deployment.redis, "--redis"), _given(deployment.server, "--target")
    return redis_rules.check_agreement(redis, asked)


def _versions(deployment: Deployment) -> Finding:
    found: dict[str, str] = {}
    with contextlib.suppress(NotExamined):
        found["server"] = _given(deployment.http, "--http").version
    with contextlib.suppress(NotExamined):
        found["server"] = _given(deployment.server, "--target").status.version
    with contextlib.suppress(NotExamined):
        found["loader"] = _given(deployment.loader, "--loader-http").version
    return together.check_versions(found)


_CONNECTED: Final = ("server reached", "server TLS", "server client certificate", "server token")

CHECKS: Final = (
    Check("server name", _server(lambda it: network.check_name(it.place))),
    Check("server reached", _server(lambda it: network.check_reached(it.place)), ("server name",)),
    Check("server TLS", _server(network.check_tls), ("server reached",)),
    Check("server certificate", _server(network.check_certificate), ("server reached",)),
    Check("server client certificate", _server(network.check_client_certificate), ("server reached",)),
    Check("server token", _server(server.check_token)),
    Check("server gRPC", _server(server.check_answers), _CONNECTED),
    Check("server health", _server(server.check_health), ("server gRPC",)),
    Check("server credentials", _server(server.check_credentials), ("server gRPC",)),
    Check("server tenants", _server(server.check_tenants), ("server credentials",)),
    Check("server source", _server(server.check_source), ("server credentials",)),
    Check("server latency", _server(server.check_latency), ("server credentials",)),
    Check("server proxies", _server(lambda it: network.check_proxies(it.place))),
    Check("server readiness", _http(http.check_ready)),
    Check("server contact with source", _http(http.check_contact)),
    Check("server edits", _http(http.check_staleness)),
    Check("server unknown callers", _http(http.check_unknown)),
    Check("server clock", _http(lambda it: http.check_offset(it.get("/healthz"), "the server's clock"))),
    Check("loader readiness", _loader(http.check_ready)),
    Check("loader lead", _loader(loader.check_lead)),
    Check("loader edits", _loader(loader.check_staleness)),
    Check("loader definitions", _loader(loader.check_definitions)),
    Check("loader held back", _loader(loader.check_held_back)),
    Check("loader pinned", _loader(loader.check_pinned)),
    Check("loader clock", _loader(lambda it: http.check_offset(it.get("/healthz"), "the loader's clock"))),
    Check("Redis reached", _redis(redis_server.check_reached)),
    Check("Redis credentials", _redis(redis_server.check_credentials), ("Redis reached",)),
    Check("Redis encryption", _redis(redis_server.check_encryption), ("Redis reached",)),
    Check("Redis role", _redis(redis_server.check_role), ("Redis credentials",)),
    Check("Redis memory", _redis(redis_server.check_memory), ("Redis credentials",)),
    Check("Redis persistence", _redis(redis_server.check_persistence), ("Redis credentials",)),
    Check("Redis rights of a server", _redis(redis_server.check_server_rights), ("Redis credentials",)),
    Check("Redis rights of a loader", _redis(redis_server.check_loader_rights), ("Redis credentials",)),
    Check("Redis clock", _redis(redis_server.check_clock), ("Redis credentials",)),
    Check("rules published", _redis(redis_rules.check_pointers), ("Redis credentials",)),
    Check("rules whole", _redis(redis_rules.check_snapshots), ("Redis credentials",)),
    Check("rules leader", _redis(redis_rules.check_leader), ("Redis credentials",)),
    Check("rules served", _agreement, ("Redis credentials", "server credentials")),
    Check("versions", _versions),
)
"""All checks; a name begins with the part that the check belongs to."""
