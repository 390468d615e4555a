"""The parts of a load test. Each is measured in one go, as only figures of one hour may be compared.

The server is the program itself, with one core; whoever asks has another one, and Redis is there as well.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cached import CACHE, Published, Rules
from bench.facts import cpu_seconds
from bench.peer import EMPTY
from bench.serving import serving
from redis_server import RedisServer

from load.baselines import NGINX, baseline
from load.drive import Result, ghz, paced, warm_up
from load.prepare import MOST_EDITED, NotEnoughMemory, prepared
from load.report import Run
from load.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from bench.serving import Service

TRANSPORTS: Final = ("core", "grpcio")
CHANGING: Final = "while rules change"
REALISTIC: Final = "realistic"
OPEN_RATES: Final = {"core": 10_000, "grpcio": 2_000}
"""Questions a second at which the transports are compared, and sizes of rules with each other."""
_MORE_RATES: Final = {"core": (2_000, 5_000, 15_000, 20_000, 30_000), "grpcio": (500, 1_000, 3_000, 4_000)}
_BASELINES: Final = {NGINX: (10_000, 30_000), EMPTY: (2_000,)}
_SHARE: Final = 0.5
"""Of what ghz came to at most: how fast it asks at a constant rate."""
_EDIT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.2
_RESTING: Final = 0.2
"""Share of a core below which a server rests."""
_REST_SECONDS: Final = 10.0
"""At most, to be waited for that."""

Runs: TypeAlias = "Iterator[Run]"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        permissions: of the rules for scenarios and latencies; as many users.
        sizes: permissions that are compared.
        seconds: that one run takes.
        rounds: how often runs are made whose ratios have to hold; the median counts.
        transports: of the servers.
        say: tells people how far it is.
    """

    permissions: int
    sizes: tuple[int, ...]
    seconds: float
    rounds: int
    transports: tuple[str, ...]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A server that is asked."""

    name: str
    permissions: int
    process: int
    port: int
    seconds: float

    def run(self, scenario: str, mode: str, questions: Path, rate: int = 0) -> Run:
        """Asks it in one way."""
        target = f"127.0.0.1:{self.port}"
        self._await_rest()
        before = cpu_seconds(self.process)
        if mode in ("closed", "constant"):
            result, whole = ghz(target, questions, seconds=self.seconds, rate=rate), 1.0
        else:
            options = ["--any-answer"] if self.name == NGINX else []
            result = paced(target, questions, seconds=self.seconds, rate=rate, options=options)
            whole = (self.seconds + warm_up(self.seconds)) / self.seconds
        answered = (result.sent - result.failed) * whole
        cpu = (cpu_seconds(self.process) - before) / answered * 1e6 if answered else 0.0
        return Run(scenario, self.permissions, self.name, mode, rate, result, cpu)

    def _await_rest(self) -> None:
        """Lets it end what it works on for nobody: a queue outlives the client that has asked too much."""
        deadline = time.monotonic() + _REST_SECONDS
        busy = 1.0
        while busy > _RESTING and time.monotonic() < deadline:
            before = cpu_seconds(self.process)
            time.sleep(_LOOK_SECONDS)
            busy = (cpu_seconds(self.process) - before) / _LOOK_SECONDS


def scenarios(plan: Plan) -> Runs:
    """Every scenario on both transports: as fast as answers come, and at half that rate measured in two ways."""
    rules = Rules(plan.permissions)
    files = prepared(plan.permissions, CACHE)
    with RedisServer() as redis:
        published = Published(redis, rules, editions=None if plan.permissions <= MOST_EDITED else 1)
        for transport in plan.transports:
            with serving("--redis", redis.url, "--transport", transport) as service:
                asked = _asked(service, transport, plan)
                for scenario in SCENARIOS:
                    plan.say(f"{transport}: {scenario}")
                    yield from _ways(asked, scenario, files.questions(scenario))
                plan.say(f"{transport}: {CHANGING}")
                with _swaps(published):
                    yield from _ways(asked, CHANGING, files.questions(REALISTIC))
        published.close()


def latency(plan: Plan) -> Runs:
    """Both transports and servers that decide nothing, at constant rates, each answer measured from when it was due."""
    questions = prepared(plan.permissions, CACHE).questions(REALISTIC)
    with ExitStack() as stack:
        asked = {name: stack.enter_context(_from_disk(plan, plan.permissions, name)) for name in plan.transports}
        compared = [(name, OPEN_RATES[name]) for name in asked] * plan.rounds
        others = [(name, rate) for name in asked for rate in _MORE_RATES[name]]
        for name, rate in (*compared, *others):
            plan.say(f"{name}, {rate:,}/s")
            yield asked[name].run(REALISTIC, "open", questions, rate)
    for kind, rates in _BASELINES.items():
        for rate in rates:
            yield from _compared(plan, kind, "open", questions, rate)


def sizes(plan: Plan) -> Runs:
    """Rules of several sizes: the same mix as fast as answers come and at a constant rate; and what ghz says."""
    with ExitStack() as stack:
        asked: dict[tuple[str, int], Asked] = {}
        for size in plan.sizes:
            try:
                prepared(size, CACHE)
            except NotEnoughMemory as error:
                plan.say(f"left out: {error}")
                continue
            for name in plan.transports:
                asked[name, size] = stack.enter_context(_from_disk(plan, size, name))
        files = {size: prepared(size, CACHE).questions(REALISTIC) for _, size in asked}
        for turn in range(plan.rounds):
            for (name, size), one in asked.items():
                plan.say(f"round {turn + 1}: {name}, {size:,} permissions")
                yield one.run(REALISTIC, "full", files[size])
        for (name, size), one in asked.items():
            plan.say(f"at a constant rate and by ghz: {name}, {size:,} permissions")
            yield one.run(REALISTIC, "open", files[size], OPEN_RATES[name])
            yield one.run(REALISTIC, "closed", files[size])
    yield from _compared(plan, NGINX, "full", files[min(files)])


PARTS: Final[dict[str, Callable[[Plan], Runs]]] = {"scenarios": scenarios, "latency": latency, "sizes": sizes}


def middle(runs: list[Run]) -> list[Run]:
    """Of runs that were made in several rounds, one whose figures are the medians."""
    rounds: dict[tuple[str, int, str, str, int], list[Run]] = {}
    for run in runs:
        rounds.setdefault(run[:5], []).append(run)
    return [_middle(several) for several in rounds.values()]


def _middle(several: list[Run]) -> Run:
    totals = {"sent": sum(run.result.sent for run in several), "failed": sum(run.result.failed for run in several)}
    times = {
        name: statistics.median(getattr(run.result, name) for run in several)
        for name in Result._fields
        if name not in totals
    }
    result = Result(**totals, **times)
    return several[0]._replace(result=result, cpu=statistics.median(run.cpu for run in several))


def _ways(asked: Asked, scenario: str, questions: Path) -> Runs:
    ghz(f"127.0.0.1:{asked.port}", questions, seconds=min(1.0, asked.seconds))  # everything is warm after it
    closed = asked.run(scenario, "closed", questions)
    yield closed
    rate = max(int(closed.result.rate * _SHARE), 1)
    yield asked.run(scenario, "constant", questions, rate)
    yield asked.run(scenario, "open", questions, rate)


def _compared(plan: Plan, kind: str, mode: str, questions: Path, rate: int = 0) -> Runs:
    """A server that decides nothing, where it can be had."""
    if kind == NGINX and not shutil.which(NGINX):
        plan.say(f"{NGINX} is not installed, and left out")
        return
    plan.say(f"{kind}, {rate:,}/s" if rate else kind)
    with baseline(kind) as server:
        yield Asked(kind, 0, server.process, server.port, plan.seconds).run(REALISTIC, mode, questions, rate)


def _asked(service: Service, name: str, plan: Plan, permissions: int | None = None) -> Asked:
    return Asked(name, permissions or plan.permissions, service.process, service.port, plan.seconds)


@contextmanager
def _from_disk(plan: Plan, permissions: int, transport: str) -> Iterator[Asked]:
    """A server that starts from its state directory, beside a Redis that holds nothing."""
    with tempfile.TemporaryDirectory(prefix="state-", dir=CACHE) as directory, RedisServer() as redis:
        state = prepared(permissions, CACHE).copy_state(Path(directory, "state"))
        where = ("--redis", redis.url, "--state-dir", str(state))
        with serving(*where, "--transport", transport) as service:
            yield _asked(service, transport, plan, permissions)


@contextmanager
def _swaps(published: Published) -> Iterator[None]:
    """Another edition of the rules becomes current every second."""
    stop = threading.Event()

    def swap() -> None:
        while not stop.wait(_EDIT_SECONDS):
            published.swap()

    with ThreadPoolExecutor(1) as swapper:
        swapping = swapper.submit(swap)
        try:
            yield
        finally:
            stop.set()
        swapping.result()  # where it failed, the rules did not change
