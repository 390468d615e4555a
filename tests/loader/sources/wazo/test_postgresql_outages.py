"""The PostgreSQL source while things change and break, against a real PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from given import ACME, ALICE, BOB
from postgres_server import PASSWORD, PostgresServer, make_certificate, running_postgres
from postgres_tables import WazoDatabase
from rabbitmq_server import RabbitmqServer
from waiting import until

from loader.errors import SourceError
from loader.sources import WazoOptions, open_source
from loader.sources.wazo.database.source import PostgresqlSource
from loader.sources.wazo.database.url import parse_url
from loader.sources.wazo.database.watching import Lookout
from pdp.metrics.registry import Metrics
from pdp.rules.model import Decision, PasswordOverride
from pdp.snapshots.current import CurrentSnapshots
from rightcall.programs.embedded import EmbeddedLoader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from loader.sources.base import Reading


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests of this module; each leaves it running."""
    yield from running_postgres()


@pytest.fixture(scope="module")
def tables(postgres: PostgresServer) -> WazoDatabase:
    """A database with Wazo's tables."""
    return WazoDatabase(postgres, "wazo")


@pytest.fixture
def wazo(tables: WazoDatabase) -> WazoDatabase:
    """The database with one tenant."""
    tables.clear()
    permission = {"id": 12, "name": "no", "extensions": ["_00."], "users": [ALICE]}
    users = [{"uuid": ALICE}, {"uuid": BOB}]
    tables.fill([{"uuid": ACME, "name": "acme", "users": users, "call_permissions": [permission]}])
    return tables


@contextlib.contextmanager
def _held_up(wazo: WazoDatabase, then: str) -> Iterator[threading.Event]:
    """Locks the table that is read last. When the event is set, what ``then`` says is done and all is committed."""
    locked, go_on = threading.Event(), threading.Event()

    def edit() -> None:
        async def locking(connection: object) -> None:
            async with connection.transaction():  # type: ignore[attr-defined]  # asyncpg's connection
                await connection.execute("LOCK TABLE rightcallmember")  # type: ignore[attr-defined]  # likewise
                locked.set()
                go_on.wait(20)
                await connection.execute(then)  # type: ignore[attr-defined]  # likewise

        wazo.server.with_connection(locking, wazo.name)

    with ThreadPoolExecutor() as executor:
        done = executor.submit(edit)
        assert locked.wait(10)
        try:
            yield go_on
        finally:
            go_on.set()
            with contextlib.suppress(Exception):  # the connection of one whose server was killed
                done.result(20)


