"""Figures out of what was measured: ratios, which compare across machines, and what this project wants to reach.

A regression is a ratio that is worse than the one in ``baseline.json`` by more than the margin that stands beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.rounds import figure, median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BASELINE: Final = Path(__file__).with_name("baseline.json")
MARGIN: Final = 0.3
"""Of a ratio that is new in the baseline: what two runs on the same machine may differ by."""
SMALL, MIDDLE, LARGE = "1000", "100000", "1000000"


class Figure(NamedTuple):
    """Something that was measured.

    Attributes:
        name: what.
        value: how much; None where this run has not measured it.
        unit: of the value; "times" for a ratio.
        higher: whether more is better.
        target: what this project wants to reach; None: nothing in particular.
    """

    name: str
    value: float | None
    unit: str = "times"
    higher: bool = False
    target: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target was reached, or there is none, or nothing was measured."""
        if self.value is None or self.target is None:
            return True
        return self.value >= self.target if self.higher else self.value <= self.target

    def line(self) -> str:
        """One line of a report."""
        bound = "" if self.target is None else f" ({'at least' if self.higher else 'at most'} {self.target:g})"
        if self.value is None:
            return f"  --      {self.name}: not measured{bound}"
        verdict = "      " if self.target is None else "met   " if self.met else "MISSED"
        return f"  {verdict}  {self.name}: {self.value:,.3g} {self.unit}{bound}"


class Regression(NamedTuple):
    """A ratio that has become worse.

    Attributes:
        name: which.
        was: in the baseline.
        now: in this run; None: it was not measured.
        margin: by what share of ``was`` it may differ.
    """

    name: str
    was: float
    now: float | None
    margin: float

    def line(self) -> str:
        """One line of a report."""
        if self.now is None:
            return f"{self.name}: was {self.was:.3g}, and is not measured; install what its part needs"
        worse = abs(self.now / self.was - 1)
        return f"{self.name}: was {self.was:.3g}, is {self.now:.3g}: {worse:.0%} worse, the margin is {self.margin:.0%}"


def figures(parts: Mapping[str, Any]) -> list[Figure]:
    """All figures that can be had of what was measured, by part."""
    return [
        *_of_sizes(parts.get("sizes")),
        *_of_server(parts.get("server")),
        *_of_secured(parts.get("secured")),
        *_of_engines(parts.get("engines")),
        *_of_rest(parts),
    ]


def regressions(found: list[Figure], baseline: Mapping[str, Mapping[str, Any]]) -> list[Regression]:
    """What has become worse than the baseline allows."""
    now = {figure.name: figure for figure in found}
    worse = []
    for name, entry in baseline.items():
        was, margin, higher = float(entry["value"]), float(entry["margin"]), bool(entry["higher"])
        value = now[name].value if name in now else None
        limit = was * (1 - margin) if higher else was * (1 + margin)
        if value is None or (value < limit if higher else value > limit):
            worse.append(Regression(name, was, value, margin))
    return worse


