"""The console of a server, over HTTP: who gets in, who sees what, and what other sites can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from consoles import Seen, fetched
from given import ACME, ALICE, BOB, BOLT, KEY, denying
from pki import AUDIENCE, ISSUER, Issuer
from security import client_of, clients_file
from server import running_server

from pdp.security.settings import Auth, SecuritySettings
from rightcall.console.access import COOKIE
from rightcall.console.mount import mounted
from rightcall.programs.history import SeenHistory
from rightcall.programs.serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.routing import Mount, Route

    from pdp.app import ServerParts

PIN = "4321"
RULES = (denying("0900", "_00.", password=PIN), denying("0911", tenant=BOLT, user=BOB))


def pages(parts: ServerParts) -> Sequence[Route | Mount]:
    """The console over the snapshots of a server."""
    return mounted(parts, Served(SeenHistory(parts.whole)))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that knows a reader of all, a reader of one tenant, an operator, and a switchboard."""
    file = clients_file(
        tmp_path_factory.mktemp("clients"),
        client_of("reader", "r", services=["console"]),
        client_of("bound", "b", services=["console"], tenants=[BOLT]),
        client_of("operator", "o", services=["console", "lockouts", "rollback"]),
        client_of("switchboard", "s", services=["decision", "directory"]),
    )
    security = SecuritySettings(auth=Auth.TOKENS, clients=file)
    with running_server(*RULES, secrets=(KEY,), pages=pages, security=security) as running:
        yield f"http://{running.server.http_address}/console"


def as_(token: str) -> dict[str, str]:
    """The header of a browser that is signed in with a token."""
    return {"Cookie": f"{COOKIE}={token}"}


def test_a_person_signs_in_and_out(url: str) -> None:
    """The page that was wanted leads to the form, the form to the page; the cookie is kept from scripts and sites."""
    asked = fetched(f"{url}/people?q=x")
    assert asked.status == 303
    form = fetched(url.removesuffix("/console") + asked.headers["Location"])
    assert (form.status, 'value="/console/people?q=x"' in form.html) == (200, True)

    entered = fetched(f"{url}/sign-in", {"token": "r", "to": "/console/people?q=x"})
    assert (entered.status, entered.headers["Location"]) == (303, "/console/people?q=x")
    cookie = entered.headers["Set-Cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/console/"))
    assert "Sign out" in fetched(f"{url}/people", **as_("r")).html

    left = fetched(f"{url}/sign-out", {}, **as_("r"))
    assert "Max-Age=0" in left.headers["Set-Cookie"]


@pytest.mark.parametrize(("token", "status"), [("wrong", 401), ("no token at all", 401), ("", 401), ("s", 403)])
def test_a_token_that_opens_nothing_is_not_kept(url: str, token: str, status: int) -> None:
    """Unknown, malformed, missing; or of a client that has no business with people and rules."""
    refused = fetched(f"{url}/sign-in", {"token": token})
    assert (refused.status, refused.headers["Set-Cookie"]) == (status, None)
    assert fetched(f"{url}/rules", **as_("s")).status == 403


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example/console/", "/console/\\x//y", ""])
def test_signing_in_never_leads_to_another_site(url: str, to: str) -> None:
    """Whatever a link to the form asks for."""
    assert fetched(f"{url}/sign-in", {"token": "r", "to": to}).headers["Location"] == "/console/"


def test_a_link_on_another_site_opens_the_page_of_a_person_who_is_signed_in(url: str) -> None:
    """The browser keeps the cookie back at first, so the page asks once more by itself."""
    first = fetched(f"{url}/ask?number=1", Sec_Fetch_Site="cross-site")
    assert 'content="0; url=/console/ask?number=1"' in first.html
    assert fetched(f"{url}/ask?number=1", Sec_Fetch_Site="same-origin").status == 303


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://elsewhere.example"}],
)
def test_forms_of_other_sites_are_not_looked_at(url: str, headers: dict[str, str]) -> None:
    """Not even with the cookie, which a browser that keeps no rules might send."""
    for form in ("sign-in", "sign-out", "edit"):
        assert fetched(f"{url}/{form}", {"token": "r"}, **headers, **as_("r")).status == 403


