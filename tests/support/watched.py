"""A server in use, behind a loader and Redis, a Prometheus that watches both, and what the chart's dashboards ask."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from charts import CHART, ROOT
from programs import Program
from prometheus_server import PrometheusServer
from redis_server import RedisServer

from rightcall import Call, Client, RightcallError

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: Final = CHART / "files" / "rules.yaml"
DASHBOARDS: Final = sorted((CHART / "files" / "dashboards").glob("*.json"))
_COMPANY: Final = ROOT / "examples" / "company.yaml"
_EDIT_EVERY: Final = 40
_KEY: Final = "a key of the tests' own"
_VARIABLES: Final = {"$namespace": "tests", "$job": "rightcall", "$__rate_interval": "10s", "$__range": "1m"}
_BOB, _LOBBY = "b0b00000-0000-4000-8000-000000000002", "10bb1000-0000-4000-8000-000000000005"


class Watched(NamedTuple):
    """The Prometheus, a client of the server, the URLs of the server's and the loader's metrics, and the rules."""

    prometheus: PrometheusServer
    client: Client
    metrics: tuple[str, str]
    rules: Path
    round: Iterator[int]

    def call_everything(self) -> None:
        """Calls that are allowed, denied, challenged, and one that nobody can answer; now and then an edit."""
        number = next(self.round)
        edit = number // _EDIT_EVERY % 10
        if number % _EDIT_EVERY == 0:
            self.rules.write_text(_COMPANY.read_text().replace("_0900.", f"_0900{edit}."))
        calls = [
            Call(caller=caller, extension=extension, outcall="2")
            for caller in (_BOB, _LOBBY)
            for extension in ("112", f"0900{edit}23456", "0033123456789", "0041123456789", "15")
        ]
        for call in calls:
            answer = self.client.check(caller=call.caller, extension=call.extension, outcall=call.outcall)
            if answer.challenge:  # now and then a wrong one
                self.client.answer_challenge(answer.challenge, "4242" if number % 3 else "9999")
        self.client.check_many(calls)
        assert len(list(self.client.check_stream(("", call) for call in calls))) == len(calls)
        self.client.explain(caller=_BOB, extension="112")
        self.client.status()
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
        assert not re.search(r"\$[^0-9]", expression), f"a variable that is not known here: {expression}"
        return expression


def queries() -> list[Query]:
    """Those of all dashboards."""
    found: list[Query] = []
    for path in DASHBOARDS:
        for panel in panels(path):
            if panel.get("datasource", {}).get("type") == "prometheus":
                found += [Query(path.stem, panel["title"], target["expr"]) for target in panel["targets"]]
    return found


def panels(path: Path) -> list[dict[str, Any]]:
    """Those of a dashboard, also the ones of rows that are folded."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return [panel for row in rows for panel in (row, *row.get("panels", ()))]


@contextmanager
def watched_server() -> Iterator[Watched]:
    """Starts them all."""
    key = {"RIGHTCALL_SECRET_KEY": _KEY}
    listen = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    with RedisServer() as redis, TemporaryDirectory(prefix="rightcall-watched-") as directory:
        where = ("--redis", redis.url)
        rules = Path(directory) / "company.yaml"
        rules.write_text(_COMPANY.read_text())
        load = ("load", "--source", f"file:{rules}", *where, "--http", "127.0.0.1:0")
        with Program("serve", *where, *listen, **key) as server, Program(*load, **key) as loader:
            started = server.wait_for("server_started")
            server.wait_for("rules_loaded")
            targets = started["http"], loader.wait_for("loading")["http"]
            beside = Path(directory) / "candidate.yaml"
            beside.write_text(_COMPANY.read_text().replace("_0900.", "_0901."))
            with Program("load", "--candidate", "--source", f"file:{beside}", *where, **key):
                server.wait_for("candidate_loaded")
            urls = (f"http://{targets[0]}/metrics", f"http://{targets[1]}/metrics")
            with PrometheusServer(*targets, rules=(RULES,)) as prometheus, Client(started["grpc"]) as client:
                yield Watched(prometheus, client, urls, rules, count(1))
