"""A long time under load: whether memory grows, answers get slower, or calls fail, while rules are edited.

70 % of what the server answers as fast as it can, by a client that measures every answer from when its question was
due. Machines get slower and faster, and 70 % of what one carried in a good moment can be more than it carries a
minute later: so that is measured before each minute, and the least of all measurements counts. Each minute has its
own connections. A new edition of the tenant becomes current every ten seconds. Memory is that of all processes of the
server, looked at every five seconds.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from redis_server import RedisServer

from bench.cached import Published, Rules
from bench.clients import asking, figures, on_the_clients_core, paced
from bench.facts import private, resident
from bench.serving import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.parts import Options
    from bench.serving import Service

SHARE: Final = 0.7
MINUTE: Final = 60.0
WARM_UP_MINUTES: Final = 2
"""The memory of those counts for nothing: caches fill."""
_EDIT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 5.0
_FIRST: Final = 3
"""Measurements of what the server carries before the first minute."""

Results = dict[str, Any]


class Watch:
    """Looks at a server's memory, and edits its rules, while something else goes on; as a context manager.

    Args:
        server: whose memory.
        published: the rules.
        edit_seconds: between two edits.
        look_seconds: between two looks.
    """

    def __init__(self, server: Service, published: Published, edit_seconds: float, look_seconds: float) -> None:
        self._server = server
        self._published = published
        self._edit_seconds = edit_seconds
        self._look_seconds = look_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._edit), threading.Thread(target=self._look)]
        self.looks: list[tuple[float, float, float]] = []
        """Seconds since the start, USS and RSS in bytes."""
        self.edits = 0

    def __enter__(self) -> Watch:  # noqa: PYI034 - nobody derives from it
        """Starts."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _edit(self) -> None:
        while not self._stop.wait(self._edit_seconds):
            self._published.swap()
            self.edits += 1

    def _look(self) -> None:
        begun = time.monotonic()
        while not self._stop.wait(self._look_seconds):
            process = self._server.process
            self.looks.append((time.monotonic() - begun, float(private(process)), float(resident("VmRSS", process))))


def measure(options: Options) -> Results:
    """So many minutes, or two short ones where it shall be quick."""
    rules = Rules(options.permissions)
    minute = MINUTE if not options.quick else float(options.seconds)
    scale = minute / MINUTE
    minutes: list[dict[str, float]] = []
    with on_the_clients_core(), RedisServer() as redis:
        published = Published(redis, rules)
        with serving("--redis", redis.url) as server:
            carried = [paced(server.port, rules.questions, seconds=options.seconds).rate for _ in range(_FIRST)]
            with Watch(server, published, _EDIT_SECONDS * scale, _LOOK_SECONDS * scale) as watch:
                for number in range(options.minutes):
                    carried.append(paced(server.port, rules.questions, seconds=options.seconds).rate)
                    rate = min(carried) * SHARE
                    with asking(server.port, rules.questions, seconds=minute, rate=rate) as running:
                        minutes.append(figures(running, failures=True)._asdict())
                    print(
                        f"minute {number + 1} of {options.minutes}: p99.9 {minutes[-1]['p999'] * 1e3:.1f} ms",
                        flush=True,
                    )
            requests = server.requests()
        published.close()
    errors = sum(minute["failed"] for minute in minutes)
    settled = [look for look in watch.looks if look[0] > min(WARM_UP_MINUTES, options.minutes / 2) * minute]
    return {
        "minutes": minutes,
        "edits": watch.edits,
        "errors": errors,
        "requests": requests,
        "looks": watch.looks,
        "uss": _growth([(at, uss) for at, uss, _ in settled]),
        "rss": _growth([(at, rss) for at, _, rss in settled]),
    }


def lines(results: Results) -> list[str]:
    """The figures, a line a minute."""
    out = [f"{'minute':>6}{'calls/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'longest ms':>12}{'failed':>9}"]
    for number, run in enumerate(results["minutes"], 1):
        times = f"{run['p50'] * 1e3:9.2f}{run['p99'] * 1e3:9.2f}{run['p999'] * 1e3:10.2f}{run['longest'] * 1e3:12.2f}"
        out.append(f"{number:6}{run['rate']:10,.0f}{times}{run['failed']:9,.0f}")
    ends = ", ".join(f"{count:,.0f} {code}" for code, count in results["requests"].items() if count)
    out.append(f"{results['errors']:,.0f} errors, {results['edits']} edits; by the server's own count {ends}")
    for what in ("uss", "rss"):
        found = results[what]
        first, slope, noise = (found[name] / 1e6 for name in ("first", "a_minute", "noise"))
        out.append(f"{what.upper()}: {first:.1f} MB after warm-up, {slope:+.2f} MB a minute; noise {noise:.2f} MB")
    return out


def _growth(looks: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The line that fits best: where it begins, its rise a minute, how far looks are from it (RMS); all in bytes."""
    count = len(looks)
    at, value = sum(x for x, _ in looks) / count, sum(y for _, y in looks) / count
    spread = sum((x - at) ** 2 for x, _ in looks)
    slope = sum((x - at) * (y - value) for x, y in looks) / spread if spread else 0.0
    noise = (sum((y - value - slope * (x - at)) ** 2 for x, y in looks) / count) ** 0.5
    return {"first": value + slope * (looks[0][0] - at), "a_minute": slope * MINUTE, "noise": noise}
