"""Edits at random while loaders, servers and Redis are killed at random; in the end everything is as the source says.

``RIGHTCALL_CHAOS_SECONDS`` says for how long, ``RIGHTCALL_CHAOS_SEED`` repeats a run (``make chaos``: two minutes).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from typing import TYPE_CHECKING

from definitions import tenant_from
from given import ACME, ALICE, BOB
from oracle import decide
from programs import Program
from redis_server import RedisServer, free_port
from waiting import until

from pdp.rules.digest import content_digest
from pdp.rules.model import PasswordOverride
from rightcall import Client
from rightcall.errors import RightcallError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.rules.model import Tenant

SECONDS = float(os.environ.get("RIGHTCALL_CHAOS_SECONDS", "10"))
SEED = int(os.environ.get("RIGHTCALL_CHAOS_SEED", "1"))
KEY = "the chaos test's own secret key"
EXTENSIONS = ["110", "118", "0033123", "0049123", "0900123", "5551234"]
PATTERNS = ["110", "118", "_00.", "_0033.", "_0900!", "_5XXXXXX", "_[1-5]ZX", "_."]


class Source:
    """A definitions file that is edited at random, and every state that it ever had."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self._path = path
        self._rng = rng
        self.tenant: Tenant
        self.digests: set[str] = set()
        self.edit()

    def edit(self) -> None:
        """Replaces the file by another one, in one step."""
        rng = self._rng
        permissions = [
            {
                "id": number + 1,
                "name": f"permission {number + 1}",
                "mode": rng.choice(["allow", "deny"]),
                "enabled": rng.random() < 0.9,
                "extensions": rng.sample(PATTERNS, rng.randint(1, 3)),
                "users": rng.sample([ALICE, BOB], rng.randint(0, 2)),
                "groups": rng.sample(["1"], rng.randint(0, 1)),
                "outcalls": rng.sample(["1"], rng.randint(0, 1)),
            }
            for number in range(rng.randint(3, 5))
        ]
        tenant = {
            "uuid": ACME,
            "name": "acme",
            "users": [{"uuid": ALICE}, {"uuid": BOB}],
            "groups": [{"id": "1", "name": "all", "enabled": rng.random() < 0.8, "users": [ALICE, BOB]}],
            "outcalls": [{"id": "1", "name": "world"}],
            "call_permissions": permissions,
        }
        self.tenant = tenant_from(tenant)
        digest = content_digest(self.tenant, secret=KEY.encode(), password_override=PasswordOverride.ALL)
        self.digests.add(digest[:12])
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps({"tenants": [tenant]}))
        written.replace(self._path)

    def break_it(self) -> None:
        """Half an edit, as by somebody who was interrupted: it must change nothing."""
        self._path.write_text('{"tenants": [')
        time.sleep(0.05)


class Fleet:
    """Two loaders, two servers and a Redis, each of which may die at any time."""

    def __init__(self, path: Path, state: Path, redis: RedisServer) -> None:
        self._stack = contextlib.ExitStack()
        self._redis = redis
        self._ports = [free_port(), free_port()]
        variables = {"RIGHTCALL_SECRET_KEY": KEY}
        common = ("--redis", redis.url, "--recheck", "0.5")
        self._starters: dict[str, Callable[[], Program]] = {}
        for number, port in enumerate(self._ports):
            loader = ("load", "--source", f"file:{path}", "--name", f"loader {number}", "--http", "none", *common)
            self._starters[f"loader {number}"] = lambda arguments=loader: Program(*arguments, **variables)  # type: ignore[misc] # bound now
            listen = ("--listen", f"127.0.0.1:{port}", "--http", "none")
            server = ("serve", *listen, "--state-dir", str(state / str(number)), *common)
            self._starters[f"server {number}"] = lambda arguments=server: Program(*arguments, **variables)  # type: ignore[misc] # bound now
        self._running = {name: start() for name, start in self._starters.items()}
        self._clients = [Client(f"127.0.0.1:{port}") for port in self._ports]
        self.revisions: set[str] = set()

    def kill(self, name: str) -> None:
        """``kill -9`` and, as a supervisor would, a new start."""
        if name == "redis":
            self._redis.kill()
            time.sleep(0.3)
            self._redis.start()
        else:
            self._running[name].__exit__()
            self._running[name] = self._starters[name]()

    def names(self) -> list[str]:
        """What can be killed."""
        return [*self._starters, "redis"]

    def ask(self, caller: str, extension: str, outcall: str) -> list[tuple[str, str]]:
        """Each server's decision and stage; those that do not answer are left out."""
        answers = []
        for client in self._clients:
            with contextlib.suppress(RightcallError):
                answer = client.check(caller=caller, extension=extension, outcall=outcall, tenant=ACME)
                self.revisions.add(answer.revision.partition("-")[2])
                answers.append((answer.decision.name, answer.stage.name))
        return answers

    def agrees(self, tenant: Tenant) -> bool:
        """Whether both servers answer every question as the oracle does."""
        for caller in (ALICE, BOB, ""):
            for extension in EXTENSIONS:
                for outcall in ("1", ""):
                    decision, stage, _ = decide(tenant, caller, extension, outcall)
                    if self.ask(caller, extension, outcall) != [(decision.name, stage.name)] * 2:
                        return False
        return True

    def __str__(self) -> str:
        """What each program said last, for who looks for what went wrong."""
        lines = [f"{name}: {event}" for name, program in self._running.items() for event in program.events[-8:]]
        return "\n".join(lines)

    def stop(self) -> None:
        """Ends all of it."""
        for client in self._clients:
            client.close()
        for program in self._running.values():
            program.__exit__()


def test_whatever_is_killed_the_last_edit_is_decided_by_in_the_end(tmp_path: Path) -> None:
    """And no answer ever came from rules that never existed."""
    rng = random.Random(SEED)
    path, state = tmp_path / "rules.json", tmp_path / "state"
    source = Source(path, rng)
    with RedisServer() as redis:
        fleet = Fleet(path, state, redis)
        try:
            until(lambda: fleet.agrees(source.tenant), "both servers have the first rules")
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                act = rng.random()
                if act < 0.5:
                    source.edit()
                elif act < 0.6:
                    source.break_it()
                    source.edit()
                elif act < 0.75:
                    fleet.kill(rng.choice(fleet.names()))
                fleet.ask(rng.choice([ALICE, BOB, ""]), rng.choice(EXTENSIONS), rng.choice(["1", ""]))
                time.sleep(rng.uniform(0, 0.2))
            try:
                until(lambda: fleet.agrees(source.tenant), f"all is as the source says (seed {SEED})", deadline=60)
            except AssertionError as error:
                error.add_note(str(fleet))
                raise
            assert fleet.revisions <= source.digests
        finally:
            fleet.stop()
