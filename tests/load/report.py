"""Results of load tests: as JSON, as a page for people, as pictures; and the ratios that have to hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.facts import machine

from load.drive import Result
from load.pictures import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MODES: Final = {
    "closed": "ghz, as fast as answers come; it is itself the limit where the server is fast",
    "constant": "ghz at a constant rate, measured from when a request was sent",
    "open": "the client of our own at a constant rate, measured from when a request was due",
    "full": "the client of our own, eight calls in flight on each of eight connections",
}
_NAMED: Final = ("scenario", "server", "how")
_TIMES: Final = ("p50", "p99", "p99.9", "slowest", "late", "processor time")
_COUNTED: Final = ("permissions", "offered/s", "answered/s", *_TIMES, "failed")
_OPEN_SHARE: Final = 0.6
_LARGE_SHARE: Final = 0.9
_SCENARIO_SHARES: Final = {"hostile": 0.7, "realistic": 0.7, "challenges": 0.4, "while rules change": 0.4}


class Run(NamedTuple):
    """A scenario, driven in one way, against one server with rules of one size.

    Attributes:
        scenario: what was asked.
        permissions: of the rules; 0 where there are none.
        server: its transport, or what else it is.
        mode: how it was asked, a key of ``_MODES``.
        offered: questions a second; 0: as many as were answered.
        result: what came of it.
        cpu: microseconds of the server's processor time an answer.
    """

    scenario: str
    permissions: int
    server: str
    mode: str
    offered: int
    result: Result
    cpu: float


class Check(NamedTuple):
    """A ratio of two figures of one part, so that it holds on any machine, and its limit."""

    what: str
    ratio: float
    limit: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit


def checks_of(part: str, runs: list[Run]) -> list[Check]:
    """What has to hold of a part's runs."""
    return list(_CHECKS[part](runs))


def save(directory: Path, part: str, runs: list[Run], checks: list[Check]) -> None:
    """Writes the JSON document of a part."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {
        "part": part,
        "machine": machine(),
        "runs": [{**run._asdict(), "result": run.result._asdict()} for run in runs],
        "checks": [{**check._asdict(), "met": check.met} for check in checks],
    }
    (directory / f"{part}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write(directory: Path) -> str:
    """Writes ``load.md`` and the pictures from the documents of all parts that are there.

    Returns:
        The text of ``load.md``.
    """
    documents = [json.loads((directory / f"{part}.json").read_text("utf-8")) for part in _present(directory)]
    for document in documents:
        draw(document["part"], _runs(document), directory / f"{document['part']}.png")
    text = "\n".join(line for document in documents for line in _page(document))
    (directory / "load.md").write_text(text, encoding="utf-8")
    return text


def _present(directory: Path) -> list[str]:
    return [part for part in _CHECKS if (directory / f"{part}.json").exists()]


def _runs(document: dict[str, Any]) -> list[Run]:
    return [Run(**{**run, "result": Result(**run["result"])}) for run in document["runs"]]


def _page(document: dict[str, Any]) -> Iterator[str]:
    """A part, for people."""
    yield f"## {document['part']}"
    yield ""
    yield "| " + " | ".join((*_NAMED, *_COUNTED)) + " |"
    yield "|" + "---|" * len(_NAMED) + "--:|" * len(_COUNTED)
    runs = _runs(document)
    for run in runs:
        one = run.result
        times = [f"{value:.2f} ms" for value in (one.p50, one.p99, one.p999, one.slowest)]
        late = f"{one.late:.2f} ms" if run.mode == "open" else ""
        counted = [_number(run.permissions), _number(run.offered), _number(one.rate), *times, late, f"{run.cpu:.0f} µs"]
        yield "| " + " | ".join((run.scenario, run.server, run.mode, *counted, str(one.failed))) + " |"
    modes = {run.mode for run in runs}
    yield ""
    yield from (f"- *{mode}*: {text}" for mode, text in _MODES.items() if mode in modes)
    yield from ("", "| ratio | measured | has to be | |", "|---|--:|--:|---|")
    for fields in document["checks"]:
        met = fields.pop("met")
        check = Check(**fields)
        limit = f"{'≤' if check.at_most else '≥'} {check.limit:.2f}"
        yield f"| {check.what} | {check.ratio:.2f} | {limit} | {'met' if met else '**missed**'} |"
    yield from ("", ", ".join(f"{key} {value}" for key, value in document["machine"].items()), "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def _scenario_checks(runs: list[Run]) -> Iterator[Check]:
    yield _answered(runs)
    rates = {(run.server, run.scenario): run.result.rate for run in runs if run.mode == "closed"}
    for (server, scenario), rate in rates.items():
        if scenario in _SCENARIO_SHARES:
            what = f"answers a second, {server}: “{scenario}” to “one caller”"
            yield Check(what, rate / rates[server, "one caller"], _SCENARIO_SHARES[scenario])


def _latency_checks(runs: list[Run]) -> Iterator[Check]:
    at = {(run.server, run.offered): run for run in runs}
    compared = [at[pair] for pair in (("core", 10_000), ("grpcio", 2_000)) if pair in at]
    yield _answered(compared)
    if len(compared) > 1:
        core, grpcio = compared
        what = "p99 from when a question was due: core at 10,000/s to grpcio at 2,000/s"
        yield Check(what, core.result.p99 / grpcio.result.p99, _OPEN_SHARE, at_most=True)


def _size_checks(runs: list[Run]) -> Iterator[Check]:
    yield _answered(runs)
    full = {(run.server, run.permissions): run for run in runs if run.mode == "full" and run.permissions}
    for server in dict.fromkeys(server for server, _ in full):
        of_server = sorted(size for one, size in full if one == server)
        small, large = of_server[0], of_server[-1]
        ratio = full[server, large].result.rate / full[server, small].result.rate
        yield Check(f"answers a second, {server}: {large:,} permissions to {small:,}", ratio, _LARGE_SHARE)


_CHECKS: Final[dict[str, Callable[[list[Run]], Iterator[Check]]]] = {
    "scenarios": _scenario_checks,
    "latency": _latency_checks,
    "sizes": _size_checks,
}


def _answered(runs: list[Run]) -> Check:
    sent = sum(run.result.sent for run in runs)
    failed = sum(run.result.failed for run in runs)
    return Check("questions that got an answer", (sent - failed) / sent if sent else 0.0, 1.0)
