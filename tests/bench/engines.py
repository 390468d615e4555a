"""The same decisions by other ways of matching, by size of the rule set.

- *regex*: every pattern of the tenant as a regular expression, compiled beforehand, one after the other.
- *re2*: all patterns in one set of google-re2, which finds those that match in one pass.
- *wazo*: what Wazo's agid does for each call: it reads every pattern from PostgreSQL, translates and tries each of
  them in turn, and asks for the caller's permissions. Here the connection stays open; agid makes a new one for each
  call. *wazo, memory* is the same without a database.
- *rightcall*: ``Snapshot.decide``.

All of them answer the same calls, and ``measure`` fails where they disagree.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

import asyncpg
import re2  # type: ignore[import-untyped] # it has no types
from postgres_server import PostgresServer
from postgres_tables import WazoDatabase

from bench.workload import make_workload
from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Decision, Mode, Revision
from pdp.rules.snapshot.snapshot import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.parts import Options
    from bench.workload import Call, Workload
    from pdp.rules.model import CallPermission, Tenant

SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
QUICK_SIZES: Final = (10, 100)
AGREED: Final = 20
"""Calls on which all engines must agree before anything is timed."""
_SECONDS: Final = 2.0
"""Of each measurement; at least three calls are made."""
_FEWEST: Final = 3
_CHUNK: Final = 100
_CHUNKED_BELOW: Final = 20e-6

Results: TypeAlias = "dict[str, dict[str, float]]"
"""By engine and number of permissions: seconds of a decision, the median."""
Decide: TypeAlias = "Callable[[Call], Decision]"


class Memberships(NamedTuple):
    """Which permissions apply to whom, by id."""

    permissions: dict[int, CallPermission]
    users: dict[str, set[int]]
    groups: dict[str, set[int]]
    outcalls: dict[str, set[int]]

    @classmethod
    def of(cls, tenant: Tenant) -> Memberships:
        """Those of a tenant."""
        users: dict[str, set[int]] = {}
        groups: dict[str, set[int]] = {}
        outcalls: dict[str, set[int]] = {}
        members = {group.id: group.users for group in tenant.groups if group.enabled}
        for permission in tenant.call_permissions:
            for user in permission.users:
                users.setdefault(user, set()).add(permission.id)
            for group in permission.groups:
                for user in members.get(group, ()):
                    groups.setdefault(user, set()).add(permission.id)
            for outcall in permission.outcalls:
                outcalls.setdefault(outcall, set()).add(permission.id)
        permissions = {permission.id: permission for permission in tenant.call_permissions}
        return cls(permissions, users, groups, outcalls)

    def decide(self, call: Call, matching: Iterable[int]) -> Decision:
        """The decision on a call whose extension these permissions match."""
        found = {number for number in matching if self.permissions[number].enabled}
        stages = self.users.get(call.caller), self.groups.get(call.caller), self.outcalls.get(call.outcall)
        for stage in stages:
            if deciding := found & (stage or set()):
                return decision([self.permissions[number] for number in deciding])
        return Decision.ALLOW


def decision(permissions: Sequence[CallPermission]) -> Decision:
    """What the matching permissions of a stage come to."""
    if any(permission.mode is Mode.ALLOW for permission in permissions):
        return Decision.ALLOW
    free = any(permission.password is None for permission in permissions)
    return Decision.DENY if free else Decision.CHALLENGE


def expression(pattern: str) -> str:
    """A pattern as a regular expression, the way Wazo translates it."""
    text = pattern.replace("_", "").replace("*", r"\*").replace("+", r"\+").replace(".", ".+").replace("!", ".*")
    return text.replace("X", "[0-9]").replace("Z", "[1-9]").replace("N", "[2-9]")


def regex_engine(tenant: Tenant) -> Decide:
    """One expression a pattern, tried one after the other."""
    memberships = Memberships.of(tenant)
    tried = [
        (re.compile(expression(text)).fullmatch, permission.id)
        for permission in tenant.call_permissions
        for text in permission.extensions
    ]
    return lambda call: memberships.decide(call, [number for matches, number in tried if matches(call.extension)])


def re2_engine(tenant: Tenant) -> Decide:
    """One set of all patterns.

    Raises:
        MemoryError: it does not compile.
    """
    memberships = Memberships.of(tenant)
    options = re2.Options()
    options.max_mem = 8 << 30
    together, numbers = re2.Set.FullMatchSet(options), []
    for permission in tenant.call_permissions:
        for text in permission.extensions:
            together.Add(expression(text))
            numbers.append(permission.id)
    together.Compile()
    return lambda call: memberships.decide(call, [numbers[at] for at in together.Match(call.extension) or ()])


def wazo_memory_engine(tenant: Tenant) -> Decide:
    """What agid does with what it has read: every pattern is translated and tried, for every call."""
    memberships = Memberships.of(tenant)
    rows = [(permission.id, text) for permission in tenant.call_permissions for text in permission.extensions]
    return lambda call: memberships.decide(call, _tried(rows, call.extension))


class WazoEngine:
    """What agid does, with a real PostgreSQL; as a context manager, which has the connection.

    Args:
        server: where the tables are made.
        tenant: what is put into them.
    """

    def __init__(self, server: PostgresServer, tenant: Tenant) -> None:
        database = WazoDatabase(server, f"wazo_{len(tenant.call_permissions)}", names=False)
        # Wazo takes no pattern of more than 40 characters; a few of the mix are longer.
        database.execute("ALTER TABLE rightcallexten ALTER COLUMN exten TYPE text")
        self._users = {user.uuid: number for number, user in enumerate(tenant.users, 1)}
        _fill(database, tenant, self._users)
        database.execute("ANALYZE")
        self._runner = asyncio.Runner()
        self._connection: Any = self._runner.run(asyncpg.connect(database.url, ssl=False))

    def decide(self, call: Call) -> Decision:
        """Decides a call."""
        return self._runner.run(self._decide(call))

    async def _decide(self, call: Call) -> Decision:
        fetch = self._connection.fetch
        matching = _tried(await fetch("SELECT rightcallid, exten FROM rightcallexten"), call.extension)
        user = self._users.get(call.caller, 0)
        groups = [str(row[0]) for row in await fetch(_GROUPS, user)]
        for kind, values in (("user", [str(user)]), ("group", groups), ("outcall", [call.outcall])):
            if found := await fetch(_DECIDING, kind, values, matching):
                return _decided(found)
        return Decision.ALLOW

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection."""
        self._runner.run(self._connection.close())
        self._runner.close()


