"""How long until an edit in Wazo decides, and what it costs the stack, against the simulator with real prices.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/wazo_edits.py [USERS [SECONDS [DAY]]]

The prices are those of a real wazo-confd, rounded up. Simulator, RabbitMQ and the loader, which decides in its own
process, share this machine. Prints JSON:

- ``first_s``: reading everything for the first time, ``again_s``: once more, while edits go on;
- ``edit``: single edits of the large tenant, ``processor``: seconds of the stack's processor for each of them;
- ``restless``, ``quiet``: edits of the large tenant one every 0.2 s, and of a small one beside it, for SECONDS;
- ``while_reading``: edits of the large tenant while everything is read;
- ``restart``: a new loader over what is published: until the first edit decides, edits while it reads everything, and
  for how long it reads;
- ``day``: DAY edits of all kinds in 100 s, with outages of bus and REST in between, until the loader holds what a fresh
  one reads.
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import structlog
from pika.exceptions import AMQPError
from rabbitmq_server import RabbitmqServer
from waiting import until
from wazo_editing import Edits
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from loader.cycle import Synchronizer
from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource
from pdp.metrics.registry import Metrics
from pdp.rules.compiler.digest import content_digest
from pdp.rules.model import Decision, PasswordOverride
from pdp.snapshots.current import CurrentSnapshots
from rightcall.programs.embedded import CurrentPublisher, EmbeddedLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PRICES = {"users": 0.005, "summary": 0.00005, "callpermissions": 0.003, "groups": 0.007, "outcalls": 0.002}
REQUEST_PRICE = 0.02
EVERY = 0.2
SINGLE = 25
DEADLINE = 120.0
DAY_SECONDS = 100.0
OUTAGES = ("bus away", "bus back", "stack away", "stack back", "bus away", "bus back")
KEY = b"the secret key of this measurement"


class Tenant:
    """A tenant of which one permission says by its extension what was edited last."""

    def __init__(self, platform: WazoPlatform, name: str, users: int) -> None:
        self._platform = platform
        self.uuid = platform.add_tenant(name)
        members = [platform.add_user(self.uuid) for _ in range(users)]
        self.caller = members[0]
        group = platform.add_group(self.uuid, "group")
        for member in members[: users // 10]:
            platform.join(group, member)
        for index in range(50):
            platform.associate(platform.add_permission(self.uuid, f"p{index}", [f"_09{index}."]), "groups", group)
        self._permission = platform.add_permission(self.uuid, "edited", ["1"])
        platform.associate(self._permission, "users", self.caller)

    def edit(self, number: int) -> None:
        """Denies the caller this number alone."""
        self._platform.edit_permission(self._permission, extensions=[str(number)])


class Decisions:
    """What the loader has made current."""

    def __init__(self, current: CurrentSnapshots) -> None:
        self.current = current

    def denies(self, tenant: Tenant, number: int) -> bool:
        """Whether the tenant's caller may not dial the number."""
        held = self.current.get(tenant.uuid)
        return held is not None and held.snapshot.decide(tenant.caller, str(number), "").decision is Decision.DENY

    def holds(self, digests: Mapping[str, str]) -> bool:
        """Whether these tenants are current, each with the content of the digest, and no others."""
        held = {each.snapshot.tenant: each.snapshot.revision.digest for each in self.current.held()}
        return held.keys() == digests.keys() and all(digests[tenant].startswith(held[tenant]) for tenant in held)

    def wait(self, tenant: Tenant, number: int) -> float:
        """Seconds from now until it is so."""
        begun = time.monotonic()
        until(lambda: self.denies(tenant, number), f"{number} is denied", deadline=DEADLINE)
        return time.monotonic() - begun

    def follow(self, tenant: Tenant, seconds: float, first: int) -> list[float]:
        """The ages of edits, one every 0.2 s, when they or a later one decided."""
        made: list[float] = []
        ages: list[float] = []
        begun = time.monotonic()
        while time.monotonic() < begun + seconds or len(ages) < len(made):
            now = time.monotonic()
            if now < begun + seconds and now >= begun + len(made) * EVERY:
                made.append(now)
                tenant.edit(first + len(made) - 1)
            for index in range(len(made) - 1, len(ages) - 1, -1):
                if self.denies(tenant, first + index):
                    now = time.monotonic()
                    ages += [now - at for at in made[len(ages) : index + 1]]
                    break
            time.sleep(0.005)
        return ages


