"""How long until a server decides by an edit of one permission of many, with Redis on the same machine.

From when a loader has read the edit, as from a bus or a watched file: it digests, compiles and publishes, the server
fetches, checks and opens it, and is asked until it answers by the edit. The loader is in this process, which has the
client's core; the server has the other one.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from given import GivenSource
from redis_server import RedisServer
from waiting import until

from bench.cached import KEY
from bench.clients import on_the_clients_core
from bench.serving import serving
from bench.workload import make_workload
from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from pdp.rules.model import CallPermission, Mode, PasswordOverride
from pdp.rules.publication.keys import without_credentials
from rightcall import v1
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from bench.parts import Options
    from pdp.rules.model import Tenant

EDITS: Final = 100
_DEADLINE: Final = 120.0

Results: TypeAlias = "dict[str, float]"
"""Seconds: of the p50, the p99 and the most of ``published`` and ``decided``."""


class Editor(NamedTuple):
    """A tenant, and somebody in it whom each edit forbids another number.

    Attributes:
        tenant: as it is.
        at: which of its permissions is edited.
    """

    tenant: Tenant
    at: int

    @classmethod
    def of(cls, tenant: Tenant) -> Editor:
        """One of a tenant; the permission is one of a user's own."""
        at = next(i for i, p in enumerate(tenant.call_permissions) if p.users and p.enabled and i > 0)
        return cls(tenant, at)

    @property
    def caller(self) -> str:
        """Whom the edits concern."""
        return self.tenant.call_permissions[self.at].users[0]

    def edited(self, extension: str) -> Tenant:
        """The tenant with a permission that denies this one."""
        rules = list(self.tenant.call_permissions)
        old = rules[self.at]
        rules[self.at] = CallPermission(old.id, old.name, Mode.DENY, extensions=(extension,), users=old.users)
        return dataclasses.replace(self.tenant, call_permissions=tuple(rules))


def measure(options: Options) -> Results:
    """One edit after the other."""
    editor = Editor.of(make_workload(options.permissions).tenant)
    source = GivenSource(editor.edited(_number(0)))
    published: list[float] = []
    decided: list[float] = []
    with on_the_clients_core(), RedisServer() as redis, open_redis(redis.url) as client:
        publisher = RedisPublisher(client, without_credentials(redis.url), secret=KEY)
        loader = Synchronizer(source, publisher, secret=KEY, password_override=PasswordOverride.ALL)
        loader.sync()
        with serving("--redis", redis.url) as server, server.channel() as channel:
            stub = v1.DecisionServiceStub(channel)
            for number in range(1, (EDITS if not options.quick else 5) + 1):
                source.tenants = (editor.edited(_number(number)),)
                begun = time.perf_counter()
                loader.sync()
                published.append(time.perf_counter() - begun)
                _await_denied(stub, v1.CheckCallRequest(caller=editor.caller, extension=_number(number)))
                decided.append(time.perf_counter() - begun)
    return _cuts("published", published) | _cuts("decided", decided) | {"edits": float(len(decided))}


def lines(results: Results) -> list[str]:
    """The figures."""
    times = {
        what: "".join(f"{results[f'{what}_{cut}'] * 1e3:10.0f}" for cut in ("p50", "p99", "most"))
        for what in ("published", "decided")
    }
    return [
        f"{results['edits']:.0f} edits, ms{'':14}{'p50':>10}{'p99':>10}{'most':>10}",
        f"{'published':27}{times['published']}",
        f"{'decided':27}{times['decided']}",
    ]


def _number(edit: int) -> str:
    """What an edit forbids; no pattern of the workload is so long."""
    return f"99{edit:018}"


def _await_denied(stub: v1.DecisionServiceStub, question: v1.CheckCallRequest) -> None:
    """Asks until it is answered by the edit."""

    def denied() -> bool:
        return stub.CheckCall(question, timeout=_DEADLINE).decision == v1.Decision.DECISION_DENY

    until(denied, "the server has the edit", deadline=_DEADLINE)


def _cuts(what: str, times: list[float]) -> Results:
    ordered = sorted(times)
    return {
        f"{what}_p50": statistics.median(ordered),
        f"{what}_p99": ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)],
        f"{what}_most": ordered[-1],
    }
