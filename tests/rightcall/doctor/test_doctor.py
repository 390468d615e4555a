"""What the doctor finds in servers and loaders: real ones, well and ill."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from doctors import examined, refused
from given import ACME, BOLT, denying
from pki import AUDIENCE, ISSUER, Authority, Issuer, Pair
from programs import Program, run_program
from redis_server import RedisServer, free_port
from security import client_of, clients_file
from server import current_of, running_server

from loader.faults import Fault, Severity
from loader.metrics.registry import LoaderMetrics
from loader.report import SyncReport
from pdp.metrics.registry import Metrics
from pdp.runtime.http import HttpServer, Readiness
from pdp.runtime.version import version
from pdp.security.settings import Auth, SecuritySettings
from pdp.snapshots.current import CurrentSnapshots
from rightcall.doctor.checks import CHECKS, Check, Deployment
from rightcall.doctor.findings import Finding, Verdict, ok
from rightcall.doctor.http import Page, check_offset, offset
from rightcall.doctor.run import examine
from rightcall.doctor.together import check_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMPANY = str(Path(__file__).parents[3] / "examples" / "company.yaml")
FREE = ("--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
PASSWORD, SECRET_KEY = "s3cr3t-of-redis", "0123456789abcdef0123456789abcdef"
TOKEN = "a-token-that-nobody-prints"
NOT_USED = {"server certificate", "server client certificate", "server token", "server edits"}


@pytest.fixture(scope="module")
def well() -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """The options and variables that lead to a deployment of three programs, all of them well."""
    with RedisServer(password=PASSWORD) as redis:
        variables = {"RIGHTCALL_REDIS": redis.url, "RIGHTCALL_SECRET_KEY": SECRET_KEY}
        loading = ("load", "--source", f"file:{COMPANY}", "--http", "127.0.0.1:0")
        with Program("serve", *FREE, **variables) as serve, Program(*loading, **variables) as load:
            started = serve.wait_for("server_started")
            serve.wait_for("rules_loaded")
            loader = load.wait_for("loading")["http"]
            yield ("--target", started["grpc"], "--http", started["http"], "--loader-http", loader), variables


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whom client and server trust."""
    return Authority(tmp_path)


def tls(pair: Pair, **changed: object) -> SecuritySettings:
    """A server's settings with this certificate."""
    usual = {"auth": Auth.NONE, "tls_certificate": str(pair.chain), "tls_key": str(pair.key_file)}
    return SecuritySettings(**{**usual, **changed})  # type: ignore[arg-type] # each test knows its own


def local(authority: Authority, days: tuple[float, float] = (-1, 100)) -> Pair:
    """A certificate for this machine."""
    return authority.issue("server", addresses=("127.0.0.1",), days=days)


def test_a_deployment_that_is_well_gets_nothing_but_good_answers(
    well: tuple[tuple[str, ...], dict[str, str]],
) -> None:
    """Every check has something to look at but those of certificates and tokens; no secret is shown."""
    options, variables = well
    report = examined(*options, **variables)

    assert report.code == 0
    assert report.with_verdict("skipped") == NOT_USED
    assert report.with_verdict("ok") == {check.name for check in CHECKS} - NOT_USED, report.told
    assert "fern-and-sons" in report.told["server tenants"]
    assert "ms median" in report.told["server latency"]
    assert PASSWORD not in report.text
    assert SECRET_KEY not in report.text


def test_people_read_a_table_with_a_summary(well: tuple[tuple[str, ...], dict[str, str]]) -> None:
    """On standard output; standard error stays empty where nobody watches."""
    options, variables = well
    ran = run_program("doctor", *options[:2], **variables)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "SERVING, and so are its 3 services" in ran.stdout
    assert "loader: 7 checks" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("0 failures, 0 warnings, ")


def test_nothing_is_decided_by_being_examined() -> None:
    """Metrics and decision log tell of callers, and a doctor is none."""
    with running_server(denying("118")) as running:
        report = examined("--target", running.server.address, "--http", running.server.http_address)
        decisions = [
            sample.value
            for family in running.metrics.registry.collect()
            for sample in family.samples
            if sample.name in ("rightcall_decisions_total", "rightcall_check_duration_seconds_count")
        ]
    assert report.code == 0
    assert decisions
    assert not any(decisions)


