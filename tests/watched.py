"""A server in use, behind a loader and Redis, a Prometheus that watches both, and what the chart's dashboards ask."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from charts import CHART, ROOT
from programs import Program
from prometheus_server import PrometheusServer
from redis_server import RedisServer

from rightcall import Client, RightcallError

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: Final = CHART / "files" / "rules.yaml"
DASHBOARDS: Final = sorted((CHART / "files" / "dashboards").glob("*.json"))
_KEY: Final = "a key of the tests' own"
_VARIABLES: Final = {"$namespace": "tests", "$job": "rightcall", "$__rate_interval": "10s", "$__range": "1m"}
_BOB, _LOBBY = "b0b00000-0000-4000-8000-000000000002", "10bb1000-0000-4000-8000-000000000005"


class Watched(NamedTuple):
    """The Prometheus, a client of the server, and the URL of its metrics."""

    prometheus: PrometheusServer
    client: Client
    metrics: str

    def call_everything(self) -> None:
        """Calls that are allowed, denied, challenged, and one that nobody can answer."""
        for caller in (_BOB, _LOBBY):
            for extension in ("112", "0900123456", "0033123456789", "0041123456789", "15"):
                self.client.check(caller=caller, extension=extension, outcall="2")
        try:
            self.client.check(extension="")
        except RightcallError:
            return
        raise AssertionError("an empty extension was answered")


class Query(NamedTuple):
    """A query of a dashboard, and where it is."""

    board: str
    panel: str
    expression: str

    def filled(self) -> str:
        """The expression as Grafana would send it."""
        expression = self.expression
        for variable, value in _VARIABLES.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression, f"a variable that is not known here: {expression}"
        return expression


def queries() -> list[Query]:
    """Those of all dashboards."""
    found: list[Query] = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [Query(path.stem, panel["title"], target["expr"]) for target in panel.get("targets", ())]
    return found


@contextmanager
def watched_server() -> Iterator[Watched]:
    """Starts them all."""
    key = {"RIGHTCALL_SECRET_KEY": _KEY}
    listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    source = f"file:{ROOT / 'examples' / 'company.yaml'}"
    with RedisServer() as redis:
        where = ("--redis", redis.url)
        load = ("load", "--source", source, *where, "--http", "127.0.0.1:0")
        with Program("serve", *where, *listen, **key) as server, Program(*load, **key) as loader:
            started = server.wait_for("server_started")
            server.wait_for("rules_loaded")
            targets = started["http"], loader.wait_for("loading")["http"]
            with PrometheusServer(*targets, rules=(RULES,)) as prometheus, Client(started["grpc"]) as client:
                yield Watched(prometheus, client, f"http://{started['http']}/metrics")
