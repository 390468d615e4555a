"""Edits at random while loaders, servers and Redis are killed at random; in the end everything is as the source says.

``RIGHTCALL_CHAOS_SECONDS`` says for how long, ``RIGHTCALL_CHAOS_SEED`` repeats a run (``make chaos``: two minutes).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pika.exceptions
from definitions import tenant_from
from given import ACME, ALICE, BOB
from oracle import decide
from programs import Program
from rabbitmq_server import RabbitmqServer
from redis_server import RedisServer, free_port
from waiting import until
from wazo_platform import WazoPlatform
from wazo_simulator import WazoSimulator

from loader.sources.wazo.rest.settings import WazoOptions, settings_from
from loader.sources.wazo.rest.source import WazoSource
from pdp.rules.compiler.digest import content_digest
from pdp.rules.model import PasswordOverride
from rightcall import Client
from rightcall.client.errors import RightcallError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.rules.model import Tenant

SECONDS = float(os.environ.get("RIGHTCALL_CHAOS_SECONDS", "6"))
SEED = int(os.environ.get("RIGHTCALL_CHAOS_SEED", "1"))
KEY = "the chaos test's own secret key"
EXTENSIONS = ["110", "118", "0033123", "0049123", "0900123", "5551234"]
PATTERNS = ["110", "118", "_00.", "_0033.", "_0900!", "_5XXXXXX", "_[1-5]ZX", "_."]


class Files:
    """A definitions file that is edited at random, and every state that it ever had."""

    def __init__(self, path: Path, rng: random.Random) -> None:
        self._path = path
        self._rng = rng
        self.tenant: Tenant
        self.digests: set[str] = set()
        self.loader: tuple[str, ...] = ("--source", f"file:{path}")
        self.variables: dict[str, str] = {}
        self.outcall = "1"
        self.breakers: dict[str, Callable[[], None]] = {"half an edit": self._break}
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
        self.digests.add(digest_of(self.tenant))
        written = self._path.with_suffix(".new")
        written.write_text(json.dumps({"tenants": [tenant]}))
        written.replace(self._path)

    def _break(self) -> None:
        """Half an edit, as by somebody who was interrupted: it must change nothing."""
        self._path.write_text('{"tenants": [')
        time.sleep(0.05)
        self.edit()


class Wazo:
    """A Wazo Platform with a bus, edited at random, and every state that it ever had."""

    def __init__(self, simulator: WazoSimulator, broker: RabbitmqServer, rng: random.Random) -> None:
        self._platform = platform = simulator.platform
        self._broker = broker
        self._rng = rng
        platform.add_tenant("acme", uuid=ACME)
        for user in (ALICE, BOB):
            platform.add_user(ACME, uuid=user)
        self._group = platform.add_group(ACME, "all")
        platform.join(self._group, ALICE)
        self.outcall = str(platform.add_outcall(ACME, "world"))
        self._permissions = [platform.add_permission(ACME, f"rule {number}", ["118"]) for number in range(4)]
        platform.publish = self._tell
        behaviour = simulator.behaviour
        self.loader = (
            *("--source", simulator.url, "--wazo-bus-url", broker.url),
            *("--wazo-username", behaviour.username),
        )
        self.variables = {"RIGHTCALL_WAZO_PASSWORD": behaviour.password}
        options = WazoOptions(username=behaviour.username, password=behaviour.password)
        self._reader = WazoSource(settings_from(simulator.url, options))
        self._behaviour = behaviour
        self.breakers: dict[str, Callable[[], None]] = {
            "bus": self._break_bus,
            "stack": lambda: _restart(simulator),
            "requests": self._break_requests,
            "a list": self._break_list,
        }
        self.digests: set[str] = set()
        self.tenant: Tenant
        self._note()
        for _ in range(20):
            self.edit()

    def edit(self) -> None:
        """Changes one thing."""
        rng, platform, number = self._rng, self._platform, self._rng.choice(self._permissions)
        members: list[tuple[str, str | int]] = [("users", ALICE), ("users", BOB)]
        members += [("groups", self._group), ("outcalls", int(self.outcall))]
        kind, member = rng.choice(members)
        user = rng.choice([ALICE, BOB])
        extensions = rng.sample(PATTERNS, rng.randint(1, 3))
        edits: list[Callable[[], object]] = [
            partial(platform.associate, number, kind, member),
            partial(platform.dissociate, number, kind, member),
            partial(platform.edit_group, self._group, enabled=rng.random() < 0.8),
            partial(platform.set_members, self._group, rng.sample([ALICE, BOB], rng.randint(0, 2))),
            partial(platform.set_groups, user, rng.sample([self._group], rng.randint(0, 1))),
            partial(platform.end_line, user),
            partial(platform.edit_user, user, call_permission_password=rng.choice([None, "42"])),
            partial(platform.edit_permission, number, password=rng.choice([None, "4711"])),
            partial(platform.edit_permission, number, mode=rng.choice(["allow", "deny"]), extensions=extensions),
        ]
        rng.choice(edits)()
        self._note()

    def close(self) -> None:
        """Gives its session back."""
        self._reader.close()

    def _note(self) -> None:
        """Remembers the state that there is now."""
        self.tenant = next(tenant for tenant in self._reader.read().tenants if tenant.uuid == ACME)
        self.digests.add(digest_of(self.tenant))

    def _tell(self, event: dict[str, Any]) -> None:
        """As Wazo does: an event that its bus does not take is lost."""
        with contextlib.suppress(pika.exceptions.AMQPError, OSError):
            self._broker.publish(event)

    def _break_requests(self) -> None:
        """The next ones fail, each in another way, whoever makes them."""
        self._behaviour.failures += self._rng.sample(["500", "503", "truncate", "drop"], 3)
        self.edit()

    def _break_list(self) -> None:
        """wazo-confd fails at a list for a while, as a row whose user is gone makes it."""
        number = self._rng.choice(self._permissions)
        self._platform.dangle_permission(number)
        self._platform.edit_permission(number, description="edited while it cannot be read")
        time.sleep(0.3)
        self._platform.dangle_permission(number, mended=True)
        self._note()

    def _break_bus(self) -> None:
        self._broker.kill()
        self.edit()
        self._broker.start()


def _restart(simulator: WazoSimulator) -> None:
    simulator.stop()
    time.sleep(0.3)
    simulator.start()


def digest_of(tenant: Tenant) -> str:
    """As revisions show it."""
    return content_digest(tenant, secret=KEY.encode(), password_override=PasswordOverride.ALL)[:12]


class Fleet:
    """Two loaders, two servers and a Redis, each of which may die at any time."""

    def __init__(self, source: Files | Wazo, state: Path, redis: RedisServer) -> None:
        self._source = source
        self._redis = redis
        self._ports = [free_port(), free_port()]
        variables = {"RIGHTCALL_SECRET_KEY": KEY, **source.variables}
        common = ("--redis", redis.url, "--recheck", "0.5", "--http", "none")
        self._starters: dict[str, Callable[[], Program]] = {}
        for number, port in enumerate(self._ports):
            loader = ("load", *source.loader, "--name", f"loader {number}", *common)
            self._starters[f"loader {number}"] = partial(Program, *loader, **variables)
            server = ("serve", "--listen", f"127.0.0.1:{port}", "--state-dir", str(state / str(number)), *common)
            self._starters[f"server {number}"] = partial(Program, *server, **variables)
        self._running = {name: start() for name, start in self._starters.items()}
        self._clients = [Client(f"127.0.0.1:{port}") for port in self._ports]
        self.revisions: set[str] = set()

    def kill(self, name: str) -> None:
        """``kill -9`` and, as a supervisor would, a new start."""
        if name in self._source.breakers:
            self._source.breakers[name]()
        elif name == "redis":
            self._redis.kill()
            time.sleep(0.3)
            self._redis.start()
        else:
            self._running[name].__exit__()
            self._running[name] = self._starters[name]()

    def names(self) -> list[str]:
        """What can be killed or broken."""
        return [*self._starters, "redis", *self._source.breakers]

    def ask(self, caller: str, extension: str, outcall: str) -> list[tuple[str, str]]:
        """Each server's decision and stage; those that do not answer are left out."""
        answers = []
        for client in self._clients:
            with contextlib.suppress(RightcallError):
                answer = client.check(caller=caller, extension=extension, outcall=outcall, tenant=ACME)
                self.revisions.add(answer.revision.partition("-")[2])
                answers.append((answer.decision.name, answer.stage.name))
        return answers

    def agrees(self) -> bool:
        """Whether both servers answer every question as the oracle does."""
        tenant = self._source.tenant
        for caller in (ALICE, BOB, ""):
            for extension in EXTENSIONS:
                for outcall in (self._source.outcall, ""):
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


