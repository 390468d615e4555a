"""The console over HTTP: what pages say, and what they keep out."""

from __future__ import annotations

import re
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import yaml
from consoles import console, fetched, seen
from programs import ROOT
from waiting import until

from rightcall.console.files import FileRules
from rightcall.console.server import ConsoleServer
from rightcall.programs.exits import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMPANY = ROOT / "examples" / "company.yaml"
PEOPLE = {"Alice": "a11ce000-0000-4000-8000-000000000001", "Bob": "b0b00000-0000-4000-8000-000000000002"}
HOSTILE = """<script>alert(1)</script>"'&{{7*7}}"""


@pytest.fixture(scope="module")
def company() -> Iterator[str]:
    """A console over the example company."""
    with console(COMPANY) as url:
        yield url


def get(url: str, form: dict[str, str] | None = None, /, **headers: str) -> tuple[int, str]:
    """The status and the text of a page."""
    page = fetched(url, form, **headers)
    return page.status, page.html


def test_a_question_by_name_gets_the_decision_and_the_reason(company: str) -> None:
    """Bob's premium call is denied, and the page says by which permission and pattern."""
    _, page = get(f"{company}/ask?{urlencode({'caller': 'bob', 'number': '0900123456', 'outcall': '1'})}")
    assert "DENY: permission 11 (premium) matches the extension with _0900." in seen(page)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"caller": "Bobb", "number": "1"}, "did you mean Bob"),
        ({"caller": "Bob", "number": "1", "outcall": "9"}, "there is no outcall '9'"),
        ({"caller": "Bob", "number": "\x07"}, "printable"),
        ({"caller": "Bob", "number": "1" * 129}, "128"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(company: str, asked: dict[str, str], said: str) -> None:
    """What stands in the form is neither lost nor a defect."""
    status, page = get(f"{company}/ask?{urlencode(asked)}")
    assert status == 200
    assert said in seen(page)


def test_a_person_is_shown_with_groups_permissions_and_reach(company: str) -> None:
    """Bob's page has his group, the permission he has through it, and what he may dial abroad."""
    _, page = get(f"{company}/people/{PEOPLE['Bob']}?outcall=2")
    text = seen(page)
    for part in ("Bob", "102", "sales", "sales-europe", "_0033.", "CHALLENGE international", "DENY premium"):
        assert part in text


def test_people_are_found_by_any_of_their_names(company: str) -> None:
    """Name, extension, alias and UUID, in any case; nobody else is listed."""
    for words in ("ALI", "101", "sip:alice", PEOPLE["Alice"]):
        text = seen(get(f"{company}/people?{urlencode({'q': words})}")[1])
        assert "Alice" in text
        assert "Bob" not in text


def test_a_number_has_the_people_by_decision(company: str) -> None:
    """Abroad everyone is asked for a PIN but Dave, who owns the place, and the lobby."""
    text = seen(get(f"{company}/numbers?number=0012025550123&outcall=2")[1])
    assert re.search(r"ALLOW may dial it: 1 Dave", text)
    assert "CHALLENGE are asked for a PIN: 3" in text
    assert "DENY may not: 1 Lobby" in text
    _, table = get(f"{company}/numbers.csv?number=0012025550123&outcall=2")
    assert table.splitlines()[0] == "caller,name,extension,decision,stage,permission"
    assert len(table.splitlines()) == 6


def test_an_edit_is_judged_and_nothing_happens_to_the_file(company: str) -> None:
    """Faults have lines, changes have people and numbers, broken expectations an example."""
    text = COMPANY.read_text()
    faulty = seen(
        "<main" + get(f"{company}/edit", {"text": text.replace('"_0900."', '"_09[0."', 1)}, HX_Request="1")[1]
    )
    assert re.search(r"Faults: 1 error line \d+", faulty)
    opened = get(f"{company}/edit", {"text": text.replace('["_0900.", "_0190X!"]', '["_0190X!"]', 1)})[1]
    assert "wider everyone but public (4 people)" in seen(opened)
    assert "no-premium is broken" in seen(opened)
    assert "0900" in seen(opened)
    assert COMPANY.read_text() == text


def test_an_edit_is_run_against_the_cases_beside_the_file(company: str) -> None:
    """Those that pass are counted, the others are named with what is wrong; a table that is none says why."""
    editor = get(f"{company}/edit")[1]
    assert "Lobby,    911," in editor
    text, cases = COMPANY.read_text(), "caller,extension,outcall,expect\nBob,0900123456,national,deny\n"
    assert "Cases: 1 of 1 pass" in seen(get(f"{company}/edit", {"text": text, "cases": cases})[1])
    opened = {"text": text.replace('"_0900.", "_0190X!"', '"_0190X!"'), "cases": cases}
    page = seen(get(f"{company}/edit", opened)[1])
    assert "Cases: 0 of 1 pass" in page
    assert "line 2: Bob dials 0900123456 through national → DENY: is ALLOW" in page
    page = seen(get(f"{company}/edit", {"text": text, "cases": "who\nBob\n"})[1])
    assert "the cases were not run: the table has no column caller" in page


def test_the_way_through_the_automaton_is_drawn(company: str) -> None:
    """Of the caller's permissions and, where they say nothing, of the outcall's; each picture has a text."""
    _, page = get(f"{company}/ask?caller=Bob&number=0900123456&outcall=1")
    assert re.findall('<svg[^>]*aria-label="([^"]*)"', page) == [
        "Permissions of the caller and of groups: 09 is read, then no permission",
        "Permissions of the outcall: 09001 is read, then DENY by premium",
    ]
    _, person = get(f"{company}/people/{PEOPLE['Bob']}?outcall=2")
    assert "0033… ALLOW 1, CHALLENGE 1" in seen(person)
    assert "The pattern _0900." in get(f"{company}/rules")[1]


def test_an_edited_file_is_shown_without_a_restart(tmp_path: Path) -> None:
    """What was saved decides the next question; a file that became faulty is said to be."""
    file = tmp_path / "company.yaml"
    file.write_text(COMPANY.read_text())
    with console(file) as url:
        question = f"{url}/ask?caller=Bob&number=0900123456&outcall=1"
        assert "DENY" in seen(get(question)[1])
        file.write_text(COMPANY.read_text().replace('"_0900."', '"_0999."'))
        until(lambda: "ALLOW" in seen(get(question)[1]), "the edit decides")
        file.write_text("tenants: [")
        until(lambda: "There are no rules without faults" in seen(get(question)[1]), "it says so")
        assert "Faults: 1 errors" in seen(get(f"{url}/status")[1])


def test_texts_from_outside_stay_texts(tmp_path: Path) -> None:
    """Names, descriptions, patterns, parameters: nothing of them becomes markup or a template."""
    tenant = yaml.safe_load(COMPANY.read_text())["tenants"][0]
    tenant["name"] = tenant["users"][0]["name"] = tenant["groups"][0]["name"] = tenant["outcalls"][0]["name"] = HOSTILE
    for permission in tenant["call_permissions"]:
        permission["name"] = permission["description"] = HOSTILE
    file = tmp_path / "hostile.yaml"
    file.write_text(yaml.safe_dump({"tenants": [tenant]}))
    with console(file) as url:
        hostile = urlencode({"caller": HOSTILE, "number": HOSTILE, "q": HOSTILE, "outcall": HOSTILE, "file": HOSTILE})
        paths = ("ask", "people", "numbers", "rules", "edit", "status", f"people/{PEOPLE['Alice']}")
        pages = [get(f"{url}/{path}")[1] for path in paths] + [get(f"{url}/{path}?{hostile}")[1] for path in paths]
        pages.append(get(f"{url}/edit", {"text": file.read_text() + f"\n# {HOSTILE}\n"})[1])
        pages.append(get(f"{url}/ask?caller=101&number=0900123456&outcall=1")[1])
        for page in pages:
            assert "<script>alert" not in page
            assert (
                "49" not in seen(page).replace(HOSTILE, "").replace("_0049.", "").replace("004", "")
                or "{{7*7}}" in page
            )


def test_no_pin_is_on_a_page_but_in_the_text_of_ones_own_file(company: str) -> None:
    """Pages about people and rules say that there is a PIN, never which."""
    for path in ("people", f"people/{PEOPLE['Bob']}", "rules", "status", "ask?caller=Bob&number=001&outcall=2"):
        text = seen(get(f"{company}/{path}")[1])
        assert not re.search(r"\b(4242|1234)\b", text)


def test_foreign_pages_and_other_machines_get_nothing(company: str) -> None:
    """No foreign name may point here, no script but the site's own runs, and only this machine is listened to."""
    assert get(f"{company}/edit", Host="rebound.example")[0] == 400
    with closing(HTTPConnection(company.removeprefix("http://"), timeout=30)) as connection:
        connection.request("GET", "/ask")
        policy = connection.getresponse().headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    rules = FileRules(str(COMPANY))
    with pytest.raises(Failure, match="other machines"):
        ConsoleServer(rules, "0.0.0.0:0")
    rules.close()


def test_what_is_not_there_says_so(company: str) -> None:
    """An unknown page, person or outcall is a page with status 404."""
    for path in ("nothing", "people/nobody", f"people/{PEOPLE['Bob']}?outcall=9", "static/../rules.py"):
        status, page = get(f"{company}/{path}")
        assert status == 404
        assert "There is no such" in seen(page) or "Not Found" in page