def test_a_port_where_nobody_listens_is_one_failure() -> None:
    """What depends on it is not looked at, and says why."""
    report = examined("--target", f"127.0.0.1:{free_port()}")
    assert report.code == 4
    assert report.with_verdict("failure") == {"server reached"}
    assert "--listen" in report.told["server reached"]
    assert report.told["server health"].startswith("because of server reached")


def test_a_name_that_nobody_knows_is_one_failure() -> None:
    """It is told apart from a server that is down."""
    report = examined("--target", "nowhere.invalid:50051")
    assert report.with_verdict("failure") == {"server name"}


def test_what_nobody_named_is_skipped() -> None:
    """With nothing to look at there is nothing wrong."""
    report = examined("--target", "none", "--http", "none")
    assert report.code == 0
    assert report.with_verdict("skipped") == {check.name for check in CHECKS}


def test_another_kind_of_server_is_recognised() -> None:
    """It speaks gRPC and has no health checking of ours."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        report = examined("--target", f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()
    assert report.with_verdict("failure") == {"server gRPC"}
    assert "something else" in report.told["server gRPC"]


def test_a_server_that_says_nothing_holds_nobody_up() -> None:
    """The connection stands and no answer comes: each check ends with its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        report = examined("--target", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.5")
    assert report.with_verdict("failure") == {"server gRPC"}
    assert report.verdicts["server reached"] == "ok"


def test_a_server_without_rules_is_ill() -> None:
    """It is there, and answers no call."""
    with running_server() as running:
        report = examined("--target", running.server.address, "--http", running.server.http_address)
    assert report.code == 4
    assert {"server health", "server tenants", "server readiness"} <= report.with_verdict("failure")
    assert "NOT_SERVING" in report.told["server health"]
    assert "no rules are loaded" in report.told["server readiness"]


def test_a_unix_socket_is_looked_at_too(tmp_path: Path) -> None:
    """It has no name and needs no encryption."""
    with running_server(denying("118"), listen=f"unix:{tmp_path / 'pdp'}") as running:
        report = examined("--target", running.server.address)
    assert report.code == 0
    assert report.verdicts["server latency"] == "ok"


def test_a_good_certificate_is_told_with_its_end(authority: Authority) -> None:
    """TLS, trust, name and dates each have their verdict."""
    with running_server(denying("118"), security=tls(local(authority))) as running:
        report = examined("--target", running.server.address, "--ca-file", str(authority.file))
    assert report.code == 0
    assert "TLSv1.3" in report.told["server TLS"]
    assert "good for 99 days" in report.told["server certificate"]
    assert report.told["server client certificate"].startswith("none is wanted")


@pytest.mark.parametrize(
    ("days", "verdict", "seen"),
    [((-1, 13.5), "warning", "good for 13 days"), ((-2, -1), "failure", "expired"), ((1, 2), "failure", "not valid")],
)
def test_certificates_are_told_before_and_after_they_end(
    authority: Authority, days: tuple[float, float], verdict: str, seen: str
) -> None:
    """Two weeks before the end there is a warning."""
    with running_server(denying("118"), security=tls(local(authority, days))) as running:
        report = examined("--target", running.server.address, "--ca-file", str(authority.file))
    assert report.verdicts["server certificate"] == verdict
    assert seen in report.told["server certificate"]
    assert (report.verdicts["server TLS"] == "failure") == (verdict == "failure")


def test_an_authority_that_is_not_ours_and_a_name_that_is_not_the_servers_are_told(
    authority: Authority, tmp_path: Path
) -> None:
    """With whom the certificate is for."""
    foreign = Authority(tmp_path, "foreign")
    elsewhere = authority.issue("elsewhere", dns=("pdp.example.org",), days=(-1, 100))
    with running_server(denying("118"), security=tls(elsewhere)) as running:
        untrusted = examined("--target", running.server.address, "--ca-file", str(foreign.file))
        misnamed = examined("--target", running.server.address, "--ca-file", str(authority.file))
    for report, why in ((untrusted, "issuer"), (misnamed, "mismatch")):
        assert report.with_verdict("failure") == {"server TLS"}
        assert why in report.told["server TLS"]
        assert "pdp.example.org" in report.told["server TLS"]
        assert "--ca-file" in report.told["server TLS"]


def test_tls_on_one_side_alone_is_told(authority: Authority) -> None:
    """Either side can lack it."""
    with running_server(denying("118"), security=tls(local(authority))) as running:
        report = examined("--target", running.server.address)
        assert report.with_verdict("failure") == {"server TLS"}
        assert "--ca-file" in report.told["server TLS"]
    with running_server(denying("118")) as running:
        report = examined("--target", running.server.address, "--ca-file", str(authority.file))
        assert report.with_verdict("failure") == {"server TLS"}
        assert "--tls-certificate" in report.told["server TLS"]


def test_client_certificates_are_asked_for_taken_and_refused(authority: Authority, tmp_path: Path) -> None:
    """The server judges them after the handshake has ended."""
    ours, foreign = authority.issue("asterisk", days=(-1, 100)), Authority(tmp_path, "foreign").issue("stranger")
    mutual = tls(local(authority), auth=Auth.MTLS, tls_client_ca=str(authority.file))
    with running_server(denying("118"), security=mutual) as running:

        def shown(pair: Pair | None) -> tuple[str, str]:
            own = ("--certificate-file", str(pair.chain), "--key-file", str(pair.key_file)) if pair else ()
            report = examined("--target", running.server.address, "--ca-file", str(authority.file), *own)
            return report.verdicts["server client certificate"], report.told["server client certificate"]

        verdict, told = shown(ours)
        assert (verdict, "good for 99 days" in told) == ("ok", True)
        verdict, told = shown(None)
        assert (verdict, "--certificate-file" in told) == ("failure", True)
        verdict, told = shown(foreign)
        assert (verdict, "--tls-client-ca" in told) == ("failure", True)


def test_tokens_that_are_missing_or_unknown_are_told_apart(authority: Authority, tmp_path: Path) -> None:
    """None of them is shown."""
    clients = clients_file(tmp_path, client_of("asterisk", TOKEN))
    file = tmp_path / "token"
    with running_server(denying("118"), security=tls(local(authority), auth=Auth.TOKENS, clients=clients)) as running:
        target = ("--target", running.server.address, "--ca-file", str(authority.file))
        missing = examined(*target)
        file.write_text(TOKEN)
        known = examined(*target, "--token-file", str(file))
        file.write_text(f"not-{TOKEN}")
        unknown = examined(*target, "--token-file", str(file))

    assert known.code == 0
    assert known.told["server credentials"].startswith("the token: accepted")
    assert "none were sent → give --token-file" in missing.told["server credentials"]
    assert "does not know the token" in unknown.told["server credentials"]
    for report in (missing, unknown):
        assert report.with_verdict("failure") == {"server credentials"}
        assert report.told["server tenants"].startswith("because of server credentials")
    assert TOKEN not in missing.text + known.text + unknown.text


@pytest.mark.parametrize(
    ("services", "credentials", "tenants"), [(["decision"], "ok", "skipped"), (["directory"], "warning", "ok")]
)
def test_a_client_of_one_service_is_told_what_it_may_not(
    authority: Authority, tmp_path: Path, services: list[str], credentials: str, tenants: str
) -> None:
    """That is no failure: perhaps it is meant."""
    clients = clients_file(tmp_path, client_of("one", TOKEN, services=services))
    security = tls(local(authority), auth=Auth.TOKENS, clients=clients)
    with running_server(denying("118"), security=security) as running:
        report = examined("--target", running.server.address, "--ca-file", str(authority.file), RIGHTCALL_TOKEN=TOKEN)
    assert report.code == 0
    assert (report.verdicts["server credentials"], report.verdicts["server tenants"]) == (credentials, tenants)


def test_a_jwt_that_has_expired_is_not_called_unknown(authority: Authority, tmp_path: Path) -> None:
    """The remedy is another one."""
    issuer, jwks = Issuer(), tmp_path / "jwks.json"
    jwks.write_text(json.dumps(issuer.jwks))
    security = tls(local(authority), auth=Auth.JWT, jwks=str(jwks), jwt_audience=AUDIENCE, jwt_issuer=ISSUER)
    now = dt.datetime.now(dt.UTC).timestamp()
    with running_server(denying("118"), security=security) as running:
        target = ("--target", running.server.address, "--ca-file", str(authority.file))
        good = examined(*target, RIGHTCALL_TOKEN=issuer.token(tenant="*"))
        expired = examined(*target, RIGHTCALL_TOKEN=issuer.token(tenant="*", exp=now - 60))
    assert "it expires" in good.told["server token"]
    assert good.verdicts["server credentials"] == "ok"
    assert "the token expired" in expired.told["server credentials"]


def test_a_token_file_that_holds_no_token_is_told(authority: Authority, tmp_path: Path) -> None:
    """Before anything is sent."""
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe")
    with running_server(denying("118"), security=tls(local(authority))) as running:
        report = examined(
            "--target", running.server.address, "--ca-file", str(authority.file), "--token-file", str(file)
        )
    assert report.with_verdict("failure") == {"server token"}
    assert "cannot be read" in report.told["server token"]


def test_https_on_the_http_port_is_spoken(authority: Authority) -> None:
    """With the same authority as on the other port."""
    with running_server(denying("118"), security=tls(local(authority), http_tls=True)) as running:
        address = running.server.http_address
        good = examined("--target", "none", "--http", f"https://{address}", "--ca-file", str(authority.file))
        plain = examined("--target", "none", "--http", address)
    assert good.verdicts["server readiness"] == "ok"
    assert plain.verdicts["server readiness"] == "failure"
    assert "https://" in plain.told["server readiness"]


def test_rules_from_disk_and_a_source_that_is_lost_are_told() -> None:
    """First a warning, after a quarter of an hour a failure."""
    current = current_of(denying("118"))
    held = current.held()[0].snapshot
    current.replace(held, "disk")
    with running_server(current=current) as running:
        options = ("--target", running.server.address, "--http", running.server.http_address)
        found = []
        for age in (0, 100, 1000):
            current.contacted_at = time.time() - age
            report = examined(*options)
            found.append(report.verdicts["server contact with source"])
            assert report.verdicts["server source"] == "warning"
        current.source_error = "redis://r:6379: it refused the credentials"
        assert "it refused the credentials" in examined(*options).told["server source"]
    assert found == ["ok", "warning", "failure"]


def loader_telling(report: SyncReport, *, leading: bool = True, stale: float = 0.0) -> HttpServer:
    """A loader's HTTP port after a cycle that came to this."""
    metrics = LoaderMetrics("0.1.0", lambda: leading, lambda: stale)
    metrics.note(report)
    return HttpServer("127.0.0.1:0", metrics.registry, lambda: Readiness(ready=True, reason="ready: leading"))


@pytest.mark.parametrize("leading", [True, False])
def test_what_a_loader_waits_for_is_told(*, leading: bool) -> None:
    """Faults, removals held back, pinned tenants, unread edits; a loader that stands by knows of none."""
    fault = Fault("acme.yaml", 7, "acme", "", "", "it is wrong", "repair it", Severity.ERROR)
    report = SyncReport(faults=(fault,), held_back=("one", "two"), pinned=(ACME, BOLT, "x"), complete=True)
    server = loader_telling(report, leading=leading, stale=301.0)
    server.start()
    try:
        found = examined("--target", "none", "--loader-http", server.address)
    finally:
        server.stop()
    concerned = {"loader definitions", "loader held back", "loader pinned", "loader edits"}
    assert found.code == 0
    assert concerned <= found.with_verdict("warning" if leading else "skipped")
    assert found.verdicts["loader lead"] == "ok"
    if leading:
        assert "--accept-removal" in found.told["loader held back"]
        assert "rightcall unpin" in found.told["loader pinned"]
        assert "edits of the last 301 s may be unread" in found.told["loader edits"]


@pytest.mark.parametrize(("stale", "verdict"), [(0.0, "ok"), (301.0, "warning")])
def test_unread_edits_of_a_server_that_reads_definitions_are_told(stale: float, verdict: str) -> None:
    """It does what a loader does."""
    current = CurrentSnapshots("definitions")
    current.unread_seconds = lambda: stale
    readiness = Readiness(ready=True, reason="ready: 1 tenant")
    server = HttpServer("127.0.0.1:0", Metrics(current, "0.1.0").registry, lambda: readiness)
    server.start()
    try:
        found = examined("--target", "none", "--http", server.address)
    finally:
        server.stop()
    assert found.verdicts["server edits"] == verdict


def test_a_loader_whose_cycles_fail_is_told() -> None:
    """No cycle was good since it began to lead."""
    server = loader_telling(SyncReport(problems=("redis is away",)))
    server.start()
    try:
        found = examined("--target", "none", "--loader-http", server.address)
    finally:
        server.stop()
    assert found.verdicts["loader lead"] == "warning"
    assert "no cycle was good yet" in found.told["loader lead"]


@pytest.mark.parametrize(
    ("variables", "verdict"),
    [
        ({}, "ok"),
        ({"http_proxy": "http://user:hidden@proxy:3128"}, "warning"),
        ({"grpc_proxy": "http://user:hidden@proxy:3128", "no_proxy": "example.org,127.0.0.1"}, "ok"),
        ({"https_proxy": "http://user:hidden@proxy:3128", "no_grpc_proxy": "*"}, "ok"),
    ],
)
def test_proxies_are_noted_without_their_passwords(variables: dict[str, str], verdict: str) -> None:
    """Clients other than ours would go through them."""
    report = examined("--target", f"127.0.0.1:{free_port()}", **variables)
    assert report.verdicts["server proxies"] == verdict
    assert "hidden" not in report.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "localhost:port"), "HOST:PORT"),
        (("--http", "x"), "HOST:PORT"),
        (("--redis", "http://:s3cr3t@x"), "Redis URL"),
        (("--ca-file", "/nowhere/ca.pem"), "cannot be read"),
        (("--key-file", COMPANY), "need each other"),
    ],
)
def test_options_that_make_no_sense_end_with_2(arguments: tuple[str, ...], message: str) -> None:
    """Nothing was looked at."""
    code, text = refused(*arguments)
    assert code == 2
    assert message in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize(
    ("lead", "verdict"), [(0.0, Verdict.OK), (1.9, Verdict.OK), (-1.9, Verdict.OK), (2.5, Verdict.WARNING)]
)
def test_clocks_may_differ_by_two_seconds(lead: float, verdict: Verdict) -> None:
    """In both directions."""
    assert offset(lead - 0.01, lead + 0.01, "a clock").verdict is verdict
    assert offset(-lead - 0.01, -lead + 0.01, "a clock").verdict is verdict