def _figures(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    last = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return {"p50": round(statistics.median(ordered), 3), "p99": round(last, 3), "most": round(ordered[-1], 3)}


def _source(simulator: WazoSimulator, broker: RabbitmqServer) -> WazoSource:
    behaviour = simulator.behaviour
    options = WazoOptions(username=behaviour.username, password=behaviour.password, bus_url=broker.url)
    return WazoSource(settings_from(simulator.url, options))


@contextmanager
def _loading(simulator: WazoSimulator, broker: RabbitmqServer) -> Iterator[tuple[Decisions, WazoSource, float]]:
    """A loader that has read everything once; how long that took."""
    source = _source(simulator, broker)
    current = CurrentSnapshots("bench")
    loader = EmbeddedLoader(
        source, current, Metrics(current, "bench"), password_override=PasswordOverride.ALL, secret=KEY
    )
    begun = time.monotonic()
    loader.load()
    first = time.monotonic() - begun
    loader.start(lambda _: None)
    try:
        yield Decisions(current), source, first
    finally:
        loader.stop()


def measure(users: int, seconds: float, day: int) -> dict[str, object]:
    """All figures."""
    platform = WazoPlatform()
    large, small = Tenant(platform, "large", users), Tenant(platform, "small", 10)
    with RabbitmqServer() as broker, WazoSimulator(platform) as simulator:
        simulator.behaviour.price, simulator.behaviour.request_price = PRICES, REQUEST_PRICE
        platform.publish = broker.publish
        with _loading(simulator, broker) as (decisions, source, first):
            begun, swept = time.monotonic(), source._keeper.swept
            source._pending.mark_everything()
            while_reading = _while(decisions, large, lambda: source._keeper.swept == swept)
            again = time.monotonic() - begun
            single = []
            spent = simulator.behaviour.spent
            for number in range(SINGLE):
                large.edit(1000 + number)
                single.append(decisions.wait(large, 1000 + number))
            processor = (simulator.behaviour.spent - spent) / SINGLE
            quiet: list[float] = []
            other = threading.Thread(target=lambda: quiet.extend(decisions.follow(small, seconds, 5000)))
            other.start()
            restless = decisions.follow(large, seconds, 5000)
            other.join()
        restart = _restart(simulator, broker, decisions, large)
        with _loading(simulator, broker) if day else nullcontext((decisions, source, 0.0)) as (decisions, _, _):
            about_day = _day(simulator, broker, decisions, day) if day else {}
    return {
        "users": users,
        "first_s": round(first, 2),
        "again_s": round(again, 2),
        "while_reading": _figures(while_reading),
        "edit": _figures(single),
        "processor": round(processor, 4),
        "restless": _figures(restless),
        "quiet": _figures(quiet),
        "restart": restart,
        "day": about_day,
    }


def _restart(
    simulator: WazoSimulator, broker: RabbitmqServer, decisions: Decisions, large: Tenant
) -> dict[str, object]:
    """A loader that starts where another one has published, and edits from its start on."""
    source, current, stop = _source(simulator, broker), decisions.current, threading.Event()
    synchronizer = Synchronizer(
        source,
        CurrentPublisher(current, Metrics(current, "bench"), KEY),
        secret=KEY,
        password_override=PasswordOverride.ALL,
        published=lambda: [held.snapshot for held in current.held()],
    )
    thread = threading.Thread(target=synchronizer.run, args=(stop, lambda _: None))
    begun = time.monotonic()
    thread.start()
    large.edit(200)
    first = decisions.wait(large, 200)
    times = _while(decisions, large, lambda: source._keeper.swept is None)
    took = time.monotonic() - begun
    stop.set()
    thread.join()
    return {"first_edit_s": round(first, 2), "edits": _figures(times), "read_s": round(took, 2)}


def _day(simulator: WazoSimulator, broker: RabbitmqServer, decisions: Decisions, count: int) -> dict[str, object]:
    """Edits of all kinds with outages in between; the last ones are made while all is up."""
    rng = random.Random(1)
    edits = Edits(simulator.platform, rng.choice, simulator.platform.tenants)
    outages = {round(count * share / 8): what for share, what in enumerate(OUTAGES, start=1)}
    simulator.platform.publish = _Losing(broker)
    begun = time.monotonic()
    for number in range(count):
        match outages.get(number):
            case "bus away":
                broker.kill()
            case "bus back":
                broker.start()
            case "stack away":
                simulator.stop()
            case "stack back":
                simulator.start()
        with suppress(KeyError):  # what was chosen is gone
            edits.plan()()
        time.sleep(max(0.0, begun + DAY_SECONDS * number / count - time.monotonic()))
    last = time.monotonic()
    simulator.behaviour.price, simulator.behaviour.request_price = {}, 0.0  # for the fresh reading alone
    behaviour = simulator.behaviour
    options = WazoOptions(username=behaviour.username, password=behaviour.password)
    with WazoSource(settings_from(simulator.url, options)) as fresh:
        wanted = {
            tenant.uuid: content_digest(tenant, secret=KEY, password_override=PasswordOverride.ALL)
            for tenant in fresh.read().tenants
        }
    simulator.behaviour.price, simulator.behaviour.request_price = PRICES, REQUEST_PRICE
    until(lambda: decisions.holds(wanted), "all is as a fresh load has it", deadline=DEADLINE)
    return {"edits": count, "seconds": round(last - begun, 1), "equal_after_s": round(time.monotonic() - last, 2)}


class _Losing:
    """Publishes events; those are lost that the broker does not take."""

    def __init__(self, broker: RabbitmqServer) -> None:
        self._broker = broker

    def __call__(self, event: dict[str, Any]) -> None:
        """Publishes one."""
        with suppress(AMQPError, OSError):
            self._broker.publish(event)


def _while(decisions: Decisions, tenant: Tenant, goes_on: Callable[[], bool]) -> list[float]:
    """Edits one after the other, at least one."""
    times: list[float] = []
    number = 100
    while not times or goes_on():
        number += 1
        tenant.edit(number)
        times.append(decisions.wait(tenant, number))
    return times


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    given = [float(each) for each in sys.argv[1:]] + [1500, 20, 0][len(sys.argv) - 1 :]
    print(json.dumps(measure(int(given[0]), given[1], int(given[2]))))
