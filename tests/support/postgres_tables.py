"""The tables of a Wazo Platform that rules come from, and definitions written into them.

The columns are those that the rules depend on, with the types and constraints that Wazo gives them, and some of the
others that must have a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from postgres_server import PostgresServer

TABLES: Final = """
CREATE TYPE queue_category AS ENUM ('group', 'queue');
CREATE TYPE queuemember_usertype AS ENUM ('agent', 'user');
CREATE TABLE tenant (uuid varchar(36) PRIMARY KEY);
CREATE TABLE userfeatures (
    id serial PRIMARY KEY, uuid varchar(38) NOT NULL UNIQUE, tenant_uuid varchar(36) NOT NULL REFERENCES tenant(uuid),
    firstname varchar(128) NOT NULL DEFAULT '', lastname varchar(128) NOT NULL DEFAULT '',
    passwdclient varchar(64) NOT NULL DEFAULT '', rightcallcode varchar(16),
    commented integer NOT NULL DEFAULT 0);
CREATE TABLE groupfeatures (
    id serial PRIMARY KEY, uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    tenant_uuid varchar(36) NOT NULL REFERENCES tenant(uuid), name varchar(128) NOT NULL, label text NOT NULL);
CREATE TABLE queue (
    name varchar(128) PRIMARY KEY, category queue_category NOT NULL, commented integer NOT NULL DEFAULT 0);
CREATE TABLE queuemember (
    queue_name varchar(128), interface varchar(128), commented integer NOT NULL DEFAULT 0,
    usertype queuemember_usertype NOT NULL, userid integer NOT NULL, channel varchar(25) NOT NULL DEFAULT 'SIP',
    category queue_category NOT NULL, position integer NOT NULL DEFAULT 0, PRIMARY KEY (queue_name, interface));
CREATE TABLE outcall (
    id serial PRIMARY KEY, tenant_uuid varchar(36) NOT NULL REFERENCES tenant(uuid), name varchar(128) NOT NULL,
    commented integer NOT NULL DEFAULT 0, UNIQUE (name, tenant_uuid));
CREATE TABLE rightcall (
    id serial PRIMARY KEY, tenant_uuid varchar(36) NOT NULL REFERENCES tenant(uuid), name varchar(128) NOT NULL,
    passwd varchar(40) NOT NULL DEFAULT '', "authorization" integer NOT NULL DEFAULT 0,
    commented integer NOT NULL DEFAULT 0, description text, UNIQUE (name, tenant_uuid));
CREATE TABLE rightcallexten (
    id serial PRIMARY KEY, rightcallid integer NOT NULL REFERENCES rightcall(id),
    exten varchar(40) NOT NULL DEFAULT '', UNIQUE (rightcallid, exten));
CREATE TABLE rightcallmember (
    id serial PRIMARY KEY, rightcallid integer NOT NULL DEFAULT 0, type varchar(64) NOT NULL,
    typeval varchar(128) NOT NULL DEFAULT '0', UNIQUE (rightcallid, type, typeval),
    CHECK (type IN ('group', 'outcall', 'user')));
"""
NAMES: Final = (
    "CREATE TABLE auth_tenant (uuid varchar(38) PRIMARY KEY, name text, slug varchar(10) NOT NULL DEFAULT '');"
)


class WazoDatabase:
    """A database with Wazo's tables.

    Args:
        server: where it is made.
        name: what it is called.
        names: whether wazo-auth's table of tenants is in it too.
    """

    def __init__(self, server: PostgresServer, name: str, *, names: bool = True) -> None:
        self.server = server
        self.name = name
        self.url = server.url(name)
        self._users: dict[str, int] = {}
        self._names = names
        server.execute(f"CREATE DATABASE {name}")
        self.execute(TABLES + (NAMES if names else ""))

    def execute(self, sql: str, *arguments: object) -> None:
        """Runs a statement."""
        self.server.execute(sql, *arguments, database=self.name)

    def clear(self) -> None:
        """Removes everything that was written."""
        self.execute("TRUNCATE tenant, queue, queuemember, rightcallmember RESTART IDENTITY CASCADE")
        if self._names:
            self.execute("TRUNCATE auth_tenant")
        self._users.clear()

    def fill(self, tenants: Iterable[Mapping[str, Any]]) -> None:
        """Writes tenants in the definitions format, every key of which is there or has its default."""
        for tenant in tenants:
            self._tenant(tenant)

    def insert(self, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Puts rows into a table; ``columns`` are separated by spaces."""
        self.server.insert(table, columns, list(rows), database=self.name)

    def _tenant(self, tenant: Mapping[str, Any]) -> None:
        uuid = tenant["uuid"]
        self.insert("tenant", "uuid", [(uuid,)])
        if self._names:
            self.insert("auth_tenant", "uuid name", [(uuid, tenant.get("name", ""))])
        users = tenant.get("users", [])
        numbers = enumerate(users, len(self._users) + 1)
        self._users |= {user["uuid"]: user.get("id", number) for number, user in numbers}
        rows = [
            (self._users[user["uuid"]], user["uuid"], uuid, user.get("name", ""), user.get("call_permission_password"))
            for user in users
        ]
        self.insert("userfeatures", "id uuid tenant_uuid firstname rightcallcode", rows)
        for group in tenant.get("groups", []):
            self._group(uuid, group)
        outcalls = [(int(outcall["id"]), uuid, outcall.get("name", "")) for outcall in tenant.get("outcalls", [])]
        self.insert("outcall", "id tenant_uuid name", outcalls)
        self._permissions(uuid, tenant.get("call_permissions", []))

    def _group(self, tenant: str, group: Mapping[str, Any]) -> None:
        name = group.get("name", "")
        self.insert("groupfeatures", "id tenant_uuid name label", [(int(group["id"]), tenant, name, name)])
        self.insert("queue", "name category commented", [(name, "group", int(not group.get("enabled", True)))])
        members = [(name, f"PJSIP/{user}", "user", self._users[user], "group") for user in group.get("users", [])]
        self.insert("queuemember", "queue_name interface usertype userid category", members)

    def _permissions(self, tenant: str, permissions: Iterable[Mapping[str, Any]]) -> None:
        rightcalls: list[tuple[object, ...]] = []
        extensions: list[tuple[object, ...]] = []
        members: list[tuple[object, ...]] = []
        for each in permissions:
            allow, commented = int(each.get("mode") == "allow"), int(not each.get("enabled", True))
            password = each.get("password") or ""
            rightcalls.append((each["id"], tenant, each.get("name", ""), password, allow, commented))
            extensions += [(each["id"], extension) for extension in each.get("extensions", [])]
            members += [(each["id"], "user", str(self._users[user])) for user in each.get("users", [])]
            members += [(each["id"], "group", group) for group in each.get("groups", [])]
            members += [(each["id"], "outcall", outcall) for outcall in each.get("outcalls", [])]
        self.insert("rightcall", "id tenant_uuid name passwd authorization commented", rightcalls)
        self.insert("rightcallexten", "rightcallid exten", extensions)
        self.insert("rightcallmember", "rightcallid type typeval", members)