@contextlib.contextmanager
def _reading(source: PostgresqlSource, wazo: WazoDatabase) -> Iterator[Future[Reading]]:
    """A reading in another thread, which has come to the locked table."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
    with ThreadPoolExecutor() as executor:
        reading = executor.submit(source.read)
        until(lambda: wazo.server.value(waiting, wazo.name), "the reading waits for the lock")
        yield reading


@contextlib.contextmanager
def _watched(source: PostgresqlSource) -> Iterator[list[None]]:
    """What a watch in another thread yields, as it does; afterwards it has ended."""
    stop = threading.Event()
    yields: list[None] = []

    def watch() -> None:
        yields.extend(source.watch(stop))  # one by one, while the test's thread looks

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield yields
    finally:
        stop.set()
        thread.join(5)
        assert not thread.is_alive(), "the watch did not end"


def test_an_event_of_the_bus_makes_the_watch_look(wazo: WazoDatabase) -> None:
    """Long before it would look by itself."""
    usual = "loader.sources.wazo.database.source._LOOK_SECONDS"
    with RabbitmqServer() as broker, patch(usual, 1000.0):
        source = open_source(wazo.url, recheck=1000, wazo=WazoOptions(bus_url=broker.url))
        assert isinstance(source, PostgresqlSource)
        source.read()
        read = source._true_at
        with _watched(source) as yields:
            until(lambda: source._true_at > read, "it looks, since the bus is connected")
            wazo.execute("UPDATE rightcall SET name = 'edited'")
            assert not yields
            broker.publish({"name": "call_permission_edited", "tenant_uuid": ACME, "data": {"id": 12}})
            until(lambda: yields, "the watch yields")


def test_a_reading_sees_one_state_of_the_database(wazo: WazoDatabase) -> None:
    """An edit that is committed between two of its statements is not in it at all."""
    source = PostgresqlSource(wazo.url)
    before = source.read().tenants
    edit = "UPDATE rightcallmember SET typeval = '2'; DELETE FROM userfeatures WHERE id = 1"
    with _held_up(wazo, edit) as go_on, _reading(source, wazo) as reading:
        go_on.set()
        assert before == reading.result(20).tenants
    (acme,) = source.read().tenants
    assert (acme.call_permissions[0].users, [user.uuid for user in acme.users]) == ((BOB,), [BOB])


def test_a_server_killed_in_mid_reading_is_an_error_and_comes_back(wazo: WazoDatabase) -> None:
    """Half of the rules are never taken for all of them."""
    source = PostgresqlSource(wazo.url)
    before = source.read()
    try:
        with _held_up(wazo, "SELECT 1"), _reading(source, wazo) as reading:
            wazo.server.kill()
            with pytest.raises(SourceError, match="cannot be read"):
                reading.result(20)
        with pytest.raises(SourceError, match="check the host and the port"):
            source.read()
    finally:
        wazo.server.start()
    assert before == source.read()


def test_a_server_that_hangs_is_an_error(wazo: WazoDatabase) -> None:
    """It is not waited for without end."""
    source = PostgresqlSource(wazo.url, step_seconds=0.5)
    source.read()
    wazo.server.pause()
    try:
        with pytest.raises(SourceError, match="took too long"):
            source.read()
    finally:
        wazo.server.resume()
    source.read()


def test_a_table_that_stays_locked_is_an_error(wazo: WazoDatabase) -> None:
    """As it is while somebody migrates the database."""
    source = PostgresqlSource(wazo.url, step_seconds=0.5)
    with _held_up(wazo, "SELECT 1"), pytest.raises(SourceError, match="took too long"):
        source.read()
    source.read()


def test_an_edit_is_noticed_long_before_the_next_regular_reading(wazo: WazoDatabase) -> None:
    """By a look at the rows, each second."""
    source = PostgresqlSource(wazo.url, recheck=600)
    with _watched(source) as yields:
        until(lambda: yields, "the watch finds that nothing was read yet")
        source.read()
        before = len(yields)
        wazo.execute("UPDATE rightcallexten SET exten = '_001.'")
        until(lambda: len(yields) > before, "the edit is noticed")
        source.read()
        until(lambda: source.stale_seconds() < 1, "a look finds nothing changed since")


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE rightcallexten SET exten = '_001.'",
        "DELETE FROM rightcallmember",
        "UPDATE rightcall SET commented = 1",
        "UPDATE userfeatures SET rightcallcode = '12' WHERE id = 1",
        "INSERT INTO userfeatures (id, uuid, tenant_uuid) SELECT 77, gen_random_uuid(), uuid FROM tenant",
        "INSERT INTO queue (name, category) VALUES ('grp-x', 'group')",
        "UPDATE auth_tenant SET name = 'other'",
        "INSERT INTO tenant (uuid) SELECT gen_random_uuid()",
        "DELETE FROM rightcallexten; INSERT INTO rightcallexten (rightcallid, exten) VALUES (12, '_00.')",
    ],
)
def test_the_very_next_look_notices_an_edit(wazo: WazoDatabase, edit: str) -> None:
    """Also one of a connection that does nothing afterwards, so that PostgreSQL's statistics lack it."""
    stop = threading.Event()
    with Lookout(parse_url(wazo.url), 10) as lookout, wazo.server.idle_connection(wazo.name) as run:
        before = lookout.look(stop)
        assert lookout.look(stop) == before
        run(edit)
        after = lookout.look(stop)
        assert after != before
        assert lookout.look(stop) == after


def test_a_transaction_that_ends_late_is_noticed(wazo: WazoDatabase) -> None:
    """It began before others that ended, so its end makes no number grow."""
    stop = threading.Event()
    with Lookout(parse_url(wazo.url), 10) as lookout, wazo.server.idle_connection(wazo.name) as run:
        run("BEGIN; UPDATE rightcall SET name = 'late'")
        wazo.execute("CREATE TABLE other (id integer)")
        before = lookout.look(stop)
        assert lookout.look(stop) == before
        run("COMMIT")
        assert lookout.look(stop) != before
    wazo.execute("DROP TABLE other")


def test_what_no_rule_depends_on_leads_to_no_reading(wazo: WazoDatabase) -> None:
    """Wazo keeps forwards and do-not-disturb in the table of users, which are changed all day."""
    stop = threading.Event()
    with Lookout(parse_url(wazo.url), 10) as lookout:
        before = lookout.look(stop)
        wazo.execute("UPDATE userfeatures SET passwdclient = 'x'")
        assert lookout.look(stop) == before


def test_an_edit_in_wazo_reaches_decisions(wazo: WazoDatabase) -> None:
    """From the row of a table to the answer to a call, without waiting for the regular reading."""
    current = CurrentSnapshots(f"definitions {wazo.name}")
    metrics = Metrics(current, "test")
    source = open_source(wazo.url, recheck=600)
    loader = EmbeddedLoader(source, current, metrics, password_override=PasswordOverride.ALL)

    def denies(extension: str) -> bool:
        held = current.get(ACME)
        return held is not None and held.snapshot.decide(ALICE, extension, "").decision is Decision.DENY

    assert loader.load().problems == ()
    assert denies("0049")
    loader.start(lambda _: None)
    try:
        wazo.execute("UPDATE rightcallexten SET exten = '_001.'")
        until(lambda: denies("0011") and not denies("0049"), "the edit has reached decisions")
    finally:
        loader.stop()


