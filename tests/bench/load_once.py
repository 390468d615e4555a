"""``rightcall load --once`` where reading, compiling and publishing take long, beside a loader that waits for the lead.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/load_once.py [PERMISSIONS [TENANTS [PAUSE]]]

Runs the program on one tenant with PERMISSIONS, on TENANTS small ones, and on a Wazo that says nothing for PAUSE
seconds. Prints JSON, for each the exit code, the seconds, how many tenants were published, and how many had been when
the other loader, which tries to lead ten times a second, could: all.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any
from uuid import UUID

from programs import ROOT, environment
from redis_server import RedisServer
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from bench.workload import as_definitions, make_workload
from loader.publishing.lease import Lease
from pdp.rules.publication.keys import Keys

_COMMAND = (sys.executable, "-c", "from rightcall.cli import main; main(prog_name='rightcall')")
_USUAL = 0.1


def run(source: str, **variables: str) -> dict[str, Any]:
    """Loads once."""
    variables |= {"RIGHTCALL_SECRET_KEY": "the secret key of this measurement"}
    with RedisServer() as redis, redis.client() as client:
        arguments = ["load", "--once", "--source", source, "--redis", redis.url]
        begun, when_free = time.monotonic(), 0
        with Popen([*_COMMAND, *arguments], cwd=ROOT, env=environment(**variables), stdout=DEVNULL, stderr=PIPE) as ran:
            assert ran.stderr is not None
            said: list[bytes] = []
            reader = threading.Thread(target=said.extend, args=(ran.stderr,))
            reader.start()
            while ran.poll() is None and not client.exists(Keys().leader):
                time.sleep(_USUAL / 10)
            rival = Lease(client, "redis", "rival")
            while ran.poll() is None and not rival.claim():
                time.sleep(_USUAL)
            when_free = client.hlen(Keys().pointers)
            reader.join()
        seconds = round(time.monotonic() - begun, 1)
        tenants = client.hlen(Keys().pointers)
    problem = said[-1].decode().strip() if ran.returncode else ""
    return {
        "exit": ran.returncode,
        "seconds": seconds,
        "published": tenants,
        "when_free": when_free,
        "problem": problem,
    }


def measure(permissions: int, tenants: int, pause: float) -> dict[str, Any]:
    """All three."""
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rules.json"
        path.write_text(json.dumps({"tenants": [as_definitions(make_workload(permissions, calls=1).tenant)]}))
        results[f"{permissions} permissions"] = run(f"file:{path}")
        small = [{"uuid": str(UUID(int=number)), "name": f"tenant {number}"} for number in range(1, tenants + 1)]
        path.write_text(json.dumps({"tenants": small}))
        results[f"{tenants} tenants"] = run(f"file:{path}")
    platform = WazoPlatform()
    platform.add_user(platform.add_tenant("acme"))
    with WazoSimulator(platform) as simulator:
        behaviour = simulator.behaviour
        behaviour.before = lambda resource: time.sleep(pause if resource == "groups" else 0)
        results[f"a pause of {pause} s"] = run(
            simulator.url,
            RIGHTCALL_WAZO_USERNAME=behaviour.username,
            RIGHTCALL_WAZO_PASSWORD=behaviour.password,
        )
    return results


if __name__ == "__main__":
    os.chdir(ROOT)
    given = [float(each) for each in sys.argv[1:]] + [200_000, 3000, 20][len(sys.argv) - 1 :]
    print(json.dumps(measure(int(given[0]), int(given[1]), given[2]), indent=1))