@pytest.mark.parametrize(("lead", "word"), [(-60, "behind"), (60, "ahead")])
def test_a_date_of_whole_seconds_tells_when_a_clock_is_wrong(lead: float, word: str) -> None:
    """Within what a date leaves open, it is right."""
    for now in (1000.0, 1000.5, 1000.999):
        assert check_offset(Page(200, "", int(now), now, now + 0.01), "a clock").verdict is Verdict.OK
    found = check_offset(Page(200, "", 1000 + lead, 1000.5, 1000.6), "a clock")
    assert found.verdict is Verdict.WARNING
    assert word in found.seen


@pytest.mark.parametrize(
    ("found", "verdict", "advice"),
    [
        ({"server": "OURS", "loader": "OURS"}, Verdict.OK, ""),
        ({"server": "0.0.9", "loader": "0.0.10"}, Verdict.WARNING, "upgrade the servers"),
        ({"server": "9.0.0", "loader": "8.1.0"}, Verdict.WARNING, "finish the upgrade"),
        ({"server": "9.0.0"}, Verdict.WARNING, "of the same release"),
    ],
)
def test_versions_in_the_wrong_order_are_told(found: Mapping[str, str], verdict: Verdict, advice: str) -> None:
    """A server reads what an older loader publishes, not the other way round."""
    told = check_versions({program: its.replace("OURS", version()) for program, its in found.items()})
    assert told.verdict is verdict
    assert advice in told.advice


