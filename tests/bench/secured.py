"""A server as a cluster runs it: TLS 1.3 and bearer tokens that are checked; and a decision log, each against without.

nginx's empty reply over TLS is what HTTP/2 and TLS themselves cost. The server has one core and the client, h2load, the
other one; it asks the same all the time, 8 calls in flight on each of 8 connections. All servers are up, and are asked
in turn; the median of the rounds' ratios is told.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pki import Authority
from redis_server import free_port
from security import client_of, clients_file

from bench.cached import Rules
from bench.clients import LOADED, Failed, h2load, one, require
from bench.rounds import medians
from bench.serving import serving
from bench.started import nginx, started

if TYPE_CHECKING:
    from bench.parts import Options
    from bench.rounds import Figures
    from bench.serving import Service

ROUNDS: Final = 9
NGINX, SECURED, GRPCIO, PLAIN, LOGGED = (
    "nginx, TLS",
    "core, TLS and tokens",
    "grpcio, TLS and tokens",
    "core",
    "core, decision log",
)
_MOST: Final = 0.99
_TOKEN: Final = "token-of-the-benchmark-of-some-length"


class _Server(NamedTuple):
    port: int
    process: int
    secured: bool
    service: Service | None = None
    """None: it is nginx."""


def measure(options: Options) -> list[Figures]:
    """Every server in turn, round by round."""
    require("h2load", "nginx", "taskset")
    rules = Rules(options.permissions)
    body = one(rules.plain_request())
    rounds = []
    with ExitStack() as stack:
        servers = _servers(rules, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="secured-"))), stack)
        for number in range(1 if options.quick else ROUNDS):
            print(f"round {number + 1}", flush=True)
            rounds.append({name: {"loaded": _asked(server, body, options)} for name, server in servers.items()})
        for name, server in servers.items():
            _check(name, server)
    return rounds


def lines(rounds: list[Figures]) -> list[str]:
    """The medians, a line a server."""
    out = [f"{'':24}{'calls/s':>12}{'p50 µs':>10}{'p99 µs':>10}{'CPU µs':>10}"]
    for name, runs in medians(rounds).items():
        run = runs["loaded"]
        times = "".join(f"{run[quantile] * 1e6:10.0f}" for quantile in ("p50", "p99"))
        out.append(f"{name:24}{run['rate']:12,.0f}{times}{run['cpu'] * 1e6:10.2f}")
    return out


def _servers(rules: Rules, directory: Path, stack: ExitStack) -> dict[str, _Server]:
    """All of them, each on the server's core, until the stack is closed."""
    pair = Authority(directory).issue("server", addresses=("127.0.0.1",))
    chain, key, port = str(pair.chain), str(pair.key_file), free_port()
    clients = clients_file(directory, client_of("bench", _TOKEN))
    secured = ("--tls-certificate", chain, "--tls-key", key, "--auth", "tokens", "--clients", clients)
    log = ("--decision-log", str(directory / "decisions.log"))
    process = stack.enter_context(started(nginx(directory, port, (chain, key)), port))
    servers = {NGINX: _Server(port, process, secured=True)}
    for name, options, certificate in (
        (SECURED, secured, pair.pem),
        (GRPCIO, (*secured, "--transport", "grpcio"), pair.pem),
        (PLAIN, (), None),
        (LOGGED, log, None),
    ):
        state = stack.enter_context(rules.state())
        server = stack.enter_context(serving(*state, *options, certificate=certificate))
        servers[name] = _Server(server.port, server.process, secured=certificate is not None, service=server)
    return servers


def _check(name: str, server: _Server) -> None:
    """Fails where what was measured are refusals, which h2load cannot tell; it cancels the last calls of a run."""
    ended = server.service.requests() if server.service is not None else {"OK": 1.0}
    if ended.get("OK", 0.0) < _MOST * sum(ended.values()):
        raise Failed(f"{name} did not decide: {ended}")


def _asked(server: _Server, body: bytes, options: Options) -> dict[str, float]:
    load = h2load(
        server.port,
        "CheckCall",
        body,
        shape=LOADED,
        seconds=max(2, options.seconds * 2 // 5),
        processes=[server.process],
        token=_TOKEN if server.secured else "",
    )
    return load._asdict()