_GROUPS: Final = """
SELECT groupfeatures.id FROM groupfeatures JOIN queuemember ON queue_name = groupfeatures.name
    JOIN queue ON queue.name = queue_name
WHERE usertype = 'user' AND userid = $1 AND queue.category = 'group' AND queuemember.commented = 0
    AND queue.commented = 0"""
_DECIDING: Final = """
SELECT "authorization", passwd FROM rightcall JOIN rightcallmember ON rightcallid = rightcall.id
WHERE commented = 0 AND type = $1 AND typeval = ANY($2::text[]) AND rightcall.id = ANY($3::int[])"""


def _tried(rows: Iterable[Any], extension: str) -> list[int]:
    """The permissions that match, by every pattern in turn, each of which is translated anew."""
    return [number for number, text in rows if re.match(f"^{expression(text)}$", extension)]


def _decided(rows: Iterable[Any]) -> Decision:
    found = [(bool(allowed), password) for allowed, password in rows]
    if any(allowed for allowed, _ in found):
        return Decision.ALLOW
    return Decision.CHALLENGE if all(password for _, password in found) else Decision.DENY


def _fill(database: WazoDatabase, tenant: Tenant, users: dict[str, int]) -> None:
    rules = tenant.call_permissions
    database.insert("tenant", "uuid", [(tenant.uuid,)])
    database.insert(
        "userfeatures", "id uuid tenant_uuid", [(number, user, tenant.uuid) for user, number in users.items()]
    )
    groups = [(int(group.id), tenant.uuid, group.name, group.name) for group in tenant.groups]
    database.insert("groupfeatures", "id tenant_uuid name label", groups)
    database.insert("queue", "name category", [(group.name, "group") for group in tenant.groups])
    members = [
        (group.name, f"PJSIP/{user}", "user", users[user], "group") for group in tenant.groups for user in group.users
    ]
    database.insert("queuemember", "queue_name interface usertype userid category", members)
    rights = [
        (p.id, tenant.uuid, p.name, p.password or "", int(p.mode is Mode.ALLOW), int(not p.enabled)) for p in rules
    ]
    database.insert("rightcall", "id tenant_uuid name passwd authorization commented", rights)
    patterns = [(permission.id, text) for permission in rules for text in permission.extensions]
    database.insert("rightcallexten", "rightcallid exten", patterns)
    bound = [(p.id, "user", str(users[user])) for p in rules for user in p.users]
    bound += [(p.id, "group", group) for p in rules for group in p.groups]
    bound += [(p.id, "outcall", outcall) for p in rules for outcall in p.outcalls]
    database.insert("rightcallmember", "rightcallid type typeval", bound)


