"""Which tenants changed since the last reading: by sums of their rows, as ``watching`` sums up all rows.

So an edit costs one pass over the tables within the database, and the transfer of one tenant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from asyncpg import Connection, Record

    Database: TypeAlias = Connection[Record]

Sums: TypeAlias = dict[str, frozenset[str]]
"""By tenant, the numbers and sums of the rows of each kind, as texts."""

_OF_PERMISSION: Final = """
    SELECT r.tenant_uuid::text, '{table}', t.xmin::text::numeric FROM {table} AS t
    JOIN rightcall AS r ON r.id = t.rightcallid"""
_OF_TENANT: Final = "SELECT tenant_uuid::text, '{table}', xmin::text::numeric FROM {table}"
_OF_GROUP: Final = """
    SELECT g.tenant_uuid::text, '{table}', t.xmin::text::numeric FROM {table} AS t
    JOIN groupfeatures AS g ON g.name = t.{column} WHERE t.category = 'group'"""
_USERS: Final = """
    SELECT tenant_uuid::text AS tenant, 'userfeatures' AS kind,
           hashtextextended(concat_ws(' ', id, uuid, rightcallcode), 0)::numeric AS value
    FROM userfeatures"""
_NAMES: Final = """
    SELECT tenant_uuid::text, 'names', hashtextextended(concat_ws(' ', id, '/', firstname, '/', lastname), 0)::numeric
    FROM userfeatures"""
_PARTS: Final = (
    *(_OF_TENANT.format(table=table) for table in ("groupfeatures", "outcall", "rightcall")),
    _OF_GROUP.format(table="queue", column="name"),
    _OF_GROUP.format(table="queuemember", column="queue_name"),
    *(_OF_PERMISSION.format(table=table) for table in ("rightcallexten", "rightcallmember")),
)
_SUMS: Final = "SELECT tenant, kind, count(*) AS rows, sum(value) AS sum FROM ({parts}) AS parts GROUP BY tenant, kind"


async def sums_by_tenant(database: Database, *, user_names: bool) -> Sums:
    """The sums of the rows of each tenant that has any; they differ after a change of a tenant's own rows.

    Args:
        database: within a transaction that sees one state.
        user_names: whether the names of users may be read.
    """
    parts = (_USERS, *((_NAMES,) if user_names else ()), *_PARTS)
    found: dict[str, set[str]] = {}
    for row in await database.fetch(_SUMS.format(parts=" UNION ALL ".join(parts))):
        found.setdefault(row["tenant"], set()).add(f"{row['kind']} {row['rows']} {row['sum']}")
    return {tenant: frozenset(sums) for tenant, sums in found.items()}
