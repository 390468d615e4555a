"""A real Prometheus of the test's own, which scrapes what it is told every second."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml
from redis_server import free_port
from tools import tool
from waiting import until


class Sample(NamedTuple):
    """One series of an answer."""

    labels: dict[str, str]
    value: float


class PrometheusServer:
    """A Prometheus as a context manager.

    Args:
        targets: ``HOST:PORT`` of what is scraped, as job ``rightcall`` in the namespace ``tests``.
        rules: rule files that it evaluates.
    """

    def __init__(self, *targets: str, rules: tuple[Path, ...] = ()) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self._directory = tempfile.TemporaryDirectory(prefix="rightcall-prometheus-")
        self._process: subprocess.Popen[bytes] | None = None
        self._config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "rightcall",
                    "static_configs": [{"targets": list(targets), "labels": {"namespace": "tests"}}],
                }
            ],
        }

    def query(self, expression: str) -> list[Sample]:
        """What an expression comes to at the moment.

        Raises:
            HTTPError: Prometheus does not understand it.
        """
        answer = self._get("/api/v1/query", query=expression)
        if answer["data"]["resultType"] == "scalar":
            return [Sample({}, float(answer["data"]["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """What an expression came to over a time, as Prometheus has it."""
        answer = self._get("/api/v1/query_range", query=expression, start=start, end=end, step=step)
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def alerts(self) -> list[str]:
        """Names of the alerts that are pending or firing."""
        return [alert["labels"]["alertname"] for alert in self._get("/api/v1/alerts")["data"]["alerts"]]

    def __enter__(self) -> Self:
        """Starts it and waits until it answers."""
        directory = Path(self._directory.name)
        (directory / "prometheus.yml").write_text(yaml.safe_dump(self._config))
        command = [str(tool("prometheus")), f"--config.file={directory / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={self._address}"]
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._ready, "Prometheus answers")
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it and removes its files."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def _ready(self) -> bool:
        try:
            return bool(self._get("/api/v1/status/buildinfo"))
        except OSError:
            return False

    def _get(self, path: str, **parameters: object) -> dict[str, Any]:
        url = f"http://{self._address}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        return document