def test_a_check_that_hangs_or_fails_leaves_the_others_their_turn() -> None:
    """What needs a check that failed is not looked at, nor what needs that."""
    forever = threading.Event()

    def hangs(_deployment: Deployment) -> Finding:
        forever.wait()
        return ok("never")

    def breaks(_deployment: Deployment) -> Finding:
        raise KeyError("defect")

    checks = (
        Check("hangs", hangs),
        Check("behind", lambda _: ok("never"), ("hangs",)),
        Check("behind that", lambda _: ok("never"), ("behind",)),
        Check("breaks", breaks),
        Check("works", lambda _: ok("it does")),
    )
    try:
        found = {one.check: (one.verdict, one.seen) for one in examine(Deployment(), 0.2, checks)}
    finally:
        forever.set()
    assert found == {
        "hangs": (Verdict.FAILURE, "no answer within 0.2 s"),
        "behind": (Verdict.SKIPPED, "because of hangs"),
        "behind that": (Verdict.SKIPPED, "because of hangs"),
        "breaks": (Verdict.FAILURE, "a defect of this check: KeyError('defect')"),
        "works": (Verdict.OK, "it does"),
    }


def test_each_check_stands_behind_those_that_it_needs() -> None:
    """Otherwise it would be looked at in vain; and no two have one name."""
    seen: set[str] = set()
    for check in CHECKS:
        assert set(check.needs) <= seen
        assert check.name not in seen
        seen.add(check.name)
