"""Rules from a Wazo Platform's database, against a real PostgreSQL."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from definitions import CONFORMANCE, tenants_from
from given import ACME, ALICE, BOB, BOLT
from postgres_server import PostgresServer, running_postgres
from postgres_tables import WazoDatabase

from loader.faults import Severity
from loader.sources.wazo.database.source import PostgresqlSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loader.sources.base import Reading


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this module."""
    yield from running_postgres()


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> WazoDatabase:
    """A database with Wazo's tables."""
    return WazoDatabase(postgres, "wazo")


@pytest.fixture
def empty(database: WazoDatabase) -> WazoDatabase:
    """The database with nothing in its tables."""
    database.clear()
    return database


@pytest.fixture
def wazo(empty: WazoDatabase) -> WazoDatabase:
    """The database with two tenants."""
    empty.fill([_acme(), _bolt()])
    return empty


def _bolt() -> dict[str, Any]:
    return {"uuid": BOLT, "name": "bolt", "users": [{"uuid": BOB, "id": 6}]}


def _acme() -> dict[str, Any]:
    return {
        "uuid": ACME,
        "name": "acme",
        "users": [{"uuid": ALICE, "id": 5, "call_permission_password": "4242"}],
        "groups": [{"id": "7", "name": "grp-sales", "users": [ALICE]}],
        "outcalls": [{"id": "3", "name": "world"}],
        "call_permissions": [
            {
                "id": 12,
                "name": "no-international",
                "password": "1234",
                "extensions": ["118", "_00."],
                "groups": ["7"],
                "outcalls": ["3"],
            }
        ],
    }


def _read(database: WazoDatabase, query: str = "") -> Reading:
    return PostgresqlSource(database.url + query).read()


def _problems(reading: Reading) -> list[str]:
    return [f"{fault.severity}: {fault}" for fault in reading.faults]


def test_what_was_written_into_the_tables_is_read(wazo: WazoDatabase) -> None:
    """Users, groups, outcalls, permissions and all that belongs to them come out as they went in."""
    reading = _read(wazo)
    assert tenants_from({"tenants": [_acme(), _bolt()]}) == reading.tenants
    assert [user.aliases for tenant in reading.tenants for user in tenant.users] == [("user:5",), ("user:6",)]
    assert ((), frozenset(), True) == (reading.faults, reading.faulty, reading.complete)


@pytest.mark.parametrize("suite", sorted(path.stem for path in CONFORMANCE.glob("*.json")))
def test_the_definitions_that_wazo_was_asked_about_come_out(empty: WazoDatabase, suite: str) -> None:
    """Those of the conformance cases, which were in such tables when Wazo gave its answers."""
    document = json.loads((CONFORMANCE / f"{suite}.json").read_text(encoding="utf-8"))["definitions"]
    empty.execute("ALTER TABLE rightcallexten ALTER exten TYPE varchar(128)")  # some patterns are longer than Wazo's
    for number, user in enumerate((user for tenant in document["tenants"] for user in tenant["users"]), 1):
        user["id"] = number
    empty.fill(document["tenants"])
    for tenant in document["tenants"]:
        _put_in_order(tenant)
    expected = sorted(tenants_from(document), key=lambda tenant: tenant.uuid)
    reading = _read(empty)
    assert tuple(expected) == reading.tenants
    assert not [fault for fault in reading.faults if fault.severity is Severity.ERROR]


def _put_in_order(tenant: dict[str, Any]) -> None:
    tenant["users"].sort(key=lambda user: user["uuid"])
    for key in ("groups", "outcalls", "call_permissions"):
        tenant[key].sort(key=lambda each: int(each["id"]))
    for each in tenant["groups"] + tenant["call_permissions"]:
        for key in {"extensions", "users", "groups", "outcalls"} & each.keys():
            each[key].sort()


def test_disabled_things_and_empty_passwords(wazo: WazoDatabase) -> None:
    """``commented`` disables permissions and groups, ``authorization`` allows, and an empty password is none."""
    wazo.execute("UPDATE rightcall SET commented = 1, \"authorization\" = 1, passwd = ''")
    wazo.execute("UPDATE queue SET commented = 1")
    wazo.execute("UPDATE userfeatures SET rightcallcode = '', commented = 1")
    acme = _read(wazo).tenants[0]
    permission = acme.call_permissions[0]
    assert (permission.mode, permission.enabled, permission.password) == ("allow", False, None)
    assert [group.enabled for group in acme.groups] == [False]
    assert [user.call_permission_password for user in acme.users] == [None]