def test_a_watch_yields_regularly_though_nothing_happens(wazo: WazoDatabase) -> None:
    """The counts are no proof that nothing changed."""
    source = PostgresqlSource(wazo.url, recheck=0.2)
    source.read()
    with _watched(source) as yields:
        until(lambda: len(yields) >= 3, "three regular yields")


def test_a_watch_goes_on_while_the_server_is_away(wazo: WazoDatabase) -> None:
    """It yields, so that whoever reads learns of it; and soon after the server is back, so that its changes count."""
    source = PostgresqlSource(wazo.url, recheck=600)
    source.read()
    with _watched(source) as yields:
        wazo.server.kill()
        try:
            with pytest.raises(SourceError):
                source.read()
        finally:
            wazo.server.start()
        yields.clear()
        until(lambda: yields, "the return of the server is noticed")


def test_a_watch_ends_while_the_server_hangs(wazo: WazoDatabase) -> None:
    """A stop does not wait for an answer."""
    source = PostgresqlSource(wazo.url)
    source.read()
    with _watched(source):
        wazo.server.pause()
        threading.Event().wait(1.5)  # now it looks, in vain
    wazo.server.resume()


@pytest.mark.parametrize(
    ("user", "password", "database", "advice"),
    [
        ("postgres", "wrong", "{}", "check the user and password"),
        ("postgres", None, "nothing", "check the database's name"),
        ("postgres", None, "postgres", "check that it is the database of a Wazo Platform"),
        ("nobody", "nobody", "{}", "grant the user what docs/postgresql.md lists"),
    ],
)
def test_what_is_wrong_and_what_to_do_is_said_without_the_password(
    wazo: WazoDatabase, user: str, password: str | None, database: str, advice: str
) -> None:
    """Nobody should have to look into the server's log first."""
    if user == "nobody":
        wazo.execute("CREATE ROLE nobody LOGIN PASSWORD 'nobody'")
    name = database.format(wazo.name)
    url = wazo.server.url(name) if password is None else wazo.server.url(name, user, password)
    source = PostgresqlSource(url)
    with pytest.raises(SourceError) as raised:
        source.read()
    assert advice in str(raised.value)
    assert f"postgresql://127.0.0.1:{wazo.server.port}/{name}" == source.name
    for secret in (PASSWORD, "a%20p", "wrong"):
        assert secret not in str(raised.value)


def test_the_servers_certificate_is_checked_where_that_is_asked_for(wazo: WazoDatabase, tmp_path: Path) -> None:
    """With ``sslmode=verify-full``; one that nobody vouches for is refused."""
    stranger = make_certificate(tmp_path)
    wazo.server.kill()
    authority = wazo.server.start_with_tls()
    try:
        strict = PostgresqlSource(f"{wazo.url}?sslmode=verify-full&sslrootcert={authority}")
        assert PostgresqlSource(f"{wazo.url}?sslmode=require").read() == strict.read()
        with pytest.raises(SourceError, match="check the certificate"):
            PostgresqlSource(f"{wazo.url}?sslmode=verify-full&sslrootcert={stranger}").read()
    finally:
        wazo.server.kill()
        wazo.server.start()


@pytest.mark.parametrize("query", ["?sslmode=perhaps", "?keepalives=1", "?work_mem=little"])
def test_parameters_that_make_no_sense_are_an_error(wazo: WazoDatabase, query: str) -> None:
    """It says where to look, and repeats nothing of the URL."""
    with pytest.raises(SourceError, match="check the parameters"):
        PostgresqlSource(wazo.url + query).read()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:asterisk",
        "postgresql://user:pa/ss@host/asterisk",
        "postgresql://user:pa?ss@host/asterisk",
        "postgresql://user:pa#ss@host/asterisk",
        "postgresql://user:pass@[host/asterisk",
        "mysql://user:pass@host/asterisk",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_repeated(url: str) -> None:
    """A password with a stray character would else be shown as a part of the path."""
    with pytest.raises(SourceError) as raised:
        PostgresqlSource(url)
    assert "pa" not in str(raised.value).replace("password", "")
    assert "ss" not in str(raised.value).replace("password", "")


def test_a_source_that_nobody_serves_is_an_error() -> None:
    """With the address, and what to check."""
    with pytest.raises(SourceError, match=r"postgresql://127\.0\.0\.1:1/x cannot be read: .*; check the host"):
        PostgresqlSource("postgresql://user:password@127.0.0.1:1/x").read()
