"""How long until an edit decides calls: from the source through loader, Redis and server to an answer over gRPC.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/effect.py [EDITS]

Real programs and servers; of a definitions file, and of a simulated Wazo Platform with a real bus.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from given import ACME, ALICE
from programs import Program
from rabbitmq_server import RabbitmqServer
from redis_server import RedisServer, free_port
from waiting import until
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from rightcall import Client

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"RIGHTCALL_SECRET_KEY": "the benchmark's own secret key"}
POLL = 0.002
"""Seconds between two looks at the answer; what is measured is that much too long at the most."""


def measure(
    name: str, edits: int, loader: tuple[str, ...], variables: dict[str, str], edit: Callable[[str], None]
) -> None:
    """Edits so often, one after the other, and prints how long each took to decide calls.

    Args:
        name: what is edited.
        edits: how often.
        loader: the loader's options.
        variables: and its variables.
        edit: denies Alice this extension, and no other.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        port = free_port()
        common = ("--redis", redis.url, "--http", "none")
        stack.enter_context(Program("load", *loader, *common, **KEY, **variables))
        stack.enter_context(Program("serve", "--listen", f"127.0.0.1:{port}", *common, **KEY))
        client = stack.enter_context(Client(f"127.0.0.1:{port}"))
        edit("1000")
        until(lambda: _denied(client, "1000"), "the first rules are served", deadline=60)
        time.sleep(3)  # until the loader has read everything again after it came to the bus
        times = sorted(_timed(client, edit, str(2000 + number)) for number in range(edits))
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    print(f"{name:<24} {edits:>5} edits   p50 {p50:.2f} s   p99 {p99:.2f} s   most {times[-1]:.2f} s", flush=True)


def _timed(client: Client, edit: Callable[[str], None], extension: str) -> float:
    begun = time.perf_counter()
    edit(extension)
    while not _denied(client, extension):
        time.sleep(POLL)
    return time.perf_counter() - begun


def _denied(client: Client, extension: str) -> bool:
    try:
        return not client.check(caller=ALICE, extension=extension, tenant=ACME).allowed
    except Exception:  # noqa: BLE001 - not there yet
        return False


def main() -> None:
    """Both sources."""
    edits = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "rules.yaml")

        def write(extension: str) -> None:
            permission = f'{{id: 1, extensions: ["{extension}"], users: [{ALICE}]}}'
            new = path.with_suffix(".new")
            new.write_text(f"tenants: [{{uuid: {ACME}, users: [{{uuid: {ALICE}}}], call_permissions: [{permission}]}}]")
            new.replace(path)

        write("1000")
        measure("definitions file", edits, ("--source", f"file:{path}"), {}, write)
    platform = WazoPlatform()
    platform.add_tenant("acme", uuid=ACME)
    platform.add_user(ACME, uuid=ALICE)
    number = platform.add_permission(ACME, "barred", ["1000"])
    platform.associate(number, "users", ALICE)
    with RabbitmqServer() as broker, WazoSimulator(platform) as simulator:
        behaviour = simulator.behaviour
        loader = ("--source", simulator.url, "--wazo-username", behaviour.username, "--wazo-bus-url", broker.url)
        variables = {"RIGHTCALL_WAZO_PASSWORD": behaviour.password}

        def edit(extension: str) -> None:
            platform.edit_permission(number, extensions=[extension])

        platform.publish = broker.publish
        measure("Wazo Platform with a bus", edits, loader, variables, edit)


if __name__ == "__main__":
    main()