def test_only_members_that_wazo_counts_are_members(wazo: WazoDatabase) -> None:
    """Not a disabled one, an agent, an extension, nor one of a queue; and one with two lines is a member once."""
    carol = "0b6e2f6c-58a9-4a5e-8a37-3f0a7b1c9d10"
    wazo.execute("INSERT INTO userfeatures (id, uuid, tenant_uuid) VALUES (50, $1, $2)", carol, ACME)
    for interface, commented, usertype, user, category in [
        ("Local/100@default", 0, "user", 0, "group"),
        ("PJSIP/off", 1, "user", 50, "group"),
        ("Agent/5", 0, "agent", 50, "group"),
        ("PJSIP/queue", 0, "user", 50, "queue"),
    ]:
        sql = "INSERT INTO queuemember (queue_name, interface, commented, usertype, userid, category)"
        values = f"'grp-sales', '{interface}', {commented}, '{usertype}', {user}, '{category}'"
        wazo.execute(f"{sql} VALUES ({values})")
    assert [group.users for group in _read(wazo).tenants[0].groups] == [(ALICE,)]
    wazo.execute("UPDATE queuemember SET commented = 0")
    wazo.execute(
        "INSERT INTO queuemember (queue_name, interface, usertype, userid, category) "
        "VALUES ('grp-sales', 'Local/101@default', 'user', 50, 'group')"
    )
    reading = _read(wazo)
    assert [(carol, ALICE)] == [group.users for group in reading.tenants[0].groups]
    assert reading.faults == ()


def test_a_group_without_its_queue_counts_as_disabled(wazo: WazoDatabase) -> None:
    """As in Wazo, where the check of a call joins the two."""
    wazo.execute("DELETE FROM queue")
    assert [group.enabled for group in _read(wazo).tenants[0].groups] == [False]


def test_one_bad_pattern_stops_its_tenant_alone(wazo: WazoDatabase) -> None:
    """Wazo admits patterns that mean nothing; here they are a fault that names tenant, permission and pattern."""
    wazo.execute("UPDATE rightcallexten SET exten = '_[1-' WHERE exten = '118'")
    reading = _read(wazo)
    assert [tenant.uuid for tenant in reading.tenants] == [BOLT]
    assert (frozenset({ACME}), True) == (reading.faulty, reading.complete)
    expected = "tenant acme, permission 12 (no-international): pattern '_[1-', character 2: '[' is never closed; "
    assert [f"error: {PostgresqlSource(wazo.url).name}: {expected}add the ']' or remove the '['"] == _problems(reading)


def test_a_password_that_cannot_be_dialled_is_a_fault_that_names_the_user(wazo: WazoDatabase) -> None:
    """There is no line to look at, so the fault says whose password it is; it does not say what it is."""
    wazo.execute("UPDATE userfeatures SET rightcallcode = 'secret' WHERE uuid = $1", ALICE)
    problems = _problems(_read(wazo))
    assert len(problems) == 1
    assert f"tenant acme: user {ALICE}: the password cannot be dialled" in problems[0]
    assert "'secret'" not in problems[0]


def test_an_association_with_something_deleted_is_a_warning(wazo: WazoDatabase) -> None:
    """Nothing in the schema removes it, and it has no effect in Wazo."""
    wazo.execute(
        "INSERT INTO rightcallmember (rightcallid, type, typeval) VALUES (12, 'user', '999'), (12, 'group', 'x')"
    )
    reading = _read(wazo)
    assert [tenant.uuid for tenant in reading.tenants] == [ACME, BOLT]
    problems = _problems(reading)
    assert len(problems) == 2
    assert "warning: " in problems[1]
    assert "tenant acme, permission 12 (no-international): it is associated with the user 999" in problems[1]