def updated(found: list[Figure], baseline: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A baseline of the ratios of this run; margins stay where there are some."""
    return {
        figure.name: {
            "value": float(f"{figure.value:.4g}"),
            "higher": figure.higher,
            "margin": baseline.get(figure.name, {}).get("margin", MARGIN),
        }
        for figure in found
        if figure.unit == "times" and figure.value is not None and figure.name in CHECKED
    }


def load_baseline(path: Path = BASELINE) -> dict[str, dict[str, Any]]:
    """The committed one."""
    loaded: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _of_sizes(results: list[dict[str, float]] | None) -> Iterator[Figure]:
    by_size = {str(int(result["permissions"])): result for result in results or []}

    def of(size: str, name: str, scale: float = 1.0) -> float | None:
        return by_size[size][name] * scale if name in by_size.get(size, {}) else None

    slowest = max((result["decide_s"] * 1e6 for result in by_size.values()), default=None)
    edit = _sum(of(MIDDLE, "edit_digest_s"), of(MIDDLE, "edit_compile_s"))
    step, compiled = of(MIDDLE, "step_s"), of(MIDDLE, "compile_s", 1 / int(MIDDLE))
    yield Figure("decide(), median, at every size", slowest, "µs", target=2.0)
    yield Figure("decide() at 100,000 / at 1,000 permissions", _ratio(of(MIDDLE, "decide_s"), of(SMALL, "decide_s")))
    yield Figure(
        "decide() at 1,000,000 / at 1,000 permissions", _ratio(of(LARGE, "decide_s"), of(SMALL, "decide_s")), target=1.5
    )
    yield Figure("decide() at 1,000 / a step of Python's own", _ratio(of(SMALL, "decide_s"), of(SMALL, "step_s")))
    yield Figure("decide() at 100,000 / a read of distant memory", _ratio(of(MIDDLE, "decide_s"), of(MIDDLE, "read_s")))
    yield Figure("compile 100,000 permissions", of(MIDDLE, "compile_s"), "s", target=1.5)
    yield Figure("compile 1,000,000 permissions", of(LARGE, "compile_s"), "s", target=15.0)
    yield Figure("compile a permission of 100,000 / a step of Python's own", _ratio(compiled, step))
    yield Figure("load 100,000 permissions", of(MIDDLE, "load_s", 1e3), "ms", target=100.0)
    yield Figure("load 100,000 / SHA-256 of the same bytes", _ratio(of(MIDDLE, "load_s"), of(MIDDLE, "sha256_s")))
    yield Figure("one edit of 100,000, digest and compile", edit, "s", target=1.4)
    yield Figure("one edit / compile, 100,000 permissions", _ratio(edit, of(MIDDLE, "compile_s")))
    yield Figure("one edit of 100,000, published to Redis", of(MIDDLE, "edit_published_s"), "s", target=2.0)
    yield Figure("one edit of 100,000, decided by on a server", of(MIDDLE, "edit_decided_s"), "s", target=2.0)
    yield Figure(
        "memory of a server / its snapshot, 100,000", _ratio(of(MIDDLE, "server_rss"), of(MIDDLE, "blob_bytes"))
    )


def _of_server(results: list[Mapping[str, Any]] | None) -> Iterator[Figure]:
    """Each ratio is of figures of one round, and the median of all rounds counts."""
    rounds = results or []

    def ratio(one: tuple[str, str], other: tuple[str, str], name: str = "rate") -> float | None:
        return median(_ratio(figure(a_round, *one, name), figure(a_round, *other, name)) for a_round in rounds)

    def better(name: str, one: tuple[str, str], other: tuple[str, str], target: float | None = None) -> Figure:
        return Figure(name, ratio(one, other), higher=True, target=target)

    yield from _of_core(rounds, ratio)
    yield better("grpcio / empty, loaded", ("grpcio", "loaded"), ("grpcio-empty", "loaded"), 0.7)
    yield better("grpcio / empty, mix", ("grpcio", "mix"), ("grpcio-empty", "mix"), 0.7)
    yield better("core CheckCalls of 1,000 / nginx, loaded", ("core", "many"), ("nginx", "loaded"))
    yield better("grpcio CheckCalls of 1,000 / empty, loaded", ("grpcio", "many"), ("grpcio-empty", "loaded"))
    for run in ("loaded", "mix", "many"):
        pair = ("core, 1,000,000", run), ("core, 1,000", run)
        yield better(f"core with 1,000,000 / with 1,000, {run}", *pair, 0.9)


def _of_core(rounds: Sequence[Mapping[str, Any]], ratio: Callable[..., float | None]) -> Iterator[Figure]:
    loaded, nginx = ("core", "loaded"), ("nginx", "loaded")
    yield Figure("core / nginx, processor time of a call, loaded", ratio(loaded, nginx, "cpu"), target=0.7)
    yield Figure("core / nginx, loaded", ratio(loaded, nginx), higher=True, target=1.3)
    yield Figure("core / nginx, p50 alone", ratio(("core", "alone"), ("nginx", "alone"), "p50"), target=1.05)
    yield Figure("core / nginx, mix", ratio(("core", "mix"), ("nginx", "mix")), higher=True, target=1.3)
    dearer = ratio(("grpcio", "loaded"), loaded, "cpu")
    yield Figure("grpcio / core, processor time of a call, loaded", dearer, higher=True, target=20)
    many = median(figure(a_round, "core", "many", "rate") for a_round in rounds)
    decisions = None if many is None else many * 1000
    name = "core, decisions/s by CheckCalls of 1,000"
    yield Figure(name, decisions, "a second", higher=True, target=1_500_000)


def _of_secured(results: list[Mapping[str, Any]] | None) -> Iterator[Figure]:
    """As a cluster runs it."""

    def cpu(one: str, other: str) -> float | None:
        rounds = results or []
        return median(_ratio(figure(a, one, "loaded", "cpu"), figure(a, other, "loaded", "cpu")) for a in rounds)

    secured = "core, TLS and tokens"
    yield Figure("core / nginx, processor time of a call, TLS and tokens", cpu(secured, "nginx, TLS"), target=0.6)
    logged = cpu("core, decision log", "core")
    yield Figure("core, processor time of a call, with a decision log / without", logged, target=1.5)
    dearer = cpu("grpcio, TLS and tokens", secured)
    yield Figure("grpcio / core, processor time of a call, TLS and tokens", dearer, higher=True, target=20)


def _of_engines(results: Mapping[str, Any] | None) -> Iterator[Figure]:
    def of(engine: str, size: str) -> float | None:
        value: float | None = (results or {}).get(engine, {}).get(size)
        return value

    for other, size in (("re2", "1000"), ("re2", "10000"), ("regex", "1000"), ("wazo", "1000")):
        value = _ratio(of(other, size), of("rightcall", size))
        yield Figure(f"{other} / ours, {int(size):,} permissions, time of a decision", value, higher=True)


def _of_rest(parts: Mapping[str, Any]) -> Iterator[Figure]:
    for setup, runs in (parts.get("swaps") or {"core": {}, "grpcio": {}}).items():
        rounds = runs.get("rounds", ())
        slower = median(_ratio(one["swapped"]["p999"], one["still"]["p999"]) for one in rounds)
        yield Figure(f"p99.9 with 20 swaps / without, 50 % load, {setup}", slower, target=1.3)
    capacity = parts.get("capacity") or {}
    label = f"{capacity['permissions']:,} permissions" if capacity else "1,000,000 permissions"
    beside = capacity.get("private", {}).get("beside the snapshot")
    yield Figure(f"memory beside the snapshot, {label}", beside / 1e6 if beside else None, "MB", target=120)
    for source, target in (("disk", 0.5), ("Redis", 1.2)):
        yield Figure(
            f"start to SERVING from {source}, {label}", capacity.get("start", {}).get(source), "s", target=target
        )
    several = capacity.get("threads", {})
    yield Figure("two threads / one, CheckCalls", _ratio(several.get("2"), several.get("1")), higher=True, target=1.9)
    edits = parts.get("edits") or {}
    yield Figure("edit of one permission to a decision, p99", edits.get("decided_p99"), "s", target=0.25)
    lost = (parts.get("stops") or {}).get("SIGTERM", {}).get("lost")
    yield Figure("calls lost by SIGTERM under load", lost, "calls", target=0)
    soak = parts.get("soak") or {}
    yield Figure("errors of the soak", soak.get("errors"), "calls", target=0)


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


CHECKED: Final = frozenset(
    {
        "decide() at 1,000 / a step of Python's own",
        "decide() at 100,000 / a read of distant memory",
        "compile a permission of 100,000 / a step of Python's own",
        "load 100,000 / SHA-256 of the same bytes",
        "one edit / compile, 100,000 permissions",
        "memory of a server / its snapshot, 100,000",
        "core / nginx, processor time of a call, loaded",
        "core / nginx, loaded",
        "core / nginx, p50 alone",
        "grpcio / empty, loaded",
        "core CheckCalls of 1,000 / nginx, loaded",
        "grpcio CheckCalls of 1,000 / empty, loaded",
        "re2 / ours, 1,000 permissions, time of a decision",
        "regex / ours, 1,000 permissions, time of a decision",
    }
)
"""The ratios that the baseline holds: those that two runs on one machine agree on."""