def unleash(source: Files | Wazo, rng: random.Random, state: Path) -> None:
    """Edits, kills and breaks for a while, then looks whether all is as the source says."""
    with RedisServer() as redis:
        fleet = Fleet(source, state, redis)
        try:
            until(fleet.agrees, "both servers have the first rules")
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                act = rng.random()
                if act < 0.5:
                    source.edit()
                elif act < 0.7:
                    fleet.kill(rng.choice(fleet.names()))
                fleet.ask(rng.choice([ALICE, BOB, ""]), rng.choice(EXTENSIONS), rng.choice([source.outcall, ""]))
                time.sleep(rng.uniform(0, 0.2))
            try:
                until(fleet.agrees, f"all is as the source says (seed {SEED})", deadline=60)
            except AssertionError as error:
                error.add_note(str(fleet))
                raise
            assert fleet.revisions <= source.digests
        finally:
            fleet.stop()


def test_whatever_is_killed_the_last_edit_of_a_file_is_decided_by_in_the_end(tmp_path: Path) -> None:
    """And no answer ever came from rules that never existed."""
    rng = random.Random(SEED)
    unleash(Files(tmp_path / "rules.json", rng), rng, tmp_path / "state")


def test_whatever_is_killed_the_last_edit_in_wazo_is_decided_by_in_the_end(tmp_path: Path) -> None:
    """Likewise, with the stack and its bus among what is killed."""
    rng = random.Random(SEED)
    with RabbitmqServer() as broker, WazoSimulator(WazoPlatform()) as simulator:
        source = Wazo(simulator, broker, rng)
        try:
            unleash(source, rng, tmp_path / "state")
        finally:
            source.close()