def test_an_association_with_another_tenants_user_is_a_warning(wazo: WazoDatabase) -> None:
    """Wazo applies it; an error would let one tenant's administrator hold up the rules of another."""
    wazo.execute(
        "INSERT INTO rightcallmember (rightcallid, type, typeval) "
        "SELECT 12, 'user', id FROM userfeatures WHERE uuid = $1",
        BOB,
    )
    before = _read(wazo).tenants[0].call_permissions[0].users
    for query in ("", f"?tenant={ACME}"):
        reading = _read(wazo, query)
        assert reading.faulty == frozenset()
        assert reading.tenants[0].call_permissions[0].users == before
        assert f"the user '{BOB}' is not of this tenant" in _problems(reading)[0]


def test_names_are_left_out_where_wazo_auth_is_elsewhere(postgres: PostgresServer) -> None:
    """Its tables may be in another database, or forbidden."""
    database = WazoDatabase(postgres, "nameless", names=False)
    database.fill([_acme()])
    assert [(tenant.uuid, tenant.name) for tenant in _read(database).tenants] == [(ACME, "")]


def test_a_tenant_that_wazo_auth_has_deleted_is_gone(wazo: WazoDatabase) -> None:
    """Its rows are there until wazo-confd hears of the deletion, which may be days."""
    wazo.execute("DELETE FROM auth_tenant WHERE uuid = $1", BOLT)
    reading = _read(wazo)
    assert ([tenant.uuid for tenant in reading.tenants], reading.complete) == ([ACME], True)


def test_an_empty_table_of_wazo_auth_names_no_tenants(wazo: WazoDatabase) -> None:
    """It is a leftover of a wazo-auth that has its own database; the tenants are those of wazo-confd."""
    wazo.execute("DELETE FROM auth_tenant")
    assert [(tenant.uuid, tenant.name) for tenant in _read(wazo).tenants] == [(ACME, ""), (BOLT, "")]


def test_names_of_users_and_labels_of_groups_are_read(wazo: WazoDatabase) -> None:
    """Where the user of the database may read them; they decide nothing."""
    wazo.execute("UPDATE userfeatures SET firstname = 'Alice', lastname = 'Doe' WHERE uuid = $1", ALICE)
    wazo.execute("UPDATE groupfeatures SET label = 'Sales'")
    acme = _read(wazo).tenants[0]
    assert [user.name for user in acme.users if user.uuid == ALICE] == ["Alice Doe"]
    assert [group.name for group in acme.groups] == ["Sales"]
    wazo.execute("CREATE ROLE modest LOGIN PASSWORD 'choose-one'")
    granted = (
        "tenant, auth_tenant, outcall, rightcall, rightcallexten, rightcallmember, groupfeatures, queue, queuemember"
    )
    wazo.execute(f"GRANT SELECT ON {granted} TO modest")
    wazo.execute("GRANT SELECT (id, uuid, tenant_uuid, rightcallcode) ON userfeatures TO modest")
    modest = PostgresqlSource(wazo.server.url(wazo.name, "modest", "choose-one")).read().tenants[0]
    assert {user.name for user in modest.users} == {""}


def test_a_tenant_that_only_wazo_auth_knows_is_there(wazo: WazoDatabase) -> None:
    """It has no rules yet, but it is no unknown tenant."""
    wazo.execute("INSERT INTO auth_tenant (uuid, name) VALUES ($1, 'new')", "d0c0ffee-0000-4000-8000-000000000001")
    assert sorted(tenant.name for tenant in _read(wazo).tenants) == ["acme", "bolt", "new"]


@pytest.mark.parametrize("wanted", [ACME, ACME.upper(), "acme", "Acme"])
def test_chosen_tenants_alone_are_read(wazo: WazoDatabase, wanted: str) -> None:
    """By UUID or name."""
    wazo.execute("INSERT INTO rightcall (tenant_uuid, name) VALUES ($1, 'other')", BOLT)
    assert [tenant.uuid for tenant in _read(wazo, f"?tenant={wanted}").tenants] == [ACME]


def test_a_chosen_tenant_that_is_not_there_loses_nothing(wazo: WazoDatabase) -> None:
    """A wrong UUID keeps what was published under it; after a wrong name nothing at all may be removed."""
    gone = "d0c0ffee-0000-4000-8000-000000000002"
    reading = _read(wazo, f"?tenant=acme&tenant={gone}")
    assert ([ACME], frozenset({gone}), True) == ([t.uuid for t in reading.tenants], reading.faulty, reading.complete)
    assert f"asks for the tenant '{gone}', which is not there" in _problems(reading)[0]
    assert not _read(wazo, "?tenant=acne").complete


