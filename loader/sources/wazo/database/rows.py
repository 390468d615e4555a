"""From the tables of a Wazo Platform to the definitions format.

Values are passed on unchanged, right or wrong: the check of definitions reports faults. Lists are sorted, since a table
has no order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from loader.sources.wazo.database.changes import sums_by_tenant
from loader.sources.wazo.database.url import wanted_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from asyncpg import Record

    from loader.sources.values import RawTenant
    from loader.sources.wazo.database.changes import Database, Sums


TABLES: Final = (
    "tenant",
    "auth_tenant",
    "userfeatures",
    "groupfeatures",
    "queue",
    "queuemember",
    "outcall",
    "rightcall",
    "rightcallexten",
    "rightcallmember",
)
"""Everything that is read."""

_FETCH: Final = "FETCH FORWARD 5000 FROM rows_to_read"
_ALL_ROWS: Final = "SET LOCAL cursor_tuple_fraction = 1"
"""By default the planner optimises a cursor for the first tenth of the rows, not for all."""

# wazo-auth, which knows the names of tenants, has tables in the same database by default.
HAS_NAMES: Final = """
    SELECT coalesce(has_column_privilege(to_regclass('auth_tenant')::oid, 'uuid', 'SELECT')
                AND has_column_privilege(to_regclass('auth_tenant')::oid, 'name', 'SELECT'), false)"""
_TENANTS: Final = "SELECT uuid::text AS uuid, '' AS name FROM tenant ORDER BY 1"
# If present, its tenants are the existing ones: wazo-confd keeps a deleted one until the event arrives.
_NAMED_TENANTS: Final = "SELECT uuid::text AS uuid, coalesce(name, '') AS name FROM auth_tenant ORDER BY 1"
_HAS_USER_NAMES: Final = """
    SELECT has_column_privilege('userfeatures'::regclass, 'firstname', 'SELECT')
       AND has_column_privilege('userfeatures'::regclass, 'lastname', 'SELECT')"""

# In each of these, $1 are the tenants to read.
_USERS: Final = """
    SELECT tenant_uuid::text AS tenant, uuid::text AS uuid, id, nullif(rightcallcode, '') AS password, {name} AS name
    FROM userfeatures WHERE tenant_uuid::text = ANY($1) ORDER BY userfeatures.uuid::text COLLATE "C" """
_USER_NAME: Final = "concat_ws(' ', nullif(firstname, ''), nullif(lastname, ''))"
_GROUPS: Final = """
    SELECT g.tenant_uuid::text AS tenant, g.id, coalesce(nullif(g.label, ''), g.name) AS name,
           coalesce(q.commented = 0, false) AS enabled
    FROM groupfeatures AS g LEFT JOIN queue AS q ON q.name = g.name AND q.category = 'group'
    WHERE g.tenant_uuid::text = ANY($1) ORDER BY g.id"""
# One who has two lines is in a group twice; an extension that is a member has no user.
_GROUP_MEMBERS: Final = """
    SELECT DISTINCT g.id AS group, u.uuid::text COLLATE "C" AS user
    FROM queuemember AS m
    JOIN groupfeatures AS g ON g.name = m.queue_name
    JOIN userfeatures AS u ON u.id = m.userid
    WHERE m.category = 'group' AND m.usertype = 'user' AND m.commented = 0 AND g.tenant_uuid::text = ANY($1)
    ORDER BY 1, 2"""
_OUTCALLS: Final = """
    SELECT tenant_uuid::text AS tenant, id, name FROM outcall WHERE tenant_uuid::text = ANY($1) ORDER BY id"""
_PERMISSIONS: Final = """
    SELECT tenant_uuid::text AS tenant, id, name, nullif(passwd, '') AS password,
           CASE WHEN "authorization" = 1 THEN 'allow' ELSE 'deny' END AS mode, commented = 0 AS enabled,
           coalesce(description, '') AS description
    FROM rightcall WHERE tenant_uuid::text = ANY($1) ORDER BY id"""
_EXTENSIONS: Final = """
    SELECT e.rightcallid AS permission, e.exten
    FROM rightcallexten AS e JOIN rightcall AS r ON r.id = e.rightcallid
    WHERE r.tenant_uuid::text = ANY($1) ORDER BY 1, e.exten COLLATE "C" """
# Users, groups and outcalls of every tenant: an association with another tenant's is no leftover of a deletion.
_ASSOCIATIONS: Final = """
    SELECT m.rightcallid AS permission, m.type::text AS type, m.typeval,
           coalesce(u.uuid::text, g.id::text, o.id::text) AS reference
    FROM rightcallmember AS m
    JOIN rightcall AS r ON r.id = m.rightcallid
    LEFT JOIN userfeatures AS u ON m.type = 'user' AND u.id::text = m.typeval
    LEFT JOIN groupfeatures AS g ON m.type = 'group' AND g.id::text = m.typeval
    LEFT JOIN outcall AS o ON m.type = 'outcall' AND o.id::text = m.typeval
    WHERE r.tenant_uuid::text = ANY($1) AND m.type::text IN ('user', 'group', 'outcall')
    ORDER BY 1, 2, coalesce(u.uuid::text, g.id::text, o.id::text) COLLATE "C", m.typeval """
_LISTS: Final = {"user": "users", "group": "groups", "outcall": "outcalls"}


@dataclass(frozen=True, slots=True)
class Leftover:
    """An association with a removed item: no foreign key removes the association as well.

    Attributes:
        tenant: the permission's tenant.
        permission: the permission's id.
        name: the permission's name.
        what: the associated item, as in ``user 17``; the number is the database's.
    """

    tenant: RawTenant = field(repr=False)
    permission: int
    name: str
    what: str


@dataclass(frozen=True, slots=True, repr=False)
class Fetched:
    """The content of the tables, passwords included.

    Attributes:
        tenants: in the definitions format, by UUID as in the database.
        leftovers: the associations left out.
        unknown: the wanted tenants that do not exist.
        sums: see ``sums_by_tenant``; of tenants that need not exist.
    """

    tenants: dict[str, RawTenant] = field(default_factory=dict)
    leftovers: list[Leftover] = field(default_factory=list)
    unknown: tuple[str, ...] = ()
    sums: Sums = field(default_factory=dict)


async def fetch(database: Database, wanted: frozenset[str], last: Fetched | None = None) -> Fetched:
    """Reads the tables in one transaction, so that all agree with each other.

    Args:
        database: within such a transaction.
        wanted: UUIDs or names of tenants; empty: all.
        last: the content before; tenants whose rows have the same sums are taken from there. None: all are read.

    Raises:
        asyncpg.PostgresError: a statement failed.
        OSError: the connection was lost.
    """
    await database.execute(_ALL_ROWS)
    user_names = bool(await database.fetchval(_HAS_USER_NAMES))
    there, unknown = await _fetch_tenants(database, wanted)
    sums = await sums_by_tenant(database, user_names=user_names)
    same = last.tenants.keys() & there if last else set[str]()
    same = {uuid for uuid in same if last and last.sums.get(uuid) == sums.get(uuid)}
    tenants = {uuid: _tenant(row) for uuid, row in there.items() if uuid not in same}
    fetched = Fetched(tenants, unknown=unknown, sums=sums)
    chosen = list(tenants)
    async for row in _rows(database, _USERS.format(name=_USER_NAME if user_names else "''"), chosen):
        user = {"uuid": row["uuid"], "id": row["id"], "name": row["name"], "call_permission_password": row["password"]}
        tenants[row["tenant"]]["users"].append(user)
    await _fetch_groups(database, tenants)
    async for outcall in _rows(database, _OUTCALLS, chosen):
        tenants[outcall["tenant"]]["outcalls"].append({"id": str(outcall["id"]), "name": outcall["name"]})
    await _fetch_permissions(database, fetched)
    if last:
        kept = {uuid: {**last.tenants[uuid], "name": there[uuid]["name"]} for uuid in same}
        leftovers = [each for each in last.leftovers if each.tenant["uuid"] in same]
        every = {uuid: tenants[uuid] if uuid in tenants else kept[uuid] for uuid in there}
        return replace(fetched, tenants=every, leftovers=[*fetched.leftovers, *leftovers])
    return fetched


async def _fetch_tenants(database: Database, wanted: frozenset[str]) -> tuple[dict[str, Record], tuple[str, ...]]:
    """The wanted tenants, and what is wanted and not there."""
    rows = await database.fetch(_NAMED_TENANTS) if await database.fetchval(HAS_NAMES) else []
    rows = rows or await database.fetch(_TENANTS)  # wazo-auth has a tenant of its own: none means elsewhere
    tenants = {row["uuid"]: row for row in rows if not wanted or not wanted.isdisjoint(_called(row))}
    known = {called for row in rows for called in _called(row)}
    return tenants, tuple(sorted(wanted - known))


def _called(row: Record) -> Iterable[str]:
    return wanted_tenant(row["uuid"]), wanted_tenant(row["name"])


def _tenant(row: Record) -> RawTenant:
    return {**row, "users": [], "groups": [], "outcalls": [], "call_permissions": []}


async def _fetch_groups(database: Database, tenants: dict[str, RawTenant]) -> None:
    groups: dict[int, dict[str, Any]] = {}
    async for row in _rows(database, _GROUPS, list(tenants)):
        group = {"id": str(row["id"]), "name": row["name"], "enabled": row["enabled"], "users": []}
        groups[row["id"]] = group
        tenants[row["tenant"]]["groups"].append(group)
    async for row in _rows(database, _GROUP_MEMBERS, list(tenants)):
        groups[row["group"]]["users"].append(row["user"])


async def _fetch_permissions(database: Database, fetched: Fetched) -> None:
    permissions: dict[int, tuple[RawTenant, dict[str, Any]]] = {}
    chosen = list(fetched.tenants)
    async for row in _rows(database, _PERMISSIONS, chosen):
        permission = {key: row[key] for key in ("id", "name", "mode", "password", "enabled", "description")}
        permission |= {"extensions": [], "users": [], "groups": [], "outcalls": []}
        tenant = fetched.tenants[row["tenant"]]
        tenant["call_permissions"].append(permission)
        permissions[row["id"]] = tenant, permission
    async for row in _rows(database, _EXTENSIONS, chosen):
        permissions[row["permission"]][1]["extensions"].append(row["exten"])
    async for row in _rows(database, _ASSOCIATIONS, chosen):
        tenant, permission = permissions[row["permission"]]
        if row["reference"] is None:
            what = f"{row['type']} {row['typeval']}"
            fetched.leftovers.append(Leftover(tenant, permission["id"], permission["name"], what))
        else:
            permission[_LISTS[row["type"]]].append(row["reference"])


async def _rows(database: Database, query: str, chosen: list[str]) -> AsyncIterator[Record]:
    """The rows of a query, through a cursor of the server's, so that neither side holds all rows.

    The client's own cursors are prepared statements, which a pooler may keep for another client.
    """
    await database.execute(f"DECLARE rows_to_read NO SCROLL CURSOR FOR {query}", chosen)
    while rows := await database.fetch(_FETCH):
        for row in rows:
            yield row
    await database.execute("CLOSE rows_to_read")