def rightcall_engine(tenant: Tenant) -> Decide:
    """Ours."""
    snapshot = decode(Compiler().compile(tenant, Revision(1, "ab" * 32), compiled_at=1.5e9))
    return lambda call: snapshot.decide(*call).decision


def measure(options: Options) -> Results:
    """Every engine at every size that it can do."""
    results: Results = {}
    sizes = QUICK_SIZES if options.quick else [size for size in SIZES if size <= options.large]
    with PostgresServer() as postgres:
        for size in sizes:
            print(f"engines with {size:,} permissions …", flush=True)
            workload = make_workload(size)
            for name, seconds in _measure(workload, postgres).items():
                results.setdefault(name, {})[str(size)] = seconds
    return results


def lines(results: Results) -> list[str]:
    """The figures, a line an engine."""
    sizes = list(results["rightcall"])
    out = [f"{'µs a decision':16}" + "".join(f"{int(size):>14,}" for size in sizes)]
    for name, found in results.items():
        out.append(f"{name:16}" + "".join(f"{found[s] * 1e6:14,.1f}" if s in found else f"{'—':>14}" for s in sizes))
    return out


def engines(tenant: Tenant, postgres: PostgresServer, stack: ExitStack) -> dict[str, Decide]:
    """Each engine that can hold the tenant, by its name, until the stack is closed."""
    made: dict[str, Decide] = {"rightcall": rightcall_engine(tenant)}
    try:
        made["re2"] = re2_engine(tenant)
    except (MemoryError, re2.error) as error:
        print(f"re2 is left out: {error}", flush=True)
    made["regex"] = regex_engine(tenant)
    made["wazo, memory"] = wazo_memory_engine(tenant)
    made["wazo"] = stack.enter_context(WazoEngine(postgres, tenant)).decide
    return made


def agree(made: Mapping[str, Decide], calls: Iterable[Call]) -> None:
    """Asks all engines the same.

    Raises:
        AssertionError: they disagree, and what they take has no meaning.
    """
    for call in calls:
        answers = {name: decide(call) for name, decide in made.items()}
        if len(set(answers.values())) > 1:
            raise AssertionError(f"the engines disagree on {call}: {answers}")


def _measure(workload: Workload, postgres: PostgresServer) -> dict[str, float]:
    with ExitStack() as stack:
        made = engines(workload.tenant, postgres, stack)
        agree(made, workload.calls[: AGREED if len(workload.tenant.users) < SIZES[-1] else _FEWEST])
        return {name: _seconds(decide, workload.calls) for name, decide in made.items()}


def _seconds(decide: Decide, calls: Sequence[Call]) -> float:
    """The median of single calls; of hundreds of them where one is too short to be timed."""
    times: list[float] = []
    chunk, at = 1, 0
    deadline = time.perf_counter() + _SECONDS
    while len(times) < _FEWEST or time.perf_counter() < deadline:
        asked = calls[at : at + chunk]
        at = (at + chunk) % (len(calls) - _CHUNK)
        begun = time.perf_counter()
        for call in asked:
            decide(call)
        times.append((time.perf_counter() - begun) / chunk)
        if chunk == 1 and len(times) == _FEWEST and max(times) < _CHUNKED_BELOW * _CHUNK:
            chunk, times = _CHUNK, []
    return statistics.median(times)