def test_a_user_with_the_rights_of_the_manual_can_read(wazo: WazoDatabase) -> None:
    """What docs/postgresql.md says is done to the letter; no more rights than those are needed."""
    manual = Path(__file__).parents[4] / "docs" / "postgresql.md"
    (statements,) = re.findall(r"```sql\n(.*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    wazo.execute(statements.replace("asterisk", wazo.name))
    source = PostgresqlSource(wazo.server.url(wazo.name, "rightcall", "choose-one"))
    assert source.read().tenants == _read(wazo).tenants


def test_unchanged_tenants_are_not_checked_again(wazo: WazoDatabase) -> None:
    """The very objects of the last reading come back, so that nothing is compiled or compared again."""
    source = PostgresqlSource(wazo.url)
    acme, bolt = source.read().tenants
    wazo.execute("UPDATE rightcall SET name = 'no-abroad'")
    edited, untouched = source.read().tenants
    assert untouched is bolt
    assert (acme.call_permissions[0].name, edited.call_permissions[0].name) == ("no-international", "no-abroad")


def test_a_change_is_read_as_if_all_were_read(wazo: WazoDatabase) -> None:
    """Whatever table it is in; and of tenants that did not change no row is read."""
    source = PostgresqlSource(wazo.url)
    source.read()
    for edit in (
        "UPDATE rightcall SET passwd = '77' WHERE id = (SELECT min(id) FROM rightcall)",
        "DELETE FROM rightcallexten WHERE id = (SELECT min(id) FROM rightcallexten)",
        "DELETE FROM rightcallmember WHERE id = (SELECT min(id) FROM rightcallmember)",
        "UPDATE userfeatures SET firstname = 'Ann' WHERE id = (SELECT min(id) FROM userfeatures)",
        "UPDATE userfeatures SET rightcallcode = '9' WHERE id = (SELECT max(id) FROM userfeatures)",
        "UPDATE queue SET commented = 1",
        "UPDATE queuemember SET commented = 1",
        "UPDATE groupfeatures SET label = 'other'",
        "UPDATE outcall SET name = name || '!'",
        "UPDATE auth_tenant SET name = name || '!'",
        "DELETE FROM queuemember",
        "DELETE FROM groupfeatures",
        "DELETE FROM outcall",
        "DELETE FROM auth_tenant WHERE uuid = (SELECT max(uuid) FROM auth_tenant)",
    ):
        wazo.execute(edit)
        assert source.read() == _read(wazo), edit
    (there,) = {tenant.uuid for tenant in source.read().tenants} & {ACME, BOLT}
    wazo.execute("INSERT INTO auth_tenant (uuid, name) SELECT uuid, 'back' FROM tenant ON CONFLICT DO NOTHING")
    assert source._last is not None
    users = source._last.tenants[there]["users"]
    assert source.read() == _read(wazo)
    assert source._last.tenants[there]["users"] is users
    source.read()
    assert source._last.tenants[there]["users"] is not users


def test_many_rows(empty: WazoDatabase) -> None:
    """100,000 extensions of 50,000 permissions of 20,000 users, and the time that reading them takes."""
    empty.fill([{"uuid": ACME, "name": "acme"}])
    statements = [
        "userfeatures (uuid, tenant_uuid) SELECT gen_random_uuid(), uuid FROM tenant, generate_series(1, 20000)",
        "rightcall (id, tenant_uuid, name) SELECT n, uuid, 'p' || n FROM tenant, generate_series(1, 50000) n",
        "rightcallexten (rightcallid, exten) SELECT n / 2 + 1, '_00' || n || 'X.' FROM generate_series(0, 99999) n",
        "rightcallmember (rightcallid, type, typeval) SELECT n, 'user', n % 20000 + 1 FROM generate_series(1, 50000) n",
    ]
    for statement in statements:
        empty.execute(f"INSERT INTO {statement}")
    source = PostgresqlSource(empty.url)
    (acme,) = source.read().tenants
    assert (len(acme.users), len(acme.call_permissions)) == (20_000, 50_000)
    assert sum(len(permission.extensions) for permission in acme.call_permissions) == 100_000
    assert acme is source.read().tenants[0]