def test_a_reader_of_one_tenant_sees_no_other(url: str) -> None:
    """Neither in a list nor by name, in a question, as a person, or as a tenant to compare with."""
    mine = as_("b")
    for path in ("ask", "people", "numbers?number=0900", "rules", "edit", "status", f"ask?number=1&caller={ALICE}"):
        page = fetched(f"{url}/{path}", **mine)
        assert page.status == 200
        assert not any(text in page.html.replace(f'value="{ALICE}"', "") for text in (ACME, f"tenant {ACME[:4]}"))
    for path in (f"people/{ALICE}", f"people?tenant={ACME}", f"rules?tenant={ACME}", f"ask?tenant={ACME}&number=0900"):
        assert fetched(f"{url}/{path}", **mine).status == 404
    copied = fetched(f"{url}/edit?tenant={ACME}", **as_("r")).html
    text = copied.partition("<textarea")[2].partition("\n")[2].partition("</textarea>")[0].replace("&#34;", '"')
    tried = fetched(f"{url}/edit", {"text": text}, **mine)
    assert "Faults: 0" in tried.text
    assert "No decision changes" not in tried.text


def test_the_pages_show_what_the_server_decides_by(url: str) -> None:
    """A question, a person, a number, the tenants with revisions; and the rules in the editor, which change nothing."""
    reader = {"Authorization": "Bearer r"}
    assert "CHALLENGE" in fetched(f"{url}/ask?tenant={ACME}&caller={ALICE}&number=0900", **reader).text
    assert "_00." in fetched(f"{url}/people/{ALICE}?tenant={ACME}", **reader).text
    assert "are asked for a PIN: 1" in fetched(f"{url}/numbers?tenant={ACME}&number=0900", **reader).text
    assert "1-" + "ab" * 6 in fetched(f"{url}/status", **reader).text
    editor = fetched(f"{url}/edit?tenant={ACME}", **reader).html
    text = editor.partition("<textarea")[2].partition("\n")[2].partition("</textarea>")[0].replace("&#34;", '"')
    assert "What would change Nothing." in fetched(f"{url}/edit", {"text": text}, **reader).text
    changed = fetched(f"{url}/edit", {"text": text.replace("_00.", "_001.")}, **reader)
    assert "wider" in changed.text
    for page in (editor, changed.html):
        assert PIN not in page


def test_a_json_web_token_opens_the_console_where_it_says_so(tmp_path: Path) -> None:
    """By the claim with the services; without it, a token opens what it always did."""
    issuer = Issuer()
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(issuer.jwks))
    security = SecuritySettings(auth=Auth.JWT, jwks=str(keys), jwt_audience=AUDIENCE, jwt_issuer=ISSUER)

    def opened(**claims: Any) -> Seen:
        return fetched(f"{url}/rules", Authorization=f"Bearer {issuer.token(**claims)}")

    with running_server(*RULES, pages=pages, security=security) as running:
        url = f"http://{running.server.http_address}/console"
        named = {"rightcall_services": ["console"]}
        assert opened(tenant="*", **named).status == 200
        assert ACME not in opened(tenant=BOLT, **named).html
        assert opened(tenant="*").status == 403
        assert opened(tenant="*", rightcall_services=["everything"]).status == 303


def test_where_nobody_authenticates_this_machine_alone_may_look() -> None:
    """And no page of a foreign site, whose name may be pointed here."""
    with running_server(*RULES, pages=pages) as running:
        url = f"http://{running.server.http_address}/console"
        assert fetched(f"{url}/rules").status == 200
        assert fetched(f"{url}/rules", Host="rebound.example").status == 400
